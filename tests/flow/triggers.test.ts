// Cron triggers through scheduler, engine and store, in fake time: who fires, when, once, and what downtime leaves.
import { afterEach, describe, expect, test } from "bun:test";
import { backfillTrigger, readTriggerHealth, startByTrigger } from "../../src/app/triggers/index.ts";
import { deleteWorkflow, fireTrigger, listTriggers, setWorkflowEnabled } from "../../src/app/verbs/index.ts";
import { isCoded, type JsonObject, limits } from "../../src/base/index.ts";
import { caller } from "./world.ts";
import { TriggerWorld } from "./trigger-world.ts";

const minute = 60_000;
const open: TriggerWorld[] = [];

function newWorld(): TriggerWorld {
  const world = new TriggerWorld();
  open.push(world);
  return world;
}

/** The world's clock begins 2026-01-02T03:04:05Z. */
const at = (time: string) => `2026-01-02T${time}.000Z`;

async function codeOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "none",
    (cause: unknown) => (isCoded(cause) ? cause.code : String(cause)),
  );
}

afterEach(async () => {
  for (const world of open.splice(0)) await world.close();
});

describe("ticks", () => {
  test("[WF-19] a minute's trigger fires once a minute, at its time, and says so", async () => {
    const world = newWorld();
    await world.cron("hourly", { cron: "* * * * *", inputs: { at: "{{ trigger.scheduled_at }}" } }, { inputs: [{ id: "at", type: "string" }] });
    await world.serve();
    await world.time.advance(3 * minute);
    expect(await world.started("hourly")).toEqual([at("03:05:00"), at("03:06:00"), at("03:07:00")]);
    const rows = await world.store.listExecutions({ workflow: "hourly", limit: 10 });
    expect(rows.map((row) => [row.trigger_type, row.trigger_id, row.by, row.state])).toEqual(
      rows.map(() => ["cron", "tick", "service:server", "SUCCESS"]),
    );
    expect(rows.map((row) => row.created_at - (row.scheduled_at ?? 0))).toEqual([0, 0, 0]);
    expect(JSON.parse(rows[0]?.inputs ?? "{}")).toEqual({ at: at("03:07:00") });
    const fired = await world.triggerEvents("fired");
    expect(fired.map(({ payload }) => payload["execution_id"]).toSorted()).toEqual(rows.map((row) => row.execution_id).toSorted());
    expect((await world.runs("hourly")).map((run) => run.state)).toEqual(["started", "started", "started", "due"]);
  });

  test("[WF-19] two servers on one store fire each time once, and the next is stored before it is due", async () => {
    const world = newWorld();
    await world.cron("a", { cron: "*/10 * * * * *" });
    await world.cron("b", { cron: "* * * * *" });
    await world.serve();
    await world.serve();
    await world.time.advance(5 * minute);
    const seconds = await world.started("a");
    expect(seconds).toHaveLength(30);
    expect(new Set(seconds).size).toBe(30);
    expect(await world.started("b")).toHaveLength(5);
    expect((await world.triggerEvents("fired")).length).toBe(35);
    expect((await world.triggerEvents("missed")).length).toBe(0);
    const due = (await world.runs("a")).filter((run) => run.state === "due");
    expect(due).toHaveLength(1);
    expect(due[0]?.scheduled_at).toBeGreaterThan(world.time.now);
  });

  test("goes on with the other server when one dies", async () => {
    const world = newWorld();
    await world.cron("a", { cron: "* * * * *" });
    const first = await world.serve();
    await world.serve();
    await world.time.advance(2 * minute);
    world.kill(first);
    await world.time.advance(2 * minute);
    expect(await world.started("a")).toHaveLength(4);
    expect(await world.triggerEvents("missed")).toEqual([]);
  });

  test("an execution that runs delays no tick", async () => {
    const world = new TriggerWorld({ scriptOf: () => ({ ms: 10 * minute, outcome: { ok: true, output: {}, artifacts: [] } }) } as never);
    open.push(world);
    await world.cron("slow", { cron: "* * * * *" });
    await world.serve();
    await world.time.advance(5 * minute);
    expect(await world.started("slow")).toHaveLength(5);
  });

  test("fires nothing of a workflow that was only run, or is disabled, and makes nothing up for it", async () => {
    const world = newWorld();
    for (const id of ["unarmed", "disabled"]) await world.cron(id, { cron: "* * * * *", catchUp: "all" });
    await world.store.apply([{ table: "workflows", op: "update", key: { id: "unarmed" }, set: { armed: 0 } }]);
    const { context, scheduler } = await world.serve();
    await world.pump(setWorkflowEnabled(context, caller, { id: "disabled", enabled: false }));
    await world.time.advance(3 * minute);
    expect([await world.started("unarmed"), await world.started("disabled"), await world.runs("disabled")]).toEqual([[], [], []]);
    await world.pump(setWorkflowEnabled(context, caller, { id: "disabled", enabled: true }));
    await world.time.advance(minute);
    expect([await world.started("unarmed"), await world.started("disabled")]).toEqual([[], [at("03:08:00")]]);
    await world.pump(deleteWorkflow(context, caller, "disabled"));
    await world.time.advance(minute);
    expect(await world.started("disabled")).toHaveLength(1);
    expect([await world.triggerEvents("missed"), scheduler.size]).toEqual([[], 0]);
  });

  test("a changed schedule counts at once, also when another process changed it", async () => {
    const world = newWorld();
    await world.cron("a", { cron: "*/30 * * * *" });
    await world.serve();
    await world.time.advance(minute);
    await world.cron("a", { cron: "* * * * *" });
    await world.time.advance(2 * minute);
    expect(await world.started("a")).toEqual([at("03:06:00"), at("03:07:00")]);
    const due = (await world.runs("a")).filter((run) => run.state === "due");
    expect(due.map((run) => new Date(run.scheduled_at).toISOString())).toEqual([at("03:08:00")]);
  });

  test("on a day when the clocks change, each time comes as the language says", async () => {
    const world = newWorld();
    await world.time.advance(Date.UTC(2026, 2, 28, 12) - world.time.now);
    await world.cron("named", { cron: "30 2 * * *", timezone: "Europe/Paris" });
    await world.cron("every", { cron: "0 * * * *", timezone: "Europe/Paris" });
    await world.serve();
    await world.time.advance(36 * 60 * minute);
    expect(await world.started("named")).toEqual(["2026-03-29T01:00:00.000Z"]);
    const hours = await world.started("every");
    expect(hours).toHaveLength(36);
    expect(new Set(hours).size).toBe(36);
  });
});

