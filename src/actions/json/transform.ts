// `core/json.transform`: a value, or a JSON file, through one CEL expression or one for each member of the result.
import { readFileSync, writeFileSync } from "node:fs";
import type { Json, JsonObject } from "../../base/index.ts";
import type { ActionContext } from "../shared/context.ts";
import { inputError } from "../shared/failure.ts";
import { withFileErrors } from "../shared/file-errors.ts";
import { artifactForm, newArtifact } from "../shared/left-file.ts";
import { parseLosslessJson } from "../shared/lossless-json.ts";
import { resolvePath } from "../shared/paths.ts";
import { evaluateCel, toCel } from "./cel.ts";

type TransformInput = { input?: Json; file?: string; expression?: string; expressions?: Record<string, string>; saveAs?: string };

/** {result}. @throws EXPRESSION_ERROR, TASK_INPUT_INVALID, FILE_NOT_FOUND */
export async function transformJson(given: JsonObject, context: ActionContext): Promise<JsonObject> {
  const { expression, expressions, saveAs, ...from } = given as TransformInput;
  if ((expression === undefined) === (expressions === undefined)) throw inputError("Cannot transform: give either expression or expressions");
  const value = toCel(await readValue(from));
  const result =
    expression === undefined
      ? Object.fromEntries(Object.entries(expressions ?? {}).map(([name, text]) => [name, evaluateCel(text, value, name)]))
      : evaluateCel(expression, value, null);
  return { result: saveAs === undefined ? result : keep(result, saveAs, context) };
}

async function readValue({ input, file }: Pick<TransformInput, "input" | "file">): Promise<Json> {
  if (input !== undefined && file !== undefined) throw inputError("Cannot transform: give either input or file");
  if (file === undefined) return input ?? null;
  const text = await withFileErrors(`read "${file}"`, () => readFileSync(resolvePath(file), "utf8"));
  try {
    return parseLosslessJson(text);
  } catch (cause) {
    throw inputError(`Cannot read "${file}": it is not JSON: ${(cause as Error).message}`);
  }
}

function keep(result: Json, saveAs: string, { workdir }: ActionContext): JsonObject {
  const text = JSON.stringify(result);
  const { name, path } = newArtifact(workdir, saveAs, "result.json");
  writeFileSync(path, text, { flag: "wx", mode: 0o600 });
  const sha256 = new Bun.CryptoHasher("sha256").update(text).digest("hex");
  return artifactForm({ name, sha256, size: Buffer.byteLength(text), contentType: "application/json" });
}
