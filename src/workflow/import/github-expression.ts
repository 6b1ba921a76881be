// Expressions of GitHub Actions in the workflow language's own: operators, functions, and what counts as true.
import { limits } from "../../base/index.ts";
import { type Operator, parseSyntax, splitExpressions, type Syntax } from "./github-syntax.ts";
import { enclose, expression, literal, quoteCel } from "./texts.ts";

/** An expression with what is known of its value. `text`: the value, where it is a literal. */
export type Cel = {
  cel: string;
  type: "bool" | "string" | "number" | "any";
  text?: string;
  /** Simpler words for a comparison with one of these texts. */
  cases?: Readonly<Record<string, string>>;
};

/** Answers for a name such as `matrix.os`; a string says why there is no answer. */
export type ResolveName = (path: readonly string[]) => Cel | string;
/** What the status functions are at this place; null where there are none. */
export type StatusWords = Readonly<Record<"success" | "failure" | "always" | "cancelled", string>> | null;
export type ExpressionScope = { resolve: ResolveName; status: StatusWords };

/** Carries the reason out of the recursion; caught in `translate` and nowhere else. */
class Untranslatable extends Error {}

function refuse(reason: string): never {
  throw new Untranslatable(reason);
}

const string = (text: string): Cel => ({ cel: quoteCel(text), type: "string", text });

function ofLiteral(value: string | number | boolean | null): Cel {
  if (typeof value === "string") return string(value);
  if (typeof value === "boolean") return { cel: String(value), type: "bool" };
  return value === null ? { cel: "null", type: "any" } : { cel: String(value), type: "number", text: String(value) };
}

/** Empty text, 0, false and null are false. */
function truth({ cel, type }: Cel): string {
  if (type === "bool") return cel;
  if (type === "string") return `${cel} != ''`;
  if (type === "number") return `${cel} != 0`;
  return `!(${cel} in ['', 0, false, null])`;
}

function not(of: Cel): Cel {
  return { cel: of.type === "bool" ? `!${enclose(of.cel)}` : `!(${truth(of)})`, type: "bool" };
}

/** An expression where only whether it is true counts. */
function convertTruth(syntax: Syntax, scope: ExpressionScope): Cel {
  if (syntax.is !== "binary" || (syntax.op !== "&&" && syntax.op !== "||")) return { cel: truth(convert(syntax, scope)), type: "bool" };
  return join(syntax.op, [syntax.left, convertTruth(syntax.left, scope)], [syntax.right, convertTruth(syntax.right, scope)]);
}

function join(op: "&&" | "||", [left, a]: [Syntax, Cel], [right, b]: [Syntax, Cel]): Cel {
  if (a.cel === "false") return op === "||" ? b : a;
  if (b.cel === "false") return op === "||" ? a : b;
  return { cel: `${side(a, left, op)} ${op} ${side(b, right, op)}`, type: "bool" };
}

/** `a && 'x' || 'y'` is how a choice between values is written there. */
function choice(condition: Cel, yes: Cel, no: Cel): Cel {
  const type = yes.type === no.type ? yes.type : "any";
  // Each value may stand twice, so that a long row of them would grow beyond all bounds.
  if (condition.cel.length + yes.cel.length + no.cel.length > limits.expressionCharsMax) return refuse("it is too long");
  return { cel: `${enclose(truth(condition))} ? ${enclose(yes.cel)} : ${enclose(no.cel)}`, type };
}

function logical(op: "&&" | "||", left: Syntax, right: Syntax, scope: ExpressionScope): Cel {
  if (op === "||" && left.is === "binary" && left.op === "&&") {
    const value = convert(left.right, scope);
    if (value.type !== "bool") return choice(convert(left.left, scope), value, convert(right, scope));
  }
  const a = convert(left, scope);
  const b = convert(right, scope);
  if (a.type === "bool" && b.type === "bool") return join(op, [left, a], [right, b]);
  return op === "&&" ? choice(a, b, a) : choice(a, a, b);
}

/** Parentheses only where the operator inside is another one. */
function side(value: Cel, syntax: Syntax, op: string): string {
  if (syntax.is !== "binary") return syntax.is === "not" ? value.cel : wrapMixed(value.cel);
  return syntax.op === op || !["&&", "||"].includes(syntax.op) ? wrapMixed(value.cel) : enclose(value.cel);
}

const wrapMixed = (cel: string): string => (/\?/.test(cel) ? enclose(cel) : cel);

const isNumeric = (text: string | undefined): boolean => text !== undefined && /^-?\d+(?:\.\d+)?$/.test(text);

/** A text and a number are compared as numbers there; here both are compared as texts. */
function compare(op: Operator, left: Cel, right: Cel): Cel {
  const known = left.cases !== undefined && right.text !== undefined ? left.cases[right.text] : undefined;
  if (known !== undefined && (op === "==" || op === "!=")) return { cel: op === "==" ? known : `!${enclose(known)}`, type: "bool" };
  const asText = ({ cel, type, text }: Cel): string => (text !== undefined ? quoteCel(text) : type === "string" ? enclose(cel) : `string(${cel})`);
  const mixes = (a: Cel, b: Cel): boolean => a.type === "string" && isNumeric(a.text) && (b.type === "any" || b.type === "number");
  const isMixed = (op === "==" || op === "!=") && (mixes(left, right) || mixes(right, left) || (left.type === "string" && right.type === "number"));
  if (isMixed || ((op === "==" || op === "!=") && left.type === "number" && right.type === "string"))
    return { cel: `${asText(left)} ${op} ${asText(right)}`, type: "bool" };
  const isOrder = op !== "==" && op !== "!=";
  const operand = (one: Cel, other: Cel): string =>
    isOrder && one.type === "string" && one.text === undefined && other.type === "number" ? `double(${one.cel})` : enclose(one.cel);
  return { cel: `${operand(left, right)} ${op} ${operand(right, left)}`, type: "bool" };
}

