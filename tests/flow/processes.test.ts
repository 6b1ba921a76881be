// Several engines on one store: restarts, cancels from elsewhere, leases, and stopping in order.
import { expect, test } from "bun:test";
import type { JsonObject } from "../../src/base/index.ts";
import { fail } from "../../src/base/index.ts";
import type { TaskCall } from "../../src/engine/index.ts";
import type { Store } from "../../src/storage/index.ts";
import { done, failing, type Script, unconfined } from "./scripted-invoker.ts";
import { caller, type Process, World, type WorldOptions } from "./world.ts";

async function open(options: WorldOptions = {}): Promise<{ world: World; process: Process }> {
  const world = new World(options);
  return { world, process: await start(world) };
}

async function start(world: World, overrides: Parameters<World["launch"]>[0] = {}): Promise<Process> {
  const process = world.launch(overrides);
  await world.pump(process.engine.start({ takesAll: true }));
  return process;
}

const run = (id: string, needs: string[] = [], more: JsonObject = {}): JsonObject => ({ id, run: "true", needs, ...more });
const endless: Script = { ...done, ms: null };
const typesOf = async (world: World, id: string) => (await world.events(id)).map((event) => event.type.replace("trace.", ""));

test("the time of a retry survives a restart", async () => {
  const { world, process } = await open({ scriptOf: ({ attempt }) => (attempt === 1 ? { ms: 10, outcome: failing() } : done) });
  const id = await world.submit(process, await world.apply({ id: "retry", tasks: [run("flaky", [], { retry: { max: 2, delay: "10s" } })] }));
  await world.time.advance(100);
  const [waiting] = await world.store.listTaskRuns(id);
  expect(waiting).toMatchObject({ state: "WAITING", reason: "RETRY_DELAY" });
  world.crash(process);
  await world.time.advance(3000);
  await start(world);
  const row = await world.end(id);
  expect(row.state).toBe("SUCCESS");
  const starts = (await world.events(id)).filter((event) => event.type === "trace.task.started");
  expect(starts.map((event) => event.time)).toEqual([row.created_at, waiting?.due_at ?? 0]);
});

test("a wait that is over while no process runs goes on at the next start", async () => {
  const { world, process } = await open();
  const tasks = [{ id: "nap", type: "core/wait.for", inputs: { duration: "1h" } }];
  const id = await world.submit(process, await world.apply({ id: "nap", tasks }));
  world.crash(process);
  await world.time.advance(2 * 3_600_000);
  await start(world);
  expect((await world.execution(id)).state).toBe("SUCCESS");
});

const onLost: [string, JsonObject, string[]][] = [
  ["a run task without attempts left fails", {}, ["task.lost", "task.failed", "execution.failed"]],
  ["a run task with attempts left is tried again", { retry: { max: 2 } }, ["task.lost", "task.started", "task.succeeded", "execution.succeeded"]],
  [
    "an explicit retry gives one more attempt beyond max",
    { onLost: "retry" },
    ["task.lost", "task.started", "task.succeeded", "execution.succeeded"],
  ],
  ["fail", { onLost: "fail", retry: { max: 3 } }, ["task.lost", "task.failed", "execution.failed"]],
  ["ask", { onLost: "ask" }, ["task.lost", "task.waiting", "execution.waiting"]],
];
for (const [what, more, types] of onLost)
  test(`an attempt that was lost with its process: ${what}`, async () => {
    const { world, process } = await open({ scriptOf: ({ attempt }) => (attempt === 1 ? endless : done) });
    const id = await world.submit(process, await world.apply({ id: "lost", tasks: [run("only", [], more)] }));
    await world.time.advance(100);
    world.crash(process);
    await start(world);
    await world.time.advance(2000);
    expect((await typesOf(world, id)).slice(3)).toEqual(types);
  });

test("an attempt that is lost twice has no third try beyond max", async () => {
  const { world, process } = await open({ scriptOf: () => endless });
  const id = await world.submit(process, await world.apply({ id: "lost", tasks: [run("only", [], { onLost: "retry" })] }));
  let current = process;
  for (let crash = 0; crash < 2; crash += 1) {
    await world.time.advance(100);
    world.crash(current);
    current = await start(world);
  }
  const row = await world.end(id);
  expect([row.state, row.reason]).toEqual(["FAILED", "CRASH_RECOVERY"]);
  expect(world.stage.started.map((call) => call.attempt)).toEqual([1, 2]);
});

