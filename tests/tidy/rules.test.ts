// Each house rule on small texts: what it must find, and what it must let pass.
import { describe, expect, test } from "bun:test";
import { restrictedUse } from "./rules/bans.ts";
import { codes } from "./rules/codes.ts";
import { deadExports } from "./rules/exports.ts";
import { freshWith } from "./rules/fresh.ts";
import { layers } from "./rules/layers.ts";
import { links } from "./rules/links.ts";
import { lock } from "./rules/lock.ts";
import { fileLinesMax, functionLinesMax, sizesWith, waiversMax } from "./rules/sizes.ts";
import { indexOnlyExports, noAny, noDefaultExport, noEnum, skipHasReason } from "./rules/syntax.ts";
import { headerComment, lineForm, names, noMarkers } from "./rules/text.ts";
import type { Rule } from "./source.ts";

/** Number of violations of one file. */
function count(rule: Rule, path: string, text: string): number {
  return rule([{ path, text }]).length;
}

function linesFound(rule: Rule, path: string, text: string): number[] {
  return rule([{ path, text }]).map((violation) => violation.line);
}

describe("layers", () => {
  const from = (path: string, specifier: string): number => count(layers, path, `import { a } from "${specifier}";\n`);

  test("lower rows may be imported, their own row and higher ones may not", () => {
    expect(from("src/model/a.ts", "../base/index.ts")).toBe(0);
    expect(from("src/base/a.ts", "../model/index.ts")).toBe(1);
    expect(from("src/trace/a.ts", "../plugins/index.ts")).toBe(1);
    expect(from("src/server/routes/a.ts", "../../app/index.ts")).toBe(0);
    expect(from("src/app/a.ts", "../server/index.ts")).toBe(1);
    expect(from("src/base/deep/a.ts", "../b.ts")).toBe(0);
  });

  test("every form of import counts, those of types too", () => {
    const forms = [
      'import type { A } from "../app/index.ts";',
      'export * from "../app/index.ts";',
      'export type { A } from "../app/index.ts";',
      'const a = await import("../app/index.ts");',
      'type A = import("../app/index.ts").A;',
      'const a = require("../app/index.ts");',
    ];
    for (const form of forms) expect([form, linesFound(layers, "src/engine/a.ts", `\n${form}\n`)]).toEqual([form, [2]]);
    expect(count(layers, "src/engine/a.ts", '// import "../app/index.ts"\nconst a = `import "../app/index.ts"`;\n')).toBe(0);
  });

  test("other folders are entered through index.ts", () => {
    expect(from("src/model/a.ts", "../base/errors.ts")).toBe(1);
    expect(from("src/model/a.ts", "./b.ts")).toBe(0);
  });

  test("row 2 may import the ports of storage, and only app its SQLite half", () => {
    expect(from("src/logs/a.ts", "../storage/index.ts")).toBe(0);
    expect(from("src/storage/a.ts", "../logs/index.ts")).toBe(1);
    expect(from("src/logs/a.ts", "../storage/sqlite/index.ts")).toBe(1);
    expect(count(layers, "src/engine/a.ts", 'import { openSqliteStore } from "../storage/index.ts";\n')).toBe(1);
    expect(count(layers, "src/app/a.ts", 'import { openSqliteStore } from "../storage/index.ts";\n')).toBe(0);
    expect(from("src/storage/sqlite/a.ts", "../ports.ts")).toBe(0);
    expect(from("src/app/a.ts", "../storage/sqlite/index.ts")).toBe(0);
    expect(from("src/app/a.ts", "../storage/sqlite/events.ts")).toBe(1);
  });

  test("actions are embedded, never imported", () => {
    expect(from("src/plugins/a.ts", "../actions/http.ts")).toBe(1);
    expect(count(layers, "src/plugins/a.ts", 'import a from "../actions/http.ts" with { type: "file" };\n')).toBe(0);
    expect(from("src/actions/http.ts", "../sdk/index.ts")).toBe(0);
    expect(from("src/actions/http.ts", "../engine/index.ts")).toBe(1);
  });

  test("sdk imports model only, and main.ts starts cli", () => {
    expect(from("src/sdk/a.ts", "../model/index.ts")).toBe(0);
    expect(from("src/sdk/a.ts", "../base/index.ts")).toBe(1);
    expect(from("src/main.ts", "./cli/index.ts")).toBe(0);
    expect(from("src/cli/a.ts", "../main.ts")).toBe(1);
    expect(from("src/main.ts", "./base/version.ts")).toBe(0);
    expect(from("src/main.ts", "./base/errors.ts")).toBe(1);
  });

  test("unknown folders, stray files and paths outside src are refused", () => {
    expect(count(layers, "src/stuff/a.ts", "export {};\n")).toBe(1);
    expect(count(layers, "src/a.ts", "export {};\n")).toBe(1);
    expect(from("src/base/a.ts", "../../tests/unit/a.ts")).toBe(1);
    expect(from("src/base/version.ts", "../../package.json")).toBe(0);
  });
});

