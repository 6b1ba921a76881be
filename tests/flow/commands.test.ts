// Pause, resume and resolve on a real store with fake time: what runs ends, nothing starts, and nothing is forgotten by a crash.
import { expect, test } from "bun:test";
import type { JsonObject } from "../../src/base/index.ts";
import type { Command, TaskCall } from "../../src/engine/index.ts";
import { done, type Script } from "./scripted-invoker.ts";
import { caller, type Process, World } from "./world.ts";

const run = (id: string, needs: string[] = [], more: JsonObject = {}): JsonObject => ({ id, run: "true", needs, ...more });

async function open(scriptOf: (call: TaskCall) => Script = () => ({ ...done, ms: 100 })): Promise<{ world: World; process: Process }> {
  const world = new World({ scriptOf });
  const process = world.launch();
  await world.pump(process.engine.start({ takesAll: true }));
  return { world, process };
}

const ask = (world: World, process: Process, id: string, command: Command) => world.pump(process.engine.command(id, command, caller));
const shownState = async (world: World, id: string) => {
  const { state, reason } = await world.execution(id);
  return reason === null || reason === state ? state : `${state} ${reason}`;
};

test("pause: WAITING at once, what runs ends, nothing starts until resume; both again are no-ops", async () => {
  const { world, process } = await open();
  const id = await world.submit(process, await world.apply({ id: "chain", timeout: "10s", tasks: [run("a"), run("b", ["a"])] }));
  expect(await ask(world, process, id, { kind: "pause" })).toEqual({ already: false, state: "WAITING" });
  expect(await shownState(world, id)).toBe("WAITING PAUSED");
  expect(world.stage.running).toEqual(["a"]);
  expect(await ask(world, process, id, { kind: "pause" })).toEqual({ already: true, state: "WAITING" });
  await world.time.advance(60_000);
  expect(await world.tasks(id)).toEqual({ a: "SUCCESS SUCCESS" });
  expect(await shownState(world, id)).toBe("WAITING PAUSED");
  // A minute of pause counts for no timeout.
  expect(await ask(world, process, id, { kind: "resume" })).toEqual({ already: false, state: "RUNNING" });
  expect(await ask(world, process, id, { kind: "resume" })).toMatchObject({ already: true });
  expect((await world.end(id)).state).toBe("SUCCESS");
  await expect(ask(world, process, id, { kind: "pause" })).rejects.toMatchObject({ code: "EXECUTION_STATE" });
  expect((await world.verify(true)).ok).toBe(true);
});

test("a pause outlives a crash; attempts that it cut off wait with the rest", async () => {
  const { world, process } = await open();
  const id = await world.submit(process, await world.apply({ id: "crash", tasks: [run("a", [], { onLost: "retry" }), run("b", ["a"])] }));
  await ask(world, process, id, { kind: "pause" });
  world.crash(process);
  const other = world.launch();
  await world.pump(other.engine.start({ takesAll: true }));
  await world.time.advance(30_000);
  expect(await shownState(world, id)).toBe("WAITING PAUSED");
  expect(world.stage.started.length).toBe(1);
  await ask(world, other, id, { kind: "resume" });
  expect((await world.end(id)).state).toBe("SUCCESS");
  expect(world.stage.started.map((call) => call.task)).toEqual(["a", "a", "b"]);
});

test("one that waits for a place can be paused and cancelled too; a paused one gives its place to the next", async () => {
  const world = new World({ scriptOf: () => ({ ...done, ms: 1000 }) });
  const process = world.launch({ limits: { executions: 1, tasks: 5 } });
  await world.pump(process.engine.start({ takesAll: true }));
  const target = await world.apply({ id: "one", tasks: [run("a"), run("b", ["a"])] });
  const [first, second, third] = [await world.submit(process, target), await world.submit(process, target), await world.submit(process, target)];
  await ask(world, process, second, { kind: "pause" });
  expect(await shownState(world, second)).toBe("WAITING PAUSED");
  await ask(world, process, first, { kind: "pause" });
  await world.time.advance(1500);
  expect(await shownState(world, third)).toBe("RUNNING");
  await ask(world, process, second, { kind: "cancel" });
  expect(await shownState(world, second)).toBe("CANCELLED USER_CANCELLED");
  expect((await world.events(second)).some((event) => event.type === "trace.task.started")).toBe(false);
  await ask(world, process, first, { kind: "resume" });
  expect((await world.end(first)).state).toBe("SUCCESS");
  expect((await world.end(third)).state).toBe("SUCCESS");
});

