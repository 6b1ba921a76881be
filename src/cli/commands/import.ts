// import FILE: workflows made of a foreign file, to stdout or into files; what was not carried over is on stderr.
import { mkdirSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fail } from "../../base/index.ts";
import { type Imported, type ImportedWorkflow, importKinds, type ImportNote, importWorkflow } from "../../workflow/index.ts";
import type { CliContext } from "../context.ts";
import { parseChoice } from "../option-values.ts";
import { visible, visibleLine } from "../render/visible.ts";
import { readSource } from "../source-file.ts";

type ImportValues = { file: string; from: string | null; output: string | null; force: boolean };

export async function importFile(context: CliContext, values: ImportValues): Promise<void> {
  const from = parseChoice("--from", values.from, importKinds);
  const read = readSource(context, values.file);
  const imported = importWorkflow(read.broken ?? read.source, { file: read.file, ...(from === null ? {} : { from }) });
  if (!context.common.json) noteAll(context, read.file, imported);
  if (values.output !== null && values.output !== "-") writeAll(context, imported.workflows, { output: values.output, force: values.force });
  if (context.common.json) return context.printJson({ workflows: imported.workflows, notes: imported.notes });
  if (values.output === null || values.output === "-") printAll(context, imported.workflows);
}

/** Several follow each other as documents of one stream, which is for reading: a file holds one. */
function printAll(context: CliContext, workflows: readonly ImportedWorkflow[]): void {
  context.print(workflows.map(({ source }) => source).join("---\n"));
  if (workflows.length > 1) context.note(`${workflows.length} workflows: -o FOLDER writes each to a file of its own.`);
}

function noteAll(context: CliContext, file: string, { notes }: Imported): void {
  const style = context.errorStyle;
  const word = ({ severity }: ImportNote) => (severity === "warning" ? style.yellow("warning") : style.cyan("info"));
  for (const note of notes) {
    const path = note.path === "" ? "" : `${visibleLine(note.path)}: `;
    context.note(`${visibleLine(file)}:${note.line}:${note.column}: ${word(note)}: ${path}${visibleLine(note.message)}`);
    if (note.hint !== undefined) context.note(`  ${style.cyan("hint")}: ${visible(note.hint)}`);
  }
}

function isFolder(path: string): boolean {
  return path.endsWith("/") || statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** One workflow goes to the file or into the folder, several into the folder. Nothing is written unless all can be. */
function writeAll(context: CliContext, workflows: readonly ImportedWorkflow[], { output, force }: { output: string; force: boolean }): void {
  const path = resolve(context.io.cwd, output);
  const toFolder = workflows.length > 1 || isFolder(output.endsWith("/") ? `${path}/` : path);
  const targets = workflows.map((workflow) => ({ ...workflow, target: toFolder ? join(path, workflow.file) : path }));
  const present = targets.find(({ target }) => statSync(target, { throwIfNoEntry: false }) !== undefined);
  if (present !== undefined && !force)
    throw fail("ALREADY_EXISTS", `Cannot write "${present.target}": it is there already`, { hint: "Overwrite it with --force." });
  for (const { target, source } of targets) {
    writeOne(target, source, { folder: toFolder ? path : null, force });
    context.note(`Wrote ${visibleLine(target)}.`);
  }
}

function writeOne(target: string, source: string, { folder, force }: { folder: string | null; force: boolean }): void {
  try {
    if (folder !== null) mkdirSync(folder, { recursive: true });
    writeFileSync(target, source, { flag: force ? "w" : "wx" });
  } catch (cause) {
    const { code } = cause as { code?: string };
    if (code === "EEXIST") throw fail("ALREADY_EXISTS", `Cannot write "${target}": something stands in its way`, { cause });
    throw fail("FILE_NOT_FOUND", `Cannot write "${target}": ${String(code ?? cause)}`, { cause });
  }
}
