// docs/reference/actions.md: every built-in action with its inputs and output, and what it asks for, from the actions' own descriptions.
import { type Json, type JsonObject, isObject } from "../../src/base/index.ts";
import { type ActionDescription, coreActions, filesInput, type Permissions, renderGrant } from "../../src/model/index.ts";
import { checkSchema } from "../../src/workflow/index.ts";
import { actionSamples } from "./action-samples.ts";
import { generatedNote, renderTable } from "./table.ts";

const intro = [
  "The actions that are part of the binary. A task calls one by `type`, and gives it its inputs. Those that run outside the engine",
  "are confined like every other task ([permissions](../permissions.md)): they ask for what their inputs imply, and the workflow has to",
  "grant it. `workflow plugin inspect core/csv` shows the same on the command line, with the whole schemas. A *scalar* is a string, a number,",
  "a boolean or null.",
].join("\n");

const paths = [
  "**Paths** are absolute, or begin with `./` or `../` (from the workflow's folder), or with a place (`$workspace/…`, `$workdir/…`,",
  "`$input/…`); bare ones such as `report.csv` lie in the workspace where the workflow grants `$workspace`, else in its folder.",
].join("\n");

const filesNote = [
  "**`files`**, which every action outside the engine takes and which is not repeated below, puts artifacts of earlier tasks into the",
  'work folder: `files: { report.csv: "{{ tasks.make.output.artifacts[0].uri }}" }` is then `$input/report.csv`.',
].join("\n");

export function renderActions(): string {
  const known = new Set(coreActions.map(({ action }) => action));
  const stray = Object.keys(actionSamples).find((action) => !known.has(action));
  if (stray !== undefined) throw new Error(`Cannot show a sample of "${stray}": there is no such action`);
  const groups = [...Map.groupBy(coreActions, ({ action }) => action.slice(0, action.indexOf(".")))];
  const sections = groups.flatMap(([plugin, actions]) => [`## ${plugin}`, ...actions.map(renderAction)]);
  const list = renderTable(
    ["action", "does"],
    coreActions.map(({ action, description }) => [linkTo(action), escapeText(description)]),
  );
  return `${[generatedNote, "# Built-in actions", intro, paths, filesNote, list, ...sections].join("\n\n")}\n`;
}

/** By the anchor that a heading of only the name gets. */
function linkTo(action: string): string {
  return `[\`${action}\`](#${action.replaceAll(/[^a-z0-9]/g, "")})`;
}

/** Descriptions are plain text: what Markdown would take for its own is escaped, outside of code. */
function escapeText(text: string): string {
  return text.replaceAll(/`[^`]*`|[<*]/g, (found) => (found === "<" ? "&lt;" : found === "*" ? "\\*" : found));
}

function renderAction(description: ActionDescription): string {
  const { action, available, idempotent, runsIn, input, output } = description;
  const facts = [
    runsIn === "engine" ? "Run by the engine itself." : "Runs outside the engine.",
    idempotent ? "Idempotent: a lost attempt is repeated." : "Not idempotent.",
    ...(available ? [] : ["**Not available in this version yet.**"]),
  ];
  const parts = [`### \`${action}\``, `${escapeText(description.description)} ${facts.join(" ")}`];
  parts.push(renderMembers("input", input) ?? "Inputs: any.");
  parts.push(renderMembers("output", output) ?? (Object.hasOwn(output, "properties") ? "Output: empty." : "Output: any."));
  if (available) parts.push(renderAsks(description));
  return parts.join("\n\n");
}

/** What an action asks for, by example; fails when the example is missing or does not fit the action's schema. */
function renderAsks({ action, asks, runsIn, input }: ActionDescription): string {
  if (runsIn === "engine") return "Asks for nothing.";
  if (asks === undefined) return "Asks for everything that the workflow grants, like every script.";
  const sample = actionSamples[action];
  if (sample === undefined) throw new Error(`Cannot show what "${action}" asks for: .ci/docs/action-samples.ts has no inputs for it`);
  const [problem] = checkSchema(input, sample);
  if (problem !== undefined) throw new Error(`Cannot show what "${action}" asks for: its sample ${problem.keys.join(".")} ${problem.message}`);
  const lines = grantLines(asks(sample)).map((line) => `\`${line}\``);
  return `With \`${renderFlow(sample)}\` it asks for ${lines.length === 0 ? "nothing" : lines.join(", ")}.`;
}

