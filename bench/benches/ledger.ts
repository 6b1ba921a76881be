// Durable events a second, and the latency of a lone commit, through the one write door, against plain rows of the same bytes.
import { join } from "node:path";
import { fromHex } from "../../src/base/index.ts";
import { openSqliteStore, type Store } from "../../src/storage/index.ts";
import { Ledger } from "../../src/trace/index.ts";
import { type RawRow, RawRows } from "../floors/raw-rows.ts";
import { type Bench, type BenchContext, rate, timed } from "../harness/bench.ts";
import { atLeast, atMost, medianOf } from "../harness/row.ts";
import { EventWriter } from "./event-writer.ts";

type Durability = "full" | "normal";
type Case = { durability: Durability; writers: number; events: number; folded: boolean };

const goals = { batch: atLeast(0.4), lone: atMost(1.5) };
const loneCommits = 300;

export const ledger: Bench = async (context) => {
  for (const durability of ["full", "normal"] as const) {
    await compareRate(context, { durability, writers: 1, events: 1000, folded: true });
    await compareRate(context, { durability, writers: 10, events: 4000, folded: true });
    await compareRate(context, { durability, writers: 100, events: 10_000, folded: true });
    await compareRate(context, { durability, writers: 100, events: 10_000, folded: false });
    await compareRate(context, { durability, writers: 1000, events: 20_000, folded: true });
    await compareLone(context, durability);
  }
};

type Opened = { store: Store; ledger: Ledger; batches: number[] };

/** A store that notes how many requests shared each transaction. */
function openLedger(folder: string, durability: Durability): Opened {
  const store = openSqliteStore({ path: join(folder, "ledger.db"), durability, now: Date.now() });
  const batches: number[] = [];
  const counted: Store = {
    ...store,
    commit: (requests) => {
      batches.push(requests.length);
      return store.commit(requests);
    },
  };
  return { store, ledger: new Ledger({ store: counted, schedule: (work) => void setImmediate(work) }), batches };
}

async function compareRate(context: BenchContext, { durability, writers, events, folded }: Case): Promise<void> {
  let batch = 1;
  let rows: RawRow[] = [];
  await context.compare({
    work: `${events} ${folded ? "task events, folded" : "events without a fold"}, ${writers} writers, ${durability}`,
    unit: "/s",
    floorName: "raw rows",
    goal: writers === 100 ? goals.batch : null,
    ours: async () => {
      const folder = context.folder();
      const opened = openLedger(folder, durability);
      const crew = Array.from({ length: writers }, () => new EventWriter(opened.ledger, folded));
      await Promise.all(crew.map((writer) => writer.open()));
      const before = await opened.store.lastSeq();
      opened.batches.length = 0;
      const ms = await timed(() => Promise.all(crew.map((writer) => writer.write(events / writers))));
      batch = Math.max(1, Math.round(events / opened.batches.length));
      rows = await readRows(opened.store, before);
      await opened.store.close();
      context.remove(folder);
      return rate(events, ms);
    },
    floor: () => withRaw(context, durability, (raw) => rate(rows.length, timeBatches(raw, rows, batch))),
  });
}

function timeBatches(raw: RawRows, rows: readonly RawRow[], batch: number): number {
  const started = performance.now();
  for (let at = 0; at < rows.length; at += batch) raw.add(rows.slice(at, at + batch));
  return performance.now() - started;
}

async function compareLone(context: BenchContext, durability: Durability): Promise<void> {
  let rows: RawRow[] = [];
  await context.compare({
    work: `median latency of a lone commit of one task event, ${durability}`,
    unit: "ms",
    floorName: "raw transaction",
    goal: goals.lone,
    ours: async () => {
      const folder = context.folder();
      const { store, ledger } = openLedger(folder, durability);
      const writer = new EventWriter(ledger, true);
      await writer.open();
      const before = await store.lastSeq();
      const times: number[] = [];
      for (let done = 0; done < loneCommits; done += 1) times.push(await timed(() => writer.write(1)));
      rows = await readRows(store, before);
      await store.close();
      context.remove(folder);
      return medianOf(times);
    },
    floor: () => withRaw(context, durability, (raw) => medianOf(rows.map((row) => timeBatches(raw, [row], 1)))),
  });
}

async function readRows(store: Store, afterSeq: number): Promise<RawRow[]> {
  const events = await store.listEvents({ afterSeq, limit: 1_000_000 });
  return events.map(({ hash, time, body }) => ({ eventId: fromHex(hash.slice(0, 32)), hash: fromHex(hash), time, body }));
}

function withRaw(context: BenchContext, durability: Durability, work: (raw: RawRows) => number): number {
  const folder = context.folder();
  const raw = new RawRows(join(folder, "raw.db"), durability);
  const figure = work(raw);
  raw.close();
  context.remove(folder);
  return figure;
}
