// Packing files into tar, tar.gz and zip.
import {
  closeSync,
  createReadStream,
  createWriteStream,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { zipSync, type Zippable } from "fflate";
import { pack as createPack } from "tar-stream";
import { fail, type JsonObject } from "../../base/index.ts";
import { withFileErrors } from "../shared/file-errors.ts";
import { resolvePath, showPath } from "../shared/paths.ts";
import { type Member, walkMembers } from "./walk.ts";

export type Format = "tar" | "tar.gz" | "zip";

/** Zip archives are made and read in memory. */
export const zipBytesMax = 128 * 1024 * 1024;

/** The format by a name's ending. @throws TASK_INPUT_INVALID */
export function formatOf(path: string, format: string | undefined): Format {
  if (format === "tar" || format === "tar.gz" || format === "zip") return format;
  if (/\.(?:tar\.gz|tgz)$/i.test(path)) return "tar.gz";
  if (/\.tar$/i.test(path)) return "tar";
  if (/\.zip$/i.test(path)) return "zip";
  throw fail("TASK_INPUT_INVALID", `Cannot tell the format of "${path}"`, { hint: "Use .tar, .tar.gz or .zip, or name the format." });
}

/** `core/archive.create`: {paths, to, format?, base?} → {path, size, sha256, entries}. @throws FILE_NOT_FOUND, TOO_LARGE, TASK_INPUT_INVALID */
export function createArchive(input: JsonObject): Promise<JsonObject> {
  const { paths, to, base } = input as { paths: string | string[]; to: string; base?: string };
  return withFileErrors(`pack into "${to}"`, async () => {
    const format = formatOf(to, input["format"] as string | undefined);
    const target = resolvePath(to);
    const members = walkMembers([paths].flat(), base).filter((member) => member.path !== target);
    mkdirSync(dirname(target), { recursive: true });
    try {
      if (format === "zip") writeFileSync(target, zipSync(zipMembers(members)));
      else await writeTar(members, target, format);
    } catch (cause) {
      rmSync(target, { force: true });
      throw cause;
    }
    return { path: showPath(target), size: statSync(target).size, sha256: await hashFile(target), entries: members.length };
  });
}

async function hashFile(path: string): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const chunk of createReadStream(path)) hasher.update(chunk as Buffer);
  return hasher.digest("hex");
}

async function writeTar(members: readonly Member[], target: string, format: "tar" | "tar.gz"): Promise<void> {
  const pack = createPack();
  const out = createWriteStream(target, { mode: 0o644 });
  const written = format === "tar.gz" ? pipeline(pack, createGzip(), out) : pipeline(pack, out);
  written.catch(() => undefined);
  for (const member of members) await addToTar(pack, member);
  pack.finalize();
  await written;
}

function addToTar(pack: ReturnType<typeof createPack>, { name, path, type, status, link }: Member): Promise<void> {
  const header = { name, mode: status.mode & 0o777, mtime: status.mtime };
  return new Promise((resolve, reject) => {
    const done = (error?: Error | null) => (error ? reject(error) : resolve());
    if (type === "folder") return void pack.entry({ ...header, name: `${name}/`, type: "directory" }, done);
    if (type === "link") return void pack.entry({ ...header, type: "symlink", linkname: link ?? "" }, done);
    const entry = pack.entry({ ...header, type: "file", size: status.size }, done);
    copyExactly(path, status.size, entry).catch(reject);
  });
}

/** As many bytes as the header says: a file that changes meanwhile must not shift what follows. */
async function copyExactly(path: string, size: number, entry: NodeJS.WritableStream): Promise<void> {
  const handle = openSync(path, "r");
  try {
    const chunk = Buffer.alloc(64 * 1024);
    for (let left = size; left > 0; ) {
      const count = readSync(handle, chunk, 0, Math.min(chunk.byteLength, left), null);
      if (count === 0) throw fail("TASK_FAILED", `Cannot pack "${path}": it became shorter meanwhile`);
      left -= count;
      if (!entry.write(Buffer.from(chunk.subarray(0, count)))) await new Promise((resolve) => entry.once("drain", resolve));
    }
    entry.end();
  } finally {
    closeSync(handle);
  }
}

function zipMembers(members: readonly Member[]): Zippable {
  const out: Zippable = {};
  let bytes = 0;
  for (const { name, path, type, status } of members) {
    if (type === "link") throw fail("TASK_INPUT_INVALID", `Cannot pack "${name}" into a zip: it is a link`, { hint: "Use tar.gz." });
    bytes += type === "file" ? status.size : 0;
    if (bytes > zipBytesMax) throw fail("TOO_LARGE", `Cannot pack more than ${zipBytesMax} bytes into a zip`, { hint: "Use tar.gz." });
    const options = { mtime: status.mtime, os: 3, attrs: (status.mode & 0o777) << 16 } as const;
    out[type === "folder" ? `${name}/` : name] = [type === "folder" ? new Uint8Array() : new Uint8Array(readFileSync(path)), options];
  }
  return out;
}
