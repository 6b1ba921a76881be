// Hard limits on files and functions, with a short list of named exceptions.
import ts from "typescript";
import { isCode, isOurs, lineAt, parse, rootName, walk } from "../source.ts";
import type { Rule, SourceFile, Violation } from "../source.ts";

export const fileLinesMax = 500;
export const functionLinesMax = 70;
export const waiversMax = 5;

/** An exception: `at` is a path, or `path#function`; `why` is for the reader. */
export type Waiver = { at: string; why: string };

/** Checks sizes; a waiver that waives nothing is a violation too. */
export function sizesWith(waivers: readonly Waiver[]): Rule {
  return (files) => {
    const found: Violation[] = [];
    const used = new Set<string>();
    const add = (path: string, line: number, message: string): void => {
      found.push({ rule: "sizes", path, line, message });
    };
    for (const file of files.filter((one) => isCode(one.path) && isOurs(one.path))) {
      for (const large of largeParts(file)) {
        if (waivers.some((waiver) => waiver.at === large.at)) used.add(large.at);
        else add(file.path, large.line, `${large.at} has ${large.lines} lines, at most ${large.max} are allowed`);
      }
    }
    for (const waiver of waivers) {
      if (!used.has(waiver.at)) add(waiver.at.split("#")[0] ?? "", 1, `the waiver for ${waiver.at} waives nothing`);
    }
    if (waivers.length > waiversMax) add("tests/tidy/tidy.test.ts", 1, `${waivers.length} waivers, at most ${waiversMax} are allowed`);
    return found;
  };
}

type Large = { at: string; line: number; lines: number; max: number };

function largeParts(file: SourceFile): Large[] {
  const found: Large[] = [];
  const lines = file.text.replace(/\n$/, "").split("\n").length;
  if (lines > fileLinesMax) found.push({ at: file.path, line: 1, lines, max: fileLinesMax });
  walk(parse(file), (node) => {
    if (!ts.isFunctionLike(node) || isGroup(node)) return;
    const line = lineAt(file, node.getStart());
    const length = lineAt(file, node.getEnd()) - line + 1;
    if (length > functionLinesMax) found.push({ at: `${file.path}#${nameOf(node)}`, line, lines: length, max: functionLinesMax });
  });
  return found;
}

/** The callback of a `describe` only groups tests; its length says nothing. */
function isGroup(node: ts.Node): boolean {
  return ts.isCallExpression(node.parent) && rootName(node.parent.expression) === "describe";
}

function nameOf(node: ts.SignatureDeclaration): string {
  const named = node.name ?? (ts.isVariableDeclaration(node.parent) || ts.isPropertyAssignment(node.parent) ? node.parent.name : undefined);
  return named?.getText() ?? "anonymous";
}
