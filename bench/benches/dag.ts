// No-op tasks through the real engine, every transition durable and folded, against the same engine on a store in memory;
// and ten-step runs against a peer that can be had from a registry.
import { type Bench, type BenchContext, inParallel, rate, timed } from "../harness/bench.ts";
import { applyTasks, openProduct, runToEnd } from "../harness/product.ts";
import { atLeast } from "../harness/row.ts";
import { comparePeer } from "./dag-peer.ts";

type Shape = { work: string; tasks: readonly object[]; executions: number };

const noOp = { type: "core/value.set", inputs: { value: 1 } };
const goal = atLeast(0.5);

export const dag: Bench = async (context) => {
  await compareShape(context, { work: "1000 executions of a chain of 10, 100 at a time", tasks: chainOf(10), executions: 1000 });
  await compareShape(context, { work: "1 chain of 1000", tasks: chainOf(1000), executions: 1 });
  await compareShape(context, { work: "1 fan of 2000", tasks: fanOf(2000), executions: 1 });
  await comparePeer(context, () => measure(context, { work: "", tasks: chainOf(10), executions: 1000 }, false));
  for (const peer of ["DBOS", "Restate", "n8n"])
    context.skip(`ten-step runs on ${peer}`, "needs a server of its own, which this bench does not install");
};

function chainOf(length: number): object[] {
  return Array.from({ length }, (_, index) => ({ id: `t${index}`, ...noOp, ...(index === 0 ? {} : { needs: [`t${index - 1}`] }) }));
}

/** One root, then tasks that need only it. */
function fanOf(length: number): object[] {
  return Array.from({ length }, (_, index) => ({ id: `t${index}`, ...noOp, ...(index === 0 ? {} : { needs: ["t0"] }) }));
}

async function compareShape(context: BenchContext, shape: Shape): Promise<void> {
  await context.compare({
    work: `${shape.work}: tasks`,
    unit: "/s",
    floorName: "store in memory",
    goal,
    ours: () => measure(context, shape, false),
    floor: () => measure(context, shape, true),
  });
}

/** Tasks a second, from the first start until the last execution has ended. */
async function measure(context: BenchContext, shape: Shape, inMemory: boolean): Promise<number> {
  const folder = context.folder();
  const { app, facade } = await openProduct({ folder, inMemory, executions: 100 });
  await applyTasks(facade, "bench", shape.tasks);
  // The revision is compiled once in the life of a server, so the first execution is no sample.
  await runToEnd(facade, "bench");
  const ms = await timed(() => inParallel(shape.executions, 100, () => runToEnd(facade, "bench")));
  await app.close();
  context.remove(folder);
  return rate(shape.tasks.length * shape.executions, ms);
}
