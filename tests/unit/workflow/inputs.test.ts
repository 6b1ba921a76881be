// Inputs of executions against their declaration, and our small schema check against the library that it stands in for.
import { describe, expect, test } from "bun:test";
import { Ajv } from "ajv";
import * as fc from "fast-check";
import { isCoded, type Json, type JsonObject, limits } from "../../../src/base/index.ts";
import { checkInputs, checkSchema, findSchemaProblem, parseInputText } from "../../../src/workflow/index.ts";
import { checkSimple, isSimpleSchema } from "../../../src/workflow/schema/simple-schema.ts";
import { cpuMs, definitionOf, withTask } from "./check-source.ts";

const definition = definitionOf(
  withTask(`inputs:
  - { id: day, type: string, required: true, pattern: "^\\\\d+$", maxLength: 4 }
  - { id: limit, type: integer, default: 100, minimum: 1 }
  - { id: ratio, type: number }
  - { id: on, type: boolean }
  - { id: kind, type: string, enum: [a, b] }
  - { id: tags, type: array, items: { type: string }, uniqueItems: true }
  - { id: o, type: object, properties: { n: { type: integer } }, additionalProperties: false }
  - { id: at, type: string, format: date-time }
`),
);

function found(given: JsonObject): string[] {
  return checkInputs(definition, given).diagnostics.map(({ code, path }) => `${code} ${path}`);
}

function codeAndMessage(action: () => unknown): { code: string; message: string } {
  try {
    action();
  } catch (thrown) {
    if (isCoded(thrown)) return thrown;
  }
  return { code: "none", message: "" };
}

describe("checkInputs", () => {
  test("defaults are filled in, in the order of the declaration", () => {
    expect(checkInputs(definition, { day: "1" })).toEqual({ inputs: { day: "1", limit: 100 }, diagnostics: [] });
    expect(checkInputs(definition, { tags: ["x"], limit: 5, day: "1" }).inputs).toEqual({ day: "1", limit: 5, tags: ["x"] });
  });

  test("everything wrong is found at once", () => {
    const given = { limit: 0, ratio: "1", on: 1, kind: "c", tags: ["a", 1, "a"], o: { n: 1.5, m: 1 }, dya: 1, at: "2024-02-30T00:00:00Z" };
    expect(found(given).toSorted()).toEqual([
      "BAD_VALUE inputs.at",
      "BAD_VALUE inputs.kind",
      "BAD_VALUE inputs.limit",
      "BAD_VALUE inputs.o",
      "BAD_VALUE inputs.tags",
      "MISSING_KEY inputs.day",
      "UNKNOWN_KEY inputs.dya",
      "WRONG_TYPE inputs.o.n",
      "WRONG_TYPE inputs.on",
      "WRONG_TYPE inputs.ratio",
      "WRONG_TYPE inputs.tags[1]",
    ]);
    expect(found({ day: "12345" })).toEqual(["BAD_VALUE inputs.day"]);
    expect(found({ day: "x" })).toEqual(["BAD_VALUE inputs.day"]);
  });

  test("[WF-09] of a sensitive input neither values nor names inside of it are told, whatever is wrong with it", () => {
    const guarded = definitionOf(
      withTask(`inputs:
  - { id: text, type: string, sensitive: true, pattern: "^\\\\d+$", maxLength: 4 }
  - { id: kind, type: string, sensitive: true, enum: [a, b] }
  - { id: count, type: integer, sensitive: true, maximum: 3 }
  - { id: whole, type: object, sensitive: true, properties: { n: { type: integer } }, additionalProperties: false }
  - { id: map, type: object, sensitive: true, additionalProperties: { type: integer } }
  - { id: list, type: array, sensitive: true, items: { type: string }, uniqueItems: true }
`),
    );
    const given = {
      text: "hush-text",
      kind: "hush-kind",
      count: 271828,
      whole: { n: "hush-n", "hush-key": 1, "hush-other": 2 },
      map: { "hush-name": "hush-value" },
      list: ["hush-item", "hush-item", 314159],
    };
    const { diagnostics } = checkInputs(guarded, given);
    expect(diagnostics.map(({ code, path }) => `${code} ${path}`).toSorted()).toEqual([
      "BAD_VALUE inputs.count",
      "BAD_VALUE inputs.kind",
      "BAD_VALUE inputs.list",
      "BAD_VALUE inputs.text",
      "BAD_VALUE inputs.text",
      "BAD_VALUE inputs.whole",
      "WRONG_TYPE inputs.list",
      "WRONG_TYPE inputs.map",
      "WRONG_TYPE inputs.whole",
    ]);
    expect(JSON.stringify(diagnostics)).not.toMatch(/hush|271828|314159/);
    for (const text of ["hush-json", '{"hush":', "[12345678901234567890]"]) {
      const thrown = codeAndMessage(() => parseInputText(guarded, "whole", text));
      expect(thrown.code).toBe("INPUT_INVALID");
      // With everything that an error may carry: the parser's own words quote the text.
      expect(Bun.inspect(thrown)).not.toMatch(/hush|1234567890/);
    }
  });

  test("messages hold no values, which may be secret", () => {
    const { diagnostics } = checkInputs(definition, { day: "topsecret", kind: "topsecret" });
    expect(diagnostics.length).toBe(3);
    expect(JSON.stringify(diagnostics)).not.toContain("topsecret");
  });

  test("__proto__ is an undeclared input like any other", () => {
    expect(found(JSON.parse('{"day":"1","__proto__":{"limit":2}}') as JsonObject)).toEqual(["UNKNOWN_KEY inputs.__proto__"]);
  });

  test("inputs beyond the limit", () => {
    expect(found({ day: "1".repeat(limits.inputBytesMax) })).toEqual(["BAD_VALUE inputs"]);
  });

  test("uniqueItems is no quadratic work", () => {
    const tags = Array.from({ length: 100_000 }, (_, index) => `t${index}`);
    expect(cpuMs(() => expect(found({ day: "1", tags })).toEqual([]))).toBeLessThan(4000);
  }, 30_000);
});

