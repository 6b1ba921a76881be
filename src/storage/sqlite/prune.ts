// Removes what clean-up took: finds executions that ended, takes the rows of buried traces in portions, and gives pages back.
// A trace leaves from its newest event down, so that what is left of one is the beginning of a chain.
import { rmSync, statSync } from "node:fs";
import { toHex } from "../../base/index.ts";
import type { EndedExecution, RemovalStore, RemovedRows } from "../ports.ts";
import { type BlobPlace, fileOf, isNamed } from "./blobs.ts";
import type { Connection } from "./database.ts";

const selectEndedPage =
  "select e.execution_id, e.ended_at, t.events, t.last_hash," +
  " (select seq from events where trace = t.ordinal and sequence = 0) as first_seq," +
  " (select seq from events where trace = t.ordinal and sequence = t.events - 1) as last_seq" +
  " from executions e join traces t on t.trace_id = e.execution_id" +
  " where e.state = ? and e.ended_at <= ? and (e.ended_at, e.execution_id) > (?, ?) and e.ended_at is not null" +
  " and (e.parent is null or not exists (select 1 from executions p" +
  " where p.execution_id = json_extract(e.parent, '$.execution_id') and p.ended_at is null))" +
  " order by e.ended_at, e.execution_id limit ?";

type EndedRow = { execution_id: string; ended_at: number; events: number; last_hash: Uint8Array; first_seq: number; last_seq: number };

export function selectEnded(db: Connection, selection: Parameters<RemovalStore["listEnded"]>[0]): EndedExecution[] {
  const { state, until, after = { endedAt: -1, executionId: "" }, limit } = selection;
  return db.all<EndedRow>(selectEndedPage, state, until, after.endedAt, after.executionId, limit).map((row) => ({
    executionId: row.execution_id,
    endedAt: row.ended_at,
    events: row.events,
    firstSeq: row.first_seq,
    lastSeq: row.last_seq,
    lastHash: toHex(row.last_hash),
  }));
}

const selectRestarted =
  "select distinct json_extract(f.body, '$.payload.restarted_from.execution_id') as id" +
  " from executions e join traces t on t.trace_id = e.execution_id join events f on f.trace = t.ordinal and f.sequence = 0" +
  " where e.ended_at is null and instr(f.body, '\"restarted_from\":') > 0";

export function selectRestartedFrom(db: Connection): string[] {
  return db.all<{ id: string | null }>(selectRestarted).flatMap(({ id }) => id ?? []);
}

/** Tables that hold rows of one execution. `idempotency` keeps its: they say that a start was made, and expire by themselves. */
export const tablesOfExecution = ["task_runs", "attempts", "sealed_values", "commands"] as const;

type Buried = { ordinal: number; trace_id: string; last_time: number };
type Loose = { sha256: string; lastTime: number };
type Portion = { left: number; blobs: number; loose: Loose[]; traceIds: string[] };

const selectBuried = "select t.ordinal, t.trace_id, t.last_time from burials b join traces t on t.ordinal = b.trace order by b.trace limit 1";

/** One transaction, and then the files of its blobs. What a crash leaves between the two no row names: the sweep at start takes it. */
export function removeBuried(db: Connection, folder: BlobPlace, rowsMax: number): Omit<RemovedRows, "traces"> & { traceIds: string[] } {
  const portion: Portion = { left: rowsMax, blobs: 0, loose: [], traceIds: [] };
  const isDone = db.atomically(() => {
    for (;;) {
      const buried = db.get<Buried>(selectBuried);
      if (buried === null) return true;
      if (portion.left <= 0 || !removeRows(db, buried, portion)) return false;
    }
  });
  if (folder !== null) removeFiles(db, folder, portion.loose);
  return { rows: rowsMax - portion.left, blobs: portion.blobs, isDone, traceIds: portion.traceIds };
}

