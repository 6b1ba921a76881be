// Differences of two JSON values, member by member, each with its path.
import { isObject } from "../base/index.ts";

/** The side that lacks the value is null. */
export type Difference = { path: string; kind: "changed" | "removed" | "added"; a: unknown; b: unknown };

/** `undefined` stands for a value that is not there. Members of maps go by name, items of lists by place. */
export function diffValues(path: string, a: unknown, b: unknown): Difference[] {
  if (a === undefined && b === undefined) return [];
  if (a === undefined) return [{ path, kind: "added", a: null, b }];
  if (b === undefined) return [{ path, kind: "removed", a, b: null }];
  if (isObject(a) && isObject(b)) {
    const names = [...new Set([...Object.keys(a), ...Object.keys(b)])];
    return names.flatMap((name) => diffValues(memberPath(path, name), ownMember(a, name), ownMember(b, name)));
  }
  if (Array.isArray(a) && Array.isArray(b)) {
    const places = Array.from({ length: Math.max(a.length, b.length) }, (_, index) => index);
    return places.flatMap((index) => diffValues(`${path}[${index}]`, a[index], b[index]));
  }
  return a === b ? [] : [{ path, kind: "changed", a, b }];
}

/** `a.b`, or `a["b c"]` for a name that is no plain word. */
export function memberPath(path: string, name: string): string {
  if (!/^[A-Za-z_][\w-]*$/.test(name)) return `${path}[${JSON.stringify(name)}]`;
  return path === "" ? name : `${path}.${name}`;
}

function ownMember(map: Record<string, unknown>, name: string): unknown {
  return Object.hasOwn(map, name) ? map[name] : undefined;
}
