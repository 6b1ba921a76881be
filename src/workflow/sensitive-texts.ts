// Which texts of an execution's inputs are masked wherever they appear: those of the inputs that the workflow calls sensitive.
import { isObject, type Json, type JsonObject } from "../base/index.ts";
import type { WorkflowDefinition } from "../model/index.ts";

/** Texts of sensitive inputs: those in them that could be found again. A flag is not told apart by its text. */
export function sensitiveTexts(definition: WorkflowDefinition, inputs: JsonObject): string[] {
  return definition.inputs.flatMap(({ id, sensitive }) => (sensitive && Object.hasOwn(inputs, id) ? textsIn(inputs[id] ?? null) : []));
}

function textsIn(value: Json): string[] {
  if (typeof value === "string") return [value];
  if (typeof value === "number") return [JSON.stringify(value)];
  if (Array.isArray(value)) return value.flatMap(textsIn);
  return isObject(value) ? Object.values(value).flatMap((member) => textsIn(member as Json)) : [];
}
