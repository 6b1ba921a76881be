// What a task prints and claims, with its secrets masked before anything is split or cut.
import { describe, expect, test } from "bun:test";
import { assert, array, constantFrom, integer, property } from "fast-check";
import type { Json } from "../../../src/base/index.ts";
import { limits } from "../../../src/base/index.ts";
import type { Denial } from "../../../src/model/index.ts";
import { Denials } from "../../../src/plugins/invoke/denials.ts";
import type { Line } from "../../../src/plugins/invoke/index.ts";
import { maskedLines, maskOutcome } from "../../../src/plugins/invoke/masking.ts";
import { parseResultFrame } from "../../../src/plugins/invoke/script-output.ts";
import { TaskOutput } from "../../../src/plugins/invoke/task-output.ts";
import { Masker } from "../../../src/secrets/index.ts";

const value = "s3cr3t-€-Value/with+more=";
const twoLines = "first-half-of-it\nsecond-half-of-it";

function maskerOf(...values: string[]): Masker {
  const masker = new Masker();
  masker.add(values);
  return masker;
}

async function* chunksOf(text: string, bytes: number): AsyncGenerator<Uint8Array> {
  const whole = Buffer.from(text);
  for (let at = 0; at < whole.length; at += bytes) yield whole.subarray(at, at + bytes);
}

async function read(stdout: string, { stderr = "", bytes = 1000, masker = maskerOf(value, twoLines), outputBytes = 1e9 } = {}) {
  const lines: Line[] = [];
  const output = new TaskOutput((line) => void lines.push(line), { outputBytes, masker });
  await output.read(chunksOf(stdout, bytes), chunksOf(stderr, bytes));
  return { lines, output, messages: lines.map(({ message }) => message) };
}

