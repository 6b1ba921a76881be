// Opens a SQLite store and binds the port's verbs to it. Verbs are promises because the port is; the work itself is synchronous.
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { assert, isCoded } from "../../base/index.ts";
import type { RowOf } from "../changes.ts";
import type { Store } from "../ports.ts";
import { copyTo } from "./backup.ts";
import { type BlobPlace, findBlob, openBlob, sweepBlobs, writeBlobFile } from "./blobs.ts";
import { extendClaims, findClaims, releaseClaims } from "./claims.ts";
import { Connection, storeError } from "./database.ts";
import { countEvents, findEvent, findEventBytes, findTrace, lastSeq, missingGuards, selectEvents, selectTraces } from "./events.ts";
import { commitRequests, forgetTraces, newWriter } from "./ledger.ts";
import { importBlob } from "./import-blob.ts";
import { findDelivery, findWatch, findWatchedFile, forgetWatches, listWatchedFiles, listWatches, sweepDeliveries } from "./deliveries.ts";
import { findDueRun, schedulesSince, selectDueRuns, selectWaitingRuns, sweepDueRuns } from "./due-runs.ts";
import { insertLogs, selectLogs } from "./logs.ts";
import { migrate, type Migration } from "./migrate.ts";
import { countByState, dumpTable, selectExecutions, selectOfTasks, selectUnfinished, selectWorkflows } from "./reads.ts";
import { releasePages, removeBuried, selectEnded, selectRestartedFrom } from "./prune.ts";
import { applyChange } from "./rows.ts";
import { findSecretKey, selectSealed, selectSecrets } from "./secrets.ts";

export type SqliteOptions = {
  /** Database file, or `:memory:`. */
  path: string;
  durability: "full" | "normal";
  now: number;
  /** For tests of migrations. */
  migrations?: readonly Migration[];
};

/** @throws STORE_UNAVAILABLE, SCHEMA_TOO_NEW */
export function openSqliteStore(options: SqliteOptions): Store {
  const { path } = options;
  if (path !== ":memory:") mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const db = new Connection(path, options.durability);
  try {
    const list = options.migrations === undefined ? {} : { list: options.migrations };
    migrate(db, { now: options.now, ...list });
  } catch (cause) {
    db.close();
    throw cause;
  }
  return bind(db, path === ":memory:" ? null : join(dirname(path), "blobs"));
}

/** Makes a synchronous verb a promise; what SQLite or the file system throws becomes a coded error here. */
function later<A extends unknown[], R>(work: (...args: A) => R): (...args: A) => Promise<R> {
  return async (...args) => {
    try {
      return work(...args);
    } catch (cause) {
      throw isCoded(cause) ? cause : storeError("Cannot use the store", cause);
    }
  };
}

function bind(db: Connection, blobFolder: BlobPlace): Store {
  return {
    kind: "sqlite",
    path: db.path,
    ...bindLedger(db, blobFolder),
    ...bindReads(db),
    appendLogs: later((lines) => db.atomically(() => insertLogs(db, lines))),
    listLogs: later((selection) => selectLogs(db, selection)),
    findBlob: later((sha256) => findBlob(db, blobFolder, sha256)),
    writeBlobFile: later((blob) => writeBlobFile(db, blobFolder, blob)),
    importBlob: (file) => importBlob(db, blobFolder, file),
    openBlob: later((sha256) => openBlob(db, blobFolder, sha256)),
    sweepBlobs: later((now) => sweepBlobs(db, blobFolder, now)),
    extendClaims: later((fences, expiresAt) => extendClaims(db, fences, expiresAt)),
    findClaims: later((resources) => findClaims(db, resources)),
    releaseClaims: later((fences) => releaseClaims(db, fences)),
    findDueRun: later((at) => findDueRun(db, at)),
    listWaitingRuns: later((workflow) => selectWaitingRuns(db, workflow)),
    listDueRuns: later((selection) => selectDueRuns(db, selection)),
    sweepDueRuns: later((before) => sweepDueRuns(db, before)),
    schedulesSince: later(() => schedulesSince(db)),
    ...bindDeliveries(db),
    findIdempotent: later((scope, key, now) =>
      db.get<RowOf<"idempotency">>("select * from idempotency where scope = ? and key = ? and expires_at > ?", scope, key, now),
    ),
    sweepIdempotency: later((now) => void db.run("delete from idempotency where expires_at <= ?", now)),
    snapshot: later(() => openSnapshot(db, blobFolder)),
    copyTo: later((target) => copyTo(db, target)),
    close: later(() => db.close()),
  };
}

