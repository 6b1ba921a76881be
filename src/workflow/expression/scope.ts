// The values that expressions see, and the part of them that one expression needs in CEL's form.
import { isObject, type Json } from "../../base/index.ts";
import type { Reference } from "./references.ts";
import { type CelValue, toCel } from "./values.ts";

/**
 * Values by root: inputs, vars, secrets, tasks (id → {output, outputs, state, error}), execution, trigger, item, index, matrix, env.
 * A root that does not apply is left out. `tasks` may also be a Map. The values inside are never changed after they were given:
 * conversions are kept by their identity. The containers themselves (`roots`, `tasks`, one task's record) may change.
 */
export type Scope = {
  roots: Readonly<Record<string, Json | object>>;
  /** What `success()` and `failure()` answer: about the tasks in `needs`. */
  status: { success: boolean; failure: boolean };
};

function own(container: unknown, key: string): unknown {
  if (container instanceof Map) return container.get(key);
  return isObject(container) && Object.hasOwn(container, key) ? container[key] : undefined;
}

/** Converts the members only; the record itself may be another one at the next evaluation. */
function shallow(value: unknown): CelValue {
  if (!isObject(value)) return toCel(value as Json);
  const map = new Map<string, CelValue>();
  for (const [key, member] of Object.entries(value)) if (member !== undefined) map.set(key, toCel(member as Json));
  return map;
}

function rootValue(value: unknown, references: readonly Reference[]): CelValue {
  if (!isObject(value) && !(value instanceof Map)) return toCel(value as Json);
  const keys = new Set(references.map((reference) => reference.steps[0]?.key));
  if (keys.has(undefined)) return value instanceof Map ? value : shallow(value);
  const map = new Map<string, CelValue>();
  for (const key of keys) {
    const member = own(value, String(key));
    if (member !== undefined) map.set(String(key), references[0]?.root === "tasks" ? shallow(member) : toCel(member as Json));
  }
  return map;
}

/** Context for the CEL library with the roots, and of `tasks` only the tasks, that the references name. */
export function celContext(scope: Scope, byRoot: ReadonlyMap<string, Reference[]>): Record<string, CelValue> {
  const context: Record<string, CelValue> = {};
  for (const [root, references] of byRoot) {
    const value = own(scope.roots, root);
    if (value !== undefined) context[root] = rootValue(value, references);
  }
  return context;
}

/** Follows a reference through plain JSON. @throws Error naming the member that is absent */
export function follow(scope: Scope, reference: Reference): Json {
  let at: unknown = own(scope.roots, reference.root);
  if (at === undefined) throw new Error(`"${reference.root}" does not exist here`);
  for (const { key } of reference.steps) {
    const next: unknown = Array.isArray(at) ? at[typeof key === "number" ? key : -1] : typeof key === "string" ? own(at, key) : undefined;
    if (next === undefined) throw new Error(typeof key === "number" ? `no item ${key}` : `no such member: ${key}`);
    at = next;
  }
  return at as Json;
}
