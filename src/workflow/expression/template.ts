// JSON values whose strings may hold expressions, and conditions. Compiled at first use, so that large workflows start fast.
import { fail, type Json, type JsonObject } from "../../base/index.ts";
import { setMember } from "../source/raw-node.ts";
import { textUnitsMax } from "./budget.ts";
import { type Expression, parseExpression } from "./expression.ts";
import type { Scope } from "./scope.ts";
import { hasTemplate, soleExpression, splitTemplate, type TemplatePart, withoutBlanks } from "./template-text.ts";

export type Template = {
  /** The value with every expression replaced; parts without one are shared with the definition. @throws EXPRESSION_ERROR */
  evaluate(scope: Scope): Json;
};

export type Condition = {
  /** @throws EXPRESSION_ERROR also when the value is not true or false */
  evaluate(scope: Scope): boolean;
  /** Whether it calls success(), failure() or always(); then it decides itself about failed needs. */
  readonly callsStatus: boolean;
  /** Whether it reads `item`, `index` or `matrix`; then each item has an answer of its own. */
  readonly readsItem: boolean;
};

type Evaluate = (scope: Scope) => Json;

function compileExpression(text: string): Expression {
  const { expression, problem } = parseExpression(text);
  if (expression === null)
    throw fail("EXPRESSION_ERROR", `Cannot evaluate "{{ ${text.trim().slice(0, 200)} }}": ${problem?.message ?? "not an expression"}`);
  return expression;
}

function insertText(value: Json): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function compilePart(part: TemplatePart): (scope: Scope) => string {
  if ("literal" in part) return () => part.literal;
  const expression = compileExpression(part.expression);
  return (scope) => insertText(expression.evaluate(scope));
}

function compileText(text: string): Evaluate | null {
  if (!hasTemplate(text)) return null;
  const { parts, problem } = splitTemplate(text);
  if (problem !== null) throw fail("EXPRESSION_ERROR", `Cannot evaluate "${text.slice(0, 200)}": ${problem.message}`);
  const sole = soleExpression(parts);
  if (sole !== null) {
    const expression = compileExpression(sole.expression);
    return (scope) => expression.evaluate(scope);
  }
  const compiled = parts.map(compilePart);
  return (scope) => {
    let out = "";
    for (const part of compiled) {
      out += part(scope);
      if (out.length > textUnitsMax)
        throw fail("EXPRESSION_ERROR", `Cannot evaluate "${text.slice(0, 200)}": it makes more than ${textUnitsMax} characters`);
    }
    return out;
  };
}

function compileObject(value: JsonObject): Evaluate | null {
  const members = Object.entries(value).map(([key, member]) => ({ key, member, evaluate: compileValue(member) }));
  if (members.every((member) => member.evaluate === null)) return null;
  return (scope) => {
    const out: JsonObject = {};
    for (const { key, member, evaluate } of members) setMember(out, key, evaluate === null ? member : evaluate(scope));
    return out;
  };
}

/** Null for a value without expressions. */
function compileValue(value: Json): Evaluate | null {
  if (typeof value === "string") return compileText(value);
  if (typeof value !== "object" || value === null) return null;
  if (!Array.isArray(value)) return compileObject(value);
  const items = value.map((item) => ({ item, evaluate: compileValue(item) }));
  if (items.every((item) => item.evaluate === null)) return null;
  return (scope) => items.map(({ item, evaluate }) => (evaluate === null ? item : evaluate(scope)));
}

function lazy<T>(make: () => T): () => T {
  let made: { value: T } | null = null;
  return () => (made ??= { value: make() }).value;
}

export function createTemplate(value: Json): Template {
  const compiled = lazy(() => compileValue(value));
  return {
    evaluate(scope) {
      const evaluate = compiled();
      return evaluate === null ? value : evaluate(scope);
    },
  };
}

/** A template that gives the value as it stands; nothing in it is replaced. */
export function createConstant(value: Json): Template {
  return { evaluate: () => value };
}

/** The expression of a condition: what stands in its one `{{ }}`, or the whole text when it has none; null for any other mixture. */
export function conditionText(text: string): { expression: string; start: number } | null {
  if (!hasTemplate(text)) return { expression: text, start: 0 };
  const { parts, problem } = splitTemplate(text);
  return problem === null ? soleExpression(withoutBlanks(parts)) : null;
}

export function createCondition(text: string): Condition {
  const compiled = lazy(() => compileExpression(conditionText(text)?.expression ?? text));
  return {
    evaluate(scope) {
      const value = compiled().evaluate(scope);
      if (typeof value === "boolean") return value;
      throw fail("EXPRESSION_ERROR", `Cannot evaluate the condition "${text.slice(0, 200)}": its value is not true or false`);
    },
    get callsStatus() {
      return compiled().callsStatus;
    },
    get readsItem() {
      return compiled().references.some(({ root }) => root === "item" || root === "index" || root === "matrix");
    },
  };
}
