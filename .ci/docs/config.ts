// docs/reference/config.md: every key, its environment variable, default and meaning, from the configuration's schema.
import { settings } from "../../src/config/index.ts";
import { generatedNote, renderTable as table } from "./table.ts";

const variables = [
  ["AUTOKESTRA_HOME", "The data folder (`--data`); else `./.autokestra` where it exists, else `$XDG_DATA_HOME/autokestra`."],
  ["AUTOKESTRA_CONFIG", "The configuration file (`-c`)."],
  ["AUTOKESTRA_SERVER_URL", "The server that commands speak to (`--server`)."],
  ["AUTOKESTRA_API_KEY", "The API key that commands send ([keys](../keys.md)); `--api-key` is seen in the list of processes."],
  ["AUTOKESTRA_SECRET_KEY", "The master key of secrets: 64 hex digits, or a passphrase ([secrets](../secrets.md)); else the key file."],
  ["AUTOKESTRA_SECRET_KEY_OLD", "The master key before it, while `workflow secrets rotate-key` replaces it."],
  ["AUTOKESTRA_DISABLE_RUNTIME", "`1`: the server accepts executions and runs none."],
].map(([name = "", meaning = ""]) => [`\`${name}\``, meaning]);

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
  const keys = table(["key", "environment", "default", "meaning"], rows);
  const others = table(["variable", "meaning"], variables);
  return `${[generatedNote, "# Configuration", intro, keys, "## Other variables", "They are in no file. A flag beats its variable.", others].join("\n\n")}\n`;
}
