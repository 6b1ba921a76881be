// Reads of what webhooks and file triggers were given already, and the end of it.
import type { RowOf } from "../changes.ts";
import type { Connection } from "./database.ts";

const selectDelivery = `select * from deliveries where workflow = ? and "trigger" = ? and delivery_id = ? and expires_at > ?`;
const deleteDeliveries = "delete from deliveries where expires_at <= ?";
const selectWatch = `select * from watches where workflow = ? and "trigger" = ?`;
const selectWatches = `select * from watches order by workflow, "trigger"`;
const selectFile = `select * from watched_files where workflow = ? and "trigger" = ? and path = ?`;
const selectFiles = `select * from watched_files where workflow = ? and "trigger" = ? and path > ? order by path limit ?`;

export function findDelivery(db: Connection, at: { workflow: string; trigger: string; deliveryId: string; now: number }): RowOf<"deliveries"> | null {
  return db.get<RowOf<"deliveries">>(selectDelivery, at.workflow, at.trigger, at.deliveryId, at.now);
}

export function sweepDeliveries(db: Connection, now: number): number {
  return db.run(deleteDeliveries, now);
}

export function findWatch(db: Connection, workflow: string, trigger: string): RowOf<"watches"> | null {
  return db.get<RowOf<"watches">>(selectWatch, workflow, trigger);
}

export function listWatches(db: Connection): RowOf<"watches">[] {
  return db.all<RowOf<"watches">>(selectWatches);
}

export function findWatchedFile(db: Connection, at: { workflow: string; trigger: string; path: string }): RowOf<"watched_files"> | null {
  return db.get<RowOf<"watched_files">>(selectFile, at.workflow, at.trigger, at.path);
}

export function listWatchedFiles(
  db: Connection,
  at: { workflow: string; trigger: string; afterPath: string; limit: number },
): RowOf<"watched_files">[] {
  return db.all<RowOf<"watched_files">>(selectFiles, at.workflow, at.trigger, at.afterPath, at.limit);
}

export function forgetWatches(db: Connection, workflow: string, keeps: readonly string[]): void {
  const others = keeps.length === 0 ? "" : ` and "trigger" not in (${keeps.map(() => "?").join(", ")})`;
  db.atomically(() => {
    for (const table of ["watched_files", "watches"]) db.run(`delete from ${table} where workflow = ?${others}`, workflow, ...keeps);
  });
}
