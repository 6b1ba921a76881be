// JSON to CEL values and back: integers within ±(2^53−1) are int, other numbers double; objects become Maps,
// since a plain object with a member such as "constructor" would be taken for something else.
import { assert, isObject, type Json, type JsonObject } from "../../base/index.ts";
import { setMember } from "../source/raw-node.ts";
import { refuseSize, resultNodesMax, spendWork, textUnitsMax } from "./budget.ts";

export type CelValue = unknown;

const converted = new WeakMap<object, CelValue>();

function convert(value: Json): CelValue {
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(convert);
  const map = new Map<string, CelValue>();
  for (const key of Object.keys(value)) {
    const member = value[key];
    if (member !== undefined) map.set(key, convert(member));
  }
  return map;
}

/** The CEL form of a JSON value. Objects are converted once per identity, so a value in a scope must not be changed afterwards. */
export function toCel(value: Json): CelValue {
  if (typeof value !== "object" || value === null) return convert(value);
  const known = converted.get(value);
  if (known !== undefined) return known;
  const made = convert(value);
  converted.set(value, made);
  return made;
}

type Counter = { nodes: number; units: number };

function numberOf(value: bigint | number): number {
  if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new Error(`its result ${value} is not a JSON number`);
    // I-JSON (RFC 7493) has no such integers, so the store would refuse the value later, with less to say about it.
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) throw new Error(`its result ${value} is beyond ±(2^53−1)`);
    return value === 0 ? 0 : value;
  }
  if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER)) throw new Error(`its result ${value} is beyond ±(2^53−1)`);
  return Number(value);
}

function fromObject(value: object, counter: Counter): Json {
  if (Array.isArray(value)) return value.map((item) => from(item, counter));
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (value instanceof Map || Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null) {
    const out: JsonObject = {};
    for (const [key, member] of value instanceof Map ? value : Object.entries(value)) setMember(out, String(key), from(member, counter));
    return out;
  }
  const primitive: unknown = value.valueOf();
  if (typeof primitive === "bigint") return numberOf(primitive);
  if (isDuration(value)) return value.toString();
  throw new Error("its result is a type, not a value");
}

function isDuration(value: unknown): value is { seconds: bigint; nanos: number; toString(): string } {
  return Object.prototype.toString.call(value) === "[object google.protobuf.Duration]";
}

function from(value: CelValue, counter: Counter): Json {
  if (++counter.nodes > resultNodesMax) refuseSize(`more than ${resultNodesMax} values`);
  spendWork(0.1);
  switch (typeof value) {
    case "string":
      counter.units += value.length;
      if (counter.units > textUnitsMax) refuseSize(`more than ${textUnitsMax} characters`);
      return value;
    case "boolean":
      return value;
    case "number":
    case "bigint":
      return numberOf(value);
    case "object":
      return value === null ? null : fromObject(value, counter);
    default:
      throw new Error(`its result is a ${typeof value}`);
  }
}

/** The JSON form of a result: times as RFC 3339, bytes as base64. @throws Error with the cause, for values that are not JSON or too large */
export function fromCel(value: CelValue): Json {
  return from(value, { nodes: 0, units: 0 });
}

function isNumeric(value: CelValue): value is bigint | number {
  return typeof value === "bigint" || typeof value === "number";
}

function equalObjects(a: object, b: object): boolean {
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, index) => equal(item, b[index]));
  if (Array.isArray(b)) return false;
  if (a instanceof Date) return b instanceof Date && a.getTime() === b.getTime();
  if (a instanceof Uint8Array) return b instanceof Uint8Array && Buffer.compare(a, b) === 0;
  if (isDuration(a)) return isDuration(b) && a.seconds === b.seconds && a.nanos === b.nanos;
  const left = entriesOf(a);
  const right = entriesOf(b);
  if (left === null || right === null) return a.valueOf() === b.valueOf();
  if (left.size !== right.size) return false;
  for (const [key, member] of left) if (!right.has(key) || !equal(member, right.get(key))) return false;
  return true;
}

function entriesOf(value: object): Map<unknown, unknown> | null {
  if (value instanceof Map) return value;
  return isObject(value) && Object.getPrototypeOf(value) === Object.prototype ? new Map(Object.entries(value)) : null;
}

/** Equality of CEL values, numbers by their mathematical value; values of different kinds are unequal. Every comparison is paid for. */
export function equal(a: CelValue, b: CelValue): boolean {
  spendWork(typeof a === "string" ? 0.2 + a.length / 4096 : 0.2);
  if (a === b) return true;
  const left = unsignedOf(a);
  const right = unsignedOf(b);
  // oxlint-disable-next-line eqeqeq -- int and double compare by value only with the loose operator
  if (isNumeric(left) && isNumeric(right)) return left == right;
  return typeof a === "object" && typeof b === "object" && a !== null && b !== null && equalObjects(a, b);
}

/** The bigint of CEL's uint, which the library boxes. */
function unsignedOf(value: CelValue): CelValue {
  if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Map || value instanceof Date) return value;
  const primitive: unknown = value.valueOf();
  return typeof primitive === "bigint" ? primitive : value;
}

/** Membership: an item of a list, or a key of a map. */
export function isIn(value: CelValue, container: CelValue): boolean {
  if (Array.isArray(container)) return container.some((item) => equal(value, item));
  assert(typeof container === "object" && container !== null, "`in` takes a list or a map");
  if (container instanceof Map) return container.has(value);
  return Object.hasOwn(container, String(value));
}
