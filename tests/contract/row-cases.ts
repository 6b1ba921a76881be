// Rows: changes of each kind, typed reads with their filters and pages, and dumps for comparing folds.
import { describe, expect, test } from "bun:test";
import { projectionNames, type ProjectionName, type RowChange, type RowOf, type Store } from "../../src/storage/index.ts";
import { codeOf, executionRow, insertOf, keyRow, nextId, outcomeOf, requestOf, startedAt, workflowRow } from "./requests.ts";
import type { OpenStore } from "./store-contract.ts";

const taskRun = (executionId: string, task: string, item: number): RowOf<"task_runs"> => ({
  execution_id: executionId,
  task,
  item_index: item,
  state: "RUNNING",
  reason: null,
  due_at: null,
  output: null,
  error: null,
});
const attempt = (executionId: string, task: string, number: number): RowOf<"attempts"> => ({
  execution_id: executionId,
  task,
  item_index: -1,
  attempt: number,
  started_at: startedAt,
  ended_at: null,
  duration_ms: null,
  error: null,
  runtime: "process",
  sandbox: "{}",
  log_sha256: null,
  log_lines: null,
});
const session = (over: Partial<RowOf<"sessions">> = {}): RowOf<"sessions"> => ({
  session_id: nextId(),
  trace_id: nextId(),
  principal_type: "service",
  principal_id: "server",
  scopes: "[]",
  started_at: startedAt,
  expires_at: null,
  ended_at: null,
  end_reason: null,
  ...over,
});
const revision = (number: number, sha256 = String(number).repeat(64)): RowOf<"revisions"> => ({
  workflow: "hello",
  revision: number,
  sha256,
  folder: null,
  created_at: startedAt,
  by: "user:alice",
});

export function rowCases(open: OpenStore): void {
  changeCases(open);
  workflowCases(open);
  executionCases(open);
  keyCases(open);
  approvalCases(open);
}

function changeCases(open: OpenStore): void {
  describe("row changes", () => {
    test("insert takes a new key only, put either, update a known one only, delete either", async () => {
      const store = await open();
      const row = executionRow();
      const { execution_id } = row;
      const apply = (change: RowChange) => codeOf(store.apply([change]));
      expect(await apply({ table: "executions", op: "update", key: { execution_id }, set: { state: "RUNNING" } })).toBe("FOLD_FAILED");
      expect(await apply(insertOf(row))).toBe("ok");
      expect(await apply(insertOf(row))).toBe("ALREADY_EXISTS");
      expect(await apply({ table: "executions", op: "update", key: { execution_id }, set: { state: "RUNNING", started_at: startedAt } })).toBe("ok");
      expect(await store.findExecution(execution_id)).toEqual({ ...row, state: "RUNNING", started_at: startedAt });
      expect(await apply({ table: "executions", op: "put", key: { execution_id }, row: { ...row, reason: "TIMER" } })).toBe("ok");
      expect(await store.findExecution(execution_id)).toEqual({ ...row, reason: "TIMER" });
      for (let times = 0; times < 2; times += 1) expect(await apply({ table: "executions", op: "delete", key: { execution_id } })).toBe("ok");
      expect(await store.findExecution(execution_id)).toBeNull();
      expect(await apply({ table: "executions", op: "put", key: { execution_id }, row })).toBe("ok");
      expect(await store.findExecution(execution_id)).toEqual(row);
    });

    test("a value that its column does not allow is refused", async () => {
      const store = await open();
      const row = executionRow({ state: "NEVER" as "RUNNING" });
      expect(outcomeOf(await store.commit([requestOf([], { changes: [insertOf(row)] })]))).toBe("FOLD_FAILED");
    });

    test("apply writes all of a list or nothing", async () => {
      const store = await open();
      const row = executionRow();
      expect(await codeOf(store.apply([insertOf(row), insertOf(row)]))).toBe("ALREADY_EXISTS");
      expect(await store.findExecution(row.execution_id)).toBeNull();
    });

    test("dump gives every projection in key order, page by page", async () => {
      const store = await open();
      const ids = [nextId(), nextId(), nextId()].toSorted();
      const [first = "", second = "", third = ""] = ids;
      const runs = [taskRun(first, "a", -1), taskRun(first, "b", 0), taskRun(first, "b", 1), taskRun(second, "a", -1), taskRun(third, "a", -1)];
      await store.apply(runs.toReversed().map((row) => ({ table: "task_runs", op: "insert", row })));
      expect(await store.dump("task_runs", null, 100)).toEqual(runs);
      expect(await store.dump("task_runs", null, 2)).toEqual(runs.slice(0, 2));
      expect(await store.dump("task_runs", { execution_id: first, task: "b", item_index: 0 }, 2)).toEqual(runs.slice(2, 4));
      for (const table of projectionNames as readonly ProjectionName[])
        if (table !== "task_runs") expect(await store.dump(table, null, 5)).toEqual([]);
    });
  });
}

