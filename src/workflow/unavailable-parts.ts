// The parts of the language that validate, but that this version does not run yet. One list, so that nothing is silently ignored.
import { findCoreAction, type TaskDefinition, type WorkflowDefinition } from "../model/index.ts";
import type { FindAction } from "./check/task-form.ts";

/** `path` has the form of a diagnostic's; `what` names the part for people. */
export type UnavailablePart = { path: string; what: string };

function ofTask(task: TaskDefinition, path: string, findAction: FindAction): UnavailablePart[] {
  const parts: UnavailablePart[] = [];
  const add = (key: string, what: string): void => void parts.push({ path: `${path}.${key}`, what });
  const action = findAction(task.action);
  // A plugin that is not installed is no matter of this version.
  if (action !== null && !action.available) add("type", `action ${task.action}`);
  if (task.cache !== undefined) add("cache", "cache");
  return parts;
}

/**
 * All parts without which an execution cannot start, in the order of the source. Triggers are not among them, since people can
 * start the workflow all the same: see `partsNotRun`.
 */
export function unavailableParts(definition: WorkflowDefinition, findAction: FindAction = findCoreAction): UnavailablePart[] {
  const parts: UnavailablePart[] = [];
  if (definition.concurrency !== null) parts.push({ path: "concurrency", what: "concurrency of a workflow" });
  for (const phase of ["tasks", "onFailure", "finally"] as const) {
    for (const [index, task] of definition[phase].entries()) parts.push(...ofTask(task, `${phase}[${index}]`, findAction));
  }
  return parts;
}

/** Unavailable parts and the triggers: all that people should know of before they rely on it. */
export function partsNotRun(definition: WorkflowDefinition, findAction: FindAction = findCoreAction): UnavailablePart[] {
  const parts = unavailableParts(definition, findAction);
  return parts;
}

/** Whether something besides people starts the workflow. */
export function hasTriggers(definition: WorkflowDefinition): boolean {
  return definition.triggers.length > 0;
}
