// All cron triggers of this process by their next time. One heap and one timer for all of them: ten thousand timers would cost more than
// everything else together.
import type { CronTrigger } from "../../model/index.ts";

export type CronEntry = Pick<CronTrigger, "cron" | "timezone" | "catchUp"> & {
  workflow: string;
  trigger: string;
  /** Its next time, in milliseconds. */
  at: number;
  /** False when the workflow was changed since: the heap forgets it when it comes up. */
  isLive: boolean;
};

export class TriggerHeap {
  readonly #entries: CronEntry[] = [];

  get size(): number {
    return this.#entries.length;
  }

  /** The entry whose time comes first; null when there is none. */
  first(): CronEntry | null {
    while (this.#entries[0]?.isLive === false) this.pop();
    return this.#entries[0] ?? null;
  }

  push(entry: CronEntry): void {
    let index = this.#entries.push(entry) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (this.#at(parent) <= entry.at) break;
      this.#swap(index, parent);
      index = parent;
    }
  }

  pop(): CronEntry | null {
    const top = this.#entries[0] ?? null;
    const last = this.#entries.pop();
    if (last === undefined || this.#entries.length === 0) return top;
    this.#entries[0] = last;
    for (let index = 0; ; ) {
      const left = 2 * index + 1;
      const next = this.#at(left + 1) < this.#at(left) ? left + 1 : left;
      if (this.#at(next) >= last.at) return top;
      this.#swap(index, next);
      index = next;
    }
  }

  #at(index: number): number {
    return this.#entries[index]?.at ?? Number.POSITIVE_INFINITY;
  }

  #swap(one: number, other: number): void {
    const [a, b] = [this.#entries[one], this.#entries[other]];
    if (a === undefined || b === undefined) return;
    this.#entries[one] = b;
    this.#entries[other] = a;
  }
}
