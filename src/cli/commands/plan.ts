// plan FILE: what a run would do. Nothing runs.
import { fail } from "../../base/index.ts";
import type { WorkflowDefinition } from "../../model/index.ts";
import { checkGivenInputs, type PlanFacts, planWorkflow, renderPlan } from "../../workflow/index.ts";
import type { CliContext } from "../context.ts";
import { parsePairs, readInputsFile } from "../option-values.ts";
import { visible } from "../render/visible.ts";
import { readSource } from "../source-file.ts";
import { findInstalled, requireDefinition } from "../workflow-source.ts";

export async function planFile(context: CliContext, values: { file: string; input: string[]; inputs: string | null }): Promise<void> {
  const source = readSource(context, values.file);
  const definition = await requireDefinition(context, source, "plan");
  const given = { texts: parsePairs("--input", values.input), values: await readInputsFile(context, values.inputs) };
  const { inputs, diagnostics } = checkGivenInputs(definition, given);
  // Without any inputs the plan shows what is open; with some, they must fit.
  const isOpen = diagnostics.length > 0 && Object.keys(given.texts).length + Object.keys(given.values).length === 0;
  if (diagnostics.length > 0 && !isOpen)
    throw fail("INPUT_INVALID", `Cannot plan "${definition.id}": the inputs do not fit`, { details: { diagnostics } });
  const loaded = await context.loadConfig();
  const plan = planWorkflow(definition, {
    now: context.io.now(),
    inputs: isOpen ? null : inputs,
    ...(await findActions(context, definition)),
    folder: source.folder,
    ceiling: loaded.config.plugins.permissions,
  });
  if (isOpen) for (const found of diagnostics) context.note(visible(`${found.path}: ${found.message}`));
  if (context.common.json) return context.printJson(plan);
  context.print(`${visible(renderPlan(plan)).trimEnd()}\n`);
}

// The plugins are looked for only where a task uses one.
async function findActions(context: CliContext, definition: WorkflowDefinition): Promise<Pick<PlanFacts, "findAction" | "findProblem">> {
  const { tasks, onFailure, finally: last } = definition;
  if ([...tasks, ...onFailure, ...last].every(({ action }) => action.startsWith("core/"))) return {};
  return findInstalled(context, definition);
}
