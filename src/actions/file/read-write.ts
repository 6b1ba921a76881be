// Reading and writing whole files as text, JSON or base64.
import { closeSync, constants, fstatSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fail, type Json, type JsonObject, limits, sha256Hex } from "../../base/index.ts";
import { withFileErrors } from "../shared/file-errors.ts";
import { isMadeForUs } from "../shared/made-path.ts";
import { resolvePath, showPath } from "../shared/paths.ts";

/** What fits into an output beside its frame. */
const inlineBytesMax = limits.outputBytesMax - 4096;

type Encoding = "text" | "json" | "base64" | "lines";

/** `core/file.read`: {path, as?, maxBytes?} → {path, size, content}. @throws FILE_NOT_FOUND, TOO_LARGE, TASK_INPUT_INVALID */
export function readFile(input: JsonObject): Promise<JsonObject> {
  const { path, as = "text", maxBytes } = input as { path: string; as?: Encoding; maxBytes?: number };
  const bytesMax = Math.min(maxBytes ?? inlineBytesMax, inlineBytesMax);
  return withFileErrors(`read "${path}"`, () => {
    const bytes = readBounded(resolvePath(path), path, bytesMax);
    return { path: showPath(resolvePath(path)), size: bytes.byteLength, content: decode(bytes, as, path) };
  });
}

/** All bytes of a regular file up to a bound. */
export function readBounded(absolute: string, path: string, bytesMax: number): Buffer {
  const handle = openSync(absolute, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const status = fstatSync(handle);
    if (!status.isFile()) throw fail("TASK_INPUT_INVALID", `Cannot read "${path}": it is no file`);
    if (status.size > bytesMax) {
      throw fail("TOO_LARGE", `Cannot read "${path}": ${status.size} bytes are more than ${bytesMax}`, {
        details: { size: status.size, bytesMax },
        hint: "Leave large files in $workspace for later tasks, or read them with a script.",
      });
    }
    return readFileSync(handle);
  } finally {
    closeSync(handle);
  }
}

function decode(bytes: Buffer, as: Encoding, path: string): Json {
  if (as === "base64") return bytes.toString("base64");
  const text = decodeText(bytes, path);
  if (as === "text") return text;
  if (as === "lines") return text === "" ? [] : text.replace(/\r?\n$/, "").split(/\r?\n/);
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    throw fail("TASK_FAILED", `Cannot read "${path}" as JSON: ${(cause as Error).message}`);
  }
}

function decodeText(bytes: Buffer, path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw fail("TASK_FAILED", `Cannot read "${path}" as text: it is no UTF-8`, { hint: "Use as: base64." });
  }
}

/** `core/file.write`: {path, content, encoding?, append?, mode?, overwrite?} → {path, size, sha256}. A replaced file is whole at every moment. */
export function writeFile(input: JsonObject): Promise<JsonObject> {
  const { path, append = false, overwrite = true, mode = "644" } = input as { path: string; append?: boolean; overwrite?: boolean; mode?: string };
  return withFileErrors(`write "${path}"`, () => {
    const absolute = resolvePath(path);
    const bytes = encode(input);
    const permissions = Number.parseInt(mode, 8) & 0o777;
    mkdirSync(dirname(absolute), { recursive: true });
    if (append) writeThrough(absolute, bytes, { flags: "a", permissions });
    else if (!overwrite && !isMadeForUs(absolute)) writeThrough(absolute, bytes, { flags: "wx", permissions });
    else replace(absolute, bytes, permissions);
    return { path: showPath(absolute), size: bytes.byteLength, sha256: sha256Hex(bytes) };
  });
}

function encode({ content, encoding = "text" }: JsonObject): Buffer {
  if (typeof content !== "string") return Buffer.from(`${JSON.stringify(content, null, 2)}\n`);
  if (encoding !== "base64") return Buffer.from(content);
  const bytes = Buffer.from(content, "base64");
  if (bytes.toString("base64").replace(/=+$/, "") !== content.replace(/\s|=+$/g, ""))
    throw fail("TASK_INPUT_INVALID", "Cannot write: content is no base64");
  return bytes;
}

function writeThrough(path: string, bytes: Buffer, { flags, permissions }: { flags: string; permissions: number }): void {
  const handle = openSync(path, flags, permissions);
  try {
    for (let at = 0; at < bytes.byteLength; ) at += writeSync(handle, bytes, at);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** Beside the file and then over it, so that nobody reads half of it. Where only the file itself may be written, into it. */
function replace(path: string, bytes: Buffer, permissions: number): void {
  const draft = join(dirname(path), `.${basename(path)}.${process.pid}.part`);
  try {
    writeThrough(draft, bytes, { flags: "wx", permissions });
  } catch (cause) {
    if (!["EACCES", "EROFS", "EPERM"].includes(String((cause as { code?: string }).code))) throw cause;
    return writeThrough(path, bytes, { flags: "w", permissions });
  }
  try {
    renameSync(draft, path);
  } catch (cause) {
    rmSync(draft, { force: true });
    if ((cause as { code?: string }).code !== "EBUSY") throw cause;
    writeThrough(path, bytes, { flags: "w", permissions });
  }
}
