// Triggers that should have fired and did not: cron triggers that are overdue, missed or skipped and not made up for; others that cannot fire.
import { type ErrorCode, isCoded, toIso, toIsoOrNull } from "../../base/index.ts";
import type { CronTrigger, FileTrigger, TriggerHealth, UnfiredTrigger, WebhookTrigger } from "../../model/index.ts";
import type { DueRunState, RowOf } from "../../storage/index.ts";
import { nextCronTime } from "../../workflow/index.ts";
import type { AppContext } from "../context.ts";
import type { Page } from "../facade.ts";
import { pageTriggers } from "./armed-triggers.ts";
import { lookAt, placesOf } from "./watched-places.ts";

/** A start takes moments: what is due for longer waits for somebody. */
const overdueMs = 15_000;
/** A missed time is shown for a day, and for as long as nothing was started since. */
const shownMs = 86_400_000;

export async function readTriggerHealth(context: AppContext, query: Page): Promise<TriggerHealth> {
  const since = await context.store.schedulesSince();
  return pageTriggers(context, query, async ({ row, trigger }) =>
    row.enabled === 0
      ? null
      : trigger.type === "cron"
        ? findUnfired(context, { workflow: row, trigger, from: Math.max(row.updated_at, since) })
        : findHindered(context, row, trigger),
  );
}

/** What goes by no time cannot be late, but there may be a reason why it cannot fire. */
async function findHindered(context: AppContext, row: RowOf<"workflows">, trigger: WebhookTrigger | FileTrigger): Promise<UnfiredTrigger | null> {
  const reason = trigger.type === "webhook" ? await problemOfHook(context, trigger) : await problemOfFiles(row, trigger);
  if (reason === null) return null;
  const [last] = await context.store.listExecutions({ workflow: row.id, trigger: trigger.id, limit: 1 });
  return { workflowId: row.id, id: trigger.id, expectedAt: null, lastFiredAt: toIsoOrNull(last?.created_at ?? null), reason };
}

/** Senders are not told that the secret is missing; here it shows. */
async function problemOfHook({ store }: AppContext, { secret }: WebhookTrigger): Promise<ErrorCode | null> {
  return (await store.findSecret(secret)) === null ? "SECRETS_MISSING" : null;
}

async function problemOfFiles({ folder }: RowOf<"workflows">, trigger: FileTrigger): Promise<ErrorCode | null> {
  try {
    const { problems } = await lookAt(placesOf(trigger, folder));
    return problems[0]?.code ?? null;
  } catch (cause) {
    if (isCoded(cause)) return cause.code;
    throw cause;
  }
}

type Watched = { workflow: RowOf<"workflows">; trigger: CronTrigger; from: number };

async function findUnfired(context: AppContext, { workflow, trigger, from }: Watched): Promise<UnfiredTrigger | null> {
  const now = context.clock.now();
  const newest = (states: readonly DueRunState[]) => newestRun(context, { workflow: workflow.id, trigger: trigger.id }, states);
  const fired = (await newest(["started"]))?.scheduled_at ?? null;
  const shown = (expectedAt: number, reason: string): UnfiredTrigger => ({
    workflowId: workflow.id,
    id: trigger.id,
    expectedAt: toIso(expectedAt),
    lastFiredAt: toIsoOrNull(fired),
    reason,
  });
  const failed = await newest(["missed", "skipped"]);
  const waiting = (await context.store.listWaitingRuns(workflow.id)).filter((run) => run.trigger === trigger.id).map((run) => run.scheduled_at);
  // Without a stored time nobody has planned since the last one.
  const expected = waiting[0] ?? nextCronTime(trigger, Math.max(from, fired ?? 0, failed?.scheduled_at ?? 0));
  if (expected !== null && expected < now - overdueMs) return shown(expected, "OVERDUE");
  if (failed === null) return null;
  const isOld = failed.scheduled_at < now - shownMs;
  // One start stands for all that were missed before it.
  const isMadeUp = fired !== null && fired > failed.scheduled_at && (isOld || trigger.catchUp === "last");
  return isMadeUp ? null : shown(failed.scheduled_at, failed.state === "missed" ? "MISSED" : (failed.reason ?? "INTERNAL"));
}

/** The newest run of a trigger in one of the states. */
export async function newestRun(
  { store }: AppContext,
  at: { workflow: string; trigger: string },
  states: readonly DueRunState[],
): Promise<RowOf<"due_runs"> | null> {
  const [found] = await store.listDueRuns({ ...at, states, order: "desc", limit: 1 });
  return found ?? null;
}
