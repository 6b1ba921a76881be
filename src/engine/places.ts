// Who may run now: places for executions, slots for processes. Both are handed on in line, one at a time, so that a wide
// execution does not starve the others; and who is at the front is always woken.

export class Places {
  readonly #executionsMax: number;
  readonly #wake: (executionId: string) => void;
  readonly #inside = new Set<string>();
  /** Executions that have begun and want a place again come before new ones. */
  readonly #begun = new Set<string>();
  readonly #queue = new Set<string>();
  /** In line for a slot, the longest waiting first. */
  readonly #hungry = new Set<string>();
  /** Slots set aside for an execution whose turn came, until it has decided. */
  readonly #granted = new Map<string, number>();
  readonly #held = new Map<string, number>();
  #free: number;
  #isClosed = false;
  #isAdmitting = false;
  #isFeeding = false;

  /** `wake` is called for an execution that may go on; it may come back here at once. */
  constructor(limits: { executions: number; tasks: number }, wake: (executionId: string) => void) {
    this.#executionsMax = limits.executions;
    this.#free = limits.tasks;
    this.#wake = wake;
  }

  /** New executions that wait for a place. */
  get queued(): number {
    return this.#queue.size;
  }

  /** True when the execution has a place; else it stands in line and is woken. */
  enter(id: string, hasBegun: boolean): boolean {
    if (this.#inside.has(id)) return true;
    if (this.#isClosed) return false;
    (hasBegun ? this.#begun : this.#queue).add(id);
    if (this.#inside.size >= this.#executionsMax || this.#next() !== id) return false;
    this.#begun.delete(id);
    this.#queue.delete(id);
    this.#inside.add(id);
    this.#admit();
    return true;
  }

  /** The execution ended, was given up, or only waits: all that it has goes to the next. */
  leave(id: string): void {
    this.#begun.delete(id);
    this.#queue.delete(id);
    this.#hungry.delete(id);
    this.#inside.delete(id);
    this.#free += (this.#held.get(id) ?? 0) + (this.#granted.get(id) ?? 0);
    this.#held.delete(id);
    this.#granted.delete(id);
    this.#feed();
    this.#admit();
  }

  /** Slots that the execution may take now: those set aside for it, and the free ones while nobody is in line. */
  slotsFor(id: string): number {
    if (this.#isClosed) return 0;
    return (this.#granted.get(id) ?? 0) + (this.#hungry.size === 0 ? this.#free : 0);
  }

  takeSlot(id: string): void {
    const granted = this.#granted.get(id) ?? 0;
    if (granted > 0) this.#granted.set(id, granted - 1);
    else this.#free -= 1;
    this.#held.set(id, (this.#held.get(id) ?? 0) + 1);
  }

  giveSlot(id: string): void {
    const held = this.#held.get(id) ?? 0;
    if (held === 0) return;
    this.#held.set(id, held - 1);
    this.#free += 1;
    this.#feed();
  }

  /** The execution has decided: what was set aside and not taken goes on; who lacked a slot gets in line, at its end. */
  settle(id: string, lacksSlot: boolean): void {
    const left = this.#granted.get(id) ?? 0;
    this.#granted.delete(id);
    this.#free += left;
    if (lacksSlot && left === 0) this.#hungry.add(id);
    if (this.#free > 0) this.#feed();
  }

  /** From now on nothing new begins: what runs may end. */
  close(): void {
    this.#isClosed = true;
  }

  #next(): string | undefined {
    return first(this.#begun) ?? first(this.#queue);
  }

  /** Wakes who is next while there is room. One that is busy committing comes by itself when it has done so. */
  #admit(): void {
    if (this.#isAdmitting || this.#isClosed) return;
    this.#isAdmitting = true;
    for (let next = this.#next(); next !== undefined && this.#inside.size < this.#executionsMax; ) {
      this.#wake(next);
      const after = this.#next();
      if (after === next) break;
      next = after;
    }
    this.#isAdmitting = false;
  }

  /** Sets free slots aside, one each, for those in line. */
  #feed(): void {
    if (this.#isFeeding || this.#isClosed) return;
    this.#isFeeding = true;
    for (let id = first(this.#hungry); id !== undefined && this.#free > 0; id = first(this.#hungry)) {
      this.#hungry.delete(id);
      this.#granted.set(id, (this.#granted.get(id) ?? 0) + 1);
      this.#free -= 1;
      this.#wake(id);
    }
    this.#isFeeding = false;
  }
}

function first(line: Set<string>): string | undefined {
  return line.values().next().value;
}