function workflowCases(open: OpenStore): void {
  describe("workflows", () => {
    test("are listed by id, by state and by label", async () => {
      const store = await open();
      const rows = [
        workflowRow({ id: "a", labels: '{"team":"x"}' }),
        workflowRow({ id: "b", enabled: 0, labels: '{"odd.name":"1","team":"y"}' }),
        workflowRow({ id: "c" }),
      ];
      await store.apply(rows.map((row) => ({ table: "workflows", op: "insert", row })));
      const list = async (over: Partial<Parameters<Store["listWorkflows"]>[0]>) =>
        (await store.listWorkflows({ limit: 10, ...over })).map((row) => row.id);
      expect(await list({})).toEqual(["a", "b", "c"]);
      expect(await list({ limit: 2 })).toEqual(["a", "b"]);
      expect(await list({ afterId: "a" })).toEqual(["b", "c"]);
      expect(await list({ enabled: false })).toEqual(["b"]);
      expect(await list({ label: { name: "team", value: null } })).toEqual(["a", "b"]);
      expect(await list({ label: { name: "team", value: "y" } })).toEqual(["b"]);
      expect(await list({ label: { name: "odd.name", value: "1" } })).toEqual(["b"]);
      expect(await list({ label: { name: "odd", value: null } })).toEqual([]);
      expect(await store.findWorkflow("b")).toEqual(rows[1] ?? null);
      expect(await store.findWorkflow("z")).toBeNull();
    });

    test("revisions are found by number and digest, newest first", async () => {
      const store = await open();
      const rows = [revision(1), revision(2), revision(3, "1".repeat(64))];
      await store.apply(rows.map((row) => ({ table: "revisions", op: "insert", row })));
      expect((await store.findRevision("hello", 2))?.revision).toBe(2);
      expect(await store.findRevision("hello", 9)).toBeNull();
      expect((await store.findRevisionBySha({ workflow: "hello", sha256: "1".repeat(64), folder: null }))?.revision).toBe(3);
      const moved = { ...revision(4, "1".repeat(64)), folder: "/srv" };
      await store.apply([{ table: "revisions", op: "insert", row: moved }]);
      expect((await store.findRevisionBySha({ workflow: "hello", sha256: "1".repeat(64), folder: "/srv" }))?.revision).toBe(4);
      expect((await store.findRevisionBySha({ workflow: "hello", sha256: "1".repeat(64), folder: null }))?.revision).toBe(3);
      expect(await store.findRevisionBySha({ workflow: "hello", sha256: "1".repeat(64), folder: "/x" })).toBeNull();
      expect(await store.findRevisionBySha({ workflow: "other", sha256: "1".repeat(64), folder: null })).toBeNull();
      expect((await store.listRevisions({ workflow: "hello", limit: 2 })).map((row) => row.revision)).toEqual([4, 3]);
      expect((await store.listRevisions({ workflow: "hello", beforeRevision: 2, limit: 2 })).map((row) => row.revision)).toEqual([1]);
    });
  });
}

