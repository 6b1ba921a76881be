// Given inputs against a workflow's declaration: defaults filled in, everything wrong collected. Values never stand in messages,
// since an input may be sensitive.
import { fail, isCoded, type Json, type JsonObject, limits, toIJson } from "../base/index.ts";
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
  if (input.sensitive) return checkSensitive(input, value, path);
  return checkSchema(input.schema, value).map(({ keys, keyword, message }) => {
    const inner = keys.reduce<string>((at, key) => (typeof key === "number" ? `${at}[${key}]` : memberPath(at, key)), path);
    return finding(keyword === "type" ? "WRONG_TYPE" : "BAD_VALUE", inner, `The input "${inner.slice("inputs.".length)}" ${message}`);
  });
}

/** Members of the value are not named either: their names may say as much as values do. */
function checkSensitive({ id, schema }: InputDefinition, value: Json, path: string): InputDiagnostic[] {
  const found = checkSchema(schema, value).map(({ keys, keyword, message, extra }) => {
    const where = keys.length === 0 ? "" : "has a part that ";
    const what = extra === undefined ? message : "must not have one of its members";
    return finding(keyword === "type" ? "WRONG_TYPE" : "BAD_VALUE", path, `The input "${id}" ${where}${what}`);
  });
  // Parts that are wrong in the same way read the same.
  return [...new Map(found.map((one) => [one.message, one])).values()];
}

/** Checks inputs before an execution exists. Undeclared ones are refused. */
export function checkInputs(definition: WorkflowDefinition, given: JsonObject): CheckedInputs {
  const diagnostics: InputDiagnostic[] = [];
  const inputs: JsonObject = {};
  const declared = new Map(definition.inputs.map((input) => [input.id, input]));
  if (Buffer.byteLength(JSON.stringify(given)) > limits.inputBytesMax)
    return { inputs, diagnostics: [finding("BAD_VALUE", "inputs", `The inputs have more than ${limits.inputBytesMax} bytes`)] };
  for (const key of Object.keys(given)) {
    if (!declared.has(key))
      diagnostics.push(
        finding(
          "UNKNOWN_KEY",
          memberPath("inputs", key),
          `The workflow "${definition.id}" declares no input "${key}"`,
          didYouMean(key, declared.keys()),
        ),
      );
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

/** What a command line gives: `--input` texts, and whole values, over which the texts win. */
export type GivenInputs = { texts: Readonly<Record<string, string>>; values: JsonObject };

/** Reads texts by their declared types and checks everything; what is wrong with texts and with values is collected together. */
export function checkGivenInputs(definition: WorkflowDefinition, { texts, values }: GivenInputs): CheckedInputs {
  const given: JsonObject = { ...values };
  const unread: InputDiagnostic[] = [];
  for (const [key, text] of Object.entries(texts)) {
    try {
      setMember(given, key, parseInputText(definition, key, text));
    } catch (thrown) {
      if (!isCoded(thrown, "INPUT_INVALID")) throw thrown;
      const isDeclared = definition.inputs.some((input) => input.id === key);
      unread.push(finding(isDeclared ? "WRONG_TYPE" : "UNKNOWN_KEY", memberPath("inputs", key), thrown.message, thrown.hint));
      delete given[key];
    }
  }
  const { inputs, diagnostics } = checkInputs(definition, given);
  // A text that could not be read was given all the same: its input is not missing.
  const paths = new Set(unread.map((found) => found.path));
  return { inputs, diagnostics: [...unread, ...diagnostics.filter((found) => !paths.has(found.path))].slice(0, limits.diagnosticsMax) };
}

/** The checked inputs. @throws INPUT_INVALID with every problem in `details.diagnostics` */
export function requireInputs(definition: WorkflowDefinition, given: GivenInputs, verb: string): JsonObject {
  const { inputs, diagnostics } = checkGivenInputs(definition, given);
  if (diagnostics.length === 0) return inputs;
  const count = `${diagnostics.length} problem${diagnostics.length === 1 ? "" : "s"}`;
  throw fail("INPUT_INVALID", `Cannot ${verb} "${definition.id}": ${count} with its inputs`, { details: { diagnostics } });
}

/**
 * The value of `--input key=text`: text for a string input, JSON for every other.
 * @throws INPUT_INVALID for an undeclared key, text that is not JSON, or numbers that JSON cannot hold exactly
 */
export function parseInputText(definition: WorkflowDefinition, key: string, text: string): Json {
  const input = definition.inputs.find((one) => one.id === key);
  if (input === undefined) {
    const hint =
      didYouMean(
        key,
        definition.inputs.map((one) => one.id),
      ) ?? `Declared are: ${definition.inputs.map((one) => one.id).join(", ") || "none"}.`;
    throw fail("INPUT_INVALID", `Cannot take the input "${key}": the workflow "${definition.id}" does not declare it`, {
      hint,
      details: { input: key },
    });
  }
  if (input.type === "string") return text;
  // The words of a parser quote the text.
  const because = (cause: unknown) => (input.sensitive ? {} : { cause });
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw fail("INPUT_INVALID", `Cannot take the input "${key}": it is of type ${input.type}, and its text is not JSON`, {
      hint: `Write ${key}=<JSON>, such as ${example[input.type]}.`,
      details: { input: key },
      ...because(cause),
    });
  }
  try {
    return toIJson(parsed);
  } catch (cause) {
    // What is thrown about a number says where it stands; without that it is the nesting.
    const isNumber = isCoded(cause) && cause.details !== undefined;
    const problem = isNumber ? "holds a number beyond ±(2^53−1), where JSON numbers stop being exact" : "is nested too deep";
    const hint = isNumber ? "Declare long numbers as type string." : "Pass deep structures as text, in an input of type string.";
    throw fail("INPUT_INVALID", `Cannot take the input "${key}": its value ${problem}`, { hint, details: { input: key }, ...because(cause) });
  }
}

const example: Record<InputDefinition["type"], string> = {
  string: "text",
  integer: "3",
  number: "2.5",
  boolean: "true",
  object: "'{\"a\":1}'",
  array: "'[1,2]'",
};
