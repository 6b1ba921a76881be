// graph FILE|ID: a picture of the tasks.
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { fail } from "../../base/index.ts";
import { graphFormats, renderGraph } from "../../workflow/index.ts";
import type { CliContext } from "../context.ts";
import { parseChoice } from "../option-values.ts";
import { visible, visibleLine } from "../render/visible.ts";
import { namesFile, readSource, type SourceFile } from "../source-file.ts";
import { requireDefinition } from "../workflow-source.ts";

export async function drawGraph(context: CliContext, values: { target: string; format: string | null; output: string | null }): Promise<void> {
  const format = parseChoice("--format", values.format, graphFormats) ?? "ascii";
  const source = namesFile(context, values.target) ? readSource(context, values.target) : await storedSource(context, values.target);
  const drawn = renderGraph(await requireDefinition(context, source, "draw"), format);
  if (values.output !== null) return writeOutput(context, values.output, drawn);
  if (context.common.json) return context.printJson({ format, graph: drawn });
  context.print(`${visible(drawn).trimEnd()}\n`);
}

async function storedSource(context: CliContext, id: string): Promise<SourceFile> {
  const { facade } = await context.connect();
  const workflow = await facade.getWorkflow(id);
  return { file: id, source: workflow.source, folder: workflow.folder };
}

function writeOutput(context: CliContext, file: string, text: string): void {
  try {
    writeFileSync(resolve(context.io.cwd, file), text);
  } catch (cause) {
    throw fail("FILE_NOT_FOUND", `Cannot write "${file}": ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  context.note(`Wrote ${visibleLine(file)}.`);
}
