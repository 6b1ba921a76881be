// One step of a DAG as a task: script or action, environment, folder, conditions, retries.
import type { JsonObject } from "../../base/index.ts";
import { toJson } from "../source/raw-node.ts";
import type { DraftItem } from "./draft.ts";
import { type Call, convertExecutor, convertParallel, convertSubDag, shellExecutors } from "./dagu-executors.ts";
import { type DaguStep, takeKey } from "./dagu-plan.ts";
import { addEnv, envOf, type Variables } from "./dagu-variables.ts";
import type { Notebook } from "./notes.ts";
import { commentAbove, type Field, isTrue, numberOf, openMap, scalarText, type SourceMap } from "./source-map.ts";
import { expression, quoteShell, taskRef } from "./texts.ts";

/** What all steps of a DAG have in common. */
export type DaguContext = {
  text: string;
  variables: Variables;
  shell: Field | null;
  folder: Field | null;
  container: Field | null;
  smtp: SourceMap | null;
  /** Names of secrets that tasks use; it learns further ones. */
  secrets: Set<string>;
  /** Steps by the variable of their output. */
  outputs: ReadonlyMap<string, DaguStep>;
  name: string;
  book: Notebook;
};

/** Tasks that have ended before a step; null for a handler, which may name all. `isCertain`: they have all succeeded. */
export type Upstream = { ids: ReadonlySet<string> | null; isCertain: boolean };

type Scripted = { run: string; shell: string };

const interpreters: Record<string, string> = { sh: "sh", dash: "sh", bash: "bash", python: "python3", python3: "python3", bun: "bun" };

function shellNamed(text: string): string | null {
  const program = text.trim().split(/\s+/)[0]?.split("/").at(-1) ?? "";
  return Object.hasOwn(interpreters, program) ? (interpreters[program] ?? null) : null;
}

/** The interpreter that the script's first line names. */
function shebangOf(script: string): string | null {
  const match = /^#!\s*(?:\/usr\/bin\/env\s+(?:-S\s+)?)?(\S+)/.exec(script);
  return match === null ? null : shellNamed(match[1] ?? "");
}

/** A list is a program with its arguments; several lines of commands are those, one after the other. */
function commandText(field: Field | null): string {
  if (field === null) return "";
  if (field.node.kind !== "list") return scalarText(field.node) ?? "";
  const words = field.node.items.flatMap((node) => scalarText(node) ?? []);
  if (words.some((word, index) => index === 0 && /\s/.test(word))) return words.join("\n");
  // Variables in an argument are still replaced.
  return words.map((word) => (/\$/.test(word) ? `"${word.replace(/["\\`]/g, (unit) => `\\${unit}`)}"` : quoteShell(word))).join(" ");
}

function withArgs(command: string, args: Field | null): string {
  if (args === null) return command;
  const list = args.node.kind === "list" ? commandText(args) : (scalarText(args.node) ?? "");
  return `${command} ${list}`;
}

function scriptedOf(step: DaguStep, command: string, script: string | null, shell: string): Scripted {
  if (script === null) return { run: command.endsWith("\n") ? command : `${command}\n`, shell };
  const asked = command === "" ? null : shellNamed(command);
  const hasOptions = /\s/.test(command.trim());
  if (command === "" || (asked !== null && !hasOptions)) return { run: script, shell: asked ?? shebangOf(script) ?? shell };
  // A program that gets the script as a file.
  let end = "SCRIPT";
  while (script.split("\n").includes(end)) end += "_";
  const file = `"$TMPDIR/${step.taskId}.script"`;
  return { run: `cat > ${file} <<'${end}'\n${script}${script.endsWith("\n") ? "" : "\n"}${end}\n${command.trimEnd()} ${file}\n`, shell };
}