describe("starts that cannot be", () => {
  test("inputs that do not fit make an execution that fails", async () => {
    const world = newWorld();
    await world.cron(
      "bad",
      { cron: "* * * * *", inputs: { n: "{{ trigger.body.missing }}" } },
      { inputs: [{ id: "n", type: "integer", required: true }] },
    );
    await world.cron("worse", { cron: "* * * * *" }, { inputs: [{ id: "n", type: "integer", required: true }] });
    await world.serve();
    await world.time.advance(minute);
    for (const workflow of ["bad", "worse"]) {
      const [row] = await world.store.listExecutions({ workflow, limit: 2 });
      expect([row?.state, row?.reason, row?.trigger_id]).toEqual(["FAILED", "INVALID_INPUT", "tick"]);
    }
    expect((await world.runs("bad")).map((run) => run.state)).toEqual(["started", "due"]);
  });

  test("a missing secret makes an execution that fails; by hand it is refused", async () => {
    const world = newWorld();
    await world.cron("secret", { cron: "* * * * *" }, { secrets: ["TOKEN"] });
    const server = await world.serve();
    await world.time.advance(minute);
    const [row] = await world.store.listExecutions({ workflow: "secret", limit: 2 });
    expect([row?.state, JSON.parse(row?.error ?? "{}").code]).toEqual(["FAILED", "SECRETS_MISSING"]);
    expect(await codeOf(world.pump(fireTrigger(server.context, caller, { workflow: "secret" })))).toBe("SECRETS_MISSING");
  });

  test("a full queue skips the time, says so, and a backfill starts it later", async () => {
    const world = newWorld();
    await world.cron("a", { cron: "* * * * *" });
    const server = await world.serve();
    const { engine } = server.process;
    const submit = engine.submit.bind(engine);
    const { fail } = await import("../../src/base/index.ts");
    engine.submit = () => Promise.reject(fail("QUEUE_FULL", "Cannot start an execution: too many wait"));
    await world.time.advance(minute);
    engine.submit = submit;
    const [skipped] = await world.triggerEvents("skipped");
    expect([skipped?.payload["scheduled_at"], (skipped?.payload["error"] as JsonObject | undefined)?.["code"]]).toEqual([
      at("03:05:00"),
      "QUEUE_FULL",
    ]);
    expect((await readTriggerHealth(server.context, {})).triggers.map((one) => [one.reason, one.expectedAt, one.lastFiredAt])).toEqual([
      ["QUEUE_FULL", at("03:05:00"), null],
    ]);
    const range = { workflow: "a", trigger: "tick", from: world.time.now - 30_000, to: world.time.now };
    const { started } = await world.pump(backfillTrigger(server.context, caller, range));
    expect(started.map((run) => run.scheduledAt)).toEqual([at("03:05:00")]);
    expect((await readTriggerHealth(server.context, {})).triggers).toEqual([]);
  });
});

