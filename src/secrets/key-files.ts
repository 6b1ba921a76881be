// The master key as a file beside the store: `keys/secret.key`, 64 hex digits, for its owner only. Every other file of this kind is on
// its way there: `secret.key.<id>.part` before the first key has its name, `secret.key.<id>.new` before a rotation is through.
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import type { Stats } from "node:fs";
import { dirname, join } from "node:path";
import { fail, fromHex, isCoded, toHex } from "../base/index.ts";
import { type MasterKey, masterKey } from "./cipher.ts";
import { hexKey } from "./given-key.ts";

const fileName = "secret.key";

/** Where the store's key file is, or would be. */
export function keyPath(keysDir: string): string {
  return join(keysDir, fileName);
}

/**
 * Folders that are not there yet are fine: they are made for their owner only. Of the data folder a link is followed, since people
 * move it to larger disks; what it leads to is checked.
 * @throws FILE_MODE_UNSAFE
 */
export function checkFolders({ dataDir, keysDir }: { dataDir: string; keysDir: string }): void {
  const data = inFiles(`look at the data folder "${dataDir}"`, () => statSync(dataDir, { throwIfNoEntry: false }));
  if (data !== undefined) checkEntry(dataDir, data, "folder");
  const keys = inFiles(`look at the key folder "${keysDir}"`, () => lstatSync(keysDir, { throwIfNoEntry: false }));
  if (keys !== undefined) checkEntry(keysDir, keys, "folder");
}

/** The key of `secret.key`; null when there is no such file. @throws FILE_MODE_UNSAFE, SECRET_KEY_WRONG when it holds no key */
export function readKeyFile(keysDir: string): MasterKey | null {
  return read(keyPath(keysDir));
}

/** The key with this id that a rotation left behind before it got its name; it gets it now. Null when there is none. */
export function adoptNewKey(keysDir: string, id: string): MasterKey | null {
  const found = read(newPath(keysDir, id));
  if (found?.id !== id) return null;
  placeNewKey(keysDir, id);
  return found;
}

/**
 * Makes `secret.key`, or takes the one that another process made first: the name is given by a link, which only one can win, and the
 * file behind it is whole and durable before that. Killed in between, the next one takes the file that is there.
 */
export function makeKeyFile(keysDir: string, bytes: Uint8Array): MasterKey {
  const path = keyPath(keysDir);
  const part = join(keysDir, `${fileName}.${masterKey(bytes).id}.part`);
  return inFiles(`make the key file "${path}"`, () => {
    makeFolder(keysDir);
    writeKey(part, bytes);
    try {
      linkSync(part, path);
    } catch (cause) {
      if (codeOf(cause) !== "EEXIST") throw cause;
    } finally {
      rmSync(part, { force: true });
    }
    syncFolder(keysDir);
    const key = read(path);
    if (key === null) throw new Error("it was removed meanwhile");
    return key;
  });
}

/** Writes a key that a rotation is about to use. Each has a file of its own: of rotations at once none overwrites another's key. */
export function writeNewKey(keysDir: string, bytes: Uint8Array): MasterKey {
  const key = masterKey(bytes);
  const path = newPath(keysDir, key.id);
  return inFiles(`write the key file "${path}"`, () => {
    makeFolder(keysDir);
    writeKey(path, bytes);
    syncFolder(keysDir);
    return key;
  });
}

/** Gives a rotation's key the name `secret.key`. That another process did it already is fine. */
export function placeNewKey(keysDir: string, id: string): void {
  inFiles(`put the key file "${keyPath(keysDir)}" in place`, () => {
    try {
      renameSync(newPath(keysDir, id), keyPath(keysDir));
      syncFolder(keysDir);
    } catch (cause) {
      if (codeOf(cause) !== "ENOENT") throw cause;
    }
  });
}

/** Removes the file of a rotation that came to nothing. */
export function dropNewKey(keysDir: string, id: string): void {
  inFiles("remove an unused key file", () => rmSync(newPath(keysDir, id), { force: true }));
}

