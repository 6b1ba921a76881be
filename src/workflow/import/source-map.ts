// Maps of a source, read key by key: a key that nobody took is reported, so that nothing is dropped silently.
import { memberPath, type RawEntry, type RawNode } from "../source/raw-node.ts";
import type { Notebook, Place } from "./notes.ts";

/** A value with the place of its key. */
export type Field = Place & { key: string; node: RawNode };

export type SourceMap = {
  /** The member, which counts as carried over from now on; null where there is none. */
  take(key: string): Field | null;
  /** Reports the member as not carried over. */
  leave(key: string, message: string, hint?: string): void;
  /** All members in order, as taken. */
  takeAll(): Field[];
  /** Reports all members that were neither taken nor left. */
  rest(what: string, why?: string): void;
};

function fieldOf(entry: RawEntry, path: string): Field {
  return { key: entry.key, node: entry.value, at: entry.keyAt.start, path: memberPath(path, entry.key) };
}

/** A node that is no map reads as one without members, and is reported. */
export function openMap({ node, at, path }: Place & { node: RawNode }, book: Notebook): SourceMap {
  const entries = node.kind === "map" ? node.entries : new Map<string, RawEntry>();
  const isNothing = node.kind === "scalar" && node.value === null;
  if (node.kind !== "map" && !isNothing) book.lost({ at, path }, "This is not a map, and is not carried over");
  const seen = new Set<string>();
  const take = (key: string): Field | null => {
    const entry = entries.get(key);
    if (entry === undefined) return null;
    seen.add(key);
    return fieldOf(entry, path);
  };
  return {
    take,
    leave(key, message, hint) {
      const field = take(key);
      if (field !== null) book.lost(field, message, hint);
    },
    takeAll: () => [...entries.keys()].flatMap((key) => take(key) ?? []),
    rest(what, why = "the import does not know it") {
      for (const entry of entries.values()) {
        if (seen.has(entry.key)) continue;
        const name = entry.key.slice(0, 100);
        book.lost(fieldOf(entry, path), `"${name}" of ${what} is not carried over: ${why}`);
      }
    },
  };
}

/** The items of a list with their places; a single value counts as a list of one. */
export function itemFields(field: Field): Field[] {
  if (field.node.kind !== "list") return [field];
  return field.node.items.map((node, index) => ({ key: String(index), node, at: node.start, path: `${field.path}[${index}]` }));
}

/** The text of a scalar as a program would get it; null for lists and maps. */
export function scalarText(node: RawNode | undefined): string | null {
  if (node?.kind !== "scalar") return null;
  return node.value === null ? "" : String(node.value);
}

/** A whole or fractional number, also where it stands as text; null for anything else. */
export function numberOf(node: RawNode): number | null {
  const text = scalarText(node)?.trim() ?? "";
  return /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : null;
}

export function isTrue(node: RawNode): boolean {
  return node.kind === "scalar" && (node.value === true || node.value === "true");
}

/** The comment lines right above the line of an offset, without `#`; those of a block that ends there stand deeper and are not taken. */
export function commentAbove(text: string, offset: number): string | null {
  const lines: string[] = [];
  let start = text.lastIndexOf("\n", offset - 1) + 1;
  const depth = /^ */.exec(text.slice(start, offset))?.[0].length ?? 0;
  while (start > 0 && lines.length < 50) {
    const before = text.lastIndexOf("\n", start - 2) + 1;
    const match = /^( *)#(.*?)\r?$/.exec(text.slice(before, start - 1));
    if (match === null || (match[1] ?? "").length > depth) break;
    lines.unshift(match[2] ?? "");
    start = before;
  }
  return lines.length === 0 ? null : lines.join("\n");
}