function bindDeliveries(db: Connection) {
  return {
    findDelivery: later((at: Parameters<Store["findDelivery"]>[0]) => findDelivery(db, at)),
    sweepDeliveries: later((now: number) => sweepDeliveries(db, now)),
    findWatch: later((workflow: string, trigger: string) => findWatch(db, workflow, trigger)),
    listWatches: later(() => listWatches(db)),
    findWatchedFile: later((at: Parameters<Store["findWatchedFile"]>[0]) => findWatchedFile(db, at)),
    listWatchedFiles: later((at: Parameters<Store["listWatchedFiles"]>[0]) => listWatchedFiles(db, at)),
    forgetWatches: later((workflow: string, keeps: readonly string[]) => forgetWatches(db, workflow, keeps)),
  };
}

/** A connection of its own within a read transaction, which the first read fixes to its moment. */
function openSnapshot(db: Connection, blobFolder: BlobPlace): Store {
  if (db.path === ":memory:") return { ...bind(db, blobFolder), close: later(() => undefined) };
  const reader = new Connection(db.path, "full");
  reader.run("begin");
  lastSeq(reader);
  return bind(reader, blobFolder);
}

function bindLedger(db: Connection, blobFolder: BlobPlace) {
  const writer = newWriter(db, blobFolder);
  return {
    commit: later((requests: Parameters<Store["commit"]>[0]) => commitRequests(writer, requests)),
    listEvents: later((selection: Parameters<Store["listEvents"]>[0]) => selectEvents(db, selection)),
    countEvents: later((selection: Parameters<Store["countEvents"]>[0]) => countEvents(db, selection)),
    findEvent: later((id: string) => findEvent(db, id)),
    findEventBytes: later((seq: number) => findEventBytes(db, seq)),
    listEventTypes: later(() => db.all<{ name: string }>("select name from event_types order by name").map((row) => row.name)),
    findTrace: later((id: string) => findTrace(db, id)),
    listTraces: later((selection: Parameters<Store["listTraces"]>[0]) => selectTraces(db, selection)),
    systemTraceId: later(() => {
      const row = db.get<{ id: string }>("select system_trace as id from ledger_state");
      assert(row !== null, "a migrated store has its state row");
      return row.id;
    }),
    listEnded: later((selection: Parameters<Store["listEnded"]>[0]) => selectEnded(db, selection)),
    listRestarted: later(() => selectRestartedFrom(db)),
    removeBuried: later((rowsMax: number) => {
      const { traceIds, ...removed } = removeBuried(db, blobFolder, rowsMax);
      forgetTraces(writer, traceIds);
      return { ...removed, traces: traceIds.length };
    }),
    releasePages: later((pagesMax: number) => releasePages(db, pagesMax)),
    lastSeq: later(() => lastSeq(db)),
    changeToken: later(() => db.get<{ data_version: number }>("pragma data_version")?.data_version ?? 0),
    missingGuards: later(() => missingGuards(db)),
  };
}

