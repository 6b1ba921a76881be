// Texts of the result: literals that templates leave alone, expressions, and words for a shell.

/** A text that stands for itself where templates are replaced. */
export function literal(text: string): string {
  return text.replaceAll("{{", "\\{{");
}

const escapes: Record<string, string> = { "\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** A text as a literal of an expression. */
export function quoteCel(text: string): string {
  return `'${text.replace(/[\\'\n\r\t]/g, (unit) => escapes[unit] ?? unit)}'`;
}

const reserved = new Set(
  "true false null in as break const continue else for function if import let loop package namespace return var void while".split(" "),
);

/** `tasks` and `a` → `tasks.a`; names that an expression would read otherwise are put into brackets. */
export function memberOfRoot(root: string, name: string): string {
  return /^[A-Za-z_]\w*$/.test(name) && !reserved.has(name) ? `${root}.${name}` : `${root}[${JSON.stringify(name)}]`;
}

export const taskRef = (id: string): string => memberOfRoot("tasks", id);

export const expression = (cel: string): string => `{{ ${cel} }}`;

/** Whether one pair of parentheses is around all of an expression. */
function isEnclosed(cel: string): boolean {
  let depth = 0;
  for (const match of cel.matchAll(/'(?:[^'\\]|\\.)*'|"[^"]*"|[()]/g)) {
    if (match[0] === "(") depth++;
    else if (match[0] === ")") depth--;
    if (depth === 0 && match.index + match[0].length < cel.length) return false;
  }
  return cel.startsWith("(");
}

const atom = /^(?:[\w.]+(?:\(\))?|'(?:[^'\\]|\\.)*'|[\w.]+\["[^"]*"\](?:\.\w+)*)$/;

/** An expression as one operand. */
export function enclose(cel: string): string {
  return atom.test(cel) || isEnclosed(cel) ? cel : `(${cel})`;
}

/** Expressions that must all hold. */
export function allOf(...parts: string[]): string {
  return parts.map((part) => (parts.length > 1 && /\|\||\?/.test(part) ? enclose(part) : part)).join(" && ");
}

/** One word of a shell, whatever it holds. */
export function quoteShell(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
