// JSON from outside: integers beyond ±(2^53−1) become text, since the product's values are I-JSON and a rounded id is a wrong id.
import type { Json } from "../../base/index.ts";

type Source = { source?: string };

/** @throws SyntaxError when the text is not JSON */
export function parseLosslessJson(text: string): Json {
  const revive = (_key: string, value: unknown, context?: Source): unknown =>
    typeof value === "number" && (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value)))
      ? (context?.source ?? String(value))
      : value;
  return JSON.parse(text, revive as (key: string, value: unknown) => unknown) as Json;
}
