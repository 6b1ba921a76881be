// Evaluation: what templates give, how numbers behave, and that no expression can take the engine with it.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { isCoded, type Json, type JsonObject } from "../../../src/base/index.ts";
import { createTemplate, type Scope } from "../../../src/workflow/index.ts";
import { createCondition } from "../../../src/workflow/expression/template.ts";
import { cpuMs } from "./check-source.ts";

const many = Array.from({ length: 2000 }, (_, index) => index);

const scope: Scope = {
  roots: {
    inputs: {
      day: "2024-05-06",
      n: 3,
      big: 9007199254740991,
      f: 2.5,
      none: null,
      list: [1, 2.5, "x"],
      o: { a: { b: [{ c: 7 }] } },
      constructor: 5,
      many,
      huge: "a".repeat(1 << 20),
    },
    vars: { base: "https://x" },
    tasks: {
      fetch: { output: { items: [{ path: "p1" }, { path: "p2" }], constructor: { x: 1 } }, state: "SUCCESS", error: null },
      "a-b": { output: 1 },
    },
    execution: { id: "e", started_at: "2024-05-06T07:08:09.123Z" },
    item: [1],
    index: 0,
  },
  status: { success: false, failure: true },
};

function run(text: string, given: Scope = scope): Json {
  return createTemplate(text).evaluate(given);
}

function codeOf(action: () => unknown): string {
  try {
    return `no error: ${JSON.stringify(action())?.slice(0, 100)}`;
  } catch (thrown) {
    return isCoded(thrown) ? thrown.code : String(thrown);
  }
}

