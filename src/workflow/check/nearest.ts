// "Did you mean": the closest of some names, if it is close enough to be a slip of the fingers.

const charsMax = 64;
/** Rows of the table, kept for the next comparison; names may be a few characters longer than what is written. */
const rows = Array.from({ length: 3 }, () => new Uint8Array(charsMax + 8)) as [Uint8Array, Uint8Array, Uint8Array];

/**
 * Edits from one text to another: insert, delete, replace, swap two neighbours (optimal string alignment, R. Wagner and
 * R. Lowrance 1975). Only cells within `most` of the diagonal are looked at; beyond `most` any larger number is given.
 */
function editsBetween(from: string, to: string, most: number): number {
  let [before, last, now] = rows;
  const none = most + 1;
  for (let column = 0; column <= to.length; column += 1) last[column] = Math.min(column, none);
  for (let row = 1; row <= from.length; row += 1) {
    const first = Math.max(1, row - most);
    const end = Math.min(to.length, row + most);
    now[first - 1] = first === 1 ? Math.min(row, none) : none;
    let least = none;
    const unit = from.charCodeAt(row - 1);
    for (let column = first; column <= end; column += 1) {
      const replaced = at(last, column - 1) + (unit === to.charCodeAt(column - 1) ? 0 : 1);
      let edits = Math.min(at(last, column) + 1, at(now, column - 1) + 1, replaced, none);
      const isSwap = row > 1 && column > 1 && unit === to.charCodeAt(column - 2) && from.charCodeAt(row - 2) === to.charCodeAt(column - 1);
      if (isSwap) edits = Math.min(edits, at(before, column - 2) + 1);
      now[column] = edits;
      least = Math.min(least, edits);
    }
    // A swap comes from two rows back, but never from a better cell than the row between has.
    if (least > most && at(now, first - 1) > most) return none;
    if (end < to.length) now[end + 1] = none;
    [before, last, now] = [last, now, before];
  }
  return at(last, to.length);
}

function at(row: Uint8Array, column: number): number {
  return row[column] ?? 255;
}

/** One slip in a short word, two from six letters on, three in a long one: more is another word. */
function slipsIn(written: string): number {
  return Math.max(1, Math.min(3, Math.floor(written.length / 3)));
}

/** The name that was probably meant, null when none is close. */
export function findNearest(written: string, names: Iterable<string>): string | null {
  if (written.length > charsMax) return null;
  const allowed = slipsIn(written);
  const lower = written.toLowerCase();
  let best: string | null = null;
  let least = allowed + 1;
  for (const name of names) {
    if (Math.abs(name.length - written.length) > allowed || name === written) continue;
    const isSame = name.length === written.length && name.toLowerCase() === lower;
    const between = isSame ? 0 : editsBetween(written, name, least - 1);
    if (between < least) [best, least] = [name, between];
  }
  return best;
}

/** `Did you mean "x"?`, undefined when nothing is close. */
export function didYouMean(written: string, names: Iterable<string>): string | undefined {
  const nearest = findNearest(written, names);
  return nearest === null ? undefined : `Did you mean "${nearest}"?`;
}
