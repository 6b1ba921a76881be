// A finding about someone's input, with its place. Findings are collected, never thrown one by one.

export const diagnosticCodes = {
  YAML_SYNTAX: "Not one well-formed YAML 1.2 document.",
  YAML_LIMIT: "Too large, nested too deep, too many aliases, or an alias inside its own anchor.",
  UNKNOWN_KEY: "A key that does not exist here.",
  MISSING_KEY: "A required key is missing.",
  EXCLUSIVE_KEYS: "Keys that exclude each other, or of which exactly one is needed.",
  WRONG_TYPE: "A value of the wrong type.",
  BAD_VALUE: "A value of the right type that is not allowed here.",
  BAD_DURATION: "Not a duration such as 500ms, 30s, 5m, 2h, 1d or PT5M.",
  DUPLICATE_ID: "An id that is used more than once.",
  UNKNOWN_NEED: "A needed task that does not exist.",
  SELF_NEED: "A task that needs itself.",
  CYCLE: "Tasks that need each other.",
  BAD_CRON: "Not a cron expression.",
  BAD_TIMEZONE: "Not an IANA time zone.",
  EXPR_SYNTAX: "An expression that cannot be parsed.",
  EXPR_UNKNOWN_ROOT: "An expression that names something that does not exist.",
  EXPR_NOT_UPSTREAM: "An expression that reads a task that is not upstream.",
  EXPR_UNQUOTED: "An expression without quotes, which YAML reads as a map.",
  SECRET_NOT_LISTED: "A secret that the workflow's allowlist does not name.",
  UNKNOWN_ACTION: "An action that does not exist, or whose plugin is not installed or broken.",
  PLUGIN_NOT_APPROVED: "An action of a plugin that asks for more than was approved for the workflow.",
  INPUT_MISMATCH: "Task inputs that do not fit the action's schema.",
  TEMPLATE_IN_SCRIPT: "An expression in a script, where nothing is replaced.",
  GRANT_UNUSED: "A permission entry that can never match.",
  NOT_AVAILABLE_YET: "A part of the language that this version checks, but cannot run yet.",
} as const;

export type DiagnosticCode = keyof typeof diagnosticCodes;

/** Lines and columns count from 1, columns in UTF-16 units. `path` has the form `tasks[1].needs[0]`. */
export type Diagnostic = {
  severity: "error" | "warning";
  code: DiagnosticCode;
  path: string;
  message: string;
  file: string;
  line: number;
  column: number;
  /** Column after the last marked unit on the same line, for the caret line. */
  endColumn?: number;
  hint?: string;
};

export function hasErrors(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some((found) => found.severity === "error");
}