test("an execution id is taken for ever: while it runs, after its end, after a restart", async () => {
  const { world, process } = await open();
  const target = await world.apply({ id: "one", tasks: [run("only")] });
  const id = await world.submit(process, target);
  const again = (at: Process) => world.pump(at.engine.submit(world.request(target, { executionId: id })));
  const taken = { code: "ALREADY_EXISTS" };
  await expect(again(process)).rejects.toMatchObject(taken);
  expect(process.engine.runner(id)).not.toBeNull();
  await world.end(id);
  await world.time.advance(1000);
  await expect(again(process)).rejects.toMatchObject(taken);
  world.crash(process);
  const second = await start(world);
  await expect(again(second)).rejects.toMatchObject(taken);
  expect(second.engine.live).toBe(0);
  expect(world.stage.started.length).toBe(1);
});

test("an id that is taken is refused too where everything could be decided in the first commit", async () => {
  const { world, process } = await open();
  const target = await world.apply({ id: "quick", tasks: [{ id: "set", type: "core/value.set", inputs: { a: 1 } }] });
  const id = await world.submit(process, target);
  expect((await world.execution(id)).state).toBe("SUCCESS");
  await world.time.settle();
  await expect(world.pump(process.engine.submit(world.request(target, { executionId: id })))).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
  expect((await world.events(id)).length).toBe(5);
  expect(await world.store.findClaims([`execution:${id}`])).toEqual([]);
});

test("two submits of one id at the same time: one is accepted, and keeps its runner", async () => {
  const { world, process } = await open();
  const target = await world.apply({ id: "one", tasks: [run("only")] });
  const request = world.request(target);
  const both = [process.engine.submit(request), process.engine.submit(request)];
  const results = await world.pump(Promise.allSettled(both));
  expect(results.map((result) => result.status).toSorted()).toEqual(["fulfilled", "rejected"]);
  expect((await world.end(request.executionId)).state).toBe("SUCCESS");
  expect(world.stage.started.length).toBe(1);
});

test("submits that the store refuses take no slot and no place with them", async () => {
  const { world, process } = await open();
  const target = await world.apply({ id: "one", tasks: [run("only")] });
  const limited = await start(world, { limits: { executions: 1, tasks: 1 } });
  const id = await world.submit(process, target);
  for (let count = 0; count < 3; count += 1)
    await expect(world.pump(limited.engine.submit(world.request(target, { executionId: id })))).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
  expect((await world.end(await world.submit(limited, target))).state).toBe("SUCCESS");
});

test("a cancel from another process reaches the owner, and its command goes with the events that answer it", async () => {
  const { world, process } = await open({ scriptOf: () => endless });
  const other = await start(world);
  const tidy = { id: "tidy", type: "core/value.set" };
  const id = await world.submit(process, await world.apply({ id: "long", tasks: [run("a"), run("b", ["a"])], finally: [tidy] }));
  const answer = await world.pump(other.engine.command(id, { kind: "cancel" }, caller));
  expect(answer).toEqual({ already: false, state: "RUNNING" });
  expect((await world.store.listCommands(id)).length).toBe(1);
  const row = await world.end(id, 2000);
  expect([row.state, row.reason]).toEqual(["CANCELLED", "USER_CANCELLED"]);
  expect(await world.tasks(id)).toEqual({ a: "CANCELLED USER_CANCELLED", b: "CANCELLED USER_CANCELLED", tidy: "SUCCESS SUCCESS" });
  expect(await world.store.listCommands(null)).toEqual([]);
  expect(await world.pump(other.engine.command(id, { kind: "cancel" }, caller))).toEqual({ already: true, state: "CANCELLED" });
});

test("a cancel outlives the process that took it", async () => {
  const { world, process } = await open({ scriptOf: () => ({ ...endless, ignoresTerm: true }) });
  const id = await world.submit(process, await world.apply({ id: "long", tasks: [run("a")] }));
  await world.pump(process.engine.command(id, { kind: "cancel" }, caller));
  world.crash(process);
  await start(world);
  expect((await world.end(id, 2000)).state).toBe("CANCELLED");
  expect(await world.store.listCommands(null)).toEqual([]);
});

test("a cancel of what ended is refused, and leaves no command behind", async () => {
  const { world, process } = await open();
  const id = await world.submit(process, await world.apply({ id: "one", tasks: [run("only")] }));
  await world.end(id);
  await expect(world.pump(process.engine.command(id, { kind: "cancel" }, caller))).rejects.toMatchObject({ code: "EXECUTION_STATE" });
  await expect(world.pump(process.engine.command(world.ids.next(), { kind: "cancel" }, caller))).rejects.toMatchObject({
    code: "EXECUTION_NOT_FOUND",
  });
  expect(await world.store.listCommands(null)).toEqual([]);
});

