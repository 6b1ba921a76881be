// One execution in memory: what its events fold to, with the indexes that make the next decision cheap.
import { type ErrorBody, type Json, type JsonObject, limits } from "../base/index.ts";
import type { Actor, ExecutionState, RunGrants, TaskPhase, TaskState } from "../model/index.ts";
import { isTerminal } from "../model/index.ts";
import type { CompiledTask, CompiledWorkflow } from "../workflow/index.ts";
import { isStartable, type Items } from "./items.ts";
import { Masks } from "./masks.ts";
import { noReuse, type Restart, type Reuse } from "./reuse.ts";

/** An execution that a run started; `wait`: its end is the run's. */
export type Child = { id: string; workflow: string; inputs: JsonObject; wait: boolean };

/** The run of a task; or, with `items`, the task as a whole, whose items have runs of their own. */
export type TaskRunMachine = {
  task: CompiledTask;
  phase: TaskPhase | null;
  itemIndex: number | null;
  /** Of a forEach or matrix, from its expansion on. */
  items: Items | null;
  /** Its list as it was just evaluated, for the event that expands it. */
  expansion: readonly Json[] | null;
  state: TaskState;
  reason: string | null;
  /** Attempts that were started. */
  attempt: number;
  spanId: string | null;
  startedAt: number | null;
  /** When a retry or a timer is due. */
  dueAt: number | null;
  /** What is due is the end of the attempt's time, not what it waits for. */
  timesOut: boolean;
  /** What expressions read. */
  output: Json;
  /** What it waits for, with reason CHILD_RUNNING. */
  child: Child | null;
  /** The output as events show it: the same value where there was nothing to mask. */
  shown: Json;
  error: ErrorBody | null;
  /** Needs that are not terminal yet. */
  remaining: number;
  /** Tries that were granted beyond `max` because an attempt was lost. */
  lostTries: number;
};

/** `main` → `onFailure` (when something failed) → `finally` → `end`. */
export type Phase = "main" | TaskPhase | "end";

/** Why everything that runs is being stopped, and the phase it hit first. `active` until the phase that it hits has ended. */
export type Stop = { reason: "USER_CANCELLED" | "TIMEOUT"; by: string | null; phase: Phase; active: boolean };

export type Failure = { task: string | null; error: ErrorBody; reason: string };

export type TriggerPayload = { type: string; id: string | null; scheduled_at: string | null; by: string | null };
/** What came with a request or a file; expressions see it as members of `trigger`. */
export type TriggerData = { body: Json; headers: Record<string, string>; query: Record<string, string> };

/** What never changes during an execution. */
export type ExecutionHeader = {
  executionId: string;
  workflow: string;
  revision: number;
  sha256: string;
  inputs: JsonObject;
  /** The inputs as events show them. */
  shownInputs: JsonObject;
  trigger: TriggerPayload;
  triggerData: TriggerData | null;
  labels: Record<string, string>;
  timeoutMs: number | null;
  createdAt: number;
  sessionId: string;
  actor: Actor;
  rootSpanId: string;
  parentSpanId: string | null;
  /** Absolute folder of the workflow's file, null when it has none. */
  folder: string | null;
  /** Granted for this run beside the workflow's block. */
  allow: RunGrants | null;
  /** The task run that started it, and how many executions it is within. */
  parent: { executionId: string; task: string; depth: number } | null;
  /** The execution that it starts again, null for a first one. */
  restart: Restart | null;
};

export type Machine = {
  header: ExecutionHeader;
  plan: CompiledWorkflow;
  /** The server's environment as far as the workflow grants it. Not folded: a restart may find other values. */
  env: Record<string, string>;
  masks: Masks;
  /** Of a restarted execution: results that need not come about again. */
  reuse: Reuse;
  /** Why true values of it cannot be read: nothing of it may go on with what is shown in their place. */
  sealProblem: ErrorBody | null;
  state: ExecutionState;
  reason: string | null;
  startedAt: number | null;
  /** Since when a person keeps it from starting anything; null while nobody does. */
  pausedAt: number | null;
  /** How long it was paused before: no timeout counts that. */
  pausedMs: number;
  endedAt: number | null;
  digest: string | null;
  outputs: Json;
  error: ErrorBody | null;
  /** Events folded so far: the next event's sequence. */
  sequence: number;
  runs: Map<string, TaskRunMachine>;
  /** Tasks of the current phase whose needs are all terminal and that have not begun, or have items that have not, by id. */
  ready: string[];
  /** Names of runs (`runName`). */
  running: Set<string>;
  waiting: Set<string>;
  /** Names of runs that wait for a child, with its id. */
  children: Map<string, string>;
  unfinished: Record<"main" | TaskPhase, number>;
  phase: Phase;
  phaseStartedAt: number;
  stop: Stop | null;
  /** The first failure that counts, in main; and in finally. */
  failure: Failure | null;
  finallyFailure: Failure | null;
};

