// plugin init NAME: a working plugin to start from.
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fail } from "../../base/index.ts";
import type { CliContext } from "../context.ts";
import { parseChoice } from "../option-values.ts";
import { visibleLine } from "../render/visible.ts";
import { languages, type SkeletonFile, skeletonOf } from "./plugin-skeletons.ts";

const namePattern = /^[a-z0-9-]{1,64}$/;
/** Where the current folder's name cannot be a namespace. */
const anyNamespace = "local";

export async function initPlugin(context: CliContext, values: { name: string; lang: string | null; force: boolean }): Promise<void> {
  const language = parseChoice("--lang", values.lang, languages) ?? "ts";
  const { namespace, name, path } = parseName(context, values.name);
  const folder = resolve(context.io.cwd, path);
  const files = skeletonOf(language, { namespace, name });
  const present = files.find((file) => existsSync(join(folder, file.path)));
  if (present !== undefined && !values.force)
    throw fail("ALREADY_EXISTS", `Cannot write the plugin "${path}": ${join(path, present.path)} is there already`, {
      hint: "--force writes over it.",
    });
  for (const file of files) writeSkeleton(join(folder, file.path), file);
  const paths = files.map((file) => join(path, file.path));
  if (context.common.json) return context.printJson({ plugin: `${namespace}/${name}`, folder, files: paths });
  for (const written of paths) context.print(`created  ${visibleLine(written)}\n`);
  context.note(`Try it: ${context.program} plugin test ${visibleLine(path)}`);
}

function writeSkeleton(path: string, { text, isProgram }: SkeletonFile): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    if (isProgram) chmodSync(path, 0o755);
  } catch (cause) {
    const { code } = cause as { code?: string };
    const isTaken = code === "EEXIST" || code === "ENOTDIR" || code === "EISDIR";
    throw fail(
      isTaken ? "ALREADY_EXISTS" : "FILE_NOT_FOUND",
      `Cannot write "${path}": ${isTaken ? "something stands in its way" : (code ?? cause)}`,
      { cause },
    );
  }
}

/** `path` is relative to the current folder. @throws USAGE */
function parseName(context: CliContext, text: string): { namespace: string; name: string; path: string } {
  const parts = text.split("/");
  const here = basename(context.io.cwd);
  const [namespace = "", name = ""] = parts.length === 1 ? [namePattern.test(here) ? here : anyNamespace, text] : parts;
  if (parts.length <= 2 && namePattern.test(namespace) && namespace !== "core" && namePattern.test(name)) return { namespace, name, path: text };
  throw fail("USAGE", `Cannot write a plugin "${text}": its name is NAME or NAMESPACE/NAME of a-z, 0-9 and -, and not of core`);
}
