// A raw node against its shape: reports every mistake of form with its place, and returns what is left as plain values.
import { type Json, type JsonObject, limits, parseDuration } from "../../base/index.ts";
import { memberPath, type RawEntry, type RawMap, type RawNode, setMember } from "../source/raw-node.ts";
import type { Report } from "../source/report.ts";
import { didYouMean } from "./nearest.ts";
import { type KeysShape, kindsOf, type Shape } from "./shape.ts";

type Of<K extends Shape["is"]> = Extract<Shape, { is: K }>;
type At<S extends Shape = Shape> = { node: RawNode; shape: S; path: string; report: Report };

function kindOf(node: RawNode): string {
  if (node.kind !== "scalar") return node.kind;
  if (node.value === null) return "null";
  return typeof node.value === "string" ? "text" : typeof node.value;
}

const kindNames: Record<string, string> = { text: "text", number: "a number", boolean: "true or false", list: "a list", map: "a map", null: "empty" };

/** Reports an expression without quotes where one stands. */
function isUnquoted(node: RawNode, path: string, report: Report): boolean {
  if (node.kind !== "map" || !node.unquoted) return false;
  report.add({
    code: "EXPR_UNQUOTED",
    path,
    message: 'Quote the expression: write "{{ … }}"; without quotes YAML reads {{ as a map',
    at: node,
    hint: "Put the whole value into double quotes.",
  });
  return true;
}

function wrongType({ node, shape, path, report }: At): undefined {
  const wanted = [...new Set(kindsOf(shape))].map((kind) => kindNames[kind] ?? kind).join(" or ");
  report.add({
    code: "WRONG_TYPE",
    path,
    message: `${path === "" ? "The document" : `"${path}"`} must be ${wanted}, but is ${kindNames[kindOf(node)] ?? "something else"}`,
    at: node,
  });
  return undefined;
}

function badValue({ node, path, report }: At, message: string, hint?: string): undefined {
  report.add({ code: "BAD_VALUE", path, message: `"${path}" ${message}`, at: node, hint });
  return undefined;
}

function checkText(at: At<Of<"text">>): Json | undefined {
  const { node, shape } = at;
  if (node.kind !== "scalar" || typeof node.value !== "string") {
    // Where words are wanted, a bare number or `true` is a word that YAML read as something else.
    return wrongType(at);
  }
  const { value } = node;
  if (shape.oneOf !== undefined && !shape.oneOf.includes(value))
    return badValue(at, `must be ${shape.oneOf.join(", ")}, but is ${quote(value)}`, didYouMean(value, shape.oneOf));
  if (shape.pattern !== undefined && !shape.pattern.test(value))
    return badValue(at, `is ${quote(value)}, but must be ${shape.means ?? String(shape.pattern)}`);
  if (value.length > (shape.max ?? Infinity)) return badValue(at, `has more than ${String(shape.max)} characters`);
  if (value.length < (shape.min ?? 0)) return badValue(at, "is empty");
  return value;
}

function quote(value: string): string {
  return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
}

function checkNumber(at: At<Of<"integer"> | Of<"number">>): Json | undefined {
  const { node, shape } = at;
  if (node.kind !== "scalar" || typeof node.value !== "number") return wrongType(at);
  const { value } = node;
  if (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value))) return badValue(at, "is beyond ±(2^53−1)");
  if (shape.is === "number") return value;
  if (!Number.isInteger(value)) return badValue(at, "must be a whole number");
  if (value < (shape.min ?? -Infinity)) return badValue(at, `must be at least ${String(shape.min)}`);
  if (value > (shape.max ?? Infinity)) return badValue(at, `must be at most ${String(shape.max)}`);
  return value;
}

function checkDuration(at: At<Of<"duration">>): Json | undefined {
  const { node, shape, path, report } = at;
  const value = node.kind === "scalar" ? node.value : null;
  const ms = typeof value === "string" ? parseDuration(value) : null;
  if (ms === null) {
    const hint = typeof value === "number" ? `Write the unit: ${value}s` : "Write 500ms, 30s, 5m, 2h, 1d or PT5M.";
    report.add({ code: "BAD_DURATION", path, message: `"${path}" is not a duration`, at: node, hint });
    return undefined;
  }
  if (ms > limits.durationMsMax || ms < (shape.min ?? 0)) {
    report.add({
      code: "BAD_DURATION",
      path,
      message: ms > limits.durationMsMax ? `"${path}" is longer than 366 days` : `"${path}" must be longer than nothing`,
      at: node,
    });
    return undefined;
  }
  return ms;
}

/** Any value; numbers must be I-JSON, and expressions must be quoted. */
function checkJson(node: RawNode, path: string, report: Report): Json | undefined {
  if (isUnquoted(node, path, report)) return undefined;
  if (node.kind === "scalar") {
    if (typeof node.value === "number") return checkNumber({ node, shape: { is: "number" }, path, report });
    return node.value;
  }
  if (node.kind === "list") return node.items.map((item, index) => checkJson(item, `${path}[${index}]`, report) ?? null);
  const out: JsonObject = {};
  for (const [key, { value }] of node.entries) setMember(out, key, checkJson(value, memberPath(path, key), report) ?? null);
  return out;
}

