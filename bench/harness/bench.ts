// What a bench is given, and how it measures: product and floor by turns, on the same disk, so that both meet the same noise.
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Goal, Row, Skip, Unit } from "./row.ts";
import { spreadOf } from "./row.ts";

export const root: string = join(import.meta.dir, "../..");
/** Git-ignored. Stores stand here and not in the system's folder for temporary files, which may be memory. */
export const resultsFolder: string = join(root, "bench/results");

/** Repetitions that a median needs. */
const repetitionsMin = 5;

export type Comparison = {
  work: string;
  unit: Unit;
  floorName: string;
  goal: Goal | null;
  /** Each measures once and returns the figure; the floor comes second and may use what the product's turn left. */
  ours: () => Promise<number> | number;
  floor: () => Promise<number> | number;
  repetitions?: number;
};

export type BenchReport = { row: (row: Omit<Row, "bench">) => void; skip: (skip: Omit<Skip, "bench">) => void };

export class BenchContext {
  readonly #folder: string;
  readonly #report: BenchReport;
  #folders = 0;

  constructor(folder: string, report: BenchReport) {
    this.#folder = folder;
    this.#report = report;
  }

  /** A new empty folder on the disk that is measured. It goes with the bench. */
  folder(): string {
    this.#folders += 1;
    const path = join(this.#folder, String(this.#folders));
    mkdirSync(path, { recursive: true });
    return path;
  }

  remove(folder: string): void {
    rmSync(folder, { recursive: true, force: true });
  }

  /** One turn of each to warm up, then the repetitions. */
  async compare(comparison: Comparison): Promise<void> {
    const { work, unit, floorName, goal, repetitions = repetitionsMin } = comparison;
    const ours: number[] = [];
    const floor: number[] = [];
    for (let turn = 0; turn <= Math.max(repetitions, repetitionsMin); turn += 1) {
      const mine = await comparison.ours();
      const theirs = await comparison.floor();
      if (turn > 0) ours.push(mine);
      if (turn > 0) floor.push(theirs);
    }
    this.row({ work, unit, floorName, goal, ours: spreadOf(ours), floor: spreadOf(floor) });
  }

  row(row: Omit<Row, "bench">): void {
    this.#report.row(row);
  }

  skip(work: string, reason: string): void {
    this.#report.skip({ work, reason });
  }
}

export type Bench = (context: BenchContext) => Promise<void>;

/** Milliseconds that the work took. */
export async function timed(work: () => Promise<unknown> | unknown): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** Things a second. */
export function rate(count: number, ms: number): number {
  return (count * 1000) / ms;
}

/** Runs `count` works, `width` of them at a time. */
export async function inParallel(count: number, width: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const index = next;
      next += 1;
      await work(index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, lane));
}
