// Cron triggers of the real product: seconds on the real clock, two servers on one store, and what a kill leaves.
import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { Home, type Server, until } from "../product/binary.ts";

type Item = { executionId: string; state: string; createdAt: string; trigger: { type: string; id: string; scheduledAt: string; by: string } };

const source = (catchUp = "none") => `
id: sec
triggers:
  - { id: tick, type: cron, cron: "* * * * * *", catchUp: ${catchUp} }
tasks:
  - { id: a, type: core/log.write, inputs: { message: "{{ trigger.scheduled_at }}" } }
`;

async function executions(server: Server): Promise<Item[]> {
  const { body } = await server.call("GET", "/api/v1/executions?workflow=sec&limit=500");
  return (body as { executions: Item[] }).executions.toReversed();
}

async function settled(server: Server, count: number): Promise<Item[]> {
  return until(async () => {
    const found = await executions(server);
    return found.length >= count ? found : null;
  }, 20_000);
}

const secondsOf = (items: readonly Item[]) => items.map((item) => Date.parse(item.trigger.scheduledAt) / 1000).toSorted((a, b) => a - b);

describe("cron triggers", () => {
  test("[WF-19] a trigger of every second fires each second once, on time", async () => {
    const home = new Home();
    const server = await home.startServer();
    await server.apply("sec", source());
    const items = await settled(server, 5);
    const seconds = secondsOf(items);
    const first = seconds[0] ?? 0;
    expect(seconds).toEqual(seconds.map((_, index) => first + index));
    for (const { trigger } of items) expect([trigger.type, trigger.id, trigger.by]).toEqual(["cron", "tick", "service:server"]);
    const lateness = items.map((item) => Date.parse(item.createdAt) - Date.parse(item.trigger.scheduledAt)).toSorted((a, b) => a - b);
    expect(lateness[0]).toBeGreaterThanOrEqual(0);
    // A loaded machine may be late now and then; the scheduler itself is not.
    expect(lateness[Math.floor(lateness.length / 2)]).toBeLessThan(50);
    const shown = await server.call("GET", "/api/v1/workflows/sec");
    const { triggers } = shown.body as { triggers: { id: string; type: string; next: string }[] };
    expect(Date.parse(triggers[0]?.next ?? "") % 1000).toBe(0);
    expect((await server.call("PATCH", "/api/v1/workflows/sec", { enabled: false })).status).toBe(200);
    const count = (await executions(server)).length;
    const disabled = await server.call("GET", "/api/v1/triggers?workflow=sec");
    expect((disabled.body as { triggers: unknown[] }).triggers[0]).toMatchObject({ workflowId: "sec", enabled: false, next: null });
    // That nothing comes can only be seen when time has passed.
    await Bun.sleep(2100);
    expect((await executions(server)).length).toBeLessThanOrEqual(count + 1);
    await server.stop();
  }, 60_000);

  test("[WF-19] two servers with data folders of their own on one store fire each second once; a kill -9 of one misses none", async () => {
    const home = new Home();
    const other = new Home();
    writeFileSync(home.path("c.yaml"), `storage: { path: ${JSON.stringify(home.path("store/store.db"))} }\n`);
    const config = ["-c", home.path("c.yaml")];
    const one = await home.startServer(config);
    const two = await other.startServer(config);
    await one.apply("sec", source());
    await settled(two, 4);
    const { stderr } = await one.kill();
    const seen = (await executions(two)).length;
    const seconds = secondsOf(await settled(two, seen + 4));
    const first = seconds[0] ?? 0;
    expect(seconds).toEqual(seconds.map((_, index) => first + index));
    // Who comes second to a time says nothing of it.
    expect(stderr).not.toContain("given up");
    expect((await two.stop()).stderr).not.toContain("given up");
  }, 60_000);

  for (const catchUp of ["none", "last", "all"] as const) {
    test(`after kill -9 and a while, catchUp ${catchUp} starts what it promises`, async () => {
      const home = new Home();
      const first = await home.startServer();
      await first.apply("sec", source(catchUp));
      await settled(first, 2);
      await first.kill();
      const stopped = Date.now();
      // The downtime itself: seconds that really pass.
      await Bun.sleep(3500);
      const back = Math.floor(Date.now() / 1000);
      const second = await home.startServer();
      const items = await until(async () => {
        const found = await executions(second);
        return secondsOf(found).filter((at) => at > back + 1).length >= 2 ? found : null;
      }, 20_000);
      const seconds = secondsOf(items);
      expect(new Set(seconds).size).toBe(seconds.length);
      const down = [1, 2].map((after) => Math.ceil(stopped / 1000) + after - 1).filter((at) => at < back);
      const made = down.filter((at) => seconds.includes(at)).length;
      expect(down.length).toBeGreaterThan(0);
      expect(made).toBe(catchUp === "all" ? down.length : 0);
      const missed = await second.call("GET", "/v1/traces?subject=system");
      const { traces } = missed.body as { traces: { trace_id: string }[] };
      const events = await second.call("GET", `/v1/traces/${traces[0]?.trace_id ?? ""}/events?event_type=trigger.missed&limit=100`);
      const count = (events.body as { total_count: number }).total_count;
      if (catchUp === "all") expect(count).toBe(0);
      else expect(count).toBeGreaterThan(0);
      const health = await second.call("GET", "/api/v1/triggers/health");
      const unfired = (health.body as { triggers: { workflowId: string; reason: string }[] }).triggers.map(
        (one) => `${one.workflowId} ${one.reason}`,
      );
      expect(unfired).toEqual(catchUp === "none" ? ["sec MISSED"] : []);
      await second.stop();
    }, 60_000);
  }

  test("AUTOKESTRA_DISABLE_RUNTIME=1: nothing fires", async () => {
    const home = new Home();
    const server = await home.startServer([], { AUTOKESTRA_DISABLE_RUNTIME: "1" });
    await server.apply("sec", source());
    // As above: two seconds in which two would have come.
    await Bun.sleep(2200);
    expect(await executions(server)).toEqual([]);
    await server.stop();
  }, 60_000);
});

