// Reads of the ledger in SQLite: events, the heads of traces, and whether the guards are in place.
import { isUuid, toHex } from "../../base/index.ts";
import { severities, type Subject } from "../../model/index.ts";
import type { EventSelection, StoredEvent, TraceHead } from "../ports.ts";
import type { Connection } from "./database.ts";
import { idBytes } from "./ledger.ts";
import { migrations } from "./migrate.ts";

type EventRow = {
  seq: number;
  trace_id: string;
  sequence: number;
  event_id: Uint8Array;
  type: string;
  severity: number;
  time: number;
  hash: Uint8Array;
  body: string;
};
const eventColumns =
  "select e.seq, t.trace_id, e.sequence, e.event_id, y.name as type, e.severity, e.time, e.hash, e.body" +
  " from events e join traces t on t.ordinal = e.trace join event_types y on y.id = e.type";

function toStored(row: EventRow): StoredEvent {
  return {
    seq: row.seq,
    eventId: toUuid(row.event_id),
    traceId: row.trace_id,
    sequence: row.sequence,
    type: row.type,
    severity: severities[row.severity] ?? "error",
    time: row.time,
    hash: toHex(row.hash),
    body: row.body,
  };
}

function toUuid(bytes: Uint8Array): string {
  const hex = toHex(bytes);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

export function selectEvents(db: Connection, selection: EventSelection): StoredEvent[] {
  const { where, bindings } = conditions(db, selection);
  const order = `${selection.traceId === undefined ? "e.seq" : "e.sequence"} ${selection.order === "desc" ? "desc" : "asc"}`;
  const page = selection.offset === undefined ? "" : ` offset ${Math.trunc(selection.offset)}`;
  const sql = `${eventColumns} where ${where} order by ${order} limit ${Math.trunc(selection.limit)}${page}`;
  return db.all<EventRow>(sql, ...bindings).map(toStored);
}

export function countEvents(db: Connection, selection: Conditions): number {
  const { where, bindings } = conditions(db, selection);
  return db.get<{ n: number }>(`select count(*) as n from events e where ${where}`, ...bindings)?.n ?? 0;
}

type Conditions = Omit<EventSelection, "order" | "limit" | "offset">;

function conditions(db: Connection, selection: Conditions): { where: string; bindings: (string | number)[] } {
  const parts = ["1 = 1"];
  const bindings: (string | number)[] = [];
  const add = (sql: string, value: string | number) => {
    parts.push(sql);
    bindings.push(value);
  };
  if (selection.traceId !== undefined) add("e.trace = (select ordinal from traces where trace_id = ?)", selection.traceId);
  if (selection.afterSeq !== undefined) add("e.seq > ?", selection.afterSeq);
  if (selection.beforeSeq !== undefined) add("e.seq < ?", selection.beforeSeq);
  if (selection.afterSequence !== undefined) add("e.sequence > ?", selection.afterSequence);
  if (selection.severity !== undefined) add("e.severity >= ?", severities.indexOf(selection.severity));
  if (selection.types !== undefined) {
    const ids = selection.types.map((name) => db.get<{ id: number }>("select id from event_types where name = ?", name)?.id ?? -1);
    parts.push(`e.type in (${ids.join(", ") || "-1"})`);
  }
  return { where: parts.join(" and "), bindings };
}

export function findEvent(db: Connection, eventId: string): StoredEvent | null {
  if (!isUuid(eventId)) return null;
  const row = db.get<EventRow>(`${eventColumns} where e.event_id = ?`, idBytes(eventId));
  return row === null ? null : toStored(row);
}

export function findEventBytes(db: Connection, seq: number): Uint8Array | null {
  return db.get<{ bytes: Uint8Array }>("select cast(body as blob) as bytes from events where seq = ?", seq)?.bytes ?? null;
}

type HeadRow = { ordinal: number; trace_id: string; subject: Subject; subject_id: string; events: number; last_hash: Uint8Array; last_time: number };

function toHead(row: HeadRow): TraceHead {
  return {
    ordinal: row.ordinal,
    traceId: row.trace_id,
    subject: row.subject,
    subjectId: row.subject_id,
    events: row.events,
    lastHash: toHex(row.last_hash),
    lastTime: row.last_time,
  };
}

/** Not being removed. */
const isThere = "not exists (select 1 from burials b where b.trace = t.ordinal)";

export function findTrace(db: Connection, traceId: string): TraceHead | null {
  const row = db.get<HeadRow>(`select * from traces t where trace_id = ? and ${isThere}`, traceId);
  return row === null ? null : toHead(row);
}

export function selectTraces(db: Connection, selection: { subject?: Subject; beforeOrdinal?: number; limit: number }): TraceHead[] {
  const before = selection.beforeOrdinal ?? Number.MAX_SAFE_INTEGER;
  const rows =
    selection.subject === undefined
      ? db.all<HeadRow>(`select * from traces t where ordinal < ? and ${isThere} order by ordinal desc limit ?`, before, selection.limit)
      : db.all<HeadRow>(
          `select * from traces t where subject = ? and ordinal < ? and ${isThere} order by ordinal desc limit ?`,
          selection.subject,
          before,
          selection.limit,
        );
  return rows.map(toHead);
}

export function lastSeq(db: Connection): number {
  return db.get<{ last_seq: number }>("select last_seq from ledger_state where id = 1")?.last_seq ?? 0;
}

const triggerText = /^create trigger (\w+)[\s\S]*?^end;/gm;
const inOneLine = (sql: string): string => sql.toLowerCase().replaceAll(/\s+/g, " ").replace(/;$/, "");

/** A guard counts when it stands as the migrations wrote it: one that was softened guards nothing. */
export function missingGuards(db: Connection): string[] {
  const rows = db.all<{ name: string; sql: string }>("select name, sql from sqlite_schema where type = 'trigger'");
  const there = new Map(rows.map((row) => [row.name, inOneLine(row.sql)]));
  // A later migration may have written one anew: its last text counts.
  const wanted = new Map(migrations.flatMap(({ sql }) => [...sql.matchAll(triggerText)].map(([text, name]) => [name ?? "", inOneLine(text)])));
  return [...wanted].filter(([name, text]) => there.get(name) !== text).map(([name]) => name);
}
