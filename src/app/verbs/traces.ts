// Verbs on traces: which there are, and their events as they were written.
import { fail, toIso } from "../../base/index.ts";
import { type Subject, subjects, type TraceList } from "../../model/index.ts";
import { listNewestEvents as readNewest, selectionOf, sentText } from "../../trace/index.ts";
import type { AppContext } from "../context.ts";
import { pageSize, readCursor, writeCursor } from "../cursor.ts";
import type { EventPage, EventQuery, NewestEvents, NewestQuery, Page } from "../facade.ts";

export async function listTraces(context: AppContext, query: Page & { subject?: string }): Promise<TraceList> {
  const size = pageSize(query.limit);
  const selection: Parameters<typeof context.store.listTraces>[0] = { limit: size + 1 };
  if (query.subject !== undefined) selection.subject = parseSubject(query.subject);
  if (query.cursor !== undefined) selection.beforeOrdinal = Number(readCursor(query.cursor, ["number"])[0]);
  const heads = await context.store.listTraces(selection);
  const page = heads.slice(0, size);
  const last = page.at(-1);
  return {
    traces: page.map((head) => ({
      trace_id: head.traceId,
      subject: head.subject,
      subject_id: head.subjectId,
      events: head.events,
      last_hash: head.lastHash,
      last_time: toIso(head.lastTime),
    })),
    next_cursor: heads.length > size && last !== undefined ? writeCursor([last.ordinal]) : null,
  };
}

function parseSubject(text: string): Subject {
  const found = subjects.find((subject) => subject === text);
  if (found === undefined) throw fail("BAD_REQUEST", `Cannot list traces of subject "${text}": it is none of ${subjects.join(", ")}`);
  return found;
}

export async function listEvents(context: AppContext, query: EventQuery): Promise<EventPage> {
  const { store } = context;
  if ((await store.findTrace(query.traceId)) === null)
    throw fail("TRACE_NOT_FOUND", `Cannot show trace "${query.traceId}": no such trace`, {
      hint: "`workflow trace list` shows those that are there.",
    });
  const selection = {
    traceId: query.traceId,
    ...(await selectionOf(store, query)),
    ...(query.sinceSequence === undefined ? {} : { afterSequence: query.sinceSequence }),
  };
  const limit = pageSize(query.limit);
  const offset = query.offset ?? 0;
  const events = await store.listEvents({ ...selection, limit, offset });
  const totalCount = await store.countEvents(selection);
  return { traceId: query.traceId, events: events.map(sentText), totalCount, hasMore: offset + events.length < totalCount };
}

export async function listNewestEvents(context: AppContext, query: NewestQuery): Promise<NewestEvents> {
  return readNewest({ store: context.store, soon: context.timers.soon }, { ...query, limit: pageSize(query.limit) });
}
