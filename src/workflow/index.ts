export {
  checkGivenInputs,
  checkInputs,
  type CheckedInputs,
  type GivenInputs,
  type InputDiagnostic,
  parseInputText,
  requireInputs,
} from "./check-inputs.ts";
export { describeProblem, type FindActionProblem, pluginOf } from "./check/action-problem.ts";
export { actionPattern } from "./check/keys.ts";

export { didYouMean, findNearest } from "./check/nearest.ts";
export { type FindAction, shellAction } from "./check/task-form.ts";
export { type CompiledTask, type CompiledWorkflow, compileWorkflow } from "./compile-workflow.ts";
export { graphFormats, type GraphFormat, renderGraph } from "./draw/render-graph.ts";
export type { Scope } from "./expression/scope.ts";
export { type Condition, createTemplate, type Template } from "./expression/template.ts";
export { linearPattern } from "./expression/pattern.ts";
export {
  type Imported,
  type ImportedWorkflow,
  importKinds,
  type ImportNote,
  importWorkflow,
} from "./import/import-workflow.ts";
export { parseWorkflow, type ParsedWorkflow, type ParseOptions } from "./parse-workflow.ts";
export { type PlanFacts, type PlannedTask, planWorkflow, type WorkflowPlan } from "./plan-workflow.ts";
export { withDefaults } from "./schema/defaults.ts";
export { newestCronTimes, nextCronTime, nextCronTimes } from "./schedule/cron-times.ts";
export { checkSchema, findSchemaProblem } from "./schema/schema-check.ts";
export type { SchemaFinding } from "./schema/simple-schema.ts";
export { sensitiveTexts } from "./sensitive-texts.ts";
export { formatWorkflow } from "./show/format-workflow.ts";
export { renderDiagnostics } from "./show/render-diagnostics.ts";
export { renderPlan } from "./show/render-plan.ts";
export { renderSarif } from "./show/render-sarif.ts";
export { workflowJsonSchema } from "./show/workflow-json-schema.ts";
export { hasTriggers, type UnavailablePart, unavailableParts } from "./unavailable-parts.ts";
