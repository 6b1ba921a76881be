// The promises of process-tree.test.ts, kept for confined tasks too: with namespaces, and without them.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { probeSandbox } from "../../src/plugins/sandbox/index.ts";
import { confine, startConfined, users } from "./confined.ts";
import type { ConfinedTask, User } from "./confined.ts";
import { finish, isAlive, isRunning, marked, onLinux, waitForOutput, waitUntil } from "./task-tree.ts";

const escapes = {
  "a background job": "sleep 600 &",
  nohup: "nohup sleep 600 > /dev/null 2>&1 &",
  setsid: "(setsid sleep 600 || sleep 600) &",
  "a double fork": "(setsid sh -c 'sleep 600 & sleep 600 & wait' &); (sleep 600 &)",
  "a job that ignores signals": "(trap '' TERM HUP INT; exec sleep 600) &",
};
const swarm = `
import os, time
for i in range(20):
    if os.fork() == 0: break
else:
    print("ready", flush=True)
    time.sleep(600)
end = time.time() + 60
while time.time() < end:
    if os.fork(): os._exit(0)
`;

async function survivorsOf(task: ConfinedTask): Promise<number[]> {
  await task.exited;
  return [...marked(task.mark), ...(isAlive(task.pid) ? [task.pid] : [])];
}

/** Rounds in which a task that was asked to end did not hear it, asked anywhere between its first process and its program. */
async function slowEnds(start: () => ConfinedTask): Promise<number[]> {
  const slow: number[] = [];
  for (let round = 0; round < 60; round += 1) {
    const task = start();
    const until = performance.now() + (round % 12) * 0.4;
    while (performance.now() < until);
    const asked = performance.now();
    task.terminate();
    await task.exited;
    if (performance.now() - asked > 5000) slow.push(round);
  }
  return slow;
}

function suite(user: User): void {
  const start = (script: string) => startConfined(["sh", "-c", script], confine({ user }));

  for (const [name, script] of Object.entries(escapes)) {
    test(`${name} ends with the first process, and with a kill`, async () => {
      const ends = start(`${script}\necho ready; read line; exit 4`);
      expect((await finish(ends)).exit.exitCode).toBe(4);
      expect(await survivorsOf(ends)).toEqual([]);

      const killed = start(`${script}\necho ready; while :; do sleep 0.05; done`);
      await waitForOutput(killed, "ready");
      await waitUntil("the escape lives", () => marked(killed.mark).some((pid) => isRunning(pid, "sleep 600")));
      expect(killed.descendants().length).toBeGreaterThanOrEqual(2);
      expect(killed.descendants()).toContain(marked(killed.mark).find((pid) => isRunning(pid, "sleep 600")) ?? -1);
      killed.kill();
      expect(await survivorsOf(killed)).toEqual([]);
      expect(await killed.exited).toEqual({ exitCode: null, signal: "SIGKILL" });
    });
  }

  test("terminate is heard whenever it comes, also before the task's program began", async () => {
    expect(await slowEnds(() => startConfined(["sleep", "600"], confine({ user }), { graceMs: 10_000 }))).toEqual([]);
  }, 60_000);

  test("terminate asks every process of the tree", async () => {
    const inner = "trap 'echo inner; exit' TERM; echo ready; while :; do sleep 0.05; done";
    const task = start(`trap 'wait; exit 5' TERM; sh -c "${inner}" & wait; wait`);
    let text = "";
    for await (const chunk of task.stdout) {
      text += Buffer.from(chunk).toString();
      if (text === "ready\n") task.terminate();
    }
    expect(text).toBe("ready\ninner\n");
    expect(await task.exited).toEqual({ exitCode: 5, signal: null });
  });

  test("terminate without a trap ends as SIGTERM, and early stops as their signal", async () => {
    const task = start("echo ready; sleep 600");
    await waitForOutput(task, "ready");
    task.terminate();
    expect(await task.exited).toEqual({ exitCode: null, signal: "SIGTERM" });
    for (let round = 0; round < 5; round++) {
      const early = start("sleep 600");
      early.kill();
      expect((await finish(early)).exit).toEqual({ exitCode: null, signal: "SIGKILL" });
      expect(await survivorsOf(early)).toEqual([]);
    }
  });

  test("kill gets a swarm that forks all the while", async () => {
    const task = startConfined(["python3", "-c", swarm], confine({ user }));
    await waitForOutput(task, "ready");
    task.kill();
    expect(await survivorsOf(task)).toEqual([]);
  });

  test("a task cannot stop or kill who keeps it", async () => {
    const { stdout, exit } = await finish(start("kill -STOP $PPID; kill -KILL $PPID; kill -KILL 1; echo lives; exit 3"));
    expect([stdout, exit.exitCode]).toEqual(["lives\n", 3]);
  });
}

// The sandbox is Linux's.
describe.skipIf(!onLinux).each(users)("nothing of a task survives as $name", ({ user }) => suite(user));

// The sandbox is Linux's.
describe.skipIf(!onLinux)("nothing of a task survives without namespaces", () => {
  const { facts } = onLinux ? probeSandbox() : { facts: {} };
  const all = { ...facts };
  beforeAll(() => {
    Object.assign(facts, { namespaces: null, mounts: false, ownProc: false, countApart: false });
  });
  afterAll(() => {
    Object.assign(facts, all);
  });
  suite(null);
});

// The sandbox is Linux's.
describe.skipIf(!onLinux)("the death of the engine", () => {
  const driver = new URL("./engine-driver.ts", import.meta.url).pathname;

  test("kill -9 of the engine leaves nothing of a confined task", async () => {
    const mark = crypto.randomUUID();
    const engine = Bun.spawn([process.execPath, driver, mark, "strict"], { env: { BUN_BE_BUN: "1" }, stdio: ["ignore", "pipe", "inherit"] });
    const { value } = await engine.stdout.getReader().read();
    const supervisor = Number(Buffer.from(value ?? new Uint8Array()).toString());
    await waitUntil("the tree lives", () => marked(mark).length >= 4);
    expect(isAlive(supervisor)).toBe(true);
    engine.kill("SIGKILL");
    await engine.exited;
    await waitUntil("the tree is gone", () => marked(mark).length === 0 && !isAlive(supervisor));
  });

  test("kill -9 of the supervisor takes the namespace with it", async () => {
    const task = startConfined(["sh", "-c", "sleep 600 & echo ready; sleep 600"], confine());
    await waitForOutput(task, "ready");
    process.kill(task.pid, "SIGKILL");
    await expect(task.exited).rejects.toMatchObject({ code: "TASK_FAILED" });
    await waitUntil("the task is gone", () => marked(task.mark).length === 0);
  });
});
