// The product inside the bench's own process: the real composition root on a store of the bench.
import { type App, type Facade, openApp } from "../../src/app/index.ts";
import { loadConfig } from "../../src/config/index.ts";

export type ProductOptions = { folder: string; inMemory?: boolean; executions?: number; tasks?: number; sandbox?: "enforce" | "off" };
export type Product = { app: App; facade: Facade };

/** Opens a store that nothing else uses; `inMemory` keeps it off the disk. */
export async function openProduct({ folder, inMemory = false, executions = 100, tasks = 2, sandbox = "off" }: ProductOptions): Promise<Product> {
  const set = { "execution.maxConcurrentWorkflows": executions, "execution.maxConcurrentTasks": tasks, "plugins.sandbox": sandbox };
  const loaded = loadConfig({ flags: { data: folder, set }, env: {}, cwd: folder });
  const app = await openApp({ loaded: inMemory ? { ...loaded, storePath: ":memory:" } : loaded, mode: "server" });
  return { app, facade: app.facade(app.localCaller()) };
}

/** Stores a workflow that has one task per entry. @throws when the product refuses it */
export async function applyTasks(facade: Facade, id: string, tasks: readonly object[]): Promise<void> {
  const source = JSON.stringify({ id, tasks });
  await facade.applyWorkflow({ id, source, folder: null, file: `${id}.json` });
}

const openStates: ReadonlySet<string> = new Set(["PENDING", "RUNNING", "WAITING"]);

/** Starts an execution and waits until it has ended well. @throws when it has not */
export async function runToEnd(facade: Facade, workflow: string): Promise<void> {
  const { started } = await facade.startExecution({ workflow, inputs: {} });
  let state: string = started.state;
  while (openStates.has(state)) {
    await Bun.sleep(2);
    // The list is the cheapest question: it does not read the tasks.
    const { executions } = await facade.listExecutions({ workflow, limit: 500 });
    state = executions.find(({ executionId }) => executionId === started.executionId)?.state ?? "lost";
  }
  if (state !== "SUCCESS") throw new Error(`Execution ${started.executionId} of "${workflow}" ended with ${state}`);
}