describe("templates", () => {
  const values: [string, Json][] = [
    ["{{ inputs.n }}", 3],
    [" {{ inputs.n }}", " 3"],
    ["{{ inputs.n }}\n", "3\n"],
    ["{{ inputs.list }}", [1, 2.5, "x"]],
    ["{{ inputs.none }}", null],
    ["n={{ inputs.n }} f={{inputs.f}} {{ inputs.o }} {{ inputs.none }} {{ true }}", 'n=3 f=2.5 {"a":{"b":[{"c":7}]}} null true'],
    ["{{ inputs.n }}{{ inputs.n }}", "33"],
    ["\\{{ inputs.n }} {{ inputs.n }}", "{{ inputs.n }} 3"],
    ["{{ '{{ inputs.n }}' }}", "{{ inputs.n }}"],
    ["{{ {'a': {'b': 1}} }}", { a: { b: 1 } }],
    ["{{ '}}' + \"'}}\" }}", "}}'}}"],
    ["{{ r'a\\d}}' }}", "a\\d}}"],
    ["no }} here", "no }} here"],
    ["{{ tasks.fetch.output.items.map(i, i.path) }}", ["p1", "p2"]],
    ['{{ tasks["a-b"].output + 1 }}', 2],
    ["{{ inputs.o.a.b[0].c }}", 7],
    ["{{ inputs.o['a'].b[0].c + 1 }}", 8],
    ["{{ tasks.fetch.output.constructor.x }}", 1],
    ["{{ inputs.constructor + 1 }}", 6],
    ["{{ has(inputs.nope) || has(tasks.fetch.output.items) }}", true],
    ["{{ vars.base + '/?d=' + inputs.day.substring(0, 4) + string(inputs.n) }}", "https://x/?d=20243"],
    ["{{ inputs.many.filter(i, i > 1997).map(i, {'i': i}) }}", [{ i: 1998 }, { i: 1999 }]],
    ["{{ inputs.list == [1, 2.5, 'x'] && inputs.o == {'a': {'b': [{'c': 7.0}]}} && inputs.none == null && inputs.n != 'x' }}", true],
    ["{{ 2.5 in inputs.list && 'n' in inputs && !('zz' in inputs) && inputs.n in [1.0, 3.0] }}", true],
    ["{{ [2 in [2.0], 2.0 in [1, 2], 2.5 in [2], -1 in [-1.0, 3]] }}", [true, true, false, true]],
    ["{{ [size('ab') in [2.0], [1, 2].exists(i, i in [2.0])] }}", [true, true]],
    ["{{ success() }}{{ failure() }}{{ always() }}", "falsetruetrue"],
    ["{{ [inputs.n] + ['a'] }}", [3, "a"]],
    ["{{ b'abc' }}", "YWJj"],
  ];
  test.each(values)("%s", (text, value) => {
    expect(run(text)).toEqual(value);
  });

  test("values inside lists and maps; keys and other types stay", () => {
    const value = { "{{ k }}": ["{{ inputs.n }}", { deep: "x{{ inputs.n }}" }], n: 1, __own: null };
    expect(createTemplate(value).evaluate(scope)).toEqual({ "{{ k }}": [3, { deep: "x3" }], n: 1, __own: null });
    expect(createTemplate(value).evaluate(scope)).not.toBe(value);
    const plain = { a: [1] };
    expect(createTemplate(plain).evaluate(scope)).toBe(plain);
  });

  test("a member called __proto__ is data", () => {
    const given = JSON.parse('{"__proto__":{"x":"{{ inputs.n }}"},"y":"{{ inputs.o }}"}') as JsonObject;
    const out = createTemplate(given).evaluate({
      roots: { inputs: { n: 1, o: JSON.parse('{"__proto__":{"z":2}}') as JsonObject } },
      status: scope.status,
    }) as JsonObject;
    expect(JSON.stringify(out)).toBe('{"__proto__":{"x":1},"y":{"__proto__":{"z":2}}}');
    expect((out as Record<string, unknown>)["z"]).toBeUndefined();
    expect(run("{{ [inputs.o].map(x, x) }}", { roots: { inputs: { o: given } }, status: scope.status })).toEqual([given]);
  });

  test("[WF-23] a string that is one template keeps the raw type, whatever the value", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }).filter(isIJson), (value) => {
        const given: Scope = { roots: { inputs: { v: value as Json } }, status: scope.status };
        expect(run("{{ inputs.v }}", given)).toEqual(value as Json);
        // The way through CEL's own values gives the same.
        expect(run("{{ [inputs.v][0] }}", given)).toEqual(zeroed(value) as Json);
      }),
    );
  });

  test("[WF-23] dotted paths reach tasks.<id>.output at any depth", () => {
    const key = fc
      .stringMatching(/^[a-z][a-z0-9]{0,5}$/)
      .filter((word) => !["in", "as", "if", "for", "let", "var", "void", "else", "loop", "true", "null"].includes(word));
    fc.assert(
      fc.property(fc.array(key, { maxLength: 6 }), fc.integer(), (path, leaf) => {
        const output = path.reduceRight<Json>((inner, name) => ({ [name]: inner }), leaf);
        const given: Scope = { roots: { tasks: { t: { output } } }, status: scope.status };
        const dotted = ["tasks", "t", "output", ...path].join(".");
        expect(run(`{{ ${dotted} }}`, given)).toBe(leaf);
        expect(run(`{{ ${dotted} == ${leaf} ? "x" + string(${dotted}) : "" }}`, given)).toBe(`x${leaf}`);
        expect(codeOf(() => run(`{{ ${dotted}.more }}`, given))).toBe("EXPRESSION_ERROR");
      }),
      { numRuns: 60 },
    );
  });

  test("a value is never scanned again", () => {
    const given: Scope = { roots: { inputs: { v: "{{ inputs.w }}", w: "secret" } }, status: scope.status };
    expect(run("{{ inputs.v }}", given)).toBe("{{ inputs.w }}");
    expect(run("a {{ inputs.v }}", given)).toBe("a {{ inputs.w }}");
  });

  test("only what an expression names is read from tasks", () => {
    const read: string[] = [];
    const tasks = new Proxy(
      { a: { output: 1 }, b: { output: 2 } },
      {
        get: (target, key) => {
          read.push(String(key));
          return Reflect.get(target, key) as unknown;
        },
      },
    );
    expect(run("{{ tasks.a.output + 1 }}", { roots: { tasks }, status: scope.status })).toBe(2);
    expect(new Set(read)).toEqual(new Set(["a"]));
  });

  test("the containers of a scope may change between evaluations", () => {
    const tasks: Record<string, { state: string; output: Json }> = { a: { state: "RUNNING", output: null } };
    const template = createTemplate("{{ tasks.a.state + '!' }}");
    const given: Scope = { roots: { tasks }, status: scope.status };
    expect(template.evaluate(given)).toBe("RUNNING!");
    tasks["a"] = { state: "SUCCESS", output: 1 };
    expect(template.evaluate(given)).toBe("SUCCESS!");
    if (tasks["a"] !== undefined) tasks["a"].state = "FAILED";
    expect(template.evaluate(given)).toBe("FAILED!");
  });
});

function isIJson(value: unknown): boolean {
  if (typeof value === "number") return Number.isSafeInteger(value) || !Number.isInteger(value);
  return typeof value !== "object" || value === null || Object.values(value).every(isIJson);
}

/** JSON has one zero; JavaScript's `toEqual` tells two apart. */
function zeroed(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (_key, member: unknown) => member);
}

