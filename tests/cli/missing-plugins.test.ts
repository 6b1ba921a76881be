// Actions that cannot be called: unknown, of plugins that are missing, broken or not approved, by the compiled binary.
import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Home } from "../product/binary.ts";

const home = new Home();
const run = (...args: string[]) => home.run(args);
type Finding = { severity: string; code: string; hint?: string };

function putPlugin(path: string, version: string, permissions = "{}", more = ""): string {
  const folder = home.path(path);
  mkdirSync(folder, { recursive: true });
  const actions = "actions:\n  - name: go\n    input: { type: object, properties: { n: { type: integer, default: 7 } }, required: [n] }\n";
  writeFileSync(
    join(folder, "plugin.yaml"),
    `namespace: acme\nname: tool\nversion: ${version}\nruntime: exec\nentrypoint: [sh, main.sh]\npermissions: ${permissions}\n${more}${actions}`,
  );
  writeFileSync(join(folder, "main.sh"), 'IFS= read -r call\nprintf \'{"output":%s}\\n\' "$call" > "$WORKFLOW_RESULT"\n');
  return folder;
}

function putFlow(action: string, id = "flow"): string {
  const file = home.path(`${id}.json`);
  writeFileSync(file, JSON.stringify({ id, tasks: [{ id: "t", type: action }] }));
  return file;
}

async function validate(file: string): Promise<{ code: number | null; findings: string[]; hints: string[] }> {
  const { code, stdout } = await run("validate", file, "--format", "json");
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: Finding[] };
  return { code, findings: diagnostics.map((found) => `${found.severity} ${found.code}`), hints: diagnostics.map(({ hint = "" }) => hint) };
}

async function refusal(
  ...args: string[]
): Promise<{ code: number | null; error: { code: string; hint?: string; details?: Record<string, unknown> } }> {
  const { code, stderr } = await run(...args, "--json");
  return { code, ...(JSON.parse(stderr.trim().split("\n").at(-1) ?? "") as { error: { code: string } }) };
}

test("from an action that nobody has to one that needs an approval: each is told once, by its cause", async () => {
  const flow = putFlow("acme/tool.go");
  expect(await validate(flow)).toMatchObject({ code: 0, findings: ["warning UNKNOWN_ACTION"], hints: [expect.stringContaining("plugin install")] });
  expect(await refusal("run", flow)).toMatchObject({ code: 4, error: { code: "PLUGIN_NOT_FOUND", hint: expect.stringContaining("plugin install") } });
  expect((await run("run", flow)).stderr).not.toContain("UNKNOWN_ACTION");

  const source = putPlugin("tool", "1.0.0");
  expect((await run("plugin", "install", source)).code).toBe(0);
  expect(await validate(flow)).toEqual({ code: 0, findings: [], hints: [] });
  const done = await run("run", flow, "--json");
  // A default of the schema stands for a member that is required.
  expect(JSON.parse(done.stdout)).toMatchObject({ tasks: [{ output: { input: { n: 7 } } }] });

  const slip = putFlow("acme/tool.goo", "slip");
  expect(await validate(slip)).toEqual({ code: 3, findings: ["error UNKNOWN_ACTION"], hints: ['Did you mean "acme/tool.go"?'] });
  expect(await refusal("run", slip)).toMatchObject({ code: 3, error: { code: "WORKFLOW_INVALID" } });
  expect((await validate(putFlow("acme/tol.go", "other"))).hints).toEqual(['Did you mean "acme/tool.go"?']);

  putPlugin("tool", "2.0.0", "{ network: ['a.example.com:443'] }");
  expect((await run("plugin", "install", source)).code).toBe(0);
  expect(await validate(flow)).toMatchObject({
    code: 0,
    findings: ["warning PLUGIN_NOT_APPROVED"],
    hints: [expect.stringContaining("plugin approve acme/tool")],
  });
  const plan = JSON.parse((await run("plan", flow, "--json")).stdout) as { refused: unknown[] };
  expect(plan.refused).toMatchObject([{ path: "tasks[0].type", hint: expect.stringContaining("plugin approve acme/tool") }]);
  expect((await run("plan", flow)).stdout).toContain("Would be refused");
  const refused = JSON.parse((await run("run", flow, "--json")).stdout) as { tasks: { error: unknown }[] };
  expect(refused.tasks[0]?.error).toMatchObject({
    code: "PERMISSION_DENIED",
    details: { kind: "network", target: "a.example.com:443", rule: "network", grant: null, plugin: "acme/tool", exceeded: [expect.any(String)] },
  });
  expect((await run("plugin", "approve", "acme/tool")).code).toBe(0);
  expect((await validate(flow)).findings).toEqual([]);

  writeFileSync(join(home.data, "plugins/acme/tool/plugin.yaml"), "namespace: acme\n");
  const broken = await run("validate", flow);
  expect([broken.code, broken.stderr.split("UNKNOWN_ACTION").length, broken.stderr.includes("plugins/acme/tool/plugin.yaml:1")]).toEqual([
    0,
    2,
    true,
  ]);
  expect(await refusal("run", flow)).toMatchObject({
    code: 3,
    error: { code: "MANIFEST_INVALID", hint: expect.stringContaining("plugin validate") },
  });
});

