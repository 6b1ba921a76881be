// Whole workflows on a real store with fake time: order, parallelism, sizes, limits and fairness.
import { expect, test } from "bun:test";
import { type JsonObject, limits } from "../../src/base/index.ts";
import type { TaskCall } from "../../src/engine/index.ts";
import { done, failing, type Script } from "./scripted-invoker.ts";
import { type Process, World } from "./world.ts";

async function open(
  scriptOf: (call: TaskCall) => Script = () => done,
  limits = { executions: 10, tasks: 50 },
): Promise<{ world: World; process: Process }> {
  const world = new World({ scriptOf });
  const process = world.launch({ limits });
  await world.pump(process.engine.start({ takesAll: true }));
  return { world, process };
}

const run = (id: string, needs: string[] = [], more: JsonObject = {}): JsonObject => ({ id, run: "true", needs, ...more });

const taking = (ms: number): Script => ({ ...done, ms });

test("a diamond runs its middle in parallel, and its end after both", async () => {
  const { world, process } = await open(({ task }) => taking(task === "left" ? 300 : 100));
  const tasks = [run("top"), run("left", ["top"]), run("right", ["top"]), run("bottom", ["left", "right"])];
  const id = await world.submit(process, await world.apply({ id: "diamond", tasks }));
  await world.time.advance(150);
  expect(world.stage.running).toEqual(["left", "right"]);
  await world.time.advance(200);
  expect(world.stage.running).toEqual(["left"]);
  const row = await world.end(id);
  expect(row.state).toBe("SUCCESS");
  expect(row.ended_at).toBe((row.started_at ?? 0) + 500);
  expect(process.invoker.disposed).toEqual([id]);
  expect((await world.verify(true)).ok).toBe(true);
});

test("a result and the start of what it makes runnable are one commit, and the start is durable before the process", async () => {
  const { world, process } = await open();
  const commits: string[][] = [];
  process.ledger.listen((news) => void commits.push(news.events.map((event) => event.draft.type)));
  const durable: string[] = [];
  world.stage.onStart = (call) => void durable.push(`${call.task}: ${commits.flat().filter((type) => type === "trace.task.started").length}`);
  const id = await world.submit(process, await world.apply({ id: "pair", tasks: [run("a"), run("b", ["a"])] }));
  await world.end(id);
  expect(commits).toEqual([
    ["trace.execution.created", "trace.execution.started", "trace.task.started"],
    ["trace.task.succeeded", "trace.task.started"],
    ["trace.task.succeeded", "trace.execution.succeeded"],
  ]);
  expect(durable).toEqual(["a: 1", "b: 2"]);
});

test("a chain of 1,000 tasks ends in order", async () => {
  const { world, process } = await open();
  const name = (index: number) => `t${String(index).padStart(4, "0")}`;
  const tasks = Array.from({ length: 1000 }, (_, index) => run(name(index), index === 0 ? [] : [name(index - 1)]));
  const id = await world.submit(process, await world.apply({ id: "chain", tasks }));
  expect((await world.end(id)).state).toBe("SUCCESS");
  expect(world.stage.started.map((call) => call.task)).toEqual(tasks.map((task) => String(task["id"])));
  expect(world.stage.mostAtOnce).toBe(1);
});

test("a chain of 1,000 engine actions needs no process and goes on by itself beyond one portion", async () => {
  const { world, process } = await open();
  const commits: number[] = [];
  process.ledger.listen((news) => void commits.push(news.events.length));
  const needs = (index: number) => (index === 0 ? [] : [`t${index - 1}`]);
  const tasks = Array.from({ length: 1000 }, (_, index): JsonObject => ({ id: `t${index}`, type: "core/value.set", needs: needs(index) }));
  const id = await world.submit(process, await world.apply({ id: "engine-chain", tasks }));
  await world.time.settle();
  expect((await world.execution(id)).state).toBe("SUCCESS");
  expect(commits.length).toBe(11);
  expect(Math.max(...commits)).toBeLessThanOrEqual(202);
  expect(world.stage.started).toEqual([]);
});

test("a fan of 1,900 tasks runs up to the limit at once, never beyond", async () => {
  const { world, process } = await open(() => taking(10));
  const fan = Array.from({ length: 1900 }, (_, index) => run(`f${index}`, ["top"]));
  const tasks = [
    run("top"),
    ...fan,
    run(
      "last",
      fan.map((task) => String(task["id"])),
    ),
  ];
  const id = await world.submit(process, await world.apply({ id: "fan", tasks }));
  const row = await world.end(id);
  expect(row.state).toBe("SUCCESS");
  expect(world.stage.mostAtOnce).toBe(50);
  expect(world.stage.started.at(-1)?.task).toBe("last");
  expect(row.ended_at).toBe((row.started_at ?? 0) + 20 + (1900 / 50) * 10);
});

test("a DAG of ten full layers keeps the order of its layers", async () => {
  const { world, process } = await open();
  const layer = (depth: number) => [0, 1, 2, 3].map((index) => `l${depth}-${index}`);
  const tasks = Array.from({ length: 10 }, (_, depth) => layer(depth).map((id) => run(id, depth === 0 ? [] : layer(depth - 1)))).flat();
  const id = await world.submit(process, await world.apply({ id: "layers", tasks }));
  expect((await world.end(id)).state).toBe("SUCCESS");
  expect(world.stage.started.map((call) => call.task)).toEqual(tasks.map((task) => String(task["id"])));
});

test("tasks that are ready together start by id", async () => {
  const { world, process } = await open(() => done, { executions: 10, tasks: 1 });
  const id = await world.submit(process, await world.apply({ id: "ties", tasks: ["c", "a", "b", "B"].map((name) => run(name)) }));
  await world.end(id);
  expect(world.stage.started.map((call) => call.task)).toEqual(["B", "a", "b", "c"]);
});

