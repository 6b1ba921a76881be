// Which file a program's name stands for, by the task's own PATH and never the engine's.

import { statSync } from "node:fs";

/** Searched when the task has no PATH. */
const defaultPath = "/usr/local/bin:/usr/bin:/bin";

/** The file of a program. A name with a slash is a path already. A name that is nowhere stands for a file in the last
 * folder of PATH, whose absence the launcher then reports like any other failed start. */
export function resolveProgram(name: string, path: string = defaultPath): string {
  if (name.includes("/")) return name;
  const folders = path.split(":").filter((folder) => folder.startsWith("/"));
  const files = folders.map((folder) => `${folder}/${name}`);
  return files.find(isExecutable) ?? files.at(-1) ?? `/usr/bin/${name}`;
}

function isExecutable(file: string): boolean {
  try {
    const stat = statSync(file, { throwIfNoEntry: false });
    return stat !== undefined && stat.isFile() && (stat.mode & 0o111) !== 0;
  } catch {
    return false; // a folder of PATH that the engine may not enter
  }
}
