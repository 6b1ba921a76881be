// plugin types PATH: TypeScript types of a plugin's inputs and outputs.
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fail } from "../../base/index.ts";
import { renderPluginTypes } from "../../plugins/index.ts";
import type { CliContext } from "../context.ts";
import { visibleLine } from "../render/visible.ts";
import { pluginFolder } from "./plugin-validate.ts";

export async function writePluginTypes(context: CliContext, { path, output }: { path: string; output: string | null }): Promise<void> {
  const { readPluginFolder } = await import("../../app/index.ts");
  const folder = pluginFolder(context, path);
  const text = renderPluginTypes(readPluginFolder(folder).manifest);
  if (output === "-") return context.print(text);
  const file = output === null ? join(folder, "plugin.d.ts") : resolve(context.io.cwd, output);
  try {
    writeFileSync(file, text);
  } catch (cause) {
    throw fail("FILE_NOT_FOUND", `Cannot write "${file}": ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  if (context.common.json) return context.printJson({ file });
  context.note(`Wrote ${visibleLine(file)}.`);
}