/** Removes what a process that was killed while it made this key left behind. */
export function dropParts(keysDir: string, id: string): void {
  inFiles("remove an unused key file", () => rmSync(join(keysDir, `${fileName}.${id}.part`), { force: true }));
}

function newPath(keysDir: string, id: string): string {
  return join(keysDir, `${fileName}.${id}.new`);
}

function makeFolder(keysDir: string): void {
  if (mkdirSync(keysDir, { recursive: true, mode: 0o700 }) !== undefined) syncFolder(dirname(keysDir));
  checkEntry(keysDir, lstatSync(keysDir), "folder");
}

function writeKey(path: string, bytes: Uint8Array): void {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const handle = openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    writeSync(handle, `${toHex(bytes)}\n`);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function syncFolder(path: string): void {
  const handle = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** More than the longest file that holds a key: digits, and a line end of some editor's. */
const fileBytesMax = 80;

function read(path: string): MasterKey | null {
  return inFiles(`read the key file "${path}"`, () => {
    const text = readText(path);
    if (text === null) return null;
    if (hexKey.test(text)) return masterKey(fromHex(text));
    throw fail("SECRET_KEY_WRONG", `Cannot read the key file "${path}": it is not 64 hex digits`, {
      details: { path },
      hint: "Restore the file from a backup, or set AUTOKESTRA_SECRET_KEY to the key.",
    });
  });
}

function readText(path: string): string | null {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return null;
  // Before it is opened, so that the answer says what is wrong instead of that it cannot be opened.
  checkEntry(path, found, "file");
  const handle = openKeyFile(path);
  if (handle === null) return null;
  try {
    checkEntry(path, fstatSync(handle), "file");
    const bytes = Buffer.alloc(fileBytesMax);
    const text = bytes.toString("latin1", 0, readSync(handle, bytes, 0, fileBytesMax, 0)).trim();
    bytes.fill(0);
    return text;
  } finally {
    closeSync(handle);
  }
}

/** Null when it is gone: another process gave it its name meanwhile. */
function openKeyFile(path: string): number | null {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return null;
    throw cause;
  }
}

/** @throws FILE_MODE_UNSAFE unless it is this user's alone, and what it should be */
function checkEntry(path: string, found: Stats, kind: "file" | "folder"): void {
  const mode = (found.mode & 0o7777).toString(8).padStart(4, "0");
  const unsafe = (why: string, hint: string) =>
    fail("FILE_MODE_UNSAFE", `Cannot use the ${kind} "${path}": ${why}`, { details: { path, mode }, hint });
  if (found.isSymbolicLink()) throw unsafe("it is a symbolic link", `Put the ${kind} itself in its place.`);
  if (kind === "file" ? !found.isFile() : !found.isDirectory()) throw unsafe(`it is no ${kind}`, "Move it away.");
  const user = process.geteuid?.() ?? found.uid;
  if (found.uid !== user) throw unsafe(`it belongs to user ${found.uid}, not to ${user}`, `Run this as user ${found.uid}.`);
  if ((found.mode & 0o077) !== 0)
    throw unsafe(`others may reach it (mode ${mode})`, `Run: chmod ${kind === "file" ? "600" : "700"} ${shellWord(path)}`);
}

function shellWord(path: string): string {
  return /^[\w./@%+,:=-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

function inFiles<R>(what: string, work: () => R): R {
  try {
    return work();
  } catch (cause) {
    if (isCoded(cause)) throw cause;
    const text = cause instanceof Error ? cause.message : String(cause);
    throw fail("STORE_UNAVAILABLE", `Cannot ${what}: ${text}`, { cause, hint: "Check the folder's owner and mode and the free disk space." });
  }
}

function codeOf(cause: unknown): unknown {
  return cause instanceof Error && "code" in cause ? cause.code : null;
}
