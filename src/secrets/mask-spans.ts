// Masks one text: what forms cover becomes ***, and what then arises around the masks too.
import type { FormIndex } from "./mask-index.ts";

/** What stands for a masked value. */
export const mask = "***";

/** Values with stars in them may arise again and again; each round is one level of nesting, and no honest text has any. */
const roundsMax = 16;

/**
 * A text that ends with so much of a form's beginning ends with a value that was cut off. Less is a word that a value and the text both have;
 * what ends of itself is more likely that than the last of a stream.
 */
export const cutUnitsMin = { stream: 8, text: 16 };

/** Whatever overlaps or touches becomes one mask, so that nothing of a value stays beside another. `isEnd`: nothing comes after the text. */
export function maskSpans(text: string, index: FormIndex, isEnd = true): string {
  const cut = isEnd ? index.heldFrom(text, { least: cutUnitsMin.text }) : text.length;
  let at = index.find(text, 0);
  if (at < 0) return cut === text.length ? text : text.slice(0, cut) + mask;
  let out = "";
  let end = 0;
  for (let start = -1; at >= 0; at = index.find(text, nextFrom(index, at, end), end)) {
    if (start < 0 || at > end) {
      out += text.slice(end, at) + mask;
      start = at;
    }
    end = index.leap(text, index.end);
  }
  if (cut === text.length) return out + text.slice(end);
  return cut <= end ? out : out + text.slice(end, cut) + mask;
}

/** From where on a form may reach further than `end`. */
export function nextFrom(index: FormIndex, at: number, end: number): number {
  return Math.max(at + 1, end - index.lengthMax + 1);
}

/** Masks what arose where masks meet what is left around them; a text that does not come to an end is masked as a whole. */
export function settle(text: string, starred: FormIndex, isEnd = true): string {
  let settled = text;
  for (let round = 0; round < roundsMax; round += 1) {
    const next = maskSpans(settled, starred, isEnd);
    if (next === settled) return settled;
    // Stars beside a mask go with it: else two masks could make a value of stars for ever.
    settled = next.replace(/\*{4,}/g, mask);
  }
  return mask;
}
