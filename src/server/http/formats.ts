// The string formats of queries and bodies beside those of the model: TypeBox knows none by itself, and those of other libraries are laxer.
import { isAbsolute } from "node:path";
import { FormatRegistry, Type } from "@sinclair/typebox";
import { limits, parseDuration } from "../../base/index.ts";
import { logLevels, registerFormats } from "../../model/index.ts";

registerFormats();
FormatRegistry.Set("wait", (text) => (parseDuration(text) ?? Number.POSITIVE_INFINITY) <= limits.waitMsMax);
FormatRegistry.Set("absolute-path", (text) => isAbsolute(text) && !text.includes("\0"));
FormatRegistry.Set("log-levels", isLevels);

// `WARN+` is a floor, `WARN,ERROR` a list.
function isLevels(text: string): boolean {
  const names = text.endsWith("+") ? [text.slice(0, -1)] : text.split(",");
  return names.every((name) => (logLevels as readonly string[]).includes(name.toUpperCase()));
}

/** Parts that several queries have. */
export const Limit = Type.Integer({ minimum: 1, maximum: limits.pageMax, description: `At most so many; default ${limits.pageDefault}.` });
export const Cursor = Type.String({ minLength: 1, maxLength: 2000, description: "Where the page before ended; opaque." });
export const Offset = Type.Integer({ minimum: 0, description: "Skip so many." });
export const Time = (description: string) => Type.String({ format: "date-time", description });
export const Text = (description: string) => Type.String({ minLength: 1, maxLength: 1000, description });
export const paging = { limit: Type.Optional(Limit), cursor: Type.Optional(Cursor) };
export const Wait = Type.String({
  format: "wait",
  "x-expects": "a duration of at most 60s",
  description: "Answer when it has ended, or after so long.",
});
export const AbsolutePath = (description: string) => Type.String({ format: "absolute-path", "x-expects": "an absolute path", description });
export const Levels = Type.String({
  format: "log-levels",
  "x-expects": "levels such as WARN,ERROR or a floor such as WARN+",
  description: "Levels as a list, or a floor with + behind it.",
});