test("a cancel whose execution ends otherwise meanwhile is swept up", async () => {
  const { world, process } = await open();
  const id = await world.submit(process, await world.apply({ id: "one", tasks: [run("only")] }));
  await world.end(id);
  const row = { command_id: world.ids.next(), execution_id: id, kind: "cancel", body: "{}", by: "user:tester", created_at: world.time.now };
  await world.store.commit([{ events: [], opens: new Map(), changes: [{ table: "commands", op: "insert", row }] }]);
  await world.time.advance(6000);
  expect(await world.store.listCommands(null)).toEqual([]);
});

test("a cancel of one that waits is answered at once, though a handler still runs", async () => {
  const { world, process } = await open({ scriptOf: () => endless });
  const tasks = [{ id: "nap", type: "core/wait.for", inputs: { duration: "1h" } }];
  const id = await world.submit(process, await world.apply({ id: "nap", tasks, finally: [run("tidy")] }));
  expect(await world.pump(process.engine.command(id, { kind: "cancel" }, caller))).toEqual({ already: false, state: "RUNNING" });
  expect(world.stage.running).toEqual(["tidy"]);
  const row = await world.end(id);
  // Handlers have five minutes; that they pass them does not change who ended the execution.
  expect([row.state, row.reason, (row.ended_at ?? 0) - row.created_at]).toEqual(["CANCELLED", "USER_CANCELLED", 300_001]);
});

test("a cancel of one that was never started runs nothing of it", async () => {
  const { world, process } = await open({ scriptOf: () => endless });
  const busy = await start(world, { limits: { executions: 1, tasks: 1 } });
  const target = await world.apply({ id: "one", tasks: [run("a")], finally: [run("tidy")] });
  await world.submit(busy, target);
  const pending = await world.submit(busy, target);
  expect(await world.pump(busy.engine.command(pending, { kind: "cancel" }, caller))).toEqual({ already: false, state: "CANCELLED" });
  expect(await typesOf(world, pending)).toEqual(["execution.created", "task.cancelled", "task.cancelled", "execution.cancelled"]);
  expect(world.stage.started.length).toBe(1);
  expect(process.engine.live).toBe(0);
});

test("two engines on one store never run anything twice", async () => {
  const { world, process } = await open({ scriptOf: () => ({ ...done, ms: 1000 }) });
  const other = await start(world);
  const target = await world.apply({ id: "steps", tasks: [run("a"), run("b", ["a"]), run("c", ["b"])] });
  const ids: string[] = [];
  for (let count = 0; count < 10; count += 1) ids.push(await world.submit(count % 2 === 0 ? process : other, target));
  for (const id of ids) expect((await world.end(id)).state).toBe("SUCCESS");
  expect(new Set(world.stage.started.map((call) => `${call.executionId} ${call.task}`)).size).toBe(30);
  expect(world.stage.started.length).toBe(30);
});

test("leases are extended for as long as an execution takes", async () => {
  const { world, process } = await open({ scriptOf: () => ({ ...done, ms: 10 * 60_000 }) });
  const other = await start(world);
  const id = await world.submit(process, await world.apply({ id: "long", tasks: [run("only")] }));
  for (let minute = 0; minute < 9; minute += 1) {
    await world.time.advance(60_000);
    const [claim] = await world.store.findClaims([`execution:${id}`]);
    expect(claim?.owner).toBe(process.name);
    expect(claim?.expiresAt ?? 0).toBeGreaterThan(world.time.now);
  }
  expect((await world.end(id)).state).toBe("SUCCESS");
  expect(other.engine.live).toBe(0);
  expect(await world.store.findClaims([`execution:${id}`])).toEqual([]);
});

