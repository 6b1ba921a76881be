// Executions that a task of another one starts: how they are started, waited for, and what their end is to the task.
import { fail, isCoded, isObject, limits, toErrorBody } from "../base/index.ts";
import type { Actor, Caller } from "../model/index.ts";
import type { Vault } from "../secrets/index.ts";
import type { RowOf, Store } from "../storage/index.ts";
import { readColumn } from "../trace/index.ts";
import { requireInputs } from "../workflow/index.ts";
import { type Decision, type EngineContext, nothing } from "./decision.ts";
import { type Child, findRun, type Machine } from "./machine.ts";
import type { Plans } from "./plans.ts";
import { endWait, type TaskResult } from "./results.ts";

/** A child that a waiting run has, with what it gets of its parent. */
export type ChildAsk = { parent: Machine; task: string; child: Child };
/** `masks`: what the child's outputs may hold and its parent must not show. */
export type ChildEnd = { result: TaskResult; masks: readonly string[] };

type Deps = { store: Store; plans: Plans; vault: Vault };

/** What a start of the child needs beyond its id. @throws WORKFLOW_NOT_FOUND, WORKFLOW_DISABLED, INPUT_INVALID, TASK_INPUT_INVALID when too deep */
export async function childStart({ store, plans }: Deps, { parent, task, child }: ChildAsk) {
  const { header } = parent;
  const depth = (header.parent?.depth ?? 0) + 1;
  if (depth > limits.workflowRunDepthMax)
    throw fail(
      "TASK_INPUT_INVALID",
      `Cannot run workflow "${child.workflow}": more than ${limits.workflowRunDepthMax} executions would be within each other`,
    );
  const row = await store.findWorkflow(child.workflow);
  if (row === null)
    throw fail("WORKFLOW_NOT_FOUND", `Cannot run workflow "${child.workflow}": no such workflow`, {
      hint: "`workflow list` shows those that are there.",
    });
  if (row.enabled === 0)
    throw fail("WORKFLOW_DISABLED", `Cannot run workflow "${child.workflow}": it is disabled`, { hint: `workflow enable ${child.workflow}` });
  const { plan } = await plans.load(child.workflow, row.revision);
  return {
    workflow: child.workflow,
    revision: row.revision,
    inputs: requireInputs(plan.definition, { texts: {}, values: child.inputs }, "run"),
    trigger: { type: "workflow", id: null, scheduled_at: null, by: header.trigger.by },
    labels: header.labels,
    executionId: child.id,
    timeoutMs: null,
    allow: header.allow,
    parent: { executionId: header.executionId, task, depth },
    masks: parent.masks.texts,
    caller: callerOf(header.actor, header.sessionId),
    sideChanges: [],
  };
}

/** A child acts as who started its parent. */
function callerOf(actor: Actor, sessionId: string): Caller {
  const type = actor.type === "user" || actor.type === "agent" ? actor.type : "service";
  return { principal: { type, id: actor.id }, scopes: new Set(), sessionId, keyId: null };
}

/** What the end of a child is to the task that started it. */
export async function childEnd({ store, vault }: Pick<Deps, "store" | "vault">, row: RowOf<"executions">): Promise<ChildEnd> {
  const { execution_id: executionId, state, workflow } = row;
  const sealed = await vault.openSealed(executionId);
  const find = (member: string) => sealed.find((value) => value.task === null && value.member === member)?.value;
  const masks = (find("masks") ?? []) as string[];
  if (state === "SUCCESS") {
    const outputs = find("outputs") ?? (await readColumn(store, row.outputs));
    return { result: { ok: true, output: { executionId, state, outputs } }, masks };
  }
  const error = await readColumn(store, row.error);
  const why = isObject(error) && typeof error["message"] === "string" ? `: ${error["message"]}` : "";
  const message = `Execution "${executionId}" of workflow "${workflow}" ended with ${state}${why}`;
  const failure = fail("EXECUTION_FAILED", message, { details: { executionId, workflow, state, error } });
  return { result: { ok: false, error: toErrorBody(failure), retryable: true }, masks };
}

/** What could not be started fails the task; whether another try may help its code says. */
export function notStarted(cause: unknown): ChildEnd {
  return { result: { ok: false, error: toErrorBody(cause), retryable: isCoded(cause, "QUEUE_FULL") || isCoded(cause, "NOT_READY") }, masks: [] };
}

/** The task goes on, or fails, with its child; nothing once it does not wait for that child any more. */
export function decideChild(machine: Machine, context: EngineContext, at: { name: string; childId: string; end: ChildEnd }): Decision {
  const run = findRun(machine, at.name);
  if (run === null || run.child?.id !== at.childId || run.state !== "WAITING") return nothing;
  machine.masks.add(at.end.masks);
  return endWait(machine, context, run, at.end.result);
}
