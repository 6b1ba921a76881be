// What tidy rules work on: texts with paths, parsed once, and walks over their syntax. No rule reads the disk.
import ts from "typescript";

/** A file of the repository: its path from the root with forward slashes, and its text. */
export type SourceFile = { path: string; text: string };
export type Violation = { rule: string; path: string; line: number; message: string };
/** A rule is pure: the same files give the same violations. */
export type Rule = (files: readonly SourceFile[]) => Violation[];

const parsed = new WeakMap<SourceFile, ts.SourceFile>();

export function parse(file: SourceFile): ts.SourceFile {
  const known = parsed.get(file);
  if (known !== undefined) return known;
  const tree = ts.createSourceFile(file.path, file.text, ts.ScriptTarget.ESNext, true, ts.ScriptKind.TS);
  parsed.set(file, tree);
  return tree;
}

/** Line of an offset, counted from 1. */
export function lineAt(file: SourceFile, offset: number): number {
  return parse(file).getLineAndCharacterOfPosition(offset).line + 1;
}

export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => walk(child, visit));
}

/** Collects a violation at a node. */
export type Report = (node: ts.Node, message: string) => void;

/** Makes a rule of a check on single files: those that `applies` names are parsed and given to `check`. */
export function ruleOf(rule: string, applies: (path: string) => boolean, check: (file: SourceFile, report: Report) => void): Rule {
  return (files) => {
    const found: Violation[] = [];
    for (const file of files) {
      if (!isCode(file.path) || !applies(file.path)) continue;
      check(file, (node, message) => {
        found.push({ rule, path: file.path, line: lineAt(file, node.getStart()), message });
      });
    }
    return found;
  };
}

/** Declaration files only describe what others made, in the form that the others chose. */
export function isCode(path: string): boolean {
  return path.endsWith(".ts") && !path.endsWith(".d.ts");
}

export function isSource(path: string): boolean {
  return path.startsWith("src/");
}

export function isTest(path: string): boolean {
  return path.startsWith("tests/");
}

/** Our own code, as opposed to example plugins, which follow the rules of whoever writes plugins. */
export function isOurs(path: string): boolean {
  return isSource(path) || isTest(path) || path.startsWith("bench/") || path.startsWith(".ci/") || path === "build.ts";
}

/** Leftmost identifier of `a.b(c).d`, the empty string when there is none. */
export function rootName(node: ts.Expression): string {
  if (ts.isIdentifier(node)) return node.text;
  if (ts.isPropertyAccessExpression(node) || ts.isElementAccessExpression(node) || ts.isCallExpression(node)) {
    return rootName(node.expression);
  }
  return "";
}

type Comment = { text: string; line: number };
const comments = new WeakMap<SourceFile, Comment[]>();

/** Every comment of a file in order. Found by tokens, so that strings and patterns that look like comments are none. */
export function commentsOf(file: SourceFile): Comment[] {
  const known = comments.get(file);
  if (known !== undefined) return known;
  const tree = parse(file);
  const ranges = new Map<number, number>();
  const gather = (node: ts.Node): void => {
    const children = node.getChildren(tree);
    if (children.length > 0) return children.forEach(gather);
    for (const range of ts.getLeadingCommentRanges(file.text, node.getFullStart()) ?? []) ranges.set(range.pos, range.end);
    for (const range of ts.getTrailingCommentRanges(file.text, node.getEnd()) ?? []) ranges.set(range.pos, range.end);
  };
  gather(tree);
  const found = [...ranges].toSorted(([a], [b]) => a - b).map(([pos, end]) => ({ text: file.text.slice(pos, end), line: lineAt(file, pos) }));
  comments.set(file, found);
  return found;
}
