// Preconditions: those that compare known values become an expression; commands run in a task of their own, which says whether they held.
import type { JsonObject } from "../../base/index.ts";
import type { DraftItem } from "./draft.ts";
import { envOf, expand, soleTemplate, type Variables } from "./dagu-variables.ts";
import type { Notebook } from "./notes.ts";
import { type Field, isTrue, itemFields, openMap, scalarText } from "./source-map.ts";
import { quoteCel, quoteShell, taskRef } from "./texts.ts";

type Precondition = { condition: string; expected: string | null; isNegated: boolean };

function readOne(field: Field, book: Notebook): Precondition | null {
  const text = scalarText(field.node);
  if (text !== null) return text === "" ? null : { condition: text, expected: null, isNegated: false };
  const map = openMap(field, book);
  const condition = scalarText(map.take("condition")?.node);
  const command = scalarText(map.take("command")?.node);
  const expected = scalarText(map.take("expected")?.node);
  const negate = map.take("negate");
  map.rest("a precondition");
  const said = condition ?? command;
  return said === null ? null : { condition: said, expected, isNegated: negate !== null && isTrue(negate.node) };
}

/** An expression for a condition that only compares values that are known. */
function asExpression({ condition, expected, isNegated }: Precondition, variables: Variables): string | null {
  const { template, unknown, hasCommand } = expand(condition, variables);
  if (expected === null || expected.startsWith("re:") || hasCommand || unknown.length > 0) return null;
  const sole = soleTemplate(template);
  if (sole === null && template.includes("{{")) return null;
  const wanted = expand(expected, variables).template;
  if (wanted.includes("{{")) return null;
  const left = sole === null ? quoteCel(template) : sole.includes(" ? ") ? `(${sole})` : `string(${sole})`;
  return `${left} ${isNegated ? "!=" : "=="} ${quoteCel(wanted)}`;
}

/** Lines of a shell that set `met` to false where the condition does not hold. */
function asScript({ condition, expected, isNegated }: Precondition): string {
  const not = isNegated ? "! " : "";
  if (expected === null) return `if ${not}(\n${condition.replace(/^`([^`]*)`$/, "$1")}\n); then :; else met=false; fi\n`;
  const value = `"${condition.replace(/"/g, '\\"')}"`;
  const test = expected.startsWith("re:")
    ? `printf '%s\\n' ${value} | grep -Eq -e ${quoteShell(expected.slice(3))}`
    : `[ ${value} = ${quoteShell(expected)} ]`;
  return `if ${not}${test}; then :; else met=false; fi\n`;
}

export type Guard = { /** Expressions that must hold. */ parts: string[]; check: DraftItem | null };

/** What a list of preconditions comes to; `task` are the keys that a task that checks has besides. */
export function readPreconditions(
  field: Field | null,
  { id, task, variables, book }: { id: string; task: JsonObject; variables: Variables; book: Notebook },
): Guard {
  if (field === null) return { parts: [], check: null };
  const conditions = itemFields(field).flatMap((one) => readOne(one, book) ?? []);
  const parts = conditions.flatMap((one) => asExpression(one, variables) ?? []);
  const commands = conditions.filter((one) => asExpression(one, variables) === null);
  if (commands.length === 0) return { parts, check: null };
  const run = `met=true\n${commands.map(asScript).join("")}echo "met=$met" >> "$WORKFLOW_OUTPUT"\n`;
  const env = envOf(variables);
  const value: JsonObject = { id, ...task, run, ...(Object.keys(env).length === 0 ? {} : { env }) };
  book.changed(field, `A task "${id}" runs the commands of the precondition`);
  return { parts: [...parts, `string(${taskRef(id)}.output.met) == 'true'`], check: { value, place: field, comment: "Precondition" } };
}
