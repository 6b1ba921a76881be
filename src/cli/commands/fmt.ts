// fmt FILE…: the standard form, printed, checked or written.
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { fail } from "../../base/index.ts";
import { formatWorkflow } from "../../workflow/index.ts";
import type { CliContext } from "../context.ts";
import { visibleLine } from "../render/visible.ts";
import { readSource } from "../source-file.ts";
import { requireDefinition } from "../workflow-source.ts";

type FormatValues = { files: string[]; check: boolean; write: boolean };

export async function formatFiles(context: CliContext, { files, check, write }: FormatValues): Promise<number> {
  if (check && write) throw fail("USAGE", "Cannot check and write at once: leave --check or --write out");
  if (!check && !write && files.length > 1) throw fail("USAGE", "Cannot print several files: use --check or --write");
  if (write && files.includes("-")) throw fail("USAGE", "Cannot write to stdin: leave --write out");
  const results = [];
  for (const file of files) {
    const read = readSource(context, file);
    // The parser is given text; bytes that make none are refused with their diagnostic before.
    if (read.broken !== undefined) await requireDefinition(context, read, "format");
    const { source } = read;
    const formatted = formatWorkflow(source, file);
    results.push({ file, source, formatted, changed: formatted !== source });
  }
  if (!check && !write) {
    for (const { formatted } of results) context.print(formatted);
    return 0;
  }
  for (const { file, formatted, changed } of results) {
    if (!changed) continue;
    if (write) writeFileSync(resolve(context.io.cwd, file), formatted);
    if (!context.common.json) context.print(`${write ? "formatted" : "not formatted"}  ${visibleLine(file)}\n`);
  }
  if (context.common.json) context.printJson({ results: results.map(({ file, changed }) => ({ file, changed })) });
  return check && results.some(({ changed }) => changed) ? 1 : 0;
}
