// Packing and unpacking.
import { type ActionDescription, closed, files, text } from "./describe.ts";
import { barePathRule, pathEntries } from "./path-entry.ts";

const format = { type: "string", enum: ["tar", "tar.gz", "zip"], description: "Told from the name where it is left out." };

const create = {
  input: closed(
    {
      paths: { anyOf: [text, { type: "array", items: text, minItems: 1 }], description: `Files and folders to pack. ${barePathRule}.` },
      to: { ...text, description: "The archive." },
      format,
      base: {
        ...text,
        description: "The folder that names inside the archive start from; the deepest one that holds all of paths where it is left out.",
      },
      files,
    },
    ["paths", "to"],
  ),
  output: {
    type: "object",
    properties: { path: text, size: { type: "integer" }, sha256: text, entries: { type: "integer" } },
    required: ["path", "size", "sha256", "entries"],
  },
  idempotent: true,
  runsIn: "process",
  available: true,
  asks: ({ paths, to }, bare) => ({ filesystem: { read: pathEntries([paths], bare), write: pathEntries([to], bare) } }),
} as const satisfies Partial<ActionDescription>;

/** Also known as `core/file.archive`. */
export function describeCreate(action: string): ActionDescription {
  return { action, description: "Packs files and folders into a tar, tar.gz or zip archive.", ...create };
}

export const archiveActions: readonly ActionDescription[] = [
  describeCreate("core/archive.create"),
  {
    action: "core/archive.extract",
    description: "Unpacks a tar, tar.gz or zip archive; nothing lands outside of the target.",
    input: closed(
      {
        path: { ...text, description: "The archive." },
        to: { ...text, description: "The folder that is filled." },
        format,
        strip: { type: "integer", minimum: 0, description: "Leading folders to leave out of each name." },
        overwrite: { type: "boolean", default: true },
        maxBytes: { type: "integer", minimum: 1, description: "Most bytes after unpacking; 1 GiB where it is left out." },
        files,
      },
      ["path", "to"],
    ),
    output: {
      type: "object",
      properties: { path: text, entries: { type: "integer" }, bytes: { type: "integer" } },
      required: ["path", "entries", "bytes"],
    },
    idempotent: true,
    runsIn: "process",
    available: true,
    asks: ({ path, to }, bare) => ({ filesystem: { read: pathEntries([path], bare), write: pathEntries([to], bare) } }),
  },
];
