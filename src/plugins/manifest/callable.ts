// Actions of manifests in the forms that the language (ActionDescription) and the invocation (CallableAction) work with.
import { isObject, type JsonObject } from "../../base/index.ts";
import {
  type ActionDescription,
  type CallableAction,
  filesInput,
  type InstalledPlugin,
  limitKeys,
  type Permissions,
  type PluginAction,
  type PluginManifest,
} from "../../model/index.ts";

export function describeAction(manifest: PluginManifest, action: PluginAction): ActionDescription {
  return {
    action: `${manifest.namespace}/${manifest.name}.${action.name}`,
    description: action.description,
    input: withFiles(action.input),
    output: action.output,
    idempotent: action.idempotent,
    runsIn: "process",
    available: true,
    ...(manifest.runtime === "docker" ? { hasImage: true as const } : {}),
    asks: () => asksOf(manifest, action),
  };
}

/** What an action of a plugin may ever ask for. */
export function asksOf(manifest: PluginManifest, action: PluginAction): Permissions {
  return action.permissions === undefined ? manifest.permissions : { ...limitsOf(manifest.permissions), ...action.permissions };
}

/** A block narrows what it names; limits that it does not name stay the plugin's. */
function limitsOf(permissions: Permissions): Permissions {
  const kept: Permissions = {};
  for (const key of limitKeys) if (permissions[key] !== undefined) kept[key] = permissions[key];
  return kept;
}

/** The forms of a built-in, or of an installed plugin's action. */
export function callableOf(description: ActionDescription, plugin: InstalledPlugin | null = null, action?: PluginAction): CallableAction {
  const { input, output, idempotent, asks, runsIn } = description;
  return {
    action: description.action,
    plugin,
    input,
    output,
    idempotent,
    timeoutMs: action?.timeoutMs ?? null,
    asks: asks ?? (() => (runsIn === "engine" ? {} : "everything")),
  };
}

/** Every action outside the engine takes `files`, also one whose schema is closed and does not say so. */
function withFiles(schema: JsonObject): JsonObject {
  const properties = schema["properties"];
  const isClosed = schema["additionalProperties"] !== undefined && schema["additionalProperties"] !== true;
  if (!isClosed || (isObject(properties) && Object.hasOwn(properties, "files"))) return schema;
  return { ...schema, properties: { ...(isObject(properties) ? (properties as JsonObject) : {}), files: filesInput } };
}
