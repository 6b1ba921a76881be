// Forms of the language that this code does without, and the shape of index files and test skips.
import ts from "typescript";
import { commentsOf, isCode, isOurs, isSource, isTest, lineAt, parse, rootName, ruleOf, walk } from "../source.ts";
import type { Report, Rule, SourceFile } from "../source.ts";

export const noDefaultExport = ruleOf("no-default-export", isOurs, (file, report) => {
  walk(parse(file), (node) => {
    const isDefault = ts.canHaveModifiers(node) && ts.getModifiers(node)?.some((one) => one.kind === ts.SyntaxKind.DefaultKeyword);
    const isNamedDefault = ts.isExportSpecifier(node) && node.name.text === "default";
    if (ts.isExportAssignment(node) || isDefault === true || isNamedDefault) report(node, "export by name");
  });
});

export const noAny = ruleOf("no-any", isOurs, (file, report) => {
  walk(parse(file), (node) => {
    if (node.kind === ts.SyntaxKind.AnyKeyword) report(node, "use unknown or the real type");
  });
});

export const noEnum = ruleOf("no-enum", isOurs, (file, report) => {
  walk(parse(file), (node) => {
    if (ts.isEnumDeclaration(node)) report(node, "use a union of strings");
  });
});

export const indexOnlyExports = ruleOf(
  "index-only-exports",
  (path) => isSource(path) && path.endsWith("/index.ts"),
  (file, report) => {
    for (const statement of parse(file).statements) {
      const isReexport = ts.isExportDeclaration(statement) && statement.moduleSpecifier !== undefined;
      if (!isReexport) report(statement, "an index.ts only exports from other files");
    }
  },
);

/**
 * A skip needs a comment on the line above it, or above the constant that is its condition, or `(skip: why)` in its title.
 * `only` is never left in.
 */
export const skipHasReason: Rule = (files) => {
  const explained = new Set(files.filter((file) => isCode(file.path) && isTest(file.path)).flatMap(explainedNames));
  return ruleOf("skip-has-reason", isTest, (file, report) => checkSkips(file, explained, report))(files);
};

function explainedNames(file: SourceFile): string[] {
  const hasComment = commentFinder(file);
  const found: string[] = [];
  walk(parse(file), (node) => {
    if (ts.isVariableDeclaration(node) && hasComment(node)) found.push(node.name.getText());
  });
  return found;
}

/** Tells whether a comment ends on the line above a node. */
function commentFinder(file: SourceFile): (node: ts.Node) => boolean {
  const ends = new Set(commentsOf(file).map(({ line, text }) => line + text.split("\n").length - 1));
  return (node) => ends.has(lineAt(file, node.getStart()) - 1);
}

function checkSkips(file: SourceFile, explained: ReadonlySet<string>, report: Report): void {
  const hasComment = commentFinder(file);
  walk(parse(file), (node) => {
    if (!ts.isPropertyAccessExpression(node) || !["test", "it", "describe"].includes(rootName(node))) return;
    const name = node.name.text;
    if (name === "only") report(node, "runs one test and hides the others");
    if (!["skip", "skipIf", "todo", "todoIf", "if"].includes(name)) return;
    const [first] = ts.isCallExpression(node.parent) ? node.parent.arguments : [];
    if (!hasComment(node) && !(first !== undefined && givesReason(first, explained))) report(node, "say why in a comment on the line above");
  });
}

/** Whether the first argument of a skip, its title or its condition, tells why. */
function givesReason(first: ts.Expression, explained: ReadonlySet<string>): boolean {
  if (ts.isStringLiteralLike(first)) return /\(skip: .+\)/.test(first.text);
  const condition = ts.isPrefixUnaryExpression(first) ? first.operand : first;
  return ts.isIdentifier(condition) && explained.has(condition.text);
}