describe("bans", () => {
  const uses = (path: string, text: string): number => count(restrictedUse, path, text);

  test("bun:sqlite only in storage/sqlite", () => {
    expect(uses("src/trace/a.ts", 'import { Database } from "bun:sqlite";')).toBe(1);
    expect(uses("src/trace/a.ts", 'import type { Database } from "bun:sqlite";')).toBe(1);
    expect(uses("src/storage/sqlite/a.ts", 'import { Database } from "bun:sqlite";')).toBe(0);
    expect(uses("tests/unit/a.ts", 'import { Database } from "bun:sqlite";')).toBe(0);
  });

  test("the environment only in config, whatever it is called", () => {
    const forms = [
      "process.env.HOME",
      'process["env"]',
      "globalThis.process.env",
      "Bun.env",
      "import.meta.env",
      "const { env } = process;",
      'import { env } from "node:process";',
    ];
    for (const form of forms) {
      expect([form, uses("src/cli/a.ts", form)]).toEqual([form, 1]);
      expect(uses("src/config/a.ts", form)).toBe(0);
    }
    expect(uses("src/cli/a.ts", 'const a = "process.env"; task.env;')).toBe(0);
  });

  test("processes and FFI only in two folders", () => {
    expect(uses("src/engine/a.ts", 'Bun.spawn(["true"]); Bun.spawnSync(["true"]);')).toBe(2);
    expect(uses("src/engine/a.ts", 'import { dlopen } from "bun:ffi";')).toBe(1);
    expect(uses("src/engine/a.ts", 'import { spawn } from "node:child_process";')).toBe(1);
    expect(uses("src/engine/a.ts", 'import { spawn } from "bun";')).toBe(1);
    expect(uses("src/engine/a.ts", "await Bun.$`true`;")).toBe(1);
    expect(uses("src/plugins/runtimes/a.ts", 'Bun.spawn(["true"]);')).toBe(0);
    expect(uses("src/plugins/sandbox/a.ts", 'import { dlopen } from "bun:ffi";')).toBe(0);
    expect(uses("src/plugins/a.ts", 'Bun.spawn(["true"]);')).toBe(1);
  });

  test("process.exit only in main.ts", () => {
    expect(uses("src/cli/a.ts", "process.exit(1);")).toBe(1);
    expect(uses("src/actions/a.ts", "process.exit(1);")).toBe(1);
    expect(uses("src/main.ts", "process.exit(1);")).toBe(0);
    expect(uses("src/cli/a.ts", "process.exitCode = 1;")).toBe(0);
  });

  test("time and randomness only in app", () => {
    const forms = [
      "Date.now();",
      "const read = Date.now;",
      "new Date();",
      "Date();",
      "performance.now();",
      "Math.random();",
      "crypto.randomUUID();",
      "Bun.randomUUIDv7();",
      'import { randomBytes } from "node:crypto";',
    ];
    for (const form of forms) {
      expect([form, uses("src/engine/a.ts", form)]).toEqual([form, 1]);
      expect(uses("src/app/a.ts", form)).toBe(0);
    }
    expect(uses("src/engine/a.ts", "new Date(at); Date.UTC(2026, 0); clock.now(); ids.random();")).toBe(0);
  });

  test("base and model have no timers and no I/O", () => {
    for (const form of ["setTimeout(run, 1);", "globalThis.setTimeout(run, 1);", "fetch(url);", 'import { readFile } from "node:fs/promises";']) {
      expect([form, uses("src/base/a.ts", form)]).toEqual([form, 1]);
      expect(uses("src/model/a.ts", form)).toBe(1);
      expect(uses("src/engine/a.ts", form)).toBe(0);
    }
  });
});

