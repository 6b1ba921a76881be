// JSON.
import type { JsonObject } from "../../base/index.ts";
import type { Permissions } from "../workflow.ts";
import { type ActionDescription, closed, files } from "./describe.ts";
import { barePathRule, type BareFolder, pathEntries } from "./path-entry.ts";

const expression: JsonObject = { type: "string", minLength: 1, description: "CEL, without braces; `input` is the value." };

const input = closed({
  input: { description: "The value to transform." },
  file: { type: "string", description: `Path of a JSON file, instead of input. ${barePathRule}.` },
  expression,
  expressions: { type: "object", additionalProperties: expression, description: "Instead of expression: one for each member of the result." },
  saveAs: { type: "string", minLength: 1, description: "Keeps the result as a JSON artifact of this name." },
  files,
});

const output = closed(
  { result: { description: "What the expression gives; with saveAs the artifact {name, uri, size}." }, artifacts: { type: "array" } },
  ["result"],
);

function asks({ file }: JsonObject, bare?: BareFolder): Permissions {
  return { filesystem: { read: pathEntries([file], bare) } };
}

export const jsonActions: readonly ActionDescription[] = [
  {
    action: "core/json.transform",
    description: "Transforms a JSON value with CEL expressions.",
    input,
    output,
    idempotent: true,
    runsIn: "process",
    available: true,
    asks,
  },
];
