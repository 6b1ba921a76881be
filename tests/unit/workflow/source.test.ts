// From bytes to the raw tree: bounds on hostile documents, JSON, and places inside scalars of every style.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { limits } from "../../../src/base/index.ts";
import { check, cpuMs, definitionOf, findings, withTask } from "./check-source.ts";

function firstCode(source: string | Uint8Array): string | undefined {
  return check(source).diagnostics.find((found) => found.severity === "error")?.code;
}

describe("bounds", () => {
  const laughs = `a: &a [${'"lol",'.repeat(9)}]\n${[..."bcdefghij"].map((name, index) => `${name}: &${name} [${`*${"abcdefghij"[index]},`.repeat(9)}]`).join("\n")}`;
  const hostile: [string, string][] = [
    ["flow lists in flow lists", "[".repeat(200_000)],
    ["maps in maps", "{a: ".repeat(200_000)],
    ["lists in lists on one line", "- ".repeat(200_000)],
    ["explicit keys in explicit keys", "? ".repeat(200_000)],
    ["a ladder of indentation", Array.from({ length: 100 }, (_, depth) => `${" ".repeat(depth)}a:`).join("\n")],
    ["a billion laughs", laughs],
    [
      "a billion laughs through merge keys",
      `a0: &a0 { k: ${"[1,2,3,4,5,6,7,8,9]"} }\n${Array.from({ length: 12 }, (_, level) => `a${level + 1}: &a${level + 1} { ${Array.from({ length: 9 }, (_, key) => `k${key}: { <<: *a${level} }`).join(", ")} }`).join("\n")}`,
    ],
    ["thousands of aliases", `a: &a 1\nb: [${"*a,".repeat(5000)}]`],
    ["more tokens than any workflow", `a: [${"1,".repeat(300_000)}]`],
    ["an anchor around its own alias, in a key", "&a { *a : 1 }"],
    ["a file that is too large", `# ${"x".repeat(limits.workflowBytesMax)}`],
  ];
  test.each(hostile)(
    "%s",
    (_name, source) => {
      expect(cpuMs(() => expect(firstCode(source)).toBe("YAML_LIMIT"))).toBeLessThan(4000);
    },
    30_000,
  );

  test("fifty thousand keys in one map are no quadratic work", () => {
    const source = Array.from({ length: 50_000 }, (_, index) => `a${index}: 1`).join("\n");
    expect(cpuMs(() => expect(firstCode(source)).toBe("UNKNOWN_KEY"))).toBeLessThan(4000);
  }, 30_000);

  test("findings are cut at the limit, errors before warnings", () => {
    const tasks = Array.from({ length: 300 }, (_, index) => `  - { id: t${index}, type: acme/x.y }`).join("\n");
    const { diagnostics } = check(`id: w\ntasks:\n${tasks}\nfoo: 1\n`);
    expect(diagnostics.length).toBe(limits.diagnosticsMax);
    expect(diagnostics.at(-1)?.code).toBe("UNKNOWN_KEY");
  });

  test("more tasks than the limit", () => {
    const tasks = Array.from({ length: limits.tasksMax }, (_, index) => `  - { id: t${index}, run: x }`).join("\n");
    expect(findings(`id: w\ntasks:\n${tasks}\n`)).toEqual([]);
    expect(findings(`id: w\ntasks:\n${tasks}\nfinally: [{ id: z, run: x }]\n`)).toEqual([`BAD_VALUE finally[0] ${limits.tasksMax + 3}:11`]);
  });

  test("no text makes it throw, and every place is inside the text", () => {
    const piece = fc.oneof(
      fc.constantFrom(
        "id: w\n",
        "tasks:\n",
        "  - id: a\n",
        "    run: x\n",
        "{{",
        "}}",
        "'",
        '"',
        "&a ",
        "*a ",
        "<<: ",
        "[",
        "]",
        "{",
        "}",
        "|\n",
        ">-\n",
        "\\u0041",
        "# c\n",
        "? ",
        ": ",
        "- ",
        "\t",
        "\r\n",
        "!x ",
      ),
      fc.string({ maxLength: 6 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const source = pieces.join("");
        const { definition, diagnostics } = check(source);
        expect(definition === null).toBe(diagnostics.some((found) => found.severity === "error"));
        const lines = source.split("\n");
        for (const { line, column } of diagnostics) {
          expect(line).toBeLessThanOrEqual(lines.length);
          expect(column).toBeLessThanOrEqual((lines[line - 1] ?? "").length + 1);
        }
      }),
      { numRuns: 300 },
    );
  }, 30_000);
});