/** `fromJSON('["a"]')` of a literal is the list itself. */
function literalList(syntax: Syntax | undefined): string | null {
  const arg = syntax?.is === "call" && syntax.name === "fromjson" ? syntax.args[0] : undefined;
  if (arg?.is !== "literal" || typeof arg.value !== "string") return null;
  try {
    const list: unknown = JSON.parse(arg.value);
    if (!Array.isArray(list) || !list.every((one) => typeof one === "string" || typeof one === "number")) return null;
    return `[${list.map((one) => (typeof one === "string" ? quoteCel(one) : String(one))).join(", ")}]`;
  } catch {
    return null;
  }
}

function callOf(name: string, args: readonly Syntax[], scope: ExpressionScope): Cel {
  if (name === "success" || name === "failure" || name === "always" || name === "cancelled") {
    if (scope.status === null) return refuse(`${name}() can stand only in if:`);
    return { cel: scope.status[name], type: "bool" };
  }
  const [first, second] = args;
  if (name === "contains" && first !== undefined && second !== undefined) {
    const list = literalList(first);
    if (list !== null) return { cel: `${enclose(convert(second, scope).cel)} in ${list}`, type: "bool" };
    return method("contains", convert(first, scope), convert(second, scope));
  }
  if ((name === "startswith" || name === "endswith") && first !== undefined && second !== undefined)
    return method(name === "startswith" ? "startsWith" : "endsWith", convert(first, scope), convert(second, scope));
  if (name === "format" && first?.is === "literal" && typeof first.value === "string")
    return format(
      first.value,
      args.slice(1).map((arg) => convert(arg, scope)),
    );
  return refuse(`${name}() has no equivalent`);
}

function method(name: string, of: Cel, arg: Cel): Cel {
  const asString = ({ cel, type }: Cel): string => (type === "string" ? enclose(cel) : `string(${cel})`);
  return { cel: `${asString(of)}.${name}(${asString(arg)})`, type: "bool" };
}

function format(pattern: string, args: readonly Cel[]): Cel {
  const parts = pattern.split(/(\{\{|\}\}|\{\d+\})/).filter((part) => part !== "");
  const terms = parts.map((part) => {
    const arg = /^\{(\d+)\}$/.exec(part);
    if (arg === null) return quoteCel(part === "{{" ? "{" : part === "}}" ? "}" : part);
    const value = args[Number(arg[1])];
    if (value === undefined) return refuse("format() has too few values");
    return value.type === "string" ? enclose(value.cel) : `string(${value.cel})`;
  });
  return { cel: terms.length === 0 ? "''" : terms.join(" + "), type: "string" };
}

function convert(syntax: Syntax, scope: ExpressionScope): Cel {
  switch (syntax.is) {
    case "literal":
      return ofLiteral(syntax.value);
    case "name": {
      const found = scope.resolve(syntax.path);
      return typeof found === "string" ? refuse(found) : found;
    }
    case "call":
      return callOf(syntax.name, syntax.args, scope);
    case "not":
      // A task never starts after a cancel, so this is the same as always.
      if (syntax.of.is === "call" && syntax.of.name === "cancelled" && scope.status !== null) return { cel: scope.status.always, type: "bool" };
      return not(syntax.of.is === "binary" ? convertTruth(syntax.of, scope) : convert(syntax.of, scope));
    case "binary":
      if (syntax.op === "&&" || syntax.op === "||") return logical(syntax.op, syntax.left, syntax.right, scope);
      return compare(syntax.op, convert(syntax.left, scope), convert(syntax.right, scope));
  }
}

export type Translated = { value: Cel; problem: null } | { value: null; problem: string };

/** One expression, without its braces. `problem` says why there is no equivalent. */
export function translate(text: string, scope: ExpressionScope): Translated {
  return translateWith(convert, text, scope);
}

function translateWith(work: typeof convert, text: string, scope: ExpressionScope): Translated {
  const syntax = parseSyntax(text);
  if (syntax === null) return { value: null, problem: "it cannot be read" };
  try {
    return { value: work(syntax, scope), problem: null };
  } catch (thrown) {
    if (!(thrown instanceof Untranslatable)) throw thrown;
    return { value: null, problem: thrown.message };
  }
}

/** A condition of `if:`, which needs no braces there. The expression is one that is true or false. */
export function translateCondition(text: string, scope: ExpressionScope): Translated {
  const parts = splitExpressions(text.trim());
  const [only] = parts;
  const inner = parts.length === 1 && only !== undefined && "expression" in only ? only.expression : text;
  if (parts.length > 1 && inner.includes("${{")) return { value: null, problem: "it mixes text and expressions" };
  return translateWith(convertTruth, inner, scope);
}

/** A value's text with its expressions as templates; what has no equivalent stays as it is, and is named in `problems`. */
export function translateText(text: string, scope: ExpressionScope): { template: string; problems: string[] } {
  const problems: string[] = [];
  const parts = splitExpressions(text).map((part) => {
    if ("literal" in part) return literal(part.literal);
    const { value, problem } = translate(part.expression, scope);
    if (value === null) {
      problems.push(`\${{ ${part.expression} }}: ${problem}`);
      return literal(text.slice(part.start, part.end));
    }
    return value.text === undefined ? expression(value.cel) : literal(value.text);
  });
  return { template: parts.join(""), problems };
}
