// A plugin's folder as a whole: walked within bounds, hashed, stamped, copied. Links that lead out of it are refused everywhere.
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  realpathSync,
  symlinkSync,
  writeSync,
} from "node:fs";
import { dirname, isAbsolute, join, resolve, sep } from "node:path";
import { assert, fail, limits, startSha256 } from "../../base/index.ts";

/** One file or link; folders count by what is in them. `path` is relative, with `/`. */
type TreeEntry = { path: string; isLink: boolean; mode: number; size: number; stamp: string };

/**
 * SHA-256 (hex) over the sorted relative paths with kind (file, executable file, link), content or link text.
 * @throws MANIFEST_INVALID for a link that leads out, for what is neither file nor link, and beyond the bounds of files and bytes
 */
export function hashTree(folder: string): string {
  const hash = startSha256();
  for (const entry of walkTree(folder)) {
    const kind = entry.isLink ? "l" : (entry.mode & 0o111) === 0 ? "f" : "x";
    const bytes = entry.isLink ? Buffer.from(readlinkSync(join(folder, entry.path))) : readRegular(join(folder, entry.path));
    // Lengths stand before what they measure, so that no two trees have one text.
    hash.update(`${kind}${Buffer.byteLength(entry.path)}:${entry.path}${bytes.length}:`);
    hash.update(bytes);
  }
  return hash.hex();
}

/** A text that changes when anything in the tree does; cheap beside hashing, since no file is opened. @throws as `hashTree` */
export function stampTree(folder: string): { stamp: string; files: number } {
  const entries = walkTree(folder);
  return { stamp: entries.map((entry) => entry.stamp).join("\n"), files: entries.length };
}

/** Copies a tree into a new folder: modes 0644 or 0755, links as they are. @throws as `hashTree` */
export function copyTree(from: string, to: string): void {
  // Whatever the umask is: a task may run as another user, who has to read it.
  const makeFolder = (path: string): void => {
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) return;
    makeFolder(dirname(path));
    mkdirSync(path);
    chmodSync(path, 0o755);
  };
  makeFolder(to);
  for (const entry of walkTree(from)) {
    const target = join(to, entry.path);
    makeFolder(dirname(target));
    if (entry.isLink) symlinkSync(readlinkSync(join(from, entry.path)), target);
    else writeNew(target, readRegular(join(from, entry.path)), (entry.mode & 0o111) === 0 ? 0o644 : 0o755);
  }
}

function walkTree(folder: string): TreeEntry[] {
  const real = realpathSync(folder);
  const found: TreeEntry[] = [];
  let bytes = 0;
  const open: string[] = [""];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const name of readdirSync(join(real, at))) {
      const path = at === "" ? name : `${at}/${name}`;
      const stat = lstatSync(join(real, path), { bigint: true });
      if (stat.isDirectory()) {
        open.push(path);
        // Empty folders count too, or a tree of nothing but folders would have no end.
        if (open.length > limits.pluginFilesMax) throw tooMany(folder);
        continue;
      }
      if (stat.isSymbolicLink()) checkLink(real, path);
      else if (!stat.isFile()) throw fail("MANIFEST_INVALID", `Cannot use the plugin "${folder}": "${path}" is neither a file nor a link`);
      bytes += Number(stat.size);
      const stamp = [path, stat.mode, stat.size, stat.mtimeNs, stat.ctimeNs, stat.ino].join(" ");
      found.push({ path, isLink: stat.isSymbolicLink(), mode: Number(stat.mode), size: Number(stat.size), stamp });
      if (found.length > limits.pluginFilesMax) throw tooMany(folder);
      if (bytes > limits.pluginBytesMax)
        throw fail("MANIFEST_INVALID", `Cannot use the plugin "${folder}": it has more than ${limits.pluginBytesMax} bytes`);
    }
  }
  return found.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

function tooMany(folder: string): Error {
  return fail("MANIFEST_INVALID", `Cannot use the plugin "${folder}": it has more than ${limits.pluginFilesMax} files`);
}

/** An absolute link would lead out of a copy even when it stays inside the original. */
function checkLink(folder: string, path: string): void {
  const text = readlinkSync(join(folder, path));
  const lexical = resolve(folder, dirname(path), text);
  const stays = !isAbsolute(text) && lexical.startsWith(folder + sep) && isInside(folder, join(folder, path));
  if (!stays) throw fail("MANIFEST_INVALID", `Cannot use the plugin "${folder}": the link "${path}" leads out of it, or nowhere`);
}

function isInside(folder: string, path: string): boolean {
  try {
    return realpathSync(path).startsWith(folder + sep);
  } catch {
    return false;
  }
}

/** The bytes of a regular file, and of nothing that took its place since it was looked at. */
function readRegular(path: string): Buffer {
  const handle = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stat = fstatSync(handle);
    if (!stat.isFile() || stat.size > limits.pluginBytesMax)
      throw fail("MANIFEST_INVALID", `Cannot use the plugin file "${path}": it changed while it was read`);
    const bytes = Buffer.alloc(stat.size);
    let at = 0;
    while (at < bytes.length) {
      const read = readSync(handle, bytes, at, bytes.length - at, at);
      if (read === 0) break;
      at += read;
    }
    return bytes.subarray(0, at);
  } finally {
    closeSync(handle);
  }
}

function writeNew(path: string, bytes: Buffer, mode: number): void {
  const handle = openSync(path, "wx", mode);
  try {
    fchmodSync(handle, mode);
    let at = 0;
    while (at < bytes.length) {
      const written = writeSync(handle, bytes, at);
      assert(written > 0, "a write to a file makes progress");
      at += written;
    }
  } finally {
    closeSync(handle);
  }
}
