// What a task claims in its error frame is looked at within bounds, however long, deep or ambiguous it is.
import { expect, test } from "bun:test";
import type { EffectivePermissions } from "../../../src/model/index.ts";
import { type End, linesOf } from "../../../src/plugins/invoke/judge.ts";
import { recogniseDenials } from "../../../src/plugins/invoke/recognise.ts";
import { recogniseHosts } from "../../../src/plugins/invoke/recognise-hosts.ts";
import { pathsIn } from "../../../src/plugins/invoke/refusal-lines.ts";
import { parseResultFrame } from "../../../src/plugins/invoke/script-output.ts";
import { Masker } from "../../../src/secrets/index.ts";

const mebibyte = 1024 * 1024;
const unitsMax = 80 * 1024;
const fill = (piece: string) => piece.repeat(Math.ceil(mebibyte / piece.length));

function endOf(text: string, stderr = ""): End {
  const limits = { memoryMb: 1, cpuSeconds: null, diskMb: 1, processes: 1 } satisfies Partial<EffectivePermissions>;
  const frame = parseResultFrame(text, new Masker());
  return {
    exit: { exitCode: 1, signal: null },
    frame,
    stderr,
    what: "action",
    limits,
    isConfined: true,
    exceeded: null,
    hasNetwork: false,
    isStopped: false,
  };
}

const nasty: [string, string][] = [
  ["slashes", `EACCES${fill("=/")}`],
  ["open quotes", `EACCES ${fill("‘a")}`],
  ["quoted words", `EACCES ${fill("'a' -> 'b' ")}`],
  ["paths", `EACCES ${fill("/etc/x ")}`],
  ["phrases", `${fill("cannot open ")}': Permission denied`],
  ["spaces", `${fill(" ")}: Permission denied`],
  ["a look-up", `failed to lookup address information${fill("a-")}`],
  ["many look-ups", fill("failed to lookup address information ")],
  ["hosts", fill("ENOTFOUND a.example.com ")],
  ["URLs", `ENOTFOUND ${fill("http://a.example.com/ ")}`],
  ["lines", fill("cat: /etc/shadow: Permission denied\n")],
  ["lookups of Go", fill("lookup a.a.a.a on b")],
];

test.each(nasty)("%s: a megabyte of them is 20 lines of 80 KiB at most, with a bounded number of candidates", (_name, message) => {
  for (const error of [
    { code: "X", message },
    { code: "X", message: "m", details: { deep: { message, more: [message] } } },
  ]) {
    const lines = linesOf(endOf(JSON.stringify({ error }), fill("x\n").slice(0, 4096)));
    expect(lines.length).toBeLessThanOrEqual(20);
    expect(lines.join("\n").length).toBeLessThanOrEqual(unitsMax);
    for (const line of lines) expect(pathsIn(line).length).toBeLessThanOrEqual(16);
    expect(recogniseHosts(lines, [], JSON.stringify({ message })).length).toBeLessThanOrEqual(64);
    const granted = { read: [], write: [], hidden: [], network: [], cwd: "/", user: null };
    expect(recogniseDenials(lines, granted, JSON.stringify({ message })).length).toBeLessThanOrEqual(64);
  }
});

test("no pattern repeats a repetition", async () => {
  const nested = /\([^()]*[+*][^()]*\)[+*]/;
  for (const name of ["refusal-lines.ts", "recognise-hosts.ts"]) {
    const source = await Bun.file(new URL(`../../../src/plugins/invoke/${name}`, import.meta.url)).text();
    expect(source.split("\n").filter((line) => nested.test(line))).toEqual([]);
  }
});

test("the parts of a claimed error are bounded: what is too long is cut, details that are too long or too deep are left out", () => {
  const long = "x".repeat(mebibyte / 4);
  const frame = parseResultFrame(JSON.stringify({ error: { code: long, message: long, hint: long, details: { long } } }), new Masker());
  if (!("error" in frame)) throw new Error("an output");
  const { code, message, hint = "", details } = frame.error;
  expect([code.length, message.length, hint.length]).toEqual([256, 16 * 1024, 4096]);
  expect(JSON.stringify(details).length).toBeLessThan(200);
  const levels = 1000;
  const deep = `{"error":{"code":"X","message":"m","details":${'{"a":'.repeat(levels)}1${"}".repeat(levels)}}}`;
  expect(parseResultFrame(deep, new Masker())).toMatchObject({ error: { code: "X", details: { leftOut: "details" } } });
});

test("a claim stands beside what the task printed, and pushes none of it out of sight", () => {
  const stderr = Array.from({ length: 20 }, (_, index) => `line ${index}`).join("\n");
  const lines = linesOf(endOf(JSON.stringify({ error: { code: "X", message: fill("m\n"), details: { a: "d\n".repeat(1000) } } }), stderr));
  expect(lines.slice(0, 8)).toEqual(Array.from({ length: 8 }, (_, index) => `line ${index + 12}`));
  expect(lines.slice(8)).toEqual([...Array.from({ length: 6 }, () => "m"), ...Array.from({ length: 6 }, () => "d")]);
});
