// Installs, approves and removes plugins: files in the store's folder, and the events that tell of them. Files are renamed into
// their place in one step, and put back when the event cannot be written.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fail, type JsonObject, limits, version } from "../base/index.ts";
import type { Caller, InstalledPlugin } from "../model/index.ts";
import { copyTree, hashTree, parseManifest } from "../plugins/index.ts";
import { findSchemaProblem } from "../workflow/index.ts";
import type { PluginAdmin, PluginChange } from "./app.ts";
import { type AppContext, systemEvent, systemOpens } from "./context.ts";
import { storePlugins } from "./registry.ts";
import { pluginFacts, pluginsOf, requireEntry, requirePlugin, requireWorkflow } from "./verbs/index.ts";

export function createPluginAdmin(context: AppContext, caller: Caller): PluginAdmin {
  return {
    install: (request) => install(context, caller, request),
    approve: (request) => approve(context, caller, request),
    remove: (request) => remove(context, caller, request),
  };
}

/** A plugin as it lies in a folder anywhere; whether it may be called there is not asked. @throws FILE_NOT_FOUND, MANIFEST_INVALID */
export function readPluginFolder(folder: string): InstalledPlugin {
  const file = join(folder, "plugin.yaml");
  const status = statSync(file, { throwIfNoEntry: false });
  if (status?.isFile() !== true) throw fail("FILE_NOT_FOUND", `Cannot read the plugin "${folder}": it has no plugin.yaml`);
  const text = status.size > limits.manifestBytesMax ? " ".repeat(limits.manifestBytesMax + 1) : onDisk(folder, () => readFileSync(file, "utf8"));
  const { manifest, diagnostics } = parseManifest({ text, file, folder, isPlaced: false, version, findSchemaProblem });
  if (manifest === null) throw fail("MANIFEST_INVALID", `Cannot use the plugin "${folder}": its manifest has errors`, { details: { diagnostics } });
  return { manifest, folder, sha256: onDisk(folder, () => hashTree(folder)) };
}

/** What the operating system refuses is the matter of who named the folder. */
function onDisk<T>(folder: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const { code, syscall } = cause as { code?: string; syscall?: string };
    if (syscall === undefined) throw cause;
    throw fail("FILE_NOT_FOUND", `Cannot read the plugin "${folder}": ${code ?? "a file in it cannot be read"}`, { cause });
  }
}

async function write(context: AppContext, caller: Caller, what: { type: string; payload: JsonObject }): Promise<void> {
  context.session.ensure();
  await context.ledger.commit({ events: [systemEvent(context, caller, what)], opens: systemOpens(context) });
}

function changeOf({ manifest, sha256, folder }: InstalledPlugin): PluginChange {
  return { plugin: `${manifest.namespace}/${manifest.name}`, version: manifest.version, sha256, folder, permissions: manifest.permissions };
}

async function install(context: AppContext, caller: Caller, { path, force }: { path: string; force: boolean }) {
  const source = readPluginFolder(path);
  const { namespace, name, version: given } = source.manifest;
  const root = storePlugins(context.loaded);
  const folder = join(root, namespace, name);
  const before = existsSync(folder) ? (context.registry.findPlugin(`${namespace}/${name}`)?.plugin ?? null) : null;
  const replaced = before?.manifest.version ?? null;
  const change = { ...changeOf(source), folder, replaced };
  if (before?.sha256 === source.sha256) return { ...change, unchanged: true };
  if (replaced !== null && !force && Bun.semver.order(given, replaced) < 0)
    throw fail("ALREADY_EXISTS", `Cannot install ${namespace}/${name} ${given}: the newer version ${replaced} is installed`, {
      hint: "--force installs the older one all the same.",
    });
  const staging = join(root, `.install-${process.pid}-${context.ids.next()}`);
  try {
    mkdirSync(root, { recursive: true, mode: 0o755 });
    onDisk(path, () => copyTree(path, join(staging, "new")));
    if (hashTree(join(staging, "new")) !== source.sha256)
      throw fail("MANIFEST_INVALID", `Cannot install the plugin "${path}": it changed while it was copied`);
    mkdirSync(dirname(folder), { recursive: true, mode: 0o755 });
    if (existsSync(folder)) renameSync(folder, join(staging, "old"));
    try {
      renameSync(join(staging, "new"), folder);
      await write(context, caller, { type: "trace.plugin.installed", payload: pluginFacts(caller, source, null) });
    } catch (cause) {
      rmSync(folder, { recursive: true, force: true });
      if (existsSync(join(staging, "old"))) renameSync(join(staging, "old"), folder);
      throw cause;
    }
  } finally {
    rmSync(staging, { recursive: true, force: true });
  }
  return { ...change, unchanged: false };
}

async function approve(context: AppContext, caller: Caller, { id, workflow }: { id: string; workflow: string | null }) {
  const plugin = requirePlugin(context, id, "approve");
  if (workflow !== null) await requireWorkflow(context, workflow, "approve a plugin for");
  await write(context, caller, { type: "trace.plugin.approved", payload: pluginFacts(caller, plugin, workflow) });
  return { ...changeOf(plugin), workflow };
}

async function remove(context: AppContext, caller: Caller, { id, force }: { id: string; force: boolean }) {
  const entry = requireEntry(context, id, "remove");
  const folder = join(storePlugins(context.loaded), entry.namespace, entry.name);
  if (entry.folder !== folder)
    throw fail("PLUGIN_NOT_FOUND", `Cannot remove plugin "${id}": it is not in the store's folder, but in "${entry.folder}"`, {
      hint: "Remove that folder, or its path from plugins.paths.",
    });
  const workflows = await findUsers(context, id);
  if (workflows.length > 0 && !force)
    throw fail("PLUGIN_IN_USE", `Cannot remove plugin "${id}": ${workflows.length} workflow${workflows.length === 1 ? " uses" : "s use"} it`, {
      details: { workflows },
      hint: "--force removes it all the same.",
    });
  const trash = join(storePlugins(context.loaded), `.remove-${process.pid}-${context.ids.next()}`);
  renameSync(folder, trash);
  try {
    const approvals = (await context.store.listPluginApprovals(id)).map((row) => row.workflow);
    // Of a broken plugin nothing is known but its name.
    const facts = entry.plugin === null ? unknownFacts(caller, id) : pluginFacts(caller, entry.plugin, null);
    await write(context, caller, { type: "trace.plugin.removed", payload: { ...facts, approvals } });
  } catch (cause) {
    renameSync(trash, folder);
    throw cause;
  }
  rmSync(trash, { recursive: true, force: true });
  return { plugin: id, workflows };
}

function unknownFacts(caller: Caller, plugin: string): JsonObject {
  const by = `${caller.principal.type}:${caller.principal.id}`;
  return { plugin, version: "", sha256: "0".repeat(64), permissions: {}, workflow: null, by };
}

/** Workflows whose current revision uses the plugin. */
async function findUsers(context: AppContext, id: string): Promise<string[]> {
  const users: string[] = [];
  for (let afterId: string | undefined; ; ) {
    const rows = await context.store.listWorkflows({ limit: limits.pageMax, ...(afterId === undefined ? {} : { afterId }) });
    for (const row of rows) {
      const { plan } = await context.engine.plans.load(row.id, row.revision);
      if (pluginsOf(plan.definition).includes(id)) users.push(row.id);
    }
    afterId = rows.at(-1)?.id;
    if (rows.length < limits.pageMax) return users;
  }
}
