// CEL over one value named `input`. The attempt's own limits of time and memory bound it, so there is no budget as in the engine.
import { Environment } from "@marcbachmann/cel-js";
import { isObject, type Json, type JsonObject, limits } from "../../base/index.ts";
import { failure } from "../shared/failure.ts";

type Located = { summary?: string; message: string; range?: { start: number; end: number } };

let ready: Environment | null = null;

/** As in workflow expressions: int and double mix, and lists hold what they like. */
function environment(): Environment {
  if (ready !== null) return ready;
  const made = new Environment({ homogeneousAggregateLiterals: false, limits: { maxAstNodes: 10_000, maxDepth: 100 } });
  made.registerVariable("input", "dyn");
  const widened: Record<string, (a: number, b: number) => number> = {
    "+": (a, b) => a + b,
    "-": (a, b) => a - b,
    "*": (a, b) => a * b,
    "/": (a, b) => a / b,
  };
  for (const [sign, compute] of Object.entries(widened)) {
    const widen = (a: number | bigint, b: number | bigint): number => compute(Number(a), Number(b));
    made.registerOperator(`int ${sign} double: double`, widen);
    made.registerOperator(`double ${sign} int: double`, widen);
  }
  // oxlint-disable-next-line eqeqeq -- int and double compare by value only with the loose operator
  made.registerOperator("int == double: bool", (a: bigint, b: number) => a == (b as unknown as bigint));
  ready = made;
  return made;
}

/** The value of an expression. @throws EXPRESSION_ERROR with {expression, name, cause, start, end, line, column} */
export function evaluateCel(expression: string, input: unknown, name: string | null): Json {
  try {
    if (expression.length > limits.expressionCharsMax) throw new Error(`it has more than ${limits.expressionCharsMax} characters`);
    const parsed = environment().parse(expression);
    const checked = parsed.check();
    if (!checked.valid) throw checked.error ?? new Error("it is not valid");
    return fromCel(parsed({ input }));
  } catch (cause) {
    throw expressionError(expression, name, cause as Located);
  }
}

function expressionError(expression: string, name: string | null, cause: Located): Error {
  const why = cause instanceof RangeError ? "it is nested too deep or makes too large a value" : (cause.summary ?? cause.message);
  const { start = 0, end = expression.length } = cause.range ?? {};
  const before = expression.slice(0, start).split("\n");
  const shown = expression.length > 200 ? `${expression.slice(0, 200)}…` : expression;
  const position = { start, end, line: before.length, column: (before.at(-1) ?? "").length + 1 };
  return failure("EXPRESSION_ERROR", `Cannot evaluate "${shown}": ${why}`, {
    details: { expression: shown, ...(name === null ? {} : { name }), cause: why, ...position },
    retryable: false,
  });
}

/** Integers within ±(2^53−1) are int, other numbers double; objects become Maps, so that no member is taken for one of JavaScript's. */
export function toCel(value: Json): unknown {
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof value !== "object" || value === null) return value;
  return Array.isArray(value) ? value.map(toCel) : new Map(Object.entries(value).map(([key, member]) => [key, toCel(member)]));
}

function fromCel(value: unknown): Json {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      if (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value)))
        throw new Error(`its result ${value} is not a JSON number`);
      return value === 0 ? 0 : value;
    case "bigint":
      if (!Number.isSafeInteger(Number(value))) throw new Error(`its result ${value} is beyond ±(2^53−1)`);
      return Number(value);
    case "object":
      return value === null ? null : fromObject(value);
    default:
      throw new Error(`its result is a ${typeof value}`);
  }
}

function fromObject(value: object): Json {
  if (Array.isArray(value)) return value.map(fromCel);
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (value instanceof Map || isPlain(value)) {
    const out: JsonObject = {};
    for (const [key, member] of value instanceof Map ? value : Object.entries(value))
      Object.defineProperty(out, String(key), { value: fromCel(member), enumerable: true, configurable: true, writable: true });
    return out;
  }
  const primitive: unknown = value.valueOf();
  if (typeof primitive === "bigint") return fromCel(primitive);
  if (Object.prototype.toString.call(value) === "[object google.protobuf.Duration]") return String(value);
  throw new Error("its result is a type, not a value");
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return isObject(value) && (prototype === Object.prototype || prototype === null);
}
