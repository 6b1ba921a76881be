// Makes event drafts: fills in ids, time and the place in a trace, so that callers name only what happened.
import type { Clock, Ids, JsonObject } from "../base/index.ts";
import type { Actor, Artifact, EventDraft, Severity } from "../model/index.ts";
import { definitionOf } from "./catalogue/index.ts";

/** Where an event stands: its trace, span and parent, the session it belongs to, and who acts. */
export type TracePlace = { traceId: string; spanId: string; parentSpanId: string | null; sessionId: string; actor: Actor };

export type DraftOptions = { severity?: Severity; artifacts?: Artifact[]; time?: number };

export function draftEvent(
  deps: { clock: Clock; ids: Ids },
  place: TracePlace,
  what: { type: string; payload: JsonObject } & DraftOptions,
): EventDraft {
  const draft: EventDraft = {
    eventId: deps.ids.next(),
    type: what.type,
    traceId: place.traceId,
    spanId: place.spanId,
    parentSpanId: place.parentSpanId,
    sessionId: place.sessionId,
    actor: place.actor,
    severity: what.severity ?? definitionOf(what.type).severity,
    time: what.time ?? deps.clock.now(),
    payload: what.payload,
  };
  if (what.artifacts !== undefined) draft.artifacts = what.artifacts;
  return draft;
}
