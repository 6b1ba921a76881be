// Reads one configuration file: YAML to values, and every problem with its place in the text.
import { readFileSync } from "node:fs";
import { isMap, isNode, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import { fail, isObject } from "../base/index.ts";
import type { Diagnostic, DiagnosticCode } from "../model/index.ts";
import { ConfigSchema } from "./config.ts";
import { postgresProblem } from "./postgres.ts";
import { findSchemaProblems, pathText, type SchemaProblem } from "./schema-problems.ts";

const fileBytesMax = 1024 * 1024;
/** Enough for any honest file; an alias bomb expands to more. */
const aliasesMax = 100;

export type ConfigFile = {
  /** Values by section; sections that are left empty are absent. */
  values: Record<string, unknown>;
  diagnostics: Diagnostic[];
};

/** @throws CONFIG_MISSING when the file cannot be read */
export function readConfigFile(path: string): ConfigFile {
  const text = readText(path);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, version: "1.2", prettyErrors: false });
  const report = (code: DiagnosticCode, message: string, offset: number): Diagnostic => {
    return { severity: "error", code, path: "", message, file: path, ...place(lines, offset) };
  };
  const syntax = document.errors.map((error) => report("YAML_SYNTAX", error.message, error.pos[0]));
  if (syntax.length > 0) return { values: {}, diagnostics: syntax };
  const value = plainValue(() => document.toJS({ maxAliasCount: aliasesMax }) as unknown);
  if (value === tooLarge) return { values: {}, diagnostics: [report("YAML_LIMIT", "Too many aliases, or an alias inside its own anchor", 0)] };
  if (value === null || value === undefined) return { values: {}, diagnostics: [] };
  if (!isObject(value)) return { values: {}, diagnostics: [report("WRONG_TYPE", "The configuration must be a map", 0)] };
  const values = Object.fromEntries(Object.entries(value).filter(([, section]) => section !== null));
  const toDiagnostic = (problem: SchemaProblem): Diagnostic => ({
    ...problemHead(problem, values),
    file: path,
    ...place(lines, offsetOf(document.contents, problem)),
  });
  return { values, diagnostics: findSchemaProblems(ConfigSchema, withSections(values)).map(toDiagnostic) };
}

function readText(path: string): string {
  try {
    const bytes = readFileSync(path);
    if (bytes.length > fileBytesMax) throw new Error(`larger than ${fileBytesMax} bytes`);
    return bytes.toString("utf8");
  } catch (cause) {
    throw fail("CONFIG_MISSING", `Cannot read the configuration "${path}": ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

const tooLarge = Symbol("tooLarge");

function plainValue(read: () => unknown): unknown {
  try {
    const value = read();
    // A value that holds itself fails here.
    JSON.stringify(value);
    return value;
  } catch {
    return tooLarge;
  }
}

// Every setting is optional in a file, but the schema, which also describes the finished configuration, wants them all.
function withSections(values: Record<string, unknown>): Record<string, unknown> {
  const complete: Record<string, unknown> = { ...values };
  for (const [section, schema] of Object.entries(ConfigSchema.properties)) {
    if (!Object.hasOwn(complete, section)) complete[section] = {};
    const given = complete[section];
    if (!isObject(given) || !("properties" in schema)) continue;
    const defaults = Object.entries(schema.properties).map(([key, member]) => [key, (member as { default?: unknown }).default]);
    complete[section] = { ...Object.fromEntries(defaults), ...given };
  }
  return complete;
}

function problemHead(problem: SchemaProblem, values: Record<string, unknown>): Omit<Diagnostic, "file" | "line" | "column"> {
  const path = pathText(problem.at);
  const section = values["storage"];
  const postgres = path === "storage.type" && isObject(section) ? postgresProblem(section["type"]) : null;
  if (postgres !== null) return { severity: "error", code: "BAD_VALUE", path, message: postgres };
  const head = { severity: "error", code: problem.code, path, message: problem.message } as const;
  return problem.hint === undefined ? head : { ...head, hint: problem.hint };
}

function place(lines: LineCounter, offset: number): { line: number; column: number } {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(1, line), column: Math.max(1, col) };
}

/** Where the problem is: an unknown key at the key, a missing one at what should hold it, else at the value. */
function offsetOf(root: Node | null, problem: SchemaProblem): number {
  let node: unknown = root;
  let offset = startOf(root) ?? 0;
  for (const [index, part] of problem.at.entries()) {
    const isLast = index === problem.at.length - 1;
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === part);
      if (pair === undefined) return offset;
      node = pair.value;
      const wanted = isLast && problem.code === "UNKNOWN_KEY" ? pair.key : startOf(pair.value) === null ? pair.key : pair.value;
      offset = startOf(wanted) ?? offset;
    } else if (isSeq(node)) {
      node = node.items[Number(part)];
      offset = startOf(node) ?? offset;
    } else return offset;
  }
  return offset;
}

function startOf(node: unknown): number | null {
  return isNode(node) ? (node.range?.[0] ?? null) : null;
}
