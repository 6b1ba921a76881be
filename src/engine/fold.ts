// Folds one event into the machine. The same code runs for events just decided and for events read back after a crash.
import { assert, type ErrorBody, type Json, type JsonObject } from "../base/index.ts";
import { canMove, type EventDraft, isTerminal, type TaskState } from "../model/index.ts";
import { hasOpen, newItems, noteBegun, noteEnded, noteOpen, overallEnd } from "./items.ts";
import { addReady, isDone, type Machine, newRun, type Phase, removeReady, runName, stopMachine, type TaskRunMachine } from "./machine.ts";
import { scopeOf } from "./scope.ts";
import { findSealed, type SealedDraft } from "./sealing.ts";

/** What folding needs of an event: drafts have it, and stored events whose large values were put back. */
export type Folded = Pick<EventDraft, "type" | "payload" | "time" | "spanId">;

/**
 * `sealed`: the true values of what the event shows masked.
 * @throws INTERNAL when the event does not fit the state: a terminal state never changes
 */
export function fold(machine: Machine, event: Folded, sealed: readonly SealedDraft[] = []): void {
  machine.sequence += 1;
  if (event.type.startsWith("trace.task.")) foldTask(machine, event, sealed);
  else if (event.type.startsWith("trace.execution.")) foldExecution(machine, event);
}

function foldExecution(machine: Machine, event: Folded): void {
  const { payload } = event;
  switch (event.type) {
    case "trace.execution.started":
      machine.state = "RUNNING";
      machine.startedAt = event.time;
      enterPhase(machine, "main", event.time);
      return;
    case "trace.execution.waiting":
      machine.state = "WAITING";
      machine.reason = String(payload["reason"]);
      if (machine.reason === "PAUSED") machine.pausedAt ??= event.time;
      return;
    case "trace.execution.resumed":
      machine.state = machine.startedAt === null ? "PENDING" : "RUNNING";
      machine.reason = null;
      if (machine.pausedAt !== null && machine.startedAt !== null) machine.pausedMs += Math.max(0, event.time - machine.pausedAt);
      machine.pausedAt = null;
      return;
    case "trace.execution.succeeded":
      machine.outputs = payload["outputs"] ?? null;
      return end(machine, "SUCCESS", event);
    case "trace.execution.failed":
      machine.error = payload["error"] as unknown as ErrorBody;
      return end(machine, "FAILED", event);
    case "trace.execution.cancelled":
      return end(machine, "CANCELLED", event);
  }
}

function end(machine: Machine, state: "SUCCESS" | "FAILED" | "CANCELLED", event: Folded): void {
  assert(canMove(machine.state, state), `execution ${machine.state} → ${state}`);
  machine.state = state;
  machine.reason = state === "SUCCESS" ? "SUCCESS" : String(event.payload["reason"]);
  machine.endedAt = event.time;
  machine.digest = String(event.payload["digest"]);
  machine.phase = "end";
}

function foldTask(machine: Machine, event: Folded, sealed: readonly SealedDraft[]): void {
  const { payload } = event;
  const whole = machine.runs.get(String(payload["task"]));
  assert(whole !== undefined, `event of an unknown task ${String(payload["task"])}`);
  const index = payload["item_index"];
  const run = typeof index === "number" ? itemRun(machine, whole, index) : whole;
  switch (event.type) {
    case "trace.task.expanded":
      return expand(machine, run, { count: Number(payload["items"]), at: event.time });
    case "trace.task.started":
      run.attempt = Number(payload["attempt"]);
      run.spanId = event.spanId;
      run.startedAt = event.time;
      return move(machine, run, "RUNNING", null);
    case "trace.task.waiting":
      move(machine, run, "WAITING", String(payload["reason"]));
      run.dueAt = timeOf(payload["until"]);
      run.timesOut = payload["times_out"] === true;
      if (run.reason === "CHILD_RUNNING") noteChild(machine, run, payload, findSealed(sealed, "child", run)?.value);
      return;
    case "trace.task.lost":
      // Asked for in so many words, a lost attempt is not counted against `max`; once.
      if (run.task.definition.onLost === "retry") run.lostTries = 1;
      return beginAgain(machine, run);
    case "trace.task.failed":
      run.error = payload["error"] as unknown as ErrorBody;
      if (payload["will_retry"] !== true) return finish(machine, run, { state: "FAILED", reason: String(payload["reason"]), at: event.time });
      move(machine, run, "WAITING", "RETRY_DELAY");
      run.dueAt = timeOf(payload["next_attempt_at"]);
      return;
    case "trace.task.succeeded":
      run.shown = payload["output"] ?? null;
      run.output = findSealed(sealed, "output", run)?.value ?? run.shown;
      run.error = null;
      return finish(machine, run, { state: "SUCCESS", reason: "SUCCESS", at: event.time });
    case "trace.task.resolved":
      return foldResolved(machine, run, { event, sealed });
    case "trace.task.skipped":
      return finish(machine, run, { state: "SKIPPED", reason: String(payload["reason"]), at: event.time });
    case "trace.task.cancelled":
      noteStop(machine, payload);
      return finish(machine, run, { state: "CANCELLED", reason: String(payload["reason"]), at: event.time });
  }
}

