// plugin.yaml: every finding at once, with its place; defaults; what leads out of the folder.
import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { limits } from "../../../src/base/index.ts";
import { parseManifest } from "../../../src/plugins/index.ts";
import { findSchemaProblem } from "../../../src/workflow/index.ts";

const root = mkdtempSync(join(tmpdir(), "manifest-"));
afterAll(() => rmSync(root, { recursive: true }));
const folder = join(root, "acme/report");
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, "main.ts"), "");
writeFileSync(join(folder, "plain"), "");
writeFileSync(join(folder, "tool"), "");
chmodSync(join(folder, "tool"), 0o755);
writeFileSync(join(root, "outside.ts"), "");
symlinkSync("../../outside.ts", join(folder, "link.ts"));

const parse = (text: string, more: { isPlaced?: boolean; version?: string } = {}) =>
  parseManifest({ text, file: "plugin.yaml", folder, isPlaced: true, version: "0.1.0", findSchemaProblem, ...more });
const found = (text: string) =>
  parse(text).diagnostics.map(({ severity, code, path, line, column }) => `${severity[0]} ${code} ${path} ${line}:${column}`);

const head = "namespace: acme\nname: report\nversion: 1.2.0\nruntime: bun\nentrypoint: main.ts\n";
const actions = "actions: [{ name: build }]\n";
const whole = `namespace: acme
name: report
version: 1.2.0-rc.1+build.5
description: Builds reports
author: Ada
license: MIT OR Apache-2.0
homepage: https://example.com
runtime: exec
entrypoint: ["./tool", "--serve"]
engines: { workflow: ">=0.1.0 <2" }
keepWarm: 4
permissions:
  network: ["*.example.com:443"]
  filesystem: { read: ["$input", ./data], write: ["$workspace"] }
  env: [TZ]
  run: true
  listen: [8080]
  memoryMb: 256
actions:
  - name: build
    description: Builds one
    input: { type: object, properties: { n: { type: integer } }, required: [n] }
    output: { type: object }
    idempotent: true
    timeout: 2m
    permissions: { network: ["a.example.com:443"], memoryMb: 128 }
  - name: plain
`;

describe("a manifest", () => {
  test("with everything is read, with defaults for what an action leaves out", () => {
    const { manifest, diagnostics } = parse(whole);
    expect(diagnostics).toEqual([]);
    expect(manifest).toEqual({
      namespace: "acme",
      name: "report",
      version: "1.2.0-rc.1+build.5",
      description: "Builds reports",
      author: "Ada",
      license: "MIT OR Apache-2.0",
      homepage: "https://example.com",
      runtime: "exec",
      entrypoint: ["./tool", "--serve"],
      engines: { workflow: ">=0.1.0 <2" },
      keepWarm: 4,
      permissions: {
        network: ["*.example.com:443"],
        filesystem: { read: ["$input", "./data"], write: ["$workspace"] },
        env: ["TZ"],
        run: true,
        listen: [8080],
        memoryMb: 256,
      },
      actions: [
        {
          name: "build",
          description: "Builds one",
          input: { type: "object", properties: { n: { type: "integer" } }, required: ["n"] },
          output: { type: "object" },
          idempotent: true,
          timeoutMs: 120_000,
          permissions: { network: ["a.example.com:443"], memoryMb: 128 },
        },
        { name: "plain", description: "", input: { type: "object" }, output: { type: "object" }, idempotent: false, timeoutMs: null },
      ],
    });
  });

  test("asks for nothing unless it says so", () => {
    expect(parse(head + actions).manifest).toMatchObject({ permissions: {}, keepWarm: 0, author: null, engines: null });
  });

  test("all findings come at once, each at its place; unknown keys are warnings", () => {
    const text = `namespace: Acme
name: report
version: 1.2
color: red
runtime: bun
entrypoint: missing.ts
permissions:
  network: [example.com]
  colour: red
actions:
  - name: build
    timeout: soon
  - name: build
    input: { type: what }
`;
    expect(found(text)).toEqual([
      "e BAD_VALUE namespace 1:12",
      "e WRONG_TYPE version 3:10",
      "w UNKNOWN_KEY color 4:1",
      "e BAD_VALUE entrypoint 6:13",
      "e BAD_VALUE permissions.network[0] 8:13",
      "w UNKNOWN_KEY permissions.colour 9:3",
      "e BAD_DURATION actions[0].timeout 12:14",
      "e DUPLICATE_ID actions[1].name 13:11",
      "e BAD_VALUE actions[1].input 14:12",
    ]);
    expect(parse(text).manifest).toBeNull();
  });

  test("unknown keys alone leave it valid, and are not part of it", () => {
    const { manifest, diagnostics } = parse(`${head}permissions: { colour: red, run: true }\n${actions}`);
    expect(diagnostics.map(({ code, severity }) => [code, severity])).toEqual([["UNKNOWN_KEY", "warning"]]);
    expect(manifest?.permissions).toEqual({ run: true });
  });

  test("what is required is missed", () => {
    expect(found("namespace: acme\n")).toEqual([
      "e MISSING_KEY name 1:1",
      "e MISSING_KEY version 1:1",
      "e MISSING_KEY runtime 1:1",
      "e MISSING_KEY entrypoint 1:1",
      "e MISSING_KEY actions 1:1",
    ]);
  });

  test("the folder's names are the plugin's; elsewhere they are not asked", () => {
    const other = `${head.replace("acme", "other").replace("name: report", "name: reports")}${actions}`;
    expect(found(other)).toEqual(["e BAD_VALUE namespace 1:12", "e BAD_VALUE name 2:7"]);
    expect(parse(other, { isPlaced: false }).diagnostics).toEqual([]);
    expect(parse(head.replace("acme", "core") + actions, { isPlaced: false }).diagnostics.map(({ path }) => path)).toEqual(["namespace"]);
  });

  test.each(["1.2", "v1.2.0", "1.2.0.1", "01.2.0", "1.2.0-", "1.2.0-01", "latest"])("version %s is refused", (version) => {
    expect(parse(head.replace("1.2.0", JSON.stringify(version)) + actions).diagnostics.map(({ path }) => path)).toEqual(["version"]);
  });

  test.each([
    [">=9", "BAD_VALUE"],
    ["soon", "BAD_VALUE"],
    ["", "BAD_VALUE"],
    ["^0.1.0", undefined],
    ["0.1.x || >= 2.0.0", undefined],
    ["0.0.1 - 0.2.0", undefined],
    ["*", undefined],
  ])("engines.workflow %j", (range, code) => {
    expect(parse(`${head}engines: { workflow: ${JSON.stringify(range)} }\n${actions}`).diagnostics[0]?.code).toBe(code as never);
  });
});

