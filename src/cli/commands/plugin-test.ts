// plugin test PATH: each test is an execution of its own in a store that is thrown away, so that it runs exactly as in a workflow.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { App } from "../../app/index.ts";
import { canonicalJson, fail, isCoded, isObject, type Json, type JsonObject, toErrorBody, toIJson } from "../../base/index.ts";
import type { Diagnostic, Execution, InstalledPlugin, Permissions, TaskRun } from "../../model/index.ts";
import { asksOf } from "../../plugins/index.ts";
import type { CliContext } from "../context.ts";
import { visible, visibleLine } from "../render/visible.ts";
import { pluginFolder } from "./plugin-validate.ts";

type Expected = { output: Json } | { error: { code?: string; message?: string } };
type PluginTest = { file: string; name: string; action: string; input: JsonObject; permissions: Permissions | null; expect: Expected };
type TestResult = { file: string; name: string; action: string; ok: boolean; durationMs: number | null; message: string | null };

export async function testPlugin(context: CliContext, { path }: { path: string }): Promise<void> {
  const folder = pluginFolder(context, path);
  const { openApp, readPluginFolder } = await import("../../app/index.ts");
  const plugin = readPluginFolder(folder);
  const tests = await readTests(folder, plugin);
  const loaded = await context.loadConfig();
  const store = mkdtempSync(join(tmpdir(), "plugin-test-"));
  context.onEnd(async () => rmSync(store, { recursive: true, force: true }));
  const config = { ...loaded.config, plugins: { ...loaded.config.plugins, paths: [] } };
  const app = await openApp({ loaded: { ...loaded, config, storePath: join(store, "autokestra.db") }, mode: "oneShot" });
  context.onEnd(() => app.close());
  await app.plugins.install({ path: folder, force: true });
  const results: TestResult[] = [];
  for (const test of tests) {
    const result = await runTest(context, app, { test, plugin });
    results.push(result);
    if (context.common.json) continue;
    const mark = result.ok ? context.style.green("ok    ") : context.style.red("FAILED");
    context.print(`${mark}  ${visibleLine(`${result.name} (${result.file})`)}\n`);
    if (result.message !== null) context.print(`        ${visible(result.message).replaceAll("\n", "\n        ")}\n`);
  }
  const failed = results.filter(({ ok }) => !ok).length;
  if (context.common.json) context.printJson({ passed: results.length - failed, failed, tests: results });
  else context.note(`${results.length - failed} passed, ${failed} failed.`);
  if (failed > 0) throw fail("PLUGIN_TEST_FAILED", `Cannot pass the tests of "${path}": ${failed} of ${results.length} failed`);
}

