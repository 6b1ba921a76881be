// Loads the repository's own files for the rules: everything a clone would hold, nothing that was installed or built.
import { lstat, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { SourceFile } from "./source.ts";

const skipped = new Set(["node_modules", "dist", ".git", ".autokestra", "bench/results"]);
/** Larger files are recordings or pictures; rules know them by name only. */
const textBytesMax = 1_000_000;

export const root: string = join(import.meta.dir, "../..");

export async function loadRepository(folder = ""): Promise<SourceFile[]> {
  const entries = await readdir(join(root, folder), { withFileTypes: true });
  const files: SourceFile[] = [];
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (skipped.has(path) || entry.name.endsWith(".log")) continue;
    if (entry.isDirectory()) files.push(...(await loadRepository(path)));
    else files.push({ path, text: await loadText(path) });
  }
  return files;
}

async function loadText(path: string): Promise<string> {
  const stats = await lstat(join(root, path));
  if (!stats.isFile() || stats.size > textBytesMax) return "";
  const bytes = await readFile(join(root, path));
  return bytes.includes(0) ? "" : bytes.toString("utf8");
}
