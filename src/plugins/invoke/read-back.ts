// Reading what a task wrote, without following what it may have planted: links, pipes, devices, folders in place of files.
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, type Stats } from "node:fs";
import { join } from "node:path";
import { fail } from "../../base/index.ts";

/**
 * The bytes of a regular file that the task wrote into its folder, null when it is missing or empty. Nothing is followed or waited for.
 * @throws PLUGIN_OUTPUT_INVALID when something else stands there, or it is too large; `as` names the file for people
 */
export function readBack(folder: string, file: { name: string; as: string }, bytesMax: number): Uint8Array | null {
  const place = lstatSync(folder, { throwIfNoEntry: false });
  if (place === undefined) return null;
  if (!place.isDirectory()) throw unreadable(file.as, "the task replaced the folder that it stands in");
  const handle = openPlain(join(folder, file.name), file.as);
  if (handle === null) return null;
  try {
    const status = requireFile(handle, file.as);
    if (status.size === 0) return null;
    if (status.size > bytesMax) throw unreadable(file.as, `its ${status.size} bytes are more than ${bytesMax}`, { bytes: status.size, bytesMax });
    const bytes = new Uint8Array(status.size);
    const count = readSync(handle, bytes, 0, bytes.byteLength, 0);
    return bytes.subarray(0, count);
  } finally {
    closeSync(handle);
  }
}

/** What an open descriptor stands for, when it is a regular file. @throws PLUGIN_OUTPUT_INVALID */
export function requireFile(handle: number, as: string): Stats {
  const status = fstatSync(handle);
  if (!status.isFile()) throw unreadable(as, "it is no plain file");
  return status;
}

/** Opens without following a link as the last part, and without waiting for a pipe's other end. @throws PLUGIN_OUTPUT_INVALID */
export function openPlain(path: string, as: string): number | null {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    const { code } = cause as { code?: string };
    if (code === "ENOENT") return null;
    throw unreadable(as, code === "ELOOP" ? "it is a link" : `it cannot be opened (${String(code)})`);
  }
}

/** @returns the error for what a task left and cannot be taken */
export function unreadable(as: string, why: string, details?: Record<string, unknown>) {
  return fail("PLUGIN_OUTPUT_INVALID", `Cannot read ${as}: ${why}`, details === undefined ? {} : { details });
}
