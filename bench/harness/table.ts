// Renders results: as a table for the terminal, and as Markdown for docs/performance.md.
import type { Outcome, Row, Spread } from "./row.ts";
import { isMet, ratioOf } from "./row.ts";

const heads = ["bench", "work", "ours", "floor", "ratio", "goal", "met"] as const;

export function renderTable(outcome: Outcome): string {
  const lines = [[...heads], ...outcome.rows.map(cellsOf)];
  const widths = heads.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const table = lines.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  return [...table, ...outcome.skips.map((skip) => `skipped: ${skip.bench}: ${skip.work}: ${skip.reason}`)].join("\n");
}

export function renderMarkdown(outcome: Outcome): string {
  const lines = [heads.join(" | "), heads.map(() => "---").join(" | "), ...outcome.rows.map((row) => cellsOf(row).join(" | "))];
  const skips = outcome.skips.map((skip) => `- Not measured: ${skip.bench}, ${skip.work}: ${skip.reason}.`);
  return [...lines.map((line) => `| ${line} |`), ...(skips.length > 0 ? ["", ...skips] : [])].join("\n");
}

function cellsOf(row: Row): string[] {
  const met = isMet(row);
  return [
    row.bench,
    row.work,
    spreadText(row.ours, row.unit),
    `${spreadText(row.floor, row.unit)}, ${row.floorName}`,
    ratioOf(row).toFixed(2),
    row.goal === null ? "–" : `${row.goal.bound === "most" ? "≤" : "≥"} ${row.goal.ratio}`,
    met === null ? "–" : met ? "yes" : "no",
  ];
}

/** Median first, then the least and the greatest in brackets. */
function spreadText({ min, median, max }: Spread, unit: Row["unit"]): string {
  return `${numberText(median)} ${unit === "ms" ? "ms" : "/s"} (${numberText(min)}…${numberText(max)})`;
}

/** Three digits that count. */
function numberText(value: number): string {
  if (value >= 10_000) return `${numberText(value / 1000)} k`;
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value >= 1 ? value.toFixed(2) : value.toFixed(3);
}
