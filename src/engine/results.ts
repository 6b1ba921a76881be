// What an attempt's end means: success, another attempt later, failure, or cancellation. Pure.
import { type ErrorBody, fail, isCoded, isObject, type Json, type JsonObject, kindOf, limits, toErrorBody, toIJson, toIso } from "../base/index.ts";
import type { Artifact, TerminalReason } from "../model/index.ts";
import type { Template } from "../workflow/index.ts";
import { type EngineContext, type Decision, nothing, taskEvent } from "./decision.ts";
import type { Machine, TaskRunMachine } from "./machine.ts";
import type { SealedDraft } from "./sealing.ts";
import type { StoredArtifact } from "./ports.ts";
import { scopeOf } from "./scope.ts";

/** `artifacts`: files that the attempt left behind, each a blob already. */
export type TaskResult = { ok: true; output: Json; artifacts?: StoredArtifact[] } | { ok: false; error: ErrorBody; retryable: boolean };
/** What an attempt left behind beside its result. */
export type AttemptEnd = { durationMs: number; logSha256: string; logLines: number };

const reasons: Record<string, TerminalReason> = {
  TASK_TIMEOUT: "TIMEOUT",
  EXECUTION_TIMEOUT: "TIMEOUT",
  PERMISSION_DENIED: "PERMISSION_DENIED",
  APPROVAL_DENIED: "APPROVAL_DENIED",
  EXPRESSION_ERROR: "EXPRESSION_ERROR",
  INPUT_INVALID: "INVALID_INPUT",
  TASK_INPUT_INVALID: "INVALID_INPUT",
  TASK_LOST: "CRASH_RECOVERY",
  INTERNAL: "INTERNAL",
};

/** Codes after which another attempt would end the same way. */
const nonRetryable = new Set([
  "PERMISSION_DENIED",
  "APPROVAL_DENIED",
  "EXPRESSION_ERROR",
  "INPUT_INVALID",
  "TASK_INPUT_INVALID",
  "OUTPUT_INVALID",
  "PLUGIN_OUTPUT_INVALID",
  "NOT_AVAILABLE_YET",
  "SANDBOX_UNAVAILABLE",
  "TOO_LARGE",
]);

/** Errors stay inside their event: readers of a trace need no blob to see why something failed. */
const messageUnitsMax = 2000;

export function reasonOf(code: string): TerminalReason {
  return reasons[code] ?? "TASK_FAILED";
}

export function expressionFailure(cause: unknown): ErrorBody {
  return isCoded(cause) ? toErrorBody(cause) : { code: "EXPRESSION_ERROR", kind: kindOf("EXPRESSION_ERROR"), message: String(cause) };
}

/** An error of a task as it is stored: I-JSON whatever the task said, and small; details that are too large are left out. */
export function storableError(error: ErrorBody): ErrorBody {
  const { kind, details, hint } = error;
  const message = cut(error.message, messageUnitsMax);
  const short: ErrorBody = { code: cut(error.code, 100), kind, message };
  if (hint !== undefined) short.hint = cut(hint, 500);
  if (details === undefined) return short;
  try {
    const whole = toIJson({ ...short, details });
    if (Buffer.byteLength(JSON.stringify(whole)) <= limits.payloadValueBytesMax) return whole as unknown as ErrorBody;
  } catch {
    // What a task wrote need not be I-JSON; its message is enough.
  }
  return short;
}

function cut(text: string, unitsMax: number): string {
  return (text.length <= unitsMax ? text : `${text.slice(0, unitsMax)}…`).toWellFormed();
}

/** The end of a running attempt. Nothing for an attempt that is not the current one: its fate was decided before. */
export function decideResult(
  machine: Machine,
  context: EngineContext,
  at: { run: TaskRunMachine; attempt: number; result: TaskResult; end: AttemptEnd },
): Decision {
  const { run, end } = at;
  if (run.state !== "RUNNING" || run.attempt !== at.attempt) return nothing;
  const ended: JsonObject = { duration_ms: end.durationMs, log_sha256: end.logSha256, log_lines: end.logLines };
  if (machine.stop?.active === true) {
    const payload = { reason: machine.stop.reason, by: machine.stop.by, ...ended };
    return { ...nothing, events: [taskEvent(machine, run, context, { type: "trace.task.cancelled", payload })] };
  }
  const artifacts = at.result.ok ? (at.result.artifacts ?? []) : [];
  const result = at.result.ok ? shapeOutput(machine, run, withArtifacts(at.result.output, artifacts)) : at.result;
  if (!result.ok) return { ...nothing, events: [failureEvent(machine, context, { run, error: result.error, retryable: result.retryable, ended })] };
  const { output, sealed } = showOutput(machine, run, result.output);
  const named = artifacts.length === 0 ? {} : { artifacts: artifacts.map((artifact) => toEventArtifact(machine, artifact)) };
  const event = taskEvent(machine, run, context, { type: "trace.task.succeeded", payload: { ...output, ...ended }, ...named });
  return { ...nothing, events: [event], sealed, files: artifacts.map(({ sha256, size, contentType }) => ({ sha256, size, contentType })) };
}

