// The page of error codes, from the one table in base.
import { errorCodes, errorKinds, exitOf, kindOf, statusOf } from "../../src/base/index.ts";
import { generatedNote, renderTable } from "./table.ts";

export function renderErrors(): string {
  const kinds = Object.entries(errorKinds).map(([kind, { exit, status, retryable }]) => [
    `\`${kind}\``,
    String(exit),
    String(status),
    retryable ? "yes" : "no",
  ]);
  const codes = Object.entries(errorCodes).map(([code, { means }]) => [
    `\`${code}\``,
    `\`${kindOf(code)}\``,
    String(exitOf(code)),
    String(statusOf(code)),
    means,
  ]);
  return (
    [
      generatedNote,
      "# Error codes",
      [
        "Every error has a permanent code. Its kind fixes the exit code of the command line and the HTTP status, unless the code has a status of its own.",
        'All surfaces carry the same envelope: `{"error":{"code","kind","message","details"?,"hint"?,"request_id"?}}`.',
      ].join("\n"),
      "## Kinds",
      renderTable(["kind", "exit", "HTTP", "may be retried"], kinds),
      "A command that was interrupted exits 130 (SIGINT) or 143 (SIGTERM).",
      "## Codes",
      renderTable(["code", "kind", "exit", "HTTP", "meaning"], codes),
    ].join("\n\n") + "\n"
  );
}
