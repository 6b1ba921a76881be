// One time of a cron trigger from due to started, skipped or missed. Each step names the state that it found, so that of several servers,
// backfills and catch-ups exactly one takes a time.
import { type ErrorBody, isCoded, toErrorBody, toIso } from "../../base/index.ts";
import type { Caller, Started } from "../../model/index.ts";
import type { DueRunState, RowChange, RowOf, Store } from "../../storage/index.ts";
import { type AppContext, systemEvent, systemOpens } from "../context.ts";
import { startByTrigger } from "./start.ts";

export type CronRun = { workflow: string; trigger: string; scheduledAt: number };
/** `taken`: it was started before, or by another process now. `gone`: nothing is to be started any more. */
export type RunOutcome = { kind: "started"; started: Started } | { kind: "skipped"; error: ErrorBody } | { kind: "taken" } | { kind: "gone" };

/** From the state that was found (null: no row yet) to another. */
export function runChange(run: CronRun, from: DueRunState | null, to: Pick<RowOf<"due_runs">, "state" | "execution_id" | "reason">): RowChange {
  const at = { workflow: run.workflow, trigger: run.trigger, scheduled_at: run.scheduledAt };
  return from === null
    ? { table: "due_runs", op: "insert", row: { ...at, ...to } }
    : { table: "due_runs", op: "update", key: { ...at, state: from }, set: to };
}

export const dueState = { state: "due", execution_id: null, reason: null } as const;

/** Whether another process was first. */
export function wasTaken(cause: unknown): boolean {
  return isCoded(cause, "ALREADY_EXISTS") || isCoded(cause, "FOLD_FAILED");
}

export type RunStart = {
  /** States from which it is started; one with no row yet always is. */
  from: readonly DueRunState[];
  by?: string;
};

/**
 * Starts one time, if nobody did. What cannot start now and will not be tried again is recorded as skipped.
 * @throws STORE_UNAVAILABLE, NOT_READY: it is still due
 */
export async function startRun(context: AppContext, caller: Caller, run: CronRun, { from, by }: RunStart): Promise<RunOutcome> {
  const found = await context.store.findDueRun(run);
  if (found !== null && !from.includes(found.state)) return { kind: "taken" };
  const state = found?.state ?? null;
  try {
    const started = await startByTrigger(context, caller, {
      workflow: run.workflow,
      trigger: { id: run.trigger, type: "cron" },
      scheduledAt: run.scheduledAt,
      data: null,
      onMisfit: "create",
      sideChanges: (executionId) => [runChange(run, state, { state: "started", execution_id: executionId, reason: null })],
      ...(by === undefined ? {} : { by }),
    });
    return { kind: "started", started };
  } catch (cause) {
    // A refusal that left the row as it was is none of another process.
    if (wasTaken(cause) && (await context.store.findDueRun(run))?.state !== found?.state) return { kind: "taken" };
    if (isCoded(cause) && passing.includes(cause.code)) throw cause;
    if (!isCoded(cause) || !gone.includes(cause.code)) return skipRun(context, caller, { run, from: state, error: toErrorBody(cause) });
    if (state === "due") await context.ledger.commit({ events: [], sideChanges: [removal(found)].flat() });
    return { kind: "gone" };
  }
}

const passing: readonly string[] = ["STORE_UNAVAILABLE", "NOT_READY"];
const gone: readonly string[] = ["WORKFLOW_NOT_FOUND", "WORKFLOW_DISABLED", "TRIGGER_NOT_FOUND"];

type Skip = { run: CronRun; from: DueRunState | null; error: ErrorBody };

async function skipRun(context: AppContext, caller: Caller, { run, from, error }: Skip): Promise<RunOutcome> {
  const { workflow, trigger, scheduledAt } = run;
  const { code, kind, message } = error;
  const payload = { workflow, trigger, scheduled_at: toIso(scheduledAt), error: { code, kind, message } };
  const row = runChange(run, from, { state: "skipped", execution_id: null, reason: code });
  context.session.ensure();
  try {
    const events = [systemEvent(context, caller, { type: "trace.trigger.skipped", payload })];
    await context.ledger.commit({ events, opens: systemOpens(context), sideChanges: [row] });
  } catch (cause) {
    if (wasTaken(cause)) return { kind: "taken" };
    throw cause;
  }
  return { kind: "skipped", error };
}

function removal(row: RowOf<"due_runs"> | null): RowChange[] {
  if (row === null) return [];
  const { workflow, trigger, scheduled_at, state } = row;
  return [{ table: "due_runs", op: "delete", key: { workflow, trigger, scheduled_at, state } }];
}

/** Takes back what a workflow's triggers have before them: times that come while it is disabled are not made up for. */
export async function waitingRemovals(
  store: Store,
  workflow: string,
  keeps: (row: RowOf<"due_runs">) => boolean = () => false,
): Promise<RowChange[]> {
  const rows = await store.listWaitingRuns(workflow);
  return rows.filter((row) => !keeps(row)).flatMap(removal);
}
