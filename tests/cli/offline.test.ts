// Commands that need no store: validate, plan, graph, schema, fmt, config.
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Home, root } from "../product/binary.ts";

const home = new Home();
const hello = join(root, "examples/hello/workflow.yaml");
writeFileSync(home.path("bad.yaml"), "id: bad\ntasks:\n  - id: a\n    run: echo\n    needz: [b]\n");

describe("validate", () => {
  test("a good file is 0", async () => {
    expect(await home.run(["validate", hello])).toMatchObject({ code: 0, stdout: expect.stringContaining("valid") });
    expect(JSON.parse((await home.run(["validate", hello, "--json"])).stdout)).toEqual({ valid: true, diagnostics: [] });
  });

  test("findings of a bad one are on stderr with a caret, as JSON on stdout, and it ends with 3", async () => {
    const human = await home.run(["validate", "bad.yaml"]);
    expect({ code: human.code, stdout: human.stdout }).toEqual({ code: 3, stdout: "" });
    expect(human.stderr).toMatch(/^bad\.yaml:5:5: error\[UNKNOWN_KEY\]/m);
    expect(human.stderr).toContain("^^^^^");
    const json = await home.run(["validate", hello, "bad.yaml", "--format", "json"]);
    expect(json.code).toBe(3);
    expect(JSON.parse(json.stdout)).toMatchObject({
      valid: false,
      diagnostics: [{ code: "UNKNOWN_KEY", path: "tasks[0].needz", file: "bad.yaml", line: 5, column: 5 }],
    });
    const sarif = await home.run(["validate", "bad.yaml", "--format", "sarif"]);
    expect([sarif.code, JSON.parse(sarif.stdout)]).toMatchObject([3, { version: "2.1.0" }]);
  });
});

test("plan shows order and inputs; graph draws; -o writes", async () => {
  expect(JSON.parse((await home.run(["plan", hello, "--json"])).stdout)).toMatchObject({
    id: "hello",
    levels: [expect.arrayContaining(["system", "disk", "words"]), ["summary"]],
  });
  expect((await home.run(["plan", hello])).stdout).toContain("summary");
  expect(await home.run(["plan", hello, "--input", "name="])).toMatchObject({ code: 3, stdout: "" });
  expect((await home.run(["graph", hello])).stdout).toContain("summary");
  expect((await home.run(["graph", hello, "--format", "mermaid"])).stdout).toContain("system");
  expect(await home.run(["graph", hello, "--format", "svg", "-o", "hello.svg"])).toMatchObject({ code: 0, stdout: "" });
  expect(readFileSync(home.path("hello.svg"), "utf8")).toContain("<svg");
});

test("schema prints JSON Schemas by name", async () => {
  const { schemas } = JSON.parse((await home.run(["schema", "--list", "--json"])).stdout) as { schemas: { name: string }[] };
  expect(schemas.map((one) => one.name)).toContain("workflow");
  for (const { name } of schemas) expect(JSON.parse((await home.run(["schema", name])).stdout)).toBeObject();
  expect(await home.run(["schema", "worklow"])).toMatchObject({ code: 4, stdout: "", stderr: expect.stringContaining("workflow") });
});

test("fmt prints, checks and writes; what it wrote passes the check", async () => {
  writeFileSync(home.path("loose.yaml"), 'tasks: [{run: "echo hi",   id: a}]\nid:   loose\n');
  expect((await home.run(["fmt", "loose.yaml", "--check"])).code).toBe(1);
  const printed = (await home.run(["fmt", "loose.yaml"])).stdout;
  expect((await home.run(["fmt", "loose.yaml", "--write"])).code).toBe(0);
  expect(readFileSync(home.path("loose.yaml"), "utf8")).toBe(printed);
  expect((await home.run(["fmt", "loose.yaml", "--check"])).code).toBe(0);
});

describe("config", () => {
  test("says who set each value: flag over environment over file over default", async () => {
    writeFileSync(home.path("autokestra.yaml"), "server: { port: 8001 }\nlogging: { level: warn }\n");
    const { stdout, stderr } = await home.run(["config", "show", "--json"], { env: { WORKFLOW_SERVER_PORT: "8002", WORKFLOW_NONSENSE: "x" } });
    expect(JSON.parse(stdout)).toMatchObject({
      "server.port": { value: 8002, source: "env" },
      "logging.level": { value: "warn", source: "file" },
      "server.host": { value: "127.0.0.1", source: "default" },
    });
    expect(stderr).toContain("WORKFLOW_NONSENSE");
    expect((await home.run(["config", "get", "server.port"])).stdout).toBe("8001\n");
    expect((await home.run(["config", "get", "server.prt"])).code).toBe(4);
  });

  test("a bad value is 3; nothing was created by asking", async () => {
    const { code, stderr } = await home.run(["config", "show", "--json"], { env: { WORKFLOW_SERVER_PORT: "many" } });
    expect(code).toBe(3);
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: "CONFIG_INVALID" } });
    expect(JSON.parse((await home.run(["config", "path", "--json"])).stdout)).toMatchObject({
      config: home.path("autokestra.yaml"),
      data: home.data,
    });
    expect(existsSync(home.data)).toBe(false);
  });
});
