// kill -9 of the real server at moments of chance: what was acknowledged is there afterwards, once, and ends.
import { expect, test } from "bun:test";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { Home, processesWith, type Server, until } from "../product/binary.ts";

type Execution = {
  execution: { executionId: string; state: string; reasonCode: string | null };
  tasks: { taskId: string; state: string; attempts: unknown[] }[];
};
type Events = { events: { event_type: string; sequence: number; payload: { task?: string; attempt?: number } }[]; total_count: number };

const seed = Number(process.env["CRASH_SEED"] ?? 20_261_121);
let state = seed;
/** Numerical Recipes' linear congruence: enough to choose moments, and repeatable. */
function chance(): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return state / 2 ** 32;
}

const mixed = (marker: string) => `id: mixed
tasks:
  - { id: one, type: core/value.set, inputs: { n: 1 } }
  - id: work
    needs: [one]
    run: 'sleep 0.0$N; echo "$MARK"'
    env: { N: "{{ tasks.one.output.n }}", MARK: ${marker} }
    retry: { max: 20, backoff: constant, delay: 20ms }
  - { id: pause, needs: [one], type: core/wait.for, inputs: { duration: 60ms } }
  - { id: last, needs: [work, pause], type: core/value.set, inputs: { seen: "{{ tasks.work.output.stdout }}" } }
finally:
  - { id: note, type: core/log.write, inputs: { message: done } }
outputs: { seen: "{{ tasks.last.output.seen }}" }
`;

async function load(server: Server, acknowledged: Set<string>, stop: { now: boolean }): Promise<void> {
  while (!stop.now) {
    const answer = await server.call("POST", "/api/v1/workflows/mixed/executions", { inputs: {} }).catch(() => null);
    if (answer === null) return;
    if (answer.status === 202 || answer.status === 200) acknowledged.add((answer.body as { executionId: string }).executionId);
    await Bun.sleep(5);
  }
}

test(`[WF-05] kill -9 at any moment loses nothing acknowledged, repeats nothing, and every execution ends (CRASH_SEED=${seed})`, async () => {
  const home = new Home();
  const marker = `crash-${seed}-${process.pid}`;
  const acknowledged = new Set<string>();
  let server = await home.startServer();
  await server.apply("mixed", mixed(marker));
  for (let round = 0; round < 6; round += 1) {
    const stop = { now: false };
    const clients = [load(server, acknowledged, stop), load(server, acknowledged, stop)];
    await Bun.sleep(50 + Math.floor(chance() * 400));
    await server.kill();
    stop.now = true;
    await Promise.all(clients);
    await until(() => (processesWith(marker).length === 0 ? true : null), 5000);
    server = await home.startServer();
  }
  expect(acknowledged.size).toBeGreaterThan(10);
  for (const id of acknowledged) {
    const ended = await until(async () => {
      const answer = await server.call("GET", `/api/v1/executions/${id}`);
      expect(answer.status).toBe(200);
      const body = answer.body as Execution;
      return ["SUCCESS", "FAILED", "CANCELLED"].includes(body.execution.state) ? body : null;
    }, 60_000);
    expect(ended.execution.state).toBe("SUCCESS");
    const trace = (await server.call("GET", `/v1/traces/${id}/events?limit=500`)).body as Events;
    expect(trace.events.map((event) => event.sequence)).toEqual(trace.events.map((_, index) => index));
    const successes = trace.events.filter((event) => event.event_type === "trace.task.succeeded").map((event) => event.payload.task);
    expect(successes.toSorted()).toEqual(["last", "note", "one", "pause", "work"]);
    const starts = trace.events
      .filter((event) => event.event_type === "trace.task.started")
      .map((event) => `${event.payload.task}#${event.payload.attempt}`);
    expect(new Set(starts).size).toBe(starts.length);
  }
  expect((await server.stop()).code).toBe(0);
  const verified = await home.run(["trace", "verify", "--all", "--state"]);
  expect(verified.code).toBe(0);
}, 180_000);

test("kill -9 of a one-shot leaves no process, and the next server start ends its execution", async () => {
  const home = new Home();
  const marker = `oneshot-${process.pid}-${Date.now()}`;
  mkdirSync(home.path("marks"));
  await Bun.write(
    home.path("long.yaml"),
    `id: long\npermissions: { filesystem: { write: [./marks] } }\ntasks:\n  - id: hold\n    run: |\n      setsid sleep 300 &\n      (nohup sleep 300 >/dev/null 2>&1 &)\n      touch "$HOLD"\n      sleep 300\n    env: { MARK: ${marker}, HOLD: ${home.path("marks/held")} }\n`,
  );
  const { child, ended } = home.start(["run", "long.yaml", "--wait"]);
  await until(() => (existsSync(home.path("marks/held")) ? true : null));
  expect(processesWith(marker).length).toBeGreaterThan(2);
  child.kill("SIGKILL");
  await ended;
  await until(() => (processesWith(marker).length === 0 ? true : null), 5000);
  const server = await home.startServer();
  const list = (await server.call("GET", "/api/v1/executions")).body as { executions: { executionId: string }[] };
  const id = list.executions[0]?.executionId ?? "";
  const last = await until(async () => {
    const body = (await server.call("GET", `/api/v1/executions/${id}`)).body as Execution;
    return body.execution.state === "FAILED" ? body : null;
  });
  expect(last.execution.reasonCode).toBe("CRASH_RECOVERY");
  await server.stop();
  expect(existsSync(join(home.data, "server.json"))).toBe(false);
}, 60_000);
