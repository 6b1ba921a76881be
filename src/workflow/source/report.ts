// Collects findings with their places; nothing here throws, so that one pass shows every problem.
import { limits } from "../../base/index.ts";
import type { Diagnostic, DiagnosticCode } from "../../model/index.ts";
import type { SourceText, Span } from "./source-text.ts";

/** A function where it takes a search through many names: called only for findings that are kept. */
export type Hint = string | undefined | (() => string | undefined);

export type Finding = { code: DiagnosticCode; path: string; message: string; at: Span; hint?: Hint; warning?: boolean };

export type Report = {
  add(finding: Finding): void;
  hasErrors(): boolean;
  /** All findings in the order of the source, at most `limits.diagnosticsMax`; errors are kept before warnings. */
  list(): Diagnostic[];
};

function toDiagnostic(source: SourceText, { code, path, message, at, hint, warning }: Finding): Diagnostic {
  const place = source.place(at.start);
  const end = Math.min(at.end, source.lineEnd(at.start));
  const found: Diagnostic = { severity: warning === true ? "warning" : "error", code, path, message, file: source.file, ...place };
  if (end > at.start) found.endColumn = place.column + (end - at.start);
  const said = typeof hint === "function" ? hint() : hint;
  if (said !== undefined) found.hint = said;
  return found;
}

function byPlace(a: Diagnostic, b: Diagnostic): number {
  return a.line - b.line || a.column - b.column || (a.code < b.code ? -1 : Number(a.code > b.code));
}

export function createReport(source: SourceText): Report {
  const found: Diagnostic[] = [];
  let errors = 0;
  let warnings = 0;
  return {
    add(finding) {
      // Counting by severity keeps a flood of warnings from hiding the error that makes the workflow invalid.
      if (finding.warning === true ? warnings++ >= limits.diagnosticsMax : errors++ >= limits.diagnosticsMax) return;
      found.push(toDiagnostic(source, finding));
    },
    hasErrors: () => errors > 0,
    list() {
      if (found.length <= limits.diagnosticsMax) return found.toSorted(byPlace);
      const first = found.toSorted((a, b) => Number(a.severity === "warning") - Number(b.severity === "warning") || byPlace(a, b));
      return first.slice(0, limits.diagnosticsMax).toSorted(byPlace);
    },
  };
}
