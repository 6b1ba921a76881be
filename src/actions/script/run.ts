// `core/script.run`: a script as a child of the action, in the same sandbox, as {exitCode, stdout, result}.
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { isObject, type Json, type JsonObject, limits } from "../../base/index.ts";
import { type ChildAsk, type ChildEnd, findProgram, runChild, tellLine } from "../shared/child.ts";
import type { ActionContext } from "../shared/context.ts";
import { failure, inputError } from "../shared/failure.ts";
import { withFileErrors } from "../shared/file-errors.ts";
import { parseLosslessJson } from "../shared/lossless-json.ts";
import { resolvePath } from "../shared/paths.ts";

type Language = "ts" | "js" | "python";
/** As people write them. */
const languageOfName = { ts: "ts", typescript: "ts", js: "js", javascript: "js", python: "python", python3: "python" } as const;
type ScriptInput = {
  language?: keyof typeof languageOfName;
  code?: string;
  script?: string;
  file?: string;
  args?: string[];
  input?: Json;
  stdin?: string;
  env?: Record<string, string>;
};

const languageOfEnding: Record<string, Language> = {
  ".ts": "ts",
  ".mts": "ts",
  ".tsx": "ts",
  ".js": "js",
  ".mjs": "js",
  ".cjs": "js",
  ".py": "python",
};
const endingOf: Record<Language, string> = { ts: "ts", js: "mjs", python: "py" };
/** Bun would read settings of the folder it starts in, and install what a script imports. */
const bunFlags = ["--no-env-file", "--config=/dev/null", "--no-install"];
const stderrLinesMax = 20;

/** @throws PLUGIN_EXIT, TASK_INPUT_INVALID, FILE_NOT_FOUND, PLUGIN_OUTPUT_INVALID */
export async function runScript(given: JsonObject, context: ActionContext, tell: ChildAsk["onLine"] = tellLine): Promise<JsonObject> {
  const input = given as ScriptInput;
  const script = await readScript(input, context);
  if (input.input !== undefined && input.stdin !== undefined) throw inputError("Cannot run a script: give either input or stdin");
  const outputs = { output: join(context.workdir, "script-output"), result: join(context.workdir, "script-result.json") };
  const ended = await runChild({
    ...commandOf(script, input.args ?? []),
    env: environment(input.env ?? {}, outputs, script.language),
    cwd: process.env["WORKSPACE"] ?? context.workdir,
    stdin: input.input === undefined ? (input.stdin ?? null) : JSON.stringify(input.input),
    keepBytes: limits.stdoutOutputBytesMax,
    signal: context.signal,
    onLine: tell,
  });
  if (ended.exitCode !== 0) throw exitError(ended);
  return { exitCode: 0, stdout: ended.stdout, result: readResult(outputs, ended.stdout) };
}

type Script = { path: string; language: Language };

async function readScript(given: ScriptInput, { workdir }: ActionContext): Promise<Script> {
  const { code = given.script, file } = given;
  const count = [given.code, given.script, file].filter((one) => one !== undefined).length;
  if (count !== 1) throw inputError("Cannot run a script: give exactly one of code, script (the same as code) and file");
  const language = given.language === undefined ? undefined : languageOfName[given.language];
  if (file !== undefined) {
    const path = resolvePath(file);
    const isFile = await withFileErrors(`run "${file}"`, () => statSync(path).isFile());
    if (!isFile) throw inputError(`Cannot run "${file}": it is no file`);
    const known = language ?? languageOfEnding[extname(path)];
    if (known === undefined) throw inputError(`Cannot run "${file}": its name does not tell the language`, "Give language: ts, js or python.");
    return { path, language: known };
  }
  const chosen = language ?? "ts";
  const path = join(workdir, `script.${endingOf[chosen]}`);
  writeFileSync(path, code ?? "", { mode: 0o600 });
  return { path, language: chosen };
}

function commandOf({ path, language }: Script, args: readonly string[]): { argv: string[] } {
  if (language !== "python") return { argv: [process.execPath, ...bunFlags, path, ...args] };
  const python = findProgram("python3");
  if (python === null) throw failure("TASK_FAILED", "Cannot run a Python script: there is no python3 on this machine", { retryable: false });
  return { argv: [python, path, ...args] };
}

function environment(own: Record<string, string>, outputs: { output: string; result: string }, language: Language): Record<string, string> {
  const inherited = Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const made = { ...Object.fromEntries(inherited), ...own, WORKFLOW_OUTPUT: outputs.output, WORKFLOW_RESULT: outputs.result };
  // The binary itself is the interpreter; a Python script that calls it is to get the program.
  return language === "python" ? made : { ...made, BUN_BE_BUN: "1" };
}

function exitError({ exitCode, signal, stderr }: ChildEnd): Error {
  const how = exitCode === null || signal !== null ? `was ended by ${signal ?? "a signal"}` : `exited with ${exitCode}`;
  const lines = stderr.trimEnd().split("\n").slice(-stderrLinesMax).join("\n");
  return failure("PLUGIN_EXIT", `The script ${how}`, {
    details: { exitCode, ...(signal === null ? {} : { signal }), stderr: lines },
    retryable: true,
  });
}

function readResult({ output, result }: { output: string; result: string }, stdout: string): Json {
  if (existsSync(result)) return parseOwn(readBounded(result, "$WORKFLOW_RESULT"), "$WORKFLOW_RESULT");
  if (existsSync(output)) return membersOf(readBounded(output, "$WORKFLOW_OUTPUT"));
  const last = stdout.trimEnd().split("\n").at(-1) ?? "";
  try {
    return parseLosslessJson(last);
  } catch {
    return null;
  }
}

function readBounded(path: string, name: string): string {
  if (statSync(path).size <= limits.outputBytesMax) return readFileSync(path, "utf8");
  throw failure("TOO_LARGE", `Cannot read ${name}: it has more than ${limits.outputBytesMax} bytes`, {
    hint: "Write large results as files into $TMPDIR/out: they become artifacts.",
    retryable: false,
  });
}

function parseOwn(text: string, name: string): Json {
  try {
    return parseLosslessJson(text);
  } catch (cause) {
    throw failure("PLUGIN_OUTPUT_INVALID", `Cannot read ${name}: ${(cause as Error).message}`, { retryable: false });
  }
}

/** `key=value` lines and lines of JSON objects, as `run:` scripts write them. */
function membersOf(text: string): JsonObject {
  const members: [string, Json][] = [];
  for (const line of text.split("\n").filter((one) => one.trim() !== "")) {
    const at = line.indexOf("=");
    if (line.startsWith("{")) {
      const value = parseOwn(line, "$WORKFLOW_OUTPUT");
      if (isObject(value)) members.push(...Object.entries(value as JsonObject));
    } else if (at > 0) members.push([line.slice(0, at).trim(), line.slice(at + 1).replace(/\r$/, "")]);
    else throw failure("PLUGIN_OUTPUT_INVALID", "Cannot read $WORKFLOW_OUTPUT: a line is neither key=value nor a JSON object", { retryable: false });
  }
  return Object.fromEntries(members);
}
