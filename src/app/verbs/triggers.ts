// Verbs on triggers: list them, show what did not fire, fire one now, start what a range of times did not.
import { toIso, toIsoOrNull } from "../../base/index.ts";
import { type Caller, principalText, type Started, type TriggerDefinition, type TriggerItem, type TriggerList } from "../../model/index.ts";
import type { RowOf } from "../../storage/index.ts";
import { nextCronTime } from "../../workflow/index.ts";
import type { AppContext } from "../context.ts";
import type { FireRequest, Page } from "../facade.ts";
import { pageTriggers } from "../triggers/armed-triggers.ts";
import { newestRun } from "../triggers/health.ts";
import { requireTrigger } from "../triggers/require-trigger.ts";
import { startByTrigger } from "../triggers/start.ts";

export function listTriggers(context: AppContext, query: Page & { workflow?: string }): Promise<TriggerList> {
  return pageTriggers(context, query, async ({ row, trigger }) => ({
    ...toItem(context, row, trigger),
    last: await lastOf(context, row.id, trigger),
  }));
}

/** The time at which a trigger fires next, by the clock alone; null where no time is known. */
export function nextTime(context: AppContext, row: Pick<RowOf<"workflows">, "enabled" | "armed">, trigger: TriggerDefinition): string | null {
  if (trigger.type !== "cron" || row.enabled === 0 || row.armed === 0) return null;
  return toIsoOrNull(nextCronTime(trigger, context.clock.now()));
}

function toItem(context: AppContext, row: RowOf<"workflows">, trigger: TriggerDefinition): Omit<TriggerItem, "last"> {
  const { id, type } = trigger;
  const none = { cron: null, timezone: null, catchUp: null, method: null, path: null, paths: null };
  const own =
    type === "cron"
      ? { cron: trigger.cron, timezone: trigger.timezone, catchUp: trigger.catchUp }
      : type === "webhook"
        ? { method: trigger.method, path: trigger.path }
        : { paths: trigger.paths };
  return { workflowId: row.id, id, type, enabled: row.enabled === 1, ...none, ...own, next: nextTime(context, row, trigger) };
}

async function lastOf(context: AppContext, workflow: string, trigger: TriggerDefinition): Promise<TriggerItem["last"]> {
  if (trigger.type === "cron") {
    const run = await newestRun(context, { workflow, trigger: trigger.id }, ["started", "skipped", "missed"]);
    return run === null ? null : { scheduledAt: toIso(run.scheduled_at), executionId: run.execution_id, state: run.state };
  }
  const [execution] = await context.store.listExecutions({ workflow, trigger: trigger.id, limit: 1 });
  if (execution === undefined) return null;
  return { scheduledAt: toIsoOrNull(execution.scheduled_at), executionId: execution.execution_id, state: "started" };
}

/** Starts what the trigger would start at this moment, whatever its time. @throws as `requireTrigger` and `startByTrigger` */
export async function fireTrigger(context: AppContext, caller: Caller, request: FireRequest): Promise<Started> {
  const { trigger } = await requireTrigger(context, { workflow: request.workflow, trigger: request.trigger ?? null });
  return startByTrigger(context, caller, {
    workflow: request.workflow,
    trigger,
    scheduledAt: trigger.type === "cron" ? context.clock.now() : null,
    data: null,
    by: principalText(caller.principal),
    onMisfit: "throw",
    sideChanges: () => [],
  });
}
