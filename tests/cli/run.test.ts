// `workflow run` of the built binary: what goes where, how it ends, and what signals do.
import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readFileSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { binary, Home, processesWith, root, until } from "../product/binary.ts";

const home = new Home();
const file = (name: string, text: string) => {
  writeFileSync(home.path(name), text);
  return name;
};
const hello = join(root, "examples/hello/workflow.yaml");
const failing = file(
  "failing.yaml",
  "id: failing\ntasks:\n  - { id: fine, run: echo fine }\n  - { id: broken, run: \"echo 'it \\e[2J broke' >&2; exit 3\" }\n",
);
const plain = file(
  "plain.yaml",
  'id: plain\ntasks:\n  - { id: first, run: echo one }\n  - { id: last, needs: [first], run: "echo two; echo three" }\n',
);

describe("a file", () => {
  test("[WF-25] the example runs to SUCCESS; its outputs alone are on stdout", async () => {
    const { code, stdout, stderr } = await home.run(["run", hello, "--input", "name=Ada", "--input", 'words=["a","bcd"]']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ greeting: expect.stringContaining("Hello, Ada! This is Linux"), words: 2, longest: "bcd" });
    expect(stderr).toMatch(/^\d\d:\d\d:\d\d {2}summary {2}SUCCESS/m);
    expect(stderr).toMatch(/execution [0-9a-f-]{36}/);
  });

  test("without outputs stdout has the last task's last lines; --quiet leaves stderr empty", async () => {
    expect(await home.run(["run", plain, "--quiet"])).toEqual({ code: 0, signal: null, stdout: "two\nthree\n", stderr: "" });
  });

  test("from stdin", async () => {
    expect(await home.run(["run", "-", "--quiet"], { stdin: readFileSync(home.path(plain), "utf8") })).toMatchObject({
      code: 0,
      stdout: "two\nthree\n",
    });
  });

  test("[WF-03] a failed task makes it 1: its code and last lines are on stderr, escapes made visible, nothing on stdout", async () => {
    const { code, stdout, stderr } = await home.run(["run", failing]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain("error[EXECUTION_FAILED]: ");
    expect(stderr).toContain("PLUGIN_EXIT");
    expect(stderr).toContain("it \\x1b[2J broke");
    expect(stderr).not.toContain("\u001b");
  });

  test("[WF-07] with --json the execution is on stdout and the envelope alone on stderr", async () => {
    const { code, stdout, stderr } = await home.run(["run", failing, "--json"]);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      execution: { state: "FAILED", workflowId: "failing" },
      tasks: [
        { taskId: "fine", state: "SUCCESS" },
        { taskId: "broken", state: "FAILED" },
      ],
    });
    expect(JSON.parse(stderr)).toMatchObject({
      error: {
        code: "EXECUTION_FAILED",
        kind: "failed",
        details: { state: "FAILED", task: "broken", error: { code: "PLUGIN_EXIT" } },
      },
    });
  });

  test("--timeout fails the execution", async () => {
    const { code, stdout } = await home.run([
      "run",
      file("long.yaml", "id: long\ntasks: [{ id: nap, run: sleep 60 }]\n"),
      "--timeout",
      "200ms",
      "--json",
    ]);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ execution: { state: "FAILED", reasonCode: "TIMEOUT" } });
  });

  test("inputs from a file; undeclared and ill-typed ones end with 3", async () => {
    writeFileSync(home.path("inputs.json"), '{"name":"File","words":[]}');
    expect(JSON.parse((await home.run(["run", hello, "--inputs", "inputs.json"])).stdout)).toMatchObject({
      greeting: expect.stringContaining("Hello, File!"),
      words: 0,
    });
    for (const input of ["nobody=1", "words=not json", "words=3"]) {
      const { code, stdout, stderr } = await home.run(["run", hello, "--input", input, "--json"]);
      expect([input, code, stdout]).toEqual([input, 3, ""]);
      expect(JSON.parse(stderr)).toMatchObject({ error: { code: "INPUT_INVALID" } });
    }
  });

  test("every problem of the inputs is told at once", async () => {
    const name = file(
      "needs.yaml",
      "id: needs\ninputs: [{ id: n, type: integer }, { id: m, type: string, required: true }]\ntasks: [{ id: a, run: echo }]\n",
    );
    const expected = [
      ["WRONG_TYPE", "inputs.n"],
      ["UNKNOWN_KEY", "inputs.zz"],
      ["MISSING_KEY", "inputs.m"],
    ];
    for (const verb of ["run", "plan"]) {
      const { code, stderr } = await home.run([verb, name, "--input", "n=abc", "--input", "zz=1", "--json"]);
      const { error } = JSON.parse(stderr) as { error: { code: string; details: { diagnostics: { code: string; path: string }[] } } };
      expect([code, error.code, error.details.diagnostics.map((found) => [found.code, found.path])]).toEqual([3, "INPUT_INVALID", expected]);
    }
  });

  test("bytes that are not UTF-8 are refused, never replaced; a byte order mark is part of the digest", async () => {
    writeFileSync(home.path("latin.yaml"), Buffer.from('id: latin\ntasks: [{ id: a, run: "echo \xff" }]\n', "latin1"));
    for (const verb of ["run", "apply", "validate", "plan", "fmt", "graph"]) {
      const { code, stdout, stderr } = await home.run([verb, "latin.yaml"]);
      expect([verb, code, stdout]).toEqual([verb, 3, ""]);
      expect(stderr).toMatch(/^latin\.yaml:1:1: error\[YAML_SYNTAX\]/m);
    }
    writeFileSync(home.path("marked.yaml"), "\ufeffid: marked\ntasks: [{ id: a, run: echo }]\n");
    const sha256 = createHash("sha256")
      .update(readFileSync(home.path("marked.yaml")))
      .digest("hex");
    expect((await home.run(["run", "marked.yaml", "--quiet"])).code).toBe(0);
    expect(JSON.parse((await home.run(["describe", "marked", "--json"])).stdout)).toMatchObject({ sha256 });
  });

  test("from stdin relative entries start from the current folder", async () => {
    const source = "id: piped\npermissions: { filesystem: { read: [./x] } }\ntasks: [{ id: a, run: echo }]\n";
    expect((await home.run(["apply", "-"], { stdin: source })).code).toBe(0);
    expect(JSON.parse((await home.run(["describe", "piped", "--json"])).stdout)).toMatchObject({ folder: realpathSync(home.dir) });
  });

  test("errors in the file end with 3 and say where", async () => {
    const bad = file("bad.yaml", "id: bad\ntasks:\n  - id: a\n    run: echo\n    needs: [zz]\n");
    const human = await home.run(["run", bad]);
    expect({ code: human.code, stdout: human.stdout }).toEqual({ code: 3, stdout: "" });
    expect(human.stderr).toMatch(/^bad\.yaml:5:13: error\[UNKNOWN_NEED\]/m);
    expect(human.stderr).toMatch(/^ {2}5 \| {5}needs: \[zz\]\n {4}\| {13}\^\^$/m);
    expect(human.stderr).toContain("error[WORKFLOW_INVALID]");
    const json = await home.run(["run", bad, "--json"]);
    expect(JSON.parse(json.stderr)).toMatchObject({
      error: {
        code: "WORKFLOW_INVALID",
        details: { diagnostics: [{ code: "UNKNOWN_NEED", line: 5, column: 13 }] },
      },
    });
  });

  test("a missing file is 4, as is an unknown id", async () => {
    for (const [target, code] of [
      ["none.yaml", "FILE_NOT_FOUND"],
      ["./none", "FILE_NOT_FOUND"],
      ["nobody", "WORKFLOW_NOT_FOUND"],
    ] as const) {
      const ended = await home.run(["run", target, "--json"]);
      expect(ended).toMatchObject({ code: 4, stdout: "" });
      expect(JSON.parse(ended.stderr)).toMatchObject({ error: { code } });
    }
  });

  test("run by id takes the stored revision; another text of the file does not become it", async () => {
    const name = file("twice.yaml", "id: twice\ntasks: [{ id: a, run: echo old }]\n");
    await home.run(["run", name, "--quiet"]);
    writeFileSync(home.path(name), "id: twice\ntasks: [{ id: a, run: echo new }]\n");
    const changed = await home.run(["run", name]);
    expect(changed.stdout).toBe("new\n");
    expect(changed.stderr).toContain("apply");
    const asJson = await home.run(["run", name, "--json"]);
    expect(JSON.parse(asJson.stdout)).toMatchObject({ execution: { revision: 2 } });
    expect(asJson.stderr).toMatch(/^Workflow twice .* keeps revision 1 .*\n$/);
    expect((await home.run(["run", name, "--json", "--quiet"])).stderr).toBe("");
    expect(await home.run(["run", "twice", "--quiet"])).toMatchObject({ code: 0, stdout: "old\n" });
  });
});

