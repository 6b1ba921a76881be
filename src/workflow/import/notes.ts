// What an import tells about a source: each part that was not carried over, or that means something else now, with its place.
import { limits } from "../../base/index.ts";
import type { SourceText } from "../source/source-text.ts";

/** `warning`: not carried over, or to be looked at; `info`: carried over in another way. Lines and columns count from 1, columns in UTF-16 units. */
export type ImportNote = { severity: "warning" | "info"; line: number; column: number; path: string; message: string; hint?: string };

/** A part of the source: the offset that a note points at, and the path of keys that leads to it. */
export type Place = { at: number; path: string };

export type Notebook = {
  /** Something that is not in the result. */
  lost(place: Place, message: string, hint?: string): void;
  /** Something that is in the result in another form. */
  changed(place: Place, message: string, hint?: string): void;
  /** In the order of the source. */
  list(): ImportNote[];
};

export function createNotebook(source: SourceText): Notebook {
  const notes: ImportNote[] = [];
  const seen = new Set<string>();
  let more = 0;
  const add = (severity: ImportNote["severity"], { at, path }: Place, message: string, hint?: string): void => {
    const key = `${at} ${path} ${message}`;
    if (seen.has(key)) return;
    seen.add(key);
    if (notes.length >= limits.importNotesMax) return void more++;
    notes.push({ severity, ...source.place(at), path, message, ...(hint === undefined ? {} : { hint }) });
  };
  return {
    lost: (place, message, hint) => add("warning", place, message, hint),
    changed: (place, message, hint) => add("info", place, message, hint),
    list() {
      const sorted = notes.toSorted((a, b) => a.line - b.line || a.column - b.column);
      if (more === 0) return sorted;
      return [...sorted, { severity: "warning", ...source.place(source.text.length), path: "", message: `${more} more notes are left out` }];
    },
  };
}
