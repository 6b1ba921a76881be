// A plugin's manifest as the rest of the program sees it: defaults filled in, durations in milliseconds. Form: plugins.md, A plugin.
import type { JsonObject } from "../base/index.ts";
import type { Permissions } from "./workflow.ts";

export type PluginRuntime = "bun" | "exec" | "docker";

export type PluginAction = {
  name: string;
  description: string;
  input: JsonObject;
  output: JsonObject;
  idempotent: boolean;
  timeoutMs: number | null;
  /** Narrower than the plugin's; absent: the plugin's. */
  permissions?: Permissions;
};

export type PluginManifest = {
  namespace: string;
  name: string;
  version: string;
  description: string;
  author: string | null;
  license: string | null;
  homepage: string | null;
  runtime: PluginRuntime;
  /** bun: one file; exec: program and arguments; docker: the image. */
  entrypoint: string[];
  engines: { workflow: string } | null;
  permissions: Permissions;
  /** Workers kept warm; 0: every call is a process of its own. */
  keepWarm: number;
  actions: PluginAction[];
};

/** A plugin as it lies on the disk. `sha256`: over the whole tree at load. */
export type InstalledPlugin = { manifest: PluginManifest; folder: string; sha256: string };

/** An action ready to be called: of a plugin, or a built-in (`plugin` null). */
export type CallableAction = {
  /** `namespace/plugin.action` */
  action: string;
  plugin: InstalledPlugin | null;
  input: JsonObject;
  output: JsonObject;
  idempotent: boolean;
  timeoutMs: number | null;
  /** What it asks for with these inputs; "everything" for `run:` scripts. */
  asks: (inputs: JsonObject) => Permissions | "everything";
};
