// Regular expressions in linear time, for `matches` and for `pattern` in schemas, so that no pattern can hang the engine.
import type { RE2JS } from "re2js";

export type LinearPattern = { test(text: string): boolean };

/** Patterns are compiled to programs; a longer one is a mistake. */
const patternUnitsMax = 1000;
const cacheMax = 500;
const cache = new Map<string, RE2JS>();

/** Loaded at first use: most workflows have no pattern, and the library takes some milliseconds. */
function compile(source: string): RE2JS {
  const { RE2JS: engine } = require("re2js") as typeof import("re2js");
  return engine.compile(source);
}

/** A compiled pattern; it matches anywhere in a text unless anchored. @throws Error when the pattern is not valid RE2 */
export function linearPattern(source: string): LinearPattern {
  let compiled = cache.get(source);
  if (compiled === undefined) {
    if (source.length > patternUnitsMax) throw new Error(`A pattern may have at most ${patternUnitsMax} characters`);
    compiled = compile(source);
    if (cache.size >= cacheMax) cache.clear();
    cache.set(source, compiled);
  }
  const ready = compiled;
  return { test: (text) => ready.matcher(text).find() };
}
