// Source text with places: bytes become text here, offsets become lines and columns.

export type Span = { start: number; end: number };

/** `text` is what offsets count in, UTF-16 units; a byte order mark is not part of it. */
export type SourceText = {
  readonly text: string;
  readonly file: string;
  /** Line and column of an offset, both from 1. */
  place(offset: number): { line: number; column: number };
  /** Offset of the end of the line that an offset is on, its line break excluded. */
  lineEnd(offset: number): number;
};

/** Text of UTF-8 bytes, null when they are not UTF-8. */
export function decodeSource(source: string | Uint8Array): string | null {
  if (typeof source === "string") return source.startsWith("\uFEFF") ? source.slice(1) : source;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(source);
  } catch {
    return null;
  }
}

export function createSourceText(text: string, file: string): SourceText {
  let starts: number[] | null = null;
  const lineStarts = (): number[] => {
    if (starts !== null) return starts;
    starts = [0];
    for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
    return starts;
  };
  return {
    text,
    file,
    place(offset) {
      const all = lineStarts();
      let low = 0;
      let high = all.length - 1;
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if ((all[middle] ?? 0) <= offset) low = middle;
        else high = middle - 1;
      }
      return { line: low + 1, column: offset - (all[low] ?? 0) + 1 };
    },
    lineEnd(offset) {
      const found = text.indexOf("\n", offset);
      const end = found === -1 ? text.length : found;
      return end > offset && text[end - 1] === "\r" ? end - 1 : end;
    },
  };
}
