// The local admin key: used when no key is given and the server is the one of this data folder, and only if the file is surely ours.
import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** `keyProblem` says why a key that is there is not used, and what to do. */
export type AdminKey = { key: string; keyProblem: null } | { key: null; keyProblem: string | null };

/** The key of a data folder. A file that is a link, someone else's, or open to others is none. */
export function findAdminKey(dataDir: string): AdminKey {
  const path = join(dataDir, "admin.key");
  const refuse = (why: string, remedy: string): AdminKey => ({ key: null, keyProblem: `The local key "${path}" was not used: ${why}. ${remedy}` });
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
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
    const key = readFileSync(fd, "utf8").trim();
    return key === "" ? refuse("it is empty", "Give the key with --api-key.") : { key, keyProblem: null };
  } finally {
    closeSync(fd);
  }
}
