// Values against JSON Schemas: simple ones directly, all others by ajv, which is loaded when it is first needed.
// Schemas come from strangers, so patterns run in linear time and `uniqueItems` in one pass.
import type { Ajv, AnySchema, ErrorObject, ValidateFunction } from "ajv";
import { canonicalJson, type Json, type JsonObject } from "../../base/index.ts";
import { linearPattern } from "../expression/pattern.ts";
import { checkSimple, formats, isSimpleSchema, type SchemaFinding } from "./simple-schema.ts";

let engine: Ajv | null = null;

/** Ajv keeps one expression for each text that they give: without their own all patterns would be the first one. */
function regExp(pattern: string): ReturnType<typeof linearPattern> {
  return Object.assign(linearPattern(pattern), { toString: () => pattern });
}

function ajv(): Ajv {
  if (engine !== null) return engine;
  const { Ajv: Validator } = require("ajv") as typeof import("ajv");
  // `code` names the module only in standalone code, which is never generated here.
  const made = new Validator({
    allErrors: true,
    strict: false,
    validateFormats: true,
    logger: false,
    code: { regExp: Object.assign(regExp, { code: "regExp" }) },
  });
  for (const [name, test] of Object.entries(formats)) made.addFormat(name, test);
  made.removeKeyword("uniqueItems");
  made.addKeyword({
    keyword: "uniqueItems",
    type: "array",
    schemaType: "boolean",
    error: { message: "must not have the same item twice" },
    validate: (wanted: boolean, items: unknown[]) => !wanted || new Set(items.map(canonicalJson)).size === items.length,
  });
  engine = made;
  return made;
}

const simple = new WeakMap<object, boolean>();

function isSimple(schema: JsonObject): boolean {
  const known = simple.get(schema);
  if (known !== undefined) return known;
  const found = isSimpleSchema(schema);
  simple.set(schema, found);
  return found;
}

const compiled = new WeakMap<object, ValidateFunction>();

function compile(schema: JsonObject): ValidateFunction {
  const known = compiled.get(schema);
  if (known !== undefined) return known;
  const made = ajv().compile(schema as AnySchema);
  // ajv keeps every schema it was given; the weak map is the only memory wanted.
  ajv().removeSchema(schema as AnySchema);
  compiled.set(schema, made);
  return made;
}

/** Keys of a JSON Pointer; those into lists become numbers. */
function keysOf(pointer: string, value: Json): (string | number)[] {
  let at: unknown = value;
  return pointer
    .split("/")
    .slice(1)
    .map((part) => {
      const key = part.replaceAll("~1", "/").replaceAll("~0", "~");
      const isIndex = Array.isArray(at);
      at = (at as Record<string, unknown> | null)?.[key];
      return isIndex ? Number(key) : key;
    });
}

function toFinding(error: ErrorObject, value: Json): SchemaFinding {
  const keys = keysOf(error.instancePath, value);
  const extra: unknown = error.params["additionalProperty"];
  const message = extra === undefined ? (error.message ?? "does not fit") : `must not have "${String(extra)}"`;
  return typeof extra === "string" ? { keys, keyword: error.keyword, message, extra } : { keys, keyword: error.keyword, message };
}

/** Why a JSON Schema cannot be used, null when it can. */
export function findSchemaProblem(schema: JsonObject): string | null {
  if (isSimple(schema)) return null;
  if (JSON.stringify(schema).includes('"$async"')) return "$async is not taken";
  try {
    compile(schema);
    return null;
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
}

/** What is wrong with a value, all of it; the schema must be one without a problem. */
export function checkSchema(schema: JsonObject, value: Json): SchemaFinding[] {
  try {
    if (isSimple(schema)) return checkSimple(schema, value);
    const validate = compile(schema);
    return validate(value) ? [] : (validate.errors ?? []).map((error) => toFinding(error, value));
  } catch (thrown) {
    // A schema that refers to itself without end.
    if (thrown instanceof RangeError) return [{ keys: [], keyword: "$ref", message: "cannot be checked: the schema never ends" }];
    throw thrown;
  }
}
