// Splits text into what stands literally and what stands in {{ }}; knows CEL's strings and braces, so `}}` inside them does not end it.

/** `start` is the offset of the expression's first unit after `{{`. */
export type TemplatePart = { literal: string } | { expression: string; start: number };

/** `problem` is an opening without its end. */
export type SplitTemplate = { parts: TemplatePart[]; problem: { message: string; start: number; end: number } | null };

/** Whether splitting a text would find anything but the text itself. */
export function hasTemplate(text: string): boolean {
  return text.includes("{{");
}

/** Offset after the string that starts at `at`; beyond the text's end when it is not closed. Raw strings end as others do, as the CEL library has it. */
function skipString(text: string, at: number): number {
  const quote = text[at] ?? "";
  const triple = text.startsWith(quote.repeat(3), at);
  const end = triple ? quote.repeat(3) : quote;
  let index = at + end.length;
  while (index < text.length && !text.startsWith(end, index)) index += text[index] === "\\" ? 2 : 1;
  return index + end.length;
}

/** Offset of the `}}` that ends the expression starting at `start`, -1 when there is none. */
function findEnd(text: string, start: number): number {
  let depth = 0;
  let index = start;
  while (index < text.length) {
    const unit = text[index];
    if (unit === '"' || unit === "'") {
      index = skipString(text, index);
      continue;
    }
    if (unit === "/" && text[index + 1] === "/") {
      const line = text.indexOf("\n", index);
      if (line === -1) return -1;
      index = line;
    } else if (unit === "{") depth++;
    else if (unit === "}") {
      if (depth === 0 && text[index + 1] === "}") return index;
      depth = Math.max(0, depth - 1);
    }
    index++;
  }
  return -1;
}

/** One pass over the text; `\{{` gives a literal `{{`. */
export function splitTemplate(text: string): SplitTemplate {
  const parts: TemplatePart[] = [];
  let literal = "";
  let at = 0;
  for (let open = text.indexOf("{{"); open !== -1; open = text.indexOf("{{", at)) {
    if (text[open - 1] === "\\" && open > at) {
      literal += `${text.slice(at, open - 1)}{{`;
      at = open + 2;
      continue;
    }
    const end = findEnd(text, open + 2);
    if (end === -1) return { parts, problem: { message: "This {{ has no }}", start: open, end: open + 2 } };
    literal += text.slice(at, open);
    if (literal !== "") parts.push({ literal });
    literal = "";
    parts.push({ expression: text.slice(open + 2, end), start: open + 2 });
    at = end + 2;
  }
  literal += text.slice(at);
  if (literal !== "") parts.push({ literal });
  return { parts, problem: null };
}

/** The expression of a text that is exactly one `{{ }}`; white space beside it makes it text like anything else. */
export function soleExpression(parts: readonly TemplatePart[]): { expression: string; start: number } | null {
  const [first] = parts;
  return parts.length === 1 && first !== undefined && "expression" in first ? first : null;
}

/** Without the literals that are only white space. */
export function withoutBlanks(parts: readonly TemplatePart[]): TemplatePart[] {
  return parts.filter((part) => "expression" in part || part.literal.trim() !== "");
}
