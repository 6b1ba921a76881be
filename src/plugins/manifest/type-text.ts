// TypeScript types of a plugin's actions, from the JSON Schemas of its manifest: what `workflow plugin types` writes.
import { isObject, type Json, type JsonObject } from "../../base/index.ts";
import type { PluginManifest } from "../../model/index.ts";

/** Deeper schemas become `unknown`: they are no help to a reader, and may refer to themselves. */
const depthMax = 20;

/** The whole `plugin.d.ts`. */
export function renderPluginTypes(manifest: PluginManifest): string {
  const actions = manifest.actions.map((action) => ({ action, base: pascal(action.name) }));
  const types = actions.flatMap(({ action, base }) => [
    `${comment(action.description)}export type ${base}Input = ${typeText(action.input, action.input, 0)};`,
    `export type ${base}Output = ${typeText(action.output, action.output, 0)};`,
  ]);
  const members = actions.map(({ action, base }) => `  ${memberName(action.name)}: { input: ${base}Input; output: ${base}Output };`);
  return [
    `// Types of ${manifest.namespace}/${manifest.name} ${manifest.version}, written by \`workflow plugin types\`. Change plugin.yaml instead.`,
    ...types,
    `export type Actions = {\n${members.join("\n")}\n};\n`,
  ].join("\n\n");
}

function pascal(name: string): string {
  const words = name.split("-").filter((word) => word !== "");
  const text = words.map((word) => word[0]?.toUpperCase() + word.slice(1)).join("");
  return /^[A-Z]/.test(text) ? text : `Action${text}`;
}

function memberName(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
}

function comment(text: string, indent = ""): string {
  return text.trim() === "" ? "" : `${indent}/** ${text.trim().replaceAll(/\s+/g, " ").replaceAll("*/", "*\\/")} */\n${indent}`;
}

function typeText(schema: Json | undefined, root: JsonObject, depth: number): string {
  if (schema === false) return "never";
  if (!isObject(schema) || depth > depthMax) return "unknown";
  const of = schema as JsonObject;
  if (typeof of["$ref"] === "string") return typeText(targetOf(of["$ref"], root), root, depth + 1);
  if (of["const"] !== undefined) return literal(of["const"]);
  if (Array.isArray(of["enum"])) return union(of["enum"].map(literal));
  for (const key of ["anyOf", "oneOf"] as const) {
    const options = of[key];
    if (Array.isArray(options)) return union(options.map((option) => typeText(option, root, depth + 1)));
  }
  if (Array.isArray(of["allOf"])) return of["allOf"].map((part) => parenthesised(typeText(part, root, depth + 1))).join(" & ") || "unknown";
  const kinds = [of["type"] ?? (of["properties"] === undefined ? [] : "object")].flat();
  return kinds.length === 0 ? "unknown" : union(kinds.map((kind) => kindText(String(kind), of, root, depth)));
}

function kindText(kind: string, schema: JsonObject, root: JsonObject, depth: number): string {
  if (kind === "integer") return "number";
  if (kind === "array") return arrayText(schema, root, depth);
  if (kind === "object") return objectText(schema, root, depth);
  return ["string", "number", "boolean", "null"].includes(kind) ? kind : "unknown";
}

function arrayText(schema: JsonObject, root: JsonObject, depth: number): string {
  const tuple = schema["prefixItems"];
  if (Array.isArray(tuple)) return `[${tuple.map((item) => typeText(item, root, depth + 1)).join(", ")}, ...unknown[]]`;
  return `${parenthesised(typeText(schema["items"], root, depth + 1))}[]`;
}

function objectText(schema: JsonObject, root: JsonObject, depth: number): string {
  const properties = Object.entries(isObject(schema["properties"]) ? (schema["properties"] as JsonObject) : {});
  const additional = schema["additionalProperties"];
  if (properties.length === 0)
    return additional === false ? "Record<string, never>" : `Record<string, ${typeText(additional === true ? {} : additional, root, depth + 1)}>`;
  const required = new Set(Array.isArray(schema["required"]) ? schema["required"] : []);
  const indent = "  ".repeat(depth + 1);
  const lines = properties.map(([name, member]) => {
    const about = isObject(member) && typeof member["description"] === "string" ? comment(member["description"], indent) : indent;
    return `${about}${memberName(name)}${required.has(name) ? "" : "?"}: ${typeText(member, root, depth + 1)};`;
  });
  if (additional !== false) lines.push(`${indent}[name: string]: unknown;`);
  return `{\n${lines.join("\n")}\n${"  ".repeat(depth)}}`;
}

function targetOf(ref: string, root: JsonObject): Json | undefined {
  if (!ref.startsWith("#")) return undefined;
  let at: Json | undefined = root;
  for (const part of ref.slice(1).split("/").slice(1)) {
    const key = part.replaceAll("~1", "/").replaceAll("~0", "~");
    at = isObject(at) && Object.hasOwn(at, key) ? (at as JsonObject)[key] : undefined;
  }
  return at;
}

function literal(value: Json): string {
  return typeof value === "object" && value !== null ? "unknown" : JSON.stringify(value);
}

function union(parts: readonly string[]): string {
  const distinct = [...new Set(parts)];
  return distinct.length === 0 ? "never" : distinct.map((part) => (distinct.length > 1 ? parenthesised(part) : part)).join(" | ");
}

function parenthesised(text: string): string {
  return / [|&] /.test(text) && !text.startsWith("{") ? `(${text})` : text;
}