describe("forms of text", () => {
  test("bytes that are not UTF-8, and control characters", () => {
    expect(findings(new Uint8Array([0x69, 0x64, 0x3a, 0xff]))).toEqual(["YAML_SYNTAX - 1:1"]);
    expect(findings("id: w\nname: a\u0007b\n")).toEqual(["YAML_SYNTAX - 2:8"]);
  });

  test("a byte order mark moves no column", () => {
    const bytes = new Uint8Array([0xef, 0xbb, 0xbf, ...new TextEncoder().encode("idd: w\ntasks: []\n")]);
    expect(findings(bytes)).toEqual(["MISSING_KEY id 1:1", "UNKNOWN_KEY idd 1:1", "BAD_VALUE tasks 2:8"]);
  });

  test("JSON is a source too, with places and tabs", () => {
    const source = JSON.stringify({ id: "w", tasks: [{ id: "a", run: "x", env: { A: '{{ "q" + inputs.x }}' } }] }, null, "\t");
    expect(findings(source)).toEqual([`EXPR_UNKNOWN_ROOT tasks[0].env.A 8:${'\t\t\t\t"A": "{{ \\"q\\" + '.length + 1}`]);
  });

  test("lines end with LF or CRLF alike", () => {
    const source = "id: w\ntasks:\n  - id: a\n    run: x\n    foo: 1\n    env:\n      A: |\n        one\n        {{ nope }}\n";
    expect(findings(source.replaceAll("\n", "\r\n"))).toEqual(findings(source));
  });

  test("keys that JavaScript treats specially are ordinary", () => {
    expect(findings("__proto__: 1\nconstructor: 2\nid: w\ntasks:\n  - { id: __proto__, run: x }\n")).toEqual([
      "UNKNOWN_KEY __proto__ 1:1",
      "UNKNOWN_KEY constructor 2:1",
      "BAD_VALUE tasks[0].id 5:11",
    ]);
    const { vars, labels } = definitionOf(withTask("vars: { __proto__: { polluted: 1 }, constructor: 2 }\nlabels: { __proto__: a }\n"));
    expect(Object.keys(vars)).toEqual(["__proto__", "constructor"]);
    expect(Object.keys(labels)).toEqual(["__proto__"]);
    expect(Object.getPrototypeOf(vars)).toBe(Object.prototype);
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });

  test("aliases and merge keys give values, own members win", () => {
    const { tasks } = definitionOf(
      "id: w\nvars: { base: &base { a: 1, b: 2 } }\ntasks:\n  - { id: a, type: core/value.set, inputs: { <<: *base, b: 3 } }\n  - { id: b, type: core/value.set, inputs: { v: *base } }\n",
    );
    expect(tasks.map((task) => task.inputs)).toEqual([{ b: 3, a: 1 }, { v: { a: 1, b: 2 } }]);
  });

  test("numbers beyond I-JSON are refused where they stand", () => {
    expect(findings(withTask("vars: { a: 9007199254740993, b: .inf, c: 1e300, d: 1.5e-9 }\n"))).toEqual([
      "BAD_VALUE vars.a 2:12",
      "BAD_VALUE vars.b 2:33",
      "BAD_VALUE vars.c 2:42",
    ]);
  });
});

describe("places inside scalars", () => {
  const styles: [string, string][] = [
    ["plain", "v: one {{ nope }}"],
    ["plain over lines", "v: one\n          two {{ nope }}"],
    ["single-quoted", "v: 'it''s {{ nope }}'"],
    ["single-quoted over lines", "v: 'it''s\n\n          so {{ nope }}'"],
    ["double-quoted", 'v: "a\\n\\u0041\\x41\\U0001F600\\t{{ nope }}"'],
    ["double-quoted over lines", 'v: "a\\\n          b\n          c {{ nope }}"'],
    ["literal", "v: |\n          one\n            two\n\n          {{ nope }}"],
    ["literal with an indicator and a comment", "v: |2- # why\n          one {{ nope }}"],
    ["folded", "v: >-\n          one\n          two\n\n          three {{ nope }}"],
    ["inside a flow map", "v: { a: [1, 'x {{ nope }}'] }"],
    ["after characters of two units", "v: '😀😀 {{ nope }}'"],
  ];
  test.each(styles)("%s", (_name, text) => {
    const source = `id: w\ntasks:\n  - id: a\n    type: core/value.set\n    inputs:\n        ${text}\n`;
    const at = source.indexOf("nope");
    const line = source.slice(0, at).split("\n").length;
    const [found] = check(source).diagnostics;
    expect(found).toMatchObject({
      code: "EXPR_UNKNOWN_ROOT",
      line,
      column: at - source.lastIndexOf("\n", at),
      endColumn: at - source.lastIndexOf("\n", at) + 4,
    });
  });

  test("any text in double quotes", () => {
    const unit = fc.constantFrom("a", "é", "😀", "\n", "\t", '"', "\\", " ", "\u00a0", "\u2028");
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 12 }), (units) => {
        const source = `id: w\ntasks:\n  - id: a\n    type: core/value.set\n    inputs: { v: ${JSON.stringify(`${units.join("")} {{ nope }}`)} }\n`;
        const at = source.indexOf("nope");
        const found = check(source).diagnostics.find((one) => one.code === "EXPR_UNKNOWN_ROOT");
        // `\{{` is a literal, so a backslash right before the braces leaves nothing to find; the blank between prevents it.
        expect(found?.column).toBe(at - source.lastIndexOf("\n", at));
      }),
      { numRuns: 200 },
    );
  });
});
