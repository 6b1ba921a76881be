// Where a backup may be written: to a name that is free or a backup's, and nowhere among the store's and the data folder's own files.
import { lstatSync, realpathSync } from "node:fs";
import { basename, dirname, join, relative, sep } from "node:path";
import { fail } from "../../base/index.ts";
import { adminKeyPath, type LoadedConfig, serverFilePath } from "../../config/index.ts";
import { blobFolder, keyFolder, treeNames } from "./manifest.ts";
import { lockName, planName, stagingPrefix } from "./moves.ts";
import { isSealed } from "./seal.ts";

/** @throws USAGE for a folder, and for a place of the store's own; FILE_NOT_FOUND where its folder is not there; ALREADY_EXISTS */
export function checkPlace(file: string, { loaded, force }: { loaded: LoadedConfig; force: boolean }): void {
  let folder: string;
  try {
    folder = realpathSync(dirname(file));
  } catch (cause) {
    throw fail("FILE_NOT_FOUND", `Cannot back up into "${file}": its folder is not there`, { cause });
  }
  if (isOwn(join(folder, basename(file)), loaded))
    throw fail("USAGE", `Cannot back up into "${file}": that is a place of the store's own files`, {
      hint: "Name a file that is not in the store, such as ../store.tar.gz.",
    });
  checkOverwrite(file, force);
}

/** @throws ALREADY_EXISTS for what is there and may not be overwritten, USAGE for a folder */
export function checkOverwrite(file: string, force: boolean): void {
  const found = lstatSync(file, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (found.isDirectory()) throw fail("USAGE", `Cannot back up into "${file}": it is a folder`, { hint: "Name a file in it." });
  if (!isSealed(file))
    throw fail("ALREADY_EXISTS", `Cannot back up into "${file}": a file that is no backup is there`, {
      hint: "Name another file; --force overwrites backups only.",
    });
  if (!force) throw isThere(file);
}

/** The refusal to overwrite a backup. */
export function isThere(file: string): Error {
  return fail("ALREADY_EXISTS", `Cannot back up into "${file}": it is there already`, { hint: "Overwrite it with --force." });
}

/** Whether a file is one of ours or lies below a folder of ours, also where there is none yet: the next command would make or read it. */
function isOwn(file: string, { dataDir, storePath }: LoadedConfig): boolean {
  const store = dirname(storePath);
  const files = ["", "-wal", "-shm", "-journal"].map((end) => storePath + end);
  files.push(join(store, planName), join(store, lockName), adminKeyPath(dataDir), serverFilePath(dataDir), join(dataDir, "server.log"));
  const folders = [blobFolder, keyFolder, ...treeNames].map((name) => join(store, name));
  folders.push(join(dataDir, "runtime"), join(dataDir, "work"));
  const isStaged = relative(realPath(store), file).startsWith(stagingPrefix);
  const isBelow = (one: string) => `${file}${sep}`.startsWith(`${realPath(one)}${sep}`);
  return isStaged || files.some((one) => namePath(one) === file || realPath(one) === file) || folders.some(isBelow);
}

/** Without links in the folder; the name itself may be one. */
function namePath(path: string): string {
  return join(realPath(dirname(path)), basename(path));
}

/** Without links in it, as far as there is something. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return dirname(path) === path ? path : namePath(path);
  }
}