describe("numbers and times", () => {
  const values: [string, Json][] = [
    ["{{ inputs.n + inputs.f }}", 5.5],
    ["{{ inputs.f * 2 }}", 5],
    ["{{ 7 / 2 }}", 3],
    ["{{ 7 / 2.0 }}", 3.5],
    ["{{ 7.0 / 2 }}", 3.5],
    ["{{ 1 - 0.5 }}", 0.5],
    ["{{ 1 == 1.0 && 1.0 == 1 && 1 < 1.5 && 2.5 >= 2 && inputs.n < inputs.f + 1 && inputs.n == 3.0 }}", true],
    ["{{ inputs.big }}", 9007199254740991],
    ["{{ inputs.big - 1 + 1 }}", 9007199254740991],
    ["{{ (inputs.big + 1) - 1 }}", 9007199254740991],
    ["{{ string(inputs.big + 1) }}", "9007199254740992"],
    ["{{ int('42') + int(2.9) }}", 44],
    ["{{ double('0.1') }}", 0.1],
    ["{{ -inputs.f }}", -2.5],
    ["{{ 5u + 3u }}", 8],
    ["{{ 7 % 3 }}", 1],
    ["{{ timestamp(execution.started_at) }}", "2024-05-06T07:08:09.123Z"],
    ["{{ string(timestamp('2024-05-06T09:08:09+02:00')) }}", "2024-05-06T07:08:09.000Z"],
    ["{{ timestamp(execution.started_at) + duration('90m') }}", "2024-05-06T08:38:09.123Z"],
    ["{{ timestamp('2024-01-01T00:00:00Z') < timestamp(execution.started_at) }}", true],
    ["{{ timestamp('2024-07-01T23:30:00Z').getHours('Europe/Paris') }}", 1],
    ["{{ timestamp('2024-07-01T23:30:00Z').getDayOfYear() }}", 182],
    ["{{ timestamp('2024-07-01T23:30:00Z').getDayOfWeek('Asia/Tokyo') }}", 2],
    ["{{ duration('1h') }}", "3600s"],
  ];
  test.each(values)("%s", (text, value) => {
    expect(run(text)).toEqual(value);
  });

  test.each([
    "{{ inputs.big + 1 }}",
    "{{ -inputs.big - 1 }}",
    "{{ [1, inputs.big + 1] }}",
    "{{ inputs.n / 0 }}",
    "{{ 1.0 / 0.0 }}",
    "{{ double('nan') }}",
    "{{ 9223372036854775807 + 1 }}",
    "{{ 1e300 }}",
    "{{ timestamp('2024-02-30T00:00:00Z') }}",
    "{{ timestamp('May 6 2024 10:00 PDT') }}",
  ])("%s is an error", (text) => {
    expect(codeOf(() => run(text))).toBe("EXPRESSION_ERROR");
  });

  test("arithmetic of safe integers is exact, or an error", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.maxSafeInteger(), fc.constantFrom("+", "-", "*"), (a, b, sign) => {
        const exact = { "+": BigInt(a) + BigInt(b), "-": BigInt(a) - BigInt(b), "*": BigInt(a) * BigInt(b) }[sign];
        const fits = exact >= BigInt(Number.MIN_SAFE_INTEGER) && exact <= BigInt(Number.MAX_SAFE_INTEGER);
        const given: Scope = { roots: { inputs: { a, b } }, status: scope.status };
        if (fits) expect(run(`{{ inputs.a ${sign} inputs.b }}`, given)).toBe(Number(exact) + 0);
        else expect(codeOf(() => run(`{{ inputs.a ${sign} inputs.b }}`, given))).toBe("EXPRESSION_ERROR");
      }),
    );
  });
});

