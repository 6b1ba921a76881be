// The JSON Schema (draft-07, which editors know best) of workflow files, made from the description that the checks use.
import type { JsonObject } from "../../base/index.ts";
import { taskShape, workflowShape } from "../check/keys.ts";
import type { KeysShape, Shape, TextShape } from "../check/shape.ts";

const durationPattern = "^((\\d+(\\.\\d+)?(ms|s|m|h|d|w))+|P(\\d+W|(\\d+D)?(T(\\d+H)?(\\d+M)?(\\d+(\\.\\d+)?S)?)?))$";

function textSchema(shape: TextShape): JsonObject {
  const schema: JsonObject = { type: "string" };
  if (shape.oneOf !== undefined) schema["enum"] = [...shape.oneOf];
  if (shape.pattern !== undefined) schema["pattern"] = shape.pattern.source;
  if (shape.min !== undefined) schema["minLength"] = shape.min;
  if (shape.max !== undefined) schema["maxLength"] = shape.max;
  return schema;
}

function keysSchema(shape: KeysShape): JsonObject {
  const entries = Object.entries(shape.keys);
  const properties = Object.fromEntries(entries.map(([name, key]) => [name, { ...schemaOf(key.shape), description: key.about }]));
  const required = entries.flatMap(([name, key]) => (key.required === true ? [name] : []));
  return { type: "object", properties, ...(required.length > 0 ? { required } : {}), additionalProperties: false };
}

function bounds(shape: { min?: number; max?: number }, names: [string, string]): JsonObject {
  return { ...(shape.min === undefined ? {} : { [names[0]]: shape.min }), ...(shape.max === undefined ? {} : { [names[1]]: shape.max }) };
}

function schemaOf(shape: Shape): JsonObject {
  if (shape === taskShape) return { $ref: "#/definitions/task" };
  switch (shape.is) {
    case "text":
      return textSchema(shape);
    case "integer":
      return { type: "integer", ...bounds(shape, ["minimum", "maximum"]) };
    case "number":
    case "boolean":
      return { type: shape.is };
    case "duration":
      return { type: "string", pattern: durationPattern };
    case "json":
      return {};
    case "object":
      return { type: "object" };
    case "list":
      return { type: "array", items: schemaOf(shape.of), ...bounds(shape, ["minItems", "maxItems"]) };
    case "map":
      return {
        type: "object",
        additionalProperties: schemaOf(shape.of),
        ...(shape.key === undefined ? {} : { propertyNames: { pattern: shape.key.source } }),
      };
    case "keys":
      return keysSchema(shape);
    case "variants":
      return { oneOf: Object.values(shape.of).map(keysSchema) };
    case "either":
      return { anyOf: shape.of.map(schemaOf) };
  }
}

function taskSchema(): JsonObject {
  return { ...keysSchema(taskShape), oneOf: [{ required: ["type"] }, { required: ["run"] }] };
}

/** A fresh schema object; the same for the same version. */
export function workflowJsonSchema(): object {
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "Autokestra workflow",
    ...keysSchema(workflowShape),
    not: { required: ["trigger", "triggers"] },
    definitions: { task: taskSchema() },
  };
}
