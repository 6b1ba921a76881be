// The page of TRACE events, from the catalogue.
import { OptionalKind, type TSchema } from "@sinclair/typebox";
import { catalogue } from "../../src/trace/index.ts";
import { generatedNote, renderTable } from "./table.ts";

const form = [
  "Every event has this form; its stored bytes are the RFC 8785 form of all members but `hash` and `seq`, and `hash` is the SHA-256 of those bytes.",
  "The published schema is [trace_v1.json](../../assets/schemas/trace_v1.json).",
].join("\n");

const members: string[][] = [
  ["`trace_version`", "always `1.0`"],
  ["`event_id`", "UUID version 7, given once"],
  ["`event_type`", "one of the types below"],
  ["`time`", "RFC 3339, UTC, milliseconds"],
  ["`trace`", "`trace_id`, `span_id`, `parent_span_id` (null at the root)"],
  ["`sequence`", "place in the trace, from 0, without gaps"],
  ["`session_id`", "the session that it belongs to"],
  ["`actor`", "`type` (runtime, agent, user or tool) and `id`"],
  ["`severity`", "debug, info, warn or error"],
  ["`atlas`?", "`id` and `version`, where an atlas is at work"],
  ["`payload`", 'as below; a value above 16 KiB is a blob, and here `{"$artifact": sha256}`'],
  ["`artifacts`?", "blobs that belong to it: `name`, `uri`, `sha256`, `content_type`"],
  ["`prev_hash`", "`hash` of the event before it in its trace; 64 zeros in the first"],
  ["`hash`", "64 hex digits"],
  ["`seq`", "place in the store, from 1, without gaps"],
];

export function renderEvents(): string {
  const groups = Map.groupBy(catalogue.values(), (definition) => definition.type.split(".")[1] ?? "");
  const sections = [...groups].map(([group, definitions]) => {
    const rows = definitions.map(({ type, severity, payload, means }) => [`\`${type}\``, severity, renderMembers(payload), means]);
    return `## ${group}\n\n${renderTable(["type", "severity", "payload", "meaning"], rows)}`;
  });
  const intro = [
    "`?` marks a member that may be left out. The severity is the usual one; an event may carry another.",
    "Secrets, and inputs marked `sensitive`, stand as `***` in inputs, outputs and errors. `sealed: true` says that the inputs, outputs or output of",
    "this event were changed so: the true value is not in the ledger but encrypted beside it ([secrets](../secrets.md#what-is-masked)).",
  ].join("\n");
  return `${[generatedNote, "# Events", form, renderTable(["member", "what it is"], members), intro, ...sections].join("\n\n")}\n`;
}

function renderMembers(schema: TSchema): string {
  const properties = (schema["properties"] ?? {}) as Record<string, TSchema>;
  return Object.entries(properties)
    .map(([name, member]) => `\`${name}\`${member[OptionalKind] === "Optional" ? "?" : ""}${innerOf(member)}`)
    .join(", ");
}

/** Members of a member, in brackets. */
function innerOf(schema: TSchema): string {
  return schema["properties"] === undefined ? "" : ` {${renderMembers(schema)}}`;
}
