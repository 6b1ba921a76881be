// Copying, moving and deleting files and folders.
import { copyFileSync, cpSync, lstatSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { fail, type JsonObject } from "../../base/index.ts";
import { withFileErrors } from "../shared/file-errors.ts";
import { isMadeForUs } from "../shared/made-path.ts";
import { resolvePath, showPath } from "../shared/paths.ts";

type Move = { from: string; to: string; overwrite?: boolean };

function prepare({ from, to, overwrite = false }: Move): { source: string; target: string } {
  const source = resolvePath(from);
  const target = resolvePath(to);
  lstatSync(source);
  if (!overwrite && lstatSync(target, { throwIfNoEntry: false }) !== undefined && !isMadeForUs(target))
    throw fail("ALREADY_EXISTS", `Cannot write "${to}": it is there already`, { hint: "Use overwrite: true." });
  mkdirSync(dirname(target), { recursive: true });
  return { source, target };
}

/** What may be written and not be replaced is filled where it stands. */
function copyAll(source: string, target: string): void {
  if (isMadeForUs(target) && lstatSync(source).isFile()) copyFileSync(source, target);
  else cpSync(source, target, { recursive: true, verbatimSymlinks: true, force: true });
}

/** `core/file.copy`: {from, to, overwrite?} → {path}. Folders whole; links as links. */
export function copyFile(input: JsonObject): Promise<JsonObject> {
  const move = input as Move;
  return withFileErrors(`copy "${move.from}" to "${move.to}"`, () => {
    const { source, target } = prepare(move);
    copyAll(source, target);
    return { path: showPath(target) };
  });
}

/** `core/file.move`: {from, to, overwrite?} → {path}; also between file systems. */
export function moveFile(input: JsonObject): Promise<JsonObject> {
  const move = input as Move;
  return withFileErrors(`move "${move.from}" to "${move.to}"`, () => {
    const { source, target } = prepare(move);
    try {
      renameSync(source, target);
    } catch (cause) {
      // Another file system, or a place that may be written and not be replaced.
      if (!["EXDEV", "EBUSY", "EACCES", "EROFS", "EPERM", "ENOTEMPTY", "EEXIST"].includes(String((cause as { code?: string }).code))) throw cause;
      copyAll(source, target);
      rmSync(source, { recursive: true, force: true });
    }
    return { path: showPath(target) };
  });
}

/** `core/file.delete`: {path or paths, recursive?, missing?} → {deleted}. A folder with something in it needs `recursive`. */
export function deleteFiles(input: JsonObject): Promise<JsonObject> {
  const { path, paths, recursive = false, missing = "ignore" } = input as DeleteInput;
  const names = [...(path === undefined ? [] : [path]), ...(paths ?? [])];
  return withFileErrors(`delete "${names.join('", "')}"`, () => {
    let deleted = 0;
    for (const name of names) {
      const status = lstatSync(resolvePath(name), { throwIfNoEntry: false });
      if (status === undefined && missing === "ignore") continue;
      if (status?.isDirectory() === true && !recursive)
        throw fail("TASK_INPUT_INVALID", `Cannot delete "${name}": it is a folder`, { hint: "Use recursive: true." });
      rmSync(resolvePath(name), { recursive });
      deleted += 1;
    }
    return { deleted };
  });
}

type DeleteInput = { path?: string; paths?: string[]; recursive?: boolean; missing?: "ignore" | "fail" };
