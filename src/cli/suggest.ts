// "Did you mean": the nearest known word, if one is near.
import { closest, distance } from "fastest-levenshtein";

/** Null when nothing is near enough to be meant. */
export function suggest(word: string, known: readonly string[]): string | null {
  if (known.length === 0 || word === "") return null;
  const near = closest(word, [...known]);
  // Two edits are one pair of swapped letters; in a word of two they would be all of it.
  const editsMax = word.length < 3 ? 1 : Math.max(2, Math.floor(word.length / 3));
  return distance(word, near) <= editsMax || near.startsWith(word) ? near : null;
}
