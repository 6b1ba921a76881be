// Restart: what succeeded is taken over, also what is masked; only the rest runs.
import { expect, test } from "bun:test";
import type { JsonObject } from "../../src/base/index.ts";
import type { TaskCall } from "../../src/engine/index.ts";
import { failing, type Script } from "./scripted-invoker.ts";
import { caller, type Process, World } from "./world.ts";

const run = (id: string, needs: string[] = [], more: JsonObject = {}): JsonObject => ({ id, run: "true", needs, ...more });
const broken = new Set<string>();
const scriptOf = (call: TaskCall): Script => {
  const name = call.itemIndex === null ? call.task : `${call.task}[${call.itemIndex}]`;
  return broken.has(name)
    ? { ms: 10, outcome: failing("BROKEN", false) }
    : { ms: 10, outcome: { ok: true, output: { from: name, ...call.env }, artifacts: [] } };
};

async function open(): Promise<{ world: World; process: Process }> {
  broken.clear();
  const world = new World({ scriptOf });
  const process = world.launch();
  await world.pump(process.engine.start({ takesAll: true }));
  return { world, process };
}

const ran = (world: World, id: string) =>
  world.stage.started
    .filter((call) => call.executionId === id)
    .map((call) => (call.itemIndex === null ? call.task : `${call.task}[${call.itemIndex}]`));

test("after a failure only what did not succeed runs, and all that needs it", async () => {
  const { world, process } = await open();
  broken.add("b");
  const tasks = [
    run("a", [], { env: { T: "{{ secrets.TOKEN }}" } }),
    run("b", ["a"], { env: { A: "{{ tasks.a.output.T }}" } }),
    run("c", ["b"]),
    run("d", ["a"]),
  ];
  await world.pump(world.setSecret("TOKEN", "first-token"));
  const target = await world.apply({ id: "chain", inputs: [{ id: "pin", type: "string", sensitive: true }], secrets: ["TOKEN"], tasks });
  const first = await world.submit(process, target, { inputs: { pin: "secret-pin" }, labels: { team: "x" } });
  expect((await world.end(first)).state).toBe("FAILED");
  broken.clear();
  await world.pump(world.setSecret("TOKEN", "second-token"));
  const { executionId } = await world.pump(process.engine.restart(first, null, caller));
  expect((await world.end(executionId)).state).toBe("SUCCESS");
  expect(ran(world, executionId)).toEqual(["b", "c"]);
  expect(world.stage.started.find((call) => call.executionId === executionId)?.env).toEqual({ A: "first-token" });
  const events = await world.events(executionId);
  expect(events[0]?.payload).toMatchObject({ restarted_from: { execution_id: first, task: null }, inputs: { pin: "***" }, labels: { team: "x" } });
  const reused = events.filter((event) => event.payload["reused_from"] === first).map((event) => event.payload["task"]);
  expect(reused.toSorted()).toEqual(["a", "d"]);
  // What was masked there is masked here, although the secret has another value now.
  expect(JSON.stringify(events)).not.toMatch(/first-token|second-token|secret-pin/);
  expect((await world.verify(true)).ok).toBe(true);
});

test("from a task: it and what needs it run again, whatever they came to", async () => {
  const { world, process } = await open();
  const target = await world.apply({ id: "dag", tasks: [run("a"), run("b", ["a"]), run("c", ["b"]), run("d", ["a"])], finally: [run("tidy")] });
  const first = await world.submit(process, target);
  await world.end(first);
  const { executionId } = await world.pump(process.engine.restart(first, "b", caller));
  await world.end(executionId);
  expect(ran(world, executionId)).toEqual(["b", "c", "tidy"]);
  await expect(world.pump(process.engine.restart(first, "nope", caller))).rejects.toMatchObject({ code: "TASK_NOT_FOUND" });
  await expect(world.pump(process.engine.restart(world.ids.next(), null, caller))).rejects.toMatchObject({ code: "EXECUTION_NOT_FOUND" });
});

test("items that succeeded stay; a restart of a restart takes over what either came to", async () => {
  const { world, process } = await open();
  broken.add("each[1]").add("after");
  const each = run("each", [], { forEach: ["a", "b", "c"], env: { I: "{{ item }}" } });
  const target = await world.apply({ id: "items", tasks: [each, run("after", ["each"], { env: { O: "{{ tasks.each.outputs.map(o, o.I) }}" } })] });
  const first = await world.submit(process, target);
  await world.end(first);
  broken.delete("each[1]");
  const second = (await world.pump(process.engine.restart(first, null, caller))).executionId;
  expect((await world.end(second)).state).toBe("FAILED");
  expect(ran(world, second)).toEqual(["each[1]", "after"]);
  broken.clear();
  const third = (await world.pump(process.engine.restart(second, null, caller))).executionId;
  expect((await world.end(third)).state).toBe("SUCCESS");
  expect(ran(world, third)).toEqual(["after"]);
  expect(world.stage.started.at(-1)?.env).toEqual({ O: '["a","b","c"]' });
});

test("a crash in the middle of a restarted one forgets nothing; a live one is not restarted", async () => {
  const { world, process } = await open();
  broken.add("b");
  const target = await world.apply({
    id: "crash",
    tasks: [run("a"), run("b", ["a"], { onLost: "retry" }), run("x", ["b"]), run("y", ["a"], { if: "{{ false }}" })],
  });
  const first = await world.submit(process, target);
  await world.end(first);
  broken.clear();
  const { executionId } = await world.pump(process.engine.restart(first, null, caller));
  await expect(world.pump(process.engine.restart(executionId, null, caller))).rejects.toMatchObject({ code: "EXECUTION_STATE" });
  world.crash(process);
  const other = world.launch();
  await world.pump(other.engine.start({ takesAll: true }));
  expect((await world.end(executionId)).state).toBe("SUCCESS");
  expect(ran(world, executionId)).toEqual(["b", "b", "x"]);
});
