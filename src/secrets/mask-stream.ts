// Masks a text that comes in pieces: holds back what may still become a form, and no more.
import type { FormIndex } from "./mask-index.ts";
import { cutUnitsMin, mask, nextFrom, settle } from "./mask-spans.ts";

/** Masks text that comes in pieces: a value across their borders is found too. */
export interface MaskStream {
  /** What of the text so far is certain; the rest is held back. */
  push(text: string): string;
  /** The rest; a value that the end cuts off is masked too. */
  end(): string;
}

/** Held back of masked text around values with stars in them; beyond it they count as settled. */
const settlingUnitsMax = 4096;

/** `starred`: of the forms with a star in them; only these may arise where a mask meets what is left around it. */
export type Indexes = { index: FormIndex; starred: FormIndex };

export class MaskedStream implements MaskStream {
  readonly #indexes: () => Indexes;
  /** As it came. */
  #held = "";
  /** Units at the start of what is held that a mask stands for which was given already; -1 when what was given last is no mask. */
  #covered = -1;
  /** Masked, but what follows may make a value with stars of it. */
  #settling = "";

  constructor(indexes: () => Indexes) {
    this.#indexes = indexes;
  }

  push(text: string): string {
    const { index, starred } = this.#indexes();
    if (index.isEmpty) return text;
    const whole = this.#held + text;
    return this.#settle(this.#take(whole, index, index.heldFrom(whole)), starred, false);
  }

  end(): string {
    const { index, starred } = this.#indexes();
    const isCut = this.#held.length >= cutUnitsMin.stream && index.heldFrom(this.#held) === 0;
    return this.#settle(isCut ? this.#cut() : this.#take(this.#held, index, this.#held.length), starred, true);
  }

  /** All that is held is the beginning of one form. */
  #cut(): string {
    const isCovered = this.#covered >= 0;
    this.#held = "";
    this.#covered = 0;
    return isCovered ? "" : mask;
  }

  /** Masks all before `until`, and holds the rest. */
  #take(text: string, index: FormIndex, until: number): string {
    let [out, end, given] = ["", this.#covered, Math.max(0, this.#covered)];
    for (let at = index.find(text, 0, given); at >= 0 && at < until; at = index.find(text, nextFrom(index, at, end), end)) {
      if (end < 0 || at > end) out += text.slice(given, at) + mask;
      end = index.end < until ? index.leap(text, index.end) : index.end;
      given = end;
    }
    if (given < until) out += text.slice(given, until);
    this.#covered = end >= until ? end - until : -1;
    this.#held = text.slice(until);
    return out;
  }

  #settle(masked: string, starred: FormIndex, isEnd: boolean): string {
    if (starred.isEmpty) return masked;
    const text = settle(this.#settling + masked, starred, isEnd);
    const from = isEnd ? text.length : settledUntil(text, starred);
    this.#settling = text.slice(from);
    return text.slice(0, from);
  }
}

/** What is held may become a mask, which then meets what stands before it, and so on. */
function settledUntil(text: string, starred: FormIndex): number {
  let from = starred.heldFrom(text);
  for (;;) {
    const near = Math.max(0, from - starred.lengthMax);
    const before = Math.min(from, near + starred.heldFrom(`${text.slice(near, from)}*`, { orWhole: true }));
    if (before === from || text.length - before > settlingUnitsMax) return from;
    from = before;
  }
}
