// One SQL statement: named parameters turned into the driver's numbered ones, and a second statement behind it refused.
import type { Json, JsonObject } from "../../base/index.ts";
import { inputError } from "../shared/failure.ts";

export type Statement = { query: string; params: Json[] };
type Driver = "sqlite" | "postgres";

/** What can be skipped as a whole, since nothing in it is a parameter or an end. Dollar quotes and `E''` are PostgreSQL's. */
const common = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\//y;
const skipped: Record<Driver, RegExp> = {
  sqlite: new RegExp(`${common.source}|\`[^\`]*\`|\\[[^\\]]*\\]`, "y"),
  postgres: new RegExp(`[eE]'(?:[^'\\\\]|''|\\\\[\\s\\S])*'|\\$([A-Za-z_]\\w*)?\\$[\\s\\S]*?\\$\\1\\$|${common.source}`, "y"),
};
const start = String.raw`^(?:\s|--[^\n]*\n|/\*[\s\S]*?\*/)*create\s+`;
/** Their bodies hold semicolons of their own. */
const definition: Record<Driver, RegExp> = {
  sqlite: new RegExp(`${start}(?:temp(?:orary)?\\s+)?trigger\\b`, "i"),
  postgres: new RegExp(`${start}(?:or\\s+replace\\s+)?(?:function|procedure|rule)\\b`, "i"),
};
const named = /:([A-Za-z_]\w*)/y;
const word = /[A-Za-z_]\w*/y;
const gap = /\s+/y;

/** @throws TASK_INPUT_INVALID for a name without a value, and for more than one statement */
export function readStatement(driver: Driver, query: string, params: Json[] | JsonObject | undefined): Statement {
  const names = params === undefined || Array.isArray(params) ? null : params;
  const values: Json[] = Array.isArray(params) ? params : [];
  const places = new Map<string, number>();
  const isDefinition = definition[driver].test(query);
  let out = "";
  let isEnded = false;
  for (let at = 0; at < query.length; ) {
    const piece = pieceAt(driver, query, at);
    if (isEnded && piece.kind !== "gap")
      throw inputError(
        "Cannot run a query: it holds more than one statement",
        'Give a list instead, which runs in one transaction: statements: ["…", "…"].',
      );
    if (query[at] === ";" && !isDefinition) isEnded = true;
    if (piece.kind === "name" && names !== null) out += numbered(driver, placeOf(piece.text.slice(1), { names, places, values }));
    else out += piece.text;
    at += piece.text.length;
  }
  return { query: out, params: values };
}

type Piece = { kind: "gap" | "name" | "other"; text: string };

function pieceAt(driver: Driver, query: string, at: number): Piece {
  const match = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    return pattern.exec(query)?.[0] ?? null;
  };
  const space = match(gap);
  if (space !== null) return { kind: "gap", text: space };
  const whole = match(skipped[driver]);
  if (whole !== null) return { kind: /^(?:--|\/\*)/.test(whole) ? "gap" : "other", text: whole };
  // A cast `a::text`, an assignment `:=` and a slice `[1:n]` are no parameters.
  const name = /[\w:\])]/.test(query[at - 1] ?? "") ? null : match(named);
  if (name !== null) return { kind: "name", text: name };
  const rest = match(word);
  // `::` is taken as one, or its second colon would begin a name.
  return { kind: query[at] === ";" ? "gap" : "other", text: rest ?? (query.startsWith("::", at) ? "::" : (query[at] ?? "")) };
}

type Places = { names: JsonObject; places: Map<string, number>; values: Json[] };

function placeOf(name: string, { names, places, values }: Places): number {
  if (!Object.hasOwn(names, name)) throw inputError(`Cannot run a query: params has no "${name}"`);
  let place = places.get(name);
  if (place === undefined) {
    values.push(names[name] ?? null);
    place = values.length;
    places.set(name, place);
  }
  return place;
}

function numbered(driver: Driver, place: number): string {
  return driver === "sqlite" ? `?${place}` : `$${place}`;
}
