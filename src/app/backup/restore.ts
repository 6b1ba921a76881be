// Puts a backup in the store's place: unpacked beside it, held against every digest, opened and proven as a whole, and only then moved.
// Whatever is wrong with the file, and whatever goes wrong before the move, leaves the old store as it was.
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { type CodedError, fail, isCoded, limits } from "../../base/index.ts";
import type { LoadedConfig } from "../../config/index.ts";
import { describeSqliteCopy, holdSqlite, inspectSqlite, openSqliteStore } from "../../storage/index.ts";
import { brokenChain } from "../../trace/index.ts";
import { openApp } from "../open.ts";
import { systemClock } from "../system.ts";
import { openVault } from "../vault.ts";
import type { OnBackupProgress } from "./create.ts";
import { type BackupManifest, blobFolder, blobPath, databaseName, keyFolder, treeNames } from "./manifest.ts";
import { beginRestore, type Move, type Restoring } from "./moves.ts";
import { checkSeal, type Sealed } from "./seal.ts";
import { unpack } from "./unpack.ts";

export type RestoreRequest = {
  loaded: LoadedConfig;
  /** Absolute path of the backup. */
  file: string;
  /** Sets a store that is there aside. */
  force: boolean;
  /** Ends it; counts until the move begins. */
  signal: AbortSignal;
  onProgress: OnBackupProgress;
};
export type RestoreReport = {
  file: string;
  sha256: string;
  /** When the backup was made, RFC 3339. */
  createdAt: string;
  lastSeq: number;
  events: number;
  executions: number;
  blobs: number;
  keyId: string | null;
  /** Why the secrets in it cannot be read here; null where they can, or there are none. */
  keyProblem: string | null;
  /** What to do about it, where it is something else than to bring the key. */
  keyHint: string | null;
  /** What was there before, under its new names. */
  setAside: string[];
};

/**
 * The caller sees to it that no server runs on the data folder.
 * @throws FILE_NOT_FOUND, ALREADY_EXISTS, STORE_IN_USE, PAYLOAD_DIGEST_MISMATCH, TRACE_CHAIN_BROKEN, SCHEMA_TOO_NEW, STACK_INCOMPATIBLE, STORE_UNAVAILABLE
 */
export async function restoreStore(request: RestoreRequest): Promise<RestoreReport> {
  const { loaded, file, force } = request;
  const source = await openSource(file);
  try {
    const there = listPresent(loaded.storePath);
    if (!force && there.length > 0)
      throw fail("ALREADY_EXISTS", `Cannot restore "${file}": there is a store already at "${loaded.storePath}"`, {
        details: { found: there },
        hint: "--force sets it aside, under names that end in .before-restore- and the time.",
      });
    const sealed = await checkSeal(source, file, (done, total) => {
      request.signal.throwIfAborted();
      request.onProgress("check", done, total);
    });
    const restoring = begin(loaded.storePath);
    try {
      return await restoreFrom(request, { source, sealed, restoring });
    } finally {
      restoring.end();
    }
  } finally {
    await source.close();
  }
}

type Source = { source: FileHandle; sealed: Sealed; restoring: Restoring };

async function restoreFrom(request: RestoreRequest, { source, sealed, restoring }: Source): Promise<RestoreReport> {
  const { staging } = restoring;
  const { loaded, file, signal, onProgress } = request;
  const onBytes = (done: number, total: number) => onProgress("unpack", done, total);
  const manifest = await unpack({ source, file, bodyBytes: sealed.bodyBytes, folder: staging, signal, onBytes });
  const database = join(staging, databaseName);
  onProgress("verify", 0, 0);
  checkDatabase(file, database, manifest);
  const staged: LoadedConfig = { ...loaded, storePath: database };
  const hasKeys = existsSync(join(staging, keyFolder));
  const problem = manifest.key_id === null ? null : await findKeyProblem(hasKeys ? staged : loaded, database);
  await proveAndNote(staged, { sha256: sealed.sha256, lastSeq: manifest.head.last_seq });
  signal.throwIfAborted();
  const moves = planMoves(loaded.storePath, staging);
  const hold = existsSync(loaded.storePath) ? holdSqlite(loaded.storePath, { waitMs: limits.storeHoldMsMax }) : null;
  try {
    restoring.move(moves);
  } finally {
    hold?.release();
  }
  return {
    file,
    sha256: sealed.sha256,
    createdAt: manifest.created_at,
    lastSeq: manifest.head.last_seq,
    ...manifest.counts,
    keyId: manifest.key_id,
    keyProblem: problem?.message ?? null,
    keyHint: isCoded(problem, "FILE_MODE_UNSAFE") ? (problem.hint ?? null) : null,
    setAside: moves.filter(({ kind, to }) => kind === "keep" && existsSync(to)).map(({ to }) => to),
  };
}

async function openSource(file: string): Promise<FileHandle> {
  const refuse = (why: string, cause?: unknown) => fail("FILE_NOT_FOUND", `Cannot restore "${file}": ${why}`, cause === undefined ? {} : { cause });
  let source: FileHandle;
  try {
    source = await open(file, "r");
  } catch (cause) {
    const { code } = cause as { code?: string };
    throw refuse(code === "ENOENT" ? "no such file" : `it cannot be read (${code ?? String(cause)})`, cause);
  }
  const found = await source.stat();
  if (found.isFile()) return source;
  await source.close();
  throw refuse(found.isDirectory() ? "it is a folder" : "it is no plain file");
}

