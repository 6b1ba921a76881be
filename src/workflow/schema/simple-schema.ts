// JSON Schema for the everyday keywords, without a library: loading and compiling with ajv costs more than a short run as a whole.
// A schema with any other keyword is not "simple" and goes to ajv; a property test holds the two together.
import { isObject, type Json, type JsonObject, parseTime } from "../../base/index.ts";
import { linearPattern } from "../expression/pattern.ts";

/** `keys` leads to the value inside what was checked; `extra` is a member that is not allowed there. */
export type SchemaFinding = { keys: (string | number)[]; keyword: string; message: string; extra?: string };

/** The named forms of text that are checked; any other name is refused in a workflow, and ignored in a plugin's schema. */
export const formats: Record<string, (text: string) => boolean> = {
  "date-time": (text) => parseTime(text) !== null,
  date: (text) => /^\d{4}-\d\d-\d\d$/.test(text) && parseTime(`${text}T00:00:00Z`) !== null,
  uuid: (text) => /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text),
  uri: (text) => URL.canParse(text),
  email: (text) => /^[^\s@]{1,64}@[^\s@]{1,255}$/.test(text),
};

const isText = (value: Json): boolean => typeof value === "string";
const isNumber = (value: Json): boolean => typeof value === "number";
const isCount = (value: Json): boolean => Number.isInteger(value) && Number(value) >= 0;
const typeNames = new Set(["string", "integer", "number", "boolean", "object", "array", "null"]);

function isPattern(value: Json): boolean {
  try {
    linearPattern(String(value));
    return typeof value === "string";
  } catch {
    return false;
  }
}

const keywords: Record<string, (value: Json) => boolean> = {
  type: (value) => (Array.isArray(value) ? value.length > 0 && value.every((name) => typeNames.has(String(name))) : typeNames.has(String(value))),
  enum: (value) => Array.isArray(value) && value.length > 0 && value.every((item) => typeof item !== "object" || item === null),
  minimum: isNumber,
  maximum: isNumber,
  exclusiveMinimum: isNumber,
  exclusiveMaximum: isNumber,
  minLength: isCount,
  maxLength: isCount,
  minItems: isCount,
  maxItems: isCount,
  pattern: isPattern,
  format: (value) => Object.hasOwn(formats, String(value)),
  properties: (value) => isObject(value) && Object.values(value).every((member) => isSimpleSchema(member as Json)),
  required: (value) => Array.isArray(value) && value.every(isText) && new Set(value).size === value.length,
  additionalProperties: (value) => typeof value === "boolean" || isSimpleSchema(value),
  items: (value) => isSimpleSchema(value),
  description: isText,
  title: isText,
  default: () => true,
};

/** Whether this module can check values against a schema. */
export function isSimpleSchema(schema: Json): boolean {
  if (!isObject(schema)) return false;
  return Object.entries(schema).every(([key, value]) => Object.hasOwn(keywords, key) && keywords[key]?.(value as Json) === true);
}

function typeOf(value: Json): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}

function hasType(value: Json, type: string): boolean {
  if (type === "integer") return Number.isInteger(value);
  return typeOf(value) === type;
}

type Check = { keys: (string | number)[]; found: SchemaFinding[] };

function add(check: Check, keyword: string, message: string, extra?: string): void {
  check.found.push(extra === undefined ? { keys: check.keys, keyword, message } : { keys: check.keys, keyword, message, extra });
}

function checkNumber(schema: JsonObject, value: number, check: Check): void {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema;
  if (typeof minimum === "number" && value < minimum) add(check, "minimum", `must be at least ${minimum}`);
  if (typeof maximum === "number" && value > maximum) add(check, "maximum", `must be at most ${maximum}`);
  if (typeof exclusiveMinimum === "number" && value <= exclusiveMinimum) add(check, "exclusiveMinimum", `must be more than ${exclusiveMinimum}`);
  if (typeof exclusiveMaximum === "number" && value >= exclusiveMaximum) add(check, "exclusiveMaximum", `must be less than ${exclusiveMaximum}`);
}

function checkText(schema: JsonObject, value: string, check: Check): void {
  const { minLength, maxLength, pattern, format } = schema;
  if (typeof minLength === "number" || typeof maxLength === "number") {
    let length = 0;
    for (const _ of value) length++;
    if (length < Number(minLength ?? 0)) add(check, "minLength", `must have at least ${Number(minLength)} characters`);
    if (length > Number(maxLength ?? Infinity)) add(check, "maxLength", `must have at most ${Number(maxLength)} characters`);
  }
  if (typeof pattern === "string" && !linearPattern(pattern).test(value)) add(check, "pattern", `must match ${pattern}`);
  if (typeof format === "string" && formats[format]?.(value) === false) add(check, "format", `must be of the form ${format}`);
}

function checkArray(schema: JsonObject, value: Json[], check: Check): void {
  const { minItems, maxItems, items } = schema;
  if (value.length < Number(minItems ?? 0)) add(check, "minItems", `must have at least ${Number(minItems)} items`);
  if (value.length > Number(maxItems ?? Infinity)) add(check, "maxItems", `must have at most ${Number(maxItems)} items`);
  if (isObject(items)) value.forEach((item, index) => checkAny(items, item, { keys: [...check.keys, index], found: check.found }));
}

function checkObject(schema: JsonObject, value: JsonObject, check: Check): void {
  const properties = isObject(schema["properties"]) ? schema["properties"] : {};
  const additional = schema["additionalProperties"];
  if (Array.isArray(schema["required"])) {
    for (const key of schema["required"]) if (!Object.hasOwn(value, String(key))) add(check, "required", `must have "${String(key)}"`);
  }
  for (const [key, member] of Object.entries(value)) {
    const inner = { keys: [...check.keys, key], found: check.found };
    if (Object.hasOwn(properties, key)) checkAny(properties[key] as JsonObject, member, inner);
    else if (additional === false) add(check, "additionalProperties", `must not have "${key}"`, key);
    else if (isObject(additional)) checkAny(additional as JsonObject, member, inner);
  }
}

function checkAny(schema: JsonObject, value: Json, check: Check): void {
  const types = schema["type"] === undefined ? [] : [schema["type"]].flat().map(String);
  if (types.length > 0 && !types.some((type) => hasType(value, type))) add(check, "type", `must be ${types.join(" or ")}`);
  const allowed = schema["enum"];
  if (Array.isArray(allowed) && !allowed.includes(value))
    add(check, "enum", `must be one of ${allowed.map((item) => JSON.stringify(item)).join(", ")}`);
  if (typeof value === "number") checkNumber(schema, value, check);
  else if (typeof value === "string") checkText(schema, value, check);
  else if (Array.isArray(value)) checkArray(schema, value, check);
  else if (isObject(value)) checkObject(schema, value as JsonObject, check);
}

/** What is wrong with a value, all of it; the schema must be simple. */
export function checkSimple(schema: JsonObject, value: Json): SchemaFinding[] {
  const found: SchemaFinding[] = [];
  checkAny(schema, value, { keys: [], found });
  return found;
}