describe("after downtime", () => {
  /** A server that runs until 03:06:30, and one from 03:10:30 on: 03:07 to 03:10 are missed. */
  async function downtime(catchUp: string, cron = "* * * * *"): Promise<TriggerWorld> {
    const world = newWorld();
    await world.cron("a", { cron, catchUp });
    const server = await world.serve();
    await world.time.advance(2 * minute + 25_000);
    await server.stop();
    await world.time.advance(4 * minute);
    await world.serve();
    await world.time.advance(1000);
    return world;
  }
  const before = [at("03:05:00"), at("03:06:00")];
  const missed = [at("03:07:00"), at("03:08:00"), at("03:09:00"), at("03:10:00")];

  test("catchUp none starts nothing, and what was missed can be seen", async () => {
    const world = await downtime("none");
    expect(await world.started("a")).toEqual(before);
    expect((await world.triggerEvents("missed")).map(({ payload }) => payload["scheduled_at"])).toEqual(missed);
    const { context } = await world.context();
    const health = await readTriggerHealth(context, {});
    expect(health.triggers).toEqual([{ workflowId: "a", id: "tick", expectedAt: missed[3] ?? "", lastFiredAt: before[1] ?? "", reason: "MISSED" }]);
    await world.time.advance(minute);
    expect(await world.started("a")).toEqual([...before, at("03:11:00")]);
  });

  test("catchUp last starts the newest", async () => {
    const world = await downtime("last");
    expect(await world.started("a")).toEqual([...before, at("03:10:00")]);
    expect((await world.triggerEvents("missed")).map(({ payload }) => payload["scheduled_at"])).toEqual(missed.slice(0, 3));
    const { context } = await world.context();
    expect((await readTriggerHealth(context, {})).triggers).toEqual([]);
  });

  test("catchUp all starts every one", async () => {
    const world = await downtime("all");
    expect(await world.started("a")).toEqual([...before, ...missed]);
    expect(await world.triggerEvents("missed")).toEqual([]);
  });

  test("catchUp all starts the newest thousand, and tells of the rest together", async () => {
    const world = newWorld();
    await world.cron("a", { cron: "* * * * *", catchUp: "all" });
    await world.time.advance(1205 * minute);
    await world.serve();
    await world.time.until(async () => (await world.store.countExecutions())["SUCCESS"] === limits.catchUpRunsMax, 30_000);
    const started = await world.started("a");
    expect(started).toHaveLength(limits.catchUpRunsMax);
    expect(new Set(started).size).toBe(limits.catchUpRunsMax);
    const [rest, ...others] = await world.triggerEvents("missed");
    expect(others).toEqual([]);
    expect([rest?.payload["scheduled_at"], Date.parse(String(rest?.payload["until"]))]).toEqual([
      at("03:05:00"),
      Date.parse(started[0] ?? "") - minute,
    ]);
  });

  test("a server killed between a time and its start leaves it to the next one", async () => {
    const world = newWorld();
    await world.cron("a", { cron: "* * * * *", catchUp: "last" });
    const server = await world.serve();
    await world.time.advance(54_999);
    world.kill(server);
    await world.time.advance(1000);
    expect(await world.started("a")).toEqual([]);
    expect((await world.runs("a")).map((run) => run.state)).toEqual(["due"]);
    await world.serve();
    await world.time.advance(1000);
    expect(await world.started("a")).toEqual([at("03:05:00")]);
  });

  test("a catch-up that was cut off goes on where it was, and starts nothing twice", async () => {
    const world = newWorld();
    await world.cron("a", { cron: "* * * * *", catchUp: "all" });
    await world.time.advance(200 * minute);
    const server = await world.context();
    void server.scheduler.start();
    for (let round = 0; (await world.started("a")).length < 20; round += 1) {
      if (round > 1000) throw new Error("the catch-up does not begin");
      await new Promise((resolve) => setImmediate(resolve));
      await world.time.step(world.time.now);
    }
    world.kill(server);
    await world.serve();
    await world.time.advance(1000);
    const started = await world.started("a");
    expect(started).toHaveLength(200);
    expect(new Set(started).size).toBe(200);
  });

  test("a workflow that was applied while no server ran is caught up from then on", async () => {
    const world = newWorld();
    await world.cron("a", { cron: "* * * * *", catchUp: "all" });
    await world.time.advance(2 * minute);
    await world.serve();
    await world.time.advance(1000);
    expect(await world.started("a")).toEqual([at("03:05:00"), at("03:06:00")]);
  });

  test("a machine that slept finds the same", async () => {
    const world = newWorld();
    await world.cron("a", { cron: "* * * * *", catchUp: "last" });
    const server = await world.serve();
    await world.time.advance(minute);
    server.process.owner.frozenUntil = world.time.now + 10 * minute;
    await world.time.advance(10 * minute + 1000);
    expect(await world.started("a")).toEqual([at("03:05:00"), at("03:15:00")]);
    expect(await world.triggerEvents("missed")).toHaveLength(9);
  });
});

