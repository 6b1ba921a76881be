// `<data>/admin.key`: the key with which the data folder's owner talks to his own server. It is read only if it is surely his alone.
import { closeSync, constants, fstatSync, fsyncSync, openSync, readSync, renameSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { fail } from "../base/index.ts";

/** `keyProblem` says why a key that is there is not used, and what to do. */
export type AdminKey = { key: string; keyProblem: null } | { key: null; keyProblem: string | null };

/** More than any key has. */
const fileBytesMax = 512;

export function adminKeyPath(dataDir: string): string {
  return join(dataDir, "admin.key");
}

/** The key of a data folder. A file that is a link, someone else's, or open to others is none. */
export function findAdminKey(dataDir: string): AdminKey {
  const path = adminKeyPath(dataDir);
  const refuse = (why: string, remedy: string): AdminKey => ({ key: null, keyProblem: `The local key "${path}" was not used: ${why}. ${remedy}` });
  let fd: number;
  try {
    // A pipe would be waited for.
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    const code = (cause as { code?: string }).code;
    if (code === "ENOENT") return { key: null, keyProblem: null };
    if (code === "ELOOP") return refuse("it is a link", "Put the file itself there, or give the key with --api-key.");
    return refuse(`it cannot be read (${code ?? String(cause)})`, "Give the key with --api-key.");
  }
  try {
    const { mode, uid } = fstatSync(fd);
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) return refuse("it is no file", "Give the key with --api-key.");
    if (uid !== process.getuid?.()) return refuse(`it belongs to uid ${uid}`, "Run this as that user, or give the key with --api-key.");
    if ((mode & 0o077) !== 0) return refuse(`others may read it (mode ${(mode & 0o777).toString(8).padStart(4, "0")})`, `Run: chmod 600 "${path}"`);
    const bytes = Buffer.alloc(fileBytesMax);
    const key = bytes.toString("latin1", 0, readSync(fd, bytes, 0, fileBytesMax, 0)).trim();
    if (!/^[\x21-\x7e]+$/.test(key)) return refuse("it holds no key", `Remove it and restart the server: rm "${path}"`);
    return { key, keyProblem: null };
  } finally {
    closeSync(fd);
  }
}

/** Writes the key and a newline, 0600, in place of what is there, in one step. @throws STORE_UNAVAILABLE */
export function writeAdminKey(dataDir: string, key: string): void {
  const path = adminKeyPath(dataDir);
  const draft = `${path}.${process.pid}`;
  try {
    rmSync(draft, { force: true });
    const fd = openSync(draft, "wx", 0o600);
    try {
      writeSync(fd, `${key}\n`);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(draft, path);
  } catch (cause) {
    rmSync(draft, { force: true });
    throw fail("STORE_UNAVAILABLE", `Cannot write "${path}": ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
