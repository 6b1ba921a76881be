// validate FILE…: findings of all files. As JSON or SARIF they are the answer, on stdout; for people they are on stderr.
import { hasErrors } from "../../model/index.ts";
import { renderSarif } from "../../workflow/index.ts";
import type { CliContext } from "../context.ts";
import { parseChoice } from "../option-values.ts";
import { visibleLine } from "../render/visible.ts";
import { readSource } from "../source-file.ts";
import { checkSource, invalidSources, noteFindings } from "../workflow-source.ts";

export async function validateFiles(context: CliContext, values: { files: string[]; format: string | null }): Promise<void> {
  const format = parseChoice("--format", values.format, ["text", "json", "sarif"]) ?? (context.common.json ? "json" : "text");
  const checked = await Promise.all(values.files.map((file) => checkSource(context, readSource(context, file), { approvals: true })));
  const diagnostics = checked.flatMap((one) => one.diagnostics);
  const valid = !hasErrors(diagnostics);
  if (format === "json") context.printJson({ valid, diagnostics });
  else if (format === "sarif") context.printJson(renderSarif(diagnostics));
  else {
    noteFindings(context, checked);
    for (const one of checked) if (!hasErrors(one.diagnostics)) context.print(`${context.style.green("valid")}  ${visibleLine(one.source.file)}\n`);
  }
  if (!valid) throw invalidSources(context, checked, "accept");
}