/** True when nothing is left of the trace. */
function removeRows(db: Connection, { ordinal, trace_id: id, last_time: lastTime }: Buried, portion: Portion): boolean {
  const take = (sql: string, key: string | number): boolean => {
    if (portion.left > 0) portion.left -= db.run(sql, key, portion.left);
    return portion.left > 0;
  };
  if (!take("delete from logs where id in (select id from logs where trace = ? limit ?)", ordinal)) return false;
  for (const table of tablesOfExecution)
    if (!take(`delete from ${table} where rowid in (select rowid from ${table} where execution_id = ? limit ?)`, id)) return false;
  if (!removeUses(db, { ordinal, lastTime }, portion)) return false;
  if (!take("delete from events where seq in (select seq from events where trace = ? order by sequence desc limit ?)", ordinal)) return false;
  db.run("delete from claims where resource = ?", `execution:${id}`);
  db.run("delete from burials where trace = ?", ordinal);
  db.run("delete from traces where ordinal = ?", ordinal);
  portion.left -= 1;
  portion.traceIds.push(id);
  return true;
}

/** Bytes of a blob's row that are as much work as one other row. */
const bytesOfARow = 16 * 1024;

/** A blob leaves with the last trace that names it. */
function removeUses(db: Connection, { ordinal, lastTime }: { ordinal: number; lastTime: number }, portion: Portion): boolean {
  while (portion.left > 0) {
    const use = db.get<{ sha256: string }>("select sha256 from blob_uses where trace = ? limit 1", ordinal);
    if (use === null) return true;
    const { sha256 } = use;
    db.run("delete from blob_uses where sha256 = ? and trace = ?", sha256, ordinal);
    portion.left -= 1;
    if (db.get("select 1 from blob_uses where sha256 = ? limit 1", sha256) !== null) continue;
    const blob = db.get<{ size: number; in_row: 0 | 1 }>("select size, bytes is not null as in_row from blobs where sha256 = ?", sha256);
    if (blob === null) continue;
    db.run("delete from blobs where sha256 = ?", sha256);
    portion.blobs += 1;
    if (blob.in_row === 1) portion.left -= Math.ceil(blob.size / bytesOfARow);
    else portion.loose.push({ sha256, lastTime });
  }
  return false;
}

/** A large blob's file is written a little after the time of the event that names it. */
const writeMsMax = 60_000;

/**
 * Under the write lock, so that nobody names one meanwhile. A file that was touched after its last trace had ended is about to be
 * named by another process: it stays, and when nobody does, the sweep takes it.
 */
function removeFiles(db: Connection, folder: string, loose: readonly Loose[]): void {
  if (loose.length === 0) return;
  db.atomically(() => {
    for (const { sha256, lastTime } of loose) {
      const path = fileOf(folder, sha256);
      const status = statSync(path, { throwIfNoEntry: false });
      if (status === undefined || status.mtimeMs > lastTime + writeMsMax || isNamed(db, sha256)) continue;
      rmSync(path, { force: true });
    }
  });
}

/** Unused pages that stay in the file: the next rows take them, and a file that shrinks and grows is work for nothing. */
const sparePagesMin = 4096;
const spareShare = 4;

const numberOf = (db: Connection, pragma: string): number => Object.values(db.get<Record<string, number>>(`pragma ${pragma}`) ?? {})[0] ?? 0;
const incremental = 2;

/** Does nothing to a file that was made without room for this: docs/cleanup.md says what helps. */
export function releasePages(db: Connection, pagesMax: number): number {
  if (numberOf(db, "auto_vacuum") !== incremental) return 0;
  const [unused, pages] = [numberOf(db, "freelist_count"), numberOf(db, "page_count")];
  const count = Math.min(Math.trunc(pagesMax), unused - Math.max(sparePagesMin, Math.ceil((pages - unused) / spareShare)));
  if (count <= 0) return 0;
  db.script(`pragma incremental_vacuum(${count})`);
  return unused - numberOf(db, "freelist_count");
}