describe("by hand", () => {
  test("a backfill starts what was not started, bounded, and shows it first when asked", async () => {
    const world = newWorld();
    await world.cron("a", { cron: "* * * * *" });
    const server = await world.serve();
    await world.time.advance(3 * minute);
    const range = { workflow: "a", trigger: "tick", from: world.time.now - 10 * minute, to: world.time.now };
    const dry = await world.pump(backfillTrigger(server.context, caller, { ...range, dryRun: true }));
    expect([dry.started.length, dry.skipped.length, dry.started[0]?.executionId]).toEqual([7, 3, null]);
    expect(await world.started("a")).toHaveLength(3);
    const done = await world.pump(backfillTrigger(server.context, caller, range));
    expect([done.started.length, done.skipped.map((one) => one.reason)]).toEqual([7, Array(3).fill("ALREADY_STARTED")]);
    const again = await world.pump(backfillTrigger(server.context, caller, range));
    expect([again.started.length, again.skipped.length]).toEqual([0, 10]);
    expect(await codeOf(backfillTrigger(server.context, caller, { ...range, from: range.to - 1001 * minute }))).toBe("INPUT_INVALID");
    expect(await codeOf(backfillTrigger(server.context, caller, { ...range, to: world.time.now + 1 }))).toBe("INPUT_INVALID");
    expect(await codeOf(backfillTrigger(server.context, caller, { ...range, trigger: "other" }))).toBe("TRIGGER_NOT_FOUND");
    expect(await codeOf(backfillTrigger(server.context, caller, { ...range, workflow: "other" }))).toBe("WORKFLOW_NOT_FOUND");
  });

  test("two backfills at once start each time once", async () => {
    const world = newWorld();
    await world.cron("a", { cron: "* * * * *" });
    const [one, two] = [await world.serve(), await world.serve()];
    const range = { workflow: "a", trigger: "tick", from: world.time.now - 30 * minute, to: world.time.now };
    const both = [backfillTrigger(one.context, caller, range), backfillTrigger(two.context, caller, range)];
    const [first, second] = await world.pump(Promise.all(both));
    expect((first?.started.length ?? 0) + (second?.started.length ?? 0)).toBe(30);
    expect(await world.started("a")).toHaveLength(30);
  });

  test("firing starts now, by who asked", async () => {
    const world = newWorld();
    await world.cron("a", { cron: "0 0 1 1 *" });
    const server = await world.serve();
    const { executionId } = await world.pump(fireTrigger(server.context, caller, { workflow: "a" }));
    const row = await world.execution(executionId);
    expect([row.trigger_type, row.trigger_id, row.by, row.scheduled_at]).toEqual(["cron", "tick", "user:tester", world.time.now]);
    const { triggers } = await listTriggers(server.context, {});
    expect(triggers.map((one) => [one.workflowId, one.id, one.type, one.enabled, one.cron, one.next])).toEqual([
      ["a", "tick", "cron", true, "0 0 1 1 *", "2027-01-01T00:00:00.000Z"],
    ]);
  });

  test("a start by a trigger sees what came with it, and needs a row of its own to be unique", async () => {
    const world = newWorld();
    await world.apply({
      id: "hook",
      inputs: [{ id: "day", type: "string" }],
      secrets: [],
      triggers: [{ id: "tick", type: "cron", cron: "0 0 1 1 *", inputs: { day: "{{ trigger.body.day }}" } }],
      tasks: [{ id: "a", run: "true" }],
    });
    const server = await world.serve();
    const start = {
      workflow: "hook",
      trigger: { id: "tick", type: "cron" as const },
      scheduledAt: null,
      data: { body: { day: "monday" }, headers: {}, query: {} },
      onMisfit: "throw" as const,
      sideChanges: () => [
        { table: "idempotency" as const, op: "insert" as const, row: { scope: "s", key: "k", body_sha256: "", result: "", expires_at: 9e15 } },
      ],
    };
    const { executionId } = await world.pump(startByTrigger(server.context, caller, start));
    expect(JSON.parse((await world.execution(executionId)).inputs)).toEqual({ day: "monday" });
    expect(await codeOf(world.pump(startByTrigger(server.context, caller, start)))).toBe("ALREADY_EXISTS");
    expect(await codeOf(world.pump(startByTrigger(server.context, caller, { ...start, data: null })))).toBe("INPUT_INVALID");
  });
});
