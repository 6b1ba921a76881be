// Files and folders of a store on their way into a backup: opened without following anything, hashed as they are read.
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fail, limits, startSha256 } from "../../base/index.ts";
import type { BackupFile, BackupLink } from "./manifest.ts";

const pieceBytes = 1024 * 1024;

/**
 * The bytes of a plain file, piece by piece. @throws PAYLOAD_DIGEST_MISMATCH after the last piece when they are not the ones
 * that are wanted, FILE_NOT_FOUND for what is no plain file
 */
export function* readPieces(path: string, wanted: { size: number; sha256: string }): Generator<Uint8Array> {
  const handle = openPlain(path);
  try {
    const digest = startSha256();
    const buffer = Buffer.alloc(pieceBytes);
    let size = 0;
    for (;;) {
      const count = readSync(handle, buffer, 0, buffer.byteLength, size);
      if (count === 0) break;
      size += count;
      // More than its entry's header says would shift all that follows.
      if (size > wanted.size) break;
      digest.update(buffer.subarray(0, count));
      yield buffer.subarray(0, count);
    }
    if (size !== wanted.size || digest.hex() !== wanted.sha256)
      throw fail("PAYLOAD_DIGEST_MISMATCH", `Cannot back "${path}" up: its bytes are not those that were stored`);
  } finally {
    closeSync(handle);
  }
}

function openPlain(path: string): number {
  let handle: number;
  try {
    handle = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    throw fail("FILE_NOT_FOUND", `Cannot back "${path}" up: it cannot be opened (${String((cause as { code?: string }).code)})`, { cause });
  }
  if (fstatSync(handle).isFile()) return handle;
  closeSync(handle);
  throw fail("FILE_NOT_FOUND", `Cannot back "${path}" up: it is no plain file`);
}

/** Size and digest of a plain file. */
export function digestFile(path: string): { size: number; sha256: string } {
  return copyFile(path, null);
}

/** Copies a plain file and says what was copied; `to` null only reads. */
export function copyFile(from: string, to: string | null): { size: number; sha256: string } {
  const source = openPlain(from);
  const target = to === null ? null : openSync(to, "wx", 0o600);
  try {
    const digest = startSha256();
    const buffer = Buffer.alloc(pieceBytes);
    let size = 0;
    for (;;) {
      const count = readSync(source, buffer, 0, buffer.byteLength, size);
      if (count === 0) return { size, sha256: digest.hex() };
      const piece = buffer.subarray(0, count);
      digest.update(piece);
      if (target !== null) writeAll(target, piece);
      size += count;
    }
  } finally {
    if (target !== null) closeSync(target);
    closeSync(source);
  }
}

function writeAll(target: number, piece: Uint8Array): void {
  for (let at = 0; at < piece.byteLength; ) at += writeSync(target, piece, at);
}

type Found = { path: string; isLink: boolean; executable: boolean; stamp: string };
const triesMax = 5;

/**
 * Copies a folder as it was at one moment into the folder of that name in `to`, and says what is in it; paths start with `name`. What
 * starts with a dot at its top is an installation under way.
 * @throws STORE_UNAVAILABLE when it does not stay still, FILE_NOT_FOUND for sockets, devices and pipes
 */
export function stageTree(from: string, to: string, name: string): { files: BackupFile[]; links: BackupLink[] } {
  for (let tries = 1; tries <= triesMax; tries += 1) {
    const before = walk(from);
    const staged = tryStage(before, { from, to, name });
    if (staged !== null && stampOf(walk(from)) === stampOf(before)) return staged;
  }
  throw fail("STORE_UNAVAILABLE", `Cannot back "${from}" up: it changes again and again`, { hint: "Try again when nothing is being installed." });
}

function tryStage(found: readonly Found[], { from, to, name }: { from: string; to: string; name: string }) {
  const staged: { files: BackupFile[]; links: BackupLink[] } = { files: [], links: [] };
  rmSync(join(to, name), { recursive: true, force: true });
  try {
    for (const { path, isLink, executable } of found) {
      if (isLink) {
        staged.links.push({ path: `${name}/${path}`, target: readlinkSync(join(from, path)) });
        continue;
      }
      const target = join(to, name, path);
      mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
      staged.files.push({ path: `${name}/${path}`, ...copyFile(join(from, path), target), ...(executable ? { executable } : {}) });
    }
    return staged;
  } catch (cause) {
    // Gone since it was listed: something is installed or removed just now.
    if (isGone(cause)) return null;
    throw cause;
  }
}

function isGone(cause: unknown): boolean {
  const { code, cause: inner } = cause as { code?: string; cause?: { code?: string } };
  return code === "ENOENT" || inner?.code === "ENOENT";
}

function stampOf(found: readonly Found[]): string {
  return found.map(({ stamp }) => stamp).join("\n");
}

function walk(folder: string): Found[] {
  const found: Found[] = [];
  const open = [""];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const name of listFolder(join(folder, at))) {
      if (at === "" && name.startsWith(".")) continue;
      const path = at === "" ? name : `${at}/${name}`;
      const stat = lstatSync(join(folder, path), { bigint: true, throwIfNoEntry: false });
      if (stat === undefined) continue;
      if (stat.isDirectory()) open.push(path);
      else if (!stat.isFile() && !stat.isSymbolicLink())
        throw fail("FILE_NOT_FOUND", `Cannot back "${join(folder, path)}" up: it is neither a file nor a link`);
      const stamp = [path, stat.mode, stat.size, stat.mtimeNs, stat.ctimeNs, stat.ino].join(" ");
      if (!stat.isDirectory()) found.push({ path, isLink: stat.isSymbolicLink(), executable: (stat.mode & 0o111n) !== 0n, stamp });
      if (found.length + open.length > limits.backupFilesMax)
        throw fail("TOO_LARGE", `Cannot back "${folder}" up: it has more than ${limits.backupFilesMax} files`);
    }
  }
  return found.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

function listFolder(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (cause) {
    if (isGone(cause)) return [];
    throw cause;
  }
}

/** What was renamed or made in a folder is on the disk only when the folder is. */
export function syncFolder(path: string): void {
  const handle = openSync(path, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
