// Starts what the times of a range did not start: never one that was started before.
import { fail, limits, toIso } from "../../base/index.ts";
import { type Backfill, type Caller, principalText } from "../../model/index.ts";
import { newestCronTimes } from "../../workflow/index.ts";
import type { AppContext } from "../context.ts";
import type { BackfillRequest } from "../facade.ts";
import { requireTrigger } from "./require-trigger.ts";
import { startRun } from "./due-runs.ts";

/** Started at the same time, so that they share transactions. */
const batch = 16;

/**
 * `from` and `to` are times in milliseconds and count themselves.
 * @throws WORKFLOW_NOT_FOUND, WORKFLOW_DISABLED, TRIGGER_NOT_FOUND, INPUT_INVALID for a range that is empty, too long ago, not over, or has
 * too many times
 */
export async function backfillTrigger(context: AppContext, caller: Caller, request: BackfillRequest): Promise<Backfill> {
  const { workflow, from, to, dryRun = false } = request;
  const { trigger } = await requireTrigger(context, { workflow, trigger: request.trigger });
  const refuse = (why: string) => fail("INPUT_INVALID", `Cannot backfill trigger "${request.trigger}" of "${workflow}": ${why}`);
  if (trigger.type !== "cron") throw refuse(`it is no cron trigger, but a ${trigger.type} trigger`);
  const now = context.clock.now();
  if (from > to) throw refuse(`the range begins at ${toIso(from)}, after its end at ${toIso(to)}`);
  if (to > now) throw refuse(`the range ends at ${toIso(to)}, and it is only ${toIso(now)}`);
  if (from < now - limits.backfillMsMax) throw refuse("the range begins more than a year ago, and what was started then is no longer known");
  const { times, more } = newestCronTimes(trigger, { after: from - 1, until: to }, limits.catchUpRunsMax);
  if (more) throw refuse(`the range has more than ${limits.catchUpRunsMax} times; take a shorter one`);
  const answer: Backfill = { workflowId: workflow, trigger: trigger.id, dryRun, started: [], skipped: [] };
  const by = principalText(caller.principal);
  for (let index = 0; index < times.length; index += batch) {
    const runs = times.slice(index, index + batch).map((scheduledAt) => ({ workflow, trigger: trigger.id, scheduledAt }));
    await Promise.all(runs.map((run) => backfillOne(context, caller, { run, by, answer })));
  }
  answer.started.sort(byTime);
  answer.skipped.sort(byTime);
  return answer;
}

type One = { run: { workflow: string; trigger: string; scheduledAt: number }; by: string; answer: Backfill };

async function backfillOne(context: AppContext, caller: Caller, { run, by, answer }: One): Promise<void> {
  const scheduledAt = toIso(run.scheduledAt);
  const before = await context.store.findDueRun(run);
  if (before?.state === "started") return void answer.skipped.push({ scheduledAt, reason: "ALREADY_STARTED", executionId: before.execution_id });
  if (answer.dryRun) return void answer.started.push({ scheduledAt, executionId: null, state: null });
  const outcome = await startRun(context, caller, run, { from: ["due", "missed", "skipped"], by });
  if (outcome.kind === "started") return void answer.started.push({ scheduledAt, ...outcome.started });
  if (outcome.kind === "skipped") return void answer.skipped.push({ scheduledAt, reason: outcome.error.code, executionId: null });
  const after = await context.store.findDueRun(run);
  answer.skipped.push({
    scheduledAt,
    reason: outcome.kind === "gone" ? "WORKFLOW_DISABLED" : "ALREADY_STARTED",
    executionId: after?.execution_id ?? null,
  });
}

function byTime(one: { scheduledAt: string }, other: { scheduledAt: string }): number {
  return one.scheduledAt < other.scheduledAt ? -1 : 1;
}
