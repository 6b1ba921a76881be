// Short ways to parse a source in tests, and to write a finding as one line.
import type { Diagnostic, WorkflowDefinition } from "../../../src/model/index.ts";
import { type FindAction, type FindActionProblem, parseWorkflow } from "../../../src/workflow/index.ts";

export type CheckOptions = { hasFolder?: boolean; expectId?: string; findAction?: FindAction; findProblem?: FindActionProblem };

export function check(source: string | Uint8Array, options: CheckOptions = {}): { definition: WorkflowDefinition | null; diagnostics: Diagnostic[] } {
  const { hasFolder = true, findAction = () => null, findProblem, expectId } = options;
  return parseWorkflow(source, {
    file: "w.yaml",
    hasFolder,
    findAction,
    ...(expectId === undefined ? {} : { expectId }),
    ...(findProblem === undefined ? {} : { findProblem }),
  });
}

/** `CODE path line:column`, a warning with `?` before it. */
export function short(found: Diagnostic): string {
  return `${found.severity === "warning" ? "?" : ""}${found.code} ${found.path === "" ? "-" : found.path} ${found.line}:${found.column}`;
}

export function findings(source: string | Uint8Array, options: CheckOptions = {}): string[] {
  return check(source, options).diagnostics.map(short);
}

export function definitionOf(source: string, options: CheckOptions = {}): WorkflowDefinition {
  const { definition, diagnostics } = check(source, options);
  if (definition === null) throw new Error(diagnostics.map((found) => `${short(found)} ${found.message}`).join("\n"));
  return definition;
}

/** A workflow with one shell task, and more lines before it. */
export function withTask(lines: string, task = "{ id: a, run: x }"): string {
  return `id: w\n${lines}tasks:\n  - ${task}\n`;
}

/** Processor time that an action takes, in milliseconds: wall time would measure what else the machine does. */
export function cpuMs(action: () => void): number {
  const start = process.cpuUsage();
  action();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}
