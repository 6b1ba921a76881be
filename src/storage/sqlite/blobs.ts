// Content-addressed blobs: rows up to a bound, above it files beside the database, written and synced before they are named.
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { limits } from "../../base/index.ts";
import type { Blob } from "../ports.ts";
import type { Connection } from "./database.ts";

/** Inside the caller's transaction. A blob that is there already is left as it is: its name is its content. */
export function putBlobRow(db: Connection, blob: Blob): void {
  const bytes = blob.bytes.byteLength > limits.blobRowBytesMax ? null : blob.bytes;
  db.run("insert into blobs (sha256, content_type, size, bytes) values (?, ?, ?, ?) on conflict (sha256) do nothing", blob.sha256, blob.contentType, blob.bytes.byteLength, bytes);
}

export function findBlob(db: Connection, folder: string, sha256: string): { bytes: Uint8Array; contentType: string } | null {
  const row = db.get<{ content_type: string; bytes: Uint8Array | null }>("select content_type, bytes from blobs where sha256 = ?", sha256);
  if (row === null) return null;
  if (row.bytes !== null) return { bytes: row.bytes, contentType: row.content_type };
  const path = fileOf(folder, sha256);
  return existsSync(path) ? { bytes: new Uint8Array(readFileSync(path)), contentType: row.content_type } : null;
}

function fileOf(folder: string, sha256: string): string {
  return join(folder, sha256.slice(0, 2), sha256);
}

/** Writes and syncs the file under a temporary name, then puts it in place. */
export function writeBlobFile(folder: string, blob: Blob): void {
  const path = fileOf(folder, blob.sha256);
  if (existsSync(path)) return;
  mkdirSync(join(folder, blob.sha256.slice(0, 2)), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}.part`;
  const handle = openSync(temporary, "w", 0o600);
  try {
    for (let at = 0; at < blob.bytes.byteLength; ) at += writeSync(handle, blob.bytes, at);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(temporary, path);
}

const settleMs = 3_600_000;

/** Removes files that no row names and that are an hour old (a live process may be about to name a newer one), and parts of processes that are gone. */
export function sweepBlobs(db: Connection, folder: string, now: number): number {
  if (!existsSync(folder)) return 0;
  let removed = 0;
  for (const prefix of readdirSync(folder)) {
    for (const name of readdirSync(join(folder, prefix))) {
      const path = join(folder, prefix, name);
      const isNamed = db.get("select 1 from blobs where sha256 = ?", name) !== null;
      if (isNamed || statSync(path).mtimeMs > now - settleMs) continue;
      rmSync(path, { force: true });
      removed += 1;
    }
  }
  return removed;
}
