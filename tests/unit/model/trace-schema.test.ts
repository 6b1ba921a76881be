// The published schema of an event, and ours: what we take is what the document's schema takes, and a little less.
import { describe, expect, test } from "bun:test";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import { Ajv } from "ajv";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isUuid, parseTime, version } from "../../../src/base/index.ts";
import { registerFormats, TraceEventSchema } from "../../../src/model/index.ts";

const root = join(import.meta.dir, "../../..");
const published = JSON.parse(readFileSync(join(root, "assets/schemas/trace_v1.json"), "utf8")) as Record<string, unknown>;
const history = readFileSync(join(root, `tests/fixtures/history/${version}.jsonl`), "utf8")
  .trimEnd()
  .split("\n");

registerFormats();
const ours = TypeCompiler.Compile(TraceEventSchema);
const ajv = new Ajv({ strict: false, formats: { uuid: isUuid, "date-time": (text: string) => parseTime(text) !== null } });
const theirs = ajv.compile(published);

type Change = (event: Record<string, unknown>) => unknown;
const set =
  (path: string, value: unknown): Change =>
  (event) => {
    const names = path.split(".");
    const last = names.pop() ?? "";
    const holder = names.reduce<Record<string, unknown>>((at, name) => at[name] as Record<string, unknown>, event);
    if (value === undefined) delete holder[last];
    else holder[last] = value;
  };
/** An event that has every optional member. */
const full = () => JSON.parse(history.findLast((line) => line.includes('"artifacts"')) ?? "") as Record<string, unknown>;
const changed = (change: Change) => {
  const event = full();
  change(event);
  return event;
};
const verdicts = (value: unknown) => [theirs(value), ours.Check(value)];

const required = [
  "trace_version",
  "event_type",
  "time",
  "trace",
  "session_id",
  "actor",
  "severity",
  "event_id",
  "sequence",
  "seq",
  "prev_hash",
  "hash",
];
const artifact = { name: "n", uri: "u", sha256: "0".repeat(64), content_type: "c" };
const refused: [string, unknown][] = [
  ...required.flatMap((name): [string, unknown][] => [
    [name, undefined],
    [name, null],
    [name, true],
    [name, {}],
    [name, []],
  ]),
  ["trace_version", "1.1"],
  ["event_type", "trace.task"],
  ["event_type", "task.started.x"],
  ["event_type", "trace.Task.started"],
  ["event_type", "trace.a.b.c.d.e"],
  ["event_type", "trace.task.started "],
  ["event_type", "trace.1a.b"],
  ["event_type", "trace.a..b"],
  ["event_type", "xtrace.a.b"],
  ["time", "2026-01-02"],
  ["time", "2026-02-30T00:00:00Z"],
  ["time", "now"],
  ["time", 1],
  ["trace.trace_id", undefined],
  ["trace.trace_id", "x"],
  ["trace.span_id", undefined],
  ["trace.span_id", "x"],
  ["trace.parent_span_id", 1],
  ["session_id", "x"],
  ["session_id", "019B7D4C-A0AE-7000-8000-000000000001"],
  ["actor.type", "robot"],
  ["actor.type", undefined],
  ["actor.id", undefined],
  ["actor.id", 5],
  ["severity", "fatal"],
  ["severity", "WARN"],
  ["payload", []],
  ["payload", "x"],
  ["payload", null],
  ["atlas", "x"],
  ["atlas.id", 1],
  ["atlas.version", 1],
  ["artifacts", {}],
  ["artifacts", [{ ...artifact, sha256: undefined }]],
  ["artifacts", [{ ...artifact, name: 1 }]],
  ["artifacts", [{ ...artifact, uri: null }]],
  ["artifacts", [{ uri: "u" }]],
  ["artifacts", ["x"]],
  ["event_id", "x"],
  ["sequence", -1],
  ["sequence", 1.5],
  ["sequence", "1"],
  ["seq", 0],
  ["seq", 1.5],
  ["prev_hash", "0".repeat(63)],
  ["prev_hash", "0".repeat(65)],
  ["prev_hash", "A".repeat(64)],
  ["hash", "x"],
];
/** Where our events are narrower than the document asks: we write these members always, and no others. */
const narrower: [string, unknown][] = [
  ["payload", undefined],
  ["trace.parent_span_id", undefined],
  ["trace.parent_span_id", "x"],
  ["atlas.id", undefined],
  ["atlas.version", undefined],
  ["actor.id", ""],
  ["extra", 1],
  ["trace.extra", 1],
  ["artifacts", [{ ...artifact, sha256: "x" }]],
];

describe("[CRA-S02] the TRACE event schema", () => {
  test("is section 8.2 of the plan with our five members", () => {
    const { properties, ...rest } = published as { properties: Record<string, unknown> };
    const text = { type: "string" };
    const id = { type: "string", format: "uuid" };
    const hex = { type: "string", pattern: "^[0-9a-f]{64}$" };
    expect(rest as unknown).toEqual({
      $schema: "http://json-schema.org/draft-07/schema#",
      title: "TRACE Event",
      type: "object",
      required: [...required.slice(0, 8), "sequence", "prev_hash", "hash", "seq"],
    });
    expect(properties).toEqual({
      trace_version: { const: "1.0" },
      event_type: { ...text, pattern: "^trace(\\.[a-z][a-z_]*){2,4}$" },
      time: { ...text, format: "date-time" },
      trace: {
        type: "object",
        required: ["trace_id", "span_id"],
        properties: { trace_id: id, span_id: id, parent_span_id: { type: ["string", "null"] } },
      },
      session_id: id,
      atlas: { type: "object", properties: { id: text, version: text } },
      actor: { type: "object", required: ["type", "id"], properties: { type: { enum: ["runtime", "agent", "user", "tool"] }, id: text } },
      severity: { enum: ["debug", "info", "warn", "error"] },
      payload: { type: "object" },
      artifacts: {
        type: "array",
        items: {
          type: "object",
          required: ["name", "uri", "sha256", "content_type"],
          properties: { name: text, uri: text, sha256: text, content_type: text },
        },
      },
      event_id: id,
      sequence: { type: "integer", minimum: 0 },
      prev_hash: hex,
      hash: hex,
      seq: { type: "integer", minimum: 1 },
    });
  });

  test("[CRA-T03] takes every event that we write, of every type", () => {
    for (const line of history) expect(verdicts(JSON.parse(line))).toEqual([true, true]);
    expect(verdicts(full())).toEqual([true, true]);
  });

  test.each(refused)("refuses %s = %j, as ours does", (path, value) => {
    expect(verdicts(changed(set(path, value)))).toEqual([false, false]);
  });

  test.each(narrower)("ours alone refuses %s = %j", (path, value) => {
    expect(verdicts(changed(set(path, value)))).toEqual([true, false]);
  });
});
