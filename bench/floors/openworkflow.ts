// A peer's ten-step runs on SQLite, in a process of its own: `openworkflow.ts FOLDER RUNS STEPS` prints the steps a second.
// The package is not one of this repository's: it is loaded from the folder into which the bench installed it.
import { join } from "node:path";

type Step = { run: (options: { name: string }, work: () => number) => Promise<number> };
type Client = {
  defineWorkflow: (
    spec: { name: string },
    work: (given: { step: Step }) => Promise<number>,
  ) => { run: () => Promise<{ result: () => Promise<unknown> }> };
  newWorker: (options: { concurrency: number }) => { start: () => Promise<void>; stop: () => Promise<void> };
};
type Peer = { OpenWorkflow: new (options: { backend: unknown }) => Client };
type Storage = { BackendSqlite: { connect: (path: string) => { stop: () => Promise<void> } } };

const [folder = "", runs = "0", steps = "0"] = process.argv.slice(2);
const dist = join(folder, "node_modules/openworkflow/dist");
const { OpenWorkflow } = (await import(join(dist, "index.js"))) as Peer;
const { BackendSqlite } = (await import(join(dist, "sqlite.js"))) as Storage;
const backend = BackendSqlite.connect(join(folder, `peer-${process.pid}.db`));
const client = new OpenWorkflow({ backend });
const workflow = client.defineWorkflow({ name: "bench" }, async ({ step }) => {
  for (let index = 0; index < Number(steps); index += 1) await step.run({ name: `s${index}` }, () => 1);
  return 1;
});
const worker = client.newWorker({ concurrency: 100 });
await worker.start();
const started = performance.now();
const handles = await Promise.all(Array.from({ length: Number(runs) }, () => workflow.run()));
await Promise.all(handles.map((handle) => handle.result()));
console.log((Number(runs) * Number(steps) * 1000) / (performance.now() - started));
await worker.stop();
await backend.stop();
process.exit(0);
