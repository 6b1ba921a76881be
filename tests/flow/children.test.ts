// core/workflow.run: a child is started once, waited for, cancelled with its parent, and what is secret to one is secret to the other.
import { expect, test } from "bun:test";
import type { JsonObject } from "../../src/base/index.ts";
import type { TaskCall } from "../../src/engine/index.ts";
import { failing, type Script } from "./scripted-invoker.ts";
import { caller, type Process, World } from "./world.ts";

const call = (id: string, inputs: JsonObject, more: JsonObject = {}): JsonObject => ({ id, type: "core/workflow.run", inputs, ...more });
const echo =
  (ms = 100) =>
  ({ task, env }: TaskCall): Script =>
    task === "broken" ? { ms, outcome: failing("BROKEN", false) } : { ms, outcome: { ok: true, output: { ...env }, artifacts: [] } };

async function open(scriptOf = echo(), limits = { executions: 10, tasks: 50 }): Promise<{ world: World; process: Process }> {
  const world = new World({ scriptOf });
  const process = world.launch({ limits });
  await world.pump(process.engine.start({ takesAll: true }));
  return { world, process };
}

const child: JsonObject = {
  id: "child",
  inputs: [
    { id: "n", type: "integer", default: 1 },
    { id: "s", type: "string", default: "" },
  ],
  tasks: [{ id: "work", run: "true", env: { N: "{{ string(inputs.n) }}", S: "{{ inputs.s }}" } }],
  outputs: { n: "{{ inputs.n }}", s: "{{ tasks.work.output.S }}" },
};
const childOf = async (world: World, id: string) => {
  const { payload } = (await world.events(id)).find((event) => event.type === "trace.task.waiting") ?? { payload: {} as JsonObject };
  return (payload["child"] as { execution_id: string }).execution_id;
};

test("waits for the child and gives its outputs; a parent that waits needs no place", async () => {
  const { world, process } = await open(echo(), { executions: 1, tasks: 5 });
  await world.apply(child);
  const parent = {
    id: "parent",
    tasks: [
      call("run", { workflow: "child", inputs: { n: 7 } }),
      { id: "after", needs: ["run"], run: "true", env: { N: "{{ string(tasks.run.output.outputs.n) }}" } },
    ],
  };
  const id = await world.submit(process, await world.apply(parent));
  expect(await world.tasks(id)).toEqual({ run: "WAITING CHILD_RUNNING" });
  expect((await world.end(id)).state).toBe("SUCCESS");
  expect(world.stage.started.map(({ task, env }) => [task, env["N"]])).toEqual([
    ["work", "7"],
    ["after", "7"],
  ]);
  const row = await world.execution(await childOf(world, id));
  expect([row.state, row.trigger_type, row.by, JSON.parse(row.parent ?? "{}")]).toEqual([
    "SUCCESS",
    "workflow",
    "user:tester",
    { execution_id: id, task: "run", depth: 1 },
  ]);
  expect((await world.verify(true)).ok).toBe(true);
});

test("wait: false is done as soon as the child is there", async () => {
  const { world, process } = await open(echo(5000));
  await world.apply(child);
  const id = await world.submit(process, await world.apply({ id: "parent", tasks: [call("run", { workflow: "child", wait: false })] }));
  await world.time.advance(100);
  expect((await world.execution(id)).state).toBe("SUCCESS");
  const [run] = await world.store.listTaskRuns(id);
  expect(JSON.parse(run?.output ?? "{}")).toEqual({ executionId: await childOf(world, id), state: "RUNNING" });
});

