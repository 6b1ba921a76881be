// Secrets of executions on a real store with fake time: what is masked, what the next task reads, and what of it outlives the process.
import { expect, test } from "bun:test";
import type { JsonObject } from "../../src/base/index.ts";
import type { TaskCall } from "../../src/engine/index.ts";
import { done, type Script } from "./scripted-invoker.ts";
import { type Process, World } from "./world.ts";

/** Task `one` gives what it was given, and prints it. */
const echo = (call: TaskCall): Script =>
  call.task === "one"
    ? { ms: 10, outcome: { ok: true, output: { token: call.env["T"] ?? "" }, artifacts: [] }, lines: [`got ${call.env["T"]}`] }
    : { ...done, ms: 1000, lines: [`has ${call.env["U"] ?? ""}`] };

const tasks: JsonObject[] = [
  { id: "one", run: "true", env: { T: "{{ secrets.TOKEN }}" } },
  { id: "two", run: "true", needs: ["one"], onLost: "retry", env: { U: "{{ tasks.one.output.token }}", I: "{{ inputs.pin }}" } },
  { id: "three", run: "true", needs: ["two"], env: { U: "{{ tasks.one.output.token }}", T: "{{ secrets.TOKEN }}" } },
];
const definition = { id: "flow", inputs: [{ id: "pin", type: "string", sensitive: true, default: "none" }], secrets: ["TOKEN"], tasks };

async function open(world: World): Promise<Process> {
  const process = world.launch();
  await world.pump(process.engine.start({ takesAll: true }));
  return process;
}

async function begin(scriptOf = echo): Promise<{ world: World; process: Process; id: string }> {
  const world = new World({ scriptOf });
  const process = await open(world);
  await world.pump(world.setSecret("TOKEN", "first-token"));
  const id = await world.submit(process, await world.apply(definition), { inputs: { pin: "sensitive-pin" } });
  return { world, process, id };
}

async function traceText(world: World, id: string): Promise<string> {
  const logs = await world.store.listLogs({ executionId: id, order: "asc", limit: 1000 });
  return JSON.stringify([await world.events(id), await world.execution(id), await world.store.listTaskRuns(id), logs]);
}

test("[WF-20] all secrets that are missing are named, and nothing is written", async () => {
  const world = new World();
  const process = await open(world);
  const target = await world.apply({ ...definition, secrets: ["TOKEN", "OTHER"] });
  const id = world.ids.next();
  const refused = await world.submit(process, target, { executionId: id }).catch((cause: unknown) => cause);
  expect(refused).toMatchObject({ code: "SECRETS_MISSING", details: { names: ["TOKEN", "OTHER"] } });
  expect(await world.store.findExecution(id)).toBeNull();
});

test("[WF-09] after a crash the next task reads true values, and what was masked stays so, also a value that was replaced meanwhile", async () => {
  const { world, process, id } = await begin();
  await world.time.advance(100);
  expect(world.stage.running).toEqual(["two"]);
  await world.pump(world.setSecret("TOKEN", "second-token"));
  world.crash(process);
  await open(world);
  expect((await world.end(id)).state).toBe("SUCCESS");
  const calls = world.stage.started.map(({ task, env }): Record<string, string> => Object.assign({ task }, env));
  expect(calls.slice(1)).toEqual([
    { task: "two", U: "first-token", I: "sensitive-pin" },
    { task: "two", U: "first-token", I: "sensitive-pin" },
    { task: "three", U: "first-token", T: "second-token" },
  ]);
  const text = await traceText(world, id);
  expect(text).not.toMatch(/first-token|second-token|sensitive-pin/);
  expect(text).toContain("has ***");
  expect((await world.verify(true)).ok).toBe(true);
});

test("a rotation between encrypting and writing is met by encrypting again", async () => {
  let refusals = 0;
  const world = new World({
    scriptOf: echo,
    wrap: (store) => ({
      ...store,
      commit: async (requests) => {
        const [first] = requests;
        if (first?.sealedWith !== undefined && first.events.some((event) => event.type === "trace.task.succeeded") && refusals++ === 0)
          return store.commit(requests.map((request) => ({ ...request, sealedWith: "0".repeat(32) })));
        return store.commit(requests);
      },
    }),
  });
  const process = await open(world);
  await world.pump(world.setSecret("TOKEN", "first-token"));
  const run = await world.submit(process, await world.apply(definition), { inputs: { pin: "none" } });
  expect((await world.end(run)).state).toBe("SUCCESS");
  expect(refusals).toBeGreaterThan(1);
  expect(world.stage.started.find((call) => call.task === "two")?.env["U"]).toBe("first-token");
});

test("with another key the rest fails with SECRET_KEY_WRONG; *** is never data", async () => {
  const { world, process, id } = await begin();
  await world.time.advance(100);
  world.crash(process);
  const other = world.launch({ vault: world.vaultOf(process.ledger, "0f".repeat(32)) });
  await world.pump(other.engine.start({ takesAll: true }));
  const row = await world.end(id);
  expect([row.state, JSON.parse(row.error ?? "{}")]).toEqual(["FAILED", expect.objectContaining({ code: "SECRET_KEY_WRONG" })]);
  expect(world.stage.started.filter((call) => call.task === "two").length).toBe(1);
});

test("a true value that is gone from the store is noticed", async () => {
  const { world, process, id } = await begin();
  await world.time.advance(100);
  world.crash(process);
  const key = { execution_id: id, task: "one", item_index: -1, member: "output" };
  await world.store.apply([{ table: "sealed_values", op: "delete", key }]);
  await open(world);
  expect(JSON.parse((await world.end(id)).error ?? "{}")).toMatchObject({ code: "SECRET_TAMPERED" });
});

test("sensitive inputs are never shown, whatever their type and length; short ones are not looked for elsewhere", async () => {
  const world = new World({ scriptOf: () => ({ ms: 1, outcome: { ok: true, output: { n: 1234567, s: "ab", t: true }, artifacts: [] } }) });
  const process = await open(world);
  const types = { word: "string", short: "string", number: "integer", flag: "boolean", list: "array", map: "object" };
  const inputs = Object.entries(types).map(([id, type]) => ({ id, type, sensitive: true }));
  const target = await world.apply({
    id: "typed",
    inputs,
    tasks: [{ id: "one", run: "true", env: { A: "{{ string(inputs.number) + inputs.short }}" } }],
  });
  const given = { word: "hidden-word", short: "ab", number: 1234567, flag: true, list: ["hidden-item"], map: { a: { b: "hidden-leaf" } } };
  const id = await world.submit(process, target, { inputs: given });
  const row = await world.end(id);
  expect(JSON.parse(row.inputs)).toEqual({ word: "***", short: "***", number: "***", flag: "***", list: "***", map: "***" });
  expect(world.stage.started[0]?.env).toEqual({ A: "1234567ab" });
  const [run] = await world.store.listTaskRuns(id);
  expect(JSON.parse(run?.output ?? "{}")).toEqual({ n: "***", s: "ab", t: true });
});
