// Bytes to lines, lines to levels, and the bounded log of one attempt.
import { describe, expect, test } from "bun:test";
import { assert, array, integer, property, string } from "fast-check";
import { limits, sha256Hex } from "../../../src/base/index.ts";
import { AttemptLog, cutMark, LineSplitter, parseLine } from "../../../src/logs/index.ts";

function split(chunks: readonly Uint8Array[]): string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter((line) => void lines.push(line));
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  for (const chunk of chunks) splitter.push(decoder.decode(chunk, { stream: true }));
  splitter.push(decoder.decode());
  splitter.end();
  return lines;
}

const bytes = (text: string) => new TextEncoder().encode(text);

function cutInto(whole: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let at = 0;
  for (let index = 0; at < whole.length; index += 1) {
    const size = Math.max(1, sizes[index % Math.max(1, sizes.length)] ?? 1);
    chunks.push(whole.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

describe("splitting", () => {
  test("lines end with a newline, with or without a carriage return; the last may have none", () => {
    expect(split([bytes("a\nb\r\n\nc")])).toEqual(["a", "b", "", "c"]);
    expect(split([bytes("a\n")])).toEqual(["a"]);
    expect(split([])).toEqual([]);
  });

  test("does not depend on where the stream was cut, not even inside a character", () => {
    const anywhere = property(string({ unit: "binary" }), array(integer({ min: 1, max: 7 }), { minLength: 1 }), (text, sizes) => {
      expect(split(cutInto(bytes(text), sizes))).toEqual(split([bytes(text)]));
    });
    assert(anywhere);
  });

  test("bytes that are no UTF-8 become U+FFFD", () => {
    expect(split([new Uint8Array([0x61, 0xff, 0xfe, 0x0a, 0xe2, 0x82])])).toEqual(["a\ufffd\ufffd", "\ufffd"]);
  });

  test("a line beyond the bound comes in whole pieces, wherever the stream was cut", () => {
    for (const unit of ["a", "é", "€", "😀"]) {
      const text = unit.repeat(150_000);
      const lines = split([bytes(`${text}\nnext\n`)]);
      expect(lines.slice(0, -1).join("")).toBe(text);
      expect(lines.every((line) => Buffer.byteLength(line) <= limits.logLineBytesMax && line.isWellFormed())).toBe(true);
      expect(split(cutInto(bytes(`${text}\nnext\n`), [65_536, 1000, 100_000]))).toEqual(lines);
    }
  });

  test("says of each piece whether its line goes on, and leaves room for a mark", () => {
    const pieces: [string, boolean][] = [];
    const splitter = new LineSplitter((line, isCut) => void pieces.push([line, isCut]));
    splitter.push(`short\n${"x".repeat(150_000)}\nshort`);
    splitter.end();
    expect(pieces.map(([, isCut]) => isCut)).toEqual([false, true, true, false, false]);
    for (const [line, isCut] of pieces) expect(Buffer.byteLength(isCut ? line + cutMark : line)).toBeLessThanOrEqual(limits.logLineBytesMax);
  });

  test("a line of exactly the bound stays whole", () => {
    expect(split([bytes(`${"x".repeat(limits.logLineBytesMax)}\n`)]).length).toBe(1);
    expect(split([bytes(`${"x".repeat(limits.logLineBytesMax + 1)}\n`)]).length).toBe(2);
  });
});

describe("JSON lines", () => {
  test("level and message are taken, other members are metadata", () => {
    expect(parseLine('{"level":"warning","message":"m","a":1}', "INFO")).toEqual({ level: "WARN", message: "m", metadata: { a: 1 } });
    expect(parseLine('{"level":"FATAL","message":"m"}', "INFO")).toEqual({ level: "ERROR", message: "m", metadata: null });
    expect(parseLine('{"message":"m","level":"trace"}', "ERROR").level).toBe("DEBUG");
  });

  test("anything else is text of the stream's level", () => {
    const incomplete = ["", "{", "{}", "[1]", '{"message":"m"}', '{"level":"info"}', '{"level":"info","message":"m"'];
    const unfit = ['{"level":"loud","message":"m"}', '{"level":3,"message":"m"}', '{"level":"info","message":4}'];
    for (const line of [...incomplete, ...unfit]) expect(parseLine(line, "ERROR")).toEqual({ level: "ERROR", message: line, metadata: null });
  });
});

describe("the log of an attempt", () => {
  const open = () => new AttemptLog({ executionId: "e", task: "t", itemIndex: null, attempt: 2 });
  const line = (message: string) => ({ source: "stdout" as const, level: "INFO" as const, message, metadata: null, time: 5 });

  test("its digest is that of all its messages, taken or not", () => {
    const log = open();
    log.add(line("one"));
    expect(log.take().map((taken) => [taken.task, taken.attempt, taken.message])).toEqual([["t", 2, "one"]]);
    log.add({ ...line("two"), metadata: { a: 1 } });
    expect(log.pending).toBe(1);
    expect(log.end()).toEqual({ sha256: sha256Hex("one\ntwo\n"), lines: 2 });
    expect(log.take()[0]?.metadata).toBe('{"a":1}');
  });

  test("a line is well-formed, and cut with a mark beyond the bound", () => {
    const log = open();
    log.add(line("\ud800x"));
    log.add(line("€".repeat(limits.logLineBytesMax)));
    const [first, second] = log.take();
    expect(first?.message).toBe("\ufffdx");
    expect(Buffer.byteLength(second?.message ?? "")).toBeLessThanOrEqual(limits.logLineBytesMax);
    expect(second?.message).toMatch(/€ … \[cut\]$/);
  });

  for (const [what, message, linesMax] of [
    ["long lines", "x".repeat(60_000), 1119],
    ["empty lines", "", 1_048_577],
  ] as const)
    test(`a flood of ${what} ends with one line that says so`, () => {
      const log = open();
      for (let count = 0; count < linesMax + 50; count += 1) {
        log.add(line(message));
        if (log.pending > 10_000) log.take();
      }
      const last = log.take().at(-1);
      expect([last?.source, last?.level]).toEqual(["engine", "WARN"]);
      expect(log.end().lines).toBe(linesMax);
    });
});
