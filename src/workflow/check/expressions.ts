// Walks the parts of a workflow that may hold expressions, and reports what is wrong with each at its exact place.
import { type ParsedExpression, parseExpression } from "../expression/expression.ts";
import { conditionText } from "../expression/template.ts";
import { hasTemplate, soleExpression, splitTemplate } from "../expression/template-text.ts";
import { memberPath, type RawNode, type RawScalar } from "../source/raw-node.ts";
import type { Hint, Report } from "../source/report.ts";
import { scalarOffsets } from "../source/scalar-offsets.ts";
import { checkNames, type Names } from "./names.ts";

/** Where expressions are looked at: `text` is the source, `names` what they may name there. */
export type ExpressionPlace = { node: RawNode; path: string; names: Names; text: string; report: Report };

type Part = { scalar: RawScalar; expression: string /** Offset of the expression in the scalar's value. */; start: number };

function reporter(
  place: ExpressionPlace,
  part: Part,
): (finding: { code: Parameters<Report["add"]>[0]["code"]; message: string; hint?: Hint; start: number; end: number }) => void {
  return ({ code, message, hint, start, end }) => {
    const offsets = scalarOffsets(place.text, part.scalar);
    const from = offsets[part.start + start] ?? part.scalar.start;
    const to = offsets[part.start + end] ?? part.scalar.end;
    place.report.add({ code, path: place.path, message, hint, at: { start: from, end: Math.max(from + 1, to) } });
  };
}

function checkPart(place: ExpressionPlace, part: Part): ParsedExpression {
  const parsed = parseExpression(part.expression);
  const report = reporter(place, part);
  const found = checkNames(parsed.references, part.expression, place.names);
  for (const finding of found) report(finding);
  const explained = found.some((finding) => finding.code === "EXPR_UNKNOWN_ROOT");
  if (parsed.problem !== null && !explained) report({ code: "EXPR_SYNTAX", ...parsed.problem });
  return parsed;
}

function checkText(place: ExpressionPlace, scalar: RawScalar, text: string): void {
  if (!hasTemplate(text)) return;
  const { parts, problem } = splitTemplate(text);
  for (const part of parts) if ("expression" in part) checkPart(place, { scalar, expression: part.expression, start: part.start });
  if (problem === null) return;
  reporter(place, { scalar, expression: text, start: 0 })({
    code: "EXPR_SYNTAX",
    message: problem.message,
    hint: "For a literal {{ write \\{{",
    start: problem.start,
    end: problem.end,
  });
}

/** Checks every string below a node. */
export function checkTemplates(place: ExpressionPlace): void {
  const { node, path } = place;
  if (node.kind === "scalar") {
    if (typeof node.value === "string") checkText(place, node, node.value);
  } else if (node.kind === "list") node.items.forEach((item, index) => checkTemplates({ ...place, node: item, path: `${path}[${index}]` }));
  else for (const [key, entry] of node.entries) checkTemplates({ ...place, node: entry.value, path: memberPath(path, key) });
}

const boolTypes = new Set(["bool", "dyn"]);

/** Checks an `if`: one expression, with or without `{{ }}`, that can be true or false. */
export function checkCondition(place: ExpressionPlace): void {
  const { node, path, report } = place;
  if (node.kind !== "scalar" || typeof node.value !== "string") return;
  if (splitTemplate(node.value).problem !== null) return checkText(place, node, node.value);
  const whole = conditionText(node.value);
  if (whole === null)
    return report.add({ code: "BAD_VALUE", path, message: "A condition must be one expression as a whole", at: node, hint: 'Write "{{ a && b }}".' });
  const { expression } = checkPart(place, { scalar: node, ...whole });
  if (expression !== null && !boolTypes.has(expression.type))
    report.add({ code: "BAD_VALUE", path, message: `A condition must be true or false; this one is of type ${expression.type}`, at: node });
}

/** Checks a value that is a list, or one expression that gives a list. */
export function checkListSource(place: ExpressionPlace): void {
  const { node, path, report } = place;
  if (node.kind === "scalar" && typeof node.value === "string") {
    const { parts, problem } = splitTemplate(node.value);
    if (problem === null && soleExpression(parts) === null)
      return report.add({ code: "BAD_VALUE", path, message: "A list must be written out, or be one expression that gives it", at: node });
  }
  checkTemplates(place);
}

const rootInText = /(?:^|[^\\])\{\{-?\s*(?:inputs|vars|secrets|tasks|execution|trigger|item|index|matrix|env)\b/;

/** Whether somebody would take the text for an expression; `{{.Names}}` of other languages is a constant like any other. */
function looksReplaced(text: string): boolean {
  if (!hasTemplate(text)) return false;
  return rootInText.test(text) || splitTemplate(text).parts.some((part) => "expression" in part && parseExpression(part.expression).problem === null);
}

/** Reports expressions where nothing is replaced, so that they are not taken for values. */
export function refuseTemplates({ node, path, report }: { node: RawNode; path: string; report: Report }, what: string): void {
  if (node.kind === "scalar") {
    if (typeof node.value !== "string" || !looksReplaced(node.value)) return;
    report.add({ code: "BAD_VALUE", path, message: `${what} are constants: nothing in them is replaced`, at: node });
  } else if (node.kind === "list") node.items.forEach((item, index) => refuseTemplates({ node: item, path: `${path}[${index}]`, report }, what));
  else for (const [key, entry] of node.entries) refuseTemplates({ node: entry.value, path: memberPath(path, key), report }, what);
}
