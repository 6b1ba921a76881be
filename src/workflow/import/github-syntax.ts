// The expression language of GitHub Actions: text to a tree, and the `${{ }}` of a text.

export type Syntax =
  | { is: "literal"; value: string | number | boolean | null }
  | { is: "name"; path: string[] }
  | { is: "call"; name: string; args: Syntax[] }
  | { is: "not"; of: Syntax }
  | { is: "binary"; op: Operator; left: Syntax; right: Syntax };
export type Operator = "||" | "&&" | "==" | "!=" | "<" | "<=" | ">" | ">=";

const tokenPattern = /\s*(?:('(?:[^']|'')*')|(-?\d+(?:\.\d+)?(?![\w.]))|([A-Za-z_][\w-]*)|(\|\||&&|==|!=|<=|>=|[!<>()[\].,*]))/y;
const levels: readonly (readonly string[])[] = [["||"], ["&&"], ["==", "!="], ["<", "<=", ">", ">="]];
/** Deeper ones are written by no person. */
const depthMax = 50;

type Tokens = { list: string[]; at: number };

function tokenize(text: string): Tokens | null {
  const list: string[] = [];
  tokenPattern.lastIndex = 0;
  while (tokenPattern.lastIndex < text.trimEnd().length) {
    const match = tokenPattern.exec(text);
    if (match === null) return null;
    list.push(match[1] ?? match[2] ?? match[3] ?? match[4] ?? "");
  }
  return { list, at: 0 };
}

function accept(tokens: Tokens, wanted: string): boolean {
  if (tokens.list[tokens.at] !== wanted) return false;
  tokens.at++;
  return true;
}

function parseLevel(tokens: Tokens, level: number, depth: number): Syntax | null {
  const operators = levels[level];
  if (operators === undefined) return parseUnary(tokens, depth);
  let left = parseLevel(tokens, level + 1, depth);
  for (let op = tokens.list[tokens.at]; left !== null && op !== undefined && operators.includes(op); op = tokens.list[tokens.at]) {
    tokens.at++;
    const right = parseLevel(tokens, level + 1, depth);
    left = right === null ? null : { is: "binary", op: op as Operator, left, right };
  }
  return left;
}

function parseUnary(tokens: Tokens, depth: number): Syntax | null {
  if (depth > depthMax) return null;
  if (accept(tokens, "!")) {
    const of = parseUnary(tokens, depth + 1);
    return of === null ? null : { is: "not", of };
  }
  if (accept(tokens, "(")) {
    const inner = parseLevel(tokens, 0, depth + 1);
    return accept(tokens, ")") ? inner : null;
  }
  return parseOperand(tokens, depth);
}

const words: Record<string, boolean | null> = { true: true, false: false, null: null };

function parseOperand(tokens: Tokens, depth: number): Syntax | null {
  const token = tokens.list[tokens.at++];
  if (token === undefined) return null;
  if (token.startsWith("'")) return { is: "literal", value: token.slice(1, -1).replaceAll("''", "'") };
  if (/^-?\d/.test(token)) return { is: "literal", value: Number(token) };
  if (!/^[A-Za-z_]/.test(token)) return null;
  if (Object.hasOwn(words, token)) return { is: "literal", value: words[token] ?? null };
  if (accept(tokens, "(")) return parseCall(tokens, token, depth);
  const path = [token];
  for (;;) {
    if (accept(tokens, ".")) {
      const member = tokens.list[tokens.at++];
      if (member === undefined || !/^[A-Za-z_*]/.test(member)) return null;
      path.push(member);
    } else if (accept(tokens, "[")) {
      const member = tokens.list[tokens.at++];
      if (member === undefined || !member.startsWith("'") || !accept(tokens, "]")) return null;
      path.push(member.slice(1, -1).replaceAll("''", "'"));
    } else return { is: "name", path };
  }
}

function parseCall(tokens: Tokens, name: string, depth: number): Syntax | null {
  const args: Syntax[] = [];
  if (accept(tokens, ")")) return { is: "call", name: name.toLowerCase(), args };
  do {
    const arg = parseLevel(tokens, 0, depth + 1);
    if (arg === null) return null;
    args.push(arg);
  } while (accept(tokens, ","));
  return accept(tokens, ")") ? { is: "call", name: name.toLowerCase(), args } : null;
}

/** The tree of an expression; null for what is none, or uses what this does not read (indexes that are computed). */
export function parseSyntax(text: string): Syntax | null {
  const tokens = tokenize(text);
  if (tokens === null || tokens.list.length === 0) return null;
  const tree = parseLevel(tokens, 0, 0);
  return tokens.at === tokens.list.length ? tree : null;
}

export type TextPart = { literal: string } | { expression: string; start: number; end: number };

/** The parts of a text between and inside its `${{ }}`; `start` and `end` enclose the braces. */
export function splitExpressions(text: string): TextPart[] {
  const parts: TextPart[] = [];
  let at = 0;
  for (let start = text.indexOf("${{"); start !== -1; start = text.indexOf("${{", at)) {
    const end = endOfExpression(text, start + 3);
    if (end === -1) break;
    if (start > at) parts.push({ literal: text.slice(at, start) });
    parts.push({ expression: text.slice(start + 3, end).trim(), start, end: end + 2 });
    at = end + 2;
  }
  if (at < text.length) parts.push({ literal: text.slice(at) });
  return parts;
}

/** Where the braces close that are no part of a text in quotes; -1 where they do not. */
function endOfExpression(text: string, start: number): number {
  for (let at = start; at < text.length; at++) {
    if (text.startsWith("}}", at)) return at;
    if (text[at] !== "'") continue;
    at = text.indexOf("'", at + 1);
    if (at === -1) return -1;
  }
  return -1;
}
