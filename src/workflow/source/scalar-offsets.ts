// Where a character of a scalar's value stands in the source, through quotes, escapes, folding and indentation.
import type { RawScalar } from "./raw-node.ts";

const escapeLength: Record<string, number> = { x: 4, u: 6, U: 10 };
const blank = /\s/;

function contentStart(text: string, node: RawScalar): number {
  if (node.style === "plain") return node.start;
  if (node.style !== "block") return node.start + 1;
  const header = text.indexOf("\n", node.start);
  return header === -1 ? node.end : header + 1;
}

/** Length of the escape at `at` in a double-quoted scalar, and how many units of the value it makes. */
function readEscape(text: string, at: number): { length: number; units: number } {
  const next = text[at + 1] ?? "";
  if (next === "\n" || next === "\r") {
    let end = at + 1;
    while (end < text.length && blank.test(text[end] ?? "")) end++;
    return { length: end - at, units: 0 };
  }
  const length = escapeLength[next] ?? 2;
  const units = next === "U" && Number.parseInt(text.slice(at + 2, at + 10), 16) > 0xffff ? 2 : 1;
  return { length, units };
}

/**
 * Source offsets of a text scalar's value: one entry for every unit and one for the end.
 * Value and source hold the same characters in the same order, so they are walked together;
 * what the source has more of is white space, quote doubling or escapes.
 */
export function scalarOffsets(text: string, node: RawScalar): number[] {
  const value = String(node.value);
  const offsets: number[] = [];
  let at = contentStart(text, node);
  let index = 0;
  while (index < value.length) {
    if (at >= node.end) {
      offsets.push(node.end);
      index++;
      continue;
    }
    if (node.style === "double" && text[at] === "\\") {
      const { length, units } = readEscape(text, at);
      for (let unit = 0; unit < units && index < value.length; unit++, index++) offsets.push(at);
      at += length;
      continue;
    }
    const wanted = value[index] ?? "";
    const found = text[at] ?? "";
    if (found === wanted || (wanted === " " && found === "\n")) {
      offsets.push(at);
      index++;
      at += node.style === "single" && found === "'" ? 2 : 1;
    } else if (blank.test(found)) at++;
    else {
      offsets.push(at);
      index++;
    }
  }
  offsets.push(Math.min(at, node.end));
  return offsets;
}
