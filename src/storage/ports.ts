// What the program needs of a store: atomic commands and typed reads. Nothing here is of SQLite; a second implementation
// passes the same contract suite (tests/contract). All times are milliseconds, ids text, digests hex.
import type { CodedError } from "../base/index.ts";
import type { EventDraft, ExecutionState, Severity, Subject } from "../model/index.ts";
import type { DueRunState, KeyOf, ProjectionName, RowChange, RowOf, TraceSubject } from "./changes.ts";

export type LogLevel = "DEBUG" | "INFO" | "WARN" | "ERROR";
export type LogSource = "stdout" | "stderr" | "engine";
export type LogLine = {
  executionId: string;
  task: string | null;
  itemIndex: number | null;
  attempt: number | null;
  time: number;
  level: LogLevel;
  source: LogSource;
  message: string;
  metadata: string | null;
};
export type StoredLog = LogLine & { id: number };

export type Blob = { sha256: string; bytes: Uint8Array; contentType: string };
/** A blob that `importBlob` took in; the commit that names it first gives it its row. */
export type BlobFile = { sha256: string; size: number; contentType: string };
/** A blob to be read in pieces; whole from `bytes` where it is a row, else from the file at `path`. */
export type OpenedBlob = { size: number; contentType: string; pieces(): AsyncIterable<Uint8Array> } & (
  | { bytes: Uint8Array; path: null }
  | { bytes: null; path: string }
);

/** Ownership of a resource: only the holder of the newest version may write for it. */
export type Claim = { resource: string; owner: string; version: number; expiresAt: number };
export type ClaimFence = { resource: string; owner: string; version: number };

/** One caller's writes: they stand or fall together. */
export type CommitRequest = {
  events: readonly EventDraft[];
  /** Who the trace is about, for each trace that these events open. */
  opens: ReadonlyMap<string, TraceSubject>;
  /** What the events fold to (from the projectors), then changes of side tables. */
  changes: readonly RowChange[];
  /** Next sequence that each trace must have; else CLAIM_LOST. */
  expected?: ReadonlyMap<string, number>;
  /** Must be held, and by this version; else CLAIM_LOST. */
  fence?: ClaimFence;
  /** Claims to take in the same step: free, expired, or already ours; else CLAIM_LOST. */
  acquire?: { resource: string; owner: string; expiresAt: number; now: number };
  /** Claims to give back in the same step. */
  release?: ClaimFence;
  logs?: readonly LogLine[];
  blobs?: readonly Blob[];
  /** Taken in before; one that is not there any more refuses the request (STORE_UNAVAILABLE). */
  blobFiles?: readonly BlobFile[];
  /** Id of the key that encrypted rows among the changes: must be the store's key then; else SECRET_KEY_WRONG. */
  sealedWith?: string;
  /** Encrypts all secrets and sealed values again, in the same step. */
  rotation?: KeyRotation;
  /** Trace that the first event is the tombstone of: it is gone for every reader, and `removeBuried` takes its rows; ALREADY_EXISTS when it is gone already. */
  buries?: string;
};
/** A row that is encrypted, of either table. */
export type EncryptedRow = ({ table: "secrets" } & RowOf<"secrets">) | ({ table: "sealed_values" } & RowOf<"sealed_values">);
export type KeyRotation = {
  /** Id of the key that must be the store's; else SECRET_KEY_WRONG. */
  from: string;
  to: RowOf<"secret_key">;
  /** What it throws refuses the whole request. */
  reseal(row: EncryptedRow): { nonce: Uint8Array; ciphertext: Uint8Array };
};
export type CommittedEvent = { seq: number; sequence: number; body: string; hash: string; draft: EventDraft };
export type CommitOutcome = { ok: true; events: CommittedEvent[]; claim: Claim | null; logIds: number[] } | { ok: false; error: CodedError };

export type StoredEvent = {
  seq: number;
  eventId: string;
  traceId: string;
  sequence: number;
  type: string;
  severity: Severity;
  time: number;
  hash: string;
  body: string;
};
export type TraceHead = { traceId: string; subject: Subject; subjectId: string; events: number; lastHash: string; lastTime: number; ordinal: number };

