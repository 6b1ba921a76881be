// Verbs on plugins: list, show, read again; and the approvals that applying a workflow brings with it.
import { fail, type Json, toIso, version } from "../../base/index.ts";
import {
  type ActionDescription,
  type ActionProblem,
  type Caller,
  coreActions,
  type EventDraft,
  type InstalledPlugin,
  type Permissions,
  type Plugin,
  type PluginActionForm,
  type PluginApprovalForm,
  type PluginItem,
  type PluginList,
  principalText,
  type WorkflowDefinition,
} from "../../model/index.ts";
import { approvalProblem, asksOf, describeAction, type PluginEntry } from "../../plugins/index.ts";
import { describeProblem, pluginOf } from "../../workflow/index.ts";
import type { RowOf } from "../../storage/index.ts";
import { readColumn } from "../../trace/index.ts";
import { type AppContext, systemEvent } from "../context.ts";
import { pageSize, readCursor, writeCursor } from "../cursor.ts";
import type { Page } from "../facade.ts";

type PluginHead = Omit<PluginItem, "actions">;
const nothingInstalled = { runtime: null, folder: null, sha256: null, permissions: null, version: null, description: null } as const;

/** By name, the built-in ones among them. */
export async function listPlugins(context: AppContext, page: Page): Promise<PluginList> {
  const size = pageSize(page.limit);
  const after = page.cursor === undefined ? "" : String(readCursor(page.cursor, ["string"])[0]);
  const builtIns = [...context.registry.builtIns()].map(([id, actions]) => ({
    ...builtInHead(id),
    actions: actions.map(({ action }) => nameOf(action)),
  }));
  const installed = context.registry
    .list()
    .map((entry) => ({ ...entryHead(entry), actions: entry.plugin?.manifest.actions.map(({ name }) => name) ?? [] }));
  const rest = [...builtIns, ...installed].filter(({ id }) => id > after).toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const plugins = rest.slice(0, size);
  const last = plugins.at(-1);
  return { plugins, nextCursor: rest.length > size && last !== undefined ? writeCursor([last.id]) : null };
}

/** Forgets what was read, and lists what is there now. */
export async function reloadPlugins(context: AppContext): Promise<PluginList> {
  context.registry.reload();
  return listPlugins(context, {});
}

const noExtra = { author: null, license: null, homepage: null, engines: null, entrypoint: null, keepWarm: 0 };

/** A built-in plugin, for which nothing has to be opened; null when there is none of that name. */
export function describeBuiltIn(id: string): Plugin | null {
  const actions = coreActions.filter(({ action }) => pluginOf(action) === id);
  return actions.length === 0 ? null : { ...builtInHead(id), ...noExtra, actions: actions.map((action) => actionForm(action)), approvals: [] };
}

export async function getPlugin(context: AppContext, id: string): Promise<Plugin> {
  const builtIn = describeBuiltIn(id);
  if (builtIn !== null) return builtIn;
  const entry = requireEntry(context, id, "show");
  const approvals = await readApprovals(context, id, entry.plugin);
  if (entry.plugin === null) return { ...entryHead(entry), ...noExtra, actions: [], approvals };
  const { manifest } = entry.plugin;
  const { author, license, homepage, engines, entrypoint, keepWarm } = manifest;
  const actions = manifest.actions.map((action) => ({
    ...actionForm(describeAction(manifest, action)),
    timeoutMs: action.timeoutMs,
    permissions: asksOf(manifest, action) as Record<string, unknown>,
  }));
  return { ...entryHead(entry), author, license, homepage, engines, entrypoint, keepWarm, actions, approvals };
}

/** @throws PLUGIN_NOT_FOUND */
export function requireEntry(context: AppContext, id: string, verb: string): PluginEntry {
  const entry = context.registry.findPlugin(id);
  if (entry !== null) return entry;
  throw fail("PLUGIN_NOT_FOUND", `Cannot ${verb} plugin "${id}": no such plugin`, { hint: "`workflow plugin list` shows those that are there." });
}

/** A plugin without errors. @throws PLUGIN_NOT_FOUND, MANIFEST_INVALID */
export function requirePlugin(context: AppContext, id: string, verb: string): InstalledPlugin {
  const { plugin, diagnostics } = requireEntry(context, id, verb);
  if (plugin === null) throw fail("MANIFEST_INVALID", `Cannot ${verb} plugin "${id}": its manifest has errors`, { details: { diagnostics } });
  return plugin;
}

const nameOf = (action: string): string => action.slice(action.indexOf(".") + 1);

function builtInHead(id: string): PluginHead {
  const [namespace = "", name = ""] = id.split("/");
  return { id, namespace, name, ...nothingInstalled, version, builtIn: true, valid: true, diagnostics: [] };
}

