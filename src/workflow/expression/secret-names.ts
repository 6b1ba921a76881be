// Which secrets the expressions of a value name. Validation has seen to it that every name stands there literally.
import { isObject, type Json } from "../../base/index.ts";
import { parseExpression } from "./expression.ts";
import { hasTemplate, splitTemplate } from "./template-text.ts";

function collect(value: Json, into: Set<string>): void {
  if (typeof value === "string") {
    // Parsing is slow, and most texts name none.
    if (hasTemplate(value) && value.includes("secrets")) collectText(value, into);
  } else if (Array.isArray(value)) for (const item of value) collect(item, into);
  else if (isObject(value)) for (const member of Object.values(value)) collect(member as Json, into);
}

function collectText(text: string, into: Set<string>): void {
  for (const part of splitTemplate(text).parts) {
    if (!("expression" in part)) continue;
    for (const { root, steps } of parseExpression(part.expression).references) {
      const name = steps[0]?.key;
      if (root === "secrets" && typeof name === "string") into.add(name);
    }
  }
}

/** Names below `secrets` in all templates of the values, sorted, each once. */
export function secretNames(...values: readonly Json[]): string[] {
  const found = new Set<string>();
  for (const value of values) collect(value, found);
  return [...found].toSorted();
}
