// core/json.transform: CEL over a value, with positions in what goes wrong.
import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { transformJson } from "../../../src/actions/json/transform.ts";
import type { Json, JsonObject } from "../../../src/base/index.ts";
import { findCoreAction } from "../../../src/model/index.ts";
import { directContext, rejection } from "./direct-context.ts";

const context = directContext();
const transform = (input: JsonObject) => transformJson(input, context);
const evaluate = async (expression: string, input: Json = null) => (await transform({ input, expression }))["result"];

describe("values", () => {
  test("members, macros, literals and numbers of both kinds", async () => {
    const orders = {
      items: [
        { id: 1, price: 2.5, n: 2 },
        { id: 2, price: 10, n: 1 },
      ],
      constructor: "own",
    };
    expect(await evaluate("input.items.filter(i, i.price * i.n > 4.0).map(i, {'id': i.id, 'sum': i.price * i.n})", orders)).toEqual([
      { id: 1, sum: 5 },
      { id: 2, sum: 10 },
    ]);
    expect(await evaluate("input.constructor + string(size(input.items))", orders)).toBe("own2");
    expect(await evaluate("[1, 'a', 2.5, null, true, input.items[0].id == 1.0]", orders)).toEqual([1, "a", 2.5, null, true, true]);
    expect(await evaluate("has(input.nope) ? 1.0 : 2 + 0.5", orders)).toBe(2.5);
    expect(await evaluate("timestamp('2026-01-02T03:04:05Z')")).toBe("2026-01-02T03:04:05.000Z");
    expect(await evaluate("input", { __proto__x: 1, "": [[]] })).toEqual({ __proto__x: 1, "": [[]] });
  });

  test("one expression for each member of the result", async () => {
    expect(await transform({ input: { a: 2, b: "x" }, expressions: { twice: "input.a * 2", both: "input.b + string(input.a)" } })).toEqual({
      result: { twice: 4, both: "x2" },
    });
  });

  test("from a file, and into an artifact", async () => {
    const file = join(context.workdir, "in.json");
    writeFileSync(file, '{"id": 12345678901234567890}');
    const { result } = (await transform({ file, expression: "{'id': input.id}", saveAs: "made.json" })) as { result: JsonObject };
    const kept = readFileSync(join(context.workdir, "out/made.json"), "utf8");
    expect(JSON.parse(kept)).toEqual({ id: "12345678901234567890" });
    expect(result).toEqual({
      name: "made.json",
      uri: `artifact:${new Bun.CryptoHasher("sha256").update(kept).digest("hex")}`,
      size: kept.length,
      contentType: "application/json",
    });
  });
});

describe("failures", () => {
  test("name the expression, the member and the position", async () => {
    expect(await rejection(evaluate("input.a +\n  nope.b", { a: 1 }))).toMatchObject({
      code: "EXPRESSION_ERROR",
      retryable: false,
      details: { start: 12, line: 2, column: 3 },
    });
    expect((await rejection(evaluate("1 +"))).code).toBe("EXPRESSION_ERROR");
    expect(await rejection(transform({ input: {}, expressions: { ok: "1", bad: "input.none" } }))).toMatchObject({
      code: "EXPRESSION_ERROR",
      details: { name: "bad", expression: "input.none" },
    });
  });

  test("results that are no JSON, and inputs that say too little or too much", async () => {
    for (const expression of ["9007199254740991 + 1", "1.0 / 0.0", "type(1)"])
      expect((await rejection(evaluate(expression))).code).toBe("EXPRESSION_ERROR");
    expect((await rejection(transform({ input: 1 }))).code).toBe("TASK_INPUT_INVALID");
    expect((await rejection(transform({ input: 1, expression: "1", expressions: {} }))).code).toBe("TASK_INPUT_INVALID");
    expect((await rejection(transform({ input: 1, file: "/x", expression: "1" }))).code).toBe("TASK_INPUT_INVALID");
    expect((await rejection(transform({ file: join(context.workdir, "none.json"), expression: "1" }))).code).toBe("FILE_NOT_FOUND");
    const text = join(context.workdir, "text.json");
    writeFileSync(text, "no json");
    expect((await rejection(transform({ file: text, expression: "1" }))).code).toBe("TASK_INPUT_INVALID");
  });
});

test("it asks for its file only", () => {
  const { asks } = findCoreAction("core/json.transform") ?? {};
  expect(asks?.({ input: 1, expression: "1" })).toEqual({ filesystem: { read: [] } });
  expect(asks?.({ file: "./a.json" })).toEqual({ filesystem: { read: ["./a.json"] } });
  expect(asks?.({ file: "{{ inputs.x }}" })).toEqual({ filesystem: { read: [] } });
});
