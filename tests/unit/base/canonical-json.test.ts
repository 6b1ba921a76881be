// Our canonical form against the library's, and against the vectors of RFC 8785.
import { expect, test } from "bun:test";
import canonicalize from "canonicalize";
import * as fc from "fast-check";
import { canonicalJson, isCoded, toIJson } from "../../../src/base/index.ts";

const isSame = (value: unknown): boolean => canonicalJson(value) === canonicalize(value);

test("agrees with the library on every JSON value", () => {
  fc.assert(fc.property(fc.jsonValue({ maxDepth: 5 }), isSame), { numRuns: 3000 });
});

test("agrees with the library on numbers and strings of every kind", () => {
  fc.assert(fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), isSame), { numRuns: 3000 });
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (value) => isSame(value.toWellFormed())),
    { numRuns: 3000 },
  );
});

test("writes RFC 8785's examples", () => {
  expect(canonicalJson([Number("333333333.33333329"), 1e30, 4.5, 2e-3, 0.000000000000000000000000001, -0])).toBe(
    "[333333333.3333333,1e+30,4.5,0.002,1e-27,0]",
  );
  expect(canonicalJson({ "\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\ud83d\ude00": 5, "\u0080": 6, "\u00f6": 7 })).toBe(
    '{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\ud83d\ude00":5,"\ufb33":3}',
  );
});

test("refuses what is not JSON, and keeps a member named __proto__", () => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, 1n, undefined, () => 1, "\ud800", { a: "\udc00" }]) {
    let thrown: unknown = null;
    try {
      canonicalJson(value);
    } catch (cause) {
      thrown = cause;
    }
    expect(isCoded(thrown, "INTERNAL")).toBe(true);
  }
  expect(canonicalJson(toIJson(JSON.parse('{"__proto__":{"a":1},"b":2}')))).toBe('{"__proto__":{"a":1},"b":2}');
});