/** Goes to the step's folder, and gives positions back to scripts that name them. */
function prefixOf(folder: Field | null, { run, shell }: Scripted, { variables, book }: DaguContext): string {
  const isShell = shell === "sh" || shell === "bash";
  const lines: string[] = [];
  const path = scalarText(folder?.node) ?? "";
  if (folder !== null && path !== "") {
    if (isShell) {
      lines.push(path.startsWith("~/") ? `cd ~/"${path.slice(2)}"` : /[$`]/.test(path) ? `cd "${path}"` : `cd ${quoteShell(path)}`);
      book.changed(folder, "The script goes to its folder first", "Grant it: permissions: filesystem: { write: [FOLDER] }");
    } else book.lost(folder, "The folder is not carried over", "Change to it in the script.");
  }
  const positions = [...variables.keys()].filter((name) => /^\d+$/.test(name));
  if (isShell && positions.length > 0 && /\$[1-9@*#]|\$\{[1-9]\}/.test(run))
    lines.push(`set -- ${positions.map((name) => `"$ARG${name}"`).join(" ")}`);
  return lines.map((line) => `${line}\n`).join("");
}

function positionsOf(variables: Variables, run: string): JsonObject {
  const all = [...variables].filter(([name]) => /^\d+$/.test(name) && run.includes(`$ARG${name}`));
  return Object.fromEntries(all.map(([name, template]) => [`ARG${name}`, template]));
}

/** What a text names of the outputs of steps before it, and of the run. */
function readOutputs(texts: string, { ids, isCertain }: Upstream, step: DaguStep, context: DaguContext): Variables {
  const found: Variables = new Map();
  // Scripts in other languages read the environment without a $.
  for (const name of new Set(texts.match(/[A-Za-z_]\w*/g))) {
    const from = context.outputs.get(name);
    if (from !== undefined) addOutput(name, from);
  }
  for (const [, braced, path, bare] of texts.matchAll(/\$\{([A-Za-z_]\w*)((?:\.|\[)[^}]*)?\}|\$([A-Za-z_]\w*)/g)) {
    const name = braced ?? bare ?? "";
    if (name === "DAG_RUN_ID") found.set(name, expression("execution.id"));
    else if (name === "DAG_NAME") found.set(name, context.name);
    else if (/^(?:DAG|DAGU)_[A-Z_]+$/.test(name) && !context.variables.has(name))
      context.book.lost(step.field, `${name} does not exist here, and the step still names it`);
    const from = context.outputs.get(name);
    if (from !== undefined && path !== undefined && path !== "")
      context.book.lost(
        step.field,
        `\${${name}${path}} reads into an output, which no shell does`,
        `env: { VALUE: "{{ ${taskRef(from.taskId)}.output.… }}" }`,
      );
  }
  return found;

  function addOutput(name: string, from: DaguStep): void {
    if (from === step) return;
    if (ids !== null && !ids.has(from.taskId))
      return context.book.lost(step.field, `The step names ${name}, but does not depend on "${from.taskId}", which sets it`, "Add it to needs.");
    const ref = taskRef(from.taskId);
    found.set(name, expression(isCertain ? `${ref}.output.stdout` : `${ref}.state == 'SUCCESS' ? ${ref}.output.stdout : ''`));
  }
}

function retryOf(field: Field, book: Notebook): JsonObject {
  const map = openMap(field, book);
  const limit = map.take("limit");
  const interval = takeKey(map, "intervalSec");
  const longest = takeKey(map, "maxIntervalSec");
  const backoff = map.take("backoff");
  const count = limit === null ? null : numberOf(limit.node);
  const seconds = interval === null ? null : numberOf(interval.node);
  const most = longest === null ? null : numberOf(longest.node);
  for (const [one, value] of [
    [limit, count],
    [interval, seconds],
    [longest, most],
  ] as const)
    if (one !== null && value === null) book.lost(one, "A number that is computed is not carried over", "Write retry: { max: 3, delay: 10s }");
  const grows = backoff !== null && scalarText(backoff.node) !== "false";
  if (grows && isTrue(backoff.node) === false && numberOf(backoff.node) !== 2) book.changed(backoff, "The delay doubles, whatever the factor");
  for (const key of ["exitCode", "exit_code"]) map.leave(key, "Exit codes of a retry are not carried over: every failure is repeated");
  map.rest("retryPolicy");
  const delay = seconds === null || seconds === 0 ? {} : { delay: `${seconds}s` };
  return {
    max: Math.min(1000, (count ?? 0) + 1),
    ...delay,
    ...(grows ? { backoff: "exponential" } : {}),
    ...(most === null || most === 0 ? {} : { maxDelay: `${most}s` }),
  };
}

const stepLost: readonly (readonly [string, string, string?])[] = [
  ["repeatPolicy", "Repeating a step is not carried over", "Write the loop in the script, or a cron trigger."],
  ["signalOnStop", "The signal is always TERM, and KILL after plugins' killGrace"],
  ["mailOnError", "Mails are not carried over", "Write an onFailure: task of type core/email.send."],
  ["stdout", "Output goes to the log of the task, not to a file", "Write > FILE in the script, and grant the folder."],
  ["stderr", "Output goes to the log of the task, not to a file", "Write 2> FILE in the script, and grant the folder."],
  ["logOutput", "Both streams go to the one log of the task"],
  ["workerSelector", "There are no workers to choose from"],
  ["approval", "The approval is not carried over", "Write a task of type core/approval.request."],
];

function restOfStep(map: SourceMap, value: JsonObject, book: Notebook): void {
  const retry = takeKey(map, "retryPolicy");
  if (retry !== null) value["retry"] = retryOf(retry, book);
  const timeout = takeKey(map, "timeoutSec");
  const seconds = timeout === null ? null : numberOf(timeout.node);
  if (timeout !== null && seconds === null) book.lost(timeout, "A timeout that is computed is not carried over");
  if (seconds !== null && seconds > 0) value["timeout"] = `${seconds}s`;
  for (const [key, message, hint] of stepLost) {
    const field = takeKey(map, key);
    if (field !== null) book.lost(field, message, hint);
  }
  map.rest("a step");
}

type Executor = { type: string; config: SourceMap | null; field: Field | null };

function executorOf(map: SourceMap | null, { container, book }: DaguContext): Executor {
  const field = map?.take("executor") ?? null;
  if (field !== null && field.node.kind === "map") {
    const inner = openMap(field, book);
    const type = scalarText(inner.take("type")?.node) ?? "";
    const config = inner.take("config");
    inner.rest("executor");
    return { type, config: config === null ? null : openMap(config, book), field };
  }
  if (field !== null) return { type: scalarText(field.node) ?? "", config: null, field };
  const own = map?.take("container") ?? null;
  const shared = own ?? container;
  if (shared !== null && (own !== null || map?.take("type") == null)) return { type: "docker", config: openMap(shared, book), field: shared };
  const type = map?.take("type") ?? null;
  const config = map?.take("config") ?? null;
  return { type: scalarText(type?.node) ?? "", config: config === null ? null : openMap(config, book), field: type };
}

function bodyOf(step: DaguStep, variables: Variables, context: DaguContext): JsonObject | null {
  const { map } = step;
  const { book } = context;
  const script = map?.take("script") ?? null;
  const command = withArgs(commandText(step.command), map?.take("args") ?? null);
  const executor = executorOf(map, context);
  const shellField = map?.take("shell") ?? context.shell;
  const folder = (map === null ? null : (takeKey(map, "workingDir") ?? map.take("dir"))) ?? context.folder;
  const call: Call = {
    place: { at: (executor.field ?? step.field).at, path: step.field.path },
    config: executor.config,
    command,
    script: script === null ? null : scalarText(script.node),
    variables,
    book,
    smtp: context.smtp,
    secrets: context.secrets,
    unknown: new Set<string>(),
  };
  const made = shellExecutors.has(executor.type) ? { run: "" } : convertExecutor(executor.type, call);
  if (made === null || made["run"] === undefined) {
    if (folder !== null && folder !== context.folder) book.lost(folder, "This action has no folder to start in: it is not carried over");
    return made;
  }
  executor.config?.rest("the shell executor");
  const asked = shellField === null ? "sh" : shellNamed(commandText(shellField));
  if (asked === null && shellField !== null) book.lost(shellField, "This shell does not exist here: the task gets sh");
  const scripted = made["run"] === "" ? scriptedOf(step, command, call.script, asked ?? "sh") : { run: String(made["run"]), shell: "sh" };
  if (scripted.run.trim() === "") return null;
  const run = prefixOf(folder, scripted, { ...context, variables }) + scripted.run;
  const env = { ...envOf(variables), ...positionsOf(variables, run) };
  return { run, ...(scripted.shell === "sh" ? {} : { shell: scripted.shell }), ...(Object.keys(env).length === 0 ? {} : { env }) };
}

/** A step whose `run:` is one word runs another DAG; anything else is a script. */
function subDagOf(step: DaguStep, variables: Variables, { book }: DaguContext): JsonObject | null {
  const { map } = step;
  const run = map?.take("call") ?? map?.take("run") ?? null;
  const name = scalarText(run?.node)?.trim() ?? "";
  if (map === null || run === null) return null;
  if (/\s/.test(name)) {
    step.command ??= run;
    return null;
  }
  const parallel = map.take("parallel");
  const inner: Variables = parallel === null ? variables : new Map([...variables, ["ITEM", expression("item")]]);
  const value = convertSubDag(name, map.take("params"), { variables: inner, book, place: run });
  if (parallel === null) return value;
  const each = convertParallel(parallel, variables, book);
  if (each === null)
    book.lost(
      parallel,
      "The list of items is computed, and is not carried over: the task is switched off",
      'Write forEach: "{{ … }}" with an expression that gives a list.',
    );
  return each === null ? { ...value, if: false } : { ...value, ...each };
}

function textsOf(step: DaguStep): string {
  return JSON.stringify(toJson(step.field.node)).replaceAll("\\\\", "\\");
}

/** Variables of one step: those of the DAG, outputs that it names, its own. */
export function variablesOf(step: DaguStep, upstream: Upstream, context: DaguContext): Variables {
  const variables: Variables = new Map([...context.variables, ...readOutputs(textsOf(step), upstream, step, context)]);
  const own = step.map?.take("env") ?? null;
  if (own !== null) addEnv(own, variables, context.book);
  return variables;
}

function commentOf(step: DaguStep, text: string): string | null {
  const description = scalarText(step.map?.take("description")?.node);
  const name = step.name !== null && step.name !== step.taskId ? step.name : null;
  const lines = [commentAbove(text, step.field.at), name, description].filter((line) => line !== null && line !== "");
  return lines.length === 0 ? null : lines.join("\n");
}

/** The task of a step, without conditions. One that has no equivalent is switched off: what needs it does not run either. */
export function taskOfStep(step: DaguStep, variables: Variables, context: DaguContext): DraftItem {
  const comment = commentOf(step, context.text);
  const needs = step.needs.length === 0 ? {} : { needs: step.needs };
  const body = subDagOf(step, variables, context) ?? bodyOf(step, variables, context);
  if (body === null && step.command === null)
    context.book.lost(step.field, "The step has no command that can be carried over: the task is switched off");
  const value: JsonObject = { id: step.taskId, ...needs, ...(body ?? { type: "core/value.set", if: false }) };
  if (step.goesOn.failure) value["allowFailure"] = true;
  if (step.map !== null) restOfStep(step.map, value, context.book);
  return { value, place: step.field, comment };
}
