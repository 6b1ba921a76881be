// The CEL library set up for workflows: roots, overloads that widen to double, functions of our own, and syntax trees prepared
// so that every loop is counted, sizes are bounded, and `matches` runs in linear time.
import type { Environment, ParseResult } from "@marcbachmann/cel-js";
import { parseTime } from "../../base/index.ts";
import { listItemsMax, refuseSize, spendStep, spendWork, textUnitsMax } from "./budget.ts";
import { linearPattern } from "./pattern.ts";
import { equal, isIn } from "./values.ts";
import { timeFields } from "./zoned-time.ts";

export const rootNames = ["inputs", "vars", "secrets", "tasks", "execution", "trigger", "item", "index", "matrix", "env"] as const;
export type RootName = (typeof rootNames)[number];

/** What the status functions answer in the evaluation that runs now. */
export const status = { success: true, failure: false };

/** A node of the library's tree, with the parts that preparing it needs; `meta.alternate` is a macro's expansion. */
export type CelNode = {
  op: string;
  args: unknown;
  start: number;
  end: number;
  meta: { alternate?: CelNode };
  checkedType?: { name: string };
  handle?: (...values: never[]) => unknown;
};

type Comprehension = { iterable: CelNode; init: CelNode; step: CelNode; condition?: (value: unknown) => boolean };

export function isCelNode(value: unknown): value is CelNode {
  return typeof value === "object" && value !== null && "op" in value && "args" in value;
}

const sync = { async: false };

function registerTimes(environment: Environment): void {
  const time = "google.protobuf.Timestamp";
  environment.registerFunction(`string(${time}): string`, (at: Date) => at.toISOString(), sync);
  environment.registerFunction("string(google.protobuf.Duration): string", String, sync);
  environment.registerFunction(
    `strictTimestamp(string): ${time}`,
    (text: string) => {
      const at = parseTime(text);
      if (at === null) throw new Error(`timestamp() takes an RFC 3339 time`);
      return new Date(at);
    },
    sync,
  );
  environment.registerFunction(
    `strictTimestamp(int): ${time}`,
    (seconds: bigint) => {
      const at = Number(seconds) * 1000;
      if (!(Math.abs(at) <= 253_402_300_799_999)) throw new Error("timestamp() takes seconds within the years 1 to 9999");
      return new Date(at);
    },
    sync,
  );
  environment.registerFunction(`strictTimestamp(${time}): ${time}`, (at: Date) => at, sync);
  for (const [name, field] of Object.entries(timeFields)) {
    environment.registerFunction(`${time}.${name}InZone(string): int`, (at: Date, zone: string) => BigInt(field(at, zone)), sync);
    environment.registerFunction(`${time}.${name}InZone(): int`, (at: Date) => BigInt(field(at, "UTC")), sync);
  }
}

function registerNumbers(environment: Environment): void {
  const widened: Record<string, (a: number, b: number) => number> = {
    "+": (a, b) => a + b,
    "-": (a, b) => a - b,
    "*": (a, b) => a * b,
    "/": (a, b) => a / b,
  };
  for (const [sign, compute] of Object.entries(widened)) {
    const widen = (a: number | bigint, b: number | bigint): number => compute(Number(a), Number(b));
    environment.registerOperator(`int ${sign} double: double`, widen);
    environment.registerOperator(`double ${sign} int: double`, widen);
  }
  // The library compares these at run time, yet refuses literals of the two kinds; the handler is replaced by `equal` like any other.
  environment.registerOperator("int == double: bool", equal);
}

let ready: Environment | null = null;

/** Loaded at the first expression: a workflow without one starts sooner. */
function environment(): Environment {
  if (ready !== null) return ready;
  const library = require("@marcbachmann/cel-js") as typeof import("@marcbachmann/cel-js");
  const made = new library.Environment({
    homogeneousAggregateLiterals: false,
    limits: { maxAstNodes: 10_000, maxDepth: 100, maxListElements: 1000, maxMapEntries: 1000 },
  });
  for (const name of rootNames) made.registerVariable(name, "dyn");
  made.registerFunction("success(): bool", () => status.success, sync);
  made.registerFunction("failure(): bool", () => status.failure, sync);
  made.registerFunction("always(): bool", () => true, sync);
  made.registerFunction("string.matchesLinear(string): bool", matchesLinear, sync);
  registerTimes(made);
  registerNumbers(made);
  ready = made;
  return made;
}

/** One match cannot be interrupted, so text and pattern together are bounded. */
function matchesLinear(text: string, pattern: string): boolean {
  if (text.length * pattern.length > 8 * 1024 * 1024) refuseSize("a match of too long a text");
  return linearPattern(pattern).test(text);
}

/** Functions of the library that ours replace, by name and number of arguments (a method's receiver not counted). */
const replaced: Record<string, string> = { "matches/1": "matchesLinear", "getDayOfYear/0": "getDayOfYearInZone" };
for (const name of Object.keys(timeFields)) replaced[`${name}/1`] = `${name}InZone`;

/** Child nodes that evaluation reaches: a macro's expansion stands for its written arguments. */
function childrenOf(node: CelNode): CelNode[] {
  if (node.meta.alternate !== undefined) return [node.meta.alternate];
  if (node.op === "comprehension") {
    const { iterable, init, step } = node.args as Comprehension;
    return [iterable, init, step];
  }
  return nodesIn(node.args);
}

