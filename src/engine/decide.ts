// The pure machine: given an execution's state, which events come next. It starts nothing and writes nothing.
import { assert, canonicalJson, type ErrorBody, type Json, type JsonObject, sha256Hex, toIJson, toIso } from "../base/index.ts";
import { resumedEvent } from "./commands.ts";
import { boundLine } from "../logs/index.ts";
import { envTexts, grantedEnv, isEngineAction, runEngineAction } from "./actions.ts";
import { type DecideContext, type Decision, type EngineContext, executionEvent, logLine, nothing, taskEvent } from "./decision.ts";
import { decideEnd } from "./end.ts";
import { isTerminal } from "../model/index.ts";
import { startable, unbegun } from "./items.ts";
import { deadlineOf, findRun, hasReady, isDone, isEnded, type Machine, newRun, runName, type TaskRunMachine } from "./machine.ts";
import type { TaskAsk, TaskPrepared } from "./ports.ts";
import { endWait, expressionFailure, failureEvent, reasonOf, shapeOutput, showOutput, storableError } from "./results.ts";
import { scopeOf } from "./scope.ts";

/**
 * The next step that follows from the state alone, or nothing when it waits for a process, a timer, a place or a person.
 * Called again after each step was folded; every call decides one task at most, so that a step is small.
 */
export function decideNext(machine: Machine, context: DecideContext): Decision {
  if (isEnded(machine)) return nothing;
  if (machine.startedAt === null && (machine.pausedAt === null || machine.stop !== null)) return decidePending(machine, context);
  if (machine.stop?.active === true) return decideStop(machine, context);
  if (machine.pausedAt !== null && machine.phase !== "end") return nothing;
  if (machine.phase === "end") return resumeOr(machine, context, decideEnd(machine, context));
  const unrun = decideUnrun(machine, context);
  if (unrun !== null) return resumeOr(machine, context, unrun);
  const due = decideDue(machine, context);
  if (due !== null) return resumeOr(machine, context, due);
  const ready = decideReady(machine, context);
  if (ready !== null) return resumeOr(machine, context, ready);
  return decideWaiting(machine, context);
}

/** A place is free: begin; or a stop hit it before it began. */
function decidePending(machine: Machine, context: DecideContext): Decision {
  if (machine.stop === null) return { ...nothing, events: [executionEvent(machine, context, { type: "trace.execution.started", payload: {} })] };
  const tasks = [...machine.runs.values()].filter((run) => run.state === "PENDING");
  if (tasks.length > 0) return { ...nothing, events: tasks.map((run) => cancelEvent(machine, context, run)) };
  return decideEnd(machine, context);
}

function cancelEvent(machine: Machine, context: DecideContext, run: TaskRunMachine) {
  const payload = { reason: machine.stop?.reason ?? "USER_CANCELLED", by: machine.stop?.by ?? null };
  return taskEvent(machine, run, context, { type: "trace.task.cancelled", payload });
}

/** Once nothing runs any more, everything of the phase that has not ended is cancelled at once; handlers that never run with it. */
function decideStop(machine: Machine, context: DecideContext): Decision {
  if (machine.running.size > 0) return nothing;
  const phase = machine.phase;
  const open = [...machine.runs.values()].filter((run) => (run.phase ?? "main") === phase && !isTerminal(run.state)).flatMap(stoppable);
  return resumeOr(machine, context, { ...nothing, events: open.map((run) => cancelEvent(machine, context, run)) });
}

/** Items that are under way, then the task itself for all those that never began. */
function stoppable(run: TaskRunMachine): TaskRunMachine[] {
  const { items } = run;
  if (items === null) return [run];
  return [...items.active.values(), ...(unbegun(items) > 0 ? [run] : [])];
}

/** Something happens while the execution is WAITING: it goes on first. */
function resumeOr(machine: Machine, context: DecideContext, decision: Decision): Decision {
  if (machine.state !== "WAITING" || decision.events.length === 0) return decision;
  return { ...decision, events: [resumedEvent(machine, context), ...decision.events] };
}

