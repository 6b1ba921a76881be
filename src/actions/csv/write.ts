// Rows into CSV.
import { appendFileSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import papaparse from "papaparse";
import { fail, isObject, type Json, type JsonObject } from "../../base/index.ts";
import { withFileErrors } from "../shared/file-errors.ts";
import { resolvePath, showPath } from "../shared/paths.ts";

type Request = {
  rows: Json[];
  path?: string;
  columns?: string[];
  delimiter?: string;
  header?: boolean;
  append?: boolean;
  mark?: boolean;
  escapeFormulas?: boolean;
};

/** `core/csv.write`: {rows, path?, columns?, delimiter?, header?, append?, mark?, escapeFormulas?} → {path, size, rows}, or {text, rows} without a path. */
export function writeCsv(input: JsonObject): Promise<JsonObject> {
  const request = input as unknown as Request;
  const { path, rows, append = false } = request;
  return withFileErrors(`write "${path ?? "text"}"`, () => {
    const target = path === undefined ? null : resolvePath(path);
    const goesOn = target !== null && append && (statSync(target, { throwIfNoEntry: false })?.size ?? 0) > 0;
    const text = toText({ ...request, header: goesOn ? false : (request.header ?? true), mark: goesOn ? false : (request.mark ?? false) });
    if (target === null) return { text, rows: rows.length };
    mkdirSync(dirname(target), { recursive: true });
    if (append) appendFileSync(target, text);
    else writeFileSync(target, text);
    return { path: showPath(target), size: statSync(target).size, rows: rows.length };
  });
}

function toText({ rows, columns, delimiter = ",", header, mark, escapeFormulas = false }: Request): string {
  const names = columns ?? namesOf(rows);
  const data = rows.map((row, index) => fieldsOf(row, names, index));
  const fields = names === null || header === false ? null : names;
  const all = fields === null ? data : [fields, ...data];
  if (all.length === 0) return "";
  return `${mark === true ? "\uFEFF" : ""}${papaparse.unparse(all, { delimiter, newline: "\n", escapeFormulae: escapeFormulas })}\n`;
}

/** All names in the order in which they come; null where rows are lists. */
function namesOf(rows: readonly Json[]): string[] | null {
  if (rows.length > 0 && rows.every((row) => Array.isArray(row))) return null;
  return [...new Set(rows.flatMap((row) => (isObject(row) ? Object.keys(row) : [])))];
}

function fieldsOf(row: Json, names: string[] | null, index: number): string[] {
  if (Array.isArray(row)) return row.map(toField);
  if (!isObject(row) || names === null)
    throw fail("TASK_INPUT_INVALID", `Cannot write CSV: rows[${index}] is neither an object nor a list like the others`);
  return names.map((name) => toField((Object.hasOwn(row, name) ? row[name] : null) as Json));
}

function toField(value: Json): string {
  if (value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}
