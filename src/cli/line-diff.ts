// Line differences of two texts (Myers, 1986), shown as unified hunks.

export type LineChange = { kind: "same" | "removed" | "added"; line: string };

// The trace keeps one row per edit, so memory grows with its square; texts further apart are shown as replaced.
const editsMax = 4000;

const linesOf = (text: string) => (text === "" ? [] : text.replace(/\n$/, "").split("\n"));

/** The shortest list of kept, removed and added lines that turns one text into the other. */
export function diffLines(before: string, after: string): LineChange[] {
  const [a, b] = [linesOf(before), linesOf(after)];
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const same = (line: string): LineChange => ({ kind: "same", line });
  return [
    ...a.slice(0, head).map(same),
    ...diffMiddle(a.slice(head, a.length - tail), b.slice(head, b.length - tail)),
    ...a.slice(a.length - tail).map(same),
  ];
}

function diffMiddle(a: readonly string[], b: readonly string[]): LineChange[] {
  const trace = a.length === 0 || b.length === 0 ? null : traceEdits(a, b);
  if (trace === null) return [...a.map((line): LineChange => ({ kind: "removed", line })), ...b.map((line): LineChange => ({ kind: "added", line }))];
  return walkBack(a, b, trace);
}

/** For each number of edits, the furthest x reached on each diagonal; null beyond the bound. */
function traceEdits(a: readonly string[], b: readonly string[]): Map<number, number>[] | null {
  const trace: Map<number, number>[] = [];
  let reached = new Map<number, number>([[1, 0]]);
  for (let edits = 0; edits <= Math.min(a.length + b.length, editsMax); edits++) {
    trace.push(new Map(reached));
    for (let k = -edits; k <= edits; k += 2) {
      const down = k === -edits || (k !== edits && (reached.get(k - 1) ?? -1) < (reached.get(k + 1) ?? -1));
      let x = down ? (reached.get(k + 1) ?? 0) : (reached.get(k - 1) ?? 0) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      reached.set(k, x);
      if (x >= a.length && x - k >= b.length) return trace;
    }
    reached = new Map(reached);
  }
  return null;
}

function walkBack(a: readonly string[], b: readonly string[], trace: readonly Map<number, number>[]): LineChange[] {
  const changes: LineChange[] = [];
  let [x, y] = [a.length, b.length];
  for (let edits = trace.length - 1; edits >= 0; edits--) {
    const reached = trace[edits] ?? new Map<number, number>();
    const k = x - y;
    const down = k === -edits || (k !== edits && (reached.get(k - 1) ?? -1) < (reached.get(k + 1) ?? -1));
    const fromK = down ? k + 1 : k - 1;
    const fromX = edits === 0 ? 0 : (reached.get(fromK) ?? 0);
    const fromY = edits === 0 ? 0 : fromX - fromK;
    for (; x > fromX && y > fromY; x--, y--) changes.push({ kind: "same", line: a[x - 1] ?? "" });
    if (edits === 0) break;
    changes.push(down ? { kind: "added", line: b[y - 1] ?? "" } : { kind: "removed", line: a[x - 1] ?? "" });
    [x, y] = [fromX, fromY];
  }
  return changes.toReversed();
}

export type Hunk = { header: string; changes: LineChange[] };

/** Groups of changes with some unchanged lines around them, headed as unified diffs are. */
export function groupHunks(changes: readonly LineChange[], context: number): Hunk[] {
  const hunks: Hunk[] = [];
  let [at, oldLine, newLine] = [0, 1, 1];
  while (at < changes.length) {
    const next = changes.findIndex((change, index) => index >= at && change.kind !== "same");
    if (next === -1) break;
    const start = Math.max(at, next - context);
    oldLine += start - at;
    newLine += start - at;
    const end = hunkEnd(changes, next, context);
    const part = changes.slice(start, end);
    const [oldCount, newCount] = [part.filter((change) => change.kind !== "added").length, part.filter((change) => change.kind !== "removed").length];
    hunks.push({ header: `@@ -${oldLine},${oldCount} +${newLine},${newCount} @@`, changes: part });
    oldLine += oldCount;
    newLine += newCount;
    at = end;
  }
  return hunks;
}

// A hunk goes on while the next change is so near that the contexts would touch.
function hunkEnd(changes: readonly LineChange[], from: number, context: number): number {
  let last = from;
  for (let at = from; at < changes.length && at - last <= context * 2 + 1; at++) if (changes[at]?.kind !== "same") last = at;
  return Math.min(changes.length, last + context + 1);
}