export type EventSelection = {
  traceId?: string;
  /** Events after this store-wide number. */
  afterSeq?: number;
  /** Events before this store-wide number. */
  beforeSeq?: number;
  /** Events after this number within the trace. */
  afterSequence?: number;
  /** Least severity. */
  severity?: Severity;
  /** Exact event types; empty = none match. */
  types?: readonly string[];
  /** Newest first; else oldest first. */
  order?: "asc" | "desc";
  limit: number;
  offset?: number;
};

export interface LedgerStore {
  /** Writes all requests in one durable transaction, each in a savepoint of its own, in the given order. */
  commit(requests: readonly CommitRequest[]): Promise<CommitOutcome[]>;
  listEvents(selection: EventSelection): Promise<StoredEvent[]>;
  countEvents(selection: Omit<EventSelection, "order" | "limit" | "offset">): Promise<number>;
  findEvent(eventId: string): Promise<StoredEvent | null>;
  /** An event's bytes as they lie in the store: what is no UTF-8 reads as U+FFFD in `body`. */
  findEventBytes(seq: number): Promise<Uint8Array | null>;
  /** Every event type that was ever written. */
  listEventTypes(): Promise<string[]>;
  findTrace(traceId: string): Promise<TraceHead | null>;
  /** Newest first; `beforeOrdinal` continues a page. */
  listTraces(selection: { subject?: Subject; beforeOrdinal?: number; limit: number }): Promise<TraceHead[]>;
  /** Id of the store's one system trace, the same for every process; it is there before its first event. */
  systemTraceId(): Promise<string>;
  /** Number of the last event, 0 in an empty store. */
  lastSeq(): Promise<number>;
  /** Changes whenever another process has written. */
  changeToken(): Promise<number>;
  /** Names of the guards against changing events that should be there and are not. */
  missingGuards(): Promise<string[]>;
}

export interface ProjectionStore {
  /** Rows of a projection in key order, after the given key; for comparing folds. */
  dump<T extends ProjectionName>(table: T, after: KeyOf<T> | null, limit: number): Promise<RowOf<T>[]>;
  /** Applies changes without events: for folding a ledger again into a fresh store. */
  apply(changes: readonly RowChange[]): Promise<void>;
}

export interface WorkflowStore {
  findWorkflow(id: string): Promise<RowOf<"workflows"> | null>;
  /** In id order after the given id. */
  listWorkflows(selection: {
    enabled?: boolean;
    label?: { name: string; value: string | null };
    afterId?: string;
    limit: number;
  }): Promise<RowOf<"workflows">[]>;
  findRevision(workflow: string, revision: number): Promise<RowOf<"revisions"> | null>;
  /** The newest revision of this text from this folder. */
  findRevisionBySha(text: { workflow: string; sha256: string; folder: string | null }): Promise<RowOf<"revisions"> | null>;
  /** Newest first. */
  listRevisions(selection: { workflow: string; beforeRevision?: number; limit: number }): Promise<RowOf<"revisions">[]>;
}

export type ExecutionSelection = {
  workflow?: string;
  states?: readonly string[];
  trigger?: string;
  since?: number;
  until?: number;
  label?: { name: string; value: string | null };
  /** Continues a newest-first page after (created_at, execution_id). */
  before?: { createdAt: number; executionId: string };
  offset?: number;
  limit: number;
};