function toEventArtifact(machine: Machine, { name, sha256, contentType }: StoredArtifact): Artifact {
  return { name: machine.masks.text(name), uri: `artifact:${sha256}`, sha256, content_type: contentType };
}

/** The end of an attempt that needed no process: a wait, a child. */
export function endWait(machine: Machine, context: EngineContext, run: TaskRunMachine, result: TaskResult): Decision {
  const now = context.clock.now();
  const ended: JsonObject = { duration_ms: Math.max(0, now - (run.startedAt ?? now)) };
  const shaped = result.ok ? shapeOutput(machine, run, result.output) : result;
  if (!shaped.ok) return { ...nothing, events: [failureEvent(machine, context, { run, error: shaped.error, retryable: shaped.retryable, ended })] };
  const { output, sealed } = showOutput(machine, run, shaped.output);
  return { ...nothing, events: [taskEvent(machine, run, context, { type: "trace.task.succeeded", payload: { ...output, ...ended } })], sealed };
}

/** A result as its event shows it; what masking changed of it is sealed. */
export function showOutput(machine: Machine, run: TaskRunMachine, value: Json): { output: JsonObject; sealed: SealedDraft[] } {
  const shown = machine.masks.json(value);
  if (shown === value) return { output: { output: value }, sealed: [] };
  return { output: { output: shown, sealed: true }, sealed: [{ task: run.task.definition.id, itemIndex: run.itemIndex, member: "output", value }] };
}

/** The files as a member of the output, for later tasks to name; an output that has no members becomes the member `value`. */
function withArtifacts(output: Json, artifacts: readonly StoredArtifact[]): Json {
  if (artifacts.length === 0) return output;
  const list = artifacts.map(({ name, sha256, size }) => ({ name, uri: `artifact:${sha256}`, size }));
  if (output === null) return { artifacts: list };
  return isObject(output) ? { ...(output as JsonObject), artifacts: list } : { value: output, artifacts: list };
}

/** The output as it is stored: I-JSON, bounded, with the task's own `outputs` put over it. */
export function shapeOutput(machine: Machine, run: TaskRunMachine, raw: Json): TaskResult {
  try {
    const output = withDeclared(machine, run, toIJson(raw));
    const size = Buffer.byteLength(JSON.stringify(output));
    if (size > limits.outputBytesMax) throw fail("OUTPUT_INVALID", `Cannot store the output: ${size} bytes are more than ${limits.outputBytesMax}`);
    return { ok: true, output };
  } catch (cause) {
    return { ok: false, error: expressionFailure(cause), retryable: false };
  }
}

function withDeclared(machine: Machine, run: TaskRunMachine, output: Json): Json {
  const declared: Template | null = run.task.outputs;
  if (declared === null) return output;
  const scope = scopeOf(machine, run);
  // The task's own raw result is visible to its `outputs` map as tasks.<id>.output.
  const own = { output, outputs: [], state: "SUCCESS", error: null };
  const all = scope.roots["tasks"] as object;
  const tasks = new Proxy(all, { get: (target, id) => (id === run.task.definition.id ? own : Reflect.get(target, id)) });
  const members = toIJson(declared.evaluate({ ...scope, roots: { ...scope.roots, tasks } })) as JsonObject;
  return typeof output === "object" && output !== null && !Array.isArray(output) ? { ...output, ...members } : members;
}

/** `trace.task.failed`: with another attempt to come, or final. */
export function failureEvent(
  machine: Machine,
  context: EngineContext,
  at: { run: TaskRunMachine; error: ErrorBody; retryable: boolean; ended?: JsonObject; attempt?: number | null },
) {
  const { run } = at;
  const error = storableError(machine.masks.error(at.error));
  const hasTries = at.attempt !== null && run.attempt < run.task.definition.retry.max + run.lostTries;
  const willRetry = at.retryable && hasTries && !nonRetryable.has(error.code) && machine.stop?.active !== true;
  const payload: JsonObject = { error: error as unknown as Json, will_retry: willRetry, reason: reasonOf(error.code), ...at.ended };
  if (willRetry) payload["next_attempt_at"] = toIso(context.clock.now() + drawDelay(run, context.random));
  const attempt = at.attempt === undefined ? {} : { attempt: at.attempt };
  return taskEvent(machine, run, context, { type: "trace.task.failed", payload, severity: willRetry ? "warn" : "error", ...attempt });
}

/** Delay before the attempt after `run.attempt`: constant, linear or exponential, capped, then drawn from 0 when jitter is asked. */
export function drawDelay(run: TaskRunMachine, random: () => number): number {
  const { backoff, delayMs, maxDelayMs, jitter } = run.task.definition.retry;
  const factor = backoff === "constant" ? 1 : backoff === "linear" ? run.attempt : 2 ** Math.min(run.attempt - 1, 40);
  const delay = Math.min(delayMs * factor, maxDelayMs);
  return Math.round(jitter ? delay * random() : delay);
}
