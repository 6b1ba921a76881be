// What a `run:` task says about itself: the file $WORKFLOW_OUTPUT, and the result frame of any task.
import { type ErrorBody, fail, isObject, type Json, type JsonObject, kindOf } from "../../base/index.ts";
import type { Masker } from "../../secrets/index.ts";

/** What the engine itself says of a script; its lines add further members beside these. */
const ownMembers = new Set(["exitCode", "stdout"]);

/** Members from `key=value` lines (text) and JSON object lines. @throws PLUGIN_OUTPUT_INVALID naming the line */
export function parseOutputFile(text: string): JsonObject {
  const out: JsonObject = {};
  const set = (line: number, key: string, value: Json): void => {
    if (ownMembers.has(key)) throw badLine(line, `the member "${key}" is the engine's own`);
    setMember(out, key, value);
  };
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    if (line.startsWith("{")) for (const [key, value] of Object.entries(parseObject(line, index + 1))) set(index + 1, key, value);
    else {
      const at = line.indexOf("=");
      const key = line.slice(0, at).trim();
      if (at < 1 || key === "") throw badLine(index + 1, "neither key=value nor a JSON object");
      set(index + 1, key, line.slice(at + 1).replace(/\r$/, ""));
    }
  }
  return out;
}

function parseObject(line: string, number: number): JsonObject {
  try {
    const value: unknown = JSON.parse(line);
    if (isObject(value)) return value as JsonObject;
  } catch {
    throw badLine(number, "it begins like JSON, but is none");
  }
  throw badLine(number, "a JSON line must be an object");
}

/** A member named __proto__ is data like any other. */
function setMember(out: JsonObject, key: string, value: Json): void {
  Object.defineProperty(out, key, { value, enumerable: true, configurable: true, writable: true });
}

function badLine(line: number, why: string) {
  return fail("PLUGIN_OUTPUT_INVALID", `Cannot read $WORKFLOW_OUTPUT, line ${line}: ${why}`, { details: { line } });
}

/** Of an error that a task claims: what people read and records keep. */
const claimedMax = { codeUnits: 256, messageUnits: 16 * 1024, hintUnits: 4096, detailsUnits: 64 * 1024, detailsDepth: 32 };

/** `artifacts`: paths that the task wants to keep. */
export type ResultFrame = { output: Json; artifacts?: string[] } | { error: ErrorBody; retryable: boolean };

/** The one JSON line of a result: `{output, artifacts?}` as it is, or `{error: {code, message, details?, retryable?}}`, masked.
 * @throws PLUGIN_OUTPUT_INVALID */
export function parseResultFrame(text: string, masker: Masker): ResultFrame {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw fail("PLUGIN_OUTPUT_INVALID", "Cannot read the task's result: it is not JSON");
  }
  if (!isObject(value)) throw fail("PLUGIN_OUTPUT_INVALID", "Cannot read the task's result: it is not an object");
  const { error } = value;
  if (error === undefined) return outputFrame(value);
  if (!isObject(error) || typeof error["code"] !== "string" || typeof error["message"] !== "string")
    throw fail("PLUGIN_OUTPUT_INVALID", "Cannot read the task's error: it needs code and message");
  // Masked before it is cut: what a cut leaves of a value nobody knows again.
  const bound = (claimed: string, unitsMax: number) => masker.text(claimed).slice(0, unitsMax).toWellFormed();
  const code = bound(error["code"], claimedMax.codeUnits);
  const body: ErrorBody = { code, kind: kindOf(code), message: bound(error["message"], claimedMax.messageUnits) };
  if (isObject(error["details"])) body.details = boundDetails(error["details"], masker);
  if (typeof error["hint"] === "string") body.hint = bound(error["hint"], claimedMax.hintUnits);
  return { error: body, retryable: error["retryable"] !== false };
}

function boundDetails(given: Record<string, unknown>, masker: Masker): Record<string, unknown> {
  if (isDeeper(given, claimedMax.detailsDepth)) return { leftOut: "details", why: `deeper than ${claimedMax.detailsDepth} levels` };
  const details = masker.json(given as JsonObject) as JsonObject;
  const units = JSON.stringify(details).length;
  return units <= claimedMax.detailsUnits ? details : { leftOut: "details", why: `longer than ${claimedMax.detailsUnits} characters` };
}

/** Level by level: a task may nest deeper than functions may call each other. */
function isDeeper(value: unknown, levels: number): boolean {
  let inside: unknown[] = [value];
  for (let level = 0; level <= levels; level += 1) {
    inside = inside.flatMap((one) => (typeof one === "object" && one !== null ? Object.values(one) : []));
    if (inside.length === 0) return false;
  }
  return true;
}

function outputFrame(value: Record<string, unknown>): ResultFrame {
  const { artifacts } = value;
  if (value["output"] === undefined && artifacts === undefined)
    throw fail("PLUGIN_OUTPUT_INVALID", "Cannot read the task's result: it has neither output nor error");
  const output = (value["output"] ?? {}) as Json;
  if (artifacts === undefined) return { output };
  if (!Array.isArray(artifacts) || artifacts.some((path) => typeof path !== "string" || path.includes("\0")))
    throw fail("PLUGIN_OUTPUT_INVALID", "Cannot read the task's artifacts: they are no list of paths");
  return { output, artifacts: artifacts as string[] };
}
