// TRACE over HTTP: lists, events, streams; events leave as the bytes they are stored in.
import { type Static, Type } from "@sinclair/typebox";
import type { EventStreamQuery } from "../../app/index.ts";
import { fail } from "../../base/index.ts";
import { severities, subjects, TraceEventSchema, TraceListSchema } from "../../model/index.ts";
import { type Answer, jsonAnswer, streamAnswer, textAnswer } from "../http/answer.ts";
import { Cursor, Limit, Offset, Text } from "../http/formats.ts";
import { type Call, route, type Route } from "../route.ts";
import { eventFrame } from "../streams/frame.ts";
import { traceId } from "./path-params.ts";

const tag = "traces";
const strict = { additionalProperties: false } as const;
const ndjson = "application/x-ndjson";
const json = "application/json";
const oneOf = <T extends string>(values: readonly T[]) => Type.Union(values.map((value) => Type.Literal(value)));
const Order = (description: string) => Type.Integer({ minimum: 0, description });

const filter = {
  severity: Type.Optional(oneOf(severities)),
  event_type: Type.Optional(Text("A pattern such as trace.task.*, or task.*.")),
};
const ListQuery = Type.Object({ subject: Type.Optional(oneOf(subjects)), limit: Type.Optional(Limit), cursor: Type.Optional(Cursor) }, strict);
const EventsQuery = Type.Object(
  { ...filter, since_sequence: Type.Optional(Order("Only after this sequence number.")), limit: Type.Optional(Limit), offset: Type.Optional(Offset) },
  strict,
);
const NewestQuery = Type.Object(
  { ...filter, before_seq: Type.Optional(Order("Only before this store-wide number.")), limit: Type.Optional(Limit) },
  strict,
);
const AllStreamQuery = Type.Object({ ...filter, since_seq: Type.Optional(Order("Only after this store-wide number.")) }, strict);
const StreamQuery = Type.Object({ ...AllStreamQuery.properties, since_sequence: Type.Optional(Order("Only after this sequence number.")) }, strict);
const EventPageSchema = Type.Object({
  trace_id: Type.String(),
  events: Type.Array(TraceEventSchema),
  total_count: Type.Integer(),
  has_more: Type.Boolean(),
});

const NewestSchema = Type.Object({ events: Type.Array(TraceEventSchema), has_more: Type.Boolean() });

type StreamCall = Call<string, Static<typeof StreamQuery>>;

function stream({ facade, query, lastEventId, request, requestId, state, caller }: StreamCall, traceId: string | null): Answer {
  const wanted: EventStreamQuery = { traceId, ...eventFilter(query), ...streamStart(query, lastEventId) };
  state.keepOpen(request);
  const frames = (signal: AbortSignal) => eventFrames(facade.streamEvents(wanted, signal));
  return streamAnswer(state.streams.open({ keyId: caller.keyId, requestId, signal: request.signal, frames }));
}

// What the client saw last says more than the URL it began with.
function streamStart(query: StreamCall["query"], lastEventId: number | null): Pick<EventStreamQuery, "sinceSeq" | "sinceSequence"> {
  const { since_seq: sinceSeq, since_sequence: sinceSequence } = query;
  if (lastEventId !== null) return { sinceSeq: lastEventId };
  if (sinceSeq !== undefined) return { sinceSeq };
  return sinceSequence === undefined ? {} : { sinceSequence };
}

async function* eventFrames(events: AsyncIterable<{ seq: number; text: string }>): AsyncGenerator<string> {
  for await (const { seq, text } of events) yield eventFrame(seq, text);
}

function eventFilter({ severity, event_type: eventType }: { severity?: string; event_type?: string }) {
  return { ...(severity === undefined ? {} : { severity }), ...(eventType === undefined ? {} : { eventType }) };
}

function wantsLines(request: Request): boolean {
  return request.headers.get("accept")?.includes(ndjson) ?? false;
}

const lines = (texts: readonly string[]): Answer => textAnswer(texts.map((text) => `${text}\n`).join(""), { type: ndjson });

const streamForm = {
  200: { means: "One TRACE event per event; its id is the store-wide number.", schema: Type.String(), types: ["text/event-stream"] },
};

export const traceRoutes: readonly Route[] = [
  route({
    method: "GET",
    path: "/v1/traces",
    summary: "List traces",
    tag,
    scope: "trace:read",
    query: ListQuery,
    answers: { 200: { means: "A page of traces.", schema: TraceListSchema, types: [json, ndjson] } },
    handler: async ({ facade, query, request }) => {
      const page = await facade.listTraces(query);
      return wantsLines(request) ? lines(page.traces.map((trace) => JSON.stringify(trace))) : jsonAnswer(page);
    },
  }),
  route({
    method: "GET",
    path: "/v1/traces/events",
    summary: "List the newest events of all traces, the oldest of them first",
    tag,
    scope: "trace:read",
    query: NewestQuery,
    answers: { 200: { means: "The newest events that pass the filter.", schema: NewestSchema, types: [json, ndjson] } },
    handler: async ({ facade, query, request }) => {
      const { before_seq: beforeSeq, limit } = query;
      const page = await facade.listNewestEvents({
        ...eventFilter(query),
        ...(beforeSeq === undefined ? {} : { beforeSeq }),
        ...(limit === undefined ? {} : { limit }),
      });
      if (wantsLines(request)) return lines(page.events);
      return textAnswer(`{"events":[${page.events.join(",")}],"has_more":${page.hasMore}}`, { type: json });
    },
  }),
  route({
    method: "GET",
    path: "/v1/traces/stream",
    summary: "Follow the events of all traces",
    tag,
    scope: "trace:read",
    query: AllStreamQuery,
    resumable: true,
    answers: streamForm,
    handler: async (call) => stream(call, null),
  }),
  route({
    method: "GET",
    path: "/v1/traces/:id/events",
    summary: "List a trace's events",
    tag,
    scope: "trace:read",
    params: { id: traceId },
    query: EventsQuery,
    answers: { 200: { means: "A page of events.", schema: EventPageSchema, types: [json, ndjson] } },
    handler: async ({ facade, params, query, request }) => {
      const { since_sequence: sinceSequence, limit, offset } = query;
      const page = await facade.listEvents({
        traceId: params.id,
        ...eventFilter(query),
        ...(sinceSequence === undefined ? {} : { sinceSequence }),
        ...(limit === undefined ? {} : { limit }),
        ...(offset === undefined ? {} : { offset }),
      });
      if (wantsLines(request)) return lines(page.events);
      const body = `{"trace_id":"${page.traceId}","events":[${page.events.join(",")}],"total_count":${page.totalCount},"has_more":${page.hasMore}}`;
      return textAnswer(body, { type: json });
    },
  }),
  route({
    method: "GET",
    path: "/v1/traces/:id/stream",
    summary: "Follow a trace's events",
    tag,
    scope: "trace:read",
    params: { id: traceId },
    query: StreamQuery,
    resumable: true,
    answers: streamForm,
    handler: async (call) => {
      if (call.query.since_seq !== undefined && call.query.since_sequence !== undefined)
        throw fail("BAD_REQUEST", "Cannot read the query: since_seq and since_sequence exclude each other");
      // The status line goes out before the first event, so absence is found out now.
      await call.facade.listEvents({ traceId: call.params.id, limit: 1 });
      return stream(call, call.params.id);
    },
  }),
];