export interface ExecutionStore {
  findExecution(id: string): Promise<RowOf<"executions"> | null>;
  /** Newest first. */
  listExecutions(selection: ExecutionSelection): Promise<RowOf<"executions">[]>;
  /** Not terminal, oldest first. */
  listUnfinished(selection: { states?: readonly string[]; limit: number }): Promise<RowOf<"executions">[]>;
  countExecutions(): Promise<Record<string, number>>;
  /** All task runs, or those of the named tasks. */
  listTaskRuns(executionId: string, tasks?: readonly string[]): Promise<RowOf<"task_runs">[]>;
  /** Runs of one task in item order, −1 for the task itself, after the given one; then the attempts of such a stretch. */
  listItemRuns(selection: { executionId: string; task: string; afterItem: number; limit: number }): Promise<RowOf<"task_runs">[]>;
  listItemAttempts(selection: { executionId: string; task: string; fromItem: number; toItem: number }): Promise<RowOf<"attempts">[]>;
  listAttempts(executionId: string, tasks?: readonly string[]): Promise<RowOf<"attempts">[]>;
  listCommands(executionId: string | null): Promise<RowOf<"commands">[]>;
}

export type LogSelection = {
  executionId: string;
  task?: string;
  levels?: readonly LogLevel[];
  sources?: readonly LogSource[];
  since?: number;
  search?: string;
  order: "asc" | "desc";
  /** Continues after this id in the given order. */
  afterId?: number;
  offset?: number;
  limit: number;
};

export interface LogStore {
  appendLogs(lines: readonly LogLine[]): Promise<number[]>;
  listLogs(selection: LogSelection): Promise<StoredLog[]>;
}

export interface BlobStore {
  findBlob(sha256: string): Promise<{ bytes: Uint8Array; contentType: string } | null>;
  /** Durable before a commit names it; for blobs that are too large for a row. */
  writeBlobFile(blob: Blob): Promise<void>;
  /**
   * Copies a plain file into the store, piece by piece, and says what it is; nothing is followed. It stays for an hour at least, until
   * a commit names it (`blobFiles`). @throws FILE_NOT_FOUND for what is no plain file, TOO_LARGE, PAYLOAD_DIGEST_MISMATCH
   */
  importBlob(file: { path: string; bytesMax: number; sha256?: string }): Promise<{ sha256: string; size: number }>;
  /** For reading without loading it whole: a large one is a file. */
  openBlob(sha256: string): Promise<OpenedBlob | null>;
  /** Removes old blob files that no event names. */
  sweepBlobs(now: number): Promise<number>;
}

export interface KeyStore {
  findKeyByHash(sha256: string): Promise<RowOf<"api_keys"> | null>;
  findKey(keyId: string): Promise<RowOf<"api_keys"> | null>;
  /** Newest first, revoked ones left out. */
  listKeys(selection: { before?: { createdAt: number; keyId: string }; limit: number }): Promise<RowOf<"api_keys">[]>;
}

export interface PluginStore {
  /** The newest approval of a plugin that counts for a workflow: its own, or the one for all. */
  findPluginApproval(workflow: string, plugin: string): Promise<RowOf<"plugin_approvals"> | null>;
  /** All approvals of a plugin, by workflow. */
  listPluginApprovals(plugin: string): Promise<RowOf<"plugin_approvals">[]>;
}

export interface SecretStore {
  /** The key that everything is encrypted with; null before the first secret. */
  findSecretKey(): Promise<RowOf<"secret_key"> | null>;
  findSecret(name: string): Promise<RowOf<"secrets"> | null>;
  /** In name order after the given name. */
  listSecrets(selection: { afterName?: string; limit: number }): Promise<RowOf<"secrets">[]>;
  /** All sealed values of an execution. */
  listSealed(executionId: string): Promise<RowOf<"sealed_values">[]>;
}

/** An execution that has ended, with what its tombstone says of its trace. */
export type EndedExecution = { executionId: string; endedAt: number; events: number; firstSeq: number; lastSeq: number; lastHash: string };
/** What one portion took: rows of all tables, traces of which nothing is left, blobs that nothing named any more. */
export type RemovedRows = { rows: number; traces: number; blobs: number; isDone: boolean };

