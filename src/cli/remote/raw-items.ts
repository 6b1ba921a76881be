// The members of an array inside a JSON text, as the bytes they came in: hashes are over those bytes, not over a copy.

/** Texts of the items of the top-level member `name`; empty when there is none. The text is known to be JSON. */
export function rawArrayItems(text: string, name: string): string[] {
  const start = findMember(text, name);
  if (start === -1) return [];
  const items: string[] = [];
  let depth = 0;
  let from = start + 1;
  for (let at = start; at < text.length; at++) {
    const unit = text[at];
    if (unit === '"') at = endOfString(text, at);
    else if (unit === "[" || unit === "{") depth++;
    else if (unit === "]" || unit === "}") {
      depth--;
      if (depth === 0) {
        const last = text.slice(from, at).trim();
        if (last !== "") items.push(last);
        break;
      }
    } else if (unit === "," && depth === 1) {
      items.push(text.slice(from, at).trim());
      from = at + 1;
    }
  }
  return items;
}

function endOfString(text: string, quote: number): number {
  let at = quote + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at;
}

// Where the array of that member opens; only members of the outermost object count.
function findMember(text: string, name: string): number {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text[at];
    if (unit === '"') {
      const end = endOfString(text, at);
      const after = /^\s*:\s*\[/.exec(text.slice(end + 1, end + 64));
      if (depth === 1 && after !== null && JSON.parse(text.slice(at, end + 1)) === name) return end + after[0].length;
      at = end;
    } else if (unit === "{" || unit === "[") depth++;
    else if (unit === "}" || unit === "]") depth--;
  }
  return -1;
}
