// Files and folders.
import type { JsonObject } from "../../base/index.ts";
import { describeCreate } from "./archive.ts";
import { type ActionDescription, closed, files, text } from "./describe.ts";
import { barePathRule, type BareFolder, folderEntries, pathEntries } from "./path-entry.ts";

const path = {
  ...text,
  description: `${barePathRule}. Else absolute, or $workspace/…, $workdir/…, $input/…`,
};
const paths = { type: "array", items: text, minItems: 1 };
const integer = { type: "integer" };
const truth = (standard: boolean) => ({ type: "boolean", default: standard });

const result = (properties: JsonObject): JsonObject => ({ type: "object", properties, required: Object.keys(properties) });
const folder = { ...text, description: "A folder, as other paths; where it is left out, the one that bare paths start from." };
const both = (inputs: JsonObject, bare?: BareFolder) => pathEntries([inputs["path"], inputs["paths"]], bare);
const oneFolder = (inputs: JsonObject, bare: BareFolder = "$workspace") => pathEntries([inputs["path"] ?? bare], bare);
const process = { runsIn: "process", available: true } as const;

export const fileActions: readonly ActionDescription[] = [
  {
    action: "core/file.read",
    description: "Reads a file as text, lines, JSON or base64.",
    input: closed(
      { path, as: { type: "string", enum: ["text", "lines", "json", "base64"], default: "text" }, maxBytes: { type: "integer", minimum: 1 }, files },
      ["path"],
    ),
    output: result({ path: text, size: integer, content: {} }),
    idempotent: true,
    ...process,
    asks: (inputs, bare) => ({ filesystem: { read: both(inputs, bare) } }),
  },
  {
    action: "core/file.write",
    description: "Writes a file; anything that is no text is written as JSON.",
    input: closed(
      {
        path,
        content: {},
        encoding: { type: "string", enum: ["text", "base64"], default: "text" },
        append: truth(false),
        overwrite: truth(true),
        mode: { type: "string", pattern: "^[0-7]{3}$", default: "644" },
        files,
      },
      ["path", "content"],
    ),
    output: result({ path: text, size: integer, sha256: text }),
    idempotent: false,
    ...process,
    asks: (inputs, bare) => ({ filesystem: { write: both(inputs, bare) } }),
  },
  {
    action: "core/file.list",
    description: "Lists a folder.",
    input: closed({ path: folder, recursive: truth(false), files }),
    output: result({ path: text, entries: { type: "array" } }),
    idempotent: true,
    ...process,
    asks: (inputs, bare) => ({ filesystem: { read: oneFolder(inputs, bare) } }),
  },
  {
    action: "core/file.glob",
    description: "Lists the files below a folder that match patterns such as **/*.csv.",
    input: closed({ patterns: { anyOf: [text, paths] }, path: folder, dot: truth(false), files }, ["patterns"]),
    output: result({ path: text, files: { type: "array", items: text } }),
    idempotent: true,
    ...process,
    asks: (inputs, bare) => ({ filesystem: { read: oneFolder(inputs, bare) } }),
  },
  {
    action: "core/file.checksum",
    description: "Computes digests of files, and compares one with what is expected.",
    input: closed({
      path,
      paths,
      algorithm: { type: "string", enum: ["sha256", "sha512", "sha1", "md5"], default: "sha256" },
      expected: text,
      files,
    }),
    output: { type: "object", properties: { algorithm: text, checksums: { type: "array" }, digest: text }, required: ["algorithm", "checksums"] },
    idempotent: true,
    ...process,
    asks: (inputs, bare) => ({ filesystem: { read: both(inputs, bare) } }),
  },
  {
    action: "core/file.copy",
    description: "Copies a file or a whole folder.",
    input: closed({ from: path, to: path, overwrite: truth(false), files }, ["from", "to"]),
    output: result({ path: text }),
    idempotent: false,
    ...process,
    asks: ({ from, to }, bare) => ({ filesystem: { read: pathEntries([from], bare), write: pathEntries([to], bare) } }),
  },
  {
    action: "core/file.move",
    description: "Moves or renames a file or a folder.",
    input: closed({ from: path, to: path, overwrite: truth(false), files }, ["from", "to"]),
    output: result({ path: text }),
    idempotent: false,
    ...process,
    asks: ({ from, to }, bare) => ({ filesystem: { write: [...folderEntries([from], bare), ...pathEntries([to], bare)] } }),
  },
  {
    action: "core/file.delete",
    description: "Deletes files, and folders with recursive.",
    input: closed({ path, paths, recursive: truth(false), missing: { type: "string", enum: ["ignore", "fail"], default: "ignore" }, files }),
    output: result({ deleted: integer }),
    idempotent: true,
    ...process,
    asks: ({ path: one, paths: many }, bare) => ({ filesystem: { write: folderEntries([one, many], bare) } }),
  },
  describeCreate("core/file.archive"),
];