export interface RemovalStore {
  /**
   * Executions that ended in this state by then, the first to end first; `after` continues a page. One whose parent has not ended is
   * left out: the parent may not have taken its result yet.
   */
  listEnded(selection: {
    state: ExecutionState;
    until: number;
    after?: { endedAt: number; executionId: string };
    limit: number;
  }): Promise<EndedExecution[]>;
  /** Executions that one which has not ended was restarted from: after a crash it reads their results again. */
  listRestarted(): Promise<string[]>;
  /** Removes about so many rows of buried traces in one step, the earliest buried first; `isDone`: no buried trace is left. */
  removeBuried(rowsMax: number): Promise<RemovedRows>;
  /** Gives at most so many unused pages back to the file system, if there are more than new rows will soon take; returns how many. */
  releasePages(pagesMax: number): Promise<number>;
}

export interface SessionStore {
  findSession(id: string): Promise<RowOf<"sessions"> | null>;
  /** Service sessions that have not ended. */
  listOpenSessions(): Promise<RowOf<"sessions">[]>;
}

export interface ClaimStore {
  /** Lengthens claims that are still ours; returns the resources that are not any more. */
  extendClaims(fences: readonly ClaimFence[], expiresAt: number): Promise<string[]>;
  findClaims(resources: readonly string[]): Promise<Claim[]>;
  releaseClaims(fences: readonly ClaimFence[]): Promise<void>;
}

export type DueRunSelection = {
  workflow: string;
  trigger: string;
  states: readonly DueRunState[];
  /** Both inclusive, in milliseconds. */
  since?: number;
  until?: number;
  order: "asc" | "desc";
  limit: number;
};

export interface ScheduleStore {
  findDueRun(at: { workflow: string; trigger: string; scheduledAt: number }): Promise<RowOf<"due_runs"> | null>;
  /** All that are still due, of one workflow or of all, by workflow, trigger and time. */
  listWaitingRuns(workflow: string | null): Promise<RowOf<"due_runs">[]>;
  /** Of one trigger, by time. */
  listDueRuns(selection: DueRunSelection): Promise<RowOf<"due_runs">[]>;
  /** Removes those of times before the given one. */
  sweepDueRuns(before: number): Promise<number>;
  /** Since when (ms) the store keeps due runs: nothing came due before. */
  schedulesSince(): Promise<number>;
}

export interface DeliveryStore {
  /** Null also for one that has expired. */
  findDelivery(at: { workflow: string; trigger: string; deliveryId: string; now: number }): Promise<RowOf<"deliveries"> | null>;
  /** Removes expired rows. */
  sweepDeliveries(now: number): Promise<number>;
  findWatch(workflow: string, trigger: string): Promise<RowOf<"watches"> | null>;
  listWatches(): Promise<RowOf<"watches">[]>;
  findWatchedFile(at: { workflow: string; trigger: string; path: string }): Promise<RowOf<"watched_files"> | null>;
  /** Of one watch, by path. */
  listWatchedFiles(at: { workflow: string; trigger: string; afterPath: string; limit: number }): Promise<RowOf<"watched_files">[]>;
  /** Removes a workflow's watches, with what they know, but those of the triggers named in `keeps`. */
  forgetWatches(workflow: string, keeps: readonly string[]): Promise<void>;
}

export interface IdempotencyStore {
  findIdempotent(scope: string, key: string, now: number): Promise<RowOf<"idempotency"> | null>;
  /** Removes expired rows. */
  sweepIdempotency(now: number): Promise<void>;
}

export interface Store
  extends LedgerStore,
    ProjectionStore,
    WorkflowStore,
    ExecutionStore,
    LogStore,
    BlobStore,
    KeyStore,
    PluginStore,
    SecretStore,
    SessionStore,
    RemovalStore,
    ClaimStore,
    ScheduleStore,
    DeliveryStore,
    IdempotencyStore {
  readonly kind: string;
  readonly path: string;
  /** The store as it is now, whatever is written meanwhile; for reading, and to be closed. A store in memory gives itself. */
  snapshot(): Promise<Store>;
  /** Writes the store of one moment into a new file of its own, for the owner only; files of blobs are not in it. Others go on writing. */
  copyTo(path: string): Promise<void>;
  close(): Promise<void>;
}
