// Comma-separated values.
import { type ActionDescription, closed, files, text } from "./describe.ts";
import { barePathRule, pathEntries } from "./path-entry.ts";

const names = { type: "array", items: text };
const delimiter = { type: "string", minLength: 1, maxLength: 1, description: "One character; found by itself when it is left out." };

export const csvActions: readonly ActionDescription[] = [
  {
    action: "core/csv.read",
    description: "Reads CSV from a file or a text into rows.",
    input: closed({
      path: { type: "string", description: `The file. ${barePathRule}.` },
      text,
      delimiter,
      quote: { type: "string", minLength: 1, maxLength: 1 },
      header: { type: "boolean", default: true, description: "Whether the first record names the columns." },
      columns: { ...names, description: "Names of the columns, instead of those of the first record." },
      types: {
        type: "object",
        additionalProperties: { type: "string", enum: ["string", "number", "integer", "boolean"] },
        description: "Types by column; text where none is named. An empty field of another type is null.",
      },
      offset: { type: "integer", minimum: 0 },
      limit: { type: "integer", minimum: 1 },
      skipEmpty: { type: "boolean", default: true },
      files,
    }),
    output: {
      type: "object",
      properties: { columns: names, rows: { type: "array" }, count: { type: "integer" }, truncated: { type: "boolean" } },
      required: ["columns", "rows", "count", "truncated"],
    },
    idempotent: true,
    runsIn: "process",
    available: true,
    asks: ({ path }, bare) => ({ filesystem: { read: pathEntries([path], bare) } }),
  },
  {
    action: "core/csv.write",
    description: "Writes rows as CSV into a file, or gives the text.",
    input: closed(
      {
        rows: { type: "array", items: { type: ["object", "array"] } },
        path: { ...text, description: `The file. ${barePathRule}.` },
        columns: { ...names, description: "Which members to write, in order; all of them where it is left out." },
        delimiter: { ...delimiter, default: ",", description: "One character." },
        header: { type: "boolean", default: true },
        append: { type: "boolean", default: false },
        mark: { type: "boolean", default: false, description: "Begin with a byte order mark, for spreadsheets." },
        escapeFormulas: { type: "boolean", default: false, description: "Quote fields that a spreadsheet would take for formulas." },
        files,
      },
      ["rows"],
    ),
    output: { type: "object", properties: { path: text, size: { type: "integer" }, text, rows: { type: "integer" } }, required: ["rows"] },
    idempotent: false,
    runsIn: "process",
    available: true,
    asks: ({ path }, bare) => ({ filesystem: { write: pathEntries([path], bare) } }),
  },
];
