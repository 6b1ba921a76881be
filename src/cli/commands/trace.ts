// trace list and trace tail. tail prints the stored bytes of each event, one a line.
import { severities, subjects } from "../../model/index.ts";
import type { EventFilter, Facade } from "../../app/index.ts";
import type { CliContext } from "../context.ts";
import { parseChoice, parseCount, parsePage } from "../option-values.ts";
import { signalExits } from "../signals.ts";
import { noteMore } from "./workflows.ts";

const pageMax = 500;

export async function listTraces(
  context: CliContext,
  values: { limit: string | null; cursor: string | null; subject: string | null },
): Promise<void> {
  const subject = parseChoice("--subject", values.subject, subjects);
  const query = { ...parsePage(values), ...(subject === null ? {} : { subject }) };
  const { facade } = await context.connect();
  const page = await facade.listTraces(query);
  if (context.common.json) return context.printJson(page);
  if (page.traces.length === 0) return context.note("No traces.");
  context.printTable(page.traces, [
    { title: "TRACE", value: (row) => row.trace_id },
    { title: "SUBJECT", value: (row) => row.subject },
    { title: "ID", value: (row) => (row.subject_id === row.trace_id ? "" : row.subject_id) },
    { title: "EVENTS", value: (row) => String(row.events), align: "right" },
    { title: "LAST", value: (row) => row.last_time },
    { title: "HEAD", value: (row) => row.last_hash.slice(0, 12) },
  ]);
  noteMore(context, page.next_cursor);
}

type TailValues = { traceId: string | null; follow: boolean; severity: string | null; eventType: string | null; limit: string | null };

export async function tailTrace(context: CliContext, values: TailValues): Promise<number> {
  const severity = parseChoice("--severity", values.severity, severities);
  const filter: EventFilter = { ...(severity === null ? {} : { severity }), ...(values.eventType === null ? {} : { eventType: values.eventType }) };
  const limit = parseCount("--limit", values.limit, { min: 1, max: 1_000_000 });
  const { facade } = await context.connect();
  if (values.follow) return await followTrace(context, facade, { traceId: values.traceId, filter, limit });
  if (values.traceId !== null) {
    const lines = await readTrace(facade, { traceId: values.traceId, filter });
    for (const line of limit === undefined ? lines : lines.slice(-limit)) context.print(`${line}\n`);
    return 0;
  }
  for (const line of await readNewest(facade, filter, limit ?? 50)) context.print(`${line}\n`);
  return 0;
}

async function readTrace(facade: Facade, { traceId, filter }: { traceId: string; filter: EventFilter }): Promise<string[]> {
  const lines: string[] = [];
  let sinceSequence: number | undefined;
  for (;;) {
    const page = await facade.listEvents({ traceId, ...filter, limit: pageMax, ...(sinceSequence === undefined ? {} : { sinceSequence }) });
    lines.push(...page.events);
    const last = page.events.at(-1);
    if (!page.hasMore || last === undefined) return lines;
    sinceSequence = sequenceOf(last);
  }
}

// Where no event passes the filter, the stream starts after the first one.
const noEvent = '{"sequence":0}';
const sequenceOf = (line: string) => (JSON.parse(line) as { sequence: number }).sequence;
const seqOf = (line: string) => (JSON.parse(line) as { seq: number }).seq;

// Newest page first, so that each goes before what was read already.
async function readNewest(facade: Facade, filter: EventFilter, limit: number): Promise<string[]> {
  const pages: string[][] = [];
  let left = limit;
  let beforeSeq: number | undefined;
  for (;;) {
    const page = await facade.listNewestEvents({ ...filter, limit: Math.min(left, pageMax), ...(beforeSeq === undefined ? {} : { beforeSeq }) });
    pages.unshift(page.events);
    left -= page.events.length;
    const [first] = page.events;
    if (!page.hasMore || left === 0 || first === undefined) return pages.flat();
    beforeSeq = seqOf(first);
  }
}

type FollowValues = { traceId: string | null; filter: EventFilter; limit: number | undefined };

async function followTrace(context: CliContext, facade: Facade, { traceId, filter, limit }: FollowValues): Promise<number> {
  const stop = new AbortController();
  let exit = 0;
  let left = limit ?? Number.POSITIVE_INFINITY;
  const release = context.io.onSignal((signal) => {
    exit = signalExits[signal];
    stop.abort();
  });
  try {
    // A trace is given from its first event on, the whole store from now on.
    const past = traceId === null ? [] : await readTrace(facade, { traceId, filter });
    const start = traceId === null ? {} : { sinceSequence: sequenceOf(past.at(-1) ?? noEvent) };
    for (const line of past.slice(0, left)) context.print(`${line}\n`);
    left -= past.length;
    if (left <= 0) return 0;
    for await (const { text } of facade.streamEvents({ traceId, ...filter, ...start }, stop.signal)) {
      context.print(`${text}\n`);
      left -= 1;
      if (left <= 0) break;
    }
    return exit;
  } finally {
    stop.abort();
    release();
  }
}