/** @throws FILE_NOT_FOUND without any test, MANIFEST_INVALID for a test that is none */
async function readTests(folder: string, plugin: InstalledPlugin): Promise<PluginTest[]> {
  const { parse } = await import("yaml");
  let names: string[] = [];
  try {
    names = readdirSync(join(folder, "tests"));
  } catch {
    // No folder, no tests: said below.
  }
  const files = names.filter((name) => /\.ya?ml$/.test(name)).toSorted();
  if (files.length === 0) throw fail("FILE_NOT_FOUND", `Cannot test "${folder}": it has no tests/*.yaml`);
  return files.flatMap((name) => {
    const file = join("tests", name);
    let value: Json;
    try {
      if (!statSync(join(folder, file)).isFile()) throw new TypeError("it is no file");
      value = toIJson(parse(readFileSync(join(folder, file), "utf8"), { maxAliasCount: 100 }) ?? null);
    } catch (cause) {
      throw fail("MANIFEST_INVALID", `Cannot read the test "${file}": ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    }
    const list = Array.isArray(value) ? value : [value];
    return list.map((one, index) => toTest(one, { file, index, plugin }));
  });
}

const keys = new Set(["name", "action", "input", "permissions", "expect"]);

function toTest(value: Json, at: { file: string; index: number; plugin: InstalledPlugin }): PluginTest {
  const wrong = (why: string) => fail("MANIFEST_INVALID", `Cannot run test ${at.index + 1} of "${at.file}": ${why}`);
  if (!isObject(value)) throw wrong("it is no map");
  const odd = Object.keys(value).find((key) => !keys.has(key));
  if (odd !== undefined) throw wrong(`there is no key "${odd}"`);
  const { name = at.file, action, input = {}, permissions = null, expect } = value as JsonObject;
  const { actions, namespace, name: pluginName } = at.plugin.manifest;
  const short = typeof action === "string" ? action.replace(`${namespace}/${pluginName}.`, "") : "";
  if (!actions.some((one) => one.name === short)) throw wrong(`"action" is none of ${actions.map((one) => one.name).join(", ")}`);
  if (!isObject(input)) throw wrong('"input" is no map');
  if (permissions !== null && !isObject(permissions)) throw wrong('"permissions" is no map');
  return {
    file: at.file,
    name: String(name),
    action: short,
    input: input as JsonObject,
    permissions: permissions as Permissions | null,
    expect: toExpected(expect, wrong),
  };
}

function toExpected(expect: Json | undefined, wrong: (why: string) => Error): Expected {
  if (!isObject(expect) || Object.hasOwn(expect, "output") === Object.hasOwn(expect, "error"))
    throw wrong('"expect" holds either "output" or "error"');
  if (Object.hasOwn(expect, "output")) return { output: (expect as JsonObject)["output"] ?? null };
  const error = (expect as JsonObject)["error"];
  if (typeof error === "string") return { error: { code: error } };
  if (!isObject(error)) throw wrong('"expect.error" is neither a code nor a map');
  const { code, message } = error as JsonObject;
  return { error: { ...(typeof code === "string" ? { code } : {}), ...(typeof message === "string" ? { message } : {}) } };
}

async function runTest(context: CliContext, app: App, { test, plugin }: { test: PluginTest; plugin: InstalledPlugin }): Promise<TestResult> {
  const { manifest, folder } = plugin;
  const action = manifest.actions.find((one) => one.name === test.action);
  const permissions = test.permissions ?? (action === undefined ? {} : asksOf(manifest, action));
  const type = `${manifest.namespace}/${manifest.name}.${test.action}`;
  // JSON is YAML, and what looks like an expression in it is text here.
  const source = JSON.stringify({ id: "plugin-test", permissions, tasks: [{ id: "call", type, inputs: literally(test.input) }] });
  const head = { file: test.file, name: test.name, action: type };
  try {
    const shot = await app.runOneShot({
      from: { source, file: test.file, folder },
      inputTexts: {},
      inputs: {},
      timeoutMs: null,
      keepWorkspace: false,
      allow: null,
      learn: false,
      onProgress: (progress) => {
        if (progress.kind === "log") context.detail(visibleLine(`${progress.level} ${progress.message}`));
      },
      onNote: (text) => context.detail(visibleLine(text)),
    });
    const { execution, tasks }: Execution = await shot.done;
    const message = findMismatch(test.expect, tasks[0]);
    return { ...head, ok: message === null, durationMs: execution.durationMs, message };
  } catch (thrown) {
    // Literal inputs are held against the schema before there is an execution; to a test that is the error of a call all the same.
    const misfit = findMisfit(thrown);
    if (misfit === null) throw thrown;
    const message = findMismatch(test.expect, {
      state: "FAILED",
      output: null,
      error: { ...toErrorBody(thrown), code: "TASK_INPUT_INVALID", message: misfit },
    });
    return { ...head, ok: message === null, durationMs: null, message };
  }
}

/** What does not fit when nothing but the inputs is wrong; null for any other error. */
function findMisfit(thrown: unknown): string | null {
  const diagnostics = isCoded(thrown, "WORKFLOW_INVALID") ? (thrown.details?.["diagnostics"] as Diagnostic[] | undefined) : undefined;
  const errors = diagnostics?.filter(({ severity }) => severity === "error") ?? [];
  return errors.length > 0 && errors.every(({ code }) => code === "INPUT_MISMATCH") ? errors.map(({ message }) => message).join("; ") : null;
}

function literally(value: Json): Json {
  if (typeof value === "string") return value.replaceAll("{{", "\\{{");
  if (Array.isArray(value)) return value.map(literally);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, literally(member as Json)]));
}

/** What came instead of what was expected, null when it came. */
function findMismatch(expect: Expected, run: Pick<TaskRun, "state" | "output" | "error"> | undefined): string | null {
  const error = run?.error ?? null;
  if ("output" in expect) {
    if (error !== null || run?.state !== "SUCCESS") return `failed with ${error?.code ?? run?.state ?? "nothing"}: ${error?.message ?? ""}`;
    const output = withoutArtifacts(run.output as Json, expect.output);
    if (canonicalJson(output) === canonicalJson(expect.output)) return null;
    return `expected ${canonicalJson(expect.output)}\ngot      ${canonicalJson(output)}`;
  }
  if (error === null) return `expected an error, got ${canonicalJson(run?.output ?? null)}`;
  const { code, message } = expect.error;
  const isSame = (code === undefined || code === error.code) && (message === undefined || error.message.includes(message));
  return isSame ? null : `expected ${canonicalJson(expect.error)}\ngot      ${error.code}: ${error.message}`;
}

/** Files that an action left are named by their digest; a test that does not speak of them does not mean them. */
function withoutArtifacts(output: Json, expected: Json): Json {
  if (!isObject(output) || (isObject(expected) && Object.hasOwn(expected, "artifacts"))) return output;
  const { artifacts: _, ...rest } = output as JsonObject;
  return rest;
}