describe("syntax", () => {
  test("default exports", () => {
    expect(count(noDefaultExport, "src/base/a.ts", "export default 1;")).toBe(1);
    expect(count(noDefaultExport, "src/base/a.ts", "export default function a() {}")).toBe(1);
    expect(count(noDefaultExport, "tests/unit/a.ts", "const a = 1;\nexport { a as default };")).toBe(1);
    expect(count(noDefaultExport, "src/base/a.ts", "export const a = 1; switch (a) { default: }")).toBe(0);
    expect(count(noDefaultExport, "src/base/a.d.ts", "export default 1;")).toBe(0);
    expect(count(noDefaultExport, "examples/a/plugin.ts", "export default 1;")).toBe(0);
  });

  test("any and enums", () => {
    expect(count(noAny, "src/base/a.ts", "const a: any = 1; const b = a as any;")).toBe(2);
    expect(count(noAny, "src/base/a.ts", "// any\nconst any = 1; Promise.any([any]);")).toBe(0);
    expect(count(noEnum, "src/base/a.ts", "enum A { b }")).toBe(1);
    expect(count(noEnum, "src/base/a.ts", 'const enumeration = "enum";')).toBe(0);
  });

  test("index.ts only exports", () => {
    expect(count(indexOnlyExports, "src/base/index.ts", 'export * from "./a.ts";\nexport type { B } from "./b.ts";\n')).toBe(0);
    expect(linesFound(indexOnlyExports, "src/base/index.ts", 'export * from "./a.ts";\nexport const b = 1;\n')).toEqual([2]);
    expect(count(indexOnlyExports, "src/base/index.ts", 'import "./a.ts";\n')).toBe(1);
    expect(count(indexOnlyExports, "src/base/a.ts", "export const b = 1;\n")).toBe(0);
  });

  test("skips carry a reason and only is never left in", () => {
    const skips = (text: string): number => count(skipHasReason, "tests/unit/a.test.ts", text);
    expect(skips('test.skip("a", () => {});')).toBe(1);
    expect(skips('test.skip("a (skip: needs a second disk)", () => {});')).toBe(0);
    expect(skips('test.skipIf(isRoot)("a", () => {});')).toBe(1);
    expect(skips('// Root may read every file.\ntest.skipIf(isRoot)("a", () => {});')).toBe(0);
    expect(skips('// Root may read every file.\n\ntest.skipIf(isRoot)("a", () => {});')).toBe(1);
    // The launcher and its supervisor are Linux programs.
    expect(skips('// Namespaces are of Linux.\nconst onLinux = a();\ntest.skipIf(!onLinux)("a", () => {});')).toBe(0);
    // The launcher and its supervisor are Linux programs.
    expect(skips('const onLinux = a();\n\ntest.skipIf(!onLinux)("a", () => {});')).toBe(1);
    expect(skips('describe.todo("a");')).toBe(1);
    expect(skips('// Faster.\ntest.only("a", () => {});')).toBe(1);
    expect(skips('test("a", () => { lexer.skip("b"); });')).toBe(0);
  });
});