function begin(storePath: string): Restoring {
  try {
    mkdirSync(dirname(storePath), { recursive: true, mode: 0o700 });
    return beginRestore(storePath);
  } catch (cause) {
    if (isCoded(cause)) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw fail("STORE_UNAVAILABLE", `Cannot restore into "${dirname(storePath)}": ${why}`, { cause });
  }
}

/** Digests say that these are the bytes that were packed; this says that they are the store that the manifest describes. */
function checkDatabase(file: string, database: string, manifest: BackupManifest): void {
  const broken = (why: string, details: Record<string, unknown> = {}) =>
    fail("TRACE_CHAIN_BROKEN", `Cannot restore "${file}": ${why}`, { details, hint: "Use another backup; nothing was changed here." });
  const { damage, unknown } = inspectDatabase(database, broken);
  if (unknown === null) throw broken("its database is no store of this program");
  if (unknown.length > 0)
    throw fail("SCHEMA_TOO_NEW", `Cannot restore "${file}": its database has migrations that this version does not know: ${unknown.join(", ")}`, {
      hint: "Use the version of `workflow` that made it, or a newer one.",
    });
  if (damage.length > 0) throw broken(`its database is damaged: ${damage.join("; ")}`);
  const found = describeSqliteCopy(database);
  const { head } = manifest;
  if (found.lastSeq !== head.last_seq || found.lastHash !== head.last_hash)
    throw broken(`its manifest ends at seq ${head.last_seq} with ${head.last_hash}, its database at seq ${found.lastSeq} with ${found.lastHash}`, {
      manifest: head,
      database: { last_seq: found.lastSeq, last_hash: found.lastHash },
    });
  const { events, executions, blobs } = manifest.counts;
  const isSame = found.systemTraceId === manifest.system_trace_id && found.keyId === manifest.key_id && found.schema === manifest.schema;
  if (!isSame || found.events !== events || found.executions !== executions || found.blobs !== blobs)
    throw broken("its manifest describes another store than the one in it");
  const paths = new Set(manifest.files.map(({ path }) => path));
  const missing = found.blobFiles.find(({ sha256 }) => !paths.has(blobPath(sha256)));
  if (missing !== undefined) throw broken(`the file of blob "${missing.sha256}" is not in it`);
}

function inspectDatabase(database: string, broken: (why: string) => Error) {
  try {
    return inspectSqlite(database, { thorough: true });
  } catch (cause) {
    throw broken(`its database cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

/** Whether this process could read the secrets, with the keys where they will be. */
async function findKeyProblem(loaded: LoadedConfig, database: string): Promise<CodedError | null> {
  const store = openSqliteStore({ path: database, durability: "full", now: systemClock.now() });
  try {
    const vault = openVault(loaded, store, () => Promise.reject(fail("INTERNAL", "Cannot make a key: the store has one")));
    await vault.key();
    return null;
  } catch (cause) {
    if (isCoded(cause)) return cause;
    throw cause;
  } finally {
    await store.close();
  }
}

/** The whole trace, every table and every blob; then the event that tells of the restore, so that it comes and goes with the store. */
async function proveAndNote(staged: LoadedConfig, backup: { sha256: string; lastSeq: number }): Promise<void> {
  const app = await openApp({ loaded: staged, mode: "command" });
  try {
    const { problem } = await app.verify({ traceId: null, state: true });
    if (problem !== null) throw brokenChain(problem);
    await app.backups.noteRestored(backup);
  } finally {
    await app.close();
  }
}

/** Files and folders that make a store, and hold something. Keys alone make none: they are put there before a restore. */
function listPresent(storePath: string): string[] {
  const folders = [blobFolder, ...treeNames].map((name) => join(dirname(storePath), name));
  return [...[storePath, `${storePath}-wal`].filter(existsSync), ...folders.filter(isFilled)];
}

function isFilled(folder: string): boolean {
  return existsSync(folder) && readdirSync(folder).length > 0;
}

function planMoves(storePath: string, staging: string): Move[] {
  const folder = dirname(storePath);
  const mark = freeMark(folder);
  const moves: Move[] = [];
  const keep = (from: string, to: string) => moves.push({ kind: "keep", from, to });
  const put = (name: string, to: string) => moves.push({ kind: "put", from: join(staging, name), to });
  // What belongs to the old database must be gone before there is a new one.
  for (const end of ["-wal", "-shm", "-journal"]) if (existsSync(storePath + end)) keep(storePath + end, `${storePath}${mark}${end}`);
  if (existsSync(storePath)) keep(storePath, storePath + mark);
  put(databaseName, storePath);
  for (const name of [blobFolder, ...treeNames, keyFolder]) {
    const [place, isNew] = [join(folder, name), existsSync(join(staging, name))];
    // Key files stay, unless the backup brings its own.
    if ((name !== keyFolder || isNew) && isFilled(place)) keep(place, place + mark);
    if (isNew) put(name, place);
  }
  return moves;
}

/** An ending that no file here has. */
function freeMark(folder: string): string {
  const taken = readdirSync(folder).map((name) => basename(name));
  for (let at = systemClock.now(); ; at += 1) {
    const mark = `.before-restore-${new Date(at).toISOString().replaceAll(/[-:.]/g, "")}`;
    if (!taken.some((name) => name.includes(mark))) return mark;
  }
}
