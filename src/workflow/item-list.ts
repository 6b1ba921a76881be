// The items of a forEach, and the combinations of a matrix: evaluated once, when the task is ready, and again after a restart.
import { fail, type Json, limits } from "../base/index.ts";
import type { TaskDefinition } from "../model/index.ts";
import type { Scope } from "./expression/scope.ts";
import { createTemplate, type Template } from "./expression/template.ts";

export type ItemList = {
  /** Which roots an item has: `item` and `index`, or `matrix`. */
  kind: "forEach" | "matrix";
  /** @throws EXPRESSION_ERROR for what is no list, TASK_INPUT_INVALID for one that is too long */
  evaluate(scope: Scope): Json[];
};

/** Null for a task that runs once. */
export function itemListOf({ id, forEach, matrix }: TaskDefinition): ItemList | null {
  if (matrix !== undefined) {
    const axes = Object.entries(matrix).map(([name, list]) => ({ name, list: createTemplate(list) }));
    return { kind: "matrix", evaluate: (scope) => combine(id, axes, scope) };
  }
  if (forEach === undefined) return null;
  const list = createTemplate(forEach);
  return { kind: "forEach", evaluate: (scope) => checkedList(list.evaluate(scope), `forEach of task "${id}"`) };
}

function checkedList(value: Json, what: string): Json[] {
  if (!Array.isArray(value)) throw fail("EXPRESSION_ERROR", `Cannot expand the ${what}: its value is no list`);
  return checkedLength(value, value.length, what);
}

function checkedLength(list: Json[], length: number, what: string): Json[] {
  if (length <= limits.forEachItemsMax) return list;
  throw fail("TASK_INPUT_INVALID", `Cannot expand the ${what}: ${length} items are more than ${limits.forEachItemsMax}`);
}

/** Every combination, the last axis running fastest. */
function combine(id: string, axes: readonly { name: string; list: Template }[], scope: Scope): Json[] {
  const lists = axes.map(({ name, list }) => ({ name, values: checkedList(list.evaluate(scope), `matrix.${name} of task "${id}"`) }));
  const count = lists.reduce((product, { values }) => product * values.length, 1);
  checkedLength([], count, `matrix of task "${id}"`);
  return Array.from({ length: count }, (_, place) => combinationAt(lists, place));
}

function combinationAt(lists: readonly { name: string; values: Json[] }[], place: number): Json {
  const members: [string, Json][] = [];
  let rest = place;
  for (const { name, values } of lists.toReversed()) {
    members.push([name, values[rest % values.length] ?? null]);
    rest = Math.floor(rest / values.length);
  }
  return Object.fromEntries(members.toReversed());
}

/** Whether an expression of the workflow may read what the items of this task gave: what nobody reads need not be kept. */
export function mayReadOutputs(texts: readonly string[], id: string): boolean {
  return texts.some((text) => text.includes("tasks[") || text.includes(`tasks.${id}`));
}

/** All texts of a definition that may hold expressions. */
export function expressionTexts(value: unknown): string[] {
  if (typeof value === "string") return value.includes("tasks") ? [value] : [];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(expressionTexts) : [];
}
