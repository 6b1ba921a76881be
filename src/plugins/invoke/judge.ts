// What an attempt's end means: its frame, its exit, what it wrote last and what was denied become one outcome.
import { type ErrorBody, isCoded, isObject, type Json, type JsonObject, kindOf, limits, toErrorBody } from "../../base/index.ts";
import type { Denial } from "../../model/index.ts";
import type { Masker } from "../../secrets/index.ts";
import type { Over } from "../runtimes/index.ts";
import { readBack } from "./read-back.ts";
import { parseResultFrame, type ResultFrame } from "./script-output.ts";

export type Exit = { exitCode: number | null; signal: string | null };
export type Failure = { ok: false; error: ErrorBody; retryable: boolean };

/** Codes by which the engine speaks of an attempt: what a task says of itself under one of them is shown as TASK_FAILED. */
const reservedCodes = new Set([
  "INTERNAL",
  "PERMISSION_DENIED",
  "FORBIDDEN",
  "UNAUTHORIZED",
  "POLICY_DENIED",
  "APPROVAL_DENIED",
  "CLAIM_LOST",
  "TASK_CANCELLED",
  "TASK_LOST",
  "TASK_MEMORY",
  "TASK_TIMEOUT",
  "EXECUTION_FAILED",
  "EXECUTION_TIMEOUT",
  "SANDBOX_UNAVAILABLE",
]);
const codeForm = /^[A-Z][A-Z0-9_]{0,63}$/;

/** The frame on descriptor 3, else the one in the result file. @throws PLUGIN_OUTPUT_INVALID */
export function findFrame(workdir: string, onDescriptor: Uint8Array, masker: Masker): ResultFrame | null {
  const bytes =
    onDescriptor.byteLength > 0 ? onDescriptor : readBack(workdir, { name: "result.json", as: "$WORKFLOW_RESULT" }, limits.outputBytesMax);
  const text = bytes === null ? "" : new TextDecoder().decode(bytes).trim();
  return text === "" ? null : parseResultFrame(text, masker);
}

/** A result that is too large is the task's mistake like any other that is wrong with it. */
export function resultError(cause: unknown): ErrorBody {
  const body = toErrorBody(cause);
  return isCoded(cause, "TOO_LARGE") ? { ...body, code: "PLUGIN_OUTPUT_INVALID", kind: kindOf("PLUGIN_OUTPUT_INVALID") } : body;
}

export type End = {
  exit: Exit;
  /** What it claims is masked, as stderr is: an error is cut in several places. */
  frame: ResultFrame | null;
  stderr: string;
  what: "script" | "action";
  limits: { memoryMb: number; cpuSeconds: number | null; diskMb: number; processes: number };
  /** Limits hold only there. */
  isConfined: boolean;
  /** The watchdog ended it for what it used. */
  exceeded: Over | null;
  /** Some network is granted. */
  hasNetwork: boolean;
  /** Ended by the engine for another reason. */
  isStopped: boolean;
};

/** The failure that an end is, null when it is none. Denials are not looked at yet. */
export function findFailure(end: End): Failure | null {
  const { exit, frame } = end;
  const isBadExit = exit.exitCode !== 0;
  const claimed = frame !== null && "error" in frame ? frame : null;
  if (!isBadExit && claimed === null && end.exceeded === null) return null;
  const limited = end.isStopped ? null : exceededLimit(end, `${end.stderr}\n${claimed?.error.message ?? ""}`);
  if (limited !== null) return limited;
  if (claimed !== null) return { ok: false, error: ownError(claimed.error), retryable: claimed.retryable };
  return { ok: false, error: exitError(end), retryable: true };
}

/** The error of a plugin under a code of its own. */
function ownError(error: ErrorBody): ErrorBody {
  const isOwn = codeForm.test(error.code) && !reservedCodes.has(error.code);
  if (isOwn) return error;
  return { ...error, code: "TASK_FAILED", kind: kindOf("TASK_FAILED"), details: { ...error.details, claimedCode: error.code.slice(0, 64) } };
}

/** Words of Bun, Python, shells, C++ and git where an allocation failed. */
const outOfMemory =
  /RangeError: Out of memory|Bun has run out of memory|^MemoryError|Cannot allocate memory|memory exhausted|std::bad_alloc|fatal: Out of memory/im;

