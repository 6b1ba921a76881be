// How much of the disk some folders hold, looked up without stopping the program for long and without following links.
import { lstat, readdir } from "node:fs/promises";

const sectorBytes = 512;
/** Every entry costs something, else a million empty files were free. */
const entryBytes = 4096;
const batch = 64;
const slash = Buffer.from("/");

/** Bytes on disk below the folders, hard links once. Stops as soon as it is more than `max`. */
export async function measureFolders(folders: readonly string[], max: number): Promise<number> {
  const seen = new Set<string>();
  // Names are bytes: what is no UTF-8 would be missed as text.
  const pending: Buffer[] = folders.map((folder) => Buffer.from(folder));
  let bytes = 0;
  for (let folder = pending.pop(); folder !== undefined && bytes <= max; folder = pending.pop()) {
    const start = Buffer.concat([folder, slash]);
    const names = await readdir(folder, { encoding: "buffer" }).catch(() => []);
    for (let at = 0; at < names.length && bytes <= max; at += batch) {
      const paths = names.slice(at, at + batch).map((name) => Buffer.concat([start, name]));
      for (const found of await Promise.all(paths.map(look))) {
        if (found === null || (found.isShared && seen.has(found.id))) continue;
        if (found.isShared) seen.add(found.id);
        if (found.isFolder) pending.push(found.path);
        bytes += Math.max(found.bytes, entryBytes);
      }
    }
  }
  return bytes;
}

type Found = { path: Buffer; bytes: number; isFolder: boolean; isShared: boolean; id: string };

async function look(path: Buffer): Promise<Found | null> {
  try {
    const stat = await lstat(path);
    const isFolder = stat.isDirectory();
    return { path, bytes: stat.blocks * sectorBytes, isFolder, isShared: !isFolder && stat.nlink > 1, id: `${stat.dev}:${stat.ino}` };
  } catch {
    return null; // gone meanwhile
  }
}
