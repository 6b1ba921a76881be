// A plugin's manifest as the rest of the program sees it: defaults filled in, durations in milliseconds. Form: plugins.md, A plugin.
import type { JsonObject } from "../base/index.ts";
import type { BareFolder } from "./core-actions/index.ts";
import type { Diagnostic } from "./diagnostic.ts";
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

/** Why a task with an action of a plugin would not run. `known`: actions there are, for "did you mean". */
export type ActionProblem =
  | { kind: "not-installed"; known: readonly string[] }
  /** `problem`: the manifest's first error with its place. */
  | { kind: "broken"; folder: string; problem: string; diagnostics: Diagnostic[] }
  | { kind: "no-such-action"; known: readonly string[] }
  /** `exceeded`: what it asks for beyond its approval for the workflow, as lines of YAML. */
  | { kind: "not-approved"; exceeded: string[] };

/** An action ready to be called: of a plugin, or a built-in (`plugin` null). */
export type CallableAction = {
  /** `namespace/plugin.action` */
  action: string;
  plugin: InstalledPlugin | null;
  input: JsonObject;
  output: JsonObject;
  idempotent: boolean;
  timeoutMs: number | null;
  /** What it asks for with these inputs; "everything" for `run:` scripts. `bare`: where bare paths start. */
  asks: (inputs: JsonObject, bare?: BareFolder) => Permissions | "everything";
};
