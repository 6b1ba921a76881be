// Keys inside the JSON Schemas of inputs: a misspelt keyword would be ignored in silence, and with it the bound it was to set.
import { entryOf, itemsOf, memberOf, memberPath, type RawNode } from "../source/raw-node.ts";
import type { Report } from "../source/report.ts";
import { didYouMean } from "./nearest.ts";

/** Where a keyword's value holds further schemas: it is one, or has them as members or items. */
const holders = {
  one: ["additionalProperties", "propertyNames", "contains", "additionalItems", "not", "if", "then", "else", "items"],
  members: ["properties", "patternProperties", "definitions", "$defs", "dependencies"],
  items: ["allOf", "anyOf", "oneOf", "items"],
};

/** JSON Schema draft-07, and what ajv adds to it. */
const keywords = new Set([
  ...holders.one,
  ...holders.members,
  ...holders.items,
  "$id",
  "$schema",
  "$ref",
  "$comment",
  "title",
  "description",
  "default",
  "examples",
  "readOnly",
  "writeOnly",
  "deprecated",
  "type",
  "nullable",
  "enum",
  "const",
  "multipleOf",
  "minimum",
  "maximum",
  "exclusiveMinimum",
  "exclusiveMaximum",
  "minLength",
  "maxLength",
  "pattern",
  "format",
  "contentMediaType",
  "contentEncoding",
  "minItems",
  "maxItems",
  "uniqueItems",
  "minProperties",
  "maxProperties",
  "required",
]);

function checkSchema(node: RawNode, path: string, report: Report): void {
  if (node.kind !== "map") return;
  for (const [key, { keyAt }] of node.entries) {
    if (keywords.has(key)) continue;
    const message = `There is no key ${JSON.stringify(key.slice(0, 80))} in a JSON Schema`;
    report.add({ code: "UNKNOWN_KEY", path: memberPath(path, key), message, at: keyAt, hint: didYouMean(key, keywords) });
  }
  checkSchemaKeys(node, path, report);
}

/** Checks every schema that stands inside a declaration or schema; its own keys are the caller's. */
export function checkSchemaKeys(node: RawNode, path: string, report: Report): void {
  for (const key of holders.one) {
    const inner = memberOf(node, key);
    if (inner !== undefined) checkSchema(inner, memberPath(path, key), report);
  }
  for (const key of holders.members) {
    const members = entryOf(node, key)?.value;
    if (members?.kind === "map") for (const [name, { value }] of members.entries) checkSchema(value, memberPath(memberPath(path, key), name), report);
  }
  for (const key of holders.items) {
    for (const [index, item] of itemsOf(memberOf(node, key)).entries()) checkSchema(item, `${memberPath(path, key)}[${index}]`, report);
  }
}