describe("errors and bounds", () => {
  test.each([
    "{{ inputs.nope }}",
    "{{ inputs.n.x }}",
    "{{ inputs.list[9] }}",
    "{{ inputs.list[-1] }}",
    "{{ tasks.later.output }}",
    "{{ matrix.a }}",
    "{{ inputs.none.x + 1 }}",
    "{{ inputs.day + 1 }}",
    "{{ size(inputs.none) }}",
    "{{ inputs['__proto__'] }}",
    "{{ inputs.toString }}",
    "{{ int }}",
    "{{ cel.bind(x, 1, x) }}",
    "{{ nope }}",
    "{{ 1 + }}",
    "{{ 'x'.matches('(') }}",
    "{{ 'x'.matches('(?=x)') }}",
  ])("%s", (text) => {
    expect(codeOf(() => run(text))).toBe("EXPRESSION_ERROR");
  });

  test("the error names the expression and its cause", () => {
    try {
      run("a {{ inputs.nope }}");
      expect.unreachable();
    } catch (thrown) {
      expect(isCoded(thrown, "EXPRESSION_ERROR") && thrown.details).toMatchObject({ expression: "inputs.nope" });
      expect(String(thrown)).toContain("nope");
    }
  });

  const doubling = (step: string, times: number): string => `.map(x, ${step})`.repeat(times);
  const hostile: [string, string][] = [
    ["nested macros", "{{ inputs.many.all(a, inputs.many.all(b, inputs.many.all(c, true))) }}"],
    ["nested macros whose failure is swallowed", "{{ inputs.many.exists(a, inputs.many.exists(b, inputs.many.exists(c, false))) || true }}"],
    ["a text that doubles", `{{ ['aaaaaaaa']${doubling("x + x", 40)}.size() }}`],
    ["a list that doubles", `{{ [[1, 1]]${doubling("x + x", 40)}.size() }}`],
    ["a value that is shared many times over", `{{ [[1, 1]]${doubling("[x, x]", 40)} }}`],
    ["a comparison of such values", `{{ [[1, 1]]${doubling("[x, x]", 30)} == [[1, 1]]${doubling("[x, x]", 30)} }}`],
    ["membership of such a value", `{{ [[1, 1]]${doubling("[x, x]", 30)} in [[[1, 1]]${doubling("[x, x]", 30)}] }}`],
    ["long work in every round", "{{ inputs.many.map(x, inputs.huge.size()) }}"],
    ["comparisons of long texts in every round", "{{ inputs.many.map(x, inputs.many.map(y, inputs.huge + 'a' == inputs.huge + 'b')) }}"],
    ["a joined text", "{{ inputs.many.map(x, inputs.huge).join() }}"],
    ["splits in every round", "{{ inputs.many.map(x, inputs.huge.split('').size()) }}"],
    ["a pattern over much text", "{{ inputs.many.map(x, inputs.huge.matches('(a|b|ab)*c')) }}"],
    ["nesting of brackets", `{{ ${"(".repeat(20_000)}1${")".repeat(20_000)} }}`],
    ["a chain of signs", `{{ ${"!".repeat(60_000)}true }}`],
    ["a long sum", `{{ 1${"+1".repeat(30_000)} }}`],
    ["a long text", `{{ '${"a".repeat(70_000)}' }}`],
  ];
  test.each(hostile)(
    "%s ends in time",
    (_name, text) => {
      expect(cpuMs(() => expect(codeOf(() => run(text))).toBe("EXPRESSION_ERROR"))).toBeLessThan(1500);
    },
    30_000,
  );

  test("after a hostile expression others work", () => {
    expect(codeOf(() => run("{{ inputs.many.all(a, inputs.many.all(b, inputs.many.all(c, true))) }}"))).toBe("EXPRESSION_ERROR");
    expect(run("{{ inputs.many.map(x, x + 1).size() }}")).toBe(2000);
  });

  test("patterns take linear time", () => {
    const spent = cpuMs(() => {
      expect(run("{{ inputs.day.matches('^([0-9]+)*x$') }}")).toBe(false);
      expect(run(`{{ '${"a".repeat(5000)}!'.matches('^(a+)+$') }}`)).toBe(false);
    });
    expect(spent).toBeLessThan(1500);
  });

  test("no text makes evaluation throw anything but EXPRESSION_ERROR, and twice gives the same", () => {
    const piece = fc.constantFrom(
      "inputs",
      ".n",
      ".list",
      "[0]",
      "+",
      "-",
      "==",
      "&&",
      "||",
      "!",
      "?",
      ":",
      "(",
      ")",
      "[",
      "]",
      "{",
      "}",
      "'",
      '"',
      "1",
      "2.5",
      "true",
      "null",
      "size",
      ".map(x, x)",
      ".all(x, true)",
      " in ",
      "x",
      ",",
      "has",
      "dyn(",
      "type(",
      "success()",
      "\\",
      "//",
      "\n",
      "string(",
      "timestamp(",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = `{{ ${pieces.join("")} }}`;
        const once = codeOf(() => run(text));
        expect(once.startsWith("no error") || once === "EXPRESSION_ERROR").toBe(true);
        expect(codeOf(() => run(text))).toBe(once);
      }),
      { numRuns: 1500 },
    );
  }, 30_000);
});

describe("conditions", () => {
  test("with and without braces", () => {
    expect(createCondition("{{ inputs.n > 2 }}").evaluate(scope)).toBe(true);
    expect(createCondition("inputs.n > 5 || failure()").evaluate(scope)).toBe(true);
    expect(createCondition("inputs.n > 5").evaluate(scope)).toBe(false);
  });

  test("whether a status function is called", () => {
    expect(createCondition("{{ always() && inputs.n > 2 }}").callsStatus).toBe(true);
    expect(createCondition("[1].exists(x, failure())").callsStatus).toBe(true);
    expect(createCondition("{{ inputs.success == 'always()' }}").callsStatus).toBe(false);
  });

  test("anything but true or false is an error", () => {
    for (const text of ["{{ inputs.n }}", "inputs.none", "{{ inputs.nope }}"])
      expect(codeOf(() => createCondition(text).evaluate(scope))).toBe("EXPRESSION_ERROR");
  });
});
