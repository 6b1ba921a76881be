// Before and while an attempt runs: what has to be looked up first, what it is refused, and what it is denied.
import { describe, expect, test } from "bun:test";
import type { JsonObject } from "../../src/base/index.ts";
import type { Denial } from "../../src/model/index.ts";
import { done, failing, type Preparing, type Script, unconfined } from "./scripted-invoker.ts";
import { caller, type Process, World, type WorldOptions } from "./world.ts";

async function open(options: WorldOptions, overrides: Parameters<World["launch"]>[0] = {}): Promise<{ world: World; process: Process }> {
  const world = new World(options);
  const process = world.launch(overrides);
  await world.pump(process.engine.start({ takesAll: true }));
  return { world, process };
}

const run = (id: string, more: JsonObject = {}): JsonObject => ({ id, run: "true", ...more });
const denial = (target: string): Denial => ({ kind: "network", target, rule: "network", grant: `network: ["${target}"]` });
const denied = async (world: World, id: string) => (await world.events(id)).filter((event) => event.type === "trace.permission.denied");
const typesOf = async (world: World, id: string) => (await world.events(id)).map((event) => event.type.replace("trace.", ""));
const startedOf = async (world: World, id: string, task: string) =>
  (await world.events(id)).find((event) => event.type === "trace.task.started" && event.payload["task"] === task)?.payload;

describe("what has to be looked up first", () => {
  const slow =
    (ms: Preparing["ms"]) =>
    ({ task }: { task: string }): Preparing => ({ ms: task === "slow" ? ms : null, prepared: unconfined });

  test("holds its own task back and no other, and the execution stays RUNNING", async () => {
    const { world, process } = await open({ preparingOf: slow(5000) }, { limits: { executions: 1, tasks: 1 } });
    const id = await world.submit(process, await world.apply({ id: "two", tasks: [run("slow"), run("z")] }));
    await world.time.advance(1000);
    expect(await world.tasks(id)).toEqual({ z: "SUCCESS SUCCESS" });
    expect((await world.execution(id)).state).toBe("RUNNING");
    const row = await world.end(id);
    expect([row.state, (row.ended_at ?? 0) - row.created_at >= 5000]).toEqual(["SUCCESS", true]);
    expect(process.invoker.asks.filter((ask) => ask.task === "slow").length).toBe(2);
  });

  test("is cut short by the execution's timeout and by a cancel", async () => {
    for (const [more, expected] of [
      [{ timeout: "2s" }, "FAILED TIMEOUT"],
      [{}, "CANCELLED USER_CANCELLED"],
    ] as const) {
      const { world, process } = await open({ preparingOf: slow("never") });
      const id = await world.submit(process, await world.apply({ id: "hangs", tasks: [run("slow")], ...more }));
      await world.time.advance(1000);
      expect((await world.execution(id)).state).toBe("RUNNING");
      if (!("timeout" in more)) await world.pump(process.engine.command(id, { kind: "cancel" }, caller));
      const row = await world.end(id);
      expect(`${row.state} ${row.reason}`).toBe(expected);
      expect(world.stage.started).toEqual([]);
    }
  });

  test("holds the second attempt back too, and is asked again by who takes over", async () => {
    let asked = 0;
    const preparingOf = (): Preparing => ({ ms: (asked += 1) === 1 ? null : 400, prepared: unconfined });
    const { world, process } = await open({ preparingOf, scriptOf: ({ attempt }) => (attempt === 1 ? { ms: 10, outcome: failing() } : done) });
    const id = await world.submit(process, await world.apply({ id: "again", tasks: [run("a", { retry: { max: 2, delay: "100ms" } })] }));
    await world.time.advance(200);
    expect((await world.store.listTaskRuns(id))[0]?.state).toBe("WAITING");
    world.crash(process);
    const next = world.launch();
    await world.pump(next.engine.start({ takesAll: true }));
    expect((await world.end(id)).state).toBe("SUCCESS");
    expect(next.invoker.asks.length).toBeGreaterThan(0);
  });
});

