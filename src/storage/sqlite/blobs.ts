// Content-addressed blobs: rows up to a bound, above it files beside the database, written and synced before they are named.
import {
  closeSync,
  createReadStream,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fail, limits } from "../../base/index.ts";
import type { Blob, BlobFile, OpenedBlob } from "../ports.ts";
import type { Connection } from "./database.ts";

/** The folder of the files; null for a store in memory, which keeps every blob as a row. */
export type BlobPlace = string | null;

const insertBlob = "insert into blobs (sha256, content_type, size, bytes) values (?, ?, ?, ?) on conflict (sha256) do nothing";

/** Inside the caller's transaction. A blob that is there already is left as it is: its name is its content. */
export function putBlobRow(db: Connection, folder: BlobPlace, blob: Blob): void {
  const bytes = folder !== null && blob.bytes.byteLength > limits.blobRowBytesMax ? null : blob.bytes;
  const isNew = db.run(insertBlob, blob.sha256, blob.contentType, blob.bytes.byteLength, bytes) === 1;
  // Whoever wrote the file may have found it named, and the last trace that named it may have left since.
  if (isNew && bytes === null && folder !== null && !existsSync(fileOf(folder, blob.sha256))) writeBlobFile(db, folder, blob);
}

export function findBlob(db: Connection, folder: BlobPlace, sha256: string): { bytes: Uint8Array; contentType: string } | null {
  const row = db.get<{ content_type: string; bytes: Uint8Array | null }>("select content_type, bytes from blobs where sha256 = ?", sha256);
  if (row === null) return null;
  if (row.bytes !== null) return { bytes: row.bytes, contentType: row.content_type };
  const path = folder === null ? null : fileOf(folder, sha256);
  return path !== null && existsSync(path) ? { bytes: new Uint8Array(readFileSync(path)), contentType: row.content_type } : null;
}

/** Inside the caller's transaction: the row of a file that was taken in before. @throws STORE_UNAVAILABLE when it is gone */
export function nameBlobFile(db: Connection, folder: BlobPlace, { sha256, size, contentType }: BlobFile): void {
  if (isNamed(db, sha256)) return;
  if (folder === null || !existsSync(fileOf(folder, sha256))) throw fail("STORE_UNAVAILABLE", `Cannot name blob "${sha256}": its file is not there`);
  db.run(insertBlob, sha256, contentType, size, null);
}

/** As findBlob, but a file is not read. */
export function openBlob(db: Connection, folder: BlobPlace, sha256: string): OpenedBlob | null {
  type Row = { content_type: string; size: number; bytes: Uint8Array | null };
  const row = db.get<Row>("select content_type, size, bytes from blobs where sha256 = ?", sha256);
  if (row === null) return null;
  const { size, content_type: contentType, bytes } = row;
  if (bytes !== null) return { size, contentType, bytes, path: null, pieces: () => onePiece(bytes) };
  const path = folder === null ? null : fileOf(folder, sha256);
  if (path === null || !existsSync(path)) return null;
  return { size, contentType, bytes: null, path, pieces: () => filePieces(path) };
}

const pieceBytes = 256 * 1024;

/** Opens the file when the first piece is asked for: who never asks leaves nothing open. */
async function* filePieces(path: string): AsyncGenerator<Uint8Array> {
  yield* createReadStream(path, { highWaterMark: pieceBytes });
}

async function* onePiece(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

export function fileOf(folder: string, sha256: string): string {
  return join(folder, sha256.slice(0, 2), sha256);
}

export function isNamed(db: Connection, sha256: string): boolean {
  return db.get("select 1 from blobs where sha256 = ?", sha256) !== null;
}

/**
 * Writes and syncs the file under a temporary name, then puts it in place. A file that no row names is written again: a sweep may
 * be about to take the old one.
 */
export function writeBlobFile(db: Connection, folder: BlobPlace, blob: Blob): void {
  if (folder === null) return;
  const path = fileOf(folder, blob.sha256);
  if (existsSync(path) && isNamed(db, blob.sha256)) return;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}.part`;
  const handle = openSync(temporary, "w", 0o600);
  try {
    for (let at = 0; at < blob.bytes.byteLength; ) at += writeSync(handle, blob.bytes, at);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(temporary, path);
  syncFolder(dirname(path));
  syncFolder(folder);
}

/** A new name is on the disk only when its folder is. */
export function syncFolder(folder: string): void {
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

const settleMs = 3_600_000;

/** Removes files that no row names and that are an hour old (a live process may be about to name a newer one), and parts of processes that are gone. */
export function sweepBlobs(db: Connection, folder: BlobPlace, now: number): number {
  if (folder === null || !existsSync(folder)) return 0;
  let removed = 0;
  for (const prefix of readdirSync(folder)) {
    for (const name of readdirSync(join(folder, prefix))) {
      const path = join(folder, prefix, name);
      if (isNamed(db, name) || statSync(path).mtimeMs > now - settleMs) continue;
      rmSync(path, { force: true });
      removed += 1;
    }
  }
  return removed;
}