/** Nothing failed, so the tasks of onFailure will not run: known before `finally` looks at them. */
function decideUnrun(machine: Machine, context: DecideContext): Decision | null {
  if (machine.phase !== "finally" || machine.unfinished.onFailure === 0) return null;
  const unrun = [...machine.runs.values()].filter((run) => run.phase === "onFailure" && run.state === "PENDING");
  return { ...nothing, events: unrun.map((run) => skipEvent(machine, context, run, "CONDITION_FALSE")) };
}

/** The first run, by id, whose time has come and that can go on now: another attempt needs a slot, and to be prepared. */
function decideDue(machine: Machine, context: DecideContext): Decision | null {
  for (let run = dueRun(machine, context, ""); run !== null; run = dueRun(machine, context, runName(run))) {
    const decision = run.reason === "RETRY_DELAY" ? decideStart(machine, context, run) : decideWaited(machine, context, run);
    if (decision !== null) return decision;
  }
  return null;
}

function dueRun(machine: Machine, context: DecideContext, after: string): TaskRunMachine | null {
  const now = context.clock.now();
  let first: TaskRunMachine | null = null;
  for (const name of machine.waiting) {
    const run = findRun(machine, name);
    if (run === null || run.dueAt === null || run.dueAt > now || name <= after) continue;
    if (run.reason === "RETRY_DELAY" && context.slots === 0) continue;
    if (first === null || name < runName(first)) first = run;
  }
  return first;
}

function decideWaited(machine: Machine, context: DecideContext, run: TaskRunMachine): Decision {
  if (!run.timesOut) return endWait(machine, context, run, { ok: true, output: { until: run.dueAt === null ? null : toIso(run.dueAt) } });
  const message = `The wait took longer than its timeout of ${run.task.definition.timeoutMs} ms`;
  return endWait(machine, context, run, { ok: false, error: { code: "TASK_TIMEOUT", kind: "timeout", message }, retryable: true });
}

/** The first ready task that can be decided now: skipped, failed, done by the engine, or started where a slot is free. */
function decideReady(machine: Machine, context: DecideContext): Decision | null {
  // Without a free slot only a window is looked through, so that a wide fan costs no more than a narrow one.
  const window = context.slots > 0 ? machine.ready : machine.ready.slice(0, readyWindow);
  for (const id of window) {
    const run = machine.runs.get(id);
    if (run === undefined) continue;
    const decision = run.items === null ? decideTask(machine, context, run) : decideItems(machine, context, run);
    if (decision !== null) return decision;
  }
  return null;
}

function decideTask(machine: Machine, context: DecideContext, run: TaskRunMachine): Decision | null {
  const hasAnswer = run.attempt > 0 || (run.task.list !== null && run.task.condition?.readsItem === true);
  const refused = decideRefusal(machine, context, run, hasAnswer);
  if (refused !== null) return refused;
  const reused = run.attempt > 0 ? null : decideReused(machine, context, run);
  if (reused !== null) return reused;
  if (run.task.list !== null) return decideExpansion(machine, context, run);
  if (context.slots === 0 && !isEngineAction(run.task.definition.action)) return null;
  return decideStart(machine, context, run);
}

/** What keeps a run from ever starting: values that cannot be opened; and, unless it `hasAnswer` already, its condition and what it needs. */
function decideRefusal(machine: Machine, context: DecideContext, run: TaskRunMachine, hasAnswer: boolean): Decision | null {
  const { sealProblem } = machine;
  if (sealProblem !== null) return { ...nothing, events: [failedBefore(machine, context, run, sealProblem)] };
  if (hasAnswer) return null;
  const verdict = mayRun(machine, run);
  if (verdict.runs) return null;
  const { error, reason } = verdict;
  return { ...nothing, events: [error === null ? skipEvent(machine, context, run, reason) : failedBefore(machine, context, run, error)] };
}

/** The result that an earlier execution came to, where this one starts that again. */
function decideReused(machine: Machine, context: DecideContext, run: TaskRunMachine): Decision | null {
  const { reuse, header } = machine;
  const found = reuse.results.get(runName(run));
  if (found === undefined || header.restart === null) return null;
  const { output, sealed } = showOutput(machine, run, found.output);
  const payload = { ...output, reused_from: header.restart.executionId };
  const named = found.artifacts.length === 0 ? {} : { artifacts: found.artifacts };
  return { ...nothing, events: [taskEvent(machine, run, context, { type: "trace.task.succeeded", payload, ...named })], sealed };
}