test.each([
  ["succeeded", { n: 7 }, "SUCCESS", ["two"]],
  ["failed", undefined, "FAILED", []],
  ["retry", undefined, "SUCCESS", ["one", "two"]],
] as const)("an attempt of unknown outcome waits until a person says what became of it: %s", async (as, output, state, later) => {
  const { world, process } = await open((call) => ({ ...done, ms: call.attempt === 1 && call.task === "one" ? null : 10 }));
  const tasks = [run("one", [], { onLost: "ask" }), run("two", ["one"], { env: { N: "{{ tasks.one.output }}" } })];
  const id = await world.submit(process, await world.apply({ id: "ask", tasks }));
  world.crash(process);
  const other = world.launch();
  await world.pump(other.engine.start({ takesAll: true }));
  await world.time.advance(20_000);
  expect(await shownState(world, id)).toBe("WAITING OUTCOME_UNKNOWN");
  const resolve = { kind: "resolve" as const, itemIndex: null, as, output: output ?? {} };
  await expect(ask(world, other, id, { ...resolve, task: "two" })).rejects.toMatchObject({ code: "TASK_NOT_FOUND" });
  await ask(world, other, id, { ...resolve, task: "one" });
  expect((await world.end(id)).state).toBe(state);
  expect(world.stage.started.slice(1).map((call) => call.task)).toEqual([...later]);
  const resolved = (await world.events(id)).find((event) => event.type === "trace.task.resolved");
  expect(resolved?.payload).toMatchObject({ as, by: "user:tester" });
  await expect(ask(world, other, id, { ...resolve, task: "one" })).rejects.toMatchObject({ code: "EXECUTION_STATE" });
  expect((await world.verify(true)).ok).toBe(true);
});

test("a start that cannot run is created, seen and failed, without a single attempt", async () => {
  const { world, process } = await open();
  const target = await world.apply({ id: "refused", secrets: ["NONE"], tasks: [run("a")], finally: [run("tidy")] });
  const error = { code: "SECRETS_MISSING", kind: "invalid" as const, message: "no such secret: NONE", details: { names: ["NONE"] } };
  const id = await world.submit(process, target, {
    refusal: error,
    trigger: { type: "cron", id: "nightly", scheduled_at: "2026-01-01T00:00:00.000Z", by: null },
  });
  const row = await world.execution(id);
  expect([row.state, row.reason, JSON.parse(row.error ?? "{}").code]).toEqual(["FAILED", "INVALID_INPUT", "SECRETS_MISSING"]);
  expect(world.stage.started).toEqual([]);
  expect((await world.verify(true)).ok).toBe(true);
});

test("what came with a trigger is there for expressions, masked in the trace, and true after a crash", async () => {
  const { world, process } = await open();
  await world.pump(world.setSecret("TOKEN", "hook-token-value"));
  const tasks = [run("a", [], { onLost: "retry", env: { B: "{{ trigger.body.x }}", H: "{{ trigger.headers.h }}", Q: "{{ trigger.query.q }}" } })];
  const target = await world.apply({ id: "hooked", secrets: ["TOKEN"], tasks });
  const triggerData = { body: { x: "hook-token-value" }, headers: { h: "1" }, query: { q: "2" } };
  const id = await world.submit(process, target, { triggerData });
  world.crash(process);
  const other = world.launch();
  await world.pump(other.engine.start({ takesAll: true }));
  expect((await world.end(id)).state).toBe("SUCCESS");
  expect(world.stage.started.map((call) => call.env)).toEqual([
    { B: "hook-token-value", H: "1", Q: "2" },
    { B: "hook-token-value", H: "1", Q: "2" },
  ]);
  expect(JSON.stringify(await world.events(id))).not.toContain("hook-token-value");
});
