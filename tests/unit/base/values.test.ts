// The small vocabulary: times, durations, ids, digests and I-JSON.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { createHash } from "node:crypto";
import {
  formatUuidV7,
  fromHex,
  isObject,
  isUuid,
  isUuidV7,
  parseDuration,
  parseTime,
  renderDuration,
  sha256Bytes,
  sha256Hex,
  startSha256,
  toHex,
  toIJson,
  toIso,
  toIsoOrNull,
} from "../../../src/base/index.ts";
import { codeOf } from "../../contract/requests.ts";

const refusal = (value: unknown) => codeOf((async () => toIJson(value))());

describe("[CRA-0.28] times", () => {
  test("are read strictly and written in UTC with milliseconds", () => {
    const at = Date.parse("2026-01-02T03:04:05.678Z");
    for (const text of ["2026-01-02T03:04:05.678Z", "2026-01-02t03:04:05.678z", "2026-01-02T04:04:05.678+01:00"]) expect(parseTime(text)).toBe(at);
    expect(parseTime("2024-02-29T00:00:00Z")).toBe(Date.UTC(2024, 1, 29));
    expect([toIso(at), toIsoOrNull(at), toIsoOrNull(null)]).toEqual(["2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05.678Z", null]);
  });

  const notTimes = [
    "",
    "now",
    "2026-01-02",
    "2026-01-02T03:04:05",
    "2026-01-02 03:04:05Z",
    "2026-02-29T00:00:00Z",
    "2026-04-31T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-00-01T00:00:00Z",
    "2026-01-00T00:00:00Z",
    "2026-01-02T25:00:00Z",
    "2026-01-02T03:60:00Z",
    "2026-01-02T03:04:05+1:00",
    " 2026-01-02T03:04:05Z",
    "02026-01-02T03:04:05Z",
  ];
  test.each(notTimes)("%j is none", (text) => {
    expect(parseTime(text)).toBeNull();
  });

  test("written and read again are the same", () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 253_402_300_799_999 }), (at) => expect(parseTime(toIso(at))).toBe(at)));
  });
});

describe("[CRA-0.28] durations", () => {
  const known: [string, number | null][] = [
    ["500ms", 500],
    ["30s", 30_000],
    ["5m", 300_000],
    ["2h", 7_200_000],
    ["1d", 86_400_000],
    ["1w", 604_800_000],
    ["1h30m", 5_400_000],
    ["1.5s", 1500],
    ["PT1H30M", 5_400_000],
    ["P1D", 86_400_000],
    ["P2W", 1_209_600_000],
    ["P1DT1S", 86_401_000],
    ["PT0.5S", 500],
    ["0s", 0],
    ["", null],
    ["5", null],
    ["s", null],
    ["-5s", null],
    ["5 s", null],
    ["P", null],
    ["PT", null],
    ["P1DT", null],
    ["P1Y", null],
    ["P1M", null],
    ["1h 30m", null],
    ["1e3s", null],
    ["PT1H30", null],
    [`${"9".repeat(400)}s`, null],
  ];
  test.each(known)("%j", (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test("are rendered short", () => {
    expect([0, 340, 1200, 9_990, 12_340, 125_000, 3_720_000, -5].map((ms) => renderDuration(ms))).toEqual([
      "0ms",
      "340ms",
      "1.20s",
      "9.99s",
      "12.3s",
      "2m 05s",
      "1h 02m",
      "0ms",
    ]);
  });
});

describe("[CRA-0.28] ids and digests", () => {
  test("ids of version 7 carry their time and sort by it", () => {
    fc.assert(
      fc.property(fc.nat(2 ** 40), fc.nat(0xfff), fc.bigInt({ min: 0n, max: (1n << 62n) - 1n }), (ms, low, high) => {
        const id = formatUuidV7(ms, low, high);
        expect([isUuid(id), isUuidV7(id), Number.parseInt(id.replace("-", "").slice(0, 12), 16)]).toEqual([true, true, ms]);
        expect(formatUuidV7(ms + 1, 0, 0n) > id).toBe(true);
      }),
    );
  });

  test("other forms are none", () => {
    const texts = ["", "x", "019b7d4c-a0ae-7000-8000-00000000000", "019B7D4C-A0AE-7000-8000-000000000001", "{019b7d4c-a0ae-7000-8000-000000000001}"];
    for (const text of texts) expect(isUuid(text)).toBe(false);
    expect(isUuidV7("019b7d4c-a0ae-4000-8000-000000000001")).toBe(false);
    expect(isUuidV7("019b7d4c-a0ae-7000-c000-000000000001")).toBe(false);
  });

  test("digests are SHA-256 of the UTF-8 bytes, in one go or in parts", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.nat(20), (text, cut) => {
        const expected = createHash("sha256").update(text, "utf8").digest("hex");
        const running = startSha256();
        const bytes = new TextEncoder().encode(text);
        running.update(bytes.subarray(0, cut));
        running.update(bytes.subarray(cut));
        expect([sha256Hex(text), toHex(sha256Bytes(text)), sha256Hex(bytes), running.hex()]).toEqual([expected, expected, expected, expected]);
        expect(toHex(fromHex(expected))).toBe(expected);
      }),
    );
  });
});

describe("[CRA-0.28] I-JSON", () => {
  test("keeps what JSON can carry and mends what it can mend", () => {
    const odd = Object.fromEntries([["__proto__", 1]]);
    expect(toIJson({ a: [1, "x", true, null, 1.5, -0], u: undefined })).toEqual({ a: [1, "x", true, null, 1.5, -0] });
    expect(toIJson(["a\uD800b", 12n, new Map([["k", 1]]), new Date(0)])).toEqual(["a\uFFFDb", 12, { k: 1 }, "1970-01-01T00:00:00.000Z"]);
    expect(JSON.stringify(toIJson(odd))).toBe('{"__proto__":1}');
    expect(toIJson(Number.MAX_SAFE_INTEGER)).toBe(Number.MAX_SAFE_INTEGER);
  });

  test("refuses the rest, and says where", async () => {
    let deep: unknown = 1;
    for (let level = 0; level < 300; level += 1) deep = [deep];
    const values = [Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, -(2 ** 53), 2n ** 60n, () => 1, Symbol("x"), undefined, deep];
    for (const bad of values) expect(await refusal(bad)).toBe("OUTPUT_INVALID");
    expect(() => toIJson({ a: [1, { b: Number.NaN }] })).toThrow(expect.objectContaining({ details: { path: "a[1].b" } }));
    // Not with the value: it may be secret.
    for (const value of [1e23, 123456789012345678901234n]) expect(() => toIJson({ a: value })).toThrow(/^[^0-9]*at "a"(?:(?!1e\+?23|12345).)*$/);
  });

  test("objects are neither null nor lists", () => {
    expect([isObject({}), isObject([]), isObject(null), isObject("x")]).toEqual([true, false, false, false]);
  });
});
