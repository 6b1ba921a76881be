// A trigger that may start something: of an armed and enabled workflow, as its current revision has it.
import { fail } from "../../base/index.ts";
import type { TriggerDefinition, WorkflowDefinition } from "../../model/index.ts";
import type { RowOf } from "../../storage/index.ts";
import type { AppContext } from "../context.ts";

/** Null for `trigger`: the only one that the workflow has. */
export type TriggerName = { workflow: string; trigger: string | null; type?: TriggerDefinition["type"] };
export type FoundTrigger = { row: RowOf<"workflows">; definition: WorkflowDefinition; trigger: TriggerDefinition };

/** @throws WORKFLOW_NOT_FOUND also for an unarmed one, WORKFLOW_DISABLED, TRIGGER_NOT_FOUND, INPUT_INVALID where no one of several is named */
export async function requireTrigger(context: AppContext, name: TriggerName): Promise<FoundTrigger> {
  const { workflow } = name;
  const row = await context.store.findWorkflow(workflow);
  if (row === null || row.armed === 0) {
    const state = row === null ? "no such workflow" : "its triggers are not armed";
    throw fail("WORKFLOW_NOT_FOUND", `Cannot fire a trigger of "${workflow}": ${state}`, {
      hint: "`workflow apply` stores a workflow and arms its triggers.",
    });
  }
  if (row.enabled === 0)
    throw fail("WORKFLOW_DISABLED", `Cannot fire a trigger of "${workflow}": it is disabled`, { hint: `workflow enable ${workflow}` });
  const { plan } = await context.engine.plans.load(workflow, row.revision);
  return { row, definition: plan.definition, trigger: findTrigger(plan.definition, name) };
}

function findTrigger({ id, triggers }: WorkflowDefinition, { trigger, type }: TriggerName): TriggerDefinition {
  const names = triggers.map((one) => one.id).join(", ");
  if (trigger === null) {
    const [only, another] = triggers;
    if (only !== undefined && another === undefined) return only;
    if (only !== undefined) throw fail("INPUT_INVALID", `Cannot fire a trigger of "${id}": it has several`, { hint: `Name one: ${names}` });
  }
  const found = triggers.find((one) => one.id === trigger && (type === undefined || one.type === type));
  if (found !== undefined) return found;
  throw fail("TRIGGER_NOT_FOUND", `Cannot fire trigger "${trigger ?? ""}" of "${id}": it has no such trigger`, {
    hint: names === "" ? "The workflow has no triggers." : `It has: ${names}`,
  });
}
