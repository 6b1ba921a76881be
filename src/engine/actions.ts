// The control-flow actions that the engine runs itself: they need no process and no grant.
import { type ErrorBody, isObject, type Json, type JsonObject, kindOf, limits, parseDuration, parseTime, toIso } from "../base/index.ts";
import { copiedNames } from "../model/index.ts";

export type EngineActionResult =
  | { kind: "done"; output: Json; log?: { level: "DEBUG" | "INFO" | "WARN" | "ERROR"; message: string } }
  | { kind: "wait"; until: string; output: Json }
  | { kind: "child"; workflow: string; inputs: JsonObject; wait: boolean }
  | { kind: "failed"; error: ErrorBody };

const levels = ["DEBUG", "INFO", "WARN", "ERROR"] as const;

function invalid(message: string): EngineActionResult {
  return { kind: "failed", error: { code: "TASK_INPUT_INVALID", kind: kindOf("TASK_INPUT_INVALID"), message } };
}

const inEngine = new Set(["core/value.set", "core/log.write", "core/wait.for", "core/workflow.run"]);

export function isEngineAction(action: string): boolean {
  return inEngine.has(action);
}

/** What one of the engine's own actions comes to; null for an action that is not the engine's. */
export function runEngineAction(action: string, inputs: JsonObject, now: number): EngineActionResult | null {
  switch (action) {
    case "core/value.set":
      return { kind: "done", output: inputs };
    case "core/log.write":
      return writeLog(inputs);
    case "core/wait.for":
      return waitFor(inputs, now);
    case "core/workflow.run":
      return runWorkflow(inputs);
    default:
      return null;
  }
}

function writeLog(inputs: JsonObject): EngineActionResult {
  const { message } = inputs;
  const level = levels.find((known) => known === String(inputs["level"] ?? "INFO").toUpperCase());
  if (message === undefined) return invalid("Cannot write a log line: inputs.message is missing");
  if (level === undefined) return invalid(`Cannot write a log line: level "${String(inputs["level"])}" is none of ${levels.join(", ")}`);
  const text = typeof message === "string" ? message : JSON.stringify(message);
  return { kind: "done", output: {}, log: { level, message: text } };
}

function runWorkflow({ workflow, inputs = {}, wait = true }: JsonObject): EngineActionResult {
  if (typeof workflow !== "string" || workflow === "") return invalid("Cannot run a workflow: inputs.workflow names none");
  if (!isObject(inputs)) return invalid(`Cannot run workflow "${workflow}": inputs.inputs is no object`);
  if (typeof wait !== "boolean") return invalid(`Cannot run workflow "${workflow}": inputs.wait is neither true nor false`);
  return { kind: "child", workflow, inputs: inputs as JsonObject, wait };
}

function waitFor(inputs: JsonObject, now: number): EngineActionResult {
  const { duration, until } = inputs;
  if ((duration === undefined) === (until === undefined)) return invalid("Cannot wait: exactly one of inputs.duration and inputs.until is needed");
  const ms = duration === undefined ? null : typeof duration === "number" ? duration : parseDuration(String(duration));
  if (duration !== undefined && (ms === null || !(ms >= 0 && ms <= limits.durationMsMax)))
    return invalid(`Cannot wait for "${String(duration)}": not a duration up to a year`);
  const at = until === undefined ? now + (ms ?? 0) : parseTime(String(until));
  if (at === null || at > now + limits.durationMsMax) return invalid(`Cannot wait until "${String(until)}": not a time within a year`);
  const iso = toIso(at);
  return at <= now ? { kind: "done", output: { until: iso } } : { kind: "wait", until: iso, output: { until: iso } };
}

/** Environment values as text, objects as JSON. */
export function envTexts(values: Json): Record<string, string> {
  if (!isObject(values)) return {};
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, envText(value)]));
}

function envText(value: unknown): string {
  if (value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The granted variables of an environment that are set, except those that no task ever gets. */
export function grantedEnv(environment: Readonly<Record<string, string | undefined>>, granted: readonly string[]): Record<string, string> {
  return Object.fromEntries(copiedNames(granted, environment).map((name) => [name, environment[name] ?? ""]));
}
