// The plugins of a configuration: those in the store's folder, then those below `plugins.paths`.
import { dirname, join } from "node:path";
import { version } from "../base/index.ts";
import type { LoadedConfig } from "../config/index.ts";
import { PluginRegistry } from "../plugins/index.ts";
import { findSchemaProblem } from "../workflow/index.ts";
import { systemClock } from "./system.ts";

/** Where `workflow plugin install` puts plugins: beside the database, shared by all who share it. */
export function storePlugins(loaded: LoadedConfig): string {
  return join(dirname(loaded.storePath), "plugins");
}

/** Reads nothing yet. */
export function createRegistry(loaded: LoadedConfig): PluginRegistry {
  // Paths of the configuration are absolute already: relative to its file.
  const paths = [...new Set([storePlugins(loaded), ...loaded.config.plugins.paths])];
  return new PluginRegistry({ paths, version, clock: systemClock, findSchemaProblem });
}
