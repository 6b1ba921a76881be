// docs/reference/config.md: every key, its environment variable, default and meaning, from the configuration's schema.
import { settings } from "../../src/config/index.ts";
import { generatedNote, renderTable as table } from "./table.ts";

export function renderConfig(): string {
  const rows = settings.map(({ name, env, schema }) => [
    `\`${name}\``,
    `\`${env}\``,
    `\`${JSON.stringify(schema["default"] ?? null)}\``,
    String(schema["description"] ?? ""),
  ]);
  const intro =
    "Generated from the schema. `autokestra.yaml` is found by `-c`, `AUTOKESTRA_CONFIG`, `./autokestra.yaml`, then the user's config folder; " +
    "a flag beats the environment, the environment the file, the file the default. `workflow config show` says who set each value.";
  return `${generatedNote}\n\n# Configuration\n\n${intro}\n\n${table(["key", "environment", "default", "meaning"], rows)}\n`;
}
