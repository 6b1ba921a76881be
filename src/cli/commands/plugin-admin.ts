// plugin install, approve and remove: they act on this machine's store, whether a server runs on it or not.
import { fail } from "../../base/index.ts";
import type { PluginAdmin } from "../../app/index.ts";
import type { Permissions } from "../../model/index.ts";
import type { CliContext } from "../context.ts";
import { openStore } from "../connect.ts";
import { visibleLine } from "../render/visible.ts";
import { pluginFolder } from "./plugin-validate.ts";

async function openAdmin(context: CliContext): Promise<PluginAdmin> {
  if (context.common.server !== null)
    throw fail("USAGE", "Cannot use --server here: plugins are installed, approved and removed on the machine whose store it is");
  return (await openStore(context, "command")).plugins;
}

export async function installPlugin(context: CliContext, { path, force }: { path: string; force: boolean }): Promise<void> {
  const folder = pluginFolder(context, path);
  const plugins = await openAdmin(context);
  const done = await plugins.install({ path: folder, force });
  if (context.common.json) return context.printJson(done);
  const what = done.unchanged ? "unchanged" : done.replaced === null ? "installed" : `installed over ${done.replaced}`;
  context.print(`${what}  ${done.plugin} ${done.version}\n`);
  printAsks(context, done.permissions);
  if (!done.unchanged && done.replaced !== null)
    context.note(`Workflows that were approved for less need: ${context.program} plugin approve ${done.plugin}`);
}

export async function approvePlugin(context: CliContext, { name, workflow }: { name: string; workflow: string | null }): Promise<void> {
  const plugins = await openAdmin(context);
  const done = await plugins.approve({ id: name, workflow });
  if (context.common.json) return context.printJson(done);
  context.print(`approved  ${done.plugin} ${done.version} for ${visibleLine(done.workflow ?? "every workflow")}\n`);
  printAsks(context, done.permissions);
}

export async function removePlugin(context: CliContext, { name, force }: { name: string; force: boolean }): Promise<void> {
  const plugins = await openAdmin(context);
  const done = await plugins.remove({ id: name, force });
  if (context.common.json) return context.printJson(done);
  context.print(`removed  ${visibleLine(done.plugin)}\n`);
  if (done.workflows.length > 0) context.note(`Used by ${visibleLine(done.workflows.join(", "))}.`);
}

function printAsks(context: CliContext, permissions: Permissions): void {
  const entries = Object.entries(permissions).filter(([, value]) => !(Array.isArray(value) && value.length === 0) && value !== false);
  if (entries.length === 0) return context.print("it asks for nothing\n");
  context.print("it may ask for\n");
  for (const [name, value] of entries) context.print(`  ${visibleLine(`${name}: ${JSON.stringify(value)}`)}\n`);
}
