// "Did you mean": the closest of some names, if it is close enough to be a slip.
import { distance } from "fastest-levenshtein";

/** The name that was probably meant, null when none is close. */
export function findNearest(written: string, names: Iterable<string>): string | null {
  if (written.length > 64) return null;
  const allowed = written.length <= 3 ? 1 : written.length <= 8 ? 2 : 3;
  let best: string | null = null;
  let least = allowed + 1;
  for (const name of names) {
    if (Math.abs(name.length - written.length) > allowed || name === written) continue;
    const between = name.toLowerCase() === written.toLowerCase() ? 0 : distance(written, name);
    if (between < least) [best, least] = [name, between];
  }
  return best;
}

/** `Did you mean "x"?`, undefined when nothing is close. */
export function didYouMean(written: string, names: Iterable<string>): string | undefined {
  const nearest = findNearest(written, names);
  return nearest === null ? undefined : `Did you mean "${nearest}"?`;
}
