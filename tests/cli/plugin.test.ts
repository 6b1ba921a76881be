// plugin …: from the skeleton to the installed plugin and its removal, by the compiled binary.
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Home } from "../product/binary.ts";

const home = new Home();
const run = (line: string, cwd?: string) => home.run(line.split(" "), cwd === undefined ? {} : { cwd });
const json = async (line: string, cwd?: string) => JSON.parse((await run(`${line} --json`, cwd)).stdout) as Record<string, never>;
const errorCode = (stderr: string) => [...stderr.matchAll(/error\[(\w+)\]/g)].at(-1)?.[1];

function putPlugin(path: string, version: string, permissions = "{}"): string {
  const folder = home.path(path);
  mkdirSync(folder, { recursive: true });
  const manifest = `namespace: acme\nname: tool\nversion: ${version}\nruntime: exec\nentrypoint: [sh, main.sh]\npermissions: ${permissions}\n`;
  writeFileSync(
    join(folder, "plugin.yaml"),
    `${manifest}actions:\n  - name: go\n    input: { type: object, properties: { n: { type: integer } } }\n`,
  );
  writeFileSync(join(folder, "main.sh"), `: version ${version}\n`);
  return folder;
}

describe("plugin init", () => {
  test.each(["ts", "python", "sh"])("--lang %s writes a plugin that validates", async (lang) => {
    const made = await run(`plugin init acme/${lang}-hello --lang ${lang}`);
    expect([made.code, made.stderr.includes("error")]).toEqual([0, false]);
    for (const file of ["plugin.yaml", "tests/greet.yaml"]) expect(existsSync(home.path(`acme/${lang}-hello/${file}`))).toBe(true);
    expect((await run(`plugin validate acme/${lang}-hello`)).code).toBe(0);
  });

  test("a bare name becomes a folder here; what is there is kept without --force", async () => {
    mkdirSync(home.path("space"), { recursive: true });
    expect(await json("plugin init hello", home.path("space"))).toMatchObject({ plugin: "space/hello" });
    expect((await run("plugin validate hello", home.path("space"))).code).toBe(0);
    const again = await run("plugin init hello", home.path("space"));
    expect([again.code, errorCode(again.stderr)]).toEqual([5, "ALREADY_EXISTS"]);
    expect((await run("plugin init hello --force", home.path("space"))).code).toBe(0);
    for (const name of ["core/x", "A/b", "a/b/c", "../x"]) expect((await run(`plugin init ${name}`)).code).toBe(2);
    expect((await run("plugin init hi --lang perl")).code).toBe(2);
  });
});

describe("plugin test", () => {
  test.each(["ts", "python", "sh"])("the %s skeleton passes its test in the sandbox", async (lang) => {
    const made = await run(`plugin init try/${lang}-try --lang ${lang}`);
    expect(made.code).toBe(0);
    expect(await json(`plugin test try/${lang}-try`)).toMatchObject({ passed: 1, failed: 0, tests: [{ ok: true, action: `try/${lang}-try.greet` }] });
  });

  test("expects outputs and errors exactly; one that differs fails the command", async () => {
    await run("plugin init try/more");
    const tests = [
      "- { name: misfit, action: greet, input: { name: 3 }, expect: { error: TASK_INPUT_INVALID } }",
      '- { name: literal, action: greet, input: { name: "{{ x }}" }, expect: { output: { greeting: "Hello, {{ x }}!" } } }',
      '- { name: other, action: greet, input: { name: a }, expect: { output: { greeting: "Hello, a" } } }',
      "- { name: no error, action: greet, input: { name: a }, expect: { error: PERMISSION_DENIED } }",
    ];
    writeFileSync(home.path("try/more/tests/more.yaml"), `${tests.join("\n")}\n`);
    const answer = await run("plugin test try/more --json");
    const { tests: results } = JSON.parse(answer.stdout) as { tests: { name: string; ok: boolean }[] };
    expect([answer.code, results.map(({ name, ok }) => [name, ok])]).toEqual([
      1,
      [
        ["greets by name", true],
        ["misfit", true],
        ["literal", true],
        ["other", false],
        ["no error", false],
      ],
    ]);
    writeFileSync(home.path("try/more/tests/more.yaml"), "{ name: x, action: none, expect: { output: {} } }\n");
    expect((await run("plugin test try/more")).code).toBe(3);
  });

  test("[WF-14] what a test does not grant is denied", async () => {
    const file = home.path("outside.txt");
    writeFileSync(file, "x\n");
    const folder = putPlugin("try/net", "1.0.0", `{ filesystem: { read: [${file}] } }`);
    mkdirSync(join(folder, "tests"));
    writeFileSync(join(folder, "plugin.yaml"), readFileSync(join(folder, "plugin.yaml"), "utf8").replace("[sh, main.sh]", "[python3, main.py]"));
    writeFileSync(join(folder, "main.py"), `open("${file}").read()\n`);
    const cases = [
      "{ name: granted, action: go, expect: { output: {} } }",
      "{ name: denied, action: go, permissions: {}, expect: { error: PERMISSION_DENIED } }",
    ];
    writeFileSync(join(folder, "tests/all.yaml"), cases.map((one) => `- ${one}\n`).join(""));
    expect(await json("plugin test try/net")).toMatchObject({ passed: 2, failed: 0 });
  });
});

