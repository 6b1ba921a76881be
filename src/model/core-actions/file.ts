// Files and folders.
import type { JsonObject } from "../../base/index.ts";
import { describeCreate } from "./archive.ts";
import { type ActionDescription, closed, files, text } from "./describe.ts";
import { pathEntries } from "./path-entry.ts";

const path = {
  ...text,
  description: "Bare: in the workspace. With ./: in the workflow's folder. Else absolute, or $workspace/…, $workdir/…, $input/…",
};
const paths = { type: "array", items: text, minItems: 1 };
const integer = { type: "integer" };
const truth = (standard: boolean) => ({ type: "boolean", default: standard });

const result = (properties: JsonObject): JsonObject => ({ type: "object", properties, required: Object.keys(properties) });
const both = (inputs: JsonObject) => pathEntries(inputs["path"], inputs["paths"]);
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
    asks: (inputs) => ({ filesystem: { read: both(inputs) } }),
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
    asks: (inputs) => ({ filesystem: { write: both(inputs) } }),
  },
  {
    action: "core/file.list",
    description: "Lists a folder.",
    input: closed({ path: { ...path, default: "$workspace" }, recursive: truth(false), files }),
    output: result({ path: text, entries: { type: "array" } }),
    idempotent: true,
    ...process,
    asks: (inputs) => ({ filesystem: { read: pathEntries(inputs["path"] ?? "$workspace") } }),
  },
  {
    action: "core/file.glob",
    description: "Lists the files below a folder that match patterns such as **/*.csv.",
    input: closed({ patterns: { anyOf: [text, paths] }, path: { ...path, default: "$workspace" }, dot: truth(false), files }, ["patterns"]),
    output: result({ path: text, files: { type: "array", items: text } }),
    idempotent: true,
    ...process,
    asks: (inputs) => ({ filesystem: { read: pathEntries(inputs["path"] ?? "$workspace") } }),
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
    asks: (inputs) => ({ filesystem: { read: both(inputs) } }),
  },
  {
    action: "core/file.copy",
    description: "Copies a file or a whole folder.",
    input: closed({ from: path, to: path, overwrite: truth(false), files }, ["from", "to"]),
    output: result({ path: text }),
    idempotent: false,
    ...process,
    asks: ({ from, to }) => ({ filesystem: { read: pathEntries(from), write: pathEntries(to) } }),
  },
  {
    action: "core/file.move",
    description: "Moves or renames a file or a folder.",
    input: closed({ from: path, to: path, overwrite: truth(false), files }, ["from", "to"]),
    output: result({ path: text }),
    idempotent: false,
    ...process,
    asks: ({ from, to }) => ({ filesystem: { write: pathEntries(from, to) } }),
  },
  {
    action: "core/file.delete",
    description: "Deletes files, and folders with recursive.",
    input: closed({ path, paths, recursive: truth(false), missing: { type: "string", enum: ["ignore", "fail"], default: "ignore" }, files }),
    output: result({ deleted: integer }),
    idempotent: true,
    ...process,
    asks: (inputs) => ({ filesystem: { write: both(inputs) } }),
  },
  describeCreate("core/file.archive"),
];
