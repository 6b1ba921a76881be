// What the expressions at one place of a workflow may name, and the findings about names that they may not.
import type { DiagnosticCode } from "../../model/index.ts";
import { rootNames } from "../expression/environment.ts";
import type { Reference } from "../expression/references.ts";
import type { Hint } from "../source/report.ts";
import { didYouMean } from "./nearest.ts";

/** Names by root. A root that is missing does not exist at this place. Null: any member. */
export type Names = {
  roots: ReadonlyMap<string, ReadonlySet<string> | null>;
  /** What the workflow lists, also where none of them may be used. */
  secrets: ReadonlySet<string>;
  /** Whether a task may be read here. */
  task(id: string): "ok" | "unknown" | "not-upstream";
  taskIds: readonly string[];
};

/** Offsets are those of the expression's text. */
export type NameFinding = { code: DiagnosticCode; message: string; hint: Hint; start: number; end: number };

export const executionMembers = new Set(["id", "workflow", "revision", "started_at", "error"]);
export const triggerMembers = new Set(["type", "id", "scheduled_at", "body", "headers", "query", "by"]);
const taskMembers = new Set(["output", "outputs", "state", "error"]);

const placeHints: Record<string, string> = {
  item: "It exists in tasks with forEach.",
  index: "It exists in tasks with forEach.",
  matrix: "It exists in tasks with matrix.",
};

function unknownRoot(reference: Reference, names: Names): NameFinding {
  const at = { code: "EXPR_UNKNOWN_ROOT" as const, start: reference.start, end: reference.rootEnd };
  if (reference.root === "secrets") {
    const name = reference.steps[0]?.key;
    if (typeof name === "string" && !names.secrets.has(name)) return unlistedSecret(reference, name, names.secrets);
    const hint = "Hand it to the task that needs it: conditions, outputs and cache keys would record it.";
    return { ...at, message: "Secrets may be used only in a task's inputs and env", hint };
  }
  const isKnown = (rootNames as readonly string[]).includes(reference.root);
  const message = isKnown ? `"${reference.root}" does not exist at this place` : `There is no "${reference.root}"`;
  const hint = isKnown
    ? placeHints[reference.root]
    : (didYouMean(reference.root, names.roots.keys()) ?? `Expressions may name ${[...names.roots.keys()].join(", ")}.`);
  return { ...at, message, hint };
}

function memberEnd(reference: Reference, depth: number): number {
  return reference.steps[depth]?.end ?? reference.rootEnd;
}

function checkMember(reference: Reference, allowed: ReadonlySet<string>, depth: number): NameFinding | null {
  const key = reference.steps[depth]?.key;
  if (key === undefined || (typeof key === "string" && allowed.has(key))) return null;
  const owner = [reference.root, ...reference.steps.slice(0, depth).map((step) => step.key)].join(".");
  const hint = didYouMean(String(key), allowed) ?? (allowed.size > 0 && allowed.size <= 20 ? `There is ${[...allowed].join(", ")}.` : undefined);
  return { code: "EXPR_UNKNOWN_ROOT", message: `"${owner}" has no "${String(key)}"`, hint, start: reference.start, end: memberEnd(reference, depth) };
}

/** `listed`: what may be used here. */
function checkSecret(reference: Reference, listed: ReadonlySet<string>, names: Names): NameFinding | null {
  const name = reference.steps[0]?.key;
  const at = { code: "SECRET_NOT_LISTED" as const, start: reference.start, end: memberEnd(reference, 0) };
  if (typeof name !== "string") return { ...at, message: "A secret must be named literally, as in secrets.NAME", hint: undefined };
  if (listed.has(name)) return null;
  if (!names.secrets.has(name)) return unlistedSecret(reference, name, names.secrets);
  const hint = `Add it to the task's own list: secrets: [${[...listed, name].join(", ")}]`;
  return { ...at, message: `The task's own list leaves out the secret "${name}", which the workflow lists`, hint };
}

function unlistedSecret(reference: Reference, name: string, listed: ReadonlySet<string>): NameFinding {
  return {
    code: "SECRET_NOT_LISTED",
    message: `The workflow does not list the secret "${name}"`,
    hint: didYouMean(name, listed) ?? `Add it to the workflow: secrets: [${[...listed, name].join(", ")}]`,
    start: reference.start,
    end: memberEnd(reference, 0),
  };
}

/** `tasks.a-b` reads as a subtraction; the id that was meant, when there is one. */
function hyphenated(reference: Reference, text: string, names: Names): NameFinding | null {
  const match = /^tasks\s*\.\s*([A-Za-z_]\w*(?:-\w+)+)/.exec(text.slice(reference.start));
  if (match === null) return null;
  for (let id = match[1] ?? ""; id.includes("-"); id = id.slice(0, id.lastIndexOf("-"))) {
    if (names.task(id) === "unknown") continue;
    return {
      code: "EXPR_UNKNOWN_ROOT",
      message: `This subtracts; the task "${id}" is named with brackets`,
      hint: `Write tasks["${id}"]`,
      start: reference.start,
      end: reference.start + match[0].length,
    };
  }
  return null;
}

function checkTaskName(reference: Reference, text: string, names: Names): NameFinding | null {
  const id = reference.steps[0]?.key;
  const at = { start: reference.start, end: memberEnd(reference, 0) };
  if (typeof id !== "string")
    return { code: "EXPR_UNKNOWN_ROOT", message: 'A task must be named literally, as in tasks.a or tasks["a-b"]', hint: undefined, ...at };
  const found = names.task(id);
  if (found === "unknown") {
    return { code: "EXPR_UNKNOWN_ROOT", message: `There is no task "${id}"`, hint: () => didYouMean(id, names.taskIds), ...at };
  }
  if (found === "not-upstream")
    return { code: "EXPR_NOT_UPSTREAM", message: `The task "${id}" is not upstream, so it may not have ended`, hint: `Add "${id}" to needs.`, ...at };
  return checkMember(reference, taskMembers, 1);
}

function checkReference(reference: Reference, text: string, names: Names): NameFinding | null {
  const allowed = names.roots.get(reference.root);
  if (allowed === undefined) return unknownRoot(reference, names);
  if (reference.root === "tasks") return checkTaskName(reference, text, names);
  if (allowed === null) return null;
  return reference.root === "secrets" ? checkSecret(reference, allowed, names) : checkMember(reference, allowed, 0);
}

/** All findings about the names of one expression. */
export function checkNames(references: readonly Reference[], text: string, names: Names): NameFinding[] {
  const subtractions = references.flatMap((reference) => (reference.root === "tasks" ? (hyphenated(reference, text, names) ?? []) : []));
  const others = references.flatMap((reference) => {
    // What stands inside a misread id is a consequence of it.
    if (subtractions.some((found) => reference.start >= found.start && reference.start < found.end)) return [];
    return checkReference(reference, text, names) ?? [];
  });
  return [...subtractions, ...others];
}
