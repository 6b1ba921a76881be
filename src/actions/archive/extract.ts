// Unpacking archives of strangers: nothing lands outside the target, nothing is written through a link, sizes are bounded.
import {
  copyFileSync,
  createReadStream,
  createWriteStream,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, isAbsolute, join, relative, resolve } from "node:path";
import { type Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { unzipSync } from "fflate";
import { extract as createExtract } from "tar-stream";
import { fail, type JsonObject } from "../../base/index.ts";
import { withFileErrors } from "../shared/file-errors.ts";
import { resolvePath, showPath } from "../shared/paths.ts";
import { formatOf, zipBytesMax } from "./create.ts";

const bytesMaxDefault = 1024 * 1024 * 1024;
const entriesMax = 100_000;

type Request = { path: string; to: string; format?: string; strip?: number; overwrite?: boolean; maxBytes?: number };
type Link = { place: string; target: string };

/** `core/archive.extract`: {path, to, format?, strip?, overwrite?, maxBytes?} → {path, entries, bytes}.
 * @throws TASK_INPUT_INVALID for hostile entries, TOO_LARGE */
export function extractArchive(input: JsonObject): Promise<JsonObject> {
  const request = input as unknown as Request;
  return withFileErrors(`unpack "${request.path}"`, async () => {
    const target = new Target(request);
    const format = formatOf(request.path, request.format);
    const source = resolvePath(request.path);
    if (format === "zip") extractZip(source, request.path, target);
    else await extractTar(source, format, target);
    target.finish();
    return { path: showPath(target.root), entries: target.entries, bytes: target.bytes };
  });
}

/** The folder that is filled: knows where a member may land, and how much came. */
class Target {
  readonly root: string;
  readonly #request: Request;
  readonly #links: Link[] = [];
  entries = 0;
  bytes = 0;

  constructor(request: Request) {
    this.#request = request;
    this.root = resolvePath(request.to);
    mkdirSync(this.root, { recursive: true });
  }

  /** Where a member goes; null when `strip` takes all of its name. Folders on the way are made, and are real ones. */
  place(name: string): string | null {
    const parts = name.split("/").filter((part) => part !== "" && part !== ".");
    if (name.includes("\0") || isAbsolute(name) || parts.includes("..") || name.includes("\\"))
      throw this.#hostile(name, "its name leads out of the folder");
    const kept = parts.slice(this.#request.strip ?? 0);
    if (kept.length === 0) return null;
    this.entries += 1;
    if (this.entries > entriesMax) throw fail("TOO_LARGE", `Cannot unpack "${this.#request.path}": it has more than ${entriesMax} entries`);
    let at = this.root;
    for (const part of kept.slice(0, -1)) {
      at = join(at, part);
      this.#makeFolder(at, name);
    }
    return join(at, kept.at(-1) ?? "");
  }

  folder(place: string, name: string): void {
    this.#makeFolder(place, name);
  }

  #makeFolder(path: string, name: string): void {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined) mkdirSync(path);
    else if (!found.isDirectory()) throw this.#hostile(name, "something that is no folder stands in its way");
  }

  /** Makes room for a file: what stands there goes, or is in the way. */
  clear(place: string, name: string): void {
    const found = lstatSync(place, { throwIfNoEntry: false });
    if (found === undefined) return;
    if (found.isDirectory() || this.#request.overwrite === false) throw fail("ALREADY_EXISTS", `Cannot unpack "${name}": it is there already`);
    rmSync(place);
  }

  count(bytes: number): void {
    this.bytes += bytes;
    const bytesMax = this.#request.maxBytes ?? bytesMaxDefault;
    if (this.bytes > bytesMax)
      throw fail("TOO_LARGE", `Cannot unpack "${this.#request.path}": more than ${bytesMax} bytes`, { hint: "Raise maxBytes." });
  }

  /** Links are made last, so that no member is written through one. */
  link(place: string, target: string): void {
    const inside = relative(this.root, resolve(dirname(place), target));
    if (isAbsolute(target) || inside.startsWith("..") || isAbsolute(inside)) throw this.#hostile(target, "a link leads out of the folder");
    this.#links.push({ place, target });
  }

  finish(): void {
    for (const { place, target } of this.#links) {
      this.clear(place, target);
      symlinkSync(target, place);
    }
  }

  #hostile(name: string, why: string): Error {
    return fail("TASK_INPUT_INVALID", `Cannot unpack "${this.#request.path}": ${why}`, { details: { entry: name } });
  }
}

async function extractTar(source: string, format: "tar" | "tar.gz", target: Target): Promise<void> {
  const extract = createExtract();
  const input = createReadStream(source);
  const fed = format === "tar.gz" ? pipeline(input, createGunzip(), extract) : pipeline(input, extract);
  fed.catch(() => undefined);
  for await (const entry of extract) {
    const { name, type, linkname, mode } = entry.header;
    const place = target.place(name);
    if (place === null) entry.resume();
    else if (type === "directory") {
      target.folder(place, name);
      entry.resume();
    } else if (type === "symlink") {
      target.link(place, linkname ?? "");
      entry.resume();
    } else if (type === "link") {
      copyLinked(target, place, linkname ?? "");
      entry.resume();
    } else if (type === "file" || type === "contiguous-file") {
      target.clear(place, name);
      await writeMember(entry as unknown as Readable, { place, mode: mode ?? 0o644, target });
    } else throw fail("TASK_INPUT_INVALID", `Cannot unpack "${name}": a ${String(type)} is no file, folder or link`);
  }
  await fed;
}

/** A hard link of an archive is a second name of an earlier member: a copy serves, and needs no link between them. */
function copyLinked(target: Target, place: string, linkname: string): void {
  const source = join(target.root, linkname);
  const inside = relative(target.root, source);
  if (inside.startsWith("..") || !statSync(source).isFile() || lstatSync(source).isSymbolicLink())
    throw fail("TASK_INPUT_INVALID", `Cannot unpack: a hard link to "${linkname}" is no earlier file of the archive`);
  target.count(statSync(source).size);
  target.clear(place, linkname);
  copyFileSync(source, place);
}

async function writeMember(entry: Readable, { place, mode, target }: { place: string; mode: number; target: Target }): Promise<void> {
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      try {
        target.count(chunk.byteLength);
        done(null, chunk);
      } catch (cause) {
        done(cause as Error);
      }
    },
  });
  await pipeline(entry, counted, createWriteStream(place, { flags: "wx", mode: mode & 0o755 }));
}

function extractZip(source: string, shown: string, target: Target): void {
  if (statSync(source).size > zipBytesMax) throw fail("TOO_LARGE", `Cannot unpack "${shown}": it is larger than ${zipBytesMax} bytes`);
  const seen: string[] = [];
  // Sizes are looked at before anything is unpacked, so that a bomb costs no memory.
  const files = unzipSync(new Uint8Array(readFileSync(source)), {
    filter: ({ name, originalSize }) => {
      if (seen.length >= entriesMax || originalSize > zipBytesMax) throw fail("TOO_LARGE", `Cannot unpack "${name}": the archive is too large`);
      seen.push(name);
      target.count(originalSize);
      return true;
    },
  });
  for (const [name, bytes] of Object.entries(files)) {
    const place = target.place(name);
    if (place === null) continue;
    if (name.endsWith("/")) target.folder(place, name);
    else {
      target.clear(place, name);
      writeFileSync(place, bytes, { flag: "wx", mode: 0o644 });
    }
  }
}
