// Aligned lists for people. Columns shrink to the terminal from the widest on; without a terminal nothing is cut.
import type { Paint, Style } from "./style.ts";
import { cutToWidth, padToWidth, visibleLine } from "./visible.ts";

export type Column<T> = {
  title: string;
  value: (row: T) => string;
  paint?: (row: T) => Paint;
  align?: "right";
};

const gap = 2;
const columnMin = 6;

export type TableOptions = { style: Style; columns: number | null };

/** A table with a heading line; each line ends with a newline. */
export function renderTable<T>(rows: readonly T[], columns: readonly Column<T>[], options: TableOptions): string {
  const cells = rows.map((row) => columns.map((column) => visibleLine(column.value(row))));
  const natural = columns.map((column, index) => Math.max(Bun.stringWidth(column.title), ...cells.map((line) => Bun.stringWidth(line[index] ?? ""))));
  const widths = fitWidths(natural, options.columns);
  const head = columns.map((column, index) => options.style.bold(fitCell(column.title, widths[index] ?? 0, column.align)));
  const body = rows.map((row, at) =>
    columns.map((column, index) => {
      const text = fitCell(cells[at]?.[index] ?? "", widths[index] ?? 0, column.align);
      return column.paint === undefined ? text : column.paint(row)(text);
    }),
  );
  return [head, ...body].map((line) => `${line.join(" ".repeat(gap)).trimEnd()}\n`).join("");
}

function fitCell(text: string, width: number, align: "right" | undefined): string {
  const cut = cutToWidth(text, width);
  return align === "right" ? " ".repeat(Math.max(0, width - Bun.stringWidth(cut))) + cut : padToWidth(cut, width);
}

/** Takes columns from the widest column until all fit; none goes below six. */
export function fitWidths(natural: readonly number[], available: number | null): number[] {
  const widths = [...natural];
  if (available === null) return widths;
  let over = widths.reduce((sum, width) => sum + width, 0) + gap * (widths.length - 1) - available;
  while (over > 0) {
    const widest = Math.max(...widths);
    if (widest <= columnMin) break;
    widths[widths.indexOf(widest)] = widest - 1;
    over -= 1;
  }
  return widths;
}

/** Pairs of a name and a value, aligned, one a line. */
export function renderPairs(pairs: readonly (readonly [name: string, value: string])[], style: Style): string {
  const width = Math.max(0, ...pairs.map(([name]) => Bun.stringWidth(name)));
  return pairs.map(([name, value]) => `${style.dim(padToWidth(name, width))}  ${value}\n`).join("");
}