test("a process that lost its claim writes nothing more, not even a line of log, and kills what it runs", async () => {
  const lines = (call: TaskCall): Script => ({ ...endless, ignoresTerm: true, lines: [`attempt ${call.attempt}`] });
  const { world, process } = await open({ scriptOf: (call) => (call.attempt === 1 ? lines(call) : done) });
  const other = await start(world);
  const id = await world.submit(process, await world.apply({ id: "long", tasks: [run("only", [], { retry: { max: 2 } })] }));
  const [call] = world.stage.started;
  await world.time.advance(1000);
  process.owner.frozenUntil = world.time.now + 30_000;
  await world.time.until(async () => (await world.execution(id)).ended_at !== null);
  const before = await world.events(id);
  expect(before.map((event) => event.type)).toContain("trace.task.lost");
  // As many as are written at once, before anyone notices.
  for (let count = 0; count < 250; count += 1) void call?.onLine({ source: "stdout", level: "INFO", message: "from the dead", metadata: null });
  await world.time.advance(60_000);
  expect(await world.events(id)).toEqual(before);
  const logs = await world.store.listLogs({ executionId: id, order: "asc", limit: 100 });
  expect(logs.map((line) => line.message)).toEqual(["attempt 1"]);
  expect(process.engine.live).toBe(0);
  expect(world.stage.running).toEqual([]);
  expect(process.troubles.join()).toContain("CLAIM_LOST");
  expect(other.engine.live).toBe(0);
});

test("stopping with a drain lets attempts end, begins nothing new, and gives claims back", async () => {
  const { world, process } = await open({ scriptOf: () => ({ ...done, ms: 1000 }) });
  const target = await world.apply({ id: "steps", tasks: [run("a"), run("b", ["a"])] });
  const id = await world.submit(process, target);
  const stopping = process.engine.stop(10_000);
  await expect(world.pump(process.engine.submit(world.request(target)))).rejects.toMatchObject({ code: "NOT_READY" });
  await world.time.advance(1500);
  await world.pump(stopping);
  expect((await typesOf(world, id)).at(-1)).toBe("task.succeeded");
  expect(world.stage.started.map((call) => call.task)).toEqual(["a"]);
  expect(await world.store.findClaims([`execution:${id}`])).toEqual([]);
  await start(world);
  expect((await world.end(id)).state).toBe("SUCCESS");
});

test("what a stop cuts off is lost, as after a crash", async () => {
  const { world, process } = await open({ scriptOf: ({ attempt }) => (attempt === 1 ? endless : done) });
  const id = await world.submit(process, await world.apply({ id: "cut", tasks: [run("a", [], { retry: { max: 2 } })] }));
  const stopping = process.engine.stop(200);
  await world.time.advance(300);
  await world.pump(stopping);
  expect(world.stage.running).toEqual([]);
  await start(world);
  await world.end(id);
  expect((await typesOf(world, id)).slice(3)).toEqual(["task.lost", "task.started", "task.succeeded", "execution.succeeded"]);
});

/** A store that takes so long for each commit. */
const slowly =
  (world: () => World, ms: number) =>
  (store: Store, { owner }: Pick<Process, "owner">): Store => ({
    ...store,
    commit: async (requests) => {
      await world().time.sleep(owner, ms);
      return store.commit(requests);
    },
  });

test("a cancel that is read again while its answer is being written does not hit the handlers too", async () => {
  const scriptOf = ({ task }: TaskCall): Script => (task === "tidy" ? { ...done, ms: 3000 } : endless);
  const world: World = new World({ scriptOf, wrap: slowly(() => world, 700) });
  const process = await start(world);
  const target = await world.apply({ id: "long", tasks: [run("a")], finally: [run("tidy")] });
  const request = world.request(target);
  void process.engine.submit(request);
  await world.time.advance(1500);
  const row = {
    command_id: world.ids.next(),
    execution_id: request.executionId,
    kind: "cancel",
    body: "{}",
    by: "user:other",
    created_at: world.time.now,
  };
  await world.store.commit([{ events: [], opens: new Map(), changes: [{ table: "commands", op: "insert", row }] }]);
  for (let count = 0; count < 30; count += 1) {
    await world.apply({ id: "noise", tasks: [run("a"), run(`b${count}`)] });
    await world.time.advance(100);
  }
  await world.end(request.executionId);
  expect(await world.tasks(request.executionId)).toEqual({ a: "CANCELLED USER_CANCELLED", tidy: "SUCCESS SUCCESS" });
});

test("a timer that rings early, as those of a system do after weeks, stops no attempt before its time", async () => {
  const world = new World({ scriptOf: () => endless });
  const owner = { isDead: false, frozenUntil: 0 };
  const timers = world.time.timersOf(owner);
  const process = await start(world, { timers: { ...timers, set: (at, work) => timers.set(Math.min(at, world.time.now + 1000), work) } });
  const id = await world.submit(process, await world.apply({ id: "slow", tasks: [run("a", [], { timeout: "1h" })] }));
  const row = await world.end(id, 2 * 3_600_000);
  expect([row.reason, (row.ended_at ?? 0) - row.created_at]).toEqual(["TIMEOUT", 3_600_001]);
});