describe("sizes", () => {
  const long = (lines: number): string => `function long() {\n${"  work();\n".repeat(lines - 2)}}\n`;

  test("limits are inclusive", () => {
    const rule = sizesWith([]);
    expect(count(rule, "src/base/a.ts", "a();\n".repeat(fileLinesMax))).toBe(0);
    expect(count(rule, "src/base/a.ts", "a();\n".repeat(fileLinesMax + 1))).toBe(1);
    expect(count(rule, "src/base/a.ts", long(functionLinesMax))).toBe(0);
    expect(linesFound(rule, "src/base/a.ts", `\n${long(functionLinesMax + 1)}`)).toEqual([2]);
  });

  test("arrows and methods count, groups of tests do not", () => {
    const body = `{\n${"  work();\n".repeat(functionLinesMax)}}`;
    expect(count(sizesWith([]), "src/base/a.ts", `const a = () => ${body};`)).toBe(1);
    expect(count(sizesWith([]), "src/base/a.ts", `class A { b() ${body} }`)).toBe(1);
    expect(count(sizesWith([]), "tests/unit/a.test.ts", `describe("a", () => ${body});`)).toBe(0);
    expect(count(sizesWith([]), "tests/unit/a.test.ts", `test("a", () => ${body});`)).toBe(1);
  });

  test("waivers are few, named, and in use", () => {
    const text = long(functionLinesMax + 1);
    const waiver = { at: "src/base/a.ts#long", why: "a table" };
    expect(count(sizesWith([waiver]), "src/base/a.ts", text)).toBe(0);
    expect(count(sizesWith([waiver]), "src/base/a.ts", "a();\n")).toBe(1);
    const many = Array.from({ length: waiversMax + 1 }, (_, index) => ({ at: `src/base/f${index}.ts#long`, why: "a table" }));
    const files = many.map(({ at }) => ({ path: at.replace("#long", ""), text }));
    expect(sizesWith(many)(files).length).toBe(1);
    expect(sizesWith(many.slice(1))(files.slice(1)).length).toBe(0);
  });
});

describe("text", () => {
  test("line form", () => {
    const lines = (text: string, path = "src/base/a.ts"): number[] => linesFound(lineForm, path, text);
    expect(lines("a\nb\n")).toEqual([]);
    expect(lines("a\n\tb\n")).toEqual([2]);
    expect(lines("a \nb\n")).toEqual([1]);
    expect(lines("a\r\n")).toEqual([1]);
    expect(lines("a\nb")).toEqual([2]);
    expect(lines("a\n\n")).toEqual([3]);
    expect(lines("")).toEqual([1]);
    expect(lines(`${"a".repeat(160)}\n`)).toEqual([]);
    expect(lines(`${"a".repeat(161)}\n`)).toEqual([1]);
    expect(lines(`${"a".repeat(161)}\n`, "docs/a.md")).toEqual([]);
    expect(lines("a \n", "tests/unit/fixtures/a.yaml")).toEqual([]);
    expect(lines("a \n", ".ci/setup")).toEqual([1]);
  });

  test("markers in comments, not in strings and not as the name of a state", () => {
    const marks = (text: string): number[] => linesFound(noMarkers, "src/base/a.ts", text);
    expect(marks(`// TODO later\n`)).toEqual([1]);
    expect(marks(`a(); // see TODO: later\n`)).toEqual([1]);
    expect(marks(`/**\n * TODO(me)\n */\na();\n`)).toEqual([1]);
    expect(marks(`// FIXME later\n`)).toEqual([1]);
    expect(marks(`// Promoting moves NEW to TODO.\nconst a = "TODO"; const b = /\\/\\/ x/;\n`)).toEqual([]);
  });

  test("source files open with a comment of one to four lines", () => {
    const opens = (text: string, path = "src/base/a.ts"): number => count(headerComment, path, text);
    expect(opens("// Owns a.\nexport {};\n")).toBe(0);
    expect(opens("/* Owns a. */\nexport {};\n")).toBe(0);
    expect(opens("#!/usr/bin/env bun\n// Owns a.\nexport {};\n")).toBe(0);
    expect(opens("// Owns a.\n\n/** B.\n * C.\n * D.\n * E. */\nexport {};\n")).toBe(0);
    expect(opens("export {};\n// Owns a.\n")).toBe(1);
    expect(opens(`${"// Owns a.\n".repeat(5)}export {};\n`)).toBe(1);
    expect(opens("export {};\n", "src/base/index.ts")).toBe(0);
  });

  test("names of files and folders", () => {
    expect(count(names, "src/base/utils.ts", "")).toBe(1);
    expect(count(names, "src/secrets/secret-manager.ts", "")).toBe(1);
    expect(count(names, "tests/helpers/a.ts", "")).toBe(1);
    expect(count(names, "src/base/someName.ts", "")).toBe(1);
    expect(count(names, "src/engine/task-run.ts", "")).toBe(0);
    expect(count(names, "tests/unit/task-run.test.ts", "")).toBe(0);
    expect(count(names, ".ci/suites.ts", "")).toBe(0);
  });
});