function executionCases(open: OpenStore): void {
  describe("executions", () => {
    test("are listed newest first with every filter, and pages hold where times are equal", async () => {
      const store = await open();
      const rows = Array.from({ length: 6 }, (_, index) =>
        executionRow({
          created_at: startedAt + Math.floor(index / 2),
          workflow: index % 2 === 0 ? "even" : "odd",
          state: index < 3 ? "SUCCESS" : "RUNNING",
          ended_at: index < 3 ? startedAt : null,
          trigger_type: index === 5 ? "cron" : "manual",
          trigger_id: index === 5 ? "nightly" : null,
          labels: index === 4 ? '{"env":"prod"}' : "{}",
        }),
      );
      await store.apply(rows.map(insertOf));
      const newest = rows
        .toSorted((x, y) => y.created_at - x.created_at || (x.execution_id < y.execution_id ? 1 : -1))
        .map((row) => rows.indexOf(row));
      const list = async (over: Partial<Parameters<Store["listExecutions"]>[0]>) =>
        (await store.listExecutions({ limit: 10, ...over })).map((row) => rows.findIndex((known) => known.execution_id === row.execution_id));
      expect(await list({})).toEqual(newest);
      expect(await list({ limit: 2, offset: 1 })).toEqual(newest.slice(1, 3));
      const third = rows[newest[2] ?? 0];
      expect(await list({ before: { createdAt: third?.created_at ?? 0, executionId: third?.execution_id ?? "" } })).toEqual(newest.slice(3));
      expect(await list({ workflow: "even" })).toEqual(newest.filter((index) => index % 2 === 0));
      expect(await list({ states: ["SUCCESS", "FAILED"] })).toEqual(newest.filter((index) => index < 3));
      expect(await list({ states: [] })).toEqual([]);
      expect(await list({ trigger: "nightly" })).toEqual([5]);
      expect(await list({ trigger: "cron" })).toEqual([5]);
      expect(await list({ since: startedAt + 1, until: startedAt + 2 })).toEqual(newest.filter((index) => index === 2 || index === 3));
      expect(await list({ label: { name: "env", value: "prod" } })).toEqual([4]);
      expect((await store.listUnfinished({ limit: 2 })).map((row) => rows.findIndex((known) => known.execution_id === row.execution_id))).toEqual([
        3, 4,
      ]);
      expect(await store.listUnfinished({ states: ["WAITING"], limit: 5 })).toEqual([]);
      expect(await store.countExecutions()).toEqual({ SUCCESS: 3, RUNNING: 3 });
    });

    test("show their task runs, attempts and commands", async () => {
      const store = await open();
      const id = nextId();
      const command = (executionId: string, at: number): RowOf<"commands"> => ({
        command_id: nextId(),
        execution_id: executionId,
        kind: "cancel",
        body: "{}",
        by: "user:alice",
        created_at: at,
      });
      const [late, early, other] = [command(id, startedAt + 1), command(id, startedAt), command(nextId(), startedAt + 2)];
      await store.apply([
        { table: "task_runs", op: "insert", row: taskRun(id, "b", -1) },
        { table: "task_runs", op: "insert", row: taskRun(id, "a", 1) },
        { table: "task_runs", op: "insert", row: taskRun(id, "a", 0) },
        { table: "attempts", op: "insert", row: attempt(id, "b", 2) },
        { table: "attempts", op: "insert", row: attempt(id, "b", 1) },
        { table: "attempts", op: "insert", row: attempt(id, "a", 1) },
        ...[late, early, other].map((row): RowChange => ({ table: "commands", op: "insert", row })),
      ]);
      expect((await store.listTaskRuns(id)).map((row) => [row.task, row.item_index])).toEqual([
        ["a", 0],
        ["a", 1],
        ["b", -1],
      ]);
      expect((await store.listTaskRuns(id, ["b", "z"])).map((row) => row.task)).toEqual(["b"]);
      expect((await store.listAttempts(id)).map((row) => [row.task, row.attempt])).toEqual([
        ["a", 1],
        ["b", 1],
        ["b", 2],
      ]);
      expect((await store.listAttempts(id, ["a"])).length).toBe(1);
      expect(await store.listCommands(id)).toEqual([early, late]);
      expect(await store.listCommands(null)).toEqual([early, late, other]);
    });
  });
}

