// One CEL expression: parsed and checked once, evaluated as often as needed, always within the bounds.
import { fail, type Json, limits } from "../../base/index.ts";
import { withBudget } from "./budget.ts";
import { parseCel, prepareCel, rootNames, status } from "./environment.ts";
import { findReferences, type Reference, soleReference } from "./references.ts";
import { celContext, follow, type Scope } from "./scope.ts";
import { fromCel } from "./values.ts";

export type Expression = {
  readonly text: string;
  readonly references: readonly Reference[];
  readonly callsStatus: boolean;
  /** CEL's name of the static type, `dyn` where it depends on values. */
  readonly type: string;
  /** The value as JSON. @throws EXPRESSION_ERROR for any cause: an absent field, an overload, a bound */
  evaluate(scope: Scope): Json;
};

/** Why a text is no expression; offsets are those of the text. */
export type ExpressionProblem = { message: string; start: number; end: number };

/** `problem` is null exactly when `expression` is not. `references` are there as soon as the text can be parsed. */
export type ParsedExpression = { expression: Expression | null; references: readonly Reference[]; problem: ExpressionProblem | null };

type Located = { summary?: string; range?: { start: number; end: number }; message: string };

/** Our own names for replaced functions are not shown to people. */
function plainMessage(message: string): string {
  return message
    .replaceAll("matchesLinear", "matches")
    .replaceAll("strictTimestamp", "timestamp")
    .replaceAll("InZone", "")
    .replaceAll("google.protobuf.Timestamp", "timestamp");
}

function problemOf(thrown: unknown, text: string): ExpressionProblem {
  if (thrown instanceof RangeError) return { message: "The expression is nested too deep", start: 0, end: text.length };
  const located = thrown as Located;
  const start = Math.min(located.range?.start ?? 0, text.length);
  return {
    message: plainMessage(located.summary ?? located.message),
    start,
    end: Math.max(start, Math.min(located.range?.end ?? start, text.length)),
  };
}

function evaluationError(text: string, thrown: unknown): Error {
  const cause =
    thrown instanceof RangeError
      ? "it is nested too deep or makes too large a value"
      : plainMessage((thrown as Located).summary ?? (thrown as Located).message);
  const shown = text.length > 200 ? `${text.slice(0, 200)}…` : text;
  return fail("EXPRESSION_ERROR", `Cannot evaluate "{{ ${shown} }}": ${cause}`, { details: { expression: shown, cause } });
}

function groupByRoot(references: readonly Reference[]): Map<string, Reference[]> {
  const groups = new Map<string, Reference[]>();
  for (const reference of references) {
    const group = groups.get(reference.root);
    if (group === undefined) groups.set(reference.root, [reference]);
    else group.push(reference);
  }
  return groups;
}

const known = new Set<string>(rootNames);

function parse(text: string): ParsedExpression {
  if (text.length > limits.expressionCharsMax) {
    return {
      expression: null,
      references: [],
      problem: { message: `The expression has more than ${limits.expressionCharsMax} characters`, start: 0, end: text.length },
    };
  }
  let references: readonly Reference[] = [];
  try {
    const parsed = parseCel(text);
    const found = findReferences(parsed.tree);
    references = found.references;
    const stranger = references.find((reference) => !known.has(reference.root));
    if (stranger !== undefined) {
      return { expression: null, references, problem: { message: `There is no "${stranger.root}"`, start: stranger.start, end: stranger.rootEnd } };
    }
    const sole = references.length === 1 ? soleReference(parsed.tree) : null;
    const mistake = prepareCel(parsed);
    if (mistake !== null) return { expression: null, references, problem: problemOf(mistake, text) };
    const byRoot = groupByRoot(references);
    const compute = (scope: Scope): Json => {
      if (sole !== null) return follow(scope, sole);
      const context = celContext(scope, byRoot);
      status.success = scope.status.success;
      status.failure = scope.status.failure;
      return withBudget(() => fromCel(parsed.run(context)));
    };
    const evaluate = (scope: Scope): Json => {
      try {
        return compute(scope);
      } catch (thrown) {
        throw evaluationError(text.trim(), thrown);
      }
    };
    const type = parsed.tree.checkedType?.name ?? "dyn";
    return { problem: null, references, expression: { text, references, callsStatus: found.callsStatus, type, evaluate } };
  } catch (thrown) {
    return { expression: null, references, problem: problemOf(thrown, text) };
  }
}

/** Parsed expressions by text: validation and compilation see the same ones, and tasks often repeat them. */
const cache = new Map<string, ParsedExpression>();
const cacheMax = 4000;

/** Parses and type-checks an expression; never throws. */
export function parseExpression(text: string): ParsedExpression {
  const cached = cache.get(text);
  if (cached !== undefined) return cached;
  const made = parse(text);
  if (cache.size >= cacheMax) cache.clear();
  if (text.length <= 2000) cache.set(text, made);
  return made;
}
