// A TRACE event: the form of document 2, section 8.2, with the five members that trace.md adds, and how it is sealed into the chain.
import { type Static, Type } from "@sinclair/typebox";
import { canonicalJson, type JsonObject, sha256Hex, toIso } from "../base/index.ts";

export const severities = ["debug", "info", "warn", "error"] as const;
export type Severity = (typeof severities)[number];
export const subjects = ["execution", "session", "objective", "system"] as const;
export type Subject = (typeof subjects)[number];

const eventTypePattern = "^trace(\\.[a-z][a-z_]*){2,4}$";
const hex64 = "^[0-9a-f]{64}$";
const Uuid = Type.String({ format: "uuid" });

const ArtifactSchema = Type.Object({ name: Type.String(), uri: Type.String(), sha256: Type.String({ pattern: hex64 }), content_type: Type.String() });
export type Artifact = Static<typeof ArtifactSchema>;

const ActorSchema = Type.Object({
  type: Type.Union([Type.Literal("runtime"), Type.Literal("agent"), Type.Literal("user"), Type.Literal("tool")]),
  id: Type.String({ minLength: 1 }),
});
export type Actor = Static<typeof ActorSchema>;

export const TraceEventSchema = Type.Object(
  {
    trace_version: Type.Literal("1.0"),
    event_id: Uuid,
    event_type: Type.String({ pattern: eventTypePattern }),
    time: Type.String({ format: "date-time" }),
    trace: Type.Object({ trace_id: Uuid, span_id: Uuid, parent_span_id: Type.Union([Uuid, Type.Null()]) }, { additionalProperties: false }),
    sequence: Type.Integer({ minimum: 0 }),
    session_id: Uuid,
    actor: ActorSchema,
    severity: Type.Union(severities.map((value) => Type.Literal(value))),
    atlas: Type.Optional(Type.Object({ id: Type.String(), version: Type.String() })),
    payload: Type.Record(Type.String(), Type.Unknown()),
    artifacts: Type.Optional(Type.Array(ArtifactSchema)),
    prev_hash: Type.String({ pattern: hex64 }),
    hash: Type.String({ pattern: hex64 }),
    seq: Type.Integer({ minimum: 1 }),
  },
  { additionalProperties: false, $id: "TraceEvent" },
);
/** An event as it is sent: the stored bytes with `hash` and `seq`. */
export type TraceEvent = Omit<Static<typeof TraceEventSchema>, "severity" | "payload"> & { severity: Severity; payload: JsonObject };

/** An event before it has its place in a chain. `time` in milliseconds. */
export type EventDraft = {
  eventId: string;
  type: string;
  traceId: string;
  spanId: string;
  parentSpanId: string | null;
  sessionId: string;
  actor: Actor;
  severity: Severity;
  time: number;
  payload: JsonObject;
  artifacts?: Artifact[];
  atlas?: { id: string; version: string };
};

export type SealedEvent = { body: string; hash: string };

export const firstPrevHash = "0".repeat(64);

/**
 * Gives a draft its place: the RFC 8785 form without `hash` and `seq`, and the SHA-256 of those bytes.
 * The envelope is put together by hand in the order JCS asks for, since its member names are fixed; only the payload varies.
 */
export function sealEvent(draft: EventDraft, sequence: number, prevHash: string): SealedEvent {
  const artifacts = draft.artifacts === undefined || draft.artifacts.length === 0 ? "" : `"artifacts":${canonicalJson(draft.artifacts)},`;
  const atlas = draft.atlas === undefined ? "" : `"atlas":${canonicalJson(draft.atlas)},`;
  const parent = draft.parentSpanId === null ? "null" : `"${draft.parentSpanId}"`;
  const body =
    `{"actor":{"id":${JSON.stringify(draft.actor.id)},"type":"${draft.actor.type}"},${artifacts}${atlas}"event_id":"${draft.eventId}",` +
    `"event_type":"${draft.type}","payload":${canonicalJson(draft.payload)},"prev_hash":"${prevHash}","sequence":${sequence},` +
    `"session_id":"${draft.sessionId}","severity":"${draft.severity}","time":"${toIso(draft.time)}",` +
    `"trace":{"parent_span_id":${parent},"span_id":"${draft.spanId}","trace_id":"${draft.traceId}"},"trace_version":"1.0"}`;
  return { body, hash: sha256Hex(body) };
}

/** The bytes as sent: the stored ones with `hash` and `seq` before the last brace; nothing is serialised again. */
export function sentEvent(body: string, hash: string, seq: number): string {
  return `${body.slice(0, -1)},"hash":"${hash}","seq":${seq}}`;
}
