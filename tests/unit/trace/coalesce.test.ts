// Coalesced changes leave the same rows as the changes one by one.
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { openSqliteStore, type RowChange } from "../../../src/storage/index.ts";
import { coalesce } from "../../../src/trace/coalesce.ts";

const key = { execution_id: "e", task: "t", item_index: -1 };
const row = (state: "RUNNING" | "SUCCESS", output: string | null): Extract<RowChange, { table: "task_runs"; op: "put" }>["row"] => ({
  ...key,
  state,
  reason: null,
  due_at: null,
  output,
  error: null,
});

const change = fc
  .record({ task: fc.constantFrom("a", "b"), op: fc.constantFrom("put", "update", "delete"), output: fc.constantFrom("1", "2", null) })
  .map(({ task, op, output }): RowChange => {
    const at = { ...key, task };
    if (op === "put") return { table: "task_runs", op, key: at, row: { ...row("RUNNING", output), task } };
    return op === "update" ? { table: "task_runs", op, key: at, set: { output } } : { table: "task_runs", op: "delete", key: at };
  });

async function result(changes: readonly RowChange[]): Promise<unknown> {
  const store = openSqliteStore({ path: ":memory:", durability: "normal", now: 0 });
  try {
    await store.apply(changes);
    return await store.dump("task_runs", null, 10);
  } catch (cause) {
    return (cause as { code: string }).code;
  } finally {
    await store.close();
  }
}

test("any list of changes gives the same rows, or the same refusal, coalesced", async () => {
  const isSame = async (changes: RowChange[]) => expect(await result(coalesce(changes))).toEqual(await result(changes));
  await fc.assert(fc.asyncProperty(fc.array(change, { maxLength: 8 }), isSame), { numRuns: 300 });
});

test("a task that starts and ends in one commit writes each row once", () => {
  const attempt = { ...key, attempt: 1 };
  const nothing = { ended_at: null, duration_ms: null, error: null, log_sha256: null, log_lines: null };
  const inserted = { ...attempt, ...nothing, started_at: 1, runtime: "engine", sandbox: "{}" };
  const merged = coalesce([
    { table: "task_runs", op: "put", key, row: row("RUNNING", null) },
    { table: "attempts", op: "insert", row: inserted },
    { table: "task_runs", op: "put", key, row: row("SUCCESS", "{}") },
    { table: "attempts", op: "update", key: attempt, set: { ended_at: 2 } },
  ]);
  expect(merged).toEqual([
    { table: "task_runs", op: "put", key, row: row("SUCCESS", "{}") },
    { table: "attempts", op: "insert", row: { ...inserted, ended_at: 2 } },
  ]);
});
