// plugin list and plugin inspect.
import { fail, isObject, type Json, type JsonObject } from "../../base/index.ts";
import type { Plugin, PluginActionForm, PluginItem } from "../../model/index.ts";
import type { CliContext } from "../context.ts";
import { parsePage } from "../option-values.ts";
import { renderPairs } from "../render/table.ts";
import { jsonText, visible, visibleLine } from "../render/visible.ts";
import { noteMore } from "./workflows.ts";

export async function listPlugins(context: CliContext, values: { limit: string | null; cursor: string | null }): Promise<void> {
  const query = parsePage(values);
  const { facade } = await context.connect();
  const page = await facade.listPlugins(query);
  if (context.common.json) return context.printJson(page);
  context.printTable(page.plugins, [
    { title: "PLUGIN", value: (row) => row.id },
    { title: "VERSION", value: (row) => row.version ?? "" },
    { title: "RUNTIME", value: runtimeText },
    { title: "STATE", value: stateText, paint: (row) => (row.valid ? (text) => text : context.style.red) },
    { title: "ACTIONS", value: (row) => row.actions.join(",") },
    { title: "FOLDER", value: (row) => row.folder ?? "" },
  ]);
  for (const row of page.plugins.filter(({ valid }) => !valid)) for (const line of findingLines(row)) context.note(line);
  noteMore(context, page.nextCursor);
}

const runtimeText = (row: PluginItem) => (row.builtIn ? "built-in" : (row.runtime ?? ""));
const stateText = (row: PluginItem) => (row.valid ? "ok" : "broken");

function findingLines({ diagnostics }: Pick<PluginItem, "diagnostics">): string[] {
  return diagnostics.map((found) => visibleLine(`${found.file}:${found.line}:${found.column}: ${found.severity}[${found.code}]: ${found.message}`));
}

export async function inspectPlugin(context: CliContext, { name }: { name: string }): Promise<void> {
  const dot = name.indexOf(".", name.indexOf("/") + 1);
  const id = dot < 0 ? name : name.slice(0, dot);
  if (!/^[^/]+\/[^/]+$/.test(id)) throw fail("USAGE", `Cannot inspect "${name}": write namespace/plugin or namespace/plugin.action`);
  const plugin = await findPlugin(context, id);
  if (dot < 0) {
    if (context.common.json) return context.printJson(plugin);
    printPlugin(context, plugin);
    return;
  }
  const action = plugin.actions.find((one) => one.name === name.slice(dot + 1));
  if (action === undefined) {
    const hint = plugin.actions.length === 0 ? "It has no action that can be called." : `It has ${plugin.actions.map((one) => one.name).join(", ")}.`;
    throw fail("PLUGIN_NOT_FOUND", `Cannot inspect "${name}": plugin "${id}" has no such action`, { hint });
  }
  if (context.common.json) return context.printJson(action);
  printAction(context, action);
}

// The built-in ones of this program are known without a store; a server that is named has its own.
async function findPlugin(context: CliContext, id: string): Promise<Plugin> {
  if (id.startsWith("core/") && context.common.server === null) {
    const { describeBuiltIn } = await import("../../app/index.ts");
    const builtIn = describeBuiltIn(id);
    if (builtIn !== null) return builtIn;
    throw fail("PLUGIN_NOT_FOUND", `Cannot show plugin "${id}": there is no such built-in plugin`, {
      hint: `See those that there are: ${context.program} plugin list`,
    });
  }
  const { facade } = await context.connect();
  return facade.getPlugin(id);
}

function printPlugin(context: CliContext, plugin: Plugin): void {
  const { style } = context;
  const pairs: [string, string | null][] = [
    ["plugin", plugin.id],
    ["version", plugin.version],
    ["description", plugin.description],
    ["author", plugin.author],
    ["license", plugin.license],
    ["homepage", plugin.homepage],
    ["runtime", plugin.builtIn ? "built-in" : plugin.runtime],
    ["entrypoint", plugin.entrypoint?.join(" ") ?? null],
    ["folder", plugin.folder],
    ["sha256", plugin.sha256],
    ["may ask for", plugin.permissions === null ? null : permissionsText(plugin.permissions)],
  ];
  context.print(renderPairs(shownPairs(pairs), style));
  for (const line of findingLines(plugin)) context.print(`${line}\n`);
  for (const approval of plugin.approvals) {
    const state = approval.exceeded.length === 0 ? "approved" : `asks for more: ${approval.exceeded.join(", ")}`;
    context.print(
      `${visibleLine(`${approval.workflow ?? "every workflow"}: ${approval.version} ${state} (${approval.by}, ${approval.approvedAt})`)}\n`,
    );
  }
  for (const action of plugin.actions) {
    context.print("\n");
    printAction(context, action);
  }
}