/** The list is known now: its items begin as places and slots allow. */
function decideExpansion(machine: Machine, context: DecideContext, run: TaskRunMachine): Decision {
  const { masks } = machine;
  try {
    const values = toIJson(run.task.list?.evaluate(scopeOf(machine, run)) ?? []) as Json[];
    run.expansion = values;
    const payload = { items: values.length, items_sha256: sha256Hex(canonicalJson(masks.json(values))) };
    return { ...nothing, events: [taskEvent(machine, run, context, { type: "trace.task.expanded", payload })] };
  } catch (cause) {
    return { ...nothing, events: [failedBefore(machine, context, run, expressionFailure(cause))] };
  }
}

/** Items whose preparation may be under way at a time: the next one need not wait for the one before. */
const itemsAhead = 16;

function decideItems(machine: Machine, context: DecideContext, whole: TaskRunMachine): Decision | null {
  const { items, task } = whole;
  if (items === null) return null;
  const needsSlot = !isEngineAction(task.definition.action);
  for (const index of startable(items, itemsAhead)) {
    const run = items.active.get(index) ?? newRun(task, index);
    const refused = decideRefusal(machine, context, run, run.attempt > 0 || task.condition?.readsItem !== true);
    if (refused !== null) return refused;
    const reused = run.attempt > 0 ? null : decideReused(machine, context, run);
    if (reused !== null) return reused;
    if (needsSlot && context.slots === 0) return null;
    const started = decideStart(machine, context, run);
    if (started !== null) return started;
  }
  return null;
}

const readyWindow = 100;

type Verdict = { runs: true } | { runs: false; reason: string; error: ErrorBody | null };

function mayRun(machine: Machine, run: TaskRunMachine): Verdict {
  const { condition } = run.task;
  const needsDone = run.task.definition.needs.every((name) => {
    const need = machine.runs.get(name);
    return need !== undefined && isDone(need);
  });
  if (condition === null) return needsDone ? { runs: true } : { runs: false, reason: "DEPENDENCY_FAILED", error: null };
  try {
    if (!needsDone && !condition.callsStatus) return { runs: false, reason: "DEPENDENCY_FAILED", error: null };
    return condition.evaluate(scopeOf(machine, run)) ? { runs: true } : { runs: false, reason: "CONDITION_FALSE", error: null };
  } catch (cause) {
    return { runs: false, reason: "EXPRESSION_ERROR", error: expressionFailure(cause) };
  }
}

function skipEvent(machine: Machine, context: DecideContext, run: TaskRunMachine, reason: string) {
  return taskEvent(machine, run, context, { type: "trace.task.skipped", payload: { reason } });
}

/** A failure before any attempt: it cannot be retried. */
function failedBefore(machine: Machine, context: DecideContext, run: TaskRunMachine, error: ErrorBody) {
  return failureEvent(machine, context, { run, error, retryable: false, attempt: null });
}

