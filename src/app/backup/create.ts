// Makes a backup: a copy of the database of one moment, every blob file that it names, installed plugins and atlases, behind a manifest.
// It is written beside its place under another name and appears whole or not at all. A server may go on working meanwhile.
import { existsSync, linkSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fail, isCoded, limits, toIso, version } from "../../base/index.ts";
import { type CopySummary, describeSqliteCopy } from "../../storage/index.ts";
import type { Caller } from "../../model/index.ts";
import { type AppContext, systemEvent, systemOpens } from "../context.ts";
import { copyFile, digestFile, readPieces, stageTree, syncFolder } from "./files.ts";
import { type BackupFile, type BackupManifest, blobPath, databaseName, isKeyName, keyFolder, manifestName, treeNames } from "./manifest.ts";
import { checkOverwrite, checkPlace, isThere } from "./place.ts";
import { type ArchiveEntry, writeArchive } from "./seal.ts";

export type BackupStep = "copy" | "pack" | "check" | "unpack" | "verify";
/** `done` and `total` are bytes; both 0 where a step cannot tell. */
export type OnBackupProgress = (step: BackupStep, done: number, total: number) => void;

export type BackupRequest = {
  /** Absolute path of the file to write. */
  file: string;
  /** Overwrites a backup that is there; nothing else is ever overwritten. */
  force: boolean;
  /** Puts the key files in too: who has the backup then reads its secrets. */
  withKeys: boolean;
  /** Ends it; nothing is left of it then. */
  signal: AbortSignal;
  onProgress: OnBackupProgress;
};
export type BackupReport = {
  file: string;
  bytes: number;
  sha256: string;
  lastSeq: number;
  events: number;
  executions: number;
  blobs: number;
  /** Of the key that the secrets in it are encrypted with; null where there are none. */
  keyId: string | null;
  /** Whether that key comes from AUTOKESTRA_SECRET_KEY, and thus from no file. */
  isKeyGiven: boolean;
  /** Key files that are in it. */
  keyFiles: number;
  /** Where key files lie that are not in it; null where there are none, or they are in it. */
  keysLeftOut: string | null;
};

