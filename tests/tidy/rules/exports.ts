// Exports that nobody else names. Cheap and one-sided: a name that some other file uses, in any meaning, counts as used.
import ts from "typescript";
import { isCode, isSource, lineAt, parse, walk } from "../source.ts";
import type { Rule, SourceFile, Violation } from "../source.ts";

/** Folders whose exports are for people outside the repository. */
const published = ["src/sdk/"];

/** Finds exported values of src that no other file names; types are left alone, since signatures need them. */
export const deadExports: Rule = (files) => {
  const code = files.filter((file) => isCode(file.path));
  const users = new Map<string, Set<string>>();
  for (const file of code.filter((one) => !one.path.endsWith("/index.ts"))) {
    walk(parse(file), (node) => {
      if (ts.isIdentifier(node)) users.set(node.text, (users.get(node.text) ?? new Set()).add(file.path));
    });
  }
  const found: Violation[] = [];
  for (const file of code.filter((one) => isSource(one.path) && !published.some((folder) => one.path.startsWith(folder)))) {
    for (const { name, node } of exportedValues(file)) {
      const others = [...(users.get(name) ?? [])].filter((path) => path !== file.path);
      if (others.length > 0) continue;
      found.push({ rule: "dead-exports", path: file.path, line: lineAt(file, node.getStart()), message: `nobody else uses ${name}` });
    }
  }
  return found;
};

function exportedValues(file: SourceFile): { name: string; node: ts.Node }[] {
  return parse(file).statements.flatMap((statement): { name: string; node: ts.Node }[] => {
    const isExported = ts.canHaveModifiers(statement) && ts.getModifiers(statement)?.some((one) => one.kind === ts.SyntaxKind.ExportKeyword);
    if (isExported !== true) return [];
    if (ts.isVariableStatement(statement)) {
      return statement.declarationList.declarations.map((node) => ({ name: node.name.getText(), node }));
    }
    const isNamed = ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement);
    return isNamed && statement.name !== undefined ? [{ name: statement.name.text, node: statement }] : [];
  });
}
