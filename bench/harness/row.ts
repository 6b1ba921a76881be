// One line of the result: a work, what the product needed, what the floor needed in the same run, and the goal for their ratio.

export type Unit = "ms" | "/s";
/** Of all repetitions. */
export type Spread = { min: number; median: number; max: number };
/** `ours ÷ floor` must be at most (times) or at least (rates) so much. */
export type Goal = { bound: "most" | "least"; ratio: number };

export type Row = { bench: string; work: string; unit: Unit; ours: Spread; floor: Spread; floorName: string; goal: Goal | null };
/** What was not measured, and why. */
export type Skip = { bench: string; work: string; reason: string };
export type Outcome = { rows: Row[]; skips: Skip[] };

export const atMost = (ratio: number): Goal => ({ bound: "most", ratio });
export const atLeast = (ratio: number): Goal => ({ bound: "least", ratio });

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  return { min: sorted[0] ?? Number.NaN, median: quantileOf(sorted, 0.5), max: sorted.at(-1) ?? Number.NaN };
}

/** The value below which the share `at` (0 to 1) of the ascending values lies. */
export function quantileOf(sorted: readonly number[], at: number): number {
  const place = (sorted.length - 1) * at;
  const low = sorted[Math.floor(place)] ?? Number.NaN;
  const high = sorted[Math.ceil(place)] ?? Number.NaN;
  return low + (high - low) * (place - Math.floor(place));
}

export function medianOf(values: readonly number[]): number {
  return spreadOf(values).median;
}

/** Medians compared, since single runs on a shared machine say little. */
export function ratioOf(row: Row): number {
  return row.ours.median / row.floor.median;
}

/** Null where there is no goal. */
export function isMet(row: Row): boolean | null {
  if (row.goal === null) return null;
  return row.goal.bound === "most" ? ratioOf(row) <= row.goal.ratio : ratioOf(row) >= row.goal.ratio;
}
