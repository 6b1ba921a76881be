// Findings for people: place, message, the line of the source with a caret under it, and what to do.
import chalk, { Chalk } from "chalk";
import type { Diagnostic } from "../../model/index.ts";

export type RenderOptions = { colour: boolean };

const shownMax = 160;

/** The part of a long line around a column, with the column's place in it. */
function excerpt(line: string, column: number): { text: string; column: number } {
  const plain = line.replaceAll("\t", " ");
  if (plain.length <= shownMax) return { text: plain, column };
  const start = Math.max(0, Math.min(column - 1 - shownMax / 2, plain.length - shownMax));
  return {
    text: `${start > 0 ? "…" : ""}${plain.slice(start, start + shownMax)}${start + shownMax < plain.length ? "…" : ""}`,
    column: column - start + (start > 0 ? 1 : 0),
  };
}

/** Columns that a text takes on a screen: characters outside the BMP are one character of two units. */
function screenWidth(text: string): number {
  return Bun.stringWidth(text);
}

function sourceLines(found: Diagnostic, lines: readonly string[] | undefined, paint: typeof chalk): string[] {
  const line = lines?.[found.line - 1];
  if (line === undefined) return [];
  const { text, column } = excerpt(line, found.column);
  const number = String(found.line);
  const marked = Math.max(1, Math.min((found.endColumn ?? found.column + 1) - found.column, text.length - column + 1));
  const before = " ".repeat(screenWidth(text.slice(0, column - 1)));
  const caret = found.severity === "error" ? paint.red("^".repeat(marked)) : paint.yellow("^".repeat(marked));
  return [paint.dim(`  ${number} | `) + text, `${paint.dim(`  ${" ".repeat(number.length)} | `)}${before}${caret}`];
}

/** Text of all findings, without a line break at the end. `sources` holds the text of each file, for the source lines. */
export function renderDiagnostics(diagnostics: readonly Diagnostic[], sources: ReadonlyMap<string, string>, { colour }: RenderOptions): string {
  const paint = colour ? new Chalk({ level: 1 }) : new Chalk({ level: 0 });
  const linesOf = new Map([...sources].map(([file, text]) => [file, text.replace(/^\uFEFF/, "").split(/\r?\n/)]));
  const blocks = diagnostics.map((found) => {
    const severity = found.severity === "error" ? paint.red.bold(`error[${found.code}]`) : paint.yellow.bold(`warning[${found.code}]`);
    const block = [
      `${paint.bold(`${found.file}:${found.line}:${found.column}`)}: ${severity}: ${found.message}`,
      ...sourceLines(found, linesOf.get(found.file), paint),
    ];
    if (found.hint !== undefined) block.push(paint.cyan(`  hint: ${found.hint}`));
    return block.join("\n");
  });
  return blocks.join("\n\n");
}