describe("parseInputText", () => {
  test("text for strings, JSON for the others", () => {
    expect(parseInputText(definition, "day", "12")).toBe("12");
    expect(parseInputText(definition, "limit", "12")).toBe(12);
    expect(parseInputText(definition, "tags", '["a"]')).toEqual(["a"]);
    expect(parseInputText(definition, "on", "true")).toBe(true);
  });

  test.each([
    ["dya", "1"],
    ["limit", "x"],
    ["o", "{"],
  ])("%s=%s is refused", (key, text) => {
    try {
      parseInputText(definition, key, text);
      expect.unreachable();
    } catch (thrown) {
      expect(isCoded(thrown, "INPUT_INVALID")).toBe(true);
    }
  });
});

describe("parseInputText of numbers", () => {
  const given = [
    ["ratio", "12345678901234567890"],
    ["o", '{"n":[1e400]}'],
    ["tags", `${"[".repeat(300)}${"]".repeat(300)}`],
  ] as const;
  test.each(given)("%s=%s is refused for what it is", (key, text) => {
    const wrong = codeAndMessage(() => parseInputText(definition, key, text));
    expect(wrong.code).toBe("INPUT_INVALID");
    // Its text is JSON, which the message must not deny; and values stand in no message.
    expect(wrong.message).not.toContain("not JSON");
    expect(wrong.message).not.toContain("1234");
  });
});

