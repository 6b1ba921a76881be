// Reading the ledger: pages of one trace, and streams that resume exactly and never run ahead of their reader.
import { fail } from "../base/index.ts";
import { type Severity, severities, sentEvent } from "../model/index.ts";
import type { EventSelection, Store, StoredEvent } from "../storage/index.ts";
import { catalogue } from "./catalogue/index.ts";
import type { Ledger } from "./ledger.ts";

/** `severity` is a floor; `eventType` a glob that may leave out the leading `trace.`; `*` crosses dots. */
export type EventFilter = { severity?: string; eventType?: string };

const streamPage = 200;

export function sentText(event: StoredEvent): string {
  return sentEvent(event.body, event.hash, event.seq);
}

/** @throws BAD_REQUEST */
function parseSeverity(text: string): Severity {
  const found = severities.find((severity) => severity === text);
  if (found === undefined) throw fail("BAD_REQUEST", `Cannot filter by severity "${text}": it is none of ${severities.join(", ")}`);
  return found;
}

/** Whether a type fits a glob of `*` and `?`. A pattern that starts with neither `trace.` nor a star is read as if it began with `trace.`. */
export function matchesType(glob: string, type: string): boolean {
  const full = glob.startsWith("trace.") || glob.startsWith("*") ? glob : `trace.${glob}`;
  let at = 0;
  let star = -1;
  let retry = 0;
  // Only the last star is ever tried again: strangers write these globs, and a backtracking search could take for ever.
  for (let index = 0; index < type.length; ) {
    if (full[at] === "*") {
      star = at;
      retry = index;
      at += 1;
    } else if (full[at] === "?" || full[at] === type[index]) {
      at += 1;
      index += 1;
    } else if (star >= 0) {
      at = star + 1;
      retry += 1;
      index = retry;
    } else return false;
  }
  return /^\**$/.test(full.slice(at));
}

/** The store's selection for a filter. Types are resolved against those that exist, so that the store compares numbers. */
export async function selectionOf(store: Store, filter: EventFilter): Promise<Pick<EventSelection, "severity" | "types">> {
  const selection: Pick<EventSelection, "severity" | "types"> = {};
  if (filter.severity !== undefined) selection.severity = parseSeverity(filter.severity);
  const glob = filter.eventType;
  if (glob !== undefined) {
    const known = new Set([...catalogue.keys(), ...(await store.listEventTypes())]);
    selection.types = [...known].filter((type) => matchesType(glob, type));
  }
  return selection;
}

/** Numbers that are looked through at once: a filter that nothing passes reads the whole store, and others want the loop meanwhile (some 5 ms). */
const window = 10_000;

export type NewestRequest = EventFilter & { beforeSeq?: number; limit: number };

/**
 * The newest events of the whole store that pass the filter, the oldest of them first, of those before `beforeSeq` where it is given.
 * `soon` runs work after what already waits. @throws BAD_REQUEST
 */
export async function listNewestEvents(
  { store, soon }: { store: Store; soon: (work: () => void) => void },
  request: NewestRequest,
): Promise<{ events: string[]; hasMore: boolean }> {
  const { limit } = request;
  const selection = await selectionOf(store, request);
  const found: StoredEvent[] = [];
  let beforeSeq = Math.min(request.beforeSeq ?? Number.MAX_SAFE_INTEGER, (await store.lastSeq()) + 1);
  while (beforeSeq > 1 && found.length <= limit) {
    const afterSeq = Math.max(0, beforeSeq - 1 - window);
    found.push(...(await store.listEvents({ ...selection, afterSeq, beforeSeq, order: "desc", limit: limit + 1 - found.length })));
    beforeSeq = afterSeq + 1;
    await new Promise<void>(soon);
  }
  const events = found.slice(0, limit).toReversed().map(sentText);
  return { events, hasMore: found.length > limit };
}

export type EventStreamRequest = EventFilter & { traceId: string | null; sinceSeq?: number; sinceSequence?: number };

/**
 * Events in order from a start on, without end until the signal aborts. Without a start only what is written from now on.
 * A slow reader is paged from the store: nothing is buffered for it. @throws TRACE_NOT_FOUND, BAD_REQUEST
 */
export async function* streamEvents(
  deps: { store: Store; ledger: Ledger },
  request: EventStreamRequest,
  signal: AbortSignal,
): AsyncGenerator<{ seq: number; text: string }> {
  const { store, ledger } = deps;
  const { traceId } = request;
  const base: Omit<EventSelection, "limit"> = { ...(await selectionOf(store, request)) };
  if (traceId !== null) base.traceId = traceId;
  if (request.sinceSeq !== undefined) base.afterSeq = request.sinceSeq;
  if (request.sinceSequence !== undefined) base.afterSequence = request.sinceSequence;
  const isFromNow = request.sinceSeq === undefined && request.sinceSequence === undefined;
  // How far it has read: by sequence within a trace, where the index goes by it, else by seq.
  const goOn = (at: number) => (traceId === null ? (base.afterSeq = at) : (base.afterSequence = at));
  const start = await endOf(store, traceId);
  if (isFromNow) goOn(start);
  const bell = openBell(ledger, signal);
  try {
    while (!signal.aborted) {
      const ring = bell.next();
      const end = await endOf(store, traceId);
      const page = await store.listEvents({ ...base, limit: streamPage });
      for (const event of page) {
        if (signal.aborted) return;
        goOn(traceId === null ? event.seq : event.sequence);
        yield { seq: event.seq, text: sentText(event) };
      }
      if (page.length === streamPage) continue;
      // What a filter left out is not looked at again.
      const at = traceId === null ? base.afterSeq : base.afterSequence;
      if (at === undefined || at < end) goOn(end);
      await ring;
    }
  } finally {
    bell.close();
  }
}

/** Where the last event stands: its sequence within the trace, or its seq. @throws TRACE_NOT_FOUND */
async function endOf(store: Store, traceId: string | null): Promise<number> {
  if (traceId === null) return store.lastSeq();
  const head = await store.findTrace(traceId);
  if (head === null) throw fail("TRACE_NOT_FOUND", `Cannot stream trace "${traceId}": no such trace`);
  return head.events - 1;
}

/** Rings when the ledger grows. `next()` is asked for before reading, so nothing falls between read and wait. */
export function openBell(ledger: Ledger, signal: AbortSignal): { next(): Promise<void>; close(): void } {
  let ring: () => void = () => undefined;
  let pending = new Promise<void>((resolve) => (ring = resolve));
  const strike = () => {
    ring();
    pending = new Promise<void>((resolve) => (ring = resolve));
  };
  const off = ledger.listen(strike);
  signal.addEventListener("abort", strike, { once: true });
  return {
    next: () => pending,
    close: () => {
      off();
      signal.removeEventListener("abort", strike);
      ring();
    },
  };
}
