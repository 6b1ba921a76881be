// Rules on plain text: line form, leftover markers, the opening comment of a source file, and names of files and folders.
import ts from "typescript";
import { commentsOf, isCode, isOurs, isSource } from "../source.ts";
import type { Rule, SourceFile, Violation } from "../source.ts";

const lineUnitsMax = 160;
const headerLinesMax = 4;

/** Prose and data may have long lines: tables and JSON have no other way. */
const hasShortLines = /\.(ts|sh|sql|ya?ml)$|^install\.sh$|^\.ci\//;
/** Bytes that are recorded, made by tools or taken from elsewhere are left as they are. */
const isForeign = /(^|\/)(fixtures|golden|goldens)\/|package-lock\.json$/;
const isText = /\.(ts|md|json|sh|sql|ya?ml)$|^\.ci\/[^.]+$|^\.(gitignore|oxlintrc\.json)$/;

export const lineForm: Rule = (files) => files.filter((file) => isText.test(file.path) && !isForeign.test(file.path)).flatMap(checkLines);

function checkLines({ path, text }: SourceFile): Violation[] {
  const found: Violation[] = [];
  const lines = text.split("\n");
  const add = (line: number, message: string): void => {
    found.push({ rule: "line-form", path, line, message });
  };
  lines.forEach((line, index) => {
    if (line.includes("\t")) add(index + 1, "a tab");
    if (/[ \r]$/.test(line)) add(index + 1, "a blank at the end of the line");
    // In tests one long text (a workflow, say) reads better on its line than in pieces.
    const isOneText = path.startsWith("tests/") && /(["'`]).{80,}\1/.test(line);
    if (hasShortLines.test(path) && !isOneText && line.length > lineUnitsMax)
      add(index + 1, `${line.length} characters, at most ${lineUnitsMax} are allowed`);
  });
  if (text.length === 0) add(1, "an empty file");
  else if (!text.endsWith("\n")) add(lines.length, "no newline at the end of the file");
  else if (text.endsWith("\n\n")) add(lines.length, "blank lines at the end of the file");
  return found;
}

/** One of the objective states has the name of the commonest marker, so that one counts only where it is used as a marker. */
const marker = /\b(FIXME|XXX|HACK)\b|^\W*TODO\b|\bTODO\s*[:(]/m;

export const noMarkers: Rule = (files) =>
  files
    .filter((file) => isCode(file.path) && isOurs(file.path))
    .flatMap((file) =>
      commentsOf(file)
        .filter((comment) => marker.test(comment.text))
        .map(({ line }) => ({ rule: "no-markers", path: file.path, line, message: "do it, or file an issue" })),
    );

export const headerComment: Rule = (files) =>
  files
    .filter((file) => isCode(file.path) && isSource(file.path) && !file.path.endsWith("/index.ts"))
    .flatMap((file) => {
      const lines = headerLines(file.text);
      if (lines >= 1 && lines <= headerLinesMax) return [];
      const message = `opens with ${lines} lines of comment on what it owns, 1 to ${headerLinesMax} are wanted`;
      return [{ rule: "header-comment", path: file.path, line: 1, message }];
    });

/** Lines of the comment that opens a file. A comment after a blank line is no longer the opening one. */
function headerLines(text: string): number {
  const start = ts.getShebang(text)?.length ?? 0;
  const body = text.slice(start).replace(/^\n/, "");
  const opening = body.split("\n\n")[0] ?? "";
  const ranges = ts.getLeadingCommentRanges(opening, 0) ?? [];
  return ranges.reduce((sum, range) => sum + opening.slice(range.pos, range.end).split("\n").length, 0);
}

const forbiddenWords = new Set("util utils helper helpers common misc manager managers service services type types".split(" "));
const kebab = /^[a-z0-9]+(-[a-z0-9]+)*$/;

/** Names say what a thing is: words that fit everything are refused as names and as the last word of one. */
export const names: Rule = (files) => {
  const found: Violation[] = [];
  for (const { path } of files.filter((file) => isCode(file.path) && isOurs(file.path))) {
    const parts = path.split("/").map((part) => part.replace(/^\./, "").replace(/(\.test)?\.ts$/, ""));
    for (const part of parts) {
      if (forbiddenWords.has(part.split("-").at(-1) ?? "")) found.push({ rule: "names", path, line: 1, message: `"${part}" says nothing` });
      else if (!kebab.test(part)) found.push({ rule: "names", path, line: 1, message: `"${part}" is not kebab-case` });
    }
  }
  return found;
};
