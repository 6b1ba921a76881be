// Follows an execution that runs elsewhere: its trace gives the states, its log stream the lines, until it ends.
import { isObject, parseTime } from "../../base/index.ts";
import type { Facade, Progress } from "../../app/index.ts";
import type { Execution } from "../../model/index.ts";
import type { ProgressView } from "./progress-view.ts";

export type FollowRequest = { facade: Facade; executionId: string; view: ProgressView; signal: AbortSignal };

/** Resolves with the ended execution, or with its present form when the signal aborts. @throws EXECUTION_NOT_FOUND */
export async function followExecution({ facade, executionId, view, signal }: FollowRequest): Promise<Execution> {
  const stop = new AbortController();
  const abort = () => stop.abort();
  signal.addEventListener("abort", abort);
  const logs = followLogs({ facade, executionId, view, signal: stop.signal });
  try {
    for await (const { text } of facade.streamEvents({ traceId: executionId, sinceSequence: 0 }, stop.signal)) {
      const progress = progressOf(JSON.parse(text));
      if (progress === null) continue;
      view.update(progress);
      if (progress.kind === "execution" && isEnd(progress.state)) break;
    }
    // The log stream ends by itself once everything was given.
    await logs;
  } finally {
    stop.abort();
    signal.removeEventListener("abort", abort);
    await logs;
  }
  return await facade.getExecution({ id: executionId });
}

const isEnd = (state: string) => state === "SUCCESS" || state === "FAILED" || state === "CANCELLED";

async function followLogs({ facade, executionId, view, signal }: FollowRequest): Promise<void> {
  try {
    for await (const item of facade.streamLogs({ executionId }, signal)) {
      const taskId = item.taskId === null ? null : itemName(item.taskId, item.itemIndex);
      view.update({ kind: "log", taskId, level: item.level, source: item.source, message: item.message, at: parseTime(item.time) ?? 0 });
    }
  } catch (thrown) {
    // Lines are shown for company; without them the states still tell how it ends.
    if (!signal.aborted) view.note(`The log cannot be followed: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
}

const itemName = (task: string, index: number | null) => (index === null ? task : `${task}[${index}]`);

const taskStatesByEvent: Record<string, string> = {
  started: "RUNNING",
  succeeded: "SUCCESS",
  failed: "FAILED",
  skipped: "SKIPPED",
  cancelled: "CANCELLED",
  waiting: "WAITING",
  lost: "PENDING",
};
const executionStatesByEvent: Record<string, string> = {
  started: "RUNNING",
  resumed: "RUNNING",
  waiting: "WAITING",
  succeeded: "SUCCESS",
  failed: "FAILED",
  cancelled: "CANCELLED",
};

/** What an event of an execution's trace means for who watches it; null for events that change no state. */
export function progressOf(event: unknown): Progress | null {
  if (!isObject(event) || !isObject(event["payload"]) || typeof event["event_type"] !== "string") return null;
  const [, subject, verb = ""] = event["event_type"].split(".");
  const payload = event["payload"];
  const at = parseTime(String(event["time"])) ?? 0;
  const error = isObject(payload["error"]) ? payload["error"] : null;
  const reason = textOrNull(payload["reason"]);
  if (subject === "execution") {
    const state = executionStatesByEvent[verb];
    return state === undefined ? null : { kind: "execution", state, reason, at };
  }
  const state = payload["will_retry"] === true ? "WAITING" : taskStatesByEvent[verb];
  if (subject !== "task" || state === undefined) return null;
  return {
    kind: "task",
    taskId: itemName(String(payload["task"]), numberOrNull(payload["item_index"])),
    phase: null,
    state,
    reason: payload["will_retry"] === true ? "RETRY_DELAY" : reason,
    attempt: numberOrNull(payload["attempt"]) ?? 0,
    at,
    durationMs: numberOrNull(payload["duration_ms"]),
    message: error === null ? null : `${textOrNull(error["code"]) ?? ""}: ${textOrNull(error["message"]) ?? ""}`,
  };
}

const textOrNull = (value: unknown) => (typeof value === "string" ? value : null);
const numberOrNull = (value: unknown) => (typeof value === "number" ? value : null);
