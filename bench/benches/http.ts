// Requests a second over kept connections, with a key, against a bare server that checks the same and answers the same bytes.
import { type Bench, inParallel } from "../harness/bench.ts";
import { loadTool, measureLoad } from "../harness/load.ts";
import { atLeast } from "../harness/row.ts";
import { type Ask, startPair } from "../harness/server-pair.ts";

const goals = { health: atLeast(0.8), inspect: atLeast(0.3) };
const load = { connections: 16, seconds: 2 };
const script = 'i=0\nwhile [ $i -lt 100 ]; do\n  echo "line $i of a log that somebody reads"\n  i=$((i + 1))\ndone';
const noOp = (id: string) => ({ id, needs: ["lines"], type: "core/value.set", inputs: { value: 1 } });

export const http: Bench = async (context) => {
  const paths: Record<string, string> = {};
  const pair = await startPair(context, async (ask) => Object.assign(paths, await prepare(ask)));
  const works = [
    { work: "GET /health", ours: "/health", bare: "/health", goal: goals.health },
    { work: "inspect of an execution of 4 tasks", ours: paths["inspect"], bare: "/answers/inspect", goal: goals.inspect },
    { work: "list of 50 executions", ours: paths["list"], bare: "/answers/list?limit=50", goal: null },
    { work: "page of 50 log lines", ours: paths["logs"], bare: "/answers/logs?limit=50", goal: null },
  ];
  for (const { work, ours, bare, goal } of works) {
    await context.compare({
      work: `${work}, ${load.connections} connections, by ${loadTool}`,
      unit: "/s",
      floorName: "bare Elysia",
      goal,
      ours: () => measureLoad({ ...load, url: `${pair.ours.url}${ours}`, headers: pair.headers }),
      floor: () => measureLoad({ ...load, url: `${pair.bare.url}${bare}`, headers: pair.headers }),
    });
  }
  await pair.stop();
};

/** Sixty executions; the last one is asked for. */
async function prepare(ask: Ask): Promise<Record<string, string>> {
  const tasks = [{ id: "lines", run: script }, ...["a", "b", "c"].map(noOp)];
  await ask("PUT", "/api/v1/workflows/bench", { id: "bench", tasks });
  let last = "";
  await inParallel(60, 4, async () => {
    const { execution } = JSON.parse(await ask("POST", "/api/v1/workflows/bench/executions?wait=30s", {})) as { execution: { executionId: string } };
    last = execution.executionId;
  });
  const inspect = `/api/v1/executions/${last}`;
  return { inspect, list: "/api/v1/executions?limit=50", logs: `${inspect}/logs?limit=50` };
}
