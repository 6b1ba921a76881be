// Every trigger of every armed workflow in the order of their ids, page by page.
import type { TriggerDefinition } from "../../model/index.ts";
import type { RowOf } from "../../storage/index.ts";
import type { AppContext } from "../context.ts";
import { pageSize, readCursor, writeCursor } from "../cursor.ts";
import type { Page } from "../facade.ts";

export type ArmedTrigger = { row: RowOf<"workflows">; trigger: TriggerDefinition };
type Place = { workflow: string; trigger: string };

/** A page of what `show` makes of triggers; those for which it gives null are left out. */
export async function pageTriggers<T>(
  context: AppContext,
  query: Page & { workflow?: string },
  show: (armed: ArmedTrigger) => Promise<T | null>,
): Promise<{ triggers: T[]; nextCursor: string | null }> {
  const size = pageSize(query.limit);
  const [workflow, trigger] = query.cursor === undefined ? ["", ""] : readCursor(query.cursor, ["string", "string"]).map(String);
  const triggers: T[] = [];
  let last: Place | null = null;
  for await (const armed of armedTriggers(context, { workflow: workflow ?? "", trigger: trigger ?? "" }, query.workflow ?? null)) {
    const item = await show(armed);
    if (item === null) continue;
    if (triggers.length === size) return { triggers, nextCursor: last === null ? null : writeCursor([last.workflow, last.trigger]) };
    triggers.push(item);
    last = { workflow: armed.row.id, trigger: armed.trigger.id };
  }
  return { triggers, nextCursor: null };
}

async function* armedTriggers(context: AppContext, after: Place, only: string | null): AsyncGenerator<ArmedTrigger> {
  for await (const row of workflowsFrom(context, after.workflow, only)) {
    if (row.armed === 0) continue;
    const { plan } = await context.engine.plans.load(row.id, row.revision);
    const triggers = plan.definition.triggers.toSorted((a, b) => (a.id < b.id ? -1 : 1));
    for (const trigger of triggers) if (row.id !== after.workflow || trigger.id > after.trigger) yield { row, trigger };
  }
}

/** The named one included. */
async function* workflowsFrom({ store }: AppContext, id: string, only: string | null): AsyncGenerator<RowOf<"workflows">> {
  const first = id === "" && only === null ? null : await store.findWorkflow(only ?? id);
  if (first !== null) yield first;
  if (only !== null) return;
  for (let afterId = id; ; ) {
    const page = await store.listWorkflows({ afterId, limit: 100 });
    yield* page;
    const last = page.at(-1);
    if (last === undefined) return;
    afterId = last.id;
  }
}
