// Unpacks a backup into a fresh folder: exactly the files of its manifest, in its order, with its sizes and digests, and nothing else.
import { closeSync, fchmodSync, fsyncSync, mkdirSync, openSync, statfsSync, symlinkSync, writeSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { fail, isCoded, limits, startSha256 } from "../../base/index.ts";
import { type BackupFile, type BackupManifest, manifestName, notWhole, parseManifest, treeNames } from "./manifest.ts";

const pieceBytes = 256 * 1024;

export type Unpacking = {
  source: FileHandle;
  /** For messages. */
  file: string;
  /** Of the archive proper, from the start of the file. */
  bodyBytes: number;
  /** Empty, and nobody else's. */
  folder: string;
  signal: AbortSignal;
  onBytes: (done: number, total: number) => void;
};
type Entry = AsyncIterable<Uint8Array> & { header: { name: string; type?: string | null; size?: number } };

/** @throws PAYLOAD_DIGEST_MISMATCH, STACK_INCOMPATIBLE, STORE_UNAVAILABLE when there is no room */
export async function unpack(job: Unpacking): Promise<BackupManifest> {
  const { source, file, bodyBytes } = job;
  // Loaded here: it takes some ten milliseconds, and few starts make or read a backup.
  const { extract: createExtract } = require("tar-stream") as typeof import("tar-stream");
  const extract = createExtract();
  const fed = pipeline(readBody(source, bodyBytes), createGunzip(), extract);
  fed.catch(() => undefined);
  try {
    const entries = extract[Symbol.asyncIterator]() as AsyncIterator<Entry>;
    const manifest = await readManifest(job, await entries.next());
    checkRoom(job, manifest);
    await unpackFiles(job, manifest, entries);
    await fed;
    return manifest;
  } catch (cause) {
    extract.destroy();
    await fed.catch(() => undefined);
    const { syscall } = cause as { syscall?: string };
    if (isCoded(cause) || job.signal.aborted) throw cause;
    if (syscall !== undefined && syscall !== "read")
      throw fail("STORE_UNAVAILABLE", `Cannot restore "${file}": ${String((cause as Error).message)}`, { cause });
    throw notWhole(file, `it cannot be unpacked: ${String((cause as Error).message)}`, cause);
  }
}

async function* readBody(source: FileHandle, bodyBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bodyBytes; ) {
    const piece = Buffer.alloc(Math.min(pieceBytes, bodyBytes - at));
    const { bytesRead } = await source.read(piece, 0, piece.byteLength, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield piece.subarray(0, bytesRead);
  }
}

function takeEntry({ file }: Unpacking, { value, done }: IteratorResult<Entry, unknown>, wanted: { path: string; size: number | null }): Entry {
  if (done === true) throw notWhole(file, `"${wanted.path}" is missing in it`);
  const { name, type, size } = value.header;
  if (type !== "file" || name !== wanted.path) throw notWhole(file, `it has ${String(type)} "${name}" where "${wanted.path}" has to be`);
  if (wanted.size !== null && size !== wanted.size) throw notWhole(file, `"${name}" has ${String(size)} bytes, not ${wanted.size}`);
  return value;
}

async function readManifest(job: Unpacking, next: IteratorResult<Entry, unknown>): Promise<BackupManifest> {
  const entry = takeEntry(job, next, { path: manifestName, size: null });
  if ((entry.header.size ?? 0) > limits.backupManifestBytesMax) throw notWhole(job.file, "its manifest is too large");
  const pieces: Uint8Array[] = [];
  for await (const piece of entry) pieces.push(piece);
  return parseManifest(job.file, Buffer.concat(pieces));
}

/** Said before the disk is full, not after. */
function checkRoom({ file, folder }: Unpacking, { files }: BackupManifest): void {
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  const { bavail, bsize } = statfsSync(folder);
  if (bytes <= bavail * bsize) return;
  throw fail("STORE_UNAVAILABLE", `Cannot restore "${file}": it needs ${bytes} bytes, and ${bavail * bsize} are free`, { details: { bytes } });
}

async function unpackFiles(job: Unpacking, manifest: BackupManifest, entries: AsyncIterator<Entry>): Promise<void> {
  const { folder, signal, onBytes } = job;
  const total = manifest.files.reduce((sum, { size }) => sum + size, 0);
  let done = 0;
  for (const wanted of manifest.files) {
    const entry = takeEntry(job, await entries.next(), wanted);
    const sha256 = await writeEntry(entry, folder, wanted, (bytes) => {
      signal.throwIfAborted();
      done += bytes;
      onBytes(done, total);
    });
    if (sha256 !== wanted.sha256) throw notWhole(job.file, `"${wanted.path}" does not have the digest that its manifest says`);
  }
  const more = await entries.next();
  if (more.done !== true) throw notWhole(job.file, `it has "${more.value.header.name}", which its manifest does not name`);
  for (const { path, target } of manifest.links) {
    makeFolder(folder, path);
    symlinkSync(target, join(folder, path));
  }
}

async function writeEntry(entry: Entry, folder: string, { path, executable }: BackupFile, onBytes: (bytes: number) => void): Promise<string> {
  makeFolder(folder, path);
  const digest = startSha256();
  const target = openSync(join(folder, path), "wx", 0o600);
  try {
    for await (const piece of entry) {
      digest.update(piece);
      for (let at = 0; at < piece.byteLength; ) at += writeSync(target, piece, at);
      onBytes(piece.byteLength);
    }
    // Tasks read plugins, as another user at times.
    if (isShared(path)) fchmodSync(target, executable === true ? 0o755 : 0o644);
    fsyncSync(target);
  } finally {
    closeSync(target);
  }
  return digest.hex();
}

function makeFolder(folder: string, path: string): void {
  mkdirSync(join(folder, dirname(path)), { recursive: true, mode: isShared(path) ? 0o755 : 0o700 });
}

function isShared(path: string): boolean {
  return treeNames.some((name) => path.startsWith(`${name}/`));
}