/** The machine before its first event. */
export function newMachine(header: ExecutionHeader, plan: CompiledWorkflow): Machine {
  const runs = new Map<string, TaskRunMachine>();
  const unfinished = { main: 0, onFailure: 0, finally: 0 };
  for (const [id, task] of plan.tasks) {
    const { phase, needs } = task.definition;
    unfinished[phase ?? "main"] += 1;
    runs.set(id, { ...newRun(task, null), remaining: new Set(needs).size });
  }
  return {
    header,
    plan,
    env: {},
    masks: new Masks(),
    reuse: noReuse,
    sealProblem: null,
    state: "PENDING",
    reason: null,
    startedAt: null,
    pausedAt: null,
    pausedMs: 0,
    endedAt: null,
    digest: null,
    outputs: null,
    error: null,
    sequence: 0,
    runs,
    ready: [],
    running: new Set(),
    waiting: new Set(),
    children: new Map(),
    unfinished,
    phase: "main",
    phaseStartedAt: header.createdAt,
    stop: null,
    failure: null,
    finallyFailure: null,
  };
}

/** A run before its first event. */
export function newRun(task: CompiledTask, itemIndex: number | null): TaskRunMachine {
  return {
    task,
    phase: task.definition.phase,
    itemIndex,
    items: null,
    expansion: null,
    state: "PENDING",
    reason: null,
    attempt: 0,
    spanId: null,
    startedAt: null,
    dueAt: null,
    timesOut: false,
    output: null,
    child: null,
    shown: null,
    error: null,
    remaining: 0,
    lostTries: 0,
  };
}

/** Of a run within its execution: the task's id, with the index of an item. */
export function runName(run: Pick<TaskRunMachine, "task" | "itemIndex">): string {
  return nameOf(run.task.definition.id, run.itemIndex);
}

export function nameOf(task: string, itemIndex: number | null): string {
  return itemIndex === null ? task : `${task}[${itemIndex}]`;
}

/** The run of a task or of one of its items, while it has not ended; null for an item that is not under way. */
export function findRun(machine: Machine, name: string): TaskRunMachine | null {
  const at = name.indexOf("[");
  if (at < 0) return machine.runs.get(name) ?? null;
  return machine.runs.get(name.slice(0, at))?.items?.active.get(Number(name.slice(at + 1, -1))) ?? null;
}

/** Whether something of a task that stands among the ready ones could be decided now, were there a slot. */
function canBegin(run: TaskRunMachine): boolean {
  return run.items === null || isStartable(run.items);
}

export function isEnded(machine: Machine): boolean {
  return isTerminal(machine.state);
}

/** Keeps `ready` in id order, so that ties are decided the same every time. */
export function addReady(machine: Machine, id: string): void {
  const { ready } = machine;
  let low = 0;
  let high = ready.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ready[middle] ?? "") < id) low = middle + 1;
    else high = middle;
  }
  if (ready[low] !== id) ready.splice(low, 0, id);
}

export function removeReady(machine: Machine, id: string): void {
  const at = machine.ready.indexOf(id);
  if (at >= 0) machine.ready.splice(at, 1);
}

/** Whether a task run counts as done for what needs it: success, or a failure that is allowed. */
export function isDone(run: TaskRunMachine): boolean {
  return run.state === "SUCCESS" || (run.state === "FAILED" && run.task.definition.allowFailure);
}

/** The first stop gives the reason; a later one hits the phase that runs then. Once all phases are over nothing is left to stop. */
export function stopMachine(machine: Machine, stop: Pick<Stop, "reason" | "by">): void {
  const active = machine.phase !== "end";
  machine.stop = machine.stop === null ? { reason: stop.reason, by: stop.by, phase: machine.phase, active } : { ...machine.stop, active };
}

/** Whether something could be decided or started at this time, were there room for it. */
export function hasReady(machine: Machine, now: number): boolean {
  if (machine.pausedAt !== null) return false;
  if (machine.ready.some((id) => canBegin(machine.runs.get(id) as TaskRunMachine))) return true;
  for (const name of machine.waiting) {
    const due = findRun(machine, name)?.dueAt ?? null;
    if (due !== null && due <= now) return true;
  }
  return false;
}

/** The earliest moment after the given one at which something happens by itself, null when nothing will. */
export function nextWake(machine: Machine, after: number): number | null {
  if (machine.pausedAt !== null) return null;
  const deadline = deadlineOf(machine);
  let next = deadline !== null && deadline > after ? deadline : null;
  for (const name of machine.waiting) {
    const due = findRun(machine, name)?.dueAt ?? null;
    if (due !== null && due > after && (next === null || due < next)) next = due;
  }
  return next;
}

/** When the current phase must be over: the execution's timeout for main, the handlers' bound after it. */
export function deadlineOf(machine: Machine): number | null {
  if (machine.phase === "end" || machine.stop?.active === true || machine.pausedAt !== null) return null;
  const isBounded = machine.phase === "finally" || (machine.phase === "onFailure" && machine.stop !== null);
  if (isBounded) return machine.phaseStartedAt + limits.finallyMsMax;
  const { timeoutMs } = machine.header;
  return timeoutMs === null || machine.startedAt === null ? null : machine.startedAt + timeoutMs + machine.pausedMs;
}
