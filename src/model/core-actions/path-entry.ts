// How file-like built-ins spell paths, and the permission entry that a path implies: bare ones lie in the workspace, `./` ones
// in the workflow's folder, as in grants.

/** Whether a text still holds an expression: nothing definite can be said of it. */
function isOpen(path: string): boolean {
  return path.includes("{{");
}

/** The permission entries that the given inputs imply; what is no path, or not known yet, implies none. */
export function pathEntries(...paths: unknown[]): string[] {
  const texts = paths.flat().filter((path): path is string => typeof path === "string" && path !== "" && !isOpen(path));
  return [...new Set(texts.map(toEntry))];
}

function toEntry(path: string): string {
  if (/^(?:\/|\$|\.\/|\.\.\/)/.test(path) || path === "." || path === "..") return path;
  return `$workspace/${path}`;
}
