// A task's literal inputs against the schema of its action. What an expression will give is unknown, and is not judged.
import { isObject, type Json, type JsonObject, parseDuration, parseTime } from "../../base/index.ts";
import type { ActionDescription } from "../../model/index.ts";
import { hasTemplate, soleExpression, splitTemplate } from "../expression/template-text.ts";
import type { SchemaFinding } from "../schema/simple-schema.ts";
import { withDefaults } from "../schema/defaults.ts";
import { checkSchema } from "../schema/schema-check.ts";
import { entryOf, memberPath, type RawNode, toJson } from "../source/raw-node.ts";
import type { Report } from "../source/report.ts";

type Known = "literal" | "text" | "unknown";

/** What is known of a value before it runs: all of it, only that it is text, or nothing. */
function knownOf(value: Json): Known {
  if (typeof value !== "string" || !hasTemplate(value)) return "literal";
  return soleExpression(splitTemplate(value).parts) === null ? "text" : "unknown";
}

function holdsTemplate(value: Json): boolean {
  if (typeof value === "string") return knownOf(value) !== "literal";
  if (Array.isArray(value)) return value.some(holdsTemplate);
  return isObject(value) && Object.values(value).some((member) => holdsTemplate(member as Json));
}

function valueAt(value: Json, keys: readonly (string | number)[]): Json {
  let at: Json = value;
  for (const key of keys) {
    const inner: Json | undefined = Array.isArray(at)
      ? at[Number(key)]
      : isObject(at) && Object.hasOwn(at, key)
        ? (at as JsonObject)[String(key)]
        : undefined;
    if (inner === undefined) return null;
    at = inner;
  }
  return at;
}

/** Keywords that speak of a value's own members by name, so expressions below do not change their verdict. */
const sureKeywords = new Set(["type", "required", "additionalProperties", "minProperties", "maxProperties", "minItems", "maxItems"]);

/** Whether a finding stands whatever the expressions give. */
function isSure(value: Json, finding: SchemaFinding): boolean {
  const at = valueAt(value, finding.keys);
  const known = knownOf(at);
  if (known !== "literal") return known === "text" && finding.keyword === "type";
  return sureKeywords.has(finding.keyword) || !holdsTemplate(at);
}

function place(node: RawNode, path: string, finding: SchemaFinding): { at: { start: number; end: number }; path: string } {
  let at: RawNode = node;
  let text = path;
  for (const key of finding.keys) {
    const inner: RawNode | undefined = at.kind === "list" ? at.items[Number(key)] : entryOf(at, String(key))?.value;
    if (inner === undefined) break;
    text = at.kind === "list" ? `${text}[${Number(key)}]` : memberPath(text, String(key));
    at = inner;
  }
  const extra = finding.extra === undefined ? undefined : entryOf(at, finding.extra);
  if (extra !== undefined) return { at: extra.keyAt, path: memberPath(text, extra.key) };
  return { at: at.kind === "scalar" ? at : { start: at.start, end: at.start + 1 }, path: text };
}

/** What schemas of the core actions cannot say. */
const furtherChecks: Record<string, (inputs: JsonObject) => SchemaFinding[]> = {
  "core/wait.for": ({ duration, until }) => {
    if ((duration === undefined) === (until === undefined)) return [{ keys: [], keyword: "required", message: "must have either duration or until" }];
    const found: SchemaFinding[] = [];
    if (typeof duration === "string" && parseDuration(duration) === null)
      found.push({ keys: ["duration"], keyword: "format", message: "must be a duration such as 30s" });
    if (typeof until === "string" && parseTime(until) === null)
      found.push({ keys: ["until"], keyword: "format", message: "must be an RFC 3339 time" });
    return found;
  },
};

/** Checks the inputs of one task; `node` is its `inputs`, or the task where it has none. */
export function checkActionInputs({
  action,
  inputs,
  node,
  path,
  report,
}: {
  action: ActionDescription;
  inputs: JsonObject;
  node: RawNode;
  path: string;
  report: Report;
}): void {
  const found = [...checkSchema(action.input, withDefaults(action.input, inputs)), ...(furtherChecks[action.action]?.(inputs) ?? [])];
  for (const finding of found) {
    if (!isSure(inputs, finding)) continue;
    report.add({ code: "INPUT_MISMATCH", message: `The inputs of ${action.action} do not fit: ${describe(finding)}`, ...place(node, path, finding) });
  }
}

function describe(finding: SchemaFinding): string {
  return finding.keys.length === 0 ? `they ${finding.message}` : `"${finding.keys.join(".")}" ${finding.message}`;
}

export function inputsOf(node: RawNode | undefined): JsonObject {
  const value = node === undefined ? {} : toJson(node);
  return isObject(value) ? (value as JsonObject) : {};
}
