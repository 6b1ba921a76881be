// What a tree of processes holds on disk without a name: files that were removed while they were open stay until they are closed.
import { readdir, stat } from "node:fs/promises";

const sectorBytes = 512;
const batch = 64;

/** Bytes of files without a name that the processes have open, each file once: those on the file systems of the folders, since others
 * are memory, or not the task's to fill. Stops as soon as it is more than `max`. Only Linux tells; elsewhere it is 0. */
export async function measureUnlinked(pids: readonly number[], folders: readonly string[], max: number): Promise<number> {
  if (process.platform !== "linux") return 0;
  const devices = new Set((await Promise.all(folders.map(look))).map((found) => found?.dev));
  const seen = new Set<number>();
  let bytes = 0;
  for (const pid of pids) {
    for (const folder of await listTables(pid)) {
      const names = await list(folder);
      for (let at = 0; at < names.length && bytes <= max; at += batch) {
        for (const found of await Promise.all(names.slice(at, at + batch).map((name) => look(`${folder}/${name}`)))) {
          if (found === null || found.nlink > 0 || !devices.has(found.dev) || seen.has(found.ino)) continue;
          seen.add(found.ino);
          bytes += found.blocks * sectorBytes;
        }
      }
      if (bytes > max) return bytes;
    }
  }
  return bytes;
}

/** A thread may have a table of open files of its own. */
async function listTables(pid: number): Promise<string[]> {
  return (await list(`/proc/${pid}/task`)).map((thread) => `/proc/${pid}/task/${thread}/fd`);
}

/** Nothing when it is gone, or may not be looked at. */
async function list(folder: string): Promise<string[]> {
  return await readdir(folder).catch(() => []);
}

async function look(path: string) {
  return await stat(path).catch(() => null);
}
