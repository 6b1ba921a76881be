// The first entry of a backup: what is in it, whose it is, and where its record ends. Paths are checked here, before anything is written.
import { posix } from "node:path";
import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { fail, limits } from "../../base/index.ts";

export const manifestName = "manifest.json";
/** The database's name within a backup, whatever it is called in the store. */
export const databaseName = "autokestra.db";
/** Folders of the store beside the database, as they are called there and in a backup. */
export const treeNames = ["plugins", "atlases"] as const;
export const blobFolder = "blobs";
export const keyFolder = "keys";

const strict = { additionalProperties: false } as const;
const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const Digest = Type.String({ pattern: "^[0-9a-f]{64}$" });
const Path = Type.String({ minLength: 1, maxLength: 4096 });
const Text = Type.String({ maxLength: 200 });

const ManifestSchema = Type.Object(
  {
    format: Type.Literal("autokestra-backup"),
    version: Type.Literal(1),
    created_at: Text,
    product_version: Text,
    schema: Count,
    system_trace_id: Text,
    head: Type.Object({ last_seq: Count, last_hash: Type.Union([Digest, Type.Null()]) }, strict),
    counts: Type.Object({ events: Count, executions: Count, blobs: Count }, strict),
    key_id: Type.Union([Text, Type.Null()]),
    files: Type.Array(Type.Object({ path: Path, size: Count, sha256: Digest, executable: Type.Optional(Type.Literal(true)) }, strict), {
      minItems: 1,
      maxItems: limits.backupFilesMax,
    }),
    links: Type.Array(Type.Object({ path: Path, target: Path }, strict), { maxItems: limits.backupFilesMax }),
  },
  strict,
);
/** Entries follow in the order of `files`; links of plugins are in the manifest alone. */
export type BackupManifest = Static<typeof ManifestSchema>;
export type BackupFile = BackupManifest["files"][number];
export type BackupLink = BackupManifest["links"][number];

/** What is wrong with the file itself: it changed, was cut, or is something else. */
export function notWhole(file: string, why: string, cause?: unknown) {
  return fail("PAYLOAD_DIGEST_MISMATCH", `Cannot restore "${file}": ${why}`, {
    ...(cause === undefined ? {} : { cause }),
    hint: "Use another copy of the backup; nothing was changed here.",
  });
}

/** @throws PAYLOAD_DIGEST_MISMATCH for what no backup holds, STACK_INCOMPATIBLE for the form of a later version */
export function parseManifest(file: string, bytes: Uint8Array): BackupManifest {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw notWhole(file, "its manifest is no JSON", cause);
  }
  const { format, version } = Object(value) as { format?: unknown; version?: unknown };
  if (format === "autokestra-backup" && typeof version === "number" && version > 1)
    throw fail("STACK_INCOMPATIBLE", `Cannot restore "${file}": its form is version ${version}, this program reads version 1`, {
      hint: "Restore it with the version of `workflow` that made it, or a newer one.",
    });
  if (!Value.Check(ManifestSchema, value)) {
    const first = Value.Errors(ManifestSchema, value).First();
    throw notWhole(file, `its manifest is not one of a backup: ${first?.path ?? ""} ${first?.message ?? "does not fit"}`);
  }
  const problem = findPathProblem(value);
  if (problem !== null) throw notWhole(file, problem);
  return value;
}

function findPathProblem({ files, links }: BackupManifest): string | null {
  if (files[0]?.path !== databaseName) return "its first file is not the database";
  const named = new Set<string>([databaseName]);
  for (const { path, executable, sha256 } of files.slice(1)) {
    if (named.has(path)) return `it names "${path}" twice`;
    named.add(path);
    const isTree = isInTree(path);
    if (!isTree && executable !== undefined) return `it has "${path}" as a program`;
    if (!isTree && !isKey(path) && path !== blobPath(sha256)) return `it names "${path}", which is no part of a store`;
  }
  for (const { path, target } of links) {
    if (named.has(path) || !isInTree(path)) return `it has a link "${path}"`;
    named.add(path);
    if (posix.isAbsolute(target) || target.includes("\0") || !isInTree(posix.join(posix.dirname(path), target)))
      return `its link "${path}" leads out of its folder`;
  }
  // Nothing may be reached through a link, and nothing lies below a file.
  const below = [...named].find((path) => foldersOf(path).some((folder) => named.has(folder)));
  return below === undefined ? null : `it has "${below}" below a file or a link`;
}

export function blobPath(sha256: string): string {
  return `${blobFolder}/${sha256.slice(0, 2)}/${sha256}`;
}

function isInTree(path: string): boolean {
  const [first, ...rest] = path.split("/");
  return treeNames.some((name) => name === first) && rest.length > 0 && rest.every(isPlainName);
}

export function isKeyName(name: string): boolean {
  return /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$/.test(name);
}

function isKey(path: string): boolean {
  const [first, name, ...rest] = path.split("/");
  return first === keyFolder && name !== undefined && rest.length === 0 && isKeyName(name);
}

function isPlainName(name: string): boolean {
  return name !== "" && name !== "." && name !== ".." && name.length <= 255 && !/[\0\\]/.test(name);
}

function foldersOf(path: string): string[] {
  const parts = path.split("/");
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join("/"));
}
