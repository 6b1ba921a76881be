// What a plugin starts: a file of its own, a program, or an image; nothing that leads out of its folder.
import { lstatSync, realpathSync, statSync } from "node:fs";
import { isAbsolute, resolve, sep } from "node:path";
import type { PluginRuntime } from "../../model/index.ts";

/** Image references: registry, path, tag, digest. */
const image = /^[a-z0-9][\w.-]*(?::\d+)?(?:\/[a-z0-9][\w.-]*)*(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/i;

/** Why an entrypoint cannot be used, null when it can. `folder` null: the files are not looked at. */
export function findEntrypointProblem(runtime: PluginRuntime, entrypoint: readonly string[] | string, folder: string | null): string | null {
  const parts = typeof entrypoint === "string" ? [entrypoint] : entrypoint;
  const [first = ""] = parts;
  if (parts.some((part) => part.includes("\0"))) return "holds a NUL";
  if (runtime === "docker") return typeof entrypoint === "string" && image.test(first) ? null : "must be the name of an image";
  if (runtime === "bun") {
    if (typeof entrypoint !== "string") return "must be one file";
    return /\.(?:[cm]?[jt]s|[jt]sx)$/.test(first) ? findFileProblem(first, folder) : "must be a TypeScript or JavaScript file";
  }
  if (first === "") return "names no program";
  if (!first.includes("/") || isAbsolute(first)) return null;
  return (
    findFileProblem(first, folder) ?? (folder === null || isExecutable(resolve(folder, first)) ? null : `names "${first}", which is not executable`)
  );
}

function findFileProblem(path: string, folder: string | null): string | null {
  if (isAbsolute(path) || path.split("/").includes("..")) return `names "${path}", which must be a path inside the plugin's folder`;
  if (folder === null) return null;
  const full = resolve(folder, path);
  if (lstatSync(full, { throwIfNoEntry: false }) === undefined) return `names "${path}", which does not exist`;
  try {
    if (!realpathSync(full).startsWith(realpathSync(folder) + sep)) return `names "${path}", which leads out of the plugin's folder`;
  } catch {
    return `names "${path}", a link that leads nowhere`;
  }
  return statSync(full).isFile() ? null : `names "${path}", which is no file`;
}

function isExecutable(path: string): boolean {
  return (statSync(path).mode & 0o111) !== 0;
}
