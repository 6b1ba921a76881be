// Checked values to the definition that the rest of the program uses: defaults filled in, both ways of writing things made one.
import { isObject, type Json, type JsonObject } from "../base/index.ts";
import type {
  InputDefinition,
  InputType,
  Permissions,
  RetryPolicy,
  TaskDefinition,
  TaskPhase,
  TriggerDefinition,
  WorkflowDefinition,
} from "../model/index.ts";
import { inputSchema } from "./check/inputs.ts";
import { shellAction } from "./check/task-form.ts";

/** Without `maxDelay`, delays stop growing here. */
const maxDelayMsDefault = 3_600_000;
const delayMsDefault = 1000;
const settleMsDefault = 2000;

function objectOf(value: Json | undefined): JsonObject {
  return isObject(value) ? (value as JsonObject) : {};
}

function listOf(value: Json | undefined): JsonObject[] {
  return Array.isArray(value) ? value.map(objectOf) : [];
}

function stringsOf(value: Json | undefined): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

/** Members of `from` that are there; the form was checked before. */
function pick<T>(from: JsonObject, keys: readonly string[]): T {
  return Object.fromEntries(keys.flatMap((key) => (from[key] === undefined ? [] : [[key, from[key]]]))) as T;
}

function buildInput(from: JsonObject): InputDefinition {
  return {
    ...pick<Pick<InputDefinition, "id" | "type">>(from, ["id", "type"]),
    type: String(from["type"]) as InputType,
    required: from["required"] === true,
    ...pick<{ default?: Json; description?: string }>(from, ["default", "description"]),
    sensitive: from["sensitive"] === true,
    schema: inputSchema(from),
  };
}

function buildRetry(from: Json | undefined): RetryPolicy {
  if (!isObject(from)) return { max: 1, backoff: "constant", delayMs: 0, maxDelayMs: 0, jitter: false };
  const retry = from as JsonObject;
  const seconds = retry["backoffSeconds"];
  const delayMs = typeof seconds === "number" ? Math.round(seconds * 1000) : Number(retry["delay"] ?? delayMsDefault);
  return {
    max: Number(retry["max"] ?? 1),
    backoff: String(retry["backoff"] ?? "constant") as RetryPolicy["backoff"],
    delayMs,
    maxDelayMs: Number(retry["maxDelay"] ?? Math.max(delayMs, maxDelayMsDefault)),
    jitter: retry["jitter"] === true,
  };
}

function buildTaskInputs(from: JsonObject): JsonObject {
  const inputs = objectOf(from["inputs"]);
  if (from["run"] !== undefined) return { ...inputs, script: from["run"], shell: from["shell"] ?? "sh" };
  return from["shell"] === undefined ? inputs : { ...inputs, shell: from["shell"] };
}

function buildTask(from: JsonObject, phase: TaskPhase | null): TaskDefinition {
  const condition = from["if"];
  const cache = from["cache"];
  return {
    id: String(from["id"]),
    phase,
    action: typeof from["type"] === "string" ? from["type"] : shellAction,
    needs: [...new Set(stringsOf(from["needs"]))],
    ...(condition === undefined ? {} : { if: typeof condition === "boolean" ? `{{ ${condition} }}` : String(condition) }),
    ...pick<Pick<TaskDefinition, "forEach" | "matrix" | "concurrency">>(from, ["forEach", "matrix", "concurrency"]),
    inputs: buildTaskInputs(from),
    env: objectOf(from["env"]),
    ...pick<{ workdir?: string }>(from, ["workdir"]),
    retry: buildRetry(from["retry"]),
    ...(from["timeout"] === undefined ? {} : { timeoutMs: Number(from["timeout"]) }),
    allowFailure: from["allowFailure"] === true,
    ...pick<Pick<TaskDefinition, "onLost">>(from, ["onLost"]),
    runtime: from["runtime"] === "docker" ? "docker" : "process",
    ...pick<Pick<TaskDefinition, "image" | "permissions" | "secrets">>(from, ["image", "permissions", "secrets"]),
    ...(isObject(cache) ? { cache: { key: String(cache["key"]), ttlMs: Number(cache["ttl"]) } } : {}),
    ...pick<Pick<TaskDefinition, "outputs">>(from, ["outputs"]),
  };
}

function buildTrigger(from: JsonObject): TriggerDefinition {
  const base = { id: String(from["id"] ?? from["type"]), inputs: objectOf(from["inputs"]) };
  switch (from["type"]) {
    case "cron":
      return {
        ...base,
        type: "cron",
        cron: String(from["cron"]).trim(),
        timezone: String(from["timezone"] ?? "UTC"),
        catchUp: String(from["catchUp"] ?? "none") as "none" | "last" | "all",
      };
    case "webhook":
      return { ...base, type: "webhook", path: String(from["path"]), method: String(from["method"] ?? "POST"), secret: String(from["secret"]) };
    default:
      return { ...base, type: "file", paths: stringsOf(from["paths"]), settleMs: Number(from["settle"] ?? settleMsDefault) };
  }
}

function buildConcurrency(from: Json | undefined): WorkflowDefinition["concurrency"] {
  if (!isObject(from)) return null;
  return { limit: Number(from["limit"]), onLimit: String(from["onLimit"] ?? "queue") as "queue" | "skip" | "cancel_running" };
}

/** The definition of a workflow whose checks found no error. */
export function buildDefinition(form: JsonObject): WorkflowDefinition {
  const triggers = [...listOf(form["triggers"]), ...(form["trigger"] === undefined ? [] : [objectOf(form["trigger"])])];
  return {
    apiVersion: "v1",
    id: String(form["id"]),
    name: typeof form["name"] === "string" ? form["name"] : null,
    description: typeof form["description"] === "string" ? form["description"] : null,
    labels: objectOf(form["labels"]) as Record<string, string>,
    enabled: form["enabled"] !== false,
    inputs: listOf(form["inputs"]).map(buildInput),
    vars: objectOf(form["vars"]),
    secrets: [...new Set(stringsOf(form["secrets"]))],
    permissions: objectOf(form["permissions"]) as Permissions,
    triggers: triggers.map(buildTrigger),
    concurrency: buildConcurrency(form["concurrency"]),
    timeoutMs: typeof form["timeout"] === "number" ? form["timeout"] : null,
    tasks: listOf(form["tasks"]).map((task) => buildTask(task, null)),
    onFailure: listOf(form["onFailure"]).map((task) => buildTask(task, "onFailure")),
    finally: listOf(form["finally"]).map((task) => buildTask(task, "finally")),
    outputs: objectOf(form["outputs"]),
  };
}
