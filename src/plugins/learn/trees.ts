// Sets of paths as few trees: what lies in another one goes, many neighbours become their folder.
import { posix } from "node:path";
import { isWithin } from "../../model/index.ts";

/** From so many files or folders of one folder on, the folder stands for them. */
const neighboursMin = 4;

/** Sorted, without those that lie in another one. */
export function withoutInner(paths: Iterable<string>, wider: readonly string[] = []): string[] {
  const all = [...new Set(paths)];
  return all.filter((path) => !isWithin([...wider, ...all.filter((other) => other !== path)], path)).toSorted();
}

/** `mayStand`: whether a folder may stand for all that is in it. */
export function joinNeighbours(paths: Iterable<string>, mayStand: (folder: string) => boolean): string[] {
  let trees = withoutInner(paths);
  for (;;) {
    const byFolder = Map.groupBy(trees, (path) => posix.dirname(path));
    const joined = [...byFolder].filter(([folder, members]) => members.length >= neighboursMin && mayStand(folder)).map(([folder]) => folder);
    if (joined.length === 0) return trees;
    trees = withoutInner([...trees, ...joined]);
  }
}