describe("lines", () => {
  test("[WF-09] a value is masked wherever the stream was cut, inside of a character too", async () => {
    for (let bytes = 1; bytes <= 40; bytes += 1) {
      const { messages } = await read(`a ${value} b\n${value}`, { bytes });
      expect(messages).toEqual(["a *** b", "***"]);
    }
  });

  test("[WF-09] a value is masked across the border of two pieces of a long line", async () => {
    for (const offset of [0, 1, 5, 20, 24]) {
      const { messages } = await read(`${"x".repeat(limits.logLineBytesMax - offset)}${value}${"y".repeat(100)}\n`, { bytes: 4096 });
      const text = messages.map((message) => message.replace(" … [cut]", "")).join("");
      expect(text).toBe(`${"x".repeat(limits.logLineBytesMax - offset)}***${"y".repeat(100)}`);
    }
  });

  test("[WF-09] a value of several lines is masked as one, and each of its lines", async () => {
    expect((await read(`a ${twoLines} b\n`, { bytes: 3 })).messages).toEqual(["a *** b"]);
    expect((await read(`a ${twoLines.replace("\n", "\r\n")} b\n`, { bytes: 3 })).messages.join("\n")).not.toContain("half-of-it");
  });

  test("[WF-09] whatever is around it", () => {
    const pieces = constantFrom("a", "\n", "s3", "s3cr3t-", "€", " ", "first-half-of-it\n", "***", value, twoLines);
    return assert(
      property(array(pieces), integer({ min: 1, max: 9 }), (texts, size) => {
        const lines: string[] = [];
        const output = new TaskOutput(({ message }) => void lines.push(message), { outputBytes: 1e9, masker: maskerOf(value, twoLines) });
        const text = texts.join("");
        for (let at = 0; at < text.length; at += size) void output.take("stdout", text.slice(at, at + size));
        void output.end("stdout");
        expect(lines.join("\n")).not.toContain(value);
        expect(lines.join("\n")).not.toContain("second-half-of-it");
        expect(output.stdout()).toBe(text.trim());
      }),
    );
  });

  test("[WF-09] members of a JSON line are masked however they are escaped, and a number that holds a value becomes ***", async () => {
    const masker = maskerOf("hush-value", "271828");
    const escaped = [..."hush-value"].map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join("");
    const { lines } = await read(
      [
        `{"level":"warn","message":"m ${escaped}","a":["${escaped}"],"${escaped}":1}`,
        '{"level":"debug","message":"n","pin":12718289, "deep": [271828]}',
        '{"level":"info","message":"a, 271828, b","n":271828}',
        '{"level":"info","message":"no JSON 271828}',
      ].join("\n"),
      { masker },
    );
    expect(lines).toEqual([
      { source: "stdout", level: "WARN", message: "m ***", metadata: { a: ["***"], "***": 1 } },
      { source: "stdout", level: "DEBUG", message: "n", metadata: { pin: "***", deep: ["***"] } },
      expect.objectContaining({ message: expect.not.stringContaining("271828") }),
      { source: "stdout", level: "INFO", message: '{"level":"info","message":"no JSON ***}', metadata: null },
    ]);
  });

  test("[WF-09] values that become known while a stream is open are masked from then on", async () => {
    const masker = new Masker();
    const lines: string[] = [];
    const output = new TaskOutput(({ message }) => void lines.push(message), { outputBytes: 1e9, masker });
    void output.take("stdout", "before late-value\nat ");
    masker.add(["late-value"]);
    void output.take("stdout", "late-value\nafter late-value");
    void output.end("stdout");
    expect(lines).toEqual(["before late-value", "at ***", "after ***"]);
  });

  test("[WF-09] a value that the end of a stream cuts off, as when a task is killed, is masked in lines and in stderr", async () => {
    for (const left of [1, 10, 17]) {
      const { messages, output } = await read(`token=${value.slice(0, -left)}`, { stderr: `E ${value.slice(0, -left)}`, bytes: 7 });
      expect(messages.toSorted()).toEqual(["E ***", "token=***"]);
      expect(output.stderr()).toBe("E ***");
      expect(maskerOf(value).text(`token=${value.slice(0, -1)}`)).toBe("token=***");
    }
  });

  test("[WF-09] beyond its bound output is not masked any more, but stderr's last lines are", async () => {
    const masker = maskerOf(value);
    const stream = masker.stream.bind(masker);
    let masked = 0;
    masker.stream = () => {
      const inner = stream();
      return {
        push: (text) => {
          masked += text.length;
          return inner.push(text);
        },
        end: () => inner.end(),
      };
    };
    const flood = `${"x".repeat(99)}\n`.repeat(20_000);
    const { lines, output } = await read(flood, { masker, outputBytes: 50_000, bytes: 4096, stderr: `${flood}at ${value}\n${value.slice(0, 20)}` });
    expect(masked).toBeLessThan(120_000);
    expect(lines.at(-1)).toMatchObject({ source: "engine", metadata: { limit: "outputBytes" } });
    expect(output.stderr().split("\n").slice(-2)).toEqual(["at ***", "***"]);
    expect(output.stderr().length).toBeLessThanOrEqual(4096);
  });

  test("a flood leaves others their turns", async () => {
    const masker = maskerOf("a".repeat(60_000));
    let turns = 0;
    let isOver = false;
    const turn = (): void => {
      turns += 1;
      if (!isOver) setImmediate(turn);
    };
    setImmediate(turn);
    const startedAt = performance.now();
    await read("a".repeat(8_000_000), { masker, bytes: 65_536 });
    isOver = true;
    // Chunks that are there at once would otherwise be taken in one turn.
    expect(turns).toBeGreaterThan(Math.max(2, (performance.now() - startedAt) / 100));
  });

  test("without values, nothing waits for what comes next", () => {
    const lines: string[] = [];
    const output = new TaskOutput(({ message }) => void lines.push(message), { outputBytes: 1e9, masker: new Masker() });
    void output.take("stderr", "one\ntwo");
    expect(lines).toEqual(["one"]);
  });
});

describe("the ends of both streams", () => {
  test("[WF-09] stderr is masked before its last lines are cut", async () => {
    const { output } = await read("", { stderr: `${"x".repeat(100)}${value}${"y".repeat(4096 - 10)}\n`, bytes: 64 });
    expect(output.stderr()).toBe(`${"*".repeat(3)}${"y".repeat(4086)}`.padStart(4096, "x"));
    const many = Array.from({ length: 30 }, () => `${value}${"z".repeat(300)}`).join("\n");
    expect((await read("", { stderr: many })).output.stderr()).not.toMatch(/s3cr3t|Value|more=/);
  });

  test("[WF-09] stdout is what was printed, but no cut goes through a value", async () => {
    expect((await read(`a ${value}\r\nb\n`)).output.stdout()).toBe(`a ${value}\nb`);
    const max = limits.stdoutOutputBytesMax;
    for (const cut of [1, 9, 12, Buffer.byteLength(value) - 1]) {
      const rest = "y".repeat(max - Buffer.byteLength(value) + cut);
      for (const before of [10, max * 20]) {
        const stdout = (await read(`${"x".repeat(before)}${value}${rest}`, { bytes: 65_536 })).output.stdout();
        expect(stdout.replace(/^y+$/, "")).toBe("");
        expect(stdout.length).toBe(rest.length);
      }
    }
  });

  test("of a flood the last 64 KiB are kept, with values and without", async () => {
    const text = Array.from({ length: 300_000 }, (_, index) => `${index}\n`).join("");
    for (const masker of [new Masker(), maskerOf(value)])
      expect((await read(text, { masker, bytes: 65_536 })).output.stdout()).toBe(text.trim().slice(-limits.stdoutOutputBytesMax).trim());
  });
});