describe("schemas", () => {
  test("each pattern is its own, also in schemas that are not simple", () => {
    const schema = (pattern: string): JsonObject => ({ type: "object", properties: { v: { anyOf: [{ type: "string", pattern }] } } });
    const isGood = (pattern: string, v: string) => checkSchema(schema(pattern), { v }).length === 0;
    expect([isGood("^a+$", "aa"), isGood("^b+$", "bb"), isGood("^b+$", "aa"), isGood("^a+$", "bb")]).toEqual([true, true, false, false]);
  });

  test("what cannot be used is said, and never loaded from elsewhere", () => {
    expect(findSchemaProblem({ type: "nope" })).not.toBeNull();
    expect(findSchemaProblem({ type: "string", pattern: "(" })).not.toBeNull();
    expect(findSchemaProblem({ $ref: "https://example.com/schema" })).not.toBeNull();
    expect(findSchemaProblem({ $async: true, type: "string" })).not.toBeNull();
    expect(findSchemaProblem({ type: "object", patternProperties: { "^a": { type: "string" } } })).toBeNull();
  });

  test.each([
    ["date-time", "2024-05-06T07:08:09Z", "2024-02-30T00:00:00Z"],
    ["date", "2024-05-06", "2024-02-30"],
    ["uuid", "018f4e3c-0000-7000-8000-000000000000", "018f"],
    ["uri", "https://a/b", "a b"],
    ["email", "a@b.c", "a b@c"],
  ])("format %s", (format, good, bad) => {
    expect(checkSchema({ type: "string", format }, good)).toEqual([]);
    expect(checkSchema({ type: "string", format }, bad).map((one) => one.keyword)).toEqual(["format"]);
    // With a keyword that only the library knows, it is the library that checks the form.
    expect(checkSchema({ type: "string", format, not: { const: "x" } }, bad).map((one) => one.keyword)).toEqual(["format"]);
  });

  test("a schema that never ends is a finding", () => {
    expect(checkSchema({ $ref: "#" }, 1).length).toBe(1);
  });

  test("our check of simple schemas and ajv agree", () => {
    const leaf: fc.Arbitrary<JsonObject> = fc.oneof(
      fc.constant({}),
      fc.record({ type: fc.constantFrom<Json>("string", "integer", "number", "boolean", "null", ["string", "null"]) }),
      fc.record({
        type: fc.constant("string"),
        minLength: fc.nat(3),
        maxLength: fc.integer({ min: 2, max: 5 }),
        pattern: fc.constantFrom("^a", "b$", "."),
      }),
      fc.record({
        type: fc.constantFrom("integer", "number"),
        minimum: fc.integer({ min: -3, max: 3 }),
        exclusiveMaximum: fc.integer({ min: 0, max: 6 }),
      }),
      fc.record({ enum: fc.uniqueArray(fc.constantFrom<Json>("a", "b", 1, 2.5, null, true), { minLength: 1 }) }),
    );
    const schema = fc.oneof(
      leaf,
      fc.record({ type: fc.constant("array"), items: leaf, minItems: fc.nat(2), maxItems: fc.integer({ min: 1, max: 3 }) }),
      fc.record({
        type: fc.constant("object"),
        properties: fc.dictionary(fc.constantFrom("a", "b"), leaf),
        required: fc.uniqueArray(fc.constantFrom("a", "c")),
        additionalProperties: fc.oneof(fc.boolean(), leaf),
      }),
    );
    const scalar = fc.constantFrom<Json>("", "a", "ab", "😀b", 0, 1, 2.5, -1, 5, true, null);
    const value = fc.oneof(scalar, fc.array(scalar, { maxLength: 4 }), fc.dictionary(fc.constantFrom("a", "b", "c"), scalar));
    const ajv = new Ajv({ allErrors: true, strict: false });
    fc.assert(
      fc.property(schema, value, (one, given) => {
        expect(isSimpleSchema(one)).toBe(true);
        const places = checkSimple(one, given).map(({ keys, keyword }) => `${keys.join("/")} ${keyword}`);
        const validate = ajv.compile(one);
        validate(given);
        const theirs = (validate.errors ?? []).map((error) => `${error.instancePath.slice(1)} ${error.keyword}`);
        expect(places.toSorted()).toEqual(theirs.toSorted());
      }),
      { numRuns: 300 },
    );
  }, 60_000);
});
