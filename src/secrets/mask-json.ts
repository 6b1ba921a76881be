// Masks JSON values: strings, the keys of objects, and numbers and booleans whose text holds a value.
import type { Json, JsonObject } from "../base/index.ts";
import { mask } from "./mask-spans.ts";

/** Five times what a stored value may have: what is deeper is not looked into, it becomes a mask. */
const depthMax = 1000;

/** What holds nothing to mask is the same object. */
export function maskJson(value: Json, maskText: (text: string) => string, depth = 0): Json {
  if (typeof value === "string") return maskText(value);
  if (value === null) return value;
  if (typeof value !== "object") {
    const text = JSON.stringify(value);
    return maskText(text) === text ? value : mask;
  }
  if (depth > depthMax) return mask;
  return Array.isArray(value) ? maskArray(value, maskText, depth) : maskObject(value, maskText, depth);
}

function maskArray(items: Json[], maskText: (text: string) => string, depth: number): Json[] {
  let out: Json[] | null = null;
  for (const [place, item] of items.entries()) {
    const masked = maskJson(item, maskText, depth + 1);
    if (masked === item) continue;
    out ??= [...items];
    out[place] = masked;
  }
  return out ?? items;
}

function maskObject(value: JsonObject, maskText: (text: string) => string, depth: number): JsonObject {
  const keys = Object.keys(value);
  const names = keys.map(maskText);
  const members = keys.map((key) => maskJson(value[key] ?? null, maskText, depth + 1));
  if (keys.every((key, place) => names[place] === key && members[place] === value[key])) return value;
  const taken = new Set(keys.filter((key, place) => names[place] === key));
  const out: JsonObject = {};
  let number = 1;
  for (const [place, key] of keys.entries()) {
    let name = names[place] ?? key;
    // Keys that only the secret told apart stay apart.
    while (name !== key && (taken.has(name) || maskText(name) !== name)) {
      number += 1;
      name = `${names[place]}${number}`;
    }
    taken.add(name);
    Object.defineProperty(out, name, { value: members[place], enumerable: true, configurable: true, writable: true });
  }
  return out;
}
