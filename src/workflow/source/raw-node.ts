// The tree between YAML and the workflow: plain values that remember where they stand.
import type { Json, JsonObject } from "../../base/index.ts";
import type { Span } from "./source-text.ts";

export type ScalarStyle = "plain" | "single" | "double" | "block";
/** `height` is the nesting below a node, `size` the number of nodes with aliases counted as often as they are used. */
type Measured = Span & { height: number; size: number };
export type RawScalar = Measured & { kind: "scalar"; value: null | boolean | number | string; style: ScalarStyle };
export type RawList = Measured & { kind: "list"; items: RawNode[] };
/** `unquoted`: the map is what YAML makes of an expression without quotes. */
export type RawMap = Measured & { kind: "map"; entries: Map<string, RawEntry>; unquoted: boolean };
export type RawEntry = { key: string; keyAt: Span; value: RawNode };
export type RawNode = RawScalar | RawList | RawMap;

/** Sets a member even when it is called `__proto__`, which an assignment would take as the prototype. */
export function setMember(target: JsonObject, key: string, value: Json): void {
  if (key === "__proto__") Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  else target[key] = value;
}

export function toJson(node: RawNode): Json {
  if (node.kind === "scalar") return node.value;
  if (node.kind === "list") return node.items.map(toJson);
  const out: JsonObject = {};
  for (const [key, entry] of node.entries) setMember(out, key, toJson(entry.value));
  return out;
}

export function entryOf(node: RawNode | undefined, key: string): RawEntry | undefined {
  return node?.kind === "map" ? node.entries.get(key) : undefined;
}

export function memberOf(node: RawNode | undefined, key: string): RawNode | undefined {
  return entryOf(node, key)?.value;
}

export function itemsOf(node: RawNode | undefined): RawNode[] {
  return node?.kind === "list" ? node.items : [];
}

const plainKey = /^[A-Za-z_$][\w$-]*$/;

/** `tasks` + `id` → `tasks.id`; keys that are no words are put into brackets. */
export function memberPath(path: string, key: string): string {
  if (!plainKey.test(key)) return `${path}[${JSON.stringify(key)}]`;
  return path === "" ? key : `${path}.${key}`;
}
