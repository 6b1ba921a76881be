// Due runs: who takes one, and what is read of them.
import { describe, expect, test } from "bun:test";
import type { RowChange, RowOf } from "../../src/storage/index.ts";
import { outcomeOf, requestOf, startedAt } from "./requests.ts";
import type { OpenStore } from "./store-contract.ts";

type Run = RowOf<"due_runs">;
const run = (minutes: number, over: Partial<Run> = {}): Run => ({
  workflow: "hello",
  trigger: "nightly",
  scheduled_at: startedAt + minutes * 60_000,
  state: "due",
  execution_id: null,
  reason: null,
  ...over,
});
const insert = (row: Run): RowChange => ({ table: "due_runs", op: "insert", row });
const start = ({ workflow, trigger, scheduled_at, state }: Run, execution_id: string): RowChange => ({
  table: "due_runs",
  op: "update",
  key: { workflow, trigger, scheduled_at, state },
  set: { state: "started", execution_id },
});

export function scheduleCases(open: OpenStore): void {
  describe("due runs", () => {
    test("a time is there once, and of two who want it the second is refused", async () => {
      const store = await open();
      const apply = async (change: RowChange) => outcomeOf(await store.commit([requestOf([], { changes: [change] })]));
      expect(await apply(insert(run(1)))).toBe("ok");
      expect(await apply(insert(run(1, { state: "missed" })))).toBe("ALREADY_EXISTS");
      expect(await apply(start(run(1), "one"))).toBe("ok");
      expect(await apply(start(run(1), "two"))).toBe("FOLD_FAILED");
      const found = await store.findDueRun({ workflow: "hello", trigger: "nightly", scheduledAt: run(1).scheduled_at });
      expect(found).toEqual(run(1, { state: "started", execution_id: "one" }));
    });

    test("only what was started has an execution", async () => {
      const store = await open();
      const apply = async (row: Run) => outcomeOf(await store.commit([requestOf([], { changes: [insert(row)] })]));
      expect(await apply(run(1, { state: "started" }))).toBe("FOLD_FAILED");
      expect(await apply(run(1, { execution_id: "one" }))).toBe("FOLD_FAILED");
    });

    test("reads go by trigger, state and time; old ones leave", async () => {
      const store = await open();
      const rows = [run(1, { state: "missed" }), run(2, { state: "started", execution_id: "one" }), run(3), run(3, { trigger: "other" })];
      await store.apply([...rows, run(1, { workflow: "another" })].map(insert));
      const of = { workflow: "hello", trigger: "nightly", limit: 10 };
      const states = ["due", "started", "missed", "skipped"] as const;
      expect(await store.listDueRuns({ ...of, states, order: "asc" })).toEqual(rows.slice(0, 3));
      expect(await store.listDueRuns({ ...of, states, order: "desc", limit: 1 })).toEqual([run(3)]);
      const between = { since: run(1).scheduled_at + 1, until: run(2).scheduled_at };
      expect(await store.listDueRuns({ ...of, states, order: "asc", ...between })).toEqual(rows.slice(1, 2));
      expect(await store.listDueRuns({ ...of, states: ["missed"], order: "asc" })).toEqual(rows.slice(0, 1));
      expect(await store.listWaitingRuns("hello")).toEqual([run(3), run(3, { trigger: "other" })]);
      expect((await store.listWaitingRuns(null)).map((row) => row.workflow)).toEqual(["another", "hello", "hello"]);
      await store.sweepDueRuns(run(2).scheduled_at);
      expect(await store.listDueRuns({ ...of, states, order: "asc" })).toEqual(rows.slice(1, 3));
    });
  });
}
