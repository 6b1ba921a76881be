// Option texts → values: counts, times, principals, inputs. What does not fit is a usage error that quotes it.
import { fail, isObject, type JsonObject, parseDuration, parseTime, toIJson } from "../base/index.ts";
import type { Page } from "../app/index.ts";
import type { CliContext } from "./context.ts";
import { decodeText, readInput } from "./source-file.ts";

/** A whole number within bounds; undefined when the option was not given. @throws USAGE */
export function parseCount(option: string, text: string | null, bounds: { min: number; max: number }): number | undefined {
  if (text === null) return undefined;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < bounds.min || value > bounds.max)
    throw fail("USAGE", `Cannot use ${option} "${text}": not a whole number from ${bounds.min} to ${bounds.max}`);
  return value;
}

/** @throws USAGE */
export function parsePage({ limit, cursor }: { limit: string | null; cursor: string | null }): Page {
  const count = parseCount("--limit", limit, { min: 1, max: 500 });
  return { ...(count === undefined ? {} : { limit: count }), ...(cursor === null ? {} : { cursor }) };
}

/** A time, or a duration that is counted from now: back for `ago`, else ahead. @throws USAGE */
export function parseMoment(option: string, text: string | null, { now, ago }: { now: number; ago: boolean }): number | undefined {
  if (text === null) return undefined;
  const duration = parseDuration(text);
  if (duration !== null) return ago ? now - duration : now + duration;
  const at = parseTime(text) ?? parseTime(`${text}T00:00:00Z`);
  if (at === null) throw fail("USAGE", `Cannot use ${option} "${text}": neither a time like 2026-01-31T12:00:00Z nor a duration like 24h`);
  return at;
}

/** One of a few words. @throws USAGE */
export function parseChoice<const T extends string>(option: string, text: string | null, choices: readonly T[]): T | null {
  if (text === null) return null;
  const found = choices.find((choice) => choice === text);
  if (found === undefined) throw fail("USAGE", `Cannot use ${option} "${text}": not one of ${choices.join(", ")}`);
  return found;
}

/** `k=v` texts; a later one of the same name wins. @throws USAGE */
export function parsePairs(option: string, texts: readonly string[]): Record<string, string> {
  const pairs: [string, string][] = texts.map((text) => {
    const equals = text.indexOf("=");
    if (equals < 1) throw fail("USAGE", `Cannot use ${option} "${text}": not of the form name=value`);
    return [text.slice(0, equals), text.slice(equals + 1)];
  });
  return Object.fromEntries(pairs);
}

/** The map that `--inputs` names, JSON or YAML. @throws FILE_NOT_FOUND, USAGE */
export async function readInputsFile(context: CliContext, file: string | null): Promise<JsonObject> {
  if (file === null) return {};
  const source = decodeText(readInput(context, file));
  if (source === null) throw fail("USAGE", `Cannot read the inputs in "${file}": the file is not UTF-8`);
  const { parse } = await import("yaml");
  let value: unknown;
  try {
    value = parse(source);
  } catch (cause) {
    throw fail("USAGE", `Cannot read the inputs in "${file}": ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  const json = toIJson(value ?? {});
  if (!isObject(json)) throw fail("USAGE", `Cannot read the inputs in "${file}": not a map`);
  return json as JsonObject;
}
