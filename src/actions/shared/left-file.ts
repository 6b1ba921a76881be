// Files that an action leaves behind as artifacts: in `out` of its work folder, under names that are safe and not taken yet.
import { existsSync, mkdirSync } from "node:fs";
import { extname, join } from "node:path";
import type { JsonObject } from "../../base/index.ts";

const nameUnitsMax = 100;

/** The last part of a name from outside, without what file systems or people stumble over. */
function safeName(wanted: string, fallback: string): string {
  const last = wanted.split(/[/\\]/).at(-1) ?? "";
  const plain = last
    .replaceAll(/[^\w.+@=-]+/g, "_")
    .replace(/^\.+/, "")
    .slice(-nameUnitsMax);
  return plain === "" ? fallback : plain;
}

/** A path for a new artifact, which nothing has yet. */
export function newArtifact(workdir: string, wanted: string, fallback: string): { name: string; path: string } {
  const folder = join(workdir, "out");
  mkdirSync(folder, { recursive: true });
  const name = safeName(wanted, fallback);
  const ending = extname(name);
  const stem = name.slice(0, name.length - ending.length);
  for (let count = 1; ; count += 1) {
    const candidate = count === 1 ? name : `${stem}-${count}${ending}`;
    const path = join(folder, candidate);
    if (!existsSync(path)) return { name: candidate, path };
  }
}

/** An artifact as it stands in an output: the same form as in `artifacts[]`. */
export function artifactForm(file: { name: string; sha256: string; size: number; contentType: string | null }): JsonObject {
  const { name, sha256, size, contentType } = file;
  return { name, uri: `artifact:${sha256}`, size, ...(contentType === null ? {} : { contentType }) };
}