describe("[WF-14] what is decided before an attempt", () => {
  const prepared = {
    ...unconfined,
    runtime: "bun",
    pluginSha256: "a".repeat(64),
    imageDigest: `sha256:${"b".repeat(64)}`,
    permissions: { network: ["a.example:443"], refused: [] },
    env: ["TZ", "NOT_SET", "WORKFLOW_SECRET"],
    sandbox: { level: "strict" as const, layers: ["landlock", "seccomp"] },
  };

  test("is in the event, in the attempt's row, and in what is invoked; named variables come from the server, the task's own win", async () => {
    const environment = { TZ: "UTC", HOME: "/root", WORKFLOW_SECRET: "x" };
    const { world, process } = await open({ preparingOf: () => ({ ms: null, prepared }) }, { environment });
    const target = await world.apply({ id: "one", tasks: [run("a", { env: { OWN: "1" } })], permissions: { env: ["TZ"] } });
    const id = await world.submit(process, target);
    await world.end(id);
    expect(await startedOf(world, id, "a")).toMatchObject({
      action: "core/shell.run",
      runtime: "bun",
      plugin_sha256: "a".repeat(64),
      image_digest: `sha256:${"b".repeat(64)}`,
      permissions: prepared.permissions,
      sandbox: prepared.sandbox,
    });
    expect(world.stage.started[0]?.env).toEqual({ TZ: "UTC", OWN: "1" });
    expect(world.stage.started[0]?.prepared).toBe(prepared);
    expect((await world.store.listAttempts(id))[0]).toMatchObject({
      runtime: "bun",
      sandbox: JSON.stringify({ layers: ["landlock", "seccomp"], level: "strict" }),
    });
    expect((await world.verify(true)).ok).toBe(true);
  });

  test("is asked with what the workflow, the task and this run grant, also after a restart", async () => {
    const allow = { network: ["x.example:1"], filesystem: { read: [], write: ["/srv"] }, env: ["LANG"], all: false };
    const { world, process } = await open({ scriptOf: ({ attempt }) => (attempt === 1 ? { ms: 10, outcome: failing() } : done) });
    const task = run("a", { permissions: { network: ["*.example:1"] }, retry: { max: 2, delay: "5s" } });
    const id = await world.submit(process, await world.apply({ id: "asks", tasks: [task], permissions: { network: ["y.example:1"] } }), { allow });
    await world.time.advance(1000);
    world.crash(process);
    const next = world.launch();
    await world.pump(next.engine.start({ takesAll: true }));
    await world.end(id);
    const expected = { workflow: { network: ["y.example:1"] }, task: { network: ["*.example:1"] }, allow };
    expect([process.invoker.asks[0]?.permissions, next.invoker.asks[0]?.permissions]).toEqual([expected, expected]);
    const [created] = await world.events(id);
    expect(created?.payload["allow"]).toEqual(allow);
    expect((await world.verify(true)).ok).toBe(true);
  });

  test("actions of the engine are not asked about", async () => {
    const { world, process } = await open({});
    const id = await world.submit(process, await world.apply({ id: "engine", tasks: [{ id: "v", type: "core/value.set", inputs: { x: 1 } }] }));
    expect((await world.end(id)).state).toBe("SUCCESS");
    expect(process.invoker.asks).toEqual([]);
    expect((await world.events(id))[0]?.payload["allow"]).toBeUndefined();
  });

  const refusals: [string, "denied" | "unavailable" | "failed", string][] = [
    ["PERMISSION_DENIED", "denied", "PERMISSION_DENIED"],
    ["SANDBOX_UNAVAILABLE", "unavailable", "TASK_FAILED"],
    ["TASK_INPUT_INVALID", "failed", "INVALID_INPUT"],
  ];
  for (const [code, kind, reason] of refusals)
    test(`a refusal with ${code} fails the attempt once, and nothing is started`, async () => {
      const target = denial("db.example:5432");
      const details = { ...target };
      const refusal = { code, kind, message: "not granted", details };
      const preparingOf = (): Preparing => ({ ms: null, prepared: { ...unconfined, refusal, denials: [target] } });
      const { world, process } = await open({ preparingOf });
      const id = await world.submit(process, await world.apply({ id: "refused", tasks: [run("a", { retry: { max: 3 } })] }));
      const row = await world.end(id);
      expect([row.state, row.reason, JSON.parse(row.error ?? "{}").code]).toEqual(["FAILED", reason, code]);
      expect(world.stage.started).toEqual([]);
      expect(await typesOf(world, id)).toEqual([
        "execution.created",
        "execution.started",
        "task.started",
        "permission.denied",
        "task.failed",
        "execution.failed",
      ]);
      expect((await denied(world, id))[0]?.payload).toMatchObject({ ...target, task: "a", attempt: 1, item_index: null });
    });

  test("a preparation that throws fails its task, not the engine", async () => {
    const preparingOf = (): Preparing => {
      throw new Error("no such registry");
    };
    const { world, process } = await open({ preparingOf });
    const row = await world.end(await world.submit(process, await world.apply({ id: "throws", tasks: [run("a")] })));
    expect([row.state, row.reason]).toEqual(["FAILED", "INTERNAL"]);
    expect(process.engine.live).toBe(0);
  });
});

