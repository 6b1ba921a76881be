// Declared inputs beyond their form: schemas that work, and defaults that fit them.
import { isObject, type Json, type JsonObject } from "../../base/index.ts";
import { linearPattern } from "../expression/pattern.ts";
import { checkSchema, findSchemaProblem } from "../schema/schema-check.ts";
import { itemsOf, memberOf, type RawNode, toJson } from "../source/raw-node.ts";
import type { Report } from "../source/report.ts";
import { inputSchemaKeys } from "./keys.ts";
import { checkSchemaKeys } from "./schema-keys.ts";
import { checkIds, textOf } from "./sites.ts";

/** The JSON Schema of a declaration's value: the schema keys of its type, and the type. */
export function inputSchema(declaration: JsonObject): JsonObject {
  const type = String(declaration["type"]);
  const schema: JsonObject = { type };
  for (const key of Object.keys(inputSchemaKeys[type] ?? {})) {
    const value: Json | undefined = declaration[key];
    // `required: true` speaks of the input, a list of names of the members of its value.
    if (value !== undefined && !(key === "required" && typeof value === "boolean")) schema[key] = value;
  }
  return schema;
}

function checkPattern(node: RawNode, path: string, report: Report): boolean {
  const at = memberOf(node, "pattern");
  const pattern = textOf(at);
  if (at === undefined || pattern === null) return true;
  try {
    linearPattern(pattern);
    return true;
  } catch (thrown) {
    report.add({
      code: "BAD_VALUE",
      path: `${path}.pattern`,
      message: `The pattern cannot be used: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
      at,
    });
    return false;
  }
}

function checkDeclaration(node: RawNode, path: string, report: Report): void {
  const type = textOf(memberOf(node, "type"));
  if (type === null || !Object.hasOwn(inputSchemaKeys, type)) return;
  checkSchemaKeys(node, path, report);
  if (!checkPattern(node, path, report)) return;
  const declaration = toJson(node);
  if (!isObject(declaration)) return;
  const schema = inputSchema(declaration as JsonObject);
  const problem = findSchemaProblem(schema);
  if (problem !== null)
    return report.add({
      code: "BAD_VALUE",
      path,
      message: `The schema of this input cannot be used: ${problem}`,
      at: { start: node.start, end: node.start + 1 },
    });
  const given = memberOf(node, "default");
  if (given === undefined) return;
  const [first] = checkSchema(schema, toJson(given));
  if (first !== undefined)
    report.add({ code: "BAD_VALUE", path: `${path}.default`, message: `The default does not fit the input: it ${first.message}`, at: given });
}

/** `hasForm`: schemas are only checked where their form is right. */
export function checkInputDeclarations(root: RawNode, hasForm: boolean, report: Report): void {
  const owners = itemsOf(memberOf(root, "inputs")).map((node, index) => ({ node, path: `inputs[${index}]` }));
  checkIds(owners, "inputs", report);
  if (hasForm) for (const { node, path } of owners) checkDeclaration(node, path, report);
}
