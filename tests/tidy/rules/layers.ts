// The layer table of the architecture: a folder of src imports strictly lower rows, through their index.ts only.
import { importsOf } from "../imports.ts";
import type { Import } from "../imports.ts";
import { isSource, parse, ruleOf } from "../source.ts";

/** Row of each folder. `actions` has none: it is spawned, not imported. */
const rows: ReadonlyMap<string, number> = new Map(
  [
    ["base"],
    ["model"],
    ["config", "storage", "secrets", "logs"],
    ["trace", "workflow", "plugins", "access"],
    ["engine", "carp", "atlas", "deploy"],
    ["objectives"],
    ["app"],
    ["server", "sdk"],
    ["cli", "main.ts"],
  ].flatMap((folders, row) => folders.map((folder): [string, number] => [folder, row])),
);

/** Places outside src that code may import: the version, and embedded files. */
const outside = ["package.json", "assets/", "dist/runtime.pack"];
/** What the built-in actions may import: they run in processes of their own, like plugins. */
const actionImports = ["base", "model", "sdk"];
const sqlite = "src/storage/sqlite/";
/** Deep imports with a reason: the entry answers `--version` before it loads anything else. */
const deepImports = new Set(["src/main.ts -> src/base/version.ts"]);

export const layers = ruleOf("layers", isSource, (file, report) => {
  const from = folderOf(file.path);
  if (from !== "actions" && !rows.has(from)) {
    const place = file.path.split("/").length === 2 ? "src holds main.ts and folders only" : `"${from}" is in no row of the layer table`;
    report(parse(file), place);
    return;
  }
  for (const one of importsOf(file)) {
    const problem = one.target === null ? null : problemOf(file.path, one, one.target);
    if (problem !== null) report(one.node, problem);
  }
});

function folderOf(path: string): string {
  return path.split("/")[1] ?? "";
}

function problemOf(path: string, one: Import, target: string): string | null {
  if (!isSource(target)) return outside.some((allowed) => target.startsWith(allowed)) ? null : `${target} is outside src`;
  const from = folderOf(path);
  const to = folderOf(target);
  if (to === "actions" && from !== "actions") return one.embeds ? null : "actions are spawned, never imported";
  if (from === to) return null;
  if (to === "storage" && from !== "app" && isConcreteStore(one, target)) return "SQLite is wired in app; use the ports of storage";
  if (target === `${sqlite}index.ts`) return null;
  const order = orderProblem(from, to);
  if (order !== null) return order;
  return target === `src/${to}/index.ts` || deepImports.has(`${path} -> ${target}`)
    ? null
    : `${target} is inside another folder: import src/${to}/index.ts`;
}

/** The ports and what implements them share a folder, so outside app the implementation is known by its name. */
function isConcreteStore({ names }: Import, target: string): boolean {
  return target.startsWith(sqlite) || names.some((name) => /sqlite/i.test(name));
}

function orderProblem(from: string, to: string): string | null {
  if (from === "actions") return actionImports.includes(to) ? null : `actions import ${actionImports.join(", ")} only`;
  if (from === "sdk") return to === "model" ? null : "sdk imports model only";
  const fromRow = rows.get(from) ?? -1;
  const toRow = rows.get(to);
  if (toRow === undefined) return `"${to}" is in no row of the layer table`;
  if (toRow < fromRow) return null;
  if (toRow === fromRow && to === "storage") return null;
  if (from === "main.ts" && to === "cli") return null;
  return `${from} (row ${fromRow}) may not import ${to} (row ${toRow})`;
}
