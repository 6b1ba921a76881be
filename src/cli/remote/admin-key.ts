// The local admin key: used when no key is given and the server is the one of this data folder, and only if the file is surely ours.
import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The key, null when the file is missing, a link, someone else's, or open to others. */
export function findAdminKey(dataDir: string): string | null {
  let fd: number;
  try {
    fd = openSync(join(dataDir, "admin.key"), constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch {
    return null;
  }
  try {
    const { mode, uid } = fstatSync(fd);
    const isOurs = (mode & constants.S_IFMT) === constants.S_IFREG && (mode & 0o077) === 0 && uid === process.getuid?.();
    if (!isOurs) return null;
    const key = readFileSync(fd, "utf8").trim();
    return key === "" ? null : key;
  } finally {
    closeSync(fd);
  }
}