test("a check of a file makes no store", async () => {
  const env = { AUTOKESTRA_HOME: home.path("elsewhere") };
  expect((await home.run(["validate", putFlow("acme/tool.go", "dry")], { env })).code).toBe(0);
  expect((await home.run(["plugin", "inspect", "core/http", "--json"], { env })).code).toBe(0);
  expect((await home.run(["plugin", "inspect", "core/file.read"], { env })).code).toBe(0);
  expect((await home.run(["plugin", "inspect", "core/nothing"], { env })).code).toBe(4);
  expect(existsSync(home.path("elsewhere"))).toBe(false);
});

describe("what is no plugin", () => {
  test("is refused by every command that takes a path, and never as our own mistake", async () => {
    mkdirSync(home.path("fifo"));
    Bun.spawnSync(["mkfifo", home.path("fifo/plugin.yaml")]);
    mkdirSync(home.path("folder/plugin.yaml"), { recursive: true });
    symlinkSync("loop", home.path("loop"));
    const hostile = [
      "/etc/passwd",
      "/etc/passwd/plugin.yaml",
      "/dev/null",
      "/proc/self/mem",
      "loop",
      "fifo",
      "folder",
      "",
      "x".repeat(5000),
      "no\nwhere",
    ];
    for (const path of hostile)
      for (const verb of ["validate", "test", "types", "install"]) {
        const { code, error } = await refusal("plugin", verb, path);
        expect([verb, path.slice(0, 30), code, error.code]).toEqual([verb, path.slice(0, 30), 4, "FILE_NOT_FOUND"]);
      }
    for (const name of ["/etc/passwd", "a/b/c", "../..", "a/b\0", "x".repeat(5000), "acme/../x"].map((one) => one.replace("\0", "\u0001")))
      for (const verb of ["inspect", "approve", "remove", "init"]) {
        const { error } = await refusal("plugin", verb, name);
        expect([verb, name.slice(0, 30), ["USAGE", "PLUGIN_NOT_FOUND"].includes(error.code)]).toEqual([verb, name.slice(0, 30), true]);
      }
    writeFileSync(home.path("taken"), "");
    expect(await refusal("plugin", "init", "taken")).toMatchObject({ code: 5, error: { code: "ALREADY_EXISTS" } });
    const tested = putPlugin("tested", "1.0.0");
    mkdirSync(join(tested, "tests"));
    Bun.spawnSync(["mkfifo", join(tested, "tests/a.yaml")]);
    // A pipe would be waited for without end.
    expect((await refusal("plugin", "test", tested)).error.code).toBe("MANIFEST_INVALID");
  });
});