function checkList(at: At<Of<"list">>): Json | undefined {
  const { node, shape, path, report } = at;
  if (node.kind !== "list") return wrongType(at);
  if (node.items.length > (shape.max ?? Infinity)) return badValue(at, `has more than ${String(shape.max)} items`);
  if (node.items.length < (shape.min ?? 0)) return badValue(at, "is empty");
  // A wrong item leaves null behind, so that the others keep their index.
  return node.items.map((item, index) => checkShape({ node: item, shape: shape.of, path: `${path}[${index}]`, report }) ?? null);
}

function checkMap(at: At<Of<"map">>): Json | undefined {
  const { node, shape, path, report } = at;
  if (node.kind !== "map") return wrongType(at);
  if (node.entries.size > (shape.max ?? Infinity)) return badValue(at, `has more than ${String(shape.max)} members`);
  const out: JsonObject = {};
  for (const [key, entry] of node.entries) {
    const inner = memberPath(path, key);
    if (shape.key?.test(key) === false)
      report.add({
        code: "BAD_VALUE",
        path: inner,
        message: `The key ${quote(key)} must be ${shape.keyMeans ?? String(shape.key)}`,
        at: entry.keyAt,
      });
    const value = checkShape({ node: entry.value, shape: shape.of, path: inner, report });
    if (value !== undefined) setMember(out, key, value);
  }
  return out;
}

function unknownKey(entry: RawEntry, path: string, shape: KeysShape, report: Report): void {
  const hint = didYouMean(entry.key, Object.keys(shape.keys));
  report.add({
    code: "UNKNOWN_KEY",
    path: memberPath(path, entry.key),
    message: `There is no key ${quote(entry.key)} in ${shape.name}`,
    at: entry.keyAt,
    hint,
  });
}

function checkKeys(node: RawMap, shape: KeysShape, path: string, report: Report): JsonObject {
  const out: JsonObject = {};
  for (const [name, entry] of node.entries) {
    const key = Object.hasOwn(shape.keys, name) ? shape.keys[name] : undefined;
    if (key === undefined) {
      unknownKey(entry, path, shape, report);
      continue;
    }
    const value = checkShape({ node: entry.value, shape: key.shape, path: memberPath(path, name), report });
    if (value !== undefined) out[name] = value;
  }
  for (const [name, key] of Object.entries(shape.keys))
    if (key.required === true && !node.entries.has(name)) missingKey({ node, name: shape.name, path, report }, name);
  return out;
}

/** Reports a key that must be there, at the start of the map that lacks it. */
function missingKey({ node, name, path, report }: { node: RawNode; name: string; path: string; report: Report }, key: string): void {
  report.add({
    code: "MISSING_KEY",
    path: memberPath(path, key),
    message: `The key "${key}" is missing in ${name}`,
    at: { start: node.start, end: node.start + 1 },
  });
}

function checkVariants(at: At<Of<"variants">>): Json | undefined {
  const { node, shape, path, report } = at;
  if (node.kind !== "map") return wrongType(at);
  const by = node.entries.get(shape.by)?.value;
  if (by === undefined) {
    missingKey({ node, name: shape.name, path, report }, shape.by);
    return undefined;
  }
  const chosen = checkText({ node: by, shape: { is: "text", oneOf: Object.keys(shape.of) }, path: memberPath(path, shape.by), report });
  const variant = typeof chosen === "string" ? shape.of[chosen] : undefined;
  return variant === undefined ? undefined : checkKeys(node, variant, path, report);
}

/**
 * Checks a node and returns its value; durations become milliseconds, members with mistakes are left out.
 * Undefined when nothing of it can be used; `report` then says why.
 */
export function checkShape(at: { node: RawNode; shape: Shape; path: string; report: Report }): Json | undefined {
  const { node, shape, path, report } = at;
  if (isUnquoted(node, path, report)) return undefined;
  switch (shape.is) {
    case "text":
      return checkText({ ...at, shape });
    case "integer":
    case "number":
      return checkNumber({ ...at, shape });
    case "boolean":
      return node.kind === "scalar" && typeof node.value === "boolean" ? node.value : wrongType({ ...at, shape });
    case "duration":
      return checkDuration({ ...at, shape });
    case "json":
      return checkJson(node, path, report);
    case "object":
      return node.kind === "map" ? checkJson(node, path, report) : wrongType({ ...at, shape });
    case "list":
      return checkList({ ...at, shape });
    case "map":
      return checkMap({ ...at, shape });
    case "keys":
      return node.kind === "map" ? checkKeys(node, shape, path, report) : wrongType({ ...at, shape });
    case "variants":
      return checkVariants({ ...at, shape });
    case "either": {
      const fitting = shape.of.find((one) => kindsOf(one).includes(kindOf(node)));
      return fitting === undefined ? wrongType({ ...at, shape }) : checkShape({ ...at, shape: fitting });
    }
  }
}
