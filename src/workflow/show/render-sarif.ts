// Findings as SARIF 2.1.0, the form that code hosts read (OASIS, sarif-v2.1.0).
import { version } from "../../base/index.ts";
import { type Diagnostic, type DiagnosticCode, diagnosticCodes } from "../../model/index.ts";

function uriOf(file: string): string {
  return file.split("/").map(encodeURIComponent).join("/");
}

function resultOf(found: Diagnostic, indexOf: ReadonlyMap<DiagnosticCode, number>): object {
  const region = {
    startLine: found.line,
    startColumn: found.column,
    ...(found.endColumn === undefined ? {} : { endLine: found.line, endColumn: found.endColumn }),
  };
  return {
    ruleId: found.code,
    ruleIndex: indexOf.get(found.code),
    level: found.severity,
    message: { text: found.hint === undefined ? found.message : `${found.message}. ${found.hint}` },
    locations: [
      {
        physicalLocation: { artifactLocation: { uri: uriOf(found.file) }, region },
        ...(found.path === "" ? {} : { logicalLocations: [{ fullyQualifiedName: found.path }] }),
      },
    ],
  };
}

/** One SARIF log as an object; columns count UTF-16 units, as the findings do. */
export function renderSarif(diagnostics: readonly Diagnostic[]): object {
  const codes = Object.keys(diagnosticCodes) as DiagnosticCode[];
  const indexOf = new Map(codes.map((code, index) => [code, index]));
  const rules = codes.map((code) => ({ id: code, shortDescription: { text: diagnosticCodes[code] } }));
  return {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: { driver: { name: "workflow", version, rules } },
        columnKind: "utf16CodeUnits",
        results: diagnostics.map((found) => resultOf(found, indexOf)),
      },
    ],
  };
}
