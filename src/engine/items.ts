// The items of one forEach or matrix: which have begun, what became of each, and no more than that, so that a hundred thousand fit in memory.
import { canonicalJson, type ErrorBody, type Json, sha256Bytes } from "../base/index.ts";
import { type TaskState, taskStates } from "../model/index.ts";
import type { CompiledTask } from "../workflow/index.ts";
import type { TaskRunMachine } from "./machine.ts";

export type Items = {
  kind: "forEach" | "matrix";
  values: readonly Json[];
  /** How many may be under way at a time. */
  limit: number;
  /** Everything from here on has not begun. */
  next: number;
  /** Below `next`, and not begun either, or to begin again; ascending. */
  open: number[];
  /** Begun and not ended. */
  active: Map<number, TaskRunMachine>;
  ended: number;
  /** By index, as places in `taskStates`, counted from 1; 0 has not ended. */
  states: Uint8Array;
  /** SHA-256 of each output as it is shown, 32 bytes an item; all zero for none. */
  digests: Uint8Array;
  /** Reason and code of items that ended otherwise than well. */
  others: Map<number, { reason: string | null; code: string | null }>;
  /** True outputs by index, where an expression may read them. */
  outputs: Json[] | null;
  /** The failed item with the lowest index. */
  failure: { index: number; error: ErrorBody; reason: string } | null;
};

/** As a digest lists it. */
export type ItemEnd = { index: number; state: TaskState; reason: string | null; outputSha256: string | null; errorCode: string | null };

export function newItems(task: CompiledTask, values: readonly Json[]): Items {
  const { definition, list, isRead } = task;
  return {
    kind: list?.kind ?? "forEach",
    values,
    limit: definition.concurrency ?? Number.POSITIVE_INFINITY,
    next: 0,
    open: [],
    active: new Map(),
    ended: 0,
    states: new Uint8Array(values.length),
    digests: new Uint8Array(values.length * 32),
    others: new Map(),
    outputs: isRead ? [] : null,
    failure: null,
  };
}

/** Whether an item could begin now, were there a slot for it. */
export function isStartable(items: Items): boolean {
  return hasOpen(items) && busy(items) < items.limit;
}

/** Whether an item has not begun, or has to begin again. */
export function hasOpen(items: Items): boolean {
  return items.next < items.values.length || items.open.length > 0;
}

/** Items that have neither begun nor ended. */
export function unbegun(items: Items): number {
  return items.values.length - items.ended - items.active.size;
}

/** One that is to begin again takes no place until it does. */
function busy(items: Items): number {
  let waiting = 0;
  for (const index of items.open) if (items.active.has(index)) waiting += 1;
  return items.active.size - waiting;
}

/** Indexes that may begin now, the lowest first; so many at most. */
export function startable(items: Items, most: number): number[] {
  const room = Math.min(most, items.limit - busy(items));
  const found = items.open.slice(0, Math.max(0, room));
  for (let index = items.next; found.length < room && index < items.values.length; index += 1) found.push(index);
  return found;
}

/** An item begins: those before it that have not are remembered. */
export function noteBegun(items: Items, index: number): void {
  if (index >= items.next) {
    for (let passed = items.next; passed < index; passed += 1) items.open.push(passed);
    items.next = index + 1;
    return;
  }
  const at = items.open.indexOf(index);
  if (at >= 0) items.open.splice(at, 1);
}

/** A begun item has to begin again. */
export function noteOpen(items: Items, index: number): void {
  items.open.push(index);
  items.open.sort((a, b) => a - b);
}

export function noteEnded(items: Items, index: number, run: TaskRunMachine): void {
  items.active.delete(index);
  items.ended += 1;
  items.states[index] = taskStates.indexOf(run.state) + 1;
  if (run.shown !== null) items.digests.set(sha256Bytes(canonicalJson(run.shown)), index * 32);
  if (items.outputs !== null) items.outputs[index] = run.output;
  if (run.state !== "SUCCESS") items.others.set(index, { reason: run.reason, code: run.error?.code ?? null });
  if (run.state === "FAILED" && run.error !== null && (items.failure === null || index < items.failure.index))
    items.failure = { index, error: run.error, reason: run.reason ?? "TASK_FAILED" };
}

/** Outputs in item order, null for items that gave none. */
export function outputsOf(items: Items): Json[] {
  if (items.outputs === null) return [];
  for (let index = 0; index < items.values.length; index += 1) items.outputs[index] ??= null;
  return items.outputs;
}

/** What the task as a whole ends with once all of its items have: one failure fails it. */
export function overallEnd(items: Items): { state: "SUCCESS" | "FAILED" | "CANCELLED" | "SKIPPED"; reason: string } {
  if (items.failure !== null) return { state: "FAILED", reason: items.failure.reason };
  const cancelled = taskStates.indexOf("CANCELLED") + 1;
  const place = items.states.indexOf(cancelled);
  if (place >= 0) return { state: "CANCELLED", reason: items.others.get(place)?.reason ?? "USER_CANCELLED" };
  const isSkipped = items.values.length > 0 && items.states.every((state) => state === taskStates.indexOf("SKIPPED") + 1);
  return isSkipped ? { state: "SKIPPED", reason: "CONDITION_FALSE" } : { state: "SUCCESS", reason: "SUCCESS" };
}

/** Every item that has ended, in order. */
export function* itemEnds(items: Items): Generator<ItemEnd> {
  for (const [index, place] of items.states.entries()) {
    const state = taskStates[place - 1];
    if (state === undefined) continue;
    const digest = items.digests.subarray(index * 32, index * 32 + 32);
    const outputSha256 = digest.every((byte) => byte === 0) ? null : digest.toHex();
    const { reason, code } = items.others.get(index) ?? { reason: "SUCCESS", code: null };
    yield { index, state, reason, outputSha256, errorCode: code };
  }
}