describe("[WF-14] what a running attempt is denied", () => {
  test("is told at once, in its log and in its execution's trace", async () => {
    const script: Script = { ...done, ms: 10_000, lines: ["before"], denials: [denial("db.example:5432")] };
    const { world, process } = await open({ scriptOf: () => script });
    const id = await world.submit(process, await world.apply({ id: "denied", tasks: [run("a")] }));
    await world.time.settle();
    const [event] = await denied(world, id);
    expect(event?.severity).toBe("warn");
    expect(event?.payload).toEqual({
      execution_id: id,
      task: "a",
      item_index: null,
      attempt: 1,
      kind: "network",
      target: "db.example:5432",
      rule: "network",
      grant: 'network: ["db.example:5432"]',
    });
    const logs = await world.store.listLogs({ executionId: id, order: "asc", limit: 10 });
    expect(logs.map((line) => [line.source, line.level, line.task, line.attempt])).toEqual([
      ["stdout", "INFO", "a", 1],
      ["engine", "ERROR", "a", 1],
    ]);
    expect(JSON.parse(logs[1]?.metadata ?? "{}")).toEqual({ ...denial("db.example:5432") });
    expect((await world.end(id)).state).toBe("SUCCESS");
    expect((await world.events(id)).find((one) => one.type === "trace.task.succeeded")?.payload["log_lines"]).toBe(2);
    const report = await world.verify(true);
    expect(report.problem).toBeNull();
  });

  test("counts once for each attempt, and a hundred different ones are enough", async () => {
    const denials = [...Array(300).keys()].flatMap((index) => [denial(`h${index}.example:1`), denial(`h${index}.example:1`)]);
    const scriptOf = ({ attempt }: { attempt: number }): Script =>
      attempt === 1 ? { ms: 5, outcome: failing(), denials } : { ...done, denials: [denial("h0.example:1")] };
    const { world, process } = await open({ scriptOf });
    const id = await world.submit(process, await world.apply({ id: "flood", tasks: [run("a", { retry: { max: 2, delay: "1s" } })] }));
    await world.end(id);
    const attempts = (await denied(world, id)).map((event) => event.payload["attempt"]);
    expect([attempts.filter((one) => one === 1).length, attempts.filter((one) => one === 2).length]).toEqual([100, 1]);
    const lines = await world.store.listLogs({ executionId: id, order: "asc", sources: ["engine"], limit: 1000 });
    expect(lines.length).toBe(102);
    expect(lines[100]?.metadata).toBeNull();
  });

  test("stands before the end of its attempt, and what comes later is not told", async () => {
    let late: ((given: Denial) => void) | null = null;
    const scriptOf = (call: { onDenial: (given: Denial) => void }): Script => {
      late = call.onDenial;
      return { ...done, ms: 0, denials: [denial("a.example:1")], outcome: failing("PERMISSION_DENIED", false) };
    };
    const { world, process } = await open({ scriptOf });
    const id = await world.submit(process, await world.apply({ id: "order", tasks: [run("a")] }));
    const row = await world.end(id);
    (late as ((given: Denial) => void) | null)?.(denial("b.example:1"));
    await world.time.advance(1000);
    expect([row.state, row.reason]).toEqual(["FAILED", "PERMISSION_DENIED"]);
    expect((await typesOf(world, id)).slice(2)).toEqual(["task.started", "permission.denied", "task.failed", "execution.failed"]);
  });

  test("is cut where its target is longer than a path may be", async () => {
    const { world, process } = await open({ scriptOf: () => ({ ...done, denials: [denial("\ud800".repeat(100_000))] }) });
    const id = await world.submit(process, await world.apply({ id: "long", tasks: [run("a")] }));
    expect((await world.end(id)).state).toBe("SUCCESS");
    expect(String((await denied(world, id))[0]?.payload["target"]).length).toBe(4096);
  });
});
