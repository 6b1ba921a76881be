// JSON values, and the one canonical form (RFC 8785) that hashes are taken over.
import { fail } from "./errors.ts";

export type Json = null | boolean | number | string | Json[] | JsonObject;
export type JsonObject = { [key: string]: Json };

/**
 * RFC 8785 form: members sorted by UTF-16 units, strings and numbers as ECMAScript writes them. Our own, because half of a
 * commit's time went into the library; a property test holds it against that library.
 * @throws INTERNAL when the value is not JSON (use `toIJson` on what comes from outside)
 */
export function canonicalJson(value: unknown): string {
  switch (typeof value) {
    case "string":
      if (!value.isWellFormed()) throw fail("INTERNAL", "Cannot canonicalise a string: it has a lone surrogate");
      return JSON.stringify(value);
    case "number":
      if (!Number.isFinite(value)) throw fail("INTERNAL", `Cannot canonicalise the number ${value}`);
      return value === 0 ? "0" : String(value);
    case "boolean":
      return value ? "true" : "false";
    case "object":
      return value === null ? "null" : Array.isArray(value) ? canonicalArray(value) : canonicalObject(value);
    default:
      throw fail("INTERNAL", `Cannot canonicalise a ${typeof value}`);
  }
}

function canonicalArray(items: readonly unknown[]): string {
  let text = "[";
  for (let index = 0; index < items.length; index += 1) text += `${index === 0 ? "" : ","}${canonicalJson(items[index])}`;
  return `${text}]`;
}

function canonicalObject(value: object): string {
  const members = value as Record<string, unknown>;
  // Sorting by UTF-16 units is what `toSorted` does without a comparator.
  const names = Object.keys(members).toSorted();
  let text = "{";
  for (const name of names) {
    const member = members[name];
    if (member === undefined) continue;
    text += `${text === "{" ? "" : ","}${canonicalJson(name)}:${canonicalJson(member)}`;
  }
  return `${text}}`;
}

const depthMax = 200;

/**
 * A copy that is I-JSON (RFC 7493): lone surrogates become U+FFFD, members that are undefined are left out, BigInts in range become numbers.
 * @throws OUTPUT_INVALID for NaN, infinities, integers beyond ±(2^53−1), functions, and nesting deeper than 200
 */
export function toIJson(value: unknown, path = "", depth = 0): Json {
  if (depth > depthMax) throw fail("OUTPUT_INVALID", `Cannot store a value: nested deeper than ${depthMax} at "${path}"`);
  switch (typeof value) {
    case "string":
      return value.isWellFormed() ? value : value.toWellFormed();
    case "boolean":
      return value;
    case "number":
      if (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value)))
        throw fail("OUTPUT_INVALID", `Cannot store the number at "${path}": not an I-JSON number`, { details: { path } });
      return value;
    case "bigint":
      if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER))
        throw fail("OUTPUT_INVALID", `Cannot store the integer at "${path}": beyond ±(2^53−1)`, { details: { path } });
      return Number(value);
    case "object":
      return objectToIJson(value, path, depth);
    default:
      throw fail("OUTPUT_INVALID", `Cannot store a ${typeof value} at "${path}": not JSON`, { details: { path } });
  }
}

function objectToIJson(value: object | null, path: string, depth: number): Json {
  if (value === null) return null;
  if (Array.isArray(value)) return value.map((item, index) => toIJson(item, `${path}[${index}]`, depth + 1));
  if (value instanceof Date) return value.toISOString();
  const source: Iterable<[unknown, unknown]> = value instanceof Map ? value : Object.entries(value);
  // A null prototype would survive neither structuredClone nor comparison; __proto__ is set as an own member instead.
  const out: JsonObject = {};
  for (const [key, member] of source) {
    if (member === undefined) continue;
    const name = String(key).toWellFormed();
    const json = toIJson(member, path === "" ? name : `${path}.${name}`, depth + 1);
    if (name === "__proto__") Object.defineProperty(out, name, { value: json, enumerable: true, configurable: true, writable: true });
    else out[name] = json;
  }
  return out;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
