// What the engine needs of the world: something that runs one attempt outside the engine, timers, and the liveness of other processes.
import type { ErrorBody, Json, JsonObject } from "../base/index.ts";
import type { LogLevel, LogSource } from "../storage/index.ts";

/** One attempt of one task, ready to run: everything is evaluated. */
export type TaskCall = {
  executionId: string;
  workflow: string;
  task: string;
  itemIndex: number | null;
  attempt: number;
  action: string;
  inputs: JsonObject;
  env: Record<string, string>;
  /** Below the workspace, for `run:` tasks. */
  workdir: string | null;
  /** Absolute folder of the workflow's file. */
  folder: string | null;
  /** Absolute time (ms) at which the engine will stop it, null without a timeout. */
  deadlineAt: number | null;
  /** A promise asks the producer to wait for it, so that a flood of lines does not pile up in memory. */
  onLine: (line: { source: LogSource; level: LogLevel; message: string; metadata: Json | null }) => Promise<void> | void;
};
export type TaskOutcome = { ok: true; output: Json } | { ok: false; error: ErrorBody; retryable: boolean };
export type TaskInvocation = {
  /** Resolves when the whole process tree is gone; never rejects. */
  done: Promise<TaskOutcome>;
  /** SIGTERM to the tree, after the grace SIGKILL. */
  terminate(): void;
  /** SIGKILL to the tree at once. */
  kill(): void;
};

export interface TaskInvoker {
  /** How attempts are isolated here, recorded with each. */
  readonly sandbox: { level: "strict" | "reduced" | "off"; layers: string[] };
  invoke(call: TaskCall): TaskInvocation;
  /** Removes the execution's workspace, unless a person asked to keep it. */
  dispose(executionId: string): Promise<void>;
}

export interface Timers {
  set(atMs: number, work: () => void): unknown;
  clear(handle: unknown): void;
  /** Runs work soon, after what is already waiting. */
  soon(work: () => void): void;
}

export interface OwnerWatch {
  /** True only when the owner of a claim is known to be dead (same machine, process gone); an unknown one counts as alive. */
  isDead(owner: string): boolean;
}
