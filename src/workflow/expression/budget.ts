// The bounds of one evaluation. Evaluation is synchronous and never nested, so one running budget is enough, and because every
// loop of the language passes through `spendStep` or `spendWork`, no thread is needed to stop it.
import { limits } from "../../base/index.ts";

/** Longest text, and longest list, that an operator may make. */
export const textUnitsMax = 8 * 1024 * 1024;
export const listItemsMax = 1_000_000;
/** Members and items of a result, each use of a shared value counted. */
export const resultNodesMax = 1_000_000;

const workPerLook = 64;

let steps = 0;
let work = 0;
let deadline = 0;
let exceeded: string | null = null;

function stop(why: string): never {
  exceeded = why;
  throw new Error(why);
}

/** Runs one evaluation within the bounds. A bound that the expression swallowed (`… || true`) still ends it. */
export function withBudget<T>(evaluate: () => T): T {
  steps = 0;
  work = 0;
  exceeded = null;
  deadline = performance.now() + limits.expressionMsMax;
  const result = evaluate();
  if (exceeded !== null) throw new Error(exceeded);
  return result;
}

/** One round of a macro. */
export function spendStep(): void {
  if (++steps > limits.expressionStepsMax) stop(`it takes more than ${limits.expressionStepsMax} macro steps`);
  spendWork(1);
}

/** Any work that grows with its operands; `amount` is about the time of one macro step. */
export function spendWork(amount: number): void {
  work += amount;
  if (work < workPerLook && exceeded === null) return;
  work = 0;
  if (exceeded !== null) throw new Error(exceeded);
  if (performance.now() > deadline) stop(`it takes longer than ${limits.expressionMsMax} ms`);
}

export function refuseSize(what: string): never {
  return stop(`it makes ${what}`);
}
