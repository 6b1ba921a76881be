// Row changes: the one language in which events become rows. Projectors return them, stores apply them; no SQL on either side.
import type { ExecutionState, Subject, TaskState } from "../model/index.ts";

/** What a column may hold. JSON is text; times are milliseconds; flags are 0 or 1; bytes are only in side tables. */
export type Cell = string | number | null | Uint8Array;

/** Tables folded from events alone; `verify --state` folds them again and compares. */
export type Projections = {
  sessions: {
    key: { session_id: string };
    row: {
      session_id: string;
      trace_id: string;
      principal_type: string;
      principal_id: string;
      scopes: string;
      started_at: number;
      expires_at: number | null;
      ended_at: number | null;
      end_reason: string | null;
    };
  };
  workflows: {
    key: { id: string };
    row: {
      id: string;
      name: string | null;
      description: string | null;
      labels: string;
      enabled: number;
      armed: number;
      revision: number;
      sha256: string;
      folder: string | null;
      created_at: number;
      updated_at: number;
    };
  };
  revisions: {
    key: { workflow: string; revision: number };
    row: { workflow: string; revision: number; sha256: string; folder: string | null; created_at: number; by: string };
  };
  executions: {
    key: { execution_id: string };
    row: {
      execution_id: string;
      session_id: string;
      workflow: string;
      revision: number;
      sha256: string;
      state: ExecutionState;
      reason: string | null;
      trigger_type: string;
      trigger_id: string | null;
      scheduled_at: number | null;
      by: string;
      parent: string | null;
      labels: string;
      inputs: string;
      outputs: string | null;
      error: string | null;
      digest: string | null;
      created_at: number;
      started_at: number | null;
      ended_at: number | null;
    };
  };
  task_runs: {
    key: { execution_id: string; task: string; item_index: number };
    row: {
      execution_id: string;
      task: string /** −1 where the task has no items. */;
      item_index: number;
      state: TaskState;
      reason: string | null;
      due_at: number | null;
      output: string | null;
      error: string | null;
    };
  };
  attempts: {
    key: { execution_id: string; task: string; item_index: number; attempt: number };
    row: {
      execution_id: string;
      task: string;
      item_index: number;
      attempt: number;
      started_at: number;
      ended_at: number | null;
      duration_ms: number | null;
      error: string | null;
      runtime: string;
      sandbox: string;
      log_sha256: string | null;
      log_lines: number | null;
    };
  };
  api_keys: {
    key: { key_id: string };
    row: {
      key_id: string;
      name: string | null;
      principal_type: string;
      principal_id: string;
      roles: string;
      scopes: string;
      created_at: number;
      expires_at: number | null;
      revoked_at: number | null;
    };
  };
  /** What a plugin was approved for; `workflow` is empty where it was approved for all. */
  plugin_approvals: {
    key: { workflow: string; plugin: string };
    row: { workflow: string; plugin: string; version: string; sha256: string; permissions: string; approved_at: number; by: string };
  };
};