test("a failed child fails the task; so does one that cannot be started, each with its code", async () => {
  const { world, process } = await open();
  await world.apply({ id: "bad", tasks: [{ id: "broken", run: "true" }] });
  await world.apply(child);
  const tasks = [
    call("failed", { workflow: "bad" }, { allowFailure: true }),
    call("missing", { workflow: "nowhere" }, { allowFailure: true }),
    call("misfit", { workflow: "child", inputs: { n: "x" } }, { allowFailure: true }),
  ];
  const id = await world.submit(process, await world.apply({ id: "parent", tasks }));
  await world.end(id);
  const codes = Object.fromEntries(
    (await world.store.listTaskRuns(id)).map((row) => [row.task, (JSON.parse(row.error ?? "{}") as { code?: string }).code]),
  );
  expect(codes).toEqual({ failed: "EXECUTION_FAILED", missing: "WORKFLOW_NOT_FOUND", misfit: "INPUT_INVALID" });
});

test("a cancel of the parent, and a timeout of the task, cancel the child", async () => {
  const { world, process } = await open(echo(60_000));
  await world.apply(child);
  const id = await world.submit(process, await world.apply({ id: "parent", tasks: [call("run", { workflow: "child" })] }));
  const first = await childOf(world, id);
  await world.pump(process.engine.command(id, { kind: "cancel" }, caller));
  expect((await world.end(first, 30_000)).state).toBe("CANCELLED");
  expect((await world.execution(id)).state).toBe("CANCELLED");
  const timed = await world.submit(process, await world.apply({ id: "timed", tasks: [call("run", { workflow: "child" }, { timeout: "2s" })] }));
  const row = await world.end(timed, 30_000);
  expect([row.state, row.reason]).toEqual(["FAILED", "TIMEOUT"]);
  expect((await world.end(await childOf(world, timed), 30_000)).state).toBe("CANCELLED");
});

test("a crash starts no second child, and its end is not missed", async () => {
  const { world, process } = await open(echo(3000));
  await world.apply({ ...child, tasks: [{ id: "work", run: "true", onLost: "retry", env: { S: "{{ inputs.s }}" } }] });
  const id = await world.submit(process, await world.apply({ id: "parent", tasks: [call("run", { workflow: "child" })] }));
  await world.time.advance(500);
  world.crash(process);
  const other = world.launch();
  await world.pump(other.engine.start({ takesAll: true }));
  expect((await world.end(id)).state).toBe("SUCCESS");
  expect((await world.store.listExecutions({ limit: 10 })).length).toBe(2);
  expect((await world.verify(true)).ok).toBe(true);
});

test("secrets of a parent are masked in its child, and those of the child in its parent; both get true values", async () => {
  const { world, process } = await open();
  await world.pump(world.setSecret("OUTER", "outer-secret"));
  await world.pump(world.setSecret("INNER", "inner-secret"));
  const tasks = [{ id: "work", run: "true", env: { S: "{{ inputs.s + '+' + secrets.INNER }}" } }];
  await world.apply({ ...child, secrets: ["INNER"], tasks });
  const parent = {
    id: "parent",
    secrets: ["OUTER"],
    tasks: [
      call("run", { workflow: "child", inputs: { s: "{{ secrets.OUTER }}" } }),
      { id: "after", needs: ["run"], run: "true", env: { S: "{{ tasks.run.output.outputs.s }}" } },
    ],
  };
  const id = await world.submit(process, await world.apply(parent));
  expect((await world.end(id)).state).toBe("SUCCESS");
  expect(world.stage.started.at(-1)?.env).toEqual({ S: "outer-secret+inner-secret" });
  const all = JSON.stringify(await world.store.listEvents({ limit: 1000 })) + JSON.stringify(await world.store.listExecutions({ limit: 10 }));
  expect(all).not.toMatch(/outer-secret|inner-secret/);
});

test("not deeper than ten", async () => {
  const { world, process } = await open();
  const target = await world.apply({ id: "deep", tasks: [call("again", { workflow: "deep" })] });
  const id = await world.submit(process, target);
  expect((await world.end(id)).state).toBe("FAILED");
  expect((await world.store.listExecutions({ limit: 50 })).length).toBe(11);
});
