// Paths without links, and whose the links on the way are.
import { lstatSync, readlinkSync, realpathSync, type Stats } from "node:fs";
import { dirname, isAbsolute, join, normalize } from "node:path";

/** The path without links, null when there is nothing. */
export function realPath(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}

const linksMax = 40;

function statusAt(path: string): Stats | null {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) ?? null;
  } catch {
    return null; // below something that is no folder, or that we may not enter
  }
}

/** Whether a link on the way was put there by one of the users, or lies in a folder of theirs. `path`: absolute */
export function hasLinkOf(path: string, isTheirs: (uid: number) => boolean): boolean {
  let left = normalize(path).split("/").filter(Boolean);
  let at = "/";
  for (let links = 0; left.length > 0; ) {
    const [name = "", ...rest] = left;
    const next = join(at, name);
    const status = statusAt(next);
    if (status === null) return false;
    if (!status.isSymbolicLink()) {
      at = next;
      left = rest;
      continue;
    }
    links += 1;
    if (isTheirs(status.uid) || isTheirs(statusAt(dirname(next))?.uid ?? 0)) return true;
    if (links > linksMax) return false;
    const target = readlinkSync(next);
    left = [...target.split("/").filter((part) => part !== "" && part !== "."), ...rest];
    if (isAbsolute(target)) at = "/";
  }
  return false;
}
