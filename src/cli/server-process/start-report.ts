// How a detached start learns why its server could not start: the server writes the error into the file that it was told of.
import { writeFileSync } from "node:fs";
import { toErrorBody } from "../../base/index.ts";
import type { CliContext } from "../context.ts";

/** Names the file; set for the child of `server start --detach` alone. */
export const reportVariable = "AUTOKESTRA_START_REPORT";

/** How a server's log says that its start is over. */
export const listeningPrefix = "Listening on ";

/** Tells whoever started this process in the background what it failed with. */
export function reportStartFailure(context: CliContext, thrown: unknown): void {
  const path = context.io.env[reportVariable];
  if (path === undefined || path === "") return;
  try {
    writeFileSync(path, JSON.stringify(toErrorBody(thrown)), { flag: "wx", mode: 0o600 });
  } catch {
    // The log holds it too, and the start says where that is.
  }
}