describe("errors", () => {
  const errorOf = (error: Json) => {
    const frame = parseResultFrame(JSON.stringify({ error }), maskerOf(value));
    if (!("error" in frame)) throw new Error("an output");
    return frame.error;
  };

  test("[WF-09] what a frame claims is masked before it is cut", () => {
    const error = errorOf({
      code: `${"C".repeat(250)}${value}`,
      message: `${"m".repeat(16 * 1024 - 3)}${value}`,
      hint: `${"h".repeat(4095)}${value}`,
      details: { a: [value], [value]: { b: `x${value}` } },
    });
    expect(error.code).toBe(`${"C".repeat(250)}***`);
    expect(error.message).toBe(`${"m".repeat(16 * 1024 - 3)}***`);
    expect(error.hint).toBe(`${"h".repeat(4095)}*`);
    expect(error.details).toEqual({ a: ["***"], "***": { b: "x***" } });
  });

  test("an output stays as it is", () => {
    expect(parseResultFrame(JSON.stringify({ output: { v: value }, artifacts: [value] }), maskerOf(value))).toEqual({
      output: { v: value },
      artifacts: [value],
    });
  });

  test("[WF-09] every error of a call is masked in all its parts, a long one before it is cut", () => {
    const message = `${"x".repeat(16 * 1024 - 2)}${value}`;
    const error = { code: "TASK_FAILED", kind: "failed" as const, message, details: { path: `/tmp/${value}`, n: 1 }, hint: `see ${value}` };
    const masked = maskOutcome({ ok: false, error, retryable: true }, maskerOf(value));
    expect(masked).toEqual({
      ok: false,
      retryable: true,
      error: { ...error, message: `${"x".repeat(16 * 1024 - 2)}**`, details: { path: "/tmp/***", n: 1 }, hint: "see ***" },
    });
    const fine = { ok: true as const, output: { v: value }, files: [] };
    expect(maskOutcome(fine, maskerOf(value))).toEqual(fine);
  });

  test("kind and rule of a denial are the engine's words, whatever the values are", () => {
    const details = { kind: "filesystem", rule: "filesystem.read", target: "/data/filesystem.read", grant: "filesystem.read: /data" };
    const error = { code: "PERMISSION_DENIED", kind: "denied" as const, message: "Cannot read", details };
    const masked = maskOutcome({ ok: false, error, retryable: false }, maskerOf("filesystem.read", "filesystem"));
    expect(masked).toMatchObject({ error: { details: { kind: "filesystem", rule: "filesystem.read", target: "/data/***", grant: "***: /data" } } });
    const own = maskOutcome({ ok: false, error: { ...error, code: "OTHER" }, retryable: false }, maskerOf("filesystem.read"));
    expect(own).toMatchObject({ error: { details: { rule: "***" } } });
  });

  test("[WF-09] the engine's own lines are masked where they quote what came from outside", () => {
    const lines: Line[] = [];
    const tell = maskedLines({ onLine: (line) => void lines.push(line), masker: maskerOf(value) });
    void tell({ source: "engine", level: "WARN", message: `"${value}" is no artifact`, metadata: { name: value } });
    expect(lines).toEqual([{ source: "engine", level: "WARN", message: '"***" is no artifact', metadata: { name: "***" } }]);
  });
});

test("[WF-09] denials are masked, and the grant follows from what is shown: no folder keeps a part of a value", () => {
  const told: Denial[] = [];
  const slashed = "hush/inside/value";
  const denials = new Denials({
    places: () => ({ workspace: null, workdir: "/w", input: "/w/in", plugin: null, folder: null }),
    network: [],
    files: () => ({ readable: [], never: [] }),
    masker: maskerOf(slashed, "hush-host"),
    tell: (denial) => void told.push(denial),
  });
  denials.add({ kind: "filesystem", target: `/data/${slashed}`, rule: "filesystem.write", isNew: true });
  denials.fromDecision({ host: "hush-host.example.com", port: 443, allowed: false, why: "", entries: ["hush-host.example.com:443"], via: "proxy" });
  expect(told.map(({ target }) => target)).toEqual(["/data/***", "***.example.com:443"]);
  expect(JSON.stringify(told)).not.toContain("hush");
});
