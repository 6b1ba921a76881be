// What expressions see: the roots of workflow-dsl.md, built once per execution and read through, never copied.
import { type ErrorBody, type Json, type JsonObject, toIso } from "../base/index.ts";
import type { Scope } from "../workflow/index.ts";
import { outputsOf } from "./items.ts";
import { isDone, type Machine, type TaskRunMachine } from "./machine.ts";

const roots = new WeakMap<Machine, Record<string, Json | object>>();

/** The scope of one task, of the workflow's outputs (`run` null), or of a handler. `secrets` are there for inputs and environment alone. */
export function scopeOf(machine: Machine, run: TaskRunMachine | null, secrets: Readonly<Record<string, string>> = {}): Scope {
  const roots = { ...rootsOf(machine), ...itemRoots(machine, run), secrets, execution: executionRoot(machine) };
  return { roots, status: statusOf(machine, run) };
}

function itemRoots(machine: Machine, run: TaskRunMachine | null): Record<string, Json> {
  const index = run?.itemIndex ?? null;
  if (run === null || index === null) return {};
  const items = machine.runs.get(run.task.definition.id)?.items ?? null;
  if (items === null) return {};
  const item = items.values[index] ?? null;
  return items.kind === "matrix" ? { matrix: item } : { item, index };
}

function rootsOf(machine: Machine): Record<string, Json | object> {
  let found = roots.get(machine);
  if (found === undefined) {
    const { header, plan } = machine;
    found = { inputs: header.inputs, vars: plan.definition.vars, tasks: tasksRoot(machine), trigger: triggerRoot(machine), env: machine.env };
    roots.set(machine, found);
  }
  return found;
}

function executionRoot(machine: Machine): JsonObject {
  const { header } = machine;
  const error = isTimedOut(machine) || machine.failure === null ? stopError(machine) : machine.failure.error;
  return {
    id: header.executionId,
    workflow: header.workflow,
    revision: header.revision,
    started_at: machine.startedAt === null ? null : toIso(machine.startedAt),
    error: error as unknown as Json,
  };
}

/** Whether a timeout is what ended the execution: one that only hit a handler leaves an earlier failure as it was. */
export function isTimedOut(machine: Machine): boolean {
  const { stop } = machine;
  return stop?.reason === "TIMEOUT" && (stop.phase === "main" || machine.failure === null);
}

/** What a stop looks like to handlers and to the end of the execution; null where nothing was stopped. */
export function stopError(machine: Machine): ErrorBody | null {
  const { stop } = machine;
  if (stop === null) return null;
  if (stop.reason === "TIMEOUT") {
    const what =
      stop.phase === "main" || machine.header.timeoutMs !== null
        ? "The execution took longer than its timeout"
        : "The handlers took longer than they may";
    return { code: "EXECUTION_TIMEOUT", kind: "timeout", message: what };
  }
  return { code: "EXECUTION_FAILED", kind: "failed", message: `The execution was cancelled by ${stop.by ?? "nobody"}` };
}

function triggerRoot(machine: Machine): JsonObject {
  const { trigger, triggerData } = machine.header;
  const { body, headers, query } = triggerData ?? { body: null, headers: {}, query: {} };
  return { type: trigger.type, id: trigger.id, scheduled_at: trigger.scheduled_at, by: trigger.by, body, headers, query };
}

/** One getter per task, so that thousands of tasks cost nothing until an expression names them. */
function tasksRoot(machine: Machine): object {
  const root: Record<string, unknown> = {};
  for (const [id, run] of machine.runs) {
    Object.defineProperty(root, id, { enumerable: true, get: () => taskRoot(run) });
  }
  return root;
}

function taskRoot(run: TaskRunMachine): JsonObject {
  const { output, items, state, error } = run;
  return { output, outputs: items === null ? [] : outputsOf(items), state, error: error as unknown as Json };
}

/** success(), failure(): over the needs; for a handler without needs, over the execution. */
export function statusOf(machine: Machine, run: TaskRunMachine | null): Scope["status"] {
  const needs = run?.task.definition.needs ?? [];
  if (run !== null && run.phase !== null && needs.length === 0) {
    const failure = machine.failure !== null || machine.stop !== null;
    return { success: !failure, failure };
  }
  return { success: needs.every((name) => isDoneNeed(machine, name)), failure: followsFailure(machine, needs) };
}

function isDoneNeed(machine: Machine, name: string): boolean {
  const need = machine.runs.get(name);
  return need !== undefined && isDone(need);
}

/** Whether a need failed, or was skipped and has a failure behind it: a failure reaches a task through those skipped for it. */
function followsFailure(machine: Machine, needs: readonly string[]): boolean {
  const seen = new Set(needs);
  for (const name of seen) {
    const need = machine.runs.get(name);
    if (need === undefined || isDone(need)) continue;
    if (need.state === "FAILED") return true;
    if (need.state === "SKIPPED") for (const behind of need.task.definition.needs) seen.add(behind);
  }
  return false;
}
