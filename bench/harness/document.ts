// Puts measured tables into docs/performance.md between their markers; the rest of that file is written by people.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./bench.ts";
import { type Facts, factsText } from "./facts.ts";
import type { Outcome } from "./row.ts";
import { renderMarkdown } from "./table.ts";

const path = join(root, "docs/performance.md");

/** Replaces the part of each bench that ran; the figures of the others stay, with the day and machine they were taken on. */
export function writeDocument(names: readonly string[], outcome: Outcome, facts: Facts): void {
  let text = readFileSync(path, "utf8");
  for (const name of names) {
    const rows = outcome.rows.filter((row) => row.bench === name);
    const skips = outcome.skips.filter((skip) => skip.bench === name);
    if (rows.length > 0) text = replacePart(text, name, `${factsText(facts)}.\n\n${renderMarkdown({ rows, skips })}`);
  }
  writeFileSync(path, text);
}

function replacePart(text: string, name: string, part: string): string {
  const [from, to] = [`<!-- bench ${name} -->`, `<!-- end ${name} -->`];
  const [start, end] = [text.indexOf(from), text.indexOf(to)];
  if (start < 0 || end < start) throw new Error(`Cannot write the figures of "${name}": docs/performance.md lacks its markers`);
  return `${text.slice(0, start + from.length)}\n${part}\n${text.slice(end)}`;
}