describe("plugin validate", () => {
  test("shows every finding with its place, and exits 3", async () => {
    writeFileSync(join(putPlugin("acme/tool", "1.0"), "plugin.yaml"), "namespace: acme\nname: tool\nversion: 1.0.0\nruntime: bash\n");
    const human = await run("plugin validate acme/tool");
    expect([human.code, human.stdout, errorCode(human.stderr)]).toEqual([3, "", "MANIFEST_INVALID"]);
    expect(human.stderr).toContain("acme/tool/plugin.yaml:4:10");
    const answer = await run("plugin validate acme/tool/plugin.yaml --json");
    expect(answer.code).toBe(3);
    const { valid, diagnostics } = JSON.parse(answer.stdout) as { valid: boolean; diagnostics: { code: string; path: string }[] };
    expect([valid, diagnostics.map(({ code, path }) => `${code} ${path}`).toSorted()]).toEqual([
      false,
      ["BAD_VALUE runtime", "MISSING_KEY actions", "MISSING_KEY entrypoint"],
    ]);
    expect((await run("plugin validate nowhere")).code).toBe(4);
  });

  test("a link that leads out of the folder is refused", async () => {
    const folder = putPlugin("leak/tool", "1.0.0");
    symlinkSync("/etc/passwd", join(folder, "passwd"));
    expect((await run("plugin validate leak/tool")).code).toBe(3);
    expect((await run("plugin install leak/tool")).code).toBe(3);
  });
});