/** Tables that are not folded: control and secret matter, kept out of the events. */
export type SideTables = {
  key_hashes: { key: { sha256: string }; row: { sha256: string; key_id: string } };
  idempotency: {
    key: { scope: string; key: string };
    row: { scope: string; key: string; body_sha256: string; result: string; expires_at: number };
  };
  /** What a person asked of a live execution; its owner takes it up and removes it with the events that answer it. */
  commands: {
    key: { command_id: string };
    row: { command_id: string; execution_id: string; kind: string; body: string; by: string; created_at: number };
  };
  /**
   * Times of cron triggers. The state that a change finds is part of its key: of two processes that want one run, the second finds
   * another state and is refused.
   */
  due_runs: {
    key: { workflow: string; trigger: string; scheduled_at: number; state: DueRunState };
    row: {
      workflow: string;
      trigger: string;
      scheduled_at: number;
      state: DueRunState;
      execution_id: string | null;
      /** Code of what kept it from starting, for a skipped one. */
      reason: string | null;
    };
  };
  /** Deliveries of webhooks by the sender's own id: a repeat gets the first one's execution. */
  deliveries: {
    key: { workflow: string; trigger: string; delivery_id: string };
    row: { workflow: string; trigger: string; delivery_id: string; body_sha256: string; execution_id: string; expires_at: number };
  };
  /** File triggers that have looked once; `places` is a digest of where they look. */
  watches: {
    key: { workflow: string; trigger: string; places: string };
    row: { workflow: string; trigger: string; places: string; since: number };
  };
  /**
   * The version of each file that a watch knows, and when it was found gone. The version that a change finds is part of its key: of
   * two processes that see a new one, the second is refused.
   */
  watched_files: {
    key: { workflow: string; trigger: string; path: string; version: string };
    row: { workflow: string; trigger: string; path: string; version: string; gone_at: number | null };
  };
  /** Which key everything below is encrypted with: one row. */
  secret_key: {
    key: { id: 1 };
    row: { id: 1; key_id: string; source: "file" | "hex" | "passphrase"; salt: string | null; created_at: number };
  };
  secrets: {
    key: { name: string };
    row: { name: string; key_id: string; nonce: Uint8Array; ciphertext: Uint8Array; created_at: number; updated_at: number; by: string };
  };
  /** The true values of what masking changed; `task` is empty and `item_index` −1 where there is none. */
  sealed_values: {
    key: { execution_id: string; task: string; item_index: number; member: string };
    row: {
      execution_id: string;
      task: string;
      item_index: number;
      member: string;
      key_id: string;
      nonce: Uint8Array;
      ciphertext: Uint8Array;
    };
  };
};

/** `due`: neither started nor given up yet. */
export type DueRunState = "due" | "started" | "skipped" | "missed";

export type Tables = Projections & SideTables;
export type TableName = keyof Tables;
export type ProjectionName = keyof Projections;
export type RowOf<T extends TableName> = Tables[T]["row"];
export type KeyOf<T extends TableName> = Tables[T]["key"];

/**
 * insert: the key must be new (else ALREADY_EXISTS) · put: insert or overwrite · update: exactly that row must be there (else FOLD_FAILED) ·
 * delete: the row may be missing.
 */
export type RowChange = {
  [T in TableName]:
    | { table: T; op: "insert"; row: RowOf<T> }
    | { table: T; op: "put"; key: KeyOf<T>; row: RowOf<T> }
    | { table: T; op: "update"; key: KeyOf<T>; set: Partial<RowOf<T>> }
    | { table: T; op: "delete"; key: KeyOf<T> };
}[TableName];

/** Key columns of every table, in order. */
export const keyColumns: { [T in TableName]: readonly string[] } = {
  sessions: ["session_id"],
  workflows: ["id"],
  revisions: ["workflow", "revision"],
  executions: ["execution_id"],
  task_runs: ["execution_id", "task", "item_index"],
  attempts: ["execution_id", "task", "item_index", "attempt"],
  api_keys: ["key_id"],
  plugin_approvals: ["workflow", "plugin"],
  key_hashes: ["sha256"],
  idempotency: ["scope", "key"],
  commands: ["command_id"],
  due_runs: ["workflow", "trigger", "scheduled_at", "state"],
  deliveries: ["workflow", "trigger", "delivery_id"],
  watches: ["workflow", "trigger", "places"],
  watched_files: ["workflow", "trigger", "path", "version"],
  secret_key: ["id"],
  secrets: ["name"],
  sealed_values: ["execution_id", "task", "item_index", "member"],
};

export const projectionNames: readonly ProjectionName[] = [
  "sessions",
  "workflows",
  "revisions",
  "executions",
  "task_runs",
  "attempts",
  "api_keys",
  "plugin_approvals",
];

/** Who a trace is about, given with its first event. */
export type TraceSubject = { subject: Subject; subjectId: string };
