// What leaves a call beside the lines of its streams: the engine's own lines and the error, masked before anybody else sees them.
import type { ErrorBody, JsonObject } from "../../base/index.ts";
import type { Masker } from "../../secrets/index.ts";
import type { ActionCall, ActionOutcome } from "./ports.ts";

/** A container engine's explanation may be megabytes long; cut here, since it may quote what it was given. */
const messageUnitsMax = 16 * 1024;

/** Takes lines that quote what came from outside: entries, names of files, what a container engine says. */
export function maskedLines({ onLine, masker }: Pick<ActionCall, "onLine" | "masker">): ActionCall["onLine"] {
  return (line) => {
    if (masker.isEmpty) return onLine(line);
    const { message, metadata } = line;
    return onLine({ ...line, message: masker.text(message), metadata: metadata === null ? null : masker.json(metadata) });
  };
}

export function maskOutcome(outcome: ActionOutcome, masker: Masker): ActionOutcome {
  return outcome.ok ? outcome : { ...outcome, error: maskError(outcome.error, masker) };
}

function maskError(error: ErrorBody, masker: Masker): ErrorBody {
  const { message, details, hint } = error;
  const masked: ErrorBody = { ...error, message: masker.text(message).slice(0, messageUnitsMax).toWellFormed() };
  if (details !== undefined) masked.details = maskDetails(details as JsonObject, error.code, masker);
  if (hint !== undefined) masked.hint = masker.text(hint);
  return masked;
}

/** Kind and rule of a denial are ours, the rest came from the task. */
function maskDetails(details: JsonObject, code: string, masker: Masker): JsonObject {
  const masked = masker.json(details) as JsonObject;
  if (code !== "PERMISSION_DENIED") return masked;
  const { kind, rule } = details;
  return { ...masked, ...(kind === undefined ? {} : { kind }), ...(rule === undefined ? {} : { rule }) };
}