function exceededLimit(end: End, text: string): Failure | null {
  const { exit, exceeded, limits: most } = end;
  const details = exitDetails(end);
  const fail = (code: string, message: string, more: JsonObject, retryable: boolean): Failure => ({
    ok: false,
    error: { code, kind: kindOf(code), message, details: { ...more, ...details } },
    retryable,
  });
  if (exceeded === "memory" || (end.isConfined && exit.exitCode !== 0 && outOfMemory.test(text)))
    return fail("TASK_MEMORY", `The ${end.what} used more memory than its limit of ${most.memoryMb} MB`, { limitMb: most.memoryMb }, false);
  if (exceeded === "processes")
    return fail(
      "PLUGIN_EXIT",
      `The ${end.what} had more than its limit of ${most.processes} processes`,
      { limit: "processes", processes: most.processes },
      false,
    );
  if (exceeded === "disk" || exit.signal === "SIGXFSZ" || exit.exitCode === 128 + 25)
    return fail("PLUGIN_EXIT", `The ${end.what} wrote more than its limit of ${most.diskMb} MB`, { limit: "diskMb", diskMb: most.diskMb }, false);
  if (exit.signal === "SIGXCPU" || exit.exitCode === 128 + 24)
    return fail(
      "PLUGIN_EXIT",
      `The ${end.what} used more than its limit of ${most.cpuSeconds ?? 0} CPU seconds`,
      { limit: "cpuSeconds", cpuSeconds: most.cpuSeconds },
      false,
    );
  return null;
}

function exitDetails({ exit, stderr }: End): JsonObject {
  return { exitCode: exit.exitCode, signal: exit.signal, stderr };
}

function exitError(end: End): ErrorBody {
  const { exit } = end;
  const how = exit.exitCode === null ? `was ended by ${exit.signal}` : `exited with ${exit.exitCode}`;
  return { code: "PLUGIN_EXIT", kind: kindOf("PLUGIN_EXIT"), message: `The ${end.what} ${how}`, details: exitDetails(end) };
}

const grantedHint =
  "What is granted is reached through HTTP_PROXY and HTTPS_PROXY; a plain socket connects to the address that the JSON in $WORKFLOW_FORWARD has for it.";

/** A failure after a denial is the denial's. The exit and the last lines stay beside it. */
export function deniedFailure(denial: Denial, end: End): Failure {
  const { kind, target, rule, grant } = denial;
  const verbs: Record<string, string> = {
    "filesystem.read": "read",
    "filesystem.write": "write",
    network: "connect to",
    listen: "listen on",
    run: "run",
  };
  const error: ErrorBody = {
    code: "PERMISSION_DENIED",
    kind: kindOf("PERMISSION_DENIED"),
    message: `Cannot ${verbs[rule] ?? "use"} "${target}": the task was not granted it`,
    details: { kind, target, rule, grant, ...exitDetails(end), ...claimedDetails(end) },
  };
  const hint = grant === null ? (kind === "network" && end.hasNetwork ? grantedHint : null) : `Add to permissions: ${grant}`;
  if (hint !== null) error.hint = hint;
  return { ok: false, error, retryable: false };
}

/** What the task said itself: its streams are beside it. */
function claimedDetails({ frame }: End): JsonObject {
  if (frame === null || !("error" in frame)) return {};
  const { code, message } = frame.error;
  return { claimed: { code: code.slice(0, 64), message: message.slice(0, linesMax.units).toWellFormed() } };
}

/** Of the lines in which denials are looked for: so many in all, of these so many of the message and as many of the details. */
const linesMax = { all: 20, claimed: 6, units: 4096 };

/** The texts of a failed task in which denials are looked for: the last lines of stderr, the first ones of what its frame claims. */
export function linesOf(end: End): string[] {
  const claimed: string[] = [];
  if (end.frame !== null && "error" in end.frame) {
    const { message, details } = end.frame.error;
    claimed.push(...firstLines([message]), ...firstLines(textsIn(details)));
  }
  const printed = end.stderr.split("\n").filter((line) => line !== "");
  const last = printed.slice(-(linesMax.all - claimed.length)).map((line) => line.slice(-linesMax.units));
  return [...last, ...claimed];
}

function firstLines(texts: readonly string[]): string[] {
  const { claimed, units } = linesMax;
  const lines = texts.slice(0, claimed).flatMap((text) => text.slice(0, claimed * units).split("\n", 2 * claimed));
  return lines
    .filter((line) => line !== "")
    .slice(0, claimed)
    .map((line) => line.slice(0, units));
}

/** Details are of a bounded depth. */
function textsIn(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return isObject(value) ? Object.values(value).flatMap(textsIn) : [];
}

/** What a script or an action gives, when nothing went wrong. */
export function outputOf(frame: ResultFrame | null): Json {
  return frame !== null && "output" in frame ? frame.output : {};
}
