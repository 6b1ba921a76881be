// What people ask of a live execution beside stopping it: to pause, to go on, to say what became of an attempt. Pure.
import { type ErrorBody, isObject, type Json, toIJson } from "../base/index.ts";
import { type Decision, type EngineContext, executionEvent, nothing, taskEvent } from "./decision.ts";
import { findRun, isEnded, type Machine, nameOf } from "./machine.ts";

export type ResolvedAs = "succeeded" | "failed" | "retry";
export type Command =
  | { kind: "cancel" }
  | { kind: "pause" }
  | { kind: "resume" }
  | { kind: "resolve"; task: string; itemIndex: number | null; as: ResolvedAs; output: Json };

/** What follows from a command now; nothing where it came too late. A cancel is no decision but a stop. */
export function decideCommand(machine: Machine, context: EngineContext, { command, by }: { command: Command; by: string }): Decision {
  if (isEnded(machine) || machine.stop?.active === true) return nothing;
  switch (command.kind) {
    case "pause":
      if (machine.pausedAt !== null) return nothing;
      return { ...nothing, events: [executionEvent(machine, context, { type: "trace.execution.waiting", payload: { reason: "PAUSED", by } })] };
    case "resume":
      return machine.pausedAt === null ? nothing : { ...nothing, events: [resumedEvent(machine, context)] };
    case "resolve":
      return decideResolved(machine, context, { ...command, by });
    case "cancel":
      return nothing;
  }
}

/** One that was paused before it began waits for its place again. */
export function resumedEvent(machine: Machine, context: EngineContext) {
  const payload = machine.startedAt === null ? { to: "PENDING" } : {};
  return executionEvent(machine, context, { type: "trace.execution.resumed", payload });
}

type Resolve = Extract<Command, { kind: "resolve" }> & { by: string };

function decideResolved(machine: Machine, context: EngineContext, { task, itemIndex, as, output, by }: Resolve): Decision {
  const run = findRun(machine, nameOf(task, itemIndex));
  if (run === null || run.state !== "WAITING" || run.reason !== "OUTCOME_UNKNOWN") return nothing;
  const event = (payload: { [name: string]: Json }) =>
    taskEvent(machine, run, context, { type: "trace.task.resolved", payload: { as, by, ...payload } });
  const isPaused = machine.pausedAt !== null;
  const first = machine.state === "WAITING" && !isPaused ? [resumedEvent(machine, context)] : [];
  if (as === "failed") return { ...nothing, events: [...first, event({ error: lostError(by) as unknown as Json })] };
  if (as === "retry") return { ...nothing, events: [...first, event({})] };
  const value = toIJson(output);
  const shown = machine.masks.json(value);
  const sealed = shown === value ? [] : [{ task, itemIndex, member: "output" as const, value }];
  return { ...nothing, events: [...first, event({ output: shown, ...(sealed.length > 0 ? { sealed: true } : {}) })], sealed };
}

function lostError(by: string): ErrorBody {
  return { code: "TASK_LOST", kind: "failed", message: `The attempt's process died with the server; ${by} said that it failed` };
}

/** A command as its row keeps it; null for one that this version does not know. */
export function parseCommand(kind: string, body: string): Command | null {
  if (kind === "cancel" || kind === "pause" || kind === "resume") return { kind };
  const parsed: unknown = kind === "resolve" ? JSON.parse(body) : null;
  if (!isObject(parsed)) return null;
  const { task, itemIndex, as, output } = parsed;
  if (typeof task !== "string" || (as !== "succeeded" && as !== "failed" && as !== "retry")) return null;
  return { kind: "resolve", task, itemIndex: typeof itemIndex === "number" ? itemIndex : null, as, output: (output ?? {}) as Json };
}
