// What becomes of the times that came while nobody looked: which of them are started after all, and which are recorded as missed.
import { limits, toIso } from "../../base/index.ts";
import type { Caller } from "../../model/index.ts";
import { newestCronTimes, nextCronTime } from "../../workflow/index.ts";
import { type AppContext, systemEvent, systemOpens } from "../context.ts";
import { dueState, runChange, wasTaken } from "./due-runs.ts";
import type { CronEntry } from "./trigger-heap.ts";

/** Times in milliseconds, oldest first. `older`: the first and the last of those that are told of together. */
export type CatchUp = { start: number[]; missed: number[]; older: { first: number; last: number } | null };

/**
 * Of the times in (after, until] and those that are known to have been due: `all` starts the newest thousand, `last` the newest one,
 * `none` none. `hasNewer`: a newer time is being started already, so `last` has nothing to add.
 */
export function planCatchUp(entry: CronEntry, range: { after: number; until: number; known: readonly number[]; hasNewer: boolean }): CatchUp {
  const { after, until, known, hasNewer } = range;
  const max = entry.catchUp === "all" ? limits.catchUpRunsMax : limits.missedRunsMax;
  const { times, more } = after >= until ? { times: [], more: false } : newestCronTimes(entry, { after, until }, max);
  const all = [...new Set([...known.filter((at) => at <= until), ...times])].toSorted((a, b) => a - b);
  const kept = all.slice(-max);
  const oldest = Math.min(
    known[0] ?? Number.POSITIVE_INFINITY,
    more ? (nextCronTime(entry, after) ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY,
  );
  const from = kept[0] ?? until;
  const older = oldest < from ? { first: oldest, last: lastBefore(entry, oldest, from) } : null;
  if (entry.catchUp === "all") return { start: kept, missed: [], older };
  const count = entry.catchUp === "last" && !hasNewer ? 1 : 0;
  return { start: kept.slice(kept.length - count), missed: kept.slice(0, kept.length - count), older };
}

function lastBefore(entry: CronEntry, first: number, before: number): number {
  return newestCronTimes(entry, { after: first, until: before - 1 }, 1).times[0] ?? first;
}

/** Makes it durable: the missed ones told of, those to be started stored as due. */
export async function recordCatchUp(context: AppContext, caller: Caller, entry: CronEntry, { start, missed, older }: CatchUp): Promise<void> {
  const { workflow, trigger } = entry;
  context.session.ensure();
  if (older !== null) await recordOlder(context, caller, entry, older);
  for (const scheduledAt of missed) await recordMissed(context, caller, { workflow, trigger, scheduledAt });
  for (const scheduledAt of start) {
    const run = { workflow, trigger, scheduledAt };
    if ((await context.store.findDueRun(run)) !== null) continue;
    await context.ledger.commit({ events: [], sideChanges: [runChange(run, null, dueState)] }).catch(unlessTaken);
  }
}

async function recordMissed(context: AppContext, caller: Caller, run: { workflow: string; trigger: string; scheduledAt: number }): Promise<void> {
  const found = await context.store.findDueRun(run);
  if (found !== null && found.state !== "due") return;
  const payload = { workflow: run.workflow, trigger: run.trigger, scheduled_at: toIso(run.scheduledAt) };
  const events = [systemEvent(context, caller, { type: "trace.trigger.missed", payload })];
  const sideChanges = [runChange(run, found?.state ?? null, { state: "missed", execution_id: null, reason: null })];
  await context.ledger.commit({ events, opens: systemOpens(context), sideChanges }).catch(unlessTaken);
}

/** One event for all of them; only those that were stored as due have rows to change. */
async function recordOlder(context: AppContext, caller: Caller, entry: CronEntry, older: { first: number; last: number }): Promise<void> {
  const { workflow, trigger } = entry;
  const rows = await context.store.listDueRuns({ workflow, trigger, states: ["due"], until: older.last, order: "asc", limit: limits.catchUpRunsMax });
  const sideChanges = rows.map((row) =>
    runChange({ workflow, trigger, scheduledAt: row.scheduled_at }, "due", { state: "missed", execution_id: null, reason: null }),
  );
  const payload = { workflow, trigger, scheduled_at: toIso(older.first), until: toIso(older.last) };
  const events = [systemEvent(context, caller, { type: "trace.trigger.missed", payload })];
  await context.ledger.commit({ events, opens: systemOpens(context), sideChanges }).catch(unlessTaken);
}

function unlessTaken(cause: unknown): void {
  if (!wasTaken(cause)) throw cause;
}