function noteChild(machine: Machine, run: TaskRunMachine, payload: JsonObject, sealed: Json | undefined): void {
  const child = payload["child"] as { execution_id: string; workflow: string; inputs: JsonObject; wait: boolean };
  const inputs = (sealed ?? child.inputs) as JsonObject;
  run.child = { id: child.execution_id, workflow: child.workflow, inputs, wait: child.wait };
  machine.children.set(runName(run), child.execution_id);
}

function foldResolved(machine: Machine, run: TaskRunMachine, { event, sealed }: { event: Folded; sealed: readonly SealedDraft[] }): void {
  const { payload, time: at } = event;
  if (payload["as"] === "retry") return beginAgain(machine, run);
  if (payload["as"] === "failed") {
    run.error = (payload["error"] ?? { code: "TASK_LOST", kind: "failed", message: "Its outcome was said to be a failure" }) as unknown as ErrorBody;
    return finish(machine, run, { state: "FAILED", reason: "CRASH_RECOVERY", at });
  }
  run.shown = payload["output"] ?? {};
  run.output = findSealed(sealed, "output", run)?.value ?? run.shown;
  run.error = null;
  finish(machine, run, { state: "SUCCESS", reason: "SUCCESS", at });
}

/** Another attempt, as soon as there is room. */
function beginAgain(machine: Machine, run: TaskRunMachine): void {
  const id = run.task.definition.id;
  const items = machine.runs.get(id)?.items ?? null;
  move(machine, run, "PENDING", "CRASH_RECOVERY", () => {
    if (items !== null && run.itemIndex !== null) noteOpen(items, run.itemIndex);
    addReady(machine, id);
  });
}

/** The run of an item, which may just be beginning. */
function itemRun(machine: Machine, whole: TaskRunMachine, index: number): TaskRunMachine {
  const { items } = whole;
  assert(items !== null && index < items.values.length, `event of item ${index} of ${whole.task.definition.id}, which has not that many`);
  const known = items.active.get(index);
  if (known !== undefined) return known;
  const run = newRun(whole.task, index);
  closeItem(machine, whole.task.definition.id, index);
  items.active.set(index, run);
  return run;
}

/** The item has begun, or ended: what else of its task is open stands among the ready ones under the task's name. */
function closeItem(machine: Machine, task: string, index: number): void {
  const items = machine.runs.get(task)?.items ?? null;
  if (items === null) return;
  noteBegun(items, index);
  if (!hasOpen(items)) removeReady(machine, task);
}

/** The same list comes out whenever it is evaluated: it follows from inputs and outputs alone. */
function expand(machine: Machine, whole: TaskRunMachine, { count, at }: { count: number; at: number }): void {
  const values = whole.expansion ?? evaluateList(machine, whole, count);
  whole.expansion = null;
  assert(values.length === count, `${whole.task.definition.id} has ${values.length} items, and had ${count}`);
  whole.items = newItems(whole.task, values);
  if (count === 0) finish(machine, whole, { ...overallEnd(whole.items), at });
}

