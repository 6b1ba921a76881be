// Given inputs against a workflow's declaration: defaults filled in, everything wrong collected. Values never stand in messages,
// since an input may be sensitive.
import { fail, type Json, type JsonObject, limits, toIJson } from "../base/index.ts";
import type { Diagnostic, InputDefinition, WorkflowDefinition } from "../model/index.ts";
import { didYouMean } from "./check/nearest.ts";
import { checkSchema } from "./schema/schema-check.ts";
import { memberPath, setMember } from "./source/raw-node.ts";

/** A finding about given inputs; they have no place in a file. */
export type InputDiagnostic = Omit<Diagnostic, "file" | "line" | "column" | "endColumn">;

export type CheckedInputs = {
  /** Given and default values; complete only when there are no diagnostics. */
  inputs: JsonObject;
  diagnostics: InputDiagnostic[];
};

function finding(code: Diagnostic["code"], path: string, message: string, hint?: string): InputDiagnostic {
  return { severity: "error", code, path, message, ...(hint === undefined ? {} : { hint }) };
}

function checkValue(input: InputDefinition, value: Json): InputDiagnostic[] {
  const path = memberPath("inputs", input.id);
  return checkSchema(input.schema, value).map(({ keys, keyword, message }) => {
    const inner = keys.reduce<string>((at, key) => (typeof key === "number" ? `${at}[${key}]` : memberPath(at, key)), path);
    return finding(keyword === "type" ? "WRONG_TYPE" : "BAD_VALUE", inner, `The input "${inner.slice("inputs.".length)}" ${message}`);
  });
}

/** Checks inputs before an execution exists. Undeclared ones are refused. */
export function checkInputs(definition: WorkflowDefinition, given: JsonObject): CheckedInputs {
  const diagnostics: InputDiagnostic[] = [];
  const inputs: JsonObject = {};
  const declared = new Map(definition.inputs.map((input) => [input.id, input]));
  if (Buffer.byteLength(JSON.stringify(given)) > limits.inputBytesMax) return { inputs, diagnostics: [finding("BAD_VALUE", "inputs", `The inputs have more than ${limits.inputBytesMax} bytes`)] };
  for (const key of Object.keys(given)) {
    if (!declared.has(key)) diagnostics.push(finding("UNKNOWN_KEY", memberPath("inputs", key), `The workflow "${definition.id}" declares no input "${key}"`, didYouMean(key, declared.keys())));
  }
  for (const input of definition.inputs) {
    const value = Object.hasOwn(given, input.id) ? given[input.id] : input.default;
    if (value !== undefined) {
      diagnostics.push(...checkValue(input, value));
      setMember(inputs, input.id, value);
    } else if (input.required) diagnostics.push(finding("MISSING_KEY", memberPath("inputs", input.id), `The input "${input.id}" is required`));
  }
  return { inputs, diagnostics: diagnostics.slice(0, limits.diagnosticsMax) };
}

/** The value of `--input key=text`: text for a string input, JSON for every other. @throws INPUT_INVALID for an undeclared key, or text that is not JSON */
export function parseInputText(definition: WorkflowDefinition, key: string, text: string): Json {
  const input = definition.inputs.find((one) => one.id === key);
  if (input === undefined) {
    const hint = didYouMean(key, definition.inputs.map((one) => one.id)) ?? `Declared are: ${definition.inputs.map((one) => one.id).join(", ") || "none"}.`;
    throw fail("INPUT_INVALID", `Cannot take the input "${key}": the workflow "${definition.id}" does not declare it`, { hint, details: { input: key } });
  }
  if (input.type === "string") return text;
  try {
    return toIJson(JSON.parse(text));
  } catch (cause) {
    throw fail("INPUT_INVALID", `Cannot take the input "${key}": it is of type ${input.type}, and its text is not JSON`, { hint: `Write ${key}=<JSON>, such as ${example[input.type]}.`, details: { input: key }, cause });
  }
}

const example: Record<InputDefinition["type"], string> = { string: "text", integer: "3", number: "2.5", boolean: "true", object: '\'{"a":1}\'', array: "'[1,2]'" };