describe("signals", () => {
  const marker = `nap-${process.pid}`;
  const napping = (name: string) =>
    file(`${name}.yaml`, `id: ${name}\ntasks: [{ id: nap, run: "exec sh -c 'echo started; sleep 60 & wait' ${marker}-${name}" }]\n`);
  const started = (name: string) => until(() => (processesWith(`${marker}-${name}`).length > 0 ? true : null));
  const gone = (name: string) => until(() => (processesWith(`${marker}-${name}`).length === 0 ? true : null));

  test.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s cancels the execution and ends with %d", async (signal, exit) => {
    const name = `nap-${signal.toLowerCase()}`;
    const { child, ended } = home.start(["run", napping(name), "--json"]);
    await started(name);
    child.kill(signal);
    const { code, stdout } = await ended;
    expect(code).toBe(exit);
    expect(JSON.parse(stdout)).toMatchObject({ execution: { state: "CANCELLED", reasonCode: "USER_CANCELLED" } });
    await gone(name);
  });

  test("a second one ends it at once, with everything it started", async () => {
    const name = "stubborn";
    const path = file(
      `${name}.yaml`,
      `id: ${name}\ntasks: [{ id: nap, run: "trap '' TERM; exec sh -c 'trap \\"\\" TERM; sleep 60' ${marker}-${name}" }]\n`,
    );
    const { child, ended } = home.start(["run", path]);
    await started(name);
    child.kill("SIGINT");
    await until(async () => (child.exitCode === null && (await stateOf(name)) !== null ? true : null));
    child.kill("SIGINT");
    expect((await ended).code).toBe(130);
    await gone(name);
  });

  async function stateOf(workflow: string): Promise<string | null> {
    const { stdout } = await home.run(["execution", "list", "--workflow", workflow, "--json"]);
    return (JSON.parse(stdout) as { executions: { state: string }[] }).executions[0]?.state ?? null;
  }
});

describe("on a terminal", () => {
  test("the tree is drawn in place and the cursor comes back", async () => {
    const drawn = Bun.spawnSync(["script", "-qec", `"${binary}" run ${plain}`, "/dev/null"], {
      cwd: home.dir,
      env: { ...home.env(), TERM: "xterm", NO_COLOR: "" },
    });
    const text = drawn.stdout.toString();
    expect(drawn.exitCode).toBe(0);
    expect(text).toContain("\u001b[?25l");
    expect(text.lastIndexOf("\u001b[?25h")).toBeGreaterThan(text.lastIndexOf("\u001b[?25l"));
    expect(text).toContain("✓");
    expect(text).toContain("three");
  });
});
