// What masking holds for any values and any text: nothing of a value survives, and nothing else is touched. fast-check prints seed and path.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { Json } from "../../../src/base/index.ts";
// Not exported by the folder: the oracle below reads the same forms, and looks for them the slow way.
import { FormSet } from "../../../src/secrets/forms.ts";
import { FormIndex } from "../../../src/secrets/mask-index.ts";
import { Masker } from "../../../src/secrets/index.ts";

const runs = 500;

/** Pieces that make values meet, nest and look like what masking itself writes. */
const odd = [
  "$&",
  "$1",
  "***",
  "****",
  "*",
  "\\",
  '"',
  "'",
  "\n",
  "\r\n",
  "\t",
  " ",
  "%",
  "+",
  "/",
  "=",
  "é",
  "😀",
  "\ud800",
  "\udc00",
  "\u0000",
  "\u2028",
  "(",
  "[",
  ".*",
  "^a|b$",
  "&lt;",
];
const narrow = fc.string({ unit: fc.constantFrom("a", "b", "ab", "abc", "*"), minLength: 1, maxLength: 10 });
const value = fc.oneof(
  narrow,
  fc.string({ unit: "binary", minLength: 2, maxLength: 30 }),
  fc.stringMatching(/^[A-Za-z0-9+/]{4,40}={0,2}$/),
  fc.array(fc.oneof(fc.constantFrom(...odd), fc.string({ maxLength: 4 })), { minLength: 1, maxLength: 12 }).map((parts) => parts.join("")),
);
const values = fc.array(value, { minLength: 1, maxLength: 5 });
const filler = fc.oneof(narrow, fc.string({ maxLength: 20 }), fc.constantFrom(...odd, ""));

