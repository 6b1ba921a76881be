// What a path that a task spelled stands for: the engine may look where the task may not, and must not tell it what it sees there.
import { lstatSync, readlinkSync, type Stats } from "node:fs";
import { dirname, isAbsolute, join, normalize } from "node:path";
import { isWithin } from "../../model/index.ts";
import { programPaths, settingPaths } from "../sandbox/index.ts";

/** There a path means something else to each process, and what it leads to is no file of the disk. */
const kernelFolders = ["/proc", "/sys", "/dev"];
const linksMax = 40;

/** Whether a path lies where nothing is looked up. */
export function isOfKernel(path: string): boolean {
  return isWithin(kernelFolders, path);
}

/** Whether something is there, without a link on the way. */
export function isPlainlyThere(path: string): boolean {
  const parts = path.split("/").filter(Boolean);
  return parts.every((_, index) => {
    const status = statusAt(`/${parts.slice(0, index + 1).join("/")}`);
    return status !== null && !(index < parts.length - 1 && status.isSymbolicLink());
  });
}

/**
 * The path as the task is told it: links are followed as long as they lie in `trees` (real paths that it may read); from the first
 * other one on it stays as it is spelled.
 * @param spelled absolute
 */
export function seenPath(spelled: string, trees: readonly string[]): string {
  const readable = [...trees, ...programPaths, ...settingPaths];
  let left = normalize(spelled).split("/").filter(Boolean);
  let at = "/";
  for (let links = 0; left.length > 0; ) {
    const [name = "", ...rest] = left;
    const next = join(at, name);
    const status = isOfKernel(next) ? null : statusAt(next);
    // Below nothing there is nothing to look at.
    if (status === null) return join(next, ...rest);
    const target = status.isSymbolicLink() ? linkAt(next) : null;
    if (target !== null && (links >= linksMax || !isWithin(readable, next))) return join(next, ...rest);
    if (target === null) at = next;
    else {
      links += 1;
      at = isAbsolute(target) ? "/" : dirname(next);
    }
    left = target === null ? rest : [...target.split("/").filter((part) => part !== "" && part !== "."), ...rest];
  }
  return at;
}

/** What a link says, null when it is gone meanwhile. */
function linkAt(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}

function statusAt(path: string): Stats | null {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) ?? null;
  } catch {
    return null; // below something that is no folder
  }
}
