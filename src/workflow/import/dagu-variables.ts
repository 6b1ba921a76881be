// Parameters and variables of a DAG: parameters become inputs, and every task gets both as its environment.
import { type Json, type JsonObject, limits } from "../../base/index.ts";
import { toJson } from "../source/raw-node.ts";
import type { DraftItem } from "./draft.ts";
import { createNames, inputId, isVariableName, looksSecret } from "./names.ts";
import type { Notebook, Place } from "./notes.ts";
import { type Field, itemFields, openMap, scalarText } from "./source-map.ts";
import { expression, literal, memberOfRoot } from "./texts.ts";

/** Templates of the result by the name that a script knows them by. */
export type Variables = Map<string, string>;
export type Expanded = { template: string /** Names that are set nowhere. */; unknown: string[]; hasCommand: boolean };

/** A text in which Dagu itself puts values: known variables become templates, everything else stays. */
export function expand(text: string, variables: ReadonlyMap<string, string>): Expanded {
  const unknown = new Set<string>();
  let template = "";
  let at = 0;
  for (const match of text.matchAll(/\$\{([A-Za-z_]\w*)\}|\$([A-Za-z_]\w*)|\$([1-9])(?!\d)/g)) {
    const name = match[1] ?? match[2] ?? match[3] ?? "";
    const known = variables.get(name);
    const value = known === undefined || template.length + known.length > limits.expressionCharsMax ? undefined : known;
    template += literal(text.slice(at, match.index)) + (value ?? literal(match[0]));
    if (value === undefined) unknown.add(name);
    at = match.index + match[0].length;
  }
  return { template: template + literal(text.slice(at)), unknown: [...unknown], hasCommand: /`[^`]+`|\$\(/.test(text) };
}

/** The expression that a template consists of; null where it is text, also in part. */
export function soleTemplate(template: string): string | null {
  return /^\{\{ ((?:[^{}]|\{(?!\{)|\}(?!\}))*) \}\}$/.exec(template)?.[1] ?? null;
}

/** `A=1 B="two words" three` → pairs; one without a name is numbered by its position. */
export function splitParams(text: string): { name: string; value: string }[] {
  const words = [...text.matchAll(/(?:([A-Za-z_]\w*)=)?(?:"((?:[^"\\]|\\.)*)"|`([^`]*)`|((?:[^\s"])+))/g)];
  return words.map(([, name, quoted, command, plain], index) => {
    const value = quoted?.replace(/\\(["\\])/g, "$1") ?? (command === undefined ? (plain ?? "") : `\`${command}\``);
    return { name: name ?? String(index + 1), value };
  });
}

type Param = Place & { name: string; value: Json; more: JsonObject };

const definitionKeys = ["default", "type", "description", "required", "enum", "options"];

function paramOfMap(field: Field, book: Notebook): Param[] {
  const isDefinition =
    field.node.kind === "map" &&
    field.node.entries.has("name") &&
    definitionKeys.some((key) => field.node.kind === "map" && field.node.entries.has(key));
  const map = openMap(field, book);
  if (!isDefinition) return map.takeAll().map((one) => ({ at: one.at, path: one.path, name: one.key, value: toJson(one.node), more: {} }));
  const name = scalarText(map.take("name")?.node) ?? "";
  const given = map.take("default");
  const description = scalarText(map.take("description")?.node);
  const options = map.take("enum") ?? map.take("options");
  const isRequired = scalarText(map.take("required")?.node) === "true";
  const more: JsonObject = { ...(description === null ? {} : { description }), ...(options === null ? {} : { enum: toJson(options.node) }) };
  if (isRequired && given === null) more["required"] = true;
  map.rest("a parameter");
  return [{ at: field.at, path: field.path, name, value: given === null ? "" : toJson(given.node), more }];
}

function readParams(field: Field, book: Notebook): Param[] {
  const ofText = (one: Field): Param[] =>
    splitParams(scalarText(one.node) ?? "").map((param) => ({ at: one.at, path: one.path, ...param, more: {} }));
  if (field.node.kind === "scalar") return ofText(field);
  if (field.node.kind === "map") {
    const map = openMap(field, book);
    const schema = map.take("schema");
    const values = schema === null ? null : map.take("values");
    if (schema === null || schema.node.kind !== "scalar") return paramOfMap(field, book);
    book.lost(schema, "The schema of the parameters is not carried over", "Write type:, enum:, minimum: … at the inputs.");
    map.rest("params");
    return values === null ? [] : paramOfMap(values, book);
  }
  const params = itemFields(field).flatMap((one) => (one.node.kind === "map" ? paramOfMap(one, book) : ofText(one)));
  return params.map((param, index) => (/^\d+$/.test(param.name) ? { ...param, name: String(index + 1) } : param));
}

function formOf(value: Json): { type: string; value: Json } {
  if (typeof value === "number") return { type: Number.isInteger(value) ? "integer" : "number", value };
  if (typeof value === "boolean") return { type: "boolean", value };
  if (Array.isArray(value)) return { type: "array", value };
  return typeof value === "object" && value !== null ? { type: "object", value } : { type: "string", value: value ?? "" };
}

/** Adds an input for each parameter, and a variable of its name. */
export function addParams(field: Field, { inputs, variables, book }: { inputs: DraftItem[]; variables: Variables; book: Notebook }): void {
  const unique = createNames();
  for (const { name, value, more, ...place } of readParams(field, book)) {
    const isPosition = /^\d+$/.test(name);
    const id = unique(isPosition ? `arg${name}` : inputId(name));
    const form = formOf(value);
    const input: JsonObject = { id, type: form.type, ...more };
    const text = typeof form.value === "string" ? form.value : null;
    if (text !== null && (/`[^`]+`|\$\(/.test(text) || expand(text, new Map()).unknown.length > 0)) {
      book.lost(place, `The default of "${id}" is computed, and is not carried over`, "Give the input at the start, or compute it in the script.");
      input["default"] = "";
    } else if (more["required"] !== true) input["default"] = form.value;
    if (isPosition) book.changed(place, `The parameter $${name} is the input "${id}"`);
    inputs.push({ value: input, place, comment: null });
    variables.set(name, expression(memberOfRoot("inputs", id)));
  }
}

function noteEnv(name: string, text: string, { unknown, hasCommand }: Expanded, place: Place, book: Notebook): void {
  if (hasCommand) book.lost(place, `The value of ${name} runs a command there, and stays as its text here`, "Set the variable in the script.");
  if (unknown.length > 0)
    book.lost(
      place,
      `The value of ${name} names ${unknown.join(", ").slice(0, 200)}, and stays as its text here`,
      'Grant a variable of the server with permissions.env, and write env: { NAME: "{{ env.NAME }}" }.',
    );
  const isPlain = text !== "" && !/[$`]/.test(text);
  if (isPlain && looksSecret(name))
    book.lost(
      place,
      `${name} looks like a secret, and stands in plain text in the result as it does here`,
      `workflow secrets set ${name}, then secrets: [${name}] and env: { ${name}: "{{ secrets.${name} }}" }`,
    );
}

function pairsOf(field: Field, book: Notebook): (Place & { name: string; text: string | null })[] {
  if (field.node.kind === "map")
    return openMap(field, book)
      .takeAll()
      .map((one) => ({ at: one.at, path: one.path, name: one.key, text: scalarText(one.node) }));
  return itemFields(field).flatMap((one) => {
    if (one.node.kind !== "scalar") return pairsOf(one, book);
    const text = scalarText(one.node) ?? "";
    const equals = text.indexOf("=");
    return [{ at: one.at, path: one.path, name: text.slice(0, Math.max(0, equals)), text: text.slice(equals + 1) }];
  });
}

/** Sets the variables of an `env:`; each sees those before it. */
export function addEnv(field: Field, variables: Variables, book: Notebook): void {
  if (field.node.kind === "scalar" && field.node.value === null) return;
  for (const { name, text, ...place } of pairsOf(field, book)) {
    if (text === null || !isVariableName(name)) {
      book.lost(place, "This is no variable with a text, and is not carried over");
      continue;
    }
    const expanded = expand(text, variables);
    noteEnv(name, text, expanded, place, book);
    variables.set(name, expanded.template);
  }
}

/** The variables as a task's `env`: positions have no name that a shell knows. */
export function envOf(variables: ReadonlyMap<string, string>): JsonObject {
  return Object.fromEntries([...variables].filter(([name]) => isVariableName(name)));
}