/** Written anew, not with the code under test. */
const encoders: Record<string, (text: string) => string> = {
  raw: (text) => text,
  json: (text) => JSON.stringify(text).slice(1, -1),
  "json twice": (text) => JSON.stringify(JSON.stringify(text)).slice(3, -3),
  "json, ascii": (text) =>
    JSON.stringify(text)
      .slice(1, -1)
      .replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`),
  "json, slashes": (text) => JSON.stringify(text).slice(1, -1).replaceAll("/", "\\/"),
  url: (text) => encodeURIComponent(text.toWellFormed()),
  form: (text) => new URLSearchParams({ a: text }).toString().slice(2),
  bytes: (text) => [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join(""),
  base64: (text) => Buffer.from(text).toString("base64"),
  base64url: (text) => Buffer.from(text).toString("base64url"),
  hex: (text) => Buffer.from(text).toString("hex"),
  "hex, upper": (text) => Buffer.from(text).toString("hex").toUpperCase(),
  shell: (text) => text.replaceAll("'", "'\\''"),
  html: (text) => Bun.escapeHTML(text),
  reversed: (text) => [...text].toReversed().join(""),
};
const encoderNames = Object.keys(encoders);

/** Some values in some encoding, and filler between. */
type Part = { text: string } | { value: number; encoder: string };
const part: fc.Arbitrary<Part> = fc.oneof(
  fc.record({ text: filler }),
  fc.record({ value: fc.nat(4), encoder: fc.constantFrom(...encoderNames) }),
  fc.record({ value: fc.nat(4), encoder: fc.constant("raw") }),
);
const parts = fc.array(part, { maxLength: 8 });
const cuts = fc.array(fc.nat(12), { minLength: 1, maxLength: 40 });

function write(from: readonly string[], layout: readonly Part[]): string {
  return layout.map((one) => ("text" in one ? one.text : (encoders[one.encoder]?.(from[one.value % from.length] ?? "") ?? ""))).join("");
}

function maskerOf(of: readonly string[]): Masker {
  const masker = new Masker();
  masker.add(of);
  return masker;
}

function isMasked(text: string): boolean {
  return Buffer.byteLength(text) >= 4;
}

/** In pieces of the given lengths, again and again. */
function streamed(masker: Masker, text: string, lengths: readonly number[]): string {
  const stream = masker.stream();
  let out = "";
  for (let [at, round] = [0, 0]; at < text.length; round += 1) {
    // Empty pieces too, but not for ever.
    const length = Math.max(round < 20 ? 0 : 1, lengths[round % lengths.length] ?? 1);
    out += stream.push(text.slice(at, at + length));
    at += length;
  }
  return out + stream.end();
}

/** What must not be left: each value, and what each encoder makes of it. */
function forbiddenOf(of: readonly string[]): Set<string> {
  const masked = of.filter(isMasked);
  const encoded = masked.flatMap((one) => encoderNames.map((name) => encoders[name]?.(one) ?? ""));
  return new Set([...masked, ...encoded.filter((form) => form.length >= 6)]);
}

function expectNone(text: string, forbidden: Set<string>): void {
  for (const form of forbidden) if (text.includes(form)) throw new Error(`${JSON.stringify(text)} still has ${JSON.stringify(form)}`);
}

describe("[WF-09] masking any values", () => {
  test("leaves none of them in a text, in a stream, in JSON", () => {
    fc.assert(
      fc.property(values, parts, cuts, (of, layout, lengths) => {
        const [masker, text, forbidden] = [maskerOf(of), write(of, layout), forbiddenOf(of)];
        const masked = masker.text(text);
        expectNone(masked, forbidden);
        expect(masker.text(masked)).toBe(masked);
        expectNone(streamed(masker, text, lengths), forbidden);
        const json: Json = { [text]: [text, { nested: text }], plain: 1 };
        const shown = masker.json(json);
        for (const string of stringsOf(shown)) expectNone(string, forbidden);
      }),
      { numRuns: runs },
    );
  });

  test("is what a slow search for each form at each place gives, in one text and in any pieces", () => {
    fc.assert(
      fc.property(values, parts, cuts, (of, layout, lengths) => {
        const plain = of.map((one) => one.replaceAll("*", "x"));
        const [masker, text] = [maskerOf(plain), write(plain, layout)];
        expect(masker.text(text)).toBe(slowlyMasked(plain, text, 16));
        expect(streamed(masker, text, lengths)).toBe(slowlyMasked(plain, text, 8));
      }),
      { numRuns: runs },
    );
  });

  test("leaves a text without values as it is, and JSON the same object", () => {
    fc.assert(
      fc.property(
        values,
        fc.string({ unit: fc.constantFrom("Q", "~", "*", "漢", "{", "\n") }),
        fc.jsonValue({ noUnicodeString: true }),
        cuts,
        (of, text, json, lengths) => {
          const masker = maskerOf(of.map((one) => `#${one}#`));
          expect(masker.text(text)).toBe(text);
          expect(streamed(masker, text, lengths)).toBe(text);
          if (!JSON.stringify(json).includes("#")) expect(masker.json(json as Json)).toBe(json as Json);
        },
      ),
      { numRuns: runs },
    );
  });

  test("leaves at most so many bytes of a tail, and never the end of a value", () => {
    fc.assert(
      fc.property(values, parts, fc.nat(60), (of, layout, bytesMax) => {
        const text = write(of, layout);
        const tail = maskerOf(of).tail(text, bytesMax);
        expect(Buffer.byteLength(tail)).toBeLessThanOrEqual(bytesMax);
        expect(text.endsWith(tail)).toBe(true);
        const cut = text.length - tail.length;
        for (const form of formsOf(of))
          for (let at = text.indexOf(form); at >= 0; at = text.indexOf(form, at + 1)) expect(at < cut && at + form.length > cut).toBe(false);
        // No shorter than it must be: what was left out did not fit, or belongs to a form.
        const more = Array.from(text.slice(0, cut)).at(-1) ?? "";
        const isWhole = cut === 0 || Buffer.byteLength(more + tail) > bytesMax;
        expect(isWhole || formsOf(of).some((form) => text.slice(Math.max(0, cut - form.length), cut) === form)).toBe(true);
      }),
      { numRuns: runs },
    );
  });

  test("is the same of texts that repeat themselves, and of values of a thousand units and more", () => {
    const unit = fc.constantFrom("a", "ab", "aab", "é", "a\n");
    const long = fc
      .record({ unit, count: fc.nat(1500), end: fc.constantFrom("", "b", "xyz") })
      .map(({ unit: one, count, end }) => one.repeat(count) + end);
    fc.assert(
      fc.property(fc.array(long, { minLength: 1, maxLength: 3 }), fc.array(fc.oneof(long, filler), { maxLength: 5 }), cuts, (of, texts, lengths) => {
        const plain = of.map((one) => one.replaceAll("*", "x"));
        const [masker, text] = [maskerOf(plain), texts.join("").replaceAll("*", "x")];
        expect(masker.text(text)).toBe(slowlyMasked(plain, text, 16));
        const many = lengths.map((length) => length * 97);
        expect(streamed(masker, text, many)).toBe(slowlyMasked(plain, text, 8));
      }),
      { numRuns: 60 },
    );
  });

  test("holds back the longest beginning of a form, and no more", () => {
    fc.assert(
      fc.property(values, parts, (of, layout) => {
        const [forms, text] = [formsOf(of), write(of, layout)];
        let held = 0;
        while (held < text.length && !forms.some((form) => form.length > text.length - held && form.startsWith(text.slice(held)))) held += 1;
        expect(new FormIndex(forms).heldFrom(text)).toBe(held);
        expect(new FormIndex(forms).heldFrom(text, { least: 5 })).toBe(text.length - held < 5 ? text.length : held);
      }),
      { numRuns: runs },
    );
  });
});

function formsOf(of: readonly string[]): string[] {
  const set = new FormSet();
  for (const one of of) set.add(one);
  return [...set.forms()];
}

/** `cutMin`: units of a form's beginning at the end of the text that are masked as well. */
function slowlyMasked(of: readonly string[], text: string, cutMin: number): string {
  const covered = new Uint8Array(text.length);
  const forms = formsOf(of);
  for (let at = 0; at <= text.length - cutMin; at += 1)
    if (forms.some((form) => form.length > text.length - at && form.startsWith(text.slice(at)))) {
      covered.fill(1, at);
      break;
    }
  for (const form of forms) for (let at = text.indexOf(form); at >= 0; at = text.indexOf(form, at + 1)) covered.fill(1, at, at + form.length);
  let out = "";
  for (const [place, mark] of covered.entries()) {
    if (mark === 0) out += text[place];
    else if (covered[place - 1] !== 1) out += "***";
  }
  return out;
}

function stringsOf(json: Json): string[] {
  if (typeof json === "string") return [json];
  if (typeof json !== "object" || json === null) return [];
  return Object.entries(json).flatMap(([key, member]) => [key, ...stringsOf(member)]);
}