function bindReads(db: Connection) {
  return {
    dump: later((table, after, limit) => dumpTable(db, table, after, limit)) as Store["dump"],
    apply: later((changes: Parameters<Store["apply"]>[0]) => db.atomically(() => changes.forEach((change) => applyChange(db, change)))),
    findWorkflow: later((id: string) => db.get<RowOf<"workflows">>("select * from workflows where id = ?", id)),
    listWorkflows: later((selection: Parameters<Store["listWorkflows"]>[0]) => selectWorkflows(db, selection)),
    findRevision: later((workflow: string, revision: number) =>
      db.get<RowOf<"revisions">>("select * from revisions where workflow = ? and revision = ?", workflow, revision),
    ),
    findRevisionBySha: later((text: Parameters<Store["findRevisionBySha"]>[0]) =>
      db.get<RowOf<"revisions">>(
        "select * from revisions where workflow = ? and sha256 = ? and folder is ? order by revision desc limit 1",
        text.workflow,
        text.sha256,
        text.folder,
      ),
    ),
    listRevisions: later((selection: Parameters<Store["listRevisions"]>[0]) =>
      db.all<RowOf<"revisions">>(
        "select * from revisions where workflow = ? and revision < ? order by revision desc limit ?",
        selection.workflow,
        selection.beforeRevision ?? Number.MAX_SAFE_INTEGER,
        selection.limit,
      ),
    ),
    findExecution: later((id: string) => db.get<RowOf<"executions">>("select * from executions where execution_id = ?", id)),
    listExecutions: later((selection: Parameters<Store["listExecutions"]>[0]) => selectExecutions(db, selection)),
    listUnfinished: later((selection: Parameters<Store["listUnfinished"]>[0]) => selectUnfinished(db, selection)),
    countExecutions: later(() => countByState(db)),
    listTaskRuns: later((executionId: string, tasks?: readonly string[]) => selectOfTasks(db, "task_runs", executionId, tasks)),
    listAttempts: later((executionId: string, tasks?: readonly string[]) => selectOfTasks(db, "attempts", executionId, tasks)),
    listItemRuns: later((selection: Parameters<Store["listItemRuns"]>[0]) =>
      db.all<RowOf<"task_runs">>(
        "select * from task_runs where execution_id = ? and task = ? and item_index > ? order by item_index limit ?",
        selection.executionId,
        selection.task,
        selection.afterItem,
        selection.limit,
      ),
    ),
    listItemAttempts: later((selection: Parameters<Store["listItemAttempts"]>[0]) =>
      db.all<RowOf<"attempts">>(
        "select * from attempts where execution_id = ? and task = ? and item_index between ? and ? order by item_index, attempt",
        selection.executionId,
        selection.task,
        selection.fromItem,
        selection.toItem,
      ),
    ),
    listCommands: later((executionId: string | null) =>
      db.all<RowOf<"commands">>(
        "select * from commands where ? is null or execution_id = ? order by created_at, command_id",
        executionId,
        executionId,
      ),
    ),
    ...bindAccess(db),
  };
}

/** Who may do what: keys, approvals of plugins, secrets, sessions; and what triggers keep. */
function bindAccess(db: Connection) {
  return {
    findKeyByHash: later((sha256: string) =>
      db.get<RowOf<"api_keys">>("select k.* from key_hashes h join api_keys k on k.key_id = h.key_id where h.sha256 = ?", sha256),
    ),
    findKey: later((keyId: string) => db.get<RowOf<"api_keys">>("select * from api_keys where key_id = ?", keyId)),
    listKeys: later((selection: Parameters<Store["listKeys"]>[0]) =>
      db.all<RowOf<"api_keys">>(
        "select * from api_keys where revoked_at is null and (created_at, key_id) < (?, ?) order by created_at desc, key_id desc limit ?",
        selection.before?.createdAt ?? Number.MAX_SAFE_INTEGER,
        selection.before?.keyId ?? "",
        selection.limit,
      ),
    ),
    findPluginApproval: later((workflow: string, plugin: string) =>
      db.get<RowOf<"plugin_approvals">>(
        "select * from plugin_approvals where workflow in (?, '') and plugin = ? order by approved_at desc, workflow desc limit 1",
        workflow,
        plugin,
      ),
    ),
    listPluginApprovals: later((plugin: string) =>
      db.all<RowOf<"plugin_approvals">>("select * from plugin_approvals where plugin = ? order by workflow", plugin),
    ),
    findSecretKey: later(() => findSecretKey(db)),
    findSecret: later((name: string) => db.get<RowOf<"secrets">>("select * from secrets where name = ?", name)),
    listSecrets: later((selection: Parameters<Store["listSecrets"]>[0]) => selectSecrets(db, selection)),
    listSealed: later((executionId: string) => selectSealed(db, executionId)),
    findSession: later((id: string) => db.get<RowOf<"sessions">>("select * from sessions where session_id = ?", id)),
    listOpenSessions: later(() => db.all<RowOf<"sessions">>("select * from sessions where ended_at is null order by started_at")),
  };
}
