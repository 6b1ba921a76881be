// The coded errors of a process that was never started, from the step that failed and the kernel's errno.

import { constants } from "node:os";
import { fail } from "../../base/index.ts";
import type { CodedError, ErrorCode } from "../../base/index.ts";
import type { Step } from "../sandbox/index.ts";

type Attempted = { argv: readonly string[]; cwd: string };

/** The code of what the task itself got wrong, its program or its folder. */
function taskCode(errno: string): ErrorCode {
  return errno === "ENOENT" || errno === "ENOTDIR" ? "FILE_NOT_FOUND" : "TASK_FAILED";
}

/** Why the launcher stopped. `step` is undefined when the number lies outside the plan. */
export function explainFailedStep(spec: Attempted, step: Step | undefined, errno: number): CodedError {
  const name = errnoName(errno);
  const call = step?.kind === "syscall" ? step.call : null;
  if (call === "execve") {
    const [program = ""] = spec.argv;
    const hint = name === "ENOENT" ? "Install the program, or the interpreter that its first line names." : undefined;
    return refuse(taskCode(name), `Cannot execute "${program}": ${name}`, { program, errno: name }, hint);
  }
  if (call === "chdir") {
    return refuse(taskCode(name), `Cannot enter the folder "${spec.cwd}": ${name}`, { folder: spec.cwd, errno: name });
  }
  const what = describeStep(step);
  return refuse("SANDBOX_UNAVAILABLE", `Cannot start a task: ${what} failed with ${name}`, { step: what, errno: name });
}

/** The supervisor ended without a word: killed from outside, by the task or for want of memory. */
export function explainLostSupervisor(signal: string | null): CodedError {
  return refuse("TASK_FAILED", `Lost a task: its supervisor ended by ${signal ?? "itself"}`, { signal });
}

/** Wraps what Bun throws when not even the launcher could be executed. */
export function wrapSpawnError(cause: unknown): CodedError {
  const text = cause instanceof Error ? cause.message : String(cause);
  return fail("SANDBOX_UNAVAILABLE", `Cannot start tasks: the launcher cannot be executed: ${text}`, {
    cause,
    hint: "The server needs /proc, and files in memory must be executable (sysctl vm.memfd_noexec below 2).",
  });
}

function refuse(code: ErrorCode, message: string, details: Record<string, unknown>, hint?: string): CodedError {
  return fail(code, message, hint === undefined ? { details } : { details, hint });
}

function describeStep(step: Step | undefined): string {
  if (step === undefined) return "the plan";
  if (step.kind === "syscall") return step.call;
  if (step.kind === "keep") return "the task's keeper";
  return step.kind === "expect" ? `the check of the ${step.what}` : step.kind;
}

function errnoName(errno: number): string {
  const named = Object.entries(constants.errno).find(([, value]) => value === errno);
  return named?.[0] ?? `errno ${errno}`;
}
