// Line and column of a member inside a JSON text that is known to be well formed; walked only to explain a refusal.

const space = /[\t\n\r ]*/y;
const token = /"[^"\\]*(?:\\.[^"\\]*)*"|[^\s,\]}]+/y;

/** The place of the value at that path, or of its key. Where the path ends early, the place of the last part that exists. */
export function positionIn(text: string, path: readonly string[], ofKey: boolean): { line: number; column: number } {
  let offset = skipSpace(text, 0);
  for (const [index, part] of path.entries()) {
    const found = text[offset] === "[" ? findItem(text, offset, Number(part)) : text[offset] === "{" ? findMember(text, offset, part) : null;
    if (found === null) break;
    const isLast = index === path.length - 1;
    offset = isLast && ofKey ? found.key : found.value;
  }
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf("\n") + 1;
  return { line: before.split("\n").length, column: offset - lineStart + 1 };
}

type Found = { key: number; value: number };

// The last of equal keys counts, as it does for JSON.parse.
function findMember(text: string, open: number, name: string): Found | null {
  let found: Found | null = null;
  let at = skipSpace(text, open + 1);
  while (at < text.length && text[at] !== "}") {
    const key = at;
    const keyEnd = skipToken(text, at);
    const value = skipSpace(text, skipSpace(text, keyEnd) + 1);
    if (JSON.parse(text.slice(key, keyEnd)) === name) found = { key, value };
    at = nextPart(text, skipValue(text, value));
  }
  return found;
}

function findItem(text: string, open: number, wanted: number): Found | null {
  let at = skipSpace(text, open + 1);
  for (let index = 0; at < text.length && text[at] !== "]"; index++) {
    if (index === wanted) return { key: at, value: at };
    at = nextPart(text, skipValue(text, at));
  }
  return null;
}

function nextPart(text: string, end: number): number {
  const at = skipSpace(text, end);
  return text[at] === "," ? skipSpace(text, at + 1) : at;
}

// Brackets inside strings are passed over with their strings. Not recursive: nesting may be deep.
function skipValue(text: string, start: number): number {
  let depth = 0;
  let at = start;
  do {
    const unit = text[at] ?? "";
    if (unit === "{" || unit === "[") depth++;
    if (unit === "}" || unit === "]") depth--;
    at = "{}[],:".includes(unit) ? at + 1 : skipToken(text, at);
    if (depth > 0) at = skipSpace(text, at);
  } while (depth > 0 && at < text.length);
  return at;
}

function skipToken(text: string, start: number): number {
  token.lastIndex = start;
  return token.test(text) ? token.lastIndex : start + 1;
}

function skipSpace(text: string, start: number): number {
  space.lastIndex = start;
  space.test(text);
  return space.lastIndex;
}
