// What is in folders: lists, patterns, digests.
import { createReadStream, lstatSync, readdirSync, statSync, type Stats } from "node:fs";
import { join, relative } from "node:path";
import { fail, type JsonObject, toIso } from "../../base/index.ts";
import { withFileErrors } from "../shared/file-errors.ts";
import { resolvePath, showPath } from "../shared/paths.ts";

/** More than this is no list for a workflow's output. */
const entriesMax = 10_000;

function typeOf(status: Stats): string {
  if (status.isSymbolicLink()) return "link";
  if (status.isDirectory()) return "folder";
  return status.isFile() ? "file" : "other";
}

function tooMany(path: string): Error {
  return fail("TOO_LARGE", `Cannot list "${path}": it has more than ${entriesMax} entries`, { hint: "Narrow it by a pattern." });
}

/** `core/file.list`: {path?, recursive?} → {path, entries: [{name, path, type, size, modifiedAt}]}, sorted by name. Links are not followed. */
export function listFolder(input: JsonObject): Promise<JsonObject> {
  const { path, recursive = false } = input as { path?: string; recursive?: boolean };
  return withFileErrors(`list "${path ?? "."}"`, () => {
    const root = resolvePath(path);
    const entries: JsonObject[] = [];
    const visit = (folder: string): void => {
      for (const name of readdirSync(folder).toSorted()) {
        const absolute = join(folder, name);
        const status = lstatSync(absolute);
        if (entries.length >= entriesMax) throw tooMany(path ?? ".");
        entries.push({
          name: relative(root, absolute),
          path: showPath(absolute),
          type: typeOf(status),
          size: status.size,
          modifiedAt: toIso(Math.trunc(status.mtimeMs)),
        });
        if (recursive && status.isDirectory()) visit(absolute);
      }
    };
    visit(root);
    return { path: showPath(root), entries };
  });
}

/** `core/file.glob`: {patterns, path?, dot?} → {files}: matching regular files relative to `path`, sorted, each once. */
export function globFiles(input: JsonObject): Promise<JsonObject> {
  const { patterns, path, dot = false } = input as { patterns: string | string[]; path?: string; dot?: boolean };
  return withFileErrors(`look for files in "${path ?? "."}"`, () => {
    const root = resolvePath(path);
    if (!statSync(root).isDirectory()) throw fail("TASK_INPUT_INVALID", `Cannot look for files in "${root}": it is no folder`);
    const found = new Set<string>();
    for (const pattern of [patterns].flat()) {
      if (pattern.startsWith("/") || pattern.split("/").includes(".."))
        throw fail("TASK_INPUT_INVALID", `Cannot use the pattern "${pattern}": it leads out of the folder`, { hint: "Name the folder in path." });
      for (const name of new Bun.Glob(pattern).scanSync({ cwd: root, dot, onlyFiles: true, followSymlinks: false })) {
        found.add(name);
        if (found.size > entriesMax) throw tooMany(path ?? ".");
      }
    }
    return { path: showPath(root), files: [...found].toSorted() };
  });
}

const algorithms = ["sha256", "sha512", "sha1", "md5"] as const;

async function digestOf(path: string, algorithm: (typeof algorithms)[number]): Promise<{ digest: string; size: number }> {
  const hasher = new Bun.CryptoHasher(algorithm);
  let size = 0;
  for await (const chunk of createReadStream(path)) {
    hasher.update(chunk as Buffer);
    size += (chunk as Buffer).byteLength;
  }
  return { digest: hasher.digest("hex"), size };
}

/** `core/file.checksum`: {path or paths, algorithm?, expected?} → {algorithm, checksums: [{path, size, digest}]}, `digest` too for one path.
 * @throws PAYLOAD_DIGEST_MISMATCH */
export async function checksumFiles(input: JsonObject): Promise<JsonObject> {
  const { path, paths, algorithm = "sha256", expected } = input as ChecksumInput;
  const names = [...(path === undefined ? [] : [path]), ...(paths ?? [])];
  if (names.length === 0) throw fail("TASK_INPUT_INVALID", "Cannot compute checksums: neither path nor paths is given");
  return withFileErrors(`read "${names.join('", "')}"`, async () => {
    const checksums = [];
    for (const name of names) {
      if (!statSync(resolvePath(name)).isFile()) throw fail("TASK_INPUT_INVALID", `Cannot compute the checksum of "${name}": it is no file`);
      checksums.push({ path: showPath(resolvePath(name)), ...(await digestOf(resolvePath(name), algorithm)) });
    }
    const [first] = checksums;
    if (expected !== undefined && (names.length !== 1 || first?.digest !== expected.toLowerCase())) throw mismatch(names, first?.digest, expected);
    return { algorithm, checksums, ...(names.length === 1 && first !== undefined ? { digest: first.digest } : {}) };
  });
}

type ChecksumInput = { path?: string; paths?: string[]; algorithm?: (typeof algorithms)[number]; expected?: string };

function mismatch(names: string[], actual: string | undefined, expected: string): Error {
  if (names.length !== 1) return fail("TASK_INPUT_INVALID", "Cannot compare checksums: expected goes with one path");
  return fail("PAYLOAD_DIGEST_MISMATCH", `The checksum of "${names[0]}" is not the expected one`, { details: { actual: actual ?? null, expected } });
}
