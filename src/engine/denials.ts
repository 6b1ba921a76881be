// Denials of one attempt, on their way into its log and its execution's trace: each different one once, and not without end.
import { type Json, limits } from "../base/index.ts";
import type { Denial } from "../model/index.ts";
import { type Decision, type EngineContext, nothing, taskEvent } from "./decision.ts";
import type { Machine, TaskRunMachine } from "./machine.ts";

export type DenialNews = { denial: Denial; line: string } | { denial: null; line: string } | null;

export class DenialBook {
  readonly #known = new Set<string>();
  #isFull = false;

  /** What is new of a denial: itself, the note that further ones are left out, or nothing. */
  note(given: Denial): DenialNews {
    const denial = bounded(given);
    const key = JSON.stringify([denial.kind, denial.target, denial.rule]);
    if (this.#isFull || this.#known.has(key)) return null;
    if (this.#known.size >= limits.denialsMax) {
      this.#isFull = true;
      return { denial: null, line: `More than ${limits.denialsMax} different operations were denied: the rest is left out` };
    }
    this.#known.add(key);
    return { denial, line: describeDenial(denial) };
  }
}

/** Targets come from the task: only so much of one is kept. */
function bounded({ kind, target, rule, grant }: Denial): Denial {
  const cut = (text: string) => text.slice(0, limits.denialTargetUnitsMax).toWellFormed();
  return { kind, target: cut(target), rule: cut(rule), grant: grant === null ? null : cut(grant) };
}

/** One line for people. */
function describeDenial({ target, rule, grant }: Denial): string {
  return `Permission denied: ${rule} ${target}; ${grant === null ? "no permission allows it" : `to allow it, add to permissions: ${grant}`}`;
}

/** `trace.permission.denied`, on the span of the attempt; nothing once the attempt has ended. */
export function decideDenied(machine: Machine, context: EngineContext, at: { run: TaskRunMachine; attempt: number; denial: Denial }): Decision {
  const { run, attempt, denial } = at;
  if (run.state !== "RUNNING" || run.attempt !== attempt) return nothing;
  const { kind, target, rule, grant } = denial;
  return { ...nothing, events: [taskEvent(machine, run, context, { type: "trace.permission.denied", payload: { kind, target, rule, grant } })] };
}

export function denialMetadata({ kind, target, rule, grant }: Denial): Json {
  return { kind, target, rule, grant };
}
