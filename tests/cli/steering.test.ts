// Items, children, and what people do with live and ended executions, by the compiled binary on a real server.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { Home, type Server, until } from "../product/binary.ts";

type Run = {
  taskId: string;
  itemIndex: number | null;
  state: string;
  reasonCode: string | null;
  output: Record<string, unknown> | null;
  attempts: unknown[];
};
type Shown = { execution: { state: string; reasonCode: string | null; outputs: Record<string, unknown> | null }; tasks: Run[] };

const home = new Home();
let server: Server;
beforeAll(async () => {
  server = await home.startServer();
});
afterAll(() => server.stop());

const inspect = async (id: string) => (await server.call("GET", `/api/v1/executions/${id}`)).body as Shown;
const cli = async (...line: string[]) => JSON.parse((await home.run([...line, "--json"])).stdout) as Record<string, string>;
const errorCode = (stderr: string) => [...stderr.matchAll(/error\[(\w+)\]/g)].at(-1)?.[1];

async function start(definition: object, inputs: object = {}): Promise<string> {
  const { id } = definition as { id: string };
  await server.apply(id, JSON.stringify(definition));
  return ((await server.call("POST", `/api/v1/workflows/${id}/executions`, { inputs })).body as { executionId: string }).executionId;
}

const reach = (id: string, state: string, reason?: string) =>
  until(async () => {
    const { execution } = await inspect(id);
    return execution.state === state && (reason === undefined || execution.reasonCode === reason) ? execution : null;
  }, 20_000);

const named = (runs: readonly Run[]) =>
  Object.fromEntries(runs.map((run) => [run.itemIndex === null ? run.taskId : `${run.taskId}[${run.itemIndex}]`, run.state]));

test("forEach and matrix: scripts for each item, outputs in order, pages of runs, logs of one item", async () => {
  const each = {
    id: "each",
    forEach: "{{ inputs.list }}",
    concurrency: 2,
    run: 'echo "item $I"; echo "v=$I" >> "$WORKFLOW_OUTPUT"',
    env: { I: "{{ item }}" },
  };
  const matrix = { id: "m", matrix: { a: [1, 2], b: ["x"] }, type: "core/value.set", inputs: { v: "{{ string(matrix.a) + matrix.b }}" } };
  const outputs = { each: "{{ tasks.each.outputs.map(o, o.v) }}", m: "{{ tasks.m.outputs.map(o, o.v) }}" };
  const id = await start({ id: "items", inputs: [{ id: "list", type: "array" }], tasks: [each, matrix], outputs }, { list: ["p", "q", "r"] });
  expect((await reach(id, "SUCCESS")).outputs).toEqual({ each: ["p", "q", "r"], m: ["1x", "2x"] });
  const { tasks } = await inspect(id);
  expect(named(tasks)).toEqual({ "each[0]": "SUCCESS", "each[1]": "SUCCESS", "each[2]": "SUCCESS", "m[0]": "SUCCESS", "m[1]": "SUCCESS" });
  const seen: Run[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const page = (await server.call("GET", `/api/v1/executions/${id}/tasks?limit=2${cursor === "" ? "" : `&cursor=${cursor}`}`)).body as {
      tasks: Run[];
      nextCursor: string | null;
    };
    seen.push(...page.tasks);
    cursor = page.nextCursor;
  }
  expect(named(seen)).toEqual(named(tasks));
  expect((await home.run(["execution", "logs", id])).stdout).toContain("item q");
  expect((await home.run(["execution", "inspect", id])).stdout).toContain("each[2]");
});

test("pause lets running tasks end and starts none; resume goes on", async () => {
  const gate = home.path("gate");
  writeFileSync(gate, "");
  const wait = { id: "a", run: 'while [ -e "$G" ]; do sleep 0.05; done', env: { G: gate } };
  const id = await start({ id: "paused", permissions: { filesystem: { read: [home.dir] } }, tasks: [wait, { id: "b", needs: ["a"], run: "true" }] });
  await reach(id, "RUNNING");
  expect(await cli("execution", "pause", id)).toEqual({ executionId: id, state: "WAITING" });
  rmSync(gate);
  await until(async () => ((await inspect(id)).tasks[0]?.state === "SUCCESS" ? true : null));
  await Bun.sleep(200);
  const shown = await inspect(id);
  expect([shown.execution.state, shown.execution.reasonCode, shown.tasks[1]?.state]).toEqual(["WAITING", "PAUSED", "PENDING"]);
  expect((await cli("execution", "resume", id))["executionId"]).toBe(id);
  await reach(id, "SUCCESS");
  const late = await home.run(["execution", "pause", id]);
  expect([late.code, errorCode(late.stderr)]).toEqual([5, "EXECUTION_STATE"]);
});

