// Source text to a checked workflow: text → raw tree → checks → definition. Findings are collected over all steps that can run.
import { limits } from "../base/index.ts";
import { type Diagnostic, findCoreAction, type WorkflowDefinition } from "../model/index.ts";
import { buildDefinition } from "./build-definition.ts";
import { reportUnavailable } from "./check/availability.ts";
import type { FindActionProblem } from "./check/action-problem.ts";
import { checkWorkflow } from "./check/check-workflow.ts";
import type { FindAction } from "./check/task-form.ts";
import { readYaml } from "./source/read-yaml.ts";
import { createReport } from "./source/report.ts";
import { createSourceText, decodeSource } from "./source/source-text.ts";
import { partsNotRun } from "./unavailable-parts.ts";

export type ParseOptions = {
  /** Name of the source in findings. */
  file: string;
  /** Whether relative filesystem entries have a folder to start from. */
  hasFolder: boolean;
  /** The id that the source must have, such as that of a route. */
  expectId?: string;
  /** Actions beside the built-in ones; null for one that is not installed. */
  findAction: FindAction;
  /** Why an action of a plugin would not run here; without it only whether it is installed is known. */
  findProblem?: FindActionProblem;
  /** Whether the configuration names an image for tasks in containers that name none. */
  hasImage?: boolean;
  /** Adds a warning for every part that this version cannot run yet, where there is no error. */
  availability?: boolean;
};

export type ParsedWorkflow = { definition: WorkflowDefinition | null; diagnostics: Diagnostic[] };

function isTooLarge(source: string | Uint8Array): boolean {
  const atLeast = source.length;
  if (atLeast > limits.workflowBytesMax) return true;
  return typeof source === "string" && atLeast * 3 > limits.workflowBytesMax && Buffer.byteLength(source) > limits.workflowBytesMax;
}

/** Checks a YAML or JSON source. `definition` is null exactly when a finding is an error. */
export function parseWorkflow(source: string | Uint8Array, options: ParseOptions): ParsedWorkflow {
  const tooLarge = isTooLarge(source);
  const decoded = tooLarge ? "" : decodeSource(source);
  const text = createSourceText(decoded ?? "", options.file);
  const report = createReport(text);
  const start = { start: 0, end: 0 };
  if (tooLarge) report.add({ code: "YAML_LIMIT", path: "", message: `The file has more than ${limits.workflowBytesMax} bytes`, at: start });
  else if (decoded === null) report.add({ code: "YAML_SYNTAX", path: "", message: "The file is not UTF-8", at: start });
  const root = report.hasErrors() ? null : readYaml(text, report);
  const form = root === null ? {} : checkWorkflow(root, { ...options, source: text, report });
  const definition = report.hasErrors() ? null : buildDefinition(form);
  if (options.availability === true && root !== null && definition !== null) {
    reportUnavailable(
      root,
      partsNotRun(definition, (name) => options.findAction(name) ?? findCoreAction(name)),
      report,
    );
  }
  return { definition, diagnostics: report.list() };
}