function shownPairs(pairs: readonly [string, string | null][]): [string, string][] {
  return pairs.flatMap(([name, value]) => (value === null || value === "" ? [] : [[name, visibleLine(value)] as [string, string]]));
}

function printAction(context: CliContext, action: PluginActionForm): void {
  const { style } = context;
  const runs = action.runsIn === "engine" ? "in the engine" : "in a process of its own";
  context.print(`${style.bold(visibleLine(action.action))}${action.available ? "" : "  (not available in this version)"}\n`);
  const pairs: [string, string | null][] = [
    ["does", action.description],
    ["runs", runs],
    ["idempotent", action.idempotent ? "yes" : "no"],
    ["timeout", action.timeoutMs === null ? null : `${action.timeoutMs} ms`],
    ["asks for", askText(action)],
  ];
  context.print(renderPairs(shownPairs(pairs), style));
  context.print(`${style.dim("input")}\n${indented(jsonText(action.input))}${style.dim("output")}\n${indented(jsonText(action.output))}`);
  context.print(`${style.dim("example")}\n${indented(visible(exampleOf(action)))}`);
}

function askText(action: PluginActionForm): string | null {
  if (action.permissions !== null) return permissionsText(action.permissions);
  if (action.action === "core/shell.run") return "everything: it may do what the workflow grants";
  return action.runsIn === "engine" ? null : "what its inputs imply";
}

function permissionsText(permissions: Record<string, unknown>): string {
  const parts = Object.entries(permissions).filter(([, value]) => !(Array.isArray(value) && value.length === 0) && value !== false);
  return parts.length === 0 ? "nothing" : parts.map(([name, value]) => `${name}: ${JSON.stringify(value)}`).join(", ");
}

const indented = (text: string) =>
  text
    .split("\n")
    .map((line) => `  ${line}\n`)
    .join("");

/** A task that uses the action: its required inputs, each with a value of its kind. */
function exampleOf(action: PluginActionForm): string {
  const lines = ["tasks:", `  - id: ${action.name.replaceAll(/[^A-Za-z0-9_-]/g, "_").replace(/^(?=[^A-Za-z_])/, "_")}`, `    type: ${action.action}`];
  const { input } = action as { input: JsonObject };
  const properties = isObject(input["properties"]) ? (input["properties"] as JsonObject) : {};
  const required = Array.isArray(input["required"]) ? input["required"].map(String) : [];
  const shown =
    required.length > 0
      ? required
      : Object.keys(properties)
          .filter((name) => name !== "files")
          .slice(0, 1);
  if (shown.length > 0)
    lines.push(
      "    inputs:",
      ...shown.map((name) => `      ${/^[\w-]+$/.test(name) ? name : JSON.stringify(name)}: ${JSON.stringify(exampleValue(properties[name]))}`),
    );
  return lines.join("\n");
}

function exampleValue(schema: Json | undefined): Json {
  if (!isObject(schema)) return "…";
  const of = schema as JsonObject;
  if (of["default"] !== undefined) return of["default"];
  if (of["const"] !== undefined) return of["const"];
  if (Array.isArray(of["examples"]) && of["examples"][0] !== undefined) return of["examples"][0];
  if (Array.isArray(of["enum"]) && of["enum"][0] !== undefined) return of["enum"][0];
  switch ([of["type"]].flat()[0]) {
    case "integer":
    case "number":
      return typeof of["minimum"] === "number" ? of["minimum"] : 1;
    case "boolean":
      return true;
    case "array":
      return [];
    case "object":
      return {};
    case "null":
      return null;
    default:
      return "…";
  }
}