test("restart runs only the rest, with masked results taken over", async () => {
  expect((await home.run(["secrets", "set", "TOKEN"], { stdin: "restart-token" })).code).toBe(0);
  const gate = home.path("allowed");
  const tasks = [
    { id: "a", run: 'echo "t=$T" >> "$WORKFLOW_OUTPUT"', env: { T: "{{ secrets.TOKEN }}" } },
    { id: "b", needs: ["a"], run: 'test -e "$G" && test "$A" = restart-token', env: { G: gate, A: "{{ tasks.a.output.t }}" } },
  ];
  const id = await start({ id: "again", secrets: ["TOKEN"], permissions: { filesystem: { read: [home.dir] } }, tasks });
  await reach(id, "FAILED");
  writeFileSync(gate, "");
  const { executionId, restartedFrom } = await cli("execution", "restart", id);
  expect(restartedFrom).toBe(id);
  await reach(String(executionId), "SUCCESS");
  const { tasks: runs } = await inspect(String(executionId));
  expect(runs.map((run) => [run.taskId, run.attempts.length, run.output?.["t"]])).toEqual([
    ["a", 0, "***"],
    ["b", 1, undefined],
  ]);
  const unknown = await home.run(["execution", "restart", id, "--from", "nope"]);
  expect([unknown.code, errorCode(unknown.stderr)]).toEqual([4, "TASK_NOT_FOUND"]);
});

test("a task of unknown outcome waits for a person, also over a kill of the server", async () => {
  const id = await start({
    id: "doubt",
    tasks: [
      { id: "pay", onLost: "ask", run: "sleep 30" },
      { id: "after", needs: ["pay"], run: 'test "$N" = 7', env: { N: "{{ string(tasks.pay.output.n) }}" } },
    ],
  });
  await until(async () => ((await inspect(id)).tasks[0]?.state === "RUNNING" ? true : null));
  await server.kill();
  server = await home.startServer();
  await reach(id, "WAITING", "OUTCOME_UNKNOWN");
  const wrong = await home.run(["execution", "resolve", id, "after", "--as", "retry"]);
  expect([wrong.code, errorCode(wrong.stderr)]).toEqual([4, "TASK_NOT_FOUND"]);
  expect((await home.run(["execution", "resolve", id, "pay", "--as", "maybe"])).code).toBe(2);
  expect((await home.run(["execution", "resolve", id, "pay", "--as", "succeeded", "--output", '{"n":7}'])).code).toBe(0);
  await reach(id, "SUCCESS");
});

test("a workflow that runs another one: its outputs, its failure, and a cancel that reaches it", async () => {
  await server.apply(
    "child",
    JSON.stringify({
      id: "child",
      inputs: [{ id: "s", type: "string" }],
      tasks: [{ id: "w", run: 'sleep "$S"', env: { S: "{{ inputs.s }}" } }],
      outputs: { slept: "{{ inputs.s }}" },
    }),
  );
  const call = (s: string) => ({ id: "call", type: "core/workflow.run", inputs: { workflow: "child", inputs: { s } } });
  const good = await start({ id: "parent", tasks: [call("0.1")], outputs: { slept: "{{ tasks.call.output.outputs.slept }}" } });
  expect((await reach(good, "SUCCESS")).outputs).toEqual({ slept: "0.1" });
  const bad = await start({ id: "parent-bad", tasks: [call("nonsense")] });
  await reach(bad, "FAILED");
  const long = await start({ id: "parent-long", tasks: [call("60")] });
  await reach(long, "WAITING", "CHILD_RUNNING");
  expect((await home.run(["execution", "cancel", long])).code).toBe(0);
  await reach(long, "CANCELLED");
  const cancelled = async () => {
    const { body } = await server.call("GET", "/api/v1/executions?workflow=child&state=CANCELLED&trigger=workflow");
    return (body as { executions: unknown[] }).executions.length === 1 ? true : null;
  };
  expect(await until(cancelled)).toBe(true);
});

test("the trace of all that verifies, with its tables", async () => {
  expect((await home.run(["trace", "verify", "--all", "--state"])).code).toBe(0);
});
