// Error and diagnostic codes: each exists once, in UPPER_SNAKE, and is documented.
import ts from "typescript";
import { lineAt, parse, walk } from "../source.ts";
import type { Rule, SourceFile, Violation } from "../source.ts";

const tables = [
  { path: "src/base/errors.ts", name: "errorCodes", page: "docs/reference/errors.md" },
  { path: "src/model/diagnostic.ts", name: "diagnosticCodes", page: "docs/reference/diagnostics.md" },
];

/** Means the same as a finding and as an error: what this version cannot run. */
const shared = new Set(["NOT_AVAILABLE_YET"]);

export const codes: Rule = (files) => {
  const found: Violation[] = [];
  const seen = new Map<string, string>();
  for (const table of tables) {
    const file = files.find((one) => one.path === table.path);
    const page = files.find((one) => one.path === table.page)?.text ?? "";
    const listed = file === undefined ? [] : keysOf(file, table.name);
    const add = (line: number, message: string): void => {
      found.push({ rule: "codes", path: table.path, line, message });
    };
    if (listed.length === 0) add(1, `no table ${table.name}`);
    for (const { code, line } of listed) {
      if (!/^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$/.test(code)) add(line, `${code} is not UPPER_SNAKE`);
      if (seen.has(code) && !shared.has(code)) add(line, `${code} exists already in ${seen.get(code)}`);
      if (!page.includes(`\`${code}\``)) add(line, `${code} is not in ${table.page}: run "npm run docs"`);
      seen.set(code, table.name);
    }
  }
  return found;
};

function keysOf(file: SourceFile, name: string): { code: string; line: number }[] {
  const found: { code: string; line: number }[] = [];
  walk(parse(file), (node) => {
    if (!ts.isVariableDeclaration(node) || node.name.getText() !== name || node.initializer === undefined) return;
    const table = unwrap(node.initializer);
    if (!ts.isObjectLiteralExpression(table)) return;
    for (const { name: key } of table.properties) {
      if (key !== undefined && (ts.isIdentifier(key) || ts.isStringLiteral(key))) found.push({ code: key.text, line: lineAt(file, key.getStart()) });
    }
  });
  return found;
}

function unwrap(node: ts.Expression): ts.Expression {
  return ts.isAsExpression(node) || ts.isSatisfiesExpression(node) ? unwrap(node.expression) : node;
}