/** @throws ALREADY_EXISTS, USAGE, FILE_NOT_FOUND, BLOB_NOT_FOUND, PAYLOAD_DIGEST_MISMATCH for a blob that is damaged, STORE_UNAVAILABLE */
export async function backUp(context: AppContext, caller: Caller, request: BackupRequest): Promise<BackupReport> {
  const { file, force } = request;
  const storeFolder = dirname(context.loaded.storePath);
  checkPlace(file, { loaded: context.loaded, force });
  const staging = makeStaging(file);
  try {
    const copy = join(staging, databaseName);
    request.onProgress("copy", 0, 0);
    await context.store.copyTo(copy);
    request.signal.throwIfAborted();
    const summary = describeSqliteCopy(copy);
    const { manifest, places } = collect({ context, request, staging, summary });
    const part = join(staging, "part");
    const written = await writeArchive(part, listEntries(manifest, places, request), context.clock.now());
    request.signal.throwIfAborted();
    putInPlace(part, file, force);
    const payload = { file: basename(file), sha256: written.sha256, last_seq: summary.lastSeq };
    context.session.ensure();
    await context.ledger.commit({
      events: [systemEvent(context, caller, { type: "trace.store.backed_up", payload })],
      opens: systemOpens(context),
    });
    const keys = join(storeFolder, keyFolder);
    const { lastSeq, events, executions, blobs, keyId } = summary;
    const keysLeftOut = !request.withKeys && existsSync(keys) ? keys : null;
    const keyFiles = manifest.files.filter(({ path }) => path.startsWith(`${keyFolder}/`)).length;
    const isKeyGiven = summary.keySource !== null && summary.keySource !== "file";
    return { file, ...written, lastSeq, events, executions, blobs, keyId, isKeyGiven, keyFiles, keysLeftOut };
  } catch (cause) {
    throw asFileError(file, cause);
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
}

/** What the operating system refuses while FILE is made is the matter of who named it. */
function asFileError(file: string, cause: unknown): unknown {
  const { code, syscall } = cause as { code?: string; syscall?: string };
  if (isCoded(cause) || syscall === undefined) return cause;
  return fail("FILE_NOT_FOUND", `Cannot back up into "${file}": ${code ?? String(cause)}`, { cause, hint: "Check the folder and its free space." });
}

function makeStaging(file: string): string {
  try {
    return mkdtempSync(join(dirname(file), `.${basename(file).slice(0, 100)}.`));
  } catch (cause) {
    throw asFileError(file, cause);
  }
}

type Collecting = { context: AppContext; request: BackupRequest; staging: string; summary: CopySummary };
type Places = ReadonlyMap<string, string>;

/** What goes in, and where each file of it lies. */
function collect({ context, request, staging, summary }: Collecting): { manifest: BackupManifest; places: Places } {
  const storeFolder = dirname(context.loaded.storePath);
  const places = new Map<string, string>([[databaseName, join(staging, databaseName)]]);
  const files: BackupFile[] = [{ path: databaseName, ...digestFile(join(staging, databaseName)) }];
  const links: BackupManifest["links"] = [];
  for (const { sha256, size } of summary.blobFiles) {
    const path = blobPath(sha256);
    files.push({ path, size, sha256 });
    places.set(path, join(storeFolder, path));
    if (!existsSync(join(storeFolder, path)))
      throw fail("BLOB_NOT_FOUND", `Cannot back the store up: the file of blob "${sha256}" is missing`, {
        hint: "Find out what else is: workflow trace verify --state",
      });
  }
  for (const name of treeNames) {
    if (!existsSync(join(storeFolder, name))) continue;
    const staged = stageTree(join(storeFolder, name), staging, name);
    files.push(...staged.files);
    links.push(...staged.links);
    for (const { path } of staged.files) places.set(path, join(staging, path));
    request.signal.throwIfAborted();
  }
  if (request.withKeys) files.push(...stageKeys(join(storeFolder, keyFolder), staging, places));
  if (files.length > limits.backupFilesMax)
    throw fail("TOO_LARGE", `Cannot back the store up: it has more than ${limits.backupFilesMax} files`, { details: { files: files.length } });
  const { schema, systemTraceId, lastSeq, lastHash, events, executions, blobs, keyId } = summary;
  const manifest: BackupManifest = {
    format: "autokestra-backup",
    version: 1,
    created_at: toIso(context.clock.now()),
    product_version: version,
    schema,
    system_trace_id: systemTraceId,
    head: { last_seq: lastSeq, last_hash: lastHash },
    counts: { events, executions, blobs },
    key_id: keyId,
    files,
    links,
  };
  return { manifest, places };
}

function stageKeys(folder: string, staging: string, places: Map<string, string>): BackupFile[] {
  if (!existsSync(folder)) return [];
  mkdirSync(join(staging, keyFolder), { mode: 0o700 });
  return readdirSync(folder)
    .filter(isKeyName)
    .toSorted()
    .map((name) => {
      const path = `${keyFolder}/${name}`;
      places.set(path, join(staging, path));
      return { path, ...copyFile(join(folder, name), join(staging, path)) };
    });
}

async function* listEntries(manifest: BackupManifest, places: Places, { signal, onProgress }: BackupRequest): AsyncGenerator<ArchiveEntry> {
  const text = Buffer.from(`${JSON.stringify(manifest)}\n`);
  yield { path: manifestName, size: text.byteLength, executable: false, pieces: [text] };
  const total = manifest.files.reduce((sum, { size }) => sum + size, 0);
  let done = 0;
  for (const file of manifest.files) {
    const pieces = async function* () {
      for (const piece of readPieces(places.get(file.path) ?? "", file)) {
        signal.throwIfAborted();
        yield piece;
        done += piece.byteLength;
        onProgress("pack", done, total);
      }
    };
    yield { path: file.path, size: file.size, executable: file.executable === true, pieces: pieces() };
  }
}

function putInPlace(part: string, file: string, force: boolean): void {
  if (force) {
    // What was there at the start may be something else by now.
    checkOverwrite(file, force);
    renameSync(part, file);
  } else linkNew(part, file);
  syncFolder(dirname(file));
}

/** A link fails where a name is taken; file systems without links have only the look that was taken before. */
function linkNew(part: string, file: string): void {
  try {
    linkSync(part, file);
  } catch (cause) {
    if ((cause as { code?: string }).code === "EEXIST") throw isThere(file);
    renameSync(part, file);
  }
}