describe("plugin install, inspect, approve and remove", () => {
  const installed = home.path("data/plugins/acme/tool");

  test("installs, upgrades, and refuses to go back without --force", async () => {
    expect(await json(`plugin install ${putPlugin("v1/tool", "1.0.0")}`)).toMatchObject({ plugin: "acme/tool", replaced: null, unchanged: false });
    expect(readFileSync(join(installed, "main.sh"), "utf8")).toContain("1.0.0");
    expect(await json(`plugin install ${home.path("v1/tool")}`)).toMatchObject({ unchanged: true });
    expect(await json(`plugin install ${putPlugin("v2/tool", "1.1.0", "{ network: [db.example.com:5432] }")}`)).toMatchObject({ replaced: "1.0.0" });
    const back = await run("plugin install v1/tool");
    expect([back.code, errorCode(back.stderr)]).toEqual([5, "ALREADY_EXISTS"]);
    expect(readFileSync(join(installed, "main.sh"), "utf8")).toContain("1.1.0");
    expect((await run("plugin install v1/tool --force")).code).toBe(0);
    const said = await run("plugin install v2/tool");
    expect(said.stdout).toContain('network: ["db.example.com:5432"]');
  });

  test("list and inspect show it beside the built-in ones", async () => {
    const { plugins } = (await json("plugin list")) as unknown as { plugins: { id: string; version: string; builtIn: boolean }[] };
    expect(plugins.find(({ id }) => id === "acme/tool")).toMatchObject({ version: "1.1.0", builtIn: false });
    expect(plugins.filter(({ builtIn }) => builtIn).map(({ id }) => id)).toContain("core/wait");
    expect(await json("plugin inspect acme/tool.go")).toMatchObject({ action: "acme/tool.go", permissions: { network: ["db.example.com:5432"] } });
    expect((await run("plugin inspect core/wait")).stdout).toContain("type: core/wait.for");
    for (const name of ["acme/none", "acme/tool.none", "core/none"]) expect((await run(`plugin inspect ${name}`)).code).toBe(4);
    expect((await run("plugin inspect tool")).code).toBe(2);
  });

  test("validate and apply know it; what applies approves it, and remove keeps it while it is used", async () => {
    writeFileSync(home.path("good.yaml"), "id: good\ntasks:\n  - { id: a, type: acme/tool.go, inputs: { n: 1 } }\n");
    writeFileSync(home.path("bad.yaml"), "id: bad\ntasks:\n  - { id: a, type: acme/tool.go, inputs: { n: x } }\n");
    expect(await json("validate good.yaml")).toEqual({ valid: true, diagnostics: [] } as never);
    const bad = JSON.parse((await run("validate bad.yaml --json")).stdout) as { diagnostics: { code: string; path: string }[] };
    expect(bad.diagnostics.map(({ code, path }) => `${code} ${path}`)).toEqual(["INPUT_MISMATCH tasks[0].inputs.n"]);
    expect((await run("apply good.yaml")).code).toBe(0);
    const { approvals } = (await json("plugin inspect acme/tool")) as unknown as { approvals: { workflow: string; version: string }[] };
    expect(approvals).toMatchObject([{ workflow: "good", version: "1.1.0" }]);
    expect(await json("plugin approve acme/tool --workflow good")).toMatchObject({ plugin: "acme/tool", workflow: "good" });
    expect((await run("plugin approve acme/tool --workflow none")).code).toBe(4);
    const kept = await run("plugin remove acme/tool");
    expect([kept.code, errorCode(kept.stderr), existsSync(installed)]).toEqual([5, "PLUGIN_IN_USE", true]);
    expect(await json("plugin remove acme/tool --force")).toEqual({ plugin: "acme/tool", workflows: ["good"] } as never);
    expect(existsSync(installed)).toBe(false);
    expect((await run("plugin remove acme/tool")).code).toBe(4);
  });

  test("the record tells of all of it and verifies down to the tables", async () => {
    const lines = (await run("trace tail --event-type plugin.*")).stdout;
    const system = lines === "" ? ((await json("trace list --subject system")) as unknown as { traces: { trace_id: string }[] }) : null;
    const tail = system === null ? lines : (await run(`trace tail --trace-id ${system.traces[0]?.trace_id ?? ""} --event-type plugin.*`)).stdout;
    const types = tail
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { event_type: string }).event_type.replace("trace.plugin.", ""));
    expect(types).toEqual(["installed", "installed", "installed", "installed", "approved", "approved", "removed"]);
    expect((await run("trace verify --all --state")).code).toBe(0);
  });

  test("an upgrade that asks for more is refused until it is approved", async () => {
    const manifest = (version: string) => `namespace: acme\nname: grow\nversion: ${version}\nruntime: exec\nentrypoint: [sh, main.sh]\n`;
    const folder = home.path("grow");
    mkdirSync(folder);
    writeFileSync(join(folder, "main.sh"), ":\n");
    writeFileSync(join(folder, "plugin.yaml"), `${manifest("1.0.0")}actions: [{ name: go }]\n`);
    writeFileSync(home.path("grow.yaml"), "id: grow\ntasks:\n  - { id: a, type: acme/grow.go }\n");
    const state = async () => {
      const { code, stdout } = await run("run grow.yaml --json");
      const { tasks } = JSON.parse(stdout) as { tasks: { state: string; error: { code: string; hint?: string } | null }[] };
      return [code, tasks[0]?.state, tasks[0]?.error?.code, tasks[0]?.error?.hint];
    };
    await run("plugin install grow");
    expect(await state()).toEqual([0, "SUCCESS", undefined, undefined]);
    writeFileSync(join(folder, "plugin.yaml"), `${manifest("1.1.0")}permissions: { run: true }\nactions: [{ name: go }]\n`);
    await run("plugin install grow");
    expect(await state()).toEqual([1, "FAILED", "PERMISSION_DENIED", "workflow plugin approve acme/grow"]);
    expect((await run("plugin approve acme/grow --workflow grow")).code).toBe(0);
    expect(await state()).toEqual([0, "SUCCESS", undefined, undefined]);
  });

  test("acts on this machine only", async () => {
    for (const line of ["install v1/tool", "approve acme/tool", "remove acme/tool"])
      expect((await run(`plugin ${line} --server http://127.0.0.1:1`)).code).toBe(2);
  });
});

test("plugin types writes the types of every action", async () => {
  const folder = putPlugin("typed/tool", "1.0.0");
  expect((await run("plugin types typed/tool")).code).toBe(0);
  expect(readFileSync(join(folder, "plugin.d.ts"), "utf8")).toContain("export type GoInput = {\n  n?: number;");
  expect((await run("plugin types typed/tool -o -")).stdout).toContain("export type Actions = {");
});
