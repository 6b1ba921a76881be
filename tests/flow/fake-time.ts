// Time driven by hand: a clock, timers and "soon" that only move when a test says so, and ids and randomness that repeat.
import { type Clock, formatUuidV7, type Ids } from "../../src/base/index.ts";
import type { Timers } from "../../src/engine/index.ts";

/** A group of timers that die, or freeze, together: one process. */
export type TimeOwner = { isDead: boolean; frozenUntil: number };

type Entry = { at: number; order: number; work: () => void; owner: TimeOwner };

export const startAt = Date.UTC(2026, 0, 2, 3, 4, 5);

export class FakeTime {
  #now = startAt;
  #order = 0;
  readonly #entries = new Set<Entry>();
  #soon: { work: () => void; owner: TimeOwner }[] = [];

  readonly clock: Clock = { now: () => this.#now };

  get now(): number {
    return this.#now;
  }

  timersOf(owner: TimeOwner): Timers {
    return {
      set: (at, work) => {
        const entry = { at, order: (this.#order += 1), work, owner };
        this.#entries.add(entry);
        return entry;
      },
      clear: (handle) => void this.#entries.delete(handle as Entry),
      soon: (work) => void this.#soon.push({ work, owner }),
    };
  }

  sleep(owner: TimeOwner, ms: number): Promise<void> {
    return new Promise((resolve) => this.timersOf(owner).set(this.#now + ms, resolve));
  }

  /** Runs everything that can run without time passing. */
  async settle(): Promise<void> {
    do {
      await turn();
      const batch = this.#soon;
      this.#soon = [];
      for (const { work, owner } of batch) {
        if (owner.isDead) continue;
        if (owner.frozenUntil > this.#now) this.timersOf(owner).set(owner.frozenUntil, work);
        else work();
      }
      if (batch.length > 0) await turn();
    } while (this.#soon.length > 0);
  }

  /** Lets the next timer ring, if there is one up to `until`; false when there is none. */
  async step(until: number): Promise<boolean> {
    await this.settle();
    const next = this.#next();
    if (next === null || dueOf(next) > until) return false;
    this.#entries.delete(next);
    this.#now = Math.max(this.#now, dueOf(next));
    next.work();
    await this.settle();
    return true;
  }

  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    while (await this.step(until));
    this.#now = Math.max(this.#now, until);
    await this.settle();
  }

  /** Lets time pass until the condition holds. Throws when it does not within `ms`. */
  async until(holds: () => boolean | Promise<boolean>, ms = 600_000): Promise<void> {
    const last = this.#now + ms;
    await this.settle();
    while (!(await holds())) if (!(await this.step(last))) throw new Error(`The condition does not hold after ${ms} ms of fake time`);
  }

  #next(): Entry | null {
    let found: Entry | null = null;
    for (const entry of this.#entries) {
      if (entry.owner.isDead) this.#entries.delete(entry);
      else if (found === null || isBefore(entry, found)) found = entry;
    }
    return found;
  }
}

function dueOf({ at, owner }: Entry): number {
  return Math.max(at, owner.frozenUntil);
}

function isBefore(a: Entry, b: Entry): boolean {
  return dueOf(a) < dueOf(b) || (dueOf(a) === dueOf(b) && a.order < b.order);
}

/** One turn of the event loop: every promise that can settle without outside help has done so. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export type Random = () => number;

/** mulberry32: small, fast, and the same everywhere. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function countingIds(): Ids {
  let count = 0;
  return { next: () => formatUuidV7(startAt, 0, BigInt((count += 1))) };
}
