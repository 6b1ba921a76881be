// The files that go into an archive, in a fixed order, named relative to one folder.
import { lstatSync, readdirSync, readlinkSync, type Stats } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fail } from "../../base/index.ts";
import { resolvePath } from "../shared/paths.ts";

export type Member = { name: string; path: string; type: "file" | "folder" | "link"; status: Stats; link: string | null };

const membersMax = 100_000;

/** The deepest folder that holds all of the named ones, so that `./data` alone is packed as data/… */
function commonFolder(paths: readonly string[]): string {
  // A whole place has no name that anybody knows: what is in it is named from it.
  const isPlace = (path: string): boolean => /^(?:\.{1,2}|\$\w+)\/*$/.test(path);
  const folders = paths.map((path) => (isPlace(path) ? resolvePath(path) : dirname(resolvePath(path))));
  const [first = [], ...others] = folders.map((folder) => folder.split("/"));
  const end = first.findIndex((part, index) => others.some((other) => other[index] !== part));
  return (end < 0 ? first : first.slice(0, end)).join("/") || "/";
}

/**
 * Every member of the named files and folders, named from `base`, or else from the deepest folder that holds them all.
 * @throws TASK_INPUT_INVALID for one outside `base`, TOO_LARGE
 */
export function walkMembers(paths: readonly string[], base: string | undefined): Member[] {
  const root = base === undefined ? commonFolder(paths) : resolvePath(base);
  const members = new Map<string, Member>();
  const visit = (path: string): void => {
    const name = relative(root, path);
    if (name.startsWith(".."))
      throw fail("TASK_INPUT_INVALID", `Cannot pack "${path}": it lies outside of "${base ?? root}"`, { hint: "Name another base." });
    const status = lstatSync(path);
    const type = status.isSymbolicLink() ? "link" : status.isDirectory() ? "folder" : "file";
    if (type === "file" && !status.isFile()) throw fail("TASK_INPUT_INVALID", `Cannot pack "${path}": it is neither file, folder nor link`);
    if (name !== "") members.set(name, { name, path, type, status, link: type === "link" ? readlinkSync(path) : null });
    if (members.size > membersMax) throw fail("TOO_LARGE", `Cannot pack: more than ${membersMax} files`);
    if (type === "folder") for (const inner of readdirSync(path).toSorted()) visit(join(path, inner));
  };
  for (const path of paths) visit(resolvePath(path));
  return [...members.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
