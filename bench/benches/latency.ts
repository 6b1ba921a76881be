// From POST to the terminal answer of an execution of one no-op task, against a bare POST that makes one raw full commit.
import { type Bench, inParallel } from "../harness/bench.ts";
import { atMost, quantileOf, type Row, spreadOf } from "../harness/row.ts";
import { type Pair, startPair } from "../harness/server-pair.ts";

/** The goal is 1.5 times two such floors: one for accepting, one for running. */
const goals = { median: atMost(3), tail: atMost(5) };
const repetitions = 5;
const requests = 600;

type Latency = { median: number; tail: number };

export const latency: Bench = async (context) => {
  const pair = await startPair(context, async (ask) => {
    await ask("PUT", "/api/v1/workflows/bench", { id: "bench", tasks: [{ id: "one", type: "core/value.set", inputs: { value: 1 } }] });
    return {};
  });
  for (const clients of [1, 8, 64]) {
    const ours: Latency[] = [];
    const bare: Latency[] = [];
    for (let turn = 0; turn <= repetitions; turn += 1) {
      const mine = await measure(pair, `${pair.ours.url}/api/v1/workflows/bench/executions?wait=30s`, clients);
      const theirs = await measure(pair, `${pair.bare.url}/commits`, clients);
      if (turn > 0) ours.push(mine);
      if (turn > 0) bare.push(theirs);
    }
    for (const row of rowsOf(clients, ours, bare)) context.row(row);
  }
  await pair.stop();
};

function rowsOf(clients: number, ours: readonly Latency[], bare: readonly Latency[]): Omit<Row, "bench">[] {
  const medians = spreadOf(ours.map(({ median }) => median));
  const floor = spreadOf(bare.map(({ median }) => median));
  const tails = spreadOf(ours.map(({ tail }) => tail));
  const work = `start to terminal, ${clients} client${clients === 1 ? "" : "s"}`;
  return [
    { work: `${work}: p50`, unit: "ms", ours: medians, floor, floorName: "bare POST + one commit", goal: clients === 1 ? goals.median : null },
    { work: `${work}: p99`, unit: "ms", ours: tails, floor: medians, floorName: "its own p50", goal: goals.tail },
  ];
}

async function measure({ headers }: Pair, url: string, clients: number): Promise<Latency> {
  const times: number[] = [];
  const body = JSON.stringify({ inputs: {} });
  await inParallel(requests, clients, async () => {
    const started = performance.now();
    const response = await fetch(url, { method: "POST", headers: { ...headers, "content-type": "application/json" }, body });
    const text = await response.text();
    times.push(performance.now() - started);
    if (!text.includes('"SUCCESS"')) throw new Error(`POST ${url}: ${response.status} ${text}`);
  });
  times.sort((a, b) => a - b);
  return { median: quantileOf(times, 0.5), tail: quantileOf(times, 0.99) };
}
