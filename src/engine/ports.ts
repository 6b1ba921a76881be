// What the engine needs of the world: something that runs one attempt outside the engine, timers, and the liveness of other processes.
import type { ErrorBody, Json, JsonObject } from "../base/index.ts";
import type { Denial, Permissions, RunGrants } from "../model/index.ts";
import type { Masker } from "../secrets/index.ts";
import type { LogLevel, LogSource } from "../storage/index.ts";

/** What of a task decides how it may run; known before it starts. */
export type TaskAsk = {
  executionId: string;
  workflow: string;
  task: string;
  itemIndex: number | null;
  action: string;
  inputs: JsonObject;
  /** Absolute folder of the workflow's file. */
  folder: string | null;
  runtime: "process" | "docker";
  image: string | null;
  /** As declared, with what was granted for this run beside the workflow's block. */
  permissions: { workflow: Permissions; task: Permissions | undefined; allow: RunGrants | null };
};

/** What `trace.task.started` records of it, and what `invoke` gets back unchanged. */
export type TaskPrepared = {
  runtime: string;
  pluginSha256: string | null;
  imageDigest: string | null;
  /** The effective permissions, with what was asked and not granted. */
  permissions: JsonObject;
  /** The action's own timeout, for a task that has none. */
  timeoutMs: number | null;
  /** Names of the server's variables that the task gets. */
  env: string[];
  sandbox: { level: "strict" | "reduced" | "off"; layers: string[] };
  /** Why it cannot be started: the attempt then fails with it at once, and `invoke` is not called. */
  refusal: ErrorBody | null;
  /** What was asked and is known not to be granted before anything runs: told like a denial of the running task. */
  denials: Denial[];
  /** The invoker's own. */
  ticket: unknown;
};

/** A file that was stored as a blob: named by the event that tells of the result. */
export type StoredArtifact = { name: string; sha256: string; size: number; contentType: string };

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
  prepared: TaskPrepared;
  /** What may not be shown of the task's output: the engine masks what it is given, but only the producer knows where text was cut. */
  masker: Masker;
  /** To be called at once, and before `done` resolves; equal ones may come more than once. */
  onDenial: (denial: Denial) => void;
};
export type TaskOutcome = { ok: true; output: Json; artifacts: StoredArtifact[] } | { ok: false; error: ErrorBody; retryable: boolean };
export type TaskInvocation = {
  /** Resolves when the whole process tree is gone; never rejects. */
  done: Promise<TaskOutcome>;
  /** SIGTERM to the tree, after the grace SIGKILL. */
  terminate(): void;
  /** SIGKILL to the tree at once. */
  kill(): void;
};

export interface TaskInvoker {
  /** Null: something has to be looked up first (a plugin's approval, an image); `wake` is called when it is worth asking again. */
  prepare(ask: TaskAsk, wake: () => void): TaskPrepared | null;
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