describe("trigger commands", () => {
  test("list, next, health, backfill and fire, with no server", async () => {
    const home = new Home();
    const yaml =
      "id: night\ntriggers:\n  - { id: tick, type: cron, cron: '0 2 * * *', timezone: Europe/Paris }\ntasks:\n  - { id: a, type: core/log.write, inputs: { message: hi } }\n";
    writeFileSync(home.path("night.yaml"), yaml);
    expect((await home.run(["apply", "night.yaml"])).code).toBe(0);
    const json = async (...args: string[]) => JSON.parse((await home.run(["trigger", ...args, "--json"])).stdout) as Record<string, unknown[]>;
    expect((await json("list"))["triggers"]).toMatchObject([
      { workflowId: "night", id: "tick", cron: "0 2 * * *", timezone: "Europe/Paris", last: null },
    ]);
    const next = await json("next", "night", "--count", "3");
    const [only] = next["triggers"] as { id: string; next: string[] }[];
    expect(Object.keys(next)).toEqual(["triggers"]);
    expect([only?.id, only?.next.length]).toEqual(["tick", 3]);
    expect((await json("health"))["triggers"]).toEqual([]);
    const fired = await home.run(["trigger", "fire", "night", "--json"]);
    expect([fired.code, (JSON.parse(fired.stdout) as { state: string }).state]).toEqual([0, "SUCCESS"]);
    const dry = await json("backfill", "night", "--trigger", "tick", "--from", "50h", "--dry-run");
    expect(dry["started"]).toHaveLength(2);
    const done = await json("backfill", "night", "--trigger", "tick", "--from", "50h");
    expect(done["started"]).toMatchObject([{ state: "SUCCESS" }, { state: "SUCCESS" }]);
    const again = await json("backfill", "night", "--from", "50h");
    expect([again["started"]?.length, again["skipped"]?.length]).toEqual([0, 2]);
    expect((await home.run(["trigger", "fire", "night", "--trigger", "other"])).code).toBe(4);
    expect((await home.run(["trigger", "next", "nothing"])).code).toBe(4);
    expect((await home.run(["trigger", "backfill", "night"])).code).toBe(2);
    expect((await home.run(["trigger", "backfill", "night", "--from", "2000d"])).code).toBe(3);
    expect((await home.run(["disable", "night"])).code).toBe(0);
    expect((await home.run(["trigger", "fire", "night"])).code).toBe(5);
  }, 60_000);
});
