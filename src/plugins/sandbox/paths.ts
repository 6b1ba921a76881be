// Paths as the plan compiler handles them: absolute texts, looked up before.

export type ViewedPath = { path: string; isFolder: boolean };

/** Whether a path is the folder or lies below it. */
export function isBelow(path: string, folder: string): boolean {
  return path === folder || folder === "/" || path.startsWith(`${folder}/`);
}