describe("entrypoints", () => {
  const withEntry = (runtime: string, entry: string) =>
    parse(`namespace: acme\nname: report\nversion: 1.0.0\nruntime: ${runtime}\nentrypoint: ${entry}\n${actions}`).diagnostics.map(({ path }) => path);

  test.each([
    ["bun", "main.ts"],
    ["exec", "./tool"],
    ["exec", "[python3, main.py]"],
    ["exec", "/usr/bin/env"],
    ["docker", "ghcr.io/acme/report:1.2"],
    ["docker", `alpine@sha256:${"a".repeat(64)}`],
  ])("%s %s", (runtime, entry) => expect(withEntry(runtime, entry)).toEqual([]));

  test.each([
    ["bun", "../outside.ts"],
    ["bun", "/etc/passwd.ts"],
    ["bun", "link.ts"],
    ["bun", "missing.ts"],
    ["bun", "plain"],
    ["bun", "[main.ts]"],
    ["exec", "./plain"],
    ["exec", "./missing"],
    ["exec", "../tool"],
    ["exec", '[""]'],
    ["docker", "[alpine]"],
    ["docker", '"--privileged alpine"'],
  ])("%s %s is refused", (runtime, entry) => expect(withEntry(runtime, entry)).toEqual(["entrypoint"]));
});

describe("permissions", () => {
  const withPermissions = (plugin: string, action = "{}") =>
    found(`${head}permissions: ${plugin}\nactions: [{ name: build, permissions: ${action} }]\n`).map((line) => line.split(" ").slice(0, 3).join(" "));

  test("entries are checked, and those that can never match are warned of", () => {
    expect(
      withPermissions('{ network: ["https://x"], filesystem: { read: ["~/x"], write: [$plugin] }, env: [LD_PRELOAD, "a b"], memoryMb: 0 }'),
    ).toEqual([
      "e BAD_VALUE permissions.network[0]",
      "e BAD_VALUE permissions.filesystem.read[0]",
      "w GRANT_UNUSED permissions.filesystem.write[0]",
      "w GRANT_UNUSED permissions.env[0]",
      "e BAD_VALUE permissions.env[1]",
      "e BAD_VALUE permissions.memoryMb",
    ]);
  });

  test("an action's may only be narrower", () => {
    const plugin = '{ network: ["*.example.com:443"], filesystem: { write: [$workspace] }, memoryMb: 256 }';
    expect(withPermissions(plugin, '{ network: ["a.example.com:443"], filesystem: { read: [$workspace/in] }, memoryMb: 100 }')).toEqual([]);
    expect(withPermissions(plugin, "{ network: [other.org:443], filesystem: { read: [/etc] }, run: true, env: [TZ], memoryMb: 512 }")).toEqual([
      "e BAD_VALUE actions[0].permissions.network[0]",
      "e BAD_VALUE actions[0].permissions.filesystem.read[0]",
      "e BAD_VALUE actions[0].permissions.run",
      "e BAD_VALUE actions[0].permissions.env[0]",
      "e BAD_VALUE actions[0].permissions.memoryMb",
    ]);
  });
});

describe("hostile texts end with one finding", () => {
  test.each([
    ["a: [b", "YAML_SYNTAX"],
    ["a: 1\na: 2", "YAML_SYNTAX"],
    ["- a", "WRONG_TYPE"],
    ["", "WRONG_TYPE"],
    [`a: ${"[".repeat(50_000)}`, "YAML_LIMIT"],
    [`a: &a [x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b]\nd: [*c, *c, *c, *c]`, "YAML_LIMIT"],
    ["a: 12345678901234567890", "YAML_LIMIT"],
    ["x".repeat(limits.manifestBytesMax + 1), "YAML_LIMIT"],
  ])("%#", (text, code) => {
    const { manifest, diagnostics } = parse(text);
    expect(manifest).toBeNull();
    expect(diagnostics.map((one) => one.code)).toEqual([code as never]);
  });
});