function entryHead({ namespace, name, folder, plugin, diagnostics }: PluginEntry): PluginHead {
  const place = { id: `${namespace}/${name}`, namespace, name, builtIn: false, diagnostics };
  if (plugin === null) return { ...place, ...nothingInstalled, folder, valid: false };
  const { manifest, sha256 } = plugin;
  const { description, runtime, permissions } = manifest;
  return {
    ...place,
    version: manifest.version,
    description,
    runtime,
    valid: true,
    folder,
    sha256,
    permissions: permissions as Record<string, unknown>,
  };
}

function actionForm(known: ActionDescription): PluginActionForm {
  const { action, description, input, output, idempotent, runsIn, available } = known;
  return { name: nameOf(action), action, description, input, output, idempotent, timeoutMs: null, runsIn, available, permissions: null };
}

async function readApprovals(context: AppContext, id: string, plugin: InstalledPlugin | null): Promise<PluginApprovalForm[]> {
  const rows = await context.store.listPluginApprovals(id);
  return Promise.all(
    rows.map(async (row) => {
      const permissions = await approvedPermissions(context, row);
      return {
        workflow: row.workflow === "" ? null : row.workflow,
        version: row.version,
        sha256: row.sha256,
        permissions: permissions as Record<string, unknown>,
        approvedAt: toIso(row.approved_at),
        by: row.by,
        exceeded: plugin === null ? [] : approvalProblem(plugin.manifest.permissions, { permissions }),
      };
    }),
  );
}

/** What an approval covers; a large block lies in a blob. */
export async function approvedPermissions(context: Pick<AppContext, "store">, row: RowOf<"plugin_approvals">): Promise<Permissions> {
  return ((await readColumn(context.store, row.permissions)) ?? {}) as Permissions;
}

/** What an event says of a plugin. */
export function pluginFacts(caller: Caller, { manifest, sha256 }: InstalledPlugin, workflow: string | null) {
  const { namespace, name, version: pluginVersion, permissions } = manifest;
  return {
    plugin: `${namespace}/${name}`,
    version: pluginVersion,
    sha256,
    permissions: permissions as unknown as Json,
    workflow,
    by: principalText(caller.principal),
  };
}

/** Ids of the plugins that a workflow's tasks and handlers use, built-ins left out. */
export function pluginsOf(definition: WorkflowDefinition): string[] {
  const tasks = [...definition.tasks, ...definition.onFailure, ...definition.finally];
  const ids = tasks.map(({ action }) => pluginOf(action));
  return [...new Set(ids)].filter((id) => !id.startsWith("core/"));
}

/** By plugin, what the installed one asks for beyond its approval for the workflow: its tasks are refused until a person approves. */
export async function exceededApprovals(context: AppContext, definition: WorkflowDefinition): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  for (const id of pluginsOf(definition)) {
    const plugin = context.registry.findPlugin(id)?.plugin ?? null;
    const row = plugin === null ? null : await context.store.findPluginApproval(definition.id, id);
    // Without any, applying or running the workflow approves.
    if (plugin === null || row === null) continue;
    const exceeded = approvalProblem(plugin.manifest.permissions, { permissions: await approvedPermissions(context, row) });
    if (exceeded.length > 0) found.set(id, exceeded);
  }
  return found;
}

export function unapproved(exceeded: ReadonlyMap<string, string[]>, action: string): ActionProblem | null {
  const entries = exceeded.get(pluginOf(action));
  return entries === undefined ? null : { kind: "not-approved", exceeded: entries };
}

/** @throws PLUGIN_NOT_FOUND, MANIFEST_INVALID when an action of the workflow cannot be called here */
export function requireActions({ registry }: AppContext, definition: WorkflowDefinition): void {
  for (const { action } of [...definition.tasks, ...definition.onFailure, ...definition.finally]) {
    const problem = registry.problemOf(action);
    if (problem === null) continue;
    const { message, hint } = describeProblem(action, problem);
    const details = { plugin: pluginOf(action), action, ...(problem.kind === "broken" ? { diagnostics: problem.diagnostics } : {}) };
    const text = `Cannot run workflow "${definition.id}": ${message.charAt(0).toLowerCase()}${message.slice(1)}`;
    throw fail(problem.kind === "broken" ? "MANIFEST_INVALID" : "PLUGIN_NOT_FOUND", text, { details, hint });
  }
}

/** Approvals of the installed plugins that a workflow uses and that has none yet: they are written with the text that uses them. */
export async function missingApprovals(context: AppContext, caller: Caller, definition: WorkflowDefinition): Promise<EventDraft[]> {
  const events: EventDraft[] = [];
  for (const id of pluginsOf(definition)) {
    const plugin = context.registry.findPlugin(id)?.plugin ?? null;
    if (plugin === null || (await context.store.findPluginApproval(definition.id, id)) !== null) continue;
    events.push(systemEvent(context, caller, { type: "trace.plugin.approved", payload: pluginFacts(caller, plugin, definition.id) }));
  }
  return events;
}