/** The next attempt begins; null while what it needs is still being looked up. */
function decideStart(machine: Machine, context: DecideContext, run: TaskRunMachine): Decision | null {
  const { definition } = run.task;
  const name = runName(run);
  if (context.preparation.isUnderWay(name)) return null;
  const secrets = context.preparation.secrets(name, run.task.secrets);
  if (secrets === null) return null;
  if (!secrets.ok) return { ...nothing, events: [failedBefore(machine, context, run, secrets.error)] };
  machine.masks.add(secrets.masks);
  const accessed = (at: { attempt: number | null; spanId?: string }) =>
    Object.keys(secrets.values).map((secret) =>
      taskEvent(machine, run, context, { type: "trace.secret.accessed", payload: { name: secret }, ...at }),
    );
  let inputs: JsonObject;
  let ownEnv: Record<string, string>;
  try {
    const scope = scopeOf(machine, run, secrets.values);
    inputs = run.task.inputs.evaluate(scope) as JsonObject;
    ownEnv = envTexts(run.task.env.evaluate(scope));
  } catch (cause) {
    return { ...nothing, events: [...accessed({ attempt: null }), failedBefore(machine, context, run, expressionFailure(cause))] };
  }
  const attempt = run.attempt + 1;
  const spanId = context.ids.next();
  const { action } = definition;
  const startedEvents = (payload: JsonObject) => [
    taskEvent(machine, run, context, { type: "trace.task.started", payload: { action, ...payload }, attempt, spanId }),
    ...accessed({ attempt, spanId }),
  ];
  if (isEngineAction(action)) {
    const started = startedEvents({ runtime: "engine", permissions: {}, sandbox: { level: "off", layers: [] } });
    return runInEngine(machine, context, { run, attempt, spanId, inputs, started });
  }
  const prepared = context.preparation.ask(askOf(machine, run, inputs));
  if (prepared === null) return null;
  const env = { ...grantedEnv(context.environment, prepared.env), ...ownEnv };
  const start = {
    task: definition.id,
    itemIndex: run.itemIndex,
    attempt,
    action,
    inputs,
    env,
    timeoutMs: definition.timeoutMs ?? prepared.timeoutMs,
    prepared,
  };
  return { ...nothing, events: startedEvents(recordOf(machine, prepared)), starts: [start] };
}

function askOf(machine: Machine, run: TaskRunMachine, inputs: JsonObject): TaskAsk {
  const { header, plan } = machine;
  const { id, action, runtime, image = null, permissions } = run.task.definition;
  const { executionId, workflow, folder, allow } = header;
  return {
    executionId,
    workflow,
    task: id,
    itemIndex: run.itemIndex,
    action,
    inputs,
    folder,
    runtime,
    image,
    permissions: { workflow: plan.definition.permissions, task: permissions, allow },
  };
}

function recordOf(machine: Machine, prepared: TaskPrepared): JsonObject {
  const { runtime, pluginSha256, imageDigest, sandbox } = prepared;
  const record: JsonObject = { runtime, permissions: machine.masks.permissions(prepared.permissions), sandbox };
  if (pluginSha256 !== null) record["plugin_sha256"] = pluginSha256;
  if (imageDigest !== null) record["image_digest"] = imageDigest;
  return record;
}

function runInEngine(
  machine: Machine,
  context: DecideContext,
  at: { run: TaskRunMachine; attempt: number; spanId: string; inputs: JsonObject; started: Decision["events"] },
): Decision {
  const { run, attempt, spanId } = at;
  const result = runEngineAction(run.task.definition.action, at.inputs, context.clock.now());
  assert(result !== null, `${run.task.definition.action} is an action of the engine`);
  const event = (type: string, payload: JsonObject) => taskEvent(machine, run, context, { type, payload, attempt, spanId });
  const failed = (error: ErrorBody) => {
    const stored = storableError(machine.masks.error(error)) as unknown as Json;
    return event("trace.task.failed", { error: stored, will_retry: false, reason: reasonOf(error.code), duration_ms: 0 });
  };
  if (result.kind === "failed") return { ...nothing, events: [...at.started, failed(result.error)] };
  if (result.kind === "child") return { ...nothing, ...waitForChild(machine, context, { ...at, child: result }) };
  if (result.kind === "wait")
    return { ...nothing, events: [...at.started, event("trace.task.waiting", waitPayload(run, result.until, context.clock.now()))] };
  const { log } = result;
  const message = log === undefined ? "" : boundLine(machine.masks.text(log.message));
  const logs = log === undefined ? [] : [logLine(machine, run, { time: context.clock.now(), attempt, level: log.level, message })];
  const shaped = shapeOutput(machine, run, result.output);
  if (!shaped.ok) return { ...nothing, events: [...at.started, failed(shaped.error)], logs };
  const { output, sealed } = showOutput(machine, run, shaped.output);
  return { ...nothing, events: [...at.started, event("trace.task.succeeded", { ...output, duration_ms: 0 })], logs, sealed };
}

