// "Did you mean": the closest of some names, if it is close enough to be a slip of the fingers.

/**
 * Edits from one text to another: insert, delete, replace, swap two neighbours (optimal string alignment, R. Wagner and
 * R. Lowrance 1975). Gives up beyond `most`, with a larger number than that.
 */
function editsBetween(from: string, to: string, most: number): number {
  let before: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row += 1) {
    const now = [row];
    let least = row;
    for (let column = 1; column <= to.length; column += 1) {
      const same = from[row - 1] === to[column - 1];
      let edits = Math.min(at(last, column) + 1, at(now, column - 1) + 1, at(last, column - 1) + (same ? 0 : 1));
      if (row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]) edits = Math.min(edits, at(before, column - 2) + 1);
      now.push(edits);
      least = Math.min(least, edits);
    }
    // A swap looks two rows back, yet never gains more than the row between has lost.
    if (least > most) return least;
    before = last;
    last = now;
  }
  return at(last, to.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Infinity;
}

/** One slip in a short word, two from six letters on, three in a long one: more is another word. */
function slipsIn(written: string): number {
  return Math.max(1, Math.min(3, Math.floor(written.length / 3)));
}

/** The name that was probably meant, null when none is close. */
export function findNearest(written: string, names: Iterable<string>): string | null {
  if (written.length > 64) return null;
  const allowed = slipsIn(written);
  const lower = written.toLowerCase();
  let best: string | null = null;
  let least = allowed + 1;
  for (const name of names) {
    if (Math.abs(name.length - written.length) > allowed || name === written) continue;
    const between = name.toLowerCase() === lower ? 0 : editsBetween(written, name, least - 1);
    if (between < least) [best, least] = [name, between];
  }
  return best;
}

/** `Did you mean "x"?`, undefined when nothing is close. */
export function didYouMean(written: string, names: Iterable<string>): string | undefined {
  const nearest = findNearest(written, names);
  return nearest === null ? undefined : `Did you mean "${nearest}"?`;
}
