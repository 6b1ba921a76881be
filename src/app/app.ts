// What the composition root hands out: one opened store with everything wired to it.
import type { JsonObject } from "../base/index.ts";
import type { LoadedConfig } from "../config/index.ts";
import type { Caller, Execution, Permissions, RunGrants } from "../model/index.ts";
import type { BackupAdmin } from "./backup/admin.ts";
import type { Facade } from "./facade.ts";
import type { HookRequest } from "./verbs/hooks.ts";
import type { VerifyReport, VerifyRequest } from "../trace/index.ts";

export type AppOptions = {
  loaded: LoadedConfig;
  /**
   * `server`: recovers and runs executions of the whole store, keeps claims alive. `oneShot`: runs only what this process starts.
   * `command`: answers verbs and starts nothing by itself.
   */
  mode: "server" | "oneShot" | "command";
};

/** What a one-shot shows while it runs; called in commit order. */
export type Progress =
  | {
      kind: "task";
      taskId: string;
      phase: string | null;
      state: string;
      reason: string | null;
      attempt: number;
      at: number;
      durationMs: number | null;
      message: string | null;
    }
  | { kind: "log"; taskId: string | null; level: string; source: string; message: string; at: number }
  | { kind: "execution"; state: string; reason: string | null; at: number };

export type OneShotRequest = {
  /** Text and place of a file, or the id of a stored workflow. */
  from: { source: string; file: string; folder: string | null } | { workflow: string };
  /** Parsed by the declared types: `--input k=v` texts, then whole values (`--inputs`). */
  inputTexts: Record<string, string>;
  inputs: JsonObject;
  timeoutMs: number | null;
  keepWorkspace: boolean;
  /** Granted for this run beside the workflow's block (`--allow-*`), null for nothing. */
  allow: RunGrants | null;
  /** Enforces nothing and watches everything (`--learn`). */
  learn: boolean;
  onProgress: (progress: Progress) => void;
  /** Lines for stderr that are no progress: warnings, notes. */
  onNote: (text: string) => void;
};
export type OneShot = {
  executionId: string;
  taskIds: string[];
  /** Resolves at the end, or when it waits for a person and `leave` was called. */
  done: Promise<Execution>;
  cancel(): Promise<void>;
  kill(): void;
  /** With `learn`, once it has ended: the least block of permissions that it needs, as YAML. */
  learned: (() => string) | null;
};

export type PluginChange = { plugin: string; version: string; sha256: string; folder: string; permissions: Permissions };

export interface PluginAdmin {
  /**
   * Copies a plugin's tree into the store's folder; `replaced` is the version that was there. @throws FILE_NOT_FOUND,
   * MANIFEST_INVALID, ALREADY_EXISTS for an older version without `force`
   */
  install(request: { path: string; force: boolean }): Promise<PluginChange & { replaced: string | null; unchanged: boolean }>;
  /** Approves what the installed version asks for, for one workflow or for all. @throws PLUGIN_NOT_FOUND, MANIFEST_INVALID, WORKFLOW_NOT_FOUND */
  approve(request: { id: string; workflow: string | null }): Promise<PluginChange & { workflow: string | null }>;
  /** @throws PLUGIN_NOT_FOUND also for one outside the store's folder, PLUGIN_IN_USE without `force` */
  remove(request: { id: string; force: boolean }): Promise<{ plugin: string; workflows: string[] }>;
}

export interface App {
  readonly loaded: LoadedConfig;
  /** Verbs as one caller; the caller's scopes were checked by the surface, grants are checked here. */
  facade(caller: Caller): Facade;
  /** The principal `user:<os user>` with every scope, for commands that act on the store in this process. */
  localCaller(): Caller;
  /** Null when the key is unknown, revoked or expired; one that another process revoked may last a quarter of a second more. */
  authenticate(key: string): Promise<Caller | null>;
  /** Whether a key that was valid still is; open streams ask twice a second. */
  isKeyLive(keyId: string): Promise<boolean>;
  /** True once the store is open and recovery is done. */
  readonly ready: boolean;
  /** Sees to it that `<data>/admin.key` holds a key that works. @throws STORE_UNAVAILABLE */
  ensureAdminKey(): Promise<void>;
  /**
   * What a webhook's sender delivers. @throws NOT_FOUND, METHOD_NOT_ALLOWED, UNAUTHORIZED, BAD_REQUEST, INPUT_INVALID,
   * IDEMPOTENCY_MISMATCH, QUEUE_FULL
   */
  deliverHook(request: HookRequest): Promise<{ executionId: string }>;
  runOneShot(request: OneShotRequest): Promise<OneShot>;
  /** What only the machine's own user does with plugins: there is no route for it. */
  readonly plugins: PluginAdmin;
  /** Backups of this store; putting one back is `restoreStore`, which opens no store that is there. */
  readonly backups: BackupAdmin;
  verify(request: VerifyRequest): Promise<VerifyReport>;
  /** Stops taking work, lets tasks finish up to `drainMs`, stops them, closes. */
  close(options?: { drainMs?: number }): Promise<void>;
}
