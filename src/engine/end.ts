// The end of an execution: which state, with which reason, and the digest that equal runs share. Pure.
import { canonicalJson, type ErrorBody, type Json, type JsonObject, sha256Hex, toIJson } from "../base/index.ts";
import type { EventDraft, ReasonCode } from "../model/index.ts";
import { type EngineContext, type Decision, executionEvent, nothing, taskEvent } from "./decision.ts";
import { fold } from "./fold.ts";
import { itemEnds, unbegun } from "./items.ts";
import { type Failure, isEnded, type Machine, type TaskRunMachine } from "./machine.ts";
import { expressionFailure, reasonOf, storableError } from "./results.ts";
import type { SealedDraft } from "./sealing.ts";
import { isTimedOut, scopeOf, stopError } from "./scope.ts";

/** `outputs` as they are shown; what masking changed of them is sealed, and marked. */
type Outputs = { outputs: Json; mark: { sealed?: true }; sealed: SealedDraft[] };
/** What follows the creation of an execution that cannot run: its tasks are skipped, and it fails. */
export function decideRefused(machine: Machine, context: EngineContext, at: { created: EventDraft; error: ErrorBody }): EventDraft[] {
  fold(machine, at.created);
  machine.failure = { task: null, error: storableError(machine.masks.error(at.error)), reason: "INVALID_INPUT" };
  machine.phase = "end";
  const events: EventDraft[] = [];
  while (!isEnded(machine)) {
    for (const event of decideEnd(machine, context).events) {
      fold(machine, event);
      events.push(event);
    }
  }
  return events;
}

type End = Outputs & { state: "SUCCESS" | "FAILED" | "CANCELLED"; reason: ReasonCode | string; failure: Failure | null };

const noOutputs: Outputs = { outputs: null, mark: {}, sealed: [] };

/** When all phases are over: skips what never had its turn, then ends the execution. */
export function decideEnd(machine: Machine, context: EngineContext): Decision {
  const left = [...machine.runs.values()].filter((run) => run.state === "PENDING");
  if (left.length > 0) {
    const skipped = { type: "trace.task.skipped", payload: { reason: "CONDITION_FALSE" } };
    return { ...nothing, events: left.map((run) => taskEvent(machine, run, context, skipped)) };
  }
  const end = endOf(machine);
  const digest = digestOf(machine, end);
  const event = (type: string, payload: JsonObject) => ({ ...nothing, events: [executionEvent(machine, context, { type, payload })] });
  if (end.state === "SUCCESS") return { ...event("trace.execution.succeeded", { outputs: end.outputs, ...end.mark, digest }), sealed: end.sealed };
  if (end.state === "CANCELLED") return event("trace.execution.cancelled", { by: machine.stop?.by ?? "", reason: end.reason, digest });
  const failure = end.failure;
  return event("trace.execution.failed", {
    error: (failure?.error ?? stopError(machine)) as unknown as Json,
    failed_task: failure?.task ?? null,
    reason: end.reason,
    digest,
  });
}

function endOf(machine: Machine): End {
  const { stop } = machine;
  if (stop?.reason === "USER_CANCELLED") return { ...noOutputs, state: "CANCELLED", reason: stop.reason, failure: null };
  if (isTimedOut(machine)) return { ...noOutputs, state: "FAILED", reason: "TIMEOUT", failure: null };
  const failure = machine.failure ?? machine.finallyFailure;
  if (failure !== null) return { ...noOutputs, state: "FAILED", reason: failure.reason, failure };
  const outputs = evaluateOutputs(machine);
  if ("value" in outputs) return { ...showOutputs(machine, outputs.value), state: "SUCCESS", reason: "SUCCESS", failure: null };
  const error = storableError(machine.masks.error(outputs.error));
  return { ...noOutputs, state: "FAILED", reason: reasonOf(error.code), failure: { task: null, error, reason: reasonOf(error.code) } };
}

function evaluateOutputs(machine: Machine): { value: Json } | { error: ErrorBody } {
  if (machine.sealProblem !== null) return { error: machine.sealProblem };
  try {
    return { value: toIJson(machine.plan.outputs.evaluate(scopeOf(machine, null))) };
  } catch (cause) {
    return { error: expressionFailure(cause) };
  }
}

function showOutputs(machine: Machine, value: Json): Outputs {
  const shown = machine.masks.json(value);
  if (shown === value) return { ...noOutputs, outputs: value };
  return { outputs: shown, mark: { sealed: true }, sealed: [{ task: null, itemIndex: null, member: "outputs", value }] };
}

/** One of a task, or one of each item that began; a task with items that never did has one of its own too. */
function digestEntries(run: TaskRunMachine): JsonObject[] {
  const task = run.task.definition.id;
  const own: JsonObject = {
    task,
    item_index: null,
    state: run.state,
    reason_code: run.reason,
    output_sha256: run.shown === null ? null : sha256Hex(canonicalJson(run.shown)),
    error_code: run.error?.code ?? null,
  };
  if (run.items === null) return [own];
  const items = [...itemEnds(run.items)].map(({ index, state, reason, outputSha256, errorCode }) => ({
    task,
    item_index: index,
    state,
    reason_code: reason,
    output_sha256: outputSha256,
    error_code: errorCode,
  }));
  return unbegun(run.items) > 0 || items.length === 0 ? [own, ...items] : items;
}

/** SHA-256 over what two runs of one revision with equal inputs and task outputs have in common: no times, attempts, logs or order. */
function digestOf(machine: Machine, end: End): string {
  const { header } = machine;
  const tasks = [...machine.runs.values()].toSorted((a, b) => (a.task.definition.id < b.task.definition.id ? -1 : 1)).flatMap(digestEntries);
  const { workflow, sha256, shownInputs: inputs } = header;
  return sha256Hex(canonicalJson({ workflow, sha256, inputs, state: end.state, reason_code: end.reason, outputs: end.outputs, tasks }));
}
