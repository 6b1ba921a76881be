// plugin validate PATH…: findings of manifests, shown as `validate` shows those of workflows.
import { readFileSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fail, limits, toErrorBody, version } from "../../base/index.ts";
import { type Diagnostic, hasErrors } from "../../model/index.ts";
import { hashTree, parseManifest } from "../../plugins/index.ts";
import { findSchemaProblem, renderDiagnostics } from "../../workflow/index.ts";
import type { CliContext } from "../context.ts";
import { hasColor } from "../render/style.ts";
import { visible, visibleLine } from "../render/visible.ts";

type Checked = { path: string; file: string; text: string; diagnostics: Diagnostic[] };

export async function validatePlugins(context: CliContext, { paths }: { paths: string[] }): Promise<void> {
  const checked = paths.map((path) => checkPlugin(context, path));
  const diagnostics = checked.flatMap((one) => one.diagnostics);
  const valid = !hasErrors(diagnostics);
  if (context.common.json) context.printJson({ valid, diagnostics });
  else {
    noteFindings(context, checked);
    for (const one of checked) if (!hasErrors(one.diagnostics)) context.print(`${context.style.green("valid")}  ${visibleLine(one.path)}\n`);
  }
  if (valid) return;
  const bad = checked.filter((one) => hasErrors(one.diagnostics)).map(({ path }) => `"${path}"`);
  const errors = diagnostics.filter((found) => found.severity === "error").length;
  const details = context.common.json ? { details: { diagnostics } } : {};
  throw fail("MANIFEST_INVALID", `Cannot accept the plugin ${bad.join(", ")}: ${errors} error${errors === 1 ? "" : "s"}`, details);
}

/** The folder of a plugin that a command line names: itself, or its manifest. @throws FILE_NOT_FOUND */
export function pluginFolder(context: CliContext, path: string): string {
  const full = resolve(context.io.cwd, path);
  const folder = basename(full) === "plugin.yaml" ? dirname(full) : full;
  const missing = (why: string, cause?: unknown) => fail("FILE_NOT_FOUND", `Cannot read the plugin "${path}": ${why}`, { cause });
  try {
    if (statSync(join(folder, "plugin.yaml"), { throwIfNoEntry: false })?.isFile() === true) return realpathSync(folder);
  } catch (cause) {
    // A file on the way, a name that is too long, links in a circle, a folder that may not be looked into.
    const { code } = cause as { code?: string };
    throw missing(code === "ENOTDIR" ? "it is no folder" : String(code ?? cause), cause);
  }
  throw missing("it has no plugin.yaml");
}

function checkPlugin(context: CliContext, path: string): Checked {
  const folder = pluginFolder(context, path);
  const file = basename(path) === "plugin.yaml" ? path : join(path, "plugin.yaml");
  const isTooLarge = statSync(join(folder, "plugin.yaml")).size > limits.manifestBytesMax;
  const text = isTooLarge ? " ".repeat(limits.manifestBytesMax + 1) : readManifest(join(folder, "plugin.yaml"));
  const { manifest, diagnostics } = parseManifest({ text, file, folder, isPlaced: true, version, findSchemaProblem });
  const tree = manifest === null ? null : findTreeProblem(folder);
  if (tree !== null) diagnostics.push({ severity: "error", code: "BAD_VALUE", path: "", message: tree, file, line: 1, column: 1 });
  return { path, file, text: isTooLarge ? "" : text, diagnostics };
}

function readManifest(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw fail("FILE_NOT_FOUND", `Cannot read "${file}": ${(cause as { code?: string }).code ?? String(cause)}`, { cause });
  }
}

function findTreeProblem(folder: string): string | null {
  try {
    hashTree(folder);
    return null;
  } catch (thrown) {
    return toErrorBody(thrown).message.replace(/^Internal error: /, "");
  }
}

function noteFindings(context: CliContext, checked: readonly Checked[]): void {
  const diagnostics = checked.flatMap((one) => one.diagnostics);
  if (diagnostics.length === 0) return;
  const sources = new Map(checked.map(({ file, text }) => [visible(file), visible(text)]));
  const shown = diagnostics.map((found) => ({ ...found, file: visible(found.file), message: visible(found.message) }));
  const colour = hasColor({ isTty: context.io.stderrIsTty, noColorFlag: context.common.noColor, env: context.io.env });
  context.io.stderr(`${renderDiagnostics(shown, sources, { colour }).trimEnd()}\n`);
}
