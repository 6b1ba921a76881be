// Which variables of the server a script or an expression refers to, as far as its text says.

const name = "([A-Za-z_][A-Za-z0-9_]*)";
const references = [
  // sh: $NAME, ${NAME…}; also the template strings of other languages, which the server's names tell apart.
  new RegExp(`\\$\\{?${name}`, "g"),
  // TypeScript: process.env.NAME, process.env["NAME"], Bun.env.NAME
  new RegExp(`\\b(?:process|Bun)\\.env(?:\\?)?\\.${name}`, "g"),
  new RegExp(`\\b(?:process|Bun)\\.env(?:\\?\\.)?\\[["'\`]${name}["'\`]`, "g"),
  // Python: os.environ["NAME"], os.environ.get("NAME"), os.getenv("NAME")
  new RegExp(`\\benviron(?:\\.get\\(|\\[|\\.setdefault\\()\\s*["']${name}["']`, "g"),
  new RegExp(`\\bgetenv\\(\\s*["']${name}["']`, "g"),
  // printenv NAME
  new RegExp(`\\bprintenv\\s+${name}`, "g"),
];

function allOf(pattern: RegExp, text: string): string[] {
  return [...text.matchAll(pattern)].map((match) => match[1] ?? "");
}

/** Names that a script refers to and does not set itself. */
export function namesInScript(script: string): Set<string> {
  const assigned = new Set([
    ...allOf(new RegExp(`(?:^|[;&|]|\\b(?:export|local|readonly|then|do|else)\\b)[ \\t]*${name}=`, "gm"), script),
    ...allOf(new RegExp(`\\b(?:for|read(?:[ \\t]+-r)?)[ \\t]+${name}\\b`, "g"), script),
  ]);
  return new Set(references.flatMap((pattern) => allOf(pattern, script)).filter((found) => !assigned.has(found)));
}

/** Names that expressions refer to as `env.NAME` or `env["NAME"]`. */
export function namesInExpressions(source: string): Set<string> {
  const expressions = [...source.matchAll(/\{\{([\s\S]*?)\}\}/g)].map((match) => match[1] ?? "");
  const pattern = new RegExp(`\\benv(?:\\.|\\[\\s*\\\\?["'])${name}`, "g");
  return new Set(expressions.flatMap((text) => allOf(pattern, text)));
}
