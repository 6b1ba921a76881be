// What built-in actions make of a path that does not exist yet: their inputs tell it better than the path's own name.
import { lstatSync } from "node:fs";
import { basename } from "node:path";
import { resolveEntry, type TaskPlaces } from "../../model/index.ts";
import { type KindOfMissing, kindByName } from "./confine.ts";
import type { ActionCall } from "./ports.ts";

const makers: Record<string, "file" | "folder" | "like its source"> = {
  "core/file.write": "file",
  "core/file.copy": "like its source",
  "core/file.move": "like its source",
  "core/file.archive": "file",
  "core/archive.create": "file",
  "core/archive.extract": "folder",
  "core/csv.write": "file",
  "core/git.clone": "folder",
  // Databases are made beside their journals.
  "core/sql.query": "folder",
};

/** How a call's missing write paths are made. Built-ins that make nothing, such as `core/file.delete`, find them missing. */
export function kindOfMissing({ action, inputs }: Pick<ActionCall, "action" | "inputs">, places: TaskPlaces): KindOfMissing {
  if (action.plugin !== null || action.asks(inputs) === "everything") return kindByName;
  const kind = makers[action.action];
  if (kind === undefined) return () => null;
  if (kind !== "like its source") return () => kind;
  const { from, to } = inputs;
  const source = typeof from === "string" ? isFolder(from, places) : false;
  return (entry) => (basename(entry) !== basename(String(to)) ? null : source ? "folder" : "file");
}

/** As the action reads it: bare paths lie in the workspace, or else in the workflow's folder. */
function isFolder(path: string, places: TaskPlaces): boolean {
  const starts = /^(?:\/|\$|\.{1,2}(?:\/|$))/.test(path) ? [path] : [`$workspace/${path}`, `./${path}`];
  return starts.some((start) => {
    const place = resolveEntry(start, places);
    return place !== null && lstatSync(place, { throwIfNoEntry: false })?.isDirectory() === true;
  });
}
