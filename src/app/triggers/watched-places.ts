// Where a file trigger looks, and what lies there now. Links are not followed: what is watched is what is there, not what it points to.
import type { BigIntStats } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { canonicalJson, type ErrorCode, fail, isCoded, limits, sha256Hex, toErrorBody } from "../../base/index.ts";
import type { FileTrigger } from "../../model/index.ts";

/** `pattern` is relative to `base`; null where `base` names a file, or a folder with all files that lie in it. */
export type Place = { base: string; pattern: string | null };

/** `version` is another one whenever the file was written or replaced; times in milliseconds. */
export type SeenFile = { path: string; name: string; size: number; mtime: number; version: string };

/** `folders`: those that were read, with what tells one from another of the same name. */
export type Look = { files: Map<string, SeenFile>; folders: Map<string, string>; problems: { code: ErrorCode; message: string }[] };

const magic = /[*?[\]{}!]/;
/** Folders below one place: a pattern with `**` is not meant for a whole disk. */
const depthMax = 32;

/** The places of a trigger. @throws FILE_NOT_FOUND for a relative one of a revision that has no folder */
export function placesOf(trigger: FileTrigger, folder: string | null): Place[] {
  return trigger.paths.map((path) => {
    if (folder === null && !path.startsWith("/"))
      throw fail("FILE_NOT_FOUND", `Cannot watch "${path}" for trigger "${trigger.id}": the path is relative, and the workflow has no folder`, {
        hint: "Apply the workflow from its file, or give an absolute path.",
      });
    const parts = resolve(folder ?? "/", path).split("/");
    const first = parts.findIndex((part) => magic.test(part));
    if (first === -1) return { base: parts.join("/") || "/", pattern: null };
    return { base: parts.slice(0, first).join("/") || "/", pattern: parts.slice(first).join("/") };
  });
}

/** Tells whether a trigger looks elsewhere than it did. */
export function digestOf(places: readonly Place[]): string {
  return sha256Hex(canonicalJson(places));
}

/** All files at the places, each once. What cannot be read, or is too much, is a problem of its place; the others are looked at all the same. */
export async function lookAt(places: readonly Place[]): Promise<Look> {
  const look: Look = { files: new Map(), folders: new Map(), problems: [] };
  for (const place of places) {
    try {
      await lookAtPlace(place, look);
    } catch (cause) {
      if (!isCoded(cause)) throw cause;
      look.problems.push({ code: cause.code, message: toErrorBody(cause).message });
    }
  }
  return look;
}

async function lookAtPlace(place: Place, look: Look): Promise<void> {
  const found = new Map<string, SeenFile>();
  const { base, pattern } = place;
  const status = await statOf(base);
  if (status === null) {
    // A name with a dot in it is a file's, which comes when it comes; its folder has to be there.
    const isFile = pattern === null && basename(base).includes(".");
    if (!isFile || (await statOf(dirname(base))) === null) throw fail("FILE_NOT_FOUND", `Cannot watch "${base}": it is not there`);
    await noteFolder(look, dirname(base));
  } else if (status.isFile() && pattern === null) {
    addFile(found, base, status);
    await noteFolder(look, dirname(base));
  } else await walk({ place, look, found, left: limits.watchedEntriesMax }, place.base, "");
  for (const [path, file] of found) look.files.set(path, file);
}

type Walk = { place: Place; look: Look; found: Map<string, SeenFile>; left: number };

async function walk(walking: Walk, folder: string, below: string): Promise<void> {
  const { place, look, found } = walking;
  const pattern = place.pattern ?? "*";
  const isDeep = pattern.includes("**");
  const depth = below === "" ? 0 : below.split("/").length;
  const levels = isDeep ? depthMax : pattern.split("/").length - 1;
  const glob = new Bun.Glob(pattern);
  await noteFolder(look, folder);
  for (const entry of await entriesOf(folder, below === "")) {
    const name = below === "" ? entry.name : `${below}/${entry.name}`;
    walking.left -= 1;
    if (walking.left < 0) throw tooMuch(place, limits.watchedEntriesMax, "entries");
    // Names with a dot in front are those of files in the making, unless the pattern asks for them.
    if (entry.name.startsWith(".") && !/(?:^|\/)\./.test(pattern)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory() && depth < levels) await walk(walking, path, name);
    if (!entry.isFile() || !glob.match(name)) continue;
    const status = await statOf(path);
    if (status?.isFile() !== true) continue;
    addFile(found, path, status);
    if (found.size > limits.watchedFilesMax) throw tooMuch(place, limits.watchedFilesMax, "files");
  }
}

async function noteFolder(look: Look, folder: string): Promise<void> {
  const status = await statOf(folder);
  if (status !== null && look.folders.size < limits.watchedFoldersMax) look.folders.set(folder, String(status.ino));
}

async function entriesOf(folder: string, isBase: boolean) {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (cause) {
    if (!isBase) return [];
    throw fail("FILE_NOT_FOUND", `Cannot watch "${folder}": ${cause instanceof Error ? cause.message : "it cannot be read"}`, { cause });
  }
}

function addFile(found: Map<string, SeenFile>, path: string, { ino, size, mtimeNs }: BigIntStats): void {
  const version = `${ino}-${mtimeNs}-${size}`;
  found.set(path, { path, name: basename(path), size: Number(size), mtime: Number(mtimeNs / 1_000_000n), version });
}

/** The file as it is now; null when it is gone. */
export async function seeAgain(path: string): Promise<SeenFile | null> {
  const status = await statOf(path);
  const found = new Map<string, SeenFile>();
  if (status?.isFile() === true) addFile(found, path, status);
  return found.get(path) ?? null;
}

async function statOf(path: string): Promise<BigIntStats | null> {
  try {
    return await lstat(path, { bigint: true });
  } catch {
    return null;
  }
}

function tooMuch({ base }: Place, max: number, what: string): Error {
  return fail("TOO_LARGE", `Cannot watch "${base}": it has more than ${max} ${what}`, {
    hint: "Narrow the trigger's paths, or move away what is done.",
  });
}
