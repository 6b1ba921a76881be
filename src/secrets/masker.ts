// Replaces secret values, in all the forms in which they get around, by ***. Knows nothing of where the values come from.
import type { Json } from "../base/index.ts";
import { FormSet } from "./forms.ts";
import { FormIndex } from "./mask-index.ts";
import { maskJson } from "./mask-json.ts";
import { maskSpans, settle } from "./mask-spans.ts";
import { type MaskStream, MaskedStream } from "./mask-stream.ts";

export { mask } from "./mask-spans.ts";
export type { MaskStream } from "./mask-stream.ts";

const noForms = new FormIndex([]);

/** Values may be added at any time; streams that are open see them from then on. */
export class Masker {
  readonly #forms = new FormSet();
  #index = noForms;
  /** Of the forms with a star in them: only these may arise where a mask meets what is left around it. */
  #starred = noForms;

  /** Values shorter than four bytes are left out. True when one was new. */
  add(values: Iterable<string>): boolean {
    let isNew = false;
    for (const value of values) isNew = this.#forms.add(value) || isNew;
    return isNew;
  }

  /** Nothing is masked: everything comes back as it is, at no cost. */
  get isEmpty(): boolean {
    return this.#forms.isEmpty;
  }

  /** Whatever overlaps or touches becomes one ***. A text that holds no value is returned as it is. */
  text(text: string): string {
    const masked = maskSpans(text, this.#fresh());
    return masked === text ? text : settle(masked, this.#starred);
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
    return new MaskedStream(() => ({ index: this.#fresh(), starred: this.#starred }));
  }

  /** The first place from `cut` on that no value goes through. */
  #pastValue(text: string, cut: number): number {
    const index = this.#fresh();
    let past = cut;
    for (let at = index.find(text, Math.max(0, cut - index.lengthMax), cut); at >= 0 && at < past; at = index.find(text, at + 1, past))
      past = index.end;
    return past;
  }

  #fresh(): FormIndex {
    if (this.#forms.isStale) {
      const forms = [...this.#forms.forms()];
      this.#index = new FormIndex(forms);
      const starred = forms.filter((form) => form.includes("*"));
      this.#starred = starred.length === 0 ? noForms : new FormIndex(starred);
    }
    return this.#index;
  }
}

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
