// Reads of the due runs, and their end: what is older than any backfill may reach leaves.
import type { RowOf } from "../changes.ts";
import type { DueRunSelection } from "../ports.ts";
import type { Connection } from "./database.ts";

const selectOne = `select * from due_runs where workflow = ? and "trigger" = ? and scheduled_at = ?`;
const selectWaiting = `select * from due_runs where state = 'due' order by workflow, "trigger", scheduled_at`;
const selectWaitingOf = `select * from due_runs where state = 'due' and workflow = ? order by workflow, "trigger", scheduled_at`;
const deleteOld = "delete from due_runs where scheduled_at < ?";
/** Triggers can first have fired when the store learned to keep their times. */
const selectSince = "select applied_at from migrations where name = 'due_runs'";

export function findDueRun(db: Connection, at: { workflow: string; trigger: string; scheduledAt: number }): RowOf<"due_runs"> | null {
  return db.get<RowOf<"due_runs">>(selectOne, at.workflow, at.trigger, at.scheduledAt);
}

export function selectWaitingRuns(db: Connection, workflow: string | null): RowOf<"due_runs">[] {
  return workflow === null ? db.all<RowOf<"due_runs">>(selectWaiting) : db.all<RowOf<"due_runs">>(selectWaitingOf, workflow);
}

export function selectDueRuns(db: Connection, selection: DueRunSelection): RowOf<"due_runs">[] {
  const { workflow, trigger, states, since = 0, until = Number.MAX_SAFE_INTEGER, order, limit } = selection;
  const sql =
    `select * from due_runs where workflow = ? and "trigger" = ? and scheduled_at between ? and ?` +
    ` and state in (${states.map(() => "?").join(", ")}) order by scheduled_at ${order === "asc" ? "asc" : "desc"} limit ?`;
  return db.all<RowOf<"due_runs">>(sql, workflow, trigger, since, until, ...states, limit);
}

export function sweepDueRuns(db: Connection, before: number): number {
  return db.run(deleteOld, before);
}

export function schedulesSince(db: Connection): number {
  return db.get<{ applied_at: number }>(selectSince)?.applied_at ?? 0;
}