function grantLines({ network = [], filesystem = {}, env = [], run }: Permissions): string[] {
  return [
    ...network.map((entry) => renderGrant("network", entry)),
    ...(filesystem.read ?? []).map((entry) => renderGrant("filesystem.read", entry)),
    ...(filesystem.write ?? []).map((entry) => renderGrant("filesystem.write", entry)),
    ...env.map((entry) => renderGrant("env", entry)),
    ...(run === true ? [renderGrant("run", "true")] : []),
  ];
}

/** A value as YAML in one line. */
function renderFlow(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(renderFlow).join(", ")}]`;
  if (isObject(value))
    return `{ ${Object.entries(value as JsonObject)
      .map(([key, member]) => `${key}: ${renderFlow(member)}`)
      .join(", ")} }`;
  return typeof value === "string" && /^[\w./$-]+$/.test(value) ? value : JSON.stringify(value);
}

/** Null for a schema that names no members. */
function renderMembers(head: "input" | "output", schema: JsonObject): string | null {
  const rows = memberRows(schema, "");
  if (rows.length === 0) return null;
  return head === "input"
    ? renderTable(["input", "type", "default", "meaning"], rows)
    : renderTable(
        ["output", "type", "meaning"],
        rows.map(([name = "", type = "", standard, meaning = ""]) => [name, standard === "required" ? type : `${type}, or missing`, meaning]),
      );
}

/** Members of closed objects follow their object, as `tls.ca`. */
function memberRows(schema: JsonObject, prefix: string): string[][] {
  const members = (schema["properties"] ?? {}) as Record<string, JsonObject>;
  const required = new Set((schema["required"] as string[] | undefined) ?? []);
  return Object.entries(members)
    .filter(([, member]) => member !== filesInput)
    .flatMap(([name, member]) => {
      const standard = required.has(name) ? "required" : member["default"] === undefined ? "" : `\`${JSON.stringify(member["default"])}\``;
      const row = [`\`${prefix}${name}\``, renderType(member), standard, escapeText(String(member["description"] ?? ""))];
      return [row, ...[member, ...alternativesOf(member)].flatMap((part) => memberRows(part, `${prefix}${name}.`))];
    });
}

function alternativesOf(schema: JsonObject): JsonObject[] {
  return (schema["anyOf"] as JsonObject[] | undefined) ?? [];
}

const scalars = ["string", "number", "boolean", "null"];

function renderType(schema: JsonObject): string {
  const { enum: values, type, items, additionalProperties, minimum, maximum } = schema;
  const alternatives = alternativesOf(schema);
  if (alternatives.length > 0) return [...new Set(alternatives.map(renderType))].join(" or ");
  if (Array.isArray(values)) return [...new Set(values.map((value) => `\`${String(value)}\``))].join(", ");
  if (Array.isArray(type) && scalars.every((name) => type.includes(name))) return "scalar";
  const names = (Array.isArray(type) ? type : [type ?? "any"]).map(String);
  const shown = names.map((name) => {
    if (name === "array") return isObject(items) ? `list of ${renderItems(items as JsonObject)}` : "list";
    if (name === "object") return isObject(additionalProperties) ? `map to ${renderType(additionalProperties as JsonObject)}` : "map";
    if (name !== "integer" && name !== "number") return name;
    return `${name}${minimum === undefined ? "" : ` from ${String(minimum)}`}${maximum === undefined ? "" : ` to ${String(maximum)}`}`;
  });
  return shown.join(" or ");
}

function renderItems(items: JsonObject): string {
  const members = Object.keys((items["properties"] ?? {}) as JsonObject);
  if (members.length > 0) return `{ ${members.join(", ")} }`;
  const alternatives = alternativesOf(items);
  return alternatives.length > 0 ? alternatives.map(renderItems).join(" or ") : renderType(items);
}