function keyCases(open: OpenStore): void {
  describe("keys, sessions and idempotency", () => {
    test("keys are found by hash and id, listed newest first without revoked ones", async () => {
      const store = await open();
      const rows = [
        keyRow(),
        keyRow({ created_at: startedAt + 1 }),
        keyRow({ created_at: startedAt + 2, revoked_at: startedAt + 3 }),
        keyRow({ created_at: startedAt + 4 }),
      ];
      const sha256 = "a".repeat(64);
      await store.apply(rows.map((row) => ({ table: "api_keys", op: "insert", row })));
      await store.apply([{ table: "key_hashes", op: "insert", row: { sha256, key_id: rows[2]?.key_id ?? "" } }]);
      expect(await store.findKeyByHash(sha256)).toEqual(rows[2] ?? null);
      expect(await store.findKeyByHash("b".repeat(64))).toBeNull();
      expect(await store.findKey(rows[0]?.key_id ?? "")).toEqual(rows[0] ?? null);
      expect(await store.findKey("none")).toBeNull();
      const [newest, middle, oldest] = [rows[3], rows[1], rows[0]];
      expect(await store.listKeys({ limit: 10 })).toEqual([newest, middle, oldest].filter((row) => row !== undefined));
      const page = await store.listKeys({ limit: 1, before: { createdAt: newest?.created_at ?? 0, keyId: newest?.key_id ?? "" } });
      expect(page.map((row) => row.key_id)).toEqual([middle?.key_id ?? ""]);
    });

    test("open sessions are those that have not ended", async () => {
      const store = await open();
      const rows = [session({ started_at: startedAt + 1 }), session(), session({ ended_at: startedAt, end_reason: "closed" })];
      await store.apply(rows.map((row) => ({ table: "sessions", op: "insert", row })));
      expect((await store.listOpenSessions()).map((row) => row.session_id)).toEqual([rows[1]?.session_id ?? "", rows[0]?.session_id ?? ""]);
      expect(await store.findSession(rows[2]?.session_id ?? "")).toEqual(rows[2] ?? null);
      expect(await store.findSession(nextId())).toBeNull();
    });

    test("an idempotent result is kept for its scope until it expires", async () => {
      const store = await open();
      const row = { scope: "key:1 POST /x", key: "k", body_sha256: "0".repeat(64), result: "{}", expires_at: startedAt + 10 };
      await store.apply([{ table: "idempotency", op: "insert", row }]);
      expect(await codeOf(store.apply([{ table: "idempotency", op: "insert", row }]))).toBe("ALREADY_EXISTS");
      expect(await store.findIdempotent(row.scope, "k", startedAt + 9)).toEqual(row);
      expect(await store.findIdempotent(row.scope, "k", startedAt + 10)).toBeNull();
      expect(await store.findIdempotent("key:2 POST /x", "k", startedAt)).toBeNull();
      await store.sweepIdempotency(startedAt + 9);
      expect(await codeOf(store.apply([{ table: "idempotency", op: "insert", row }]))).toBe("ALREADY_EXISTS");
      await store.sweepIdempotency(startedAt + 10);
      expect(await codeOf(store.apply([{ table: "idempotency", op: "insert", row }]))).toBe("ok");
    });
  });
}

function approvalCases(open: OpenStore): void {
  describe("plugin approvals", () => {
    test("the newest one counts, a workflow's own or the one for all", async () => {
      const store = await open();
      const approval = (workflow: string, at: number): RowOf<"plugin_approvals"> => ({
        workflow,
        plugin: "acme/report",
        version: "1.0.0",
        sha256: "0".repeat(64),
        permissions: "{}",
        approved_at: startedAt + at,
        by: "user:alice",
      });
      const put = (row: RowOf<"plugin_approvals">) => store.apply([{ table: "plugin_approvals", op: "put", key: row, row }]);
      expect(await store.findPluginApproval("a", "acme/report")).toBeNull();
      await put(approval("a", 1));
      await put(approval("b", 3));
      await put(approval("", 2));
      expect(await store.findPluginApproval("a", "acme/report")).toEqual(approval("", 2));
      expect(await store.findPluginApproval("b", "acme/report")).toEqual(approval("b", 3));
      expect(await store.findPluginApproval("c", "acme/report")).toEqual(approval("", 2));
      await put(approval("a", 2));
      expect(await store.findPluginApproval("a", "acme/report")).toEqual(approval("a", 2));
      expect(await store.findPluginApproval("a", "acme/other")).toBeNull();
      expect((await store.listPluginApprovals("acme/report")).map(({ workflow }) => workflow)).toEqual(["", "a", "b"]);
    });
  });
}