/** The child gets its id here, so that it is started once however often that is tried. */
function waitForChild(
  machine: Machine,
  context: DecideContext,
  at: {
    run: TaskRunMachine;
    attempt: number;
    spanId: string;
    started: Decision["events"];
    child: { workflow: string; inputs: JsonObject; wait: boolean };
  },
): Pick<Decision, "events" | "sealed"> {
  const { run, attempt, spanId, child } = at;
  const inputs = machine.masks.json(child.inputs);
  const { timeoutMs } = run.task.definition;
  const limit = timeoutMs === undefined ? {} : { until: toIso(context.clock.now() + timeoutMs), times_out: true };
  const shown: JsonObject = { execution_id: context.ids.next(), workflow: machine.masks.text(child.workflow), inputs, wait: child.wait };
  const payload = { reason: "CHILD_RUNNING", child: shown, ...limit };
  const event = taskEvent(machine, run, context, { type: "trace.task.waiting", payload, attempt, spanId });
  const sealed =
    inputs === child.inputs ? [] : [{ task: run.task.definition.id, itemIndex: run.itemIndex, member: "child" as const, value: child.inputs }];
  return { events: [...at.started, event], sealed };
}

/** Until the wait is over, or until the task's timeout where that comes first. */
function waitPayload(run: TaskRunMachine, until: string, now: number): JsonObject {
  const limit = run.task.definition.timeoutMs;
  if (limit === undefined || now + limit >= Date.parse(until)) return { reason: "TIMER", until };
  return { reason: "TIMER", until: toIso(now + limit), times_out: true };
}

/** Nothing runs or is ready, but something waits: the execution is WAITING, for the reason of its first waiting task run. */
function decideWaiting(machine: Machine, context: DecideContext): Decision {
  if (machine.running.size > 0 || machine.waiting.size === 0 || hasReady(machine, context.clock.now())) return nothing;
  const reason = waitingReason(machine);
  if (machine.state === "WAITING" && machine.reason === reason) return nothing;
  return { ...nothing, events: [executionEvent(machine, context, { type: "trace.execution.waiting", payload: { reason } })] };
}

/** The reason of the first waiting run, by name. */
export function waitingReason(machine: Machine): string {
  let first: string | null = null;
  for (const name of machine.waiting) if (first === null || name < first) first = name;
  return (first === null ? null : findRun(machine, first)?.reason) ?? "TIMER";
}

/** Whether the time of the current phase is over: everything of it is then stopped. */
export function isOverdue(machine: Machine, now: number): boolean {
  const deadline = deadlineOf(machine);
  return deadline !== null && deadline <= now && !isEnded(machine);
}

/** After a crash: attempts without a result are lost; what follows is the task's `onLost`. */
export function decideRecovery(machine: Machine, context: EngineContext, isIdempotent: (action: string) => boolean): Decision {
  const name = [...machine.running].toSorted()[0];
  const run = name === undefined ? null : findRun(machine, name);
  if (run === null) return nothing;
  const events = [taskEvent(machine, run, context, { type: "trace.task.lost", payload: {} })];
  if (machine.stop?.active === true) return { ...nothing, events };
  const answer = answerToLoss(run, isIdempotent);
  const error: ErrorBody = {
    code: "TASK_LOST",
    kind: "failed",
    message: "The attempt's process died with the server; whether it took effect is unknown",
  };
  if (answer === "fail") events.push(failureEvent(machine, context, { run, error, retryable: false }));
  if (answer === "ask") events.push(taskEvent(machine, run, context, { type: "trace.task.waiting", payload: { reason: "OUTCOME_UNKNOWN" } }));
  return { ...nothing, events };
}

function answerToLoss(run: TaskRunMachine, isIdempotent: (action: string) => boolean): "retry" | "fail" | "ask" {
  const { definition } = run.task;
  const hasTries = run.attempt < definition.retry.max;
  if (definition.onLost === "retry") return run.attempt <= definition.retry.max ? "retry" : "fail";
  if (definition.onLost !== undefined) return definition.onLost;
  return hasTries && (isIdempotent(definition.action) || definition.action === "core/shell.run") ? "retry" : "fail";
}
