// The configuration as `config show` prints it: each value with who set it, secrets hidden.
import { isObject } from "../base/index.ts";
import type { ConfigSource, LoadedConfig } from "./config.ts";
import { settings } from "./settings.ts";

export type ConfigRow = { value: unknown; source: ConfigSource };

const hidden = "***";

/** Rows by dotted name, in the order of the schema. */
export function configRows(loaded: LoadedConfig): Record<string, ConfigRow> {
  const config = loaded.config as Record<string, unknown>;
  return Object.fromEntries(
    settings.map(({ name, section, key }) => {
      const held = config[section];
      const value = key === null ? held : isObject(held) ? held[key] : undefined;
      return [name, { value: hideSecrets(name, value), source: loaded.sources[name] ?? "default" }];
    }),
  );
}

// API keys, and the headers of exporters and anchors, which carry tokens.
function hideSecrets(name: string, value: unknown): unknown {
  if (!Array.isArray(value)) return value;
  if (name === "server.apiKeys") return value.map((item: unknown) => (isObject(item) ? { ...item, key: hidden } : item));
  if (name !== "trace.exporters" && name !== "trace.anchors") return value;
  return value.map((item: unknown) => {
    if (!isObject(item) || !isObject(item["headers"])) return item;
    return { ...item, headers: Object.fromEntries(Object.keys(item["headers"]).map((header) => [header, hidden])) };
  });
}