/** The nodes among a node's written arguments, in order. */
export function nodesIn(args: unknown): CelNode[] {
  if (isCelNode(args)) return [args];
  return Array.isArray(args) ? args.flatMap(nodesIn) : [];
}

function walk(root: CelNode, visit: (node: CelNode) => void): void {
  const seen = new Set<CelNode>();
  const open = [root];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    visit(node);
    open.push(...childrenOf(node));
  }
}

function isNumberNode(node: CelNode): boolean {
  if (node.op === "-_") return isCelNode(node.args) && isNumberNode(node.args);
  return node.op === "value" && (typeof node.args === "bigint" || typeof node.args === "number");
}

/** `2 in [2.0]`: the library wants one type on both sides, while `isIn` compares numbers by value; `dyn()` leaves it to that. */
function widenMembership(node: CelNode): void {
  const args = node.args as [CelNode, CelNode];
  const [left, right] = args;
  const items = right.op === "list" ? nodesIn(right.args) : [];
  if (items.length === 0 || !items.every(isNumberNode) || (left.op === "value" && !isNumberNode(left))) return;
  const { tree } = parseCel("dyn(0)");
  args[0] = Object.assign(tree, { args: ["dyn", [left]], start: left.start, end: left.end });
}

/** Before the types are checked: calls go to our own functions, and every round of a macro is counted. */
function redirect(node: CelNode): void {
  if (node.op === "rcall") {
    const args = node.args as [string, CelNode, CelNode[]];
    args[0] = replaced[`${args[0]}/${args[2].length}`] ?? args[0];
  } else if (node.op === "call") {
    const args = node.args as [string, CelNode[]];
    if (args[0] === "timestamp") args[0] = "strictTimestamp";
  } else if (node.op === "in") {
    widenMembership(node);
  } else if (node.op === "comprehension") {
    const loop = node.args as Comprehension;
    const original = loop.condition;
    loop.condition = (value) => {
      spendStep();
      return original === undefined || original(value);
    };
  }
}

function sizeOf(value: unknown): number {
  if (typeof value === "string") return value.length;
  if (Array.isArray(value) || value instanceof Uint8Array) return value.length;
  return value instanceof Map ? value.size : 0;
}

function boundSize<T>(value: T): T {
  if (typeof value === "string" && value.length > textUnitsMax) refuseSize(`a text of more than ${textUnitsMax} characters`);
  if (Array.isArray(value) && value.length > listItemsMax) refuseSize(`a list of more than ${listItemsMax} items`);
  return value;
}

/** `join` makes its text in one go, so its length is known only from its parts. */
function boundJoin(args: unknown): void {
  if (!Array.isArray(args) || !Array.isArray(args[0])) return;
  let units = sizeOf(args[1]) * args[0].length;
  for (const item of args[0]) units += sizeOf(item);
  if (units > textUnitsMax) refuseSize(`a text of more than ${textUnitsMax} characters`);
}

type Handle = (...values: unknown[]) => unknown;

function boundedCall(node: CelNode, original: Handle): Handle {
  const joins = node.op === "rcall" && (node.args as [string])[0] === "join";
  return (...values) => {
    let size = 0;
    if (Array.isArray(values[0])) for (const value of values[0]) size += sizeOf(value);
    spendWork(1 + size / 200);
    if (joins) boundJoin(values[0]);
    return boundSize(original(...values));
  };
}

function boundedBinary(node: CelNode, original: Handle): Handle {
  switch (node.op) {
    case "==":
      return (left, right) => equal(left, right);
    case "!=":
      return (left, right) => !equal(left, right);
    case "in":
      return (left, right, ...rest) => (typeof right === "object" && right !== null ? isIn(left, right) : original(left, right, ...rest));
    case "+":
      return (left, right, ...rest) => {
        spendWork(1);
        if (!Array.isArray(left) || !Array.isArray(right)) return boundSize(original(left, right, ...rest));
        if (left.length + right.length > listItemsMax) refuseSize(`a list of more than ${listItemsMax} items`);
        spendWork((left.length + right.length) / 200);
        return [...left, ...right];
      };
    default:
      return (left, right, ...rest) => {
        spendWork(0.2 + (typeof left === "string" ? Math.min(left.length, sizeOf(right)) / 4096 : 0));
        return original(left, right, ...rest);
      };
  }
}

const binary = new Set(["==", "!=", "in", "+", "-", "*", "/", "%", "<", "<=", ">", ">="]);

/** After the types are checked, when each node knows its handler: operators and calls pay for their operands. */
function bound(node: CelNode): void {
  const original = node.handle as Handle | undefined;
  if (original === undefined) return;
  if (node.op === "call" || node.op === "rcall") node.handle = boundedCall(node, original) as never;
  else if (binary.has(node.op)) node.handle = boundedBinary(node, original) as never;
}

/** The tree of an expression. @throws the library's ParseError, or RangeError for absurd nesting */
export function parseCel(text: string): { run: ParseResult; tree: CelNode } {
  const run = environment().parse(text);
  return { run, tree: run.ast as unknown as CelNode };
}

/** Checks types and prepares the tree for evaluation. Returns the library's finding, null when there is none. @throws RangeError */
export function prepareCel({ run, tree }: { run: ParseResult; tree: CelNode }): Error | null {
  walk(tree, redirect);
  const checked = run.check();
  if (!checked.valid) return checked.error ?? new Error("Not valid");
  walk(tree, bound);
  return null;
}
