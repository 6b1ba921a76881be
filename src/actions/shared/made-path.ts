// Paths that the engine made for this task, because they were granted and missing: for the action they are still to be made.
import { lstatSync, realpathSync } from "node:fs";

/** Whether something that stands at the path was made for this task and is as empty as it was then. */
export function isMadeForUs(path: string): boolean {
  const made = process.env["WORKFLOW_MADE"];
  const status = made === undefined ? undefined : lstatSync(path, { throwIfNoEntry: false });
  if (made === undefined || status === undefined || !(status.isFile() || status.isDirectory())) return false;
  return (JSON.parse(made) as string[]).includes(realpathSync(path)) && (status.isDirectory() || status.size === 0);
}