test("a stop that comes while a commit is under way starts nothing of it, and gives its claim back", async () => {
  const world: World = new World({ wrap: slowly(() => world, 100) });
  const slow = await start(world);
  const request = world.request(await world.apply({ id: "one", tasks: [run("only", [], { retry: { max: 2 } })] }));
  const submitting = slow.engine.submit(request).catch((cause: unknown) => cause);
  await world.time.advance(50);
  const stopping = slow.engine.stop(0);
  await world.time.advance(1000);
  await world.pump(stopping);
  expect(await world.pump(submitting)).toMatchObject({ state: "RUNNING" });
  expect(await typesOf(world, request.executionId)).toEqual(["execution.created", "execution.started", "task.started"]);
  expect(world.stage.started).toEqual([]);
  expect(await world.store.findClaims([`execution:${request.executionId}`])).toEqual([]);
});

test("what a cancel takes up and starts itself is not taken for lost", async () => {
  const { world, process } = await open();
  const tasks = [{ id: "nap", type: "core/wait.for", inputs: { duration: "1h" } }];
  const id = await world.submit(process, await world.apply({ id: "nap", tasks, finally: [run("tidy", [], { onLost: "fail" })] }));
  world.crash(process);
  const other = world.launch();
  await world.pump(other.engine.start({ takesAll: false }));
  await world.pump(other.engine.command(id, { kind: "cancel" }, caller));
  await world.end(id);
  expect(await world.tasks(id)).toEqual({ nap: "CANCELLED USER_CANCELLED", tidy: "SUCCESS SUCCESS" });
});

test("two cancels at the same time of what nobody owns are both answered", async () => {
  const { world, process } = await open();
  const tasks = [{ id: "nap", type: "core/wait.for", inputs: { duration: "1h" } }];
  const id = await world.submit(process, await world.apply({ id: "nap", tasks }));
  world.crash(process);
  const other = world.launch();
  await world.pump(other.engine.start({ takesAll: false }));
  const answers = await world.pump(
    Promise.all([other.engine.command(id, { kind: "cancel" }, caller), other.engine.command(id, { kind: "cancel" }, caller)]),
  );
  expect(answers.map((answer) => answer.state)).toEqual(["CANCELLED", "CANCELLED"]);
  await world.time.settle();
  expect(await world.store.listCommands(null)).toEqual([]);
});

test("an engine that may not run accepts executions and leaves them to others", async () => {
  const world = new World();
  const idle = await start(world, { runs: false });
  const id = await world.submit(idle, await world.apply({ id: "one", tasks: [run("only")] }));
  await world.time.advance(10_000);
  expect((await world.execution(id)).state).toBe("PENDING");
  await start(world);
  expect((await world.end(id)).state).toBe("SUCCESS");
});

test("a commit that fails gives the execution up; the same process takes it up again", async () => {
  const broken = { isBroken: false };
  const wrap = (store: Store): Store => ({
    ...store,
    commit: async (requests) => {
      if (broken.isBroken) throw fail("STORE_UNAVAILABLE", "The disk is full");
      return store.commit(requests);
    },
  });
  const { world, process } = await open({ wrap, scriptOf: () => ({ ...done, ms: 1000 }) });
  const id = await world.submit(process, await world.apply({ id: "pair", tasks: [run("a", [], { retry: { max: 2 } }), run("b", ["a"])] }));
  broken.isBroken = true;
  await world.time.advance(1500);
  expect(process.engine.live).toBe(0);
  expect((await typesOf(world, id)).at(-1)).toBe("task.started");
  broken.isBroken = false;
  expect((await world.end(id)).state).toBe("SUCCESS");
  expect((await typesOf(world, id)).filter((type) => type === "task.lost").length).toBe(1);
});

test("an attempt that cannot be started is a failure of its task, not of the engine", async () => {
  const world = new World();
  const process = await start(world, {
    invoker: {
      prepare: () => unconfined,
      invoke: () => {
        throw new Error("no space left on device");
      },
      dispose: async () => {
        throw new Error("nor to clean up");
      },
    },
  });
  const id = await world.submit(process, await world.apply({ id: "one", tasks: [run("only")] }));
  const row = await world.end(id);
  expect([row.state, row.reason]).toEqual(["FAILED", "INTERNAL"]);
  await world.time.settle();
  expect(process.engine.live).toBe(0);
  expect(process.troubles.length).toBe(1);
});
