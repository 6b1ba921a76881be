// What is wrong with a value by its TypeBox schema, said for people: used for the configuration and for HTTP bodies and queries.
// Values themselves are not quoted here, since they may be secret.
import type { TSchema } from "@sinclair/typebox";
import { Value, type ValueError, ValueErrorType } from "@sinclair/typebox/value";
import { closest, distance } from "fastest-levenshtein";
import { limits } from "../base/index.ts";
import type { DiagnosticCode } from "../model/index.ts";
import { durationFormat } from "./config.ts";

export type SchemaProblem = {
  code: DiagnosticCode;
  /** Member names and indexes from the outermost value. */
  at: string[];
  /** What is wanted, or which key is meant. */
  message: string;
  hint?: string;
};

/** Every problem of the value, the outer ones of a place only; empty when it fits. */
export function findSchemaProblems(schema: TSchema, value: unknown): SchemaProblem[] {
  const found = new Map<string, SchemaProblem>();
  for (const error of Value.Errors(schema, value)) {
    for (const problem of problemsOf(error)) {
      const place = JSON.stringify(problem.at);
      if (!found.has(place)) found.set(place, problem);
    }
    if (found.size >= limits.diagnosticsMax) break;
  }
  return [...found.values()];
}

/** `tasks[1].needs[0]`; numbers in lists become indexes. Empty for the outermost value. */
export function pathText(at: readonly string[]): string {
  return at.map((part, index) => (/^\d+$/.test(part) ? `[${part}]` : index === 0 ? part : `.${part}`)).join("");
}

function problemsOf(error: ValueError): SchemaProblem[] {
  const at = pointerParts(error.path);
  switch (error.type) {
    case ValueErrorType.ObjectAdditionalProperties:
      return [unknownKey(error, at)];
    case ValueErrorType.ObjectRequiredProperty:
      return [{ code: "MISSING_KEY", at, message: `"${at.at(-1) ?? ""}" is required` }];
    case ValueErrorType.Union: {
      const inner = innerProblems(error);
      if (inner !== null) return inner;
      break;
    }
    case ValueErrorType.StringFormat:
      if (error.schema["format"] === durationFormat)
        return [{ code: "BAD_DURATION", at, message: `"${at.at(-1) ?? ""}" must be ${expected(error.schema)}` }];
  }
  const code = hasType(error.schema, error.value) ? "BAD_VALUE" : "WRONG_TYPE";
  return [{ code, at, message: `${at.length === 0 ? "The value" : `"${pathText(at)}"`} must be ${expected(error.schema)}` }];
}

function unknownKey(error: ValueError, at: string[]): SchemaProblem {
  const key = at.at(-1) ?? "";
  const known = Object.keys((error.schema["properties"] as object | undefined) ?? {});
  const problem: SchemaProblem = { code: "UNKNOWN_KEY", at, message: `There is no key "${key}" here` };
  const near = known.length === 0 ? null : closest(key, known);
  if (near !== null && isNear(near, key)) problem.hint = `Did you mean "${near}"?`;
  return problem;
}

// Two letters changed places count as two edits, so two are always allowed, but never the whole word.
function isNear(known: string, key: string): boolean {
  const edits = distance(known.toLowerCase(), key.toLowerCase());
  return edits < key.length && edits <= Math.max(2, Math.floor(key.length / 3));
}

// "null or an object": when an object came, what is wrong inside it says more than that neither fits.
function innerProblems(error: ValueError): SchemaProblem[] | null {
  const options = (error.schema["anyOf"] as TSchema[] | undefined) ?? [];
  const structured = options.filter((option) => option["type"] === "object" || option["type"] === "array");
  const [only] = structured;
  if (structured.length !== 1 || only === undefined || !hasType(only, error.value)) return null;
  const base = pointerParts(error.path);
  const inner = findSchemaProblems(only, error.value);
  for (const problem of inner) problem.at.unshift(...base);
  return inner;
}

function pointerParts(pointer: string): string[] {
  return pointer === ""
    ? []
    : pointer
        .slice(1)
        .split("/")
        .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function hasType(schema: TSchema, value: unknown): boolean {
  const options = schema["anyOf"] as TSchema[] | undefined;
  if (options !== undefined) return options.some((option) => hasType(option, value));
  if ("const" in schema) return typeof schema["const"] === typeof value;
  switch (schema["type"]) {
    case "integer":
    case "number":
      return typeof value === "number";
    case "array":
      return Array.isArray(value);
    case "object":
      return typeof value === "object" && value !== null && !Array.isArray(value);
    case "null":
      return value === null;
    default:
      return typeof value === schema["type"];
  }
}

function expected(schema: TSchema): string {
  const options = schema["anyOf"] as TSchema[] | undefined;
  if (options !== undefined) {
    const values = options.map((option) => option["const"] as unknown);
    if (values.every((value) => value !== undefined)) return `one of ${values.map((value) => JSON.stringify(value)).join(", ")}`;
    return options.map(expected).join(" or ");
  }
  if ("const" in schema) return JSON.stringify(schema["const"]);
  switch (schema["type"]) {
    case "string":
      return expectedString(schema);
    case "integer":
    case "number":
      return `${schema["type"] === "integer" ? "an integer" : "a number"}${bounds(schema["minimum"], schema["maximum"])}`;
    case "array":
      return `a list${bounds(schema["minItems"], schema["maxItems"], " items")}`;
    case "object":
      return "a map";
    case "boolean":
      return "true or false";
    case "null":
      return "null";
    default:
      return "another value";
  }
}

const formats: Record<string, string> = {
  [durationFormat]: "a duration such as 30s, 5m or 1h",
  "date-time": "a time such as 2026-01-02T03:04:05Z",
  uuid: "a UUID in lower case",
};

function expectedString(schema: TSchema): string {
  // Schemas whose form needs its own words carry them in this member.
  const words = schema["x-expects"] as string | undefined;
  if (words !== undefined) return words;
  const format = schema["format"] as string | undefined;
  if (format !== undefined) return formats[format] ?? `a string of the form ${format}`;
  if (schema["pattern"] !== undefined) return `a string that matches ${String(schema["pattern"])}`;
  return `a string${bounds(schema["minLength"], schema["maxLength"], " characters")}`;
}

function bounds(least: unknown, most: unknown, unit = ""): string {
  if (least === undefined && most === undefined) return "";
  if (most === undefined) return ` (at least ${String(least)}${unit})`;
  return least === undefined ? ` (at most ${String(most)}${unit})` : ` (${String(least)} to ${String(most)}${unit})`;
}