function evaluateList(machine: Machine, whole: TaskRunMachine, count: number): readonly Json[] {
  // What cannot be opened cannot be evaluated either; nothing of it will begin.
  if (machine.sealProblem !== null) return Array.from({ length: count }, () => null);
  return whole.task.list?.evaluate(scopeOf(machine, whole)) ?? [];
}

function timeOf(value: Json | undefined): number | null {
  return typeof value === "string" ? Date.parse(value) : null;
}

function move(machine: Machine, run: TaskRunMachine, state: TaskState, reason: string | null, then?: () => void): void {
  const name = runName(run);
  assert(run.state === state || canMove(run.state, state), `task ${name} ${run.state} → ${state}`);
  machine.running.delete(name);
  machine.waiting.delete(name);
  machine.children.delete(name);
  if (run.itemIndex === null) removeReady(machine, name);
  else closeItem(machine, run.task.definition.id, run.itemIndex);
  run.state = state;
  run.reason = reason;
  run.dueAt = null;
  run.timesOut = false;
  if (state === "RUNNING") machine.running.add(name);
  if (state === "WAITING") machine.waiting.add(name);
  then?.();
}

function finish(machine: Machine, run: TaskRunMachine, end: { state: TaskState; reason: string; at: number }): void {
  assert(isTerminal(end.state), "finish takes a terminal state");
  move(machine, run, end.state, end.reason);
  if (run.itemIndex !== null) return finishItem(machine, run, run.itemIndex, end.at);
  const phase = run.phase ?? "main";
  machine.unfinished[phase] -= 1;
  noteFailure(machine, run);
  for (const name of run.task.dependents) {
    const dependent = machine.runs.get(name);
    if (dependent === undefined) continue;
    dependent.remaining -= 1;
    if (dependent.remaining === 0 && dependent.state === "PENDING" && (dependent.phase ?? "main") === machine.phase) addReady(machine, name);
  }
  if (machine.unfinished[phase] === 0 && machine.phase === phase) enterPhase(machine, after(machine, phase), end.at);
}

function finishItem(machine: Machine, run: TaskRunMachine, index: number, at: number): void {
  const whole = machine.runs.get(run.task.definition.id);
  const items = whole?.items ?? null;
  assert(whole !== undefined && items !== null, "an item belongs to a task that was expanded");
  noteEnded(items, index, run);
  if (items.ended < items.values.length) return;
  whole.error = items.failure?.error ?? null;
  finish(machine, whole, { ...overallEnd(items), at });
}

function noteFailure(machine: Machine, run: TaskRunMachine): void {
  if (run.state !== "FAILED" || isDone(run) || run.error === null) return;
  const failure = { task: run.task.definition.id, error: run.error, reason: run.reason ?? "TASK_FAILED" };
  if (run.phase === null) machine.failure ??= failure;
  if (run.phase === "finally") machine.finallyFailure ??= failure;
}

/** A cancelled task tells, also after a crash, that the execution is being stopped. */
function noteStop(machine: Machine, payload: JsonObject): void {
  const reason = payload["reason"] === "TIMEOUT" ? "TIMEOUT" : "USER_CANCELLED";
  stopMachine(machine, { reason, by: typeof payload["by"] === "string" ? payload["by"] : null });
}

/** Whether the execution, as far as it got, is a failed one: its onFailure tasks then run. */
function hasFailed(machine: Machine): boolean {
  return machine.stop === null ? machine.failure !== null : machine.stop.reason === "TIMEOUT";
}

function after(machine: Machine, phase: Phase): Phase {
  if (phase === "main" && hasFailed(machine) && machine.unfinished.onFailure > 0) return "onFailure";
  return phase === "finally" || machine.unfinished.finally === 0 ? "end" : "finally";
}

/** Begins a phase: a stop has hit what it was for, and the tasks without open needs become ready. */
function enterPhase(machine: Machine, phase: Phase, at: number): void {
  machine.phase = phase;
  machine.phaseStartedAt = at;
  if (machine.stop !== null) machine.stop.active = false;
  machine.ready = [];
  if (phase === "end") return;
  for (const [id, run] of machine.runs) if ((run.phase ?? "main") === phase && run.remaining === 0 && run.state === "PENDING") machine.ready.push(id);
  machine.ready.sort();
  if (machine.unfinished[phase] === 0) enterPhase(machine, after(machine, phase), at);
}
