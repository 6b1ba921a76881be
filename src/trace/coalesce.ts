// Puts together what one commit does to the same row: a task that starts and ends in one commit writes its rows once.
import { type Cell, keyColumns, type RowChange } from "../storage/index.ts";

type Cells = Record<string, Cell>;

/** The same effect with at most one change a row, in the order of each row's first change. Rows do not depend on each other. */
export function coalesce(changes: readonly RowChange[]): RowChange[] {
  if (changes.length < 2) return [...changes];
  const out: (RowChange | null)[] = [];
  const places = new Map<string, number>();
  for (const change of changes) {
    const name = rowName(change);
    const place = places.get(name);
    const before = place === undefined ? null : (out[place] ?? null);
    const merged = before === null ? null : merge(before, change);
    if (merged !== null && place !== undefined) out[place] = merged;
    else places.set(name, out.push(change) - 1);
  }
  return out.filter((change) => change !== null);
}

function rowName(change: RowChange): string {
  const cells = (change.op === "insert" ? change.row : change.key) as Cells;
  let name: string = change.table;
  for (const column of keyColumns[change.table]) name += `\0${cells[column]}`;
  return name;
}

/** Both in one, null where the second has to follow the first. Both are of the same table and row. */
function merge(first: RowChange, second: RowChange): RowChange | null {
  if (first.op === "delete" || second.op === "delete" || second.op === "insert") return null;
  if (second.op === "put") {
    // An update says that the row is there: it is not left out for what comes after.
    if (first.op === "update") return null;
    return first.op === "insert" ? ({ ...first, row: second.row } as RowChange) : second;
  }
  if (first.op === "update") return { ...first, set: { ...first.set, ...second.set } } as RowChange;
  return { ...first, row: { ...first.row, ...second.set } } as RowChange;
}
