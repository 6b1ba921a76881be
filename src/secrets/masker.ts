// Replaces secret values, in all the forms in which they get around, by ***. Knows nothing of where the values come from.
import { type Json, startSha256 } from "../base/index.ts";
import { FormSet } from "./forms.ts";
import { FormIndex } from "./mask-index.ts";
import { maskJson } from "./mask-json.ts";
import { maskSpans, nextFrom, settle } from "./mask-spans.ts";
import { type Indexes, type MaskStream, MaskedStream } from "./mask-stream.ts";
import { isTurnOver, nextTurn } from "./turns.ts";

export { mask } from "./mask-spans.ts";
export type { MaskStream } from "./mask-stream.ts";

/** Of texts that are worth being kept, masked. */
const longUnitsMin = 64 * 1024;

const noForms = new FormIndex([]);

/** Values may be added at any time; streams that are open see them from then on. */
export class Masker {
  readonly #forms = new FormSet();
  #made: Indexes = { index: noForms, starred: noForms };
  /** Of how many values it is. */
  #indexed = 0;
  /** Long texts go from task to task, and are shown at each. */
  #last: { made: Indexes; text: string; masked: string } | null = null;

  /** Values shorter than four bytes are left out. True when one was new. */
  add(values: Iterable<string>): boolean {
    let isNew = false;
    for (const value of values) isNew = this.#forms.add(value) || isNew;
    return isNew;
  }

  /** Makes the forms of what was added, with turns for others in between: large values take a second in all. Nobody has to wait for it. */
  async ready(): Promise<void> {
    if (this.#isStale) for (const _ of this.#freshen()) if (isTurnOver()) await nextTurn();
  }

  /** Nothing is masked: everything comes back as it is, at no cost. */
  get isEmpty(): boolean {
    return this.#forms.isEmpty;
  }

  /** Whatever overlaps or touches becomes one ***. A text that holds no value is returned as it is. */
  text(text: string): string {
    const made = this.#fresh();
    const last = this.#last;
    if (last !== null && last.made === made && last.text === text) return last.masked;
    const spans = maskSpans(text, made.index);
    const masked = spans === text ? text : settle(spans, made.starred);
    if (text.length >= longUnitsMin) this.#last = { made, text, masked };
    return masked;
  }

  /** Strings and object keys are masked; a number or boolean whose text holds a value becomes ***. What holds none is the same object. */
  json(value: Json): Json {
    return this.isEmpty ? value : maskJson(value, (text) => this.text(text));
  }

  /** The last `bytesMax` bytes at most of a text, in UTF-8; shorter where the cut would go through a value. */
  tail(text: string, bytesMax: number): string {
    return text.slice(this.#pastValue(text, tailStart(text, bytesMax)));
  }

  stream(): MaskStream {
    return new MaskedStream(() => this.#fresh());
  }

  /** The first place from `cut` on that no value goes through. */
  #pastValue(text: string, cut: number): number {
    const { index } = this.#fresh();
    let past = cut;
    for (
      let at = index.find(text, Math.max(0, cut - index.lengthMax), cut);
      at >= 0 && at < past;
      at = index.find(text, nextFrom(index, at, past), past)
    ) {
      past = index.end;
      // Where a text repeats itself, one begins at the last place of the one before, and so on: no need to look at each place between.
      for (let next = index.endAt(text, past - 1); next > past; next = index.endAt(text, past - 1)) past = next;
    }
    return past;
  }

  #fresh(): Indexes {
    if (this.#isStale) for (const _ of this.#freshen()) continue;
    return this.#made;
  }

  get #isStale(): boolean {
    return this.#forms.values.size !== this.#indexed;
  }

  /** Two may be at it: whoever comes to the end has all that there was when it made the index. */
  *#freshen(): Generator<void> {
    const count = this.#forms.values.size;
    const key = keyOf(this.#forms.values);
    const made = known.get(key)?.deref() ?? (yield* this.#make(key, count));
    if (count < this.#indexed) return;
    this.#made = made;
    this.#indexed = count;
  }

  *#make(key: string, count: number): Generator<void, Indexes> {
    yield* this.#forms.steps();
    const forms = [...this.#forms.all];
    const starred = forms.filter((form) => form.includes("*"));
    const made = { index: yield* FormIndex.steps(forms), starred: starred.length === 0 ? noForms : yield* FormIndex.steps(starred) };
    // Others with these values must not mask what was added here meanwhile.
    if (this.#forms.values.size !== count) return made;
    known.set(key, new WeakRef(made));
    forgotten.register(made, key);
    return made;
  }
}

/** Lone surrogates are told apart: UTF-8 would give them all the same bytes. */
function keyOf(values: Iterable<string>): string {
  const sha256 = startSha256();
  for (const value of values) {
    const text = value.isWellFormed() ? value : JSON.stringify(value);
    sha256.update(`${text === value ? "" : "json "}${value.length} `);
    sha256.update(text);
  }
  return sha256.hex();
}

/** By digest, for as long as someone masks these values: executions of one workflow have the same secrets. */
const known = new Map<string, WeakRef<Indexes>>();
const forgotten = new FinalizationRegistry<string>((key) => {
  // The same values may have come again since.
  if (known.get(key)?.deref() === undefined) known.delete(key);
});

/** Where the longest end of the text begins that has at most so many bytes, never within a character. */
function tailStart(text: string, bytesMax: number): number {
  if (text.length * 3 <= bytesMax) return 0;
  const ascii = Math.max(0, text.length - bytesMax);
  // Counting is a hundred times as fast as walking, and nearly all output is ASCII.
  if (Buffer.byteLength(text.slice(ascii)) === text.length - ascii) return ascii;
  let start = text.length;
  let bytes = 0;
  while (start > 0) {
    const isPair = start > 1 && text.charCodeAt(start - 2) >> 10 === 0x36 && text.charCodeAt(start - 1) >> 10 === 0x37;
    const code = text.charCodeAt(start - 1);
    bytes += isPair ? 4 : code < 0x80 ? 1 : code < 0x800 ? 2 : 3;
    if (bytes > bytesMax) break;
    start -= isPair ? 2 : 1;
  }
  return start;
}
