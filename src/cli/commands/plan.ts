// plan FILE: what a run would do. Nothing runs.
import { fail } from "../../base/index.ts";
import { checkGivenInputs, planWorkflow, renderPlan } from "../../workflow/index.ts";
import type { CliContext } from "../context.ts";
import { parsePairs, readInputsFile } from "../option-values.ts";
import { visible } from "../render/visible.ts";
import { readSource } from "../source-file.ts";
import { requireDefinition } from "../workflow-source.ts";

export async function planFile(context: CliContext, values: { file: string; input: string[]; inputs: string | null }): Promise<void> {
  const definition = requireDefinition(context, readSource(context, values.file), "plan");
  const given = { texts: parsePairs("--input", values.input), values: await readInputsFile(context, values.inputs) };
  const { inputs, diagnostics } = checkGivenInputs(definition, given);
  // Without any inputs the plan shows what is open; with some, they must fit.
  const isOpen = diagnostics.length > 0 && Object.keys(given.texts).length + Object.keys(given.values).length === 0;
  if (diagnostics.length > 0 && !isOpen)
    throw fail("INPUT_INVALID", `Cannot plan "${definition.id}": the inputs do not fit`, { details: { diagnostics } });
  const plan = planWorkflow(definition, isOpen ? null : inputs, context.io.now());
  if (isOpen) for (const found of diagnostics) context.note(visible(`${found.path}: ${found.message}`));
  if (context.common.json) return context.printJson(plan);
  context.print(`${visible(renderPlan(plan)).trimEnd()}\n`);
}
