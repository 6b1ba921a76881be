// What an expression reads: its roots with the literal path behind each, found on the syntax tree without evaluating.
import { isCelNode, nodesIn, type CelNode } from "./environment.ts";

/** One step behind a root: a field, or a literal index; offsets are those of the expression's text. */
export type Step = { key: string | number; end: number };

export type Reference = {
  root: string;
  /** Literal steps; what follows a computed index is not among them. */
  steps: Step[];
  start: number;
  rootEnd: number;
};

const typeNames = new Set(["int", "uint", "double", "bool", "string", "bytes", "list", "map", "null_type", "type"]);
const macros = new Map([
  ["map", [2, 3]],
  ["filter", [2]],
  ["all", [2]],
  ["exists", [2]],
  ["exists_one", [2]],
]);
const statusFunctions = new Set(["success", "failure", "always"]);

export type Findings = { references: Reference[]; callsStatus: boolean };

/** The chain that a node is, such as `tasks.a["b"][0]`; null when it does not start at a name. */
function chainOf(node: CelNode): Reference | null {
  const steps: Step[] = [];
  let at = node;
  while (at.op === "." || at.op === "[]") {
    const [left, right] = at.args as [CelNode, unknown];
    const key = at.op === "." ? right : literalOf(right);
    if (typeof key !== "string" && typeof key !== "number") return null;
    steps.push({ key, end: at.end });
    at = left;
  }
  if (at.op !== "id") return null;
  return { root: String(at.args), steps: steps.toReversed(), start: at.start, rootEnd: at.end };
}

function literalOf(node: unknown): string | number | null {
  if (!isCelNode(node) || node.op !== "value") return null;
  if (typeof node.args === "bigint") return Number(node.args);
  return typeof node.args === "string" ? node.args : null;
}

type Walk = { found: Findings; bound: ReadonlySet<string> };

function visitCall(node: CelNode, walk: Walk): void {
  if (node.op === "call") {
    const [name, args] = node.args as [string, CelNode[]];
    if (statusFunctions.has(name)) walk.found.callsStatus = true;
    for (const arg of args) visit(arg, walk);
    return;
  }
  const [name, receiver, args] = node.args as [string, CelNode, CelNode[]];
  visit(receiver, walk);
  const variable = args[0];
  if (macros.get(name)?.includes(args.length) !== true || variable?.op !== "id") {
    for (const arg of args) visit(arg, walk);
    return;
  }
  const bound = new Set([...walk.bound, String(variable.args)]);
  for (const arg of args.slice(1)) visit(arg, { found: walk.found, bound });
}

function visit(node: CelNode, walk: Walk): void {
  const chain = node.op === "id" || node.op === "." || node.op === "[]" ? chainOf(node) : null;
  if (chain !== null) {
    const isType = chain.steps.length === 0 && typeNames.has(chain.root);
    if (!walk.bound.has(chain.root) && !isType) walk.found.references.push(chain);
    return;
  }
  if (node.op === "call" || node.op === "rcall") return visitCall(node, walk);
  for (const child of nodesIn(node.args)) visit(child, walk);
}

/** All references of a tree, iteration variables of macros left out. @throws RangeError for absurd nesting */
export function findReferences(tree: CelNode): Findings {
  const found: Findings = { references: [], callsStatus: false };
  visit(tree, { found, bound: new Set() });
  return found;
}

/** The single reference that the whole expression is, when it is one. */
export function soleReference(tree: CelNode): Reference | null {
  return chainOf(tree);
}
