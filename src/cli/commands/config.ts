// config show, get, path.
import { fail } from "../../base/index.ts";
import { configRows } from "../../config/index.ts";
import type { CliContext } from "../context.ts";
import { renderPairs } from "../render/table.ts";
import { jsonText, visibleLine } from "../render/visible.ts";
import { suggest } from "../suggest.ts";

const valueText = (value: unknown) => (typeof value === "string" ? value : jsonText(value, 0));

export async function showConfig(context: CliContext): Promise<void> {
  const loaded = await context.loadConfig();
  const rows = configRows(loaded);
  if (loaded.ignoredEnv.length > 0) context.io.stderr(`Ignored, since no setting has that name: ${visibleLine(loaded.ignoredEnv.join(", "))}\n`);
  if (context.common.json) return context.printJson(rows);
  context.printTable(Object.entries(rows), [
    { title: "KEY", value: ([key]) => key },
    { title: "VALUE", value: ([, row]) => valueText(row.value) },
    { title: "SET BY", value: ([, row]) => row.source, paint: ([, row]) => (row.source === "default" ? context.style.dim : context.style.bold) },
  ]);
}

export async function getConfigValue(context: CliContext, { key }: { key: string }): Promise<void> {
  const rows = configRows(await context.loadConfig());
  const row = Object.hasOwn(rows, key) ? rows[key] : undefined;
  if (row === undefined) {
    const near = suggest(key, Object.keys(rows));
    const hint = near === null ? "See: workflow config show" : `Did you mean ${near}?`;
    throw fail("CONFIG_KEY_NOT_FOUND", `Cannot get "${key}": no such configuration key`, { hint });
  }
  if (context.common.json) return context.printJson(row);
  context.print(`${valueText(row.value)}\n`);
}

export async function printConfigPaths(context: CliContext): Promise<void> {
  const { file, dataDir, storePath } = await context.loadConfig();
  if (context.common.json) return context.printJson({ config: file, data: dataDir, store: storePath });
  context.print(
    renderPairs(
      [
        ["config", file ?? "(none)"],
        ["data", dataDir],
        ["store", storePath],
      ],
      context.style,
    ),
  );
}
