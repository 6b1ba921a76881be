// The query string by its schema: unknown keys, repeated keys and values of the wrong form are refused, never guessed at.
import type { TObject, TSchema } from "@sinclair/typebox";
import { type TypeCheck, TypeCompiler } from "@sinclair/typebox/compiler";
import { fail } from "../../base/index.ts";
import { findSchemaProblems, type SchemaProblem } from "../../config/index.ts";

const compiled = new WeakMap<TObject, TypeCheck<TObject>>();
const none = Object.freeze({});

/** The typed values of a query. @throws BAD_REQUEST */
export function readQuery(schema: TObject | null, search: string): unknown {
  if (search === "") return none;
  const values: Record<string, unknown> = {};
  const members = (schema?.properties ?? none) as Record<string, TSchema>;
  const seen = new Set<string>();
  for (const [name, text] of new URLSearchParams(search)) {
    if (seen.has(name)) throw fail("BAD_REQUEST", `Cannot read the query: "${name}" is given more than once`, { details: { parameter: name } });
    seen.add(name);
    const member = Object.hasOwn(members, name) ? members[name] : undefined;
    Object.defineProperty(values, name, { value: member === undefined ? text : typed(member, text), enumerable: true });
  }
  if (schema === null) {
    const [name = ""] = seen;
    throw fail("BAD_REQUEST", `Cannot read the query: there is no parameter "${name}" here`, { details: { parameter: name } });
  }
  if (!checkOf(schema).Check(values)) throw refusal(findSchemaProblems(schema, values));
  return values;
}

function checkOf(schema: TObject): TypeCheck<TObject> {
  const known = compiled.get(schema);
  if (known !== undefined) return known;
  const check = TypeCompiler.Compile(schema);
  compiled.set(schema, check);
  return check;
}

// What does not have the form stays a text, which the schema then refuses.
function typed(schema: TSchema, text: string): unknown {
  switch (schema["type"]) {
    case "integer":
      return /^-?\d{1,15}$/.test(text) ? Number(text) : text;
    case "boolean":
      return text === "true" ? true : text === "false" ? false : text;
    case "array":
      return text.split(",");
    default:
      // An unescaped plus sign arrives as a space, and none of these forms holds a space.
      return schema["format"] === "date-time" || schema["format"] === "log-levels" ? text.replace(" ", "+") : text;
  }
}

function refusal(problems: SchemaProblem[]): Error {
  const [first] = problems;
  const parameter = first?.at[0] ?? "";
  const message =
    first === undefined ? "it does not fit" : first.code === "UNKNOWN_KEY" ? `there is no parameter "${parameter}" here` : first.message;
  const details = { parameter, problems: problems.map(({ at, message }) => ({ parameter: at[0] ?? "", message })) };
  return fail("BAD_REQUEST", `Cannot read the query: ${message}`, { details, ...(first?.hint === undefined ? {} : { hint: first.hint }) });
}
