// The page of diagnostic codes, from the table in model.
import { diagnosticCodes } from "../../src/model/index.ts";
import { generatedNote, renderTable } from "./table.ts";

export function renderDiagnostics(): string {
  const codes = Object.entries(diagnosticCodes).map(([code, means]) => [`\`${code}\``, means]);
  return (
    [
      generatedNote,
      "# Diagnostic codes",
      [
        "What `workflow validate` and `apply` find in a file. Findings are collected, each with its path, line and column;",
        "a file with at least one of severity `error` is refused.",
      ].join("\n"),
      renderTable(["code", "meaning"], codes),
    ].join("\n\n") + "\n"
  );
}
