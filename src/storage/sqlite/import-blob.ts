// Files on their way into the store: copied and hashed in pieces, synced, and put in place under the name of their content.
// Another process's sweep leaves what is younger than an hour alone, so a file stays until its commit names it.
import { constants, mkdirSync, renameSync, rmSync, statSync, utimesSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fail, isCoded, startSha256 } from "../../base/index.ts";
import { type BlobPlace, fileOf, isNamed, putBlobRow, syncFolder } from "./blobs.ts";
import { type Connection, storeError } from "./database.ts";

type Wish = { path: string; bytesMax: number; sha256?: string };
type Imported = { sha256: string; size: number };

const pieceBytes = 1024 * 1024;
/** Beside the folders of the files, which are named by two digits: swept like them. */
const partFolder = "part";

/** @throws FILE_NOT_FOUND for what is no plain file, TOO_LARGE, PAYLOAD_DIGEST_MISMATCH, STORE_UNAVAILABLE */
export async function importBlob(db: Connection, folder: BlobPlace, wish: Wish): Promise<Imported> {
  const source = await openPlain(wish);
  try {
    return folder === null ? await intoRow(db, source, wish) : await intoFile(db, folder, { source, wish });
  } catch (cause) {
    throw isCoded(cause) ? cause : storeError("Cannot take a file into the store", cause);
  } finally {
    await source.close();
  }
}

/** Whoever made the file may have put a link, a pipe or a device in its place. */
async function openPlain({ path, bytesMax }: Wish): Promise<FileHandle> {
  const refuse = (why: string) => fail("FILE_NOT_FOUND", `Cannot take "${path}" into the store: ${why}`);
  let source: FileHandle;
  try {
    source = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    const { code } = cause as { code?: string };
    throw refuse(code === "ELOOP" ? "it is a link" : `it cannot be opened (${String(code)})`);
  }
  try {
    const status = await source.stat();
    if (!status.isFile()) throw refuse("it is no plain file");
    if (status.size > bytesMax) throw tooLarge(path, bytesMax);
    return source;
  } catch (cause) {
    await source.close();
    throw cause;
  }
}

function tooLarge(path: string, bytesMax: number) {
  return fail("TOO_LARGE", `Cannot take "${path}" into the store: it has more than ${bytesMax} bytes`, { details: { bytesMax } });
}

async function intoFile(db: Connection, folder: string, { source, wish }: { source: FileHandle; wish: Wish }): Promise<Imported> {
  const parts = join(folder, partFolder);
  mkdirSync(parts, { recursive: true, mode: 0o700 });
  // Several processes, on several machines at times, write here.
  const temporary = join(parts, db.get<{ name: string }>("select lower(hex(randomblob(16))) as name")?.name ?? "");
  try {
    const imported = await copy(source, { temporary, wish });
    settle(db, folder, { temporary, sha256: imported.sha256 });
    return imported;
  } finally {
    rmSync(temporary, { force: true });
  }
}

async function copy(source: FileHandle, { temporary, wish }: { temporary: string; wish: Wish }): Promise<Imported> {
  const target = await open(temporary, "wx", 0o600);
  try {
    const imported = await eachPiece(source, wish, async (piece) => {
      for (let at = 0; at < piece.byteLength; ) at += (await target.write(piece, at)).bytesWritten;
    });
    await target.sync();
    return imported;
  } finally {
    await target.close();
  }
}

async function eachPiece(source: FileHandle, wish: Wish, take: (piece: Uint8Array) => Promise<void>): Promise<Imported> {
  const sha256 = startSha256();
  const buffer = new Uint8Array(pieceBytes);
  let size = 0;
  for (;;) {
    const { bytesRead } = await source.read(buffer, 0, buffer.byteLength, size);
    if (bytesRead === 0) break;
    const piece = buffer.subarray(0, bytesRead);
    size += bytesRead;
    // It may grow while it is read.
    if (size > wish.bytesMax) throw tooLarge(wish.path, wish.bytesMax);
    sha256.update(piece);
    await take(piece);
  }
  const digest = sha256.hex();
  if (wish.sha256 !== undefined && wish.sha256 !== digest)
    throw fail("PAYLOAD_DIGEST_MISMATCH", `Cannot take "${wish.path}" into the store: its digest is ${digest}, not ${wish.sha256}`);
  return { sha256: digest, size };
}

/** In place of an older file that no row names too: a sweep may be about to take that one. */
function settle(db: Connection, folder: string, { temporary, sha256 }: { temporary: string; sha256: string }): void {
  const path = fileOf(folder, sha256);
  if (isNamed(db, sha256) && touch(path, temporary)) return;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  renameSync(temporary, path);
  syncFolder(dirname(path));
  syncFolder(folder);
}

/** As young as the copy: somebody is about to name it, and what removes traces then leaves it. False when it is not there. */
function touch(path: string, copied: string): boolean {
  const { atime, mtime } = statSync(copied);
  try {
    utimesSync(path, atime, mtime);
    return true;
  } catch {
    return false;
  }
}

/** A store in memory has no files: the row is there at once. */
async function intoRow(db: Connection, source: FileHandle, wish: Wish): Promise<Imported> {
  const pieces: Uint8Array[] = [];
  const imported = await eachPiece(source, wish, async (piece) => void pieces.push(piece.slice()));
  const bytes = new Uint8Array(Buffer.concat(pieces));
  db.atomically(() => putBlobRow(db, null, { sha256: imported.sha256, bytes, contentType: "application/octet-stream" }));
  return imported;
}
