// What of one execution may not be shown: secrets that it resolved, sensitive inputs. Everything that leaves the engine goes through here.
import { type ErrorBody, errorCodes, isObject, type Json, type JsonObject } from "../base/index.ts";
import type { Denial, WorkflowDefinition } from "../model/index.ts";
import { mask, Masker } from "../secrets/index.ts";

export class Masks {
  /** Live: what is added later is masked in streams that are open. */
  readonly masker = new Masker();
  readonly #texts = new Set<string>();
  #isSealed = true;

  add(texts: Iterable<string>): void {
    for (const text of texts) {
      if (this.#texts.has(text) || !this.masker.add([text])) continue;
      this.#texts.add(text);
      this.#isSealed = false;
    }
  }

  get texts(): string[] {
    return [...this.#texts];
  }

  /** Says that what was added is in the store already. */
  noteSealed(): void {
    this.#isSealed = true;
  }

  /** All texts, to be kept for who takes the execution over; null when none came since the last time. */
  takeUnsealed(): string[] | null {
    if (this.#isSealed) return null;
    this.#isSealed = true;
    return this.texts;
  }

  text(text: string): string {
    return this.masker.isEmpty ? text : this.masker.text(text);
  }

  /** The same object when there was nothing to mask. */
  json(value: Json): Json {
    return this.masker.isEmpty ? value : this.masker.json(value);
  }

  /** Message, details and hint, and a code that is not ours. */
  error(error: ErrorBody): ErrorBody {
    if (this.masker.isEmpty) return error;
    const { code, kind, message, details, hint } = error;
    const isOurs = Object.hasOwn(errorCodes, code);
    const shown: ErrorBody = { code: isOurs ? code : this.text(code), kind, message: this.text(message) };
    if (details !== undefined) shown.details = this.#details(details, code);
    if (hint !== undefined) shown.hint = this.text(hint);
    return shown;
  }

  /** Kind and rule are ours, the rest came from the task. */
  denial(denial: Denial): Denial {
    if (this.masker.isEmpty) return denial;
    const { target, grant } = denial;
    return { ...denial, target: this.text(target), grant: grant === null ? null : this.text(grant) };
  }

  /** Entries of permissions may come from inputs; names of members and kinds are ours. */
  permissions(record: JsonObject): JsonObject {
    if (this.masker.isEmpty) return record;
    return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, this.#entries(name, value)]));
  }

  #entries(name: string, value: Json): Json {
    if (Array.isArray(value)) return value.map((item) => this.#entries(name, item));
    if (isObject(value)) return this.permissions(value as JsonObject);
    return typeof value === "string" && name !== "kind" && name !== "by" ? this.text(value) : value;
  }

  #details(details: Record<string, unknown>, code: string): Record<string, unknown> {
    const shown = this.masker.json(details as JsonObject);
    if (!isObject(shown) || code !== "PERMISSION_DENIED") return shown as JsonObject;
    const { kind, rule } = details;
    return { ...shown, ...(kind === undefined ? {} : { kind }), ...(rule === undefined ? {} : { rule }) };
  }
}

/** Inputs as they are shown: a sensitive one is never seen, whatever its length. */
export function shownInputs(definition: WorkflowDefinition, inputs: JsonObject, masks: Masks): JsonObject {
  const hidden = definition.inputs.filter(({ id, sensitive }) => sensitive && Object.hasOwn(inputs, id));
  const shown = masks.json(inputs) as JsonObject;
  return hidden.length === 0 ? shown : { ...shown, ...Object.fromEntries(hidden.map(({ id }) => [id, mask])) };
}