describe("whole repository", () => {
  test("dead exports", () => {
    const a = { path: "src/base/a.ts", text: "export const a = 1;\nexport function b() { return a; }\nexport type C = 1;\n" };
    const user = { path: "src/model/b.ts", text: 'import { b } from "../base/index.ts";\nb();\n' };
    const index = { path: "src/base/index.ts", text: 'export { a, b } from "./a.ts";\n' };
    expect(deadExports([a, user, index]).map((one) => one.line)).toEqual([1]);
    expect(deadExports([a, index]).length).toBe(2);
    expect(deadExports([{ path: "src/sdk/a.ts", text: "export const a = 1;\n" }])).toEqual([]);
  });

  test("codes are unique, upper case and documented", () => {
    const errors = (text: string): { path: string; text: string } => ({
      path: "src/base/errors.ts",
      text: `export const errorCodes = { ${text} } as const;`,
    });
    const diagnostic = { path: "src/model/diagnostic.ts", text: "export const diagnosticCodes = { CYCLE: 1 } as const satisfies X;" };
    const pages = [
      { path: "docs/reference/errors.md", text: "`USAGE` `lower` `CYCLE`" },
      { path: "docs/reference/diagnostics.md", text: "`CYCLE`" },
    ];
    const found = (text: string): number => codes([errors(text), diagnostic, ...pages]).length;
    expect(found("USAGE: 1")).toBe(0);
    expect(found("USAGE: 1, USAGE: 2")).toBe(1);
    expect(found("lower: 1")).toBe(1);
    expect(found("CYCLE: 1")).toBe(1);
    expect(found("USAGE_MORE: 1")).toBe(1);
    expect(found("")).toBe(1);
  });

  test("generated documents", () => {
    const rule = freshWith([{ path: "docs/a.md", text: "new\n" }]);
    expect(count(rule, "docs/a.md", "new\n")).toBe(0);
    expect(count(rule, "docs/a.md", "old\n")).toBe(1);
    expect(rule([]).length).toBe(1);
  });

  test("a lock without one of its optional packages, and one that names a registry", () => {
    const locked = (packages: object): number => count(lock, "package-lock.json", JSON.stringify({ packages }));
    const tool = { optionalDependencies: { "tool-linux": "1.0.0", "tool-darwin": "1.0.0" } };
    const both = { "node_modules/tool-linux": {}, "node_modules/tool/node_modules/tool-darwin": {} };
    expect(locked({ "": { dependencies: { tool: "1.0.0" } }, "node_modules/tool": tool, ...both })).toBe(0);
    expect(locked({ "node_modules/tool": tool, "node_modules/tool-linux": {} })).toBe(1);
    expect(locked({ "": { dependencies: { tool: "1.0.0" } } })).toBe(1);
    expect(locked({ "node_modules/tool": { resolved: "https://example.com/tool.tgz" } })).toBe(1);
  });

  test("links", () => {
    const broken = (text: string): number[] =>
      links([
        { path: "docs/a.md", text },
        { path: "docs/b/c.md", text: "" },
      ]).map((one) => one.line);
    expect(broken("[c](b/c.md) [c](b/c.md#part) [b](b/) [x](https://example.com) [a](#part)\n")).toEqual([]);
    expect(broken("\n[gone](gone.md)\n")).toEqual([2]);
    expect(broken("[up](../README.md)\n[ref]: gone.md\n")).toEqual([1, 2]);
    expect(broken("```\n[gone](gone.md)\n```\n`[gone](gone.md)`\n")).toEqual([]);
  });
});