test("executions beyond the limit stay PENDING and begin in the order they came", async () => {
  const { world, process } = await open(() => taking(100), { executions: 2, tasks: 50 });
  const target = await world.apply({ id: "one", tasks: [run("only")] });
  const ids: string[] = [];
  for (let count = 0; count < 5; count += 1) ids.push(await world.submit(process, target));
  const states = async () => Promise.all(ids.map(async (id) => (await world.execution(id)).state));
  expect(await states()).toEqual(["RUNNING", "RUNNING", "PENDING", "PENDING", "PENDING"]);
  await world.time.advance(150);
  expect(await states()).toEqual(["SUCCESS", "SUCCESS", "RUNNING", "RUNNING", "PENDING"]);
  for (const id of ids) expect((await world.end(id)).state).toBe("SUCCESS");
  expect(world.stage.started.map((call) => call.executionId)).toEqual(ids);
});

test("the line is bounded: one more than it holds is refused, and none of it is there", async () => {
  const { world, process } = await open(() => ({ ...done, ms: null }), { executions: 1, tasks: 1 });
  const target = await world.apply({ id: "one", tasks: [run("only")] });
  const accepted = Promise.all(Array.from({ length: limits.queueMax + 1 }, () => process.engine.submit(world.request(target))));
  await world.time.until(() => process.engine.live > limits.queueMax);
  const request = world.request(target);
  await expect(world.pump(process.engine.submit(request))).rejects.toMatchObject({ code: "QUEUE_FULL" });
  expect(await world.store.findExecution(request.executionId)).toBeNull();
  await world.pump(accepted);
  expect(await world.store.countExecutions()).toEqual({ PENDING: limits.queueMax, RUNNING: 1 });
}, 30_000);

test("who waits gives its place away, and comes before new ones when its time has come", async () => {
  const { world, process } = await open(() => taking(100), { executions: 1, tasks: 50 });
  const waits = await world.apply({
    id: "waits",
    tasks: [{ id: "nap", type: "core/wait.for", inputs: { duration: "150ms" } }, run("after", ["nap"])],
  });
  const works = await world.apply({ id: "works", tasks: [run("only")] });
  const sleeper = await world.submit(process, waits);
  const workers: string[] = [];
  for (let count = 0; count < 3; count += 1) workers.push(await world.submit(process, works));
  expect((await world.execution(sleeper)).state).toBe("WAITING");
  for (const id of [...workers, sleeper]) await world.end(id);
  expect(world.stage.started.map((call) => call.executionId)).toEqual([workers[0] ?? "", workers[1] ?? "", sleeper, workers[2] ?? ""]);
  expect(world.stage.mostAtOnce).toBe(1);
});

test("a wide execution does not starve a small one", async () => {
  const { world, process } = await open(() => taking(100), { executions: 10, tasks: 4 });
  const wide = await world.apply({ id: "wide", tasks: Array.from({ length: 1999 }, (_, index) => run(`f${index}`)) });
  const small = await world.apply({ id: "small", tasks: [run("a"), run("b", ["a"]), run("c", ["b"])] });
  const wideId = await world.submit(process, wide);
  await world.time.advance(1050);
  const smallId = await world.submit(process, small);
  const row = await world.end(smallId);
  // Three tasks, each after at most one round of the wide one, of fifty seconds that it takes.
  expect((row.ended_at ?? 0) - row.created_at).toBeLessThanOrEqual(600);
  expect((await world.execution(wideId)).state).toBe("RUNNING");
  expect((await world.end(wideId)).state).toBe("SUCCESS");
});

test("slots come back from executions that fail, are cancelled or are given up", async () => {
  const { world, process } = await open(({ task }) => (task === "bad" ? { ms: 5, outcome: failing() } : taking(50)), { executions: 3, tasks: 1 });
  const bad = await world.apply({ id: "bad", tasks: [run("bad"), run("next", ["bad"])] });
  const good = await world.apply({ id: "good", tasks: [run("a"), run("b")] });
  const ids: string[] = [];
  for (let count = 0; count < 6; count += 1) ids.push(await world.submit(process, count % 2 === 0 ? bad : good));
  for (const id of ids) expect((await world.end(id)).state).toBe((await world.execution(id)).workflow === "bad" ? "FAILED" : "SUCCESS");
  expect(world.stage.mostAtOnce).toBe(1);
  expect(process.engine.live).toBe(0);
});

test("a retry that is due while no slot is free waits for one without spinning", async () => {
  const scriptOf = ({ task, attempt }: TaskCall): Script => {
    if (task === "flaky" && attempt === 1) return { ms: 10, outcome: failing() };
    return taking(task === "long" ? 5000 : 10);
  };
  const { world, process } = await open(scriptOf, { executions: 10, tasks: 1 });
  const flaky = await world.submit(process, await world.apply({ id: "flaky", tasks: [run("flaky", [], { retry: { max: 2, delay: "100ms" } })] }));
  await world.time.advance(50);
  const long = await world.submit(process, await world.apply({ id: "long", tasks: [run("long")] }));
  let steps = 0;
  while ((await world.execution(flaky)).ended_at === null && steps < 200) {
    await world.time.step(world.time.now + 60_000);
    steps += 1;
  }
  expect((await world.execution(flaky)).state).toBe("SUCCESS");
  expect((await world.execution(long)).state).toBe("SUCCESS");
  // Twice a second the engine looks around; hardly anything else may ring.
  expect(steps).toBeLessThan(30);
});
