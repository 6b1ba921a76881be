// What installed plugins ask for beyond what was approved for a workflow, as the store of this machine or its server knows it.
import { existsSync } from "node:fs";
import type { Facade } from "../app/index.ts";
import { isCoded } from "../base/index.ts";
import type { Plugin, WorkflowDefinition } from "../model/index.ts";
import { pluginOf } from "../workflow/index.ts";
import { connect, findServer } from "./connect.ts";
import type { CliContext } from "./context.ts";

/** One connection for all files of a command. */
const opened = new WeakMap<CliContext, Promise<Facade | null>>();

/** By plugin. Checking a file opens no store that is not there, and what cannot be asked says nothing about the file. */
export async function findExceeded(context: CliContext, definition: WorkflowDefinition): Promise<Map<string, string[]>> {
  const tasks = [...definition.tasks, ...definition.onFailure, ...definition.finally];
  const ids = new Set(tasks.map(({ action }) => pluginOf(action)).filter((id) => !id.startsWith("core/")));
  const found = new Map<string, string[]>();
  const facade = await openOnce(context);
  if (facade === null) return found;
  for (const id of ids) {
    const plugin = await facade.getPlugin(id).catch(() => null);
    const exceeded = plugin === null ? [] : exceededBy(plugin, definition.id);
    if (exceeded.length > 0) found.set(id, exceeded);
  }
  return found;
}

function openOnce(context: CliContext): Promise<Facade | null> {
  const known = opened.get(context) ?? open(context);
  opened.set(context, known);
  return known;
}

async function open(context: CliContext): Promise<Facade | null> {
  const loaded = await context.loadConfig();
  if (findServer(context, loaded) === null && !existsSync(loaded.storePath)) return null;
  try {
    const connection = await connect(context);
    context.onEnd(connection.close);
    return connection.facade;
  } catch (thrown) {
    if (!isCoded(thrown)) throw thrown;
    return null;
  }
}

// The newest of those for the workflow and those for every workflow counts; a workflow without any is approved when it is applied.
function exceededBy({ approvals }: Plugin, workflow: string): string[] {
  const own = approvals.filter((approval) => approval.workflow === workflow || approval.workflow === null);
  const isNewer = (a: Plugin["approvals"][number], b: Plugin["approvals"][number]) =>
    a.approvedAt > b.approvedAt || (a.approvedAt === b.approvedAt && a.workflow !== null);
  return own.toSorted((a, b) => (isNewer(a, b) ? -1 : 1))[0]?.exceeded ?? [];
}
