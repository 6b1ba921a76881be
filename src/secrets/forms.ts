// The forms in which a value gets around: what encoders, escapers and people's tools make of it.
import { limits, sha256Hex } from "../base/index.ts";
import { byteForms, type Richness } from "./byte-forms.ts";
import { formUnitsMax } from "./mask-units.ts";
import { nestedForms } from "./nested-forms.ts";
import { commonTextForms, richTextForms } from "./text-forms.ts";

/**
 * Of encoded forms. Random base64 has a run of six given characters once in 64^6 places, so that a log of 64 MiB is hit falsely once in a thousand;
 * four characters would be hit four times in each.
 */
const encodedUnitsMin = 6;
/** Longer values are files: they get around raw, in base64, in JSON and in URLs, hardly in others, and their forms take megabytes. */
const richUnitsMax = 4096;
/** Of the forms of all values of one masker: what comes after has fewer, so that time and memory stay bounded whatever a workflow lists. */
const richTotalMax = 4 * 1024 * 1024;
const commonTotalMax = 16 * 1024 * 1024;
/** Beyond these bounds lines have no forms but themselves, and short ones none at all. */
const plainLineUnitsMin = 16;
/** Beyond this one lines have no forms at all: the values as wholes still have. */
const linesTotalMax = 32 * 1024 * 1024;
/** What a form costs beside its text. */
const formUnits = 128;
/**
 * Longer forms are masked piece by piece: what a stream holds back and what one comparison costs stay small,
 * and a long value is found in a line that was cut.
 */
const pieceUnitsMax = formUnitsMax;
/** Lines that are taken before others may have a turn. */
const stepLines = 100;
/** Of a line without a letter or a digit: the brackets of a JSON document would be masked everywhere. */
const symbolsMin = 8;

export class FormSet {
  readonly #values = new Set<string>();
  /** Their forms are made when they are asked for: an execution that waits, or never writes anything, needs none. */
  readonly #waiting = new Set<string>();
  readonly #forms = new Set<string>();
  /** Kept alive for others that have the same values. */
  readonly #shared: (readonly string[])[] = [];
  #units = 0;

  get isEmpty(): boolean {
    return this.#values.size === 0;
  }

  get values(): ReadonlySet<string> {
    return this.#values;
  }

  /** False when the value was added before, or is too short to be masked. */
  add(value: string): boolean {
    if (this.#values.has(value) || Buffer.byteLength(value) < limits.maskedBytesMin) return false;
    this.#values.add(value);
    this.#waiting.add(value);
    return true;
  }

  /** All values, their lines, and the forms of both, as far as they are made. */
  get all(): ReadonlySet<string> {
    return this.#forms;
  }

  /** Makes those that are missing. */
  forms(): ReadonlySet<string> {
    for (const _ of this.steps()) continue;
    return this.#forms;
  }

  /** The same in steps, between which others may have a turn, and add values or take steps of their own. */
  *steps(): Generator<void> {
    for (const value of this.#waiting) {
      const richness = this.#richnessOf(value);
      this.#addForms(value, richness);
      yield;
      yield* this.#addLines(value, richness);
      this.#waiting.delete(value);
    }
  }

  *#addLines(value: string, richness: Richness): Generator<void> {
    let count = 0;
    for (const line of linesOf(value)) {
      if (this.#units > linesTotalMax) return;
      if (this.#richnessOf(value) !== "plain") this.#addForms(line, richness);
      else if (line.length >= plainLineUnitsMin) this.#addForm(line);
      count += 1;
      if (count % stepLines === 0) yield;
    }
  }

  #richnessOf(value: string): Richness {
    if (value.length <= richUnitsMax && this.#units <= richTotalMax) return "rich";
    return this.#units <= commonTotalMax ? "common" : "plain";
  }

  #addForms(value: string, richness: Richness): void {
    // A form that an encoder left as it is has been added as the value itself, however short it is.
    this.#addForm(value);
    this.#addForm(value.toWellFormed());
    const forms = richness === "rich" ? sharedForms(value) : encodedForms(value, richness);
    if (richness === "rich") this.#shared.push(forms);
    for (const form of forms) this.#addForm(form);
  }

  #addForm(form: string): void {
    if (form.length <= pieceUnitsMax) return this.#addPiece(form);
    for (let at = 0; at + pieceUnitsMax < form.length; at += pieceUnitsMax) this.#addPiece(form.slice(at, at + pieceUnitsMax));
    // The last piece overlaps the one before: none is short enough to be hit at random.
    this.#addPiece(form.slice(-pieceUnitsMax));
  }

  #addPiece(piece: string): void {
    this.#forms.add(piece);
    // Those that are there already have taken their time all the same.
    this.#units += piece.length + formUnits;
  }
}

function encodedForms(value: string, richness: Richness): readonly string[] {
  const forms = [...commonTextForms(value, richness), ...byteForms(Buffer.from(value), richness)];
  if (richness === "rich") forms.push(...richTextForms(value), ...nestedForms(value), ...bytesInside(value));
  return forms.filter((form) => form.length >= encodedUnitsMin);
}

/** By digest, for as long as someone masks the value: executions of one workflow have the same secrets, and making forms takes a tenth of a millisecond. */
const known = new Map<string, WeakRef<readonly string[]>>();
const forgotten = new FinalizationRegistry<string>((key) => {
  // The same value may have come again since.
  if (known.get(key)?.deref() === undefined) known.delete(key);
});

function sharedForms(value: string): readonly string[] {
  // As JSON: UTF-8 would give all lone surrogates the same bytes.
  const key = sha256Hex(JSON.stringify(value));
  const there = known.get(key)?.deref();
  if (there !== undefined) return there;
  const forms = encodedForms(value, "rich");
  known.set(key, new WeakRef(forms));
  forgotten.register(forms, key);
  return forms;
}

/** Lines without the blanks around them, where a value has several, or blanks at its ends that a shell drops. */
function* linesOf(value: string): Generator<string> {
  let from = 0;
  for (let at = 0; at <= value.length; at += 1) {
    const unit = value.charCodeAt(at);
    if (at < value.length && unit !== lineFeed && unit !== carriageReturn) continue;
    const line = value.slice(from, at).trim();
    from = at + 1;
    if (line.length < value.length && Buffer.byteLength(line) >= (/[\p{L}\p{N}]/u.test(line) ? limits.maskedBytesMin : symbolsMin)) yield line;
  }
}

const lineFeed = 10;
const carriageReturn = 13;

/** A secret of bytes that are no text is seen as base64 of them: the bytes have forms of their own. */
function bytesInside(value: string): Set<string> {
  if (value.length % 4 !== 0 || !/^[A-Za-z0-9+/]{6,}={0,2}$/.test(value)) return new Set();
  const bytes = Buffer.from(value, "base64");
  return bytes.toString("base64") === value && !isText(bytes) ? byteForms(bytes, "rich") : new Set();
}

function isText(bytes: Buffer): boolean {
  return Buffer.from(bytes.toString()).equals(bytes);
}
