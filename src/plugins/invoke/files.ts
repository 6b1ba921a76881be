// Files that go into a task's work folder before it starts, and those that it leaves behind.
import { closeSync, constants, fchmodSync, fchownSync, fstatSync, lstatSync, mkdirSync, openSync, readdirSync, writeFileSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { isAbsolute, join, relative } from "node:path";
import { fail, isObject, type JsonObject } from "../../base/index.ts";
import { isInside, openBelow } from "./open-below.ts";
import type { ArtifactSource, LeftFile } from "./ports.ts";
import { requireFile, unreadable } from "./read-back.ts";
import type { AttemptFolders } from "./workspace.ts";

const uriForm = /^artifact:([0-9a-f]{64})$/;
const nameBytesMax = 255;
/** Of a file that is handed in: folders of its name, and the name. */
const namePartsMax = 8;
const filesMax = 1000;
const fileBytesMax = 1024 ** 3;
/** Folders below `out`, of one file. */
const depthMax = 16;
/** Beyond so many entries a folder `out` is no collection of results; of those left out so many are told. */
const entriesMax = 20_000;
const skipsMax = 100;

/** Puts `inputs.files` into `in`, read-only. @throws TASK_INPUT_INVALID for a bad name or an artifact that is not there */
export async function placeInputFiles(inputs: JsonObject, folders: AttemptFolders, source: ArtifactSource): Promise<void> {
  const { files } = inputs;
  if (!isObject(files)) return;
  const folder = join(folders.workdir, "in");
  makeOwned(folder, folders);
  for (const [name, uri] of Object.entries(files)) {
    const parts = partsOf(name);
    const [, sha256] = uriForm.exec(String(uri)) ?? [];
    if (sha256 === undefined) throw fail("TASK_INPUT_INVALID", `Cannot take the file "${name}": its value is not artifact:<sha256>`);
    const artifact = await source(sha256);
    if (artifact === null) throw fail("TASK_INPUT_INVALID", `Cannot take the file "${name}": no artifact ${sha256}`, { details: { name, sha256 } });
    const path = join(folder, name);
    try {
      makeFolders(folder, parts.slice(0, -1), folders);
      if ("path" in artifact) await copyFile(artifact.path, path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
      else writeFileSync(path, artifact.bytes, { flag: "wx" });
    } catch (cause) {
      if (!["EEXIST", "ENOTDIR"].includes(String((cause as { code?: string }).code))) throw cause;
      throw fail("TASK_INPUT_INVALID", `Cannot take the file ${JSON.stringify(name)}: another one's name is in its way`);
    }
    own(path, folders, 0o400);
  }
}

/** Nothing of the task runs yet: what is there was made here. */
function makeFolders(folder: string, parts: readonly string[], folders: AttemptFolders): void {
  let at = folder;
  for (const part of parts) {
    at = join(at, part);
    if (lstatSync(at, { throwIfNoEntry: false })?.isDirectory() !== true) makeOwned(at, folders);
  }
}

/** The folders of a name and its last part. @throws TASK_INPUT_INVALID */
function partsOf(name: string): string[] {
  const parts = name.split("/");
  const isPlain = (part: string) => part !== "" && part !== "." && part !== ".." && Buffer.byteLength(part) <= nameBytesMax;
  if (parts.length <= namePartsMax && parts.every(isPlain) && !name.includes("\0") && name.isWellFormed()) return parts;
  const why = `it is no relative path of at most ${namePartsMax} plain names`;
  throw fail("TASK_INPUT_INVALID", `Cannot take the file ${JSON.stringify(name)}: ${why}`);
}

/** Writes a file for the task into its work folder, where nothing of the task runs yet. */
export function writeOwned(path: string, text: string, folders: AttemptFolders): void {
  writeFileSync(path, text, { flag: "wx", mode: 0o600 });
  own(path, folders, null);
}

function makeOwned(path: string, folders: AttemptFolders): void {
  mkdirSync(path, { mode: 0o700 });
  own(path, folders, null);
}

function own(path: string, { user }: AttemptFolders, mode: number | null): void {
  const handle = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    if (user !== null) fchownSync(handle, user.uid, user.gid);
    if (mode !== null) fchmodSync(handle, mode);
  } finally {
    closeSync(handle);
  }
}

export type Harvest = {
  folders: AttemptFolders;
  /** Paths that the result frame names. */
  named: readonly string[];
  /** Of all together. */
  bytesMax: number;
  /** Told of everything that is left out. */
  onSkip: (name: string, why: string) => void;
};

/** The regular files in `out`, and those that the task named. To be called when nothing of the task runs any more.
 * @throws PLUGIN_OUTPUT_INVALID for too many or too large ones, and for a named one that cannot be taken */
export async function harvest({ folders, named, bytesMax, onSkip }: Harvest): Promise<LeftFile[]> {
  const found = new Map<string, LeftFile>();
  let bytes = 0;
  const add = (file: LeftFile): void => {
    if (found.has(file.name)) return;
    bytes += file.size;
    if (found.size >= filesMax) throw unreadable("the task's artifacts", `there are more than ${filesMax}`, { filesMax });
    if (file.size > fileBytesMax || bytes > bytesMax)
      throw unreadable(`the artifact "${file.name}"`, `it is too large, or all of them are`, { bytes, bytesMax: Math.min(bytesMax, fileBytesMax) });
    found.set(file.name, file);
  };
  let skips = 0;
  const skip: Harvest["onSkip"] = (name, why) => {
    skips += 1;
    if (skips <= skipsMax) onSkip(name, why);
    if (skips === skipsMax + 1) onSkip("out", `more than ${skipsMax} of its entries are left out`);
  };
  walk(join(folders.workdir, "out"), "", { add, onSkip: skip, left: { entries: entriesMax } });
  for (const [index, path] of named.slice(0, filesMax + 1).entries()) {
    const file = await takeNamed(path, index, folders);
    add(file);
  }
  return [...found.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

type Walk = { add: (file: LeftFile) => void; onSkip: Harvest["onSkip"]; left: { entries: number } };

function walk(folder: string, prefix: string, work: Walk): void {
  const { add, onSkip, left } = work;
  const place = lstatSync(folder, { throwIfNoEntry: false });
  if (place === undefined) return;
  if (!place.isDirectory()) return onSkip(prefix === "" ? "out" : prefix, "it is no folder");
  if (prefix.split("/").length > depthMax) return onSkip(prefix, `it is more than ${depthMax} folders deep`);
  for (const entry of namesIn(folder, prefix, onSkip)) {
    left.entries -= 1;
    if (left.entries < 0) throw unreadable("the task's artifacts", `out holds more than ${entriesMax} entries`, { entriesMax });
    const name = prefix === "" ? entry : `${prefix}/${entry}`;
    const path = join(folder, entry);
    const status = lstatSync(path, { throwIfNoEntry: false });
    // As text, such a name is another one.
    if (entry.includes("\uFFFD")) onSkip(name, "its name is not UTF-8");
    else if (status === undefined) onSkip(name, "it is gone");
    else if (status.isDirectory()) walk(path, name, work);
    else if (!status.isFile()) onSkip(name, "it is no plain file");
    else add({ name, path, size: status.size });
  }
}

function namesIn(folder: string, name: string, onSkip: Harvest["onSkip"]): string[] {
  try {
    return readdirSync(folder).toSorted();
  } catch {
    onSkip(name, "it cannot be read");
    return [];
  }
}

/** A named file lies in the work folder or the workspace. One of the workspace, where other tasks write, is copied out of their reach. */
async function takeNamed(path: string, index: number, { workdir, workspace }: AttemptFolders): Promise<LeftFile> {
  const as = `the artifact "${path}"`;
  const full = isAbsolute(path) ? path : join(workdir, path);
  const root = [workdir, workspace].find((folder) => isInside(relative(folder, full)));
  if (root === undefined) throw unreadable(as, "it lies neither in the work folder nor in the workspace");
  const inside = relative(root, full);
  let handle: number;
  try {
    handle = openBelow(root, inside);
  } catch (cause) {
    throw unreadable(as, `it cannot be opened (${String((cause as { code?: string }).code)})`);
  }
  try {
    requireFile(handle, as);
    const { size } = fstatSync(handle);
    const name = inside.startsWith("out/") && root === workdir ? inside.slice("out/".length) : inside;
    if (root === workdir) return { name, path: full, size };
    const copy = join(workdir, `.left-${index}`);
    await copyFile(`/proc/self/fd/${handle}`, copy, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    return { name, path: copy, size: lstatSync(copy).size };
  } finally {
    closeSync(handle);
  }
}
