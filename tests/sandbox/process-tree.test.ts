// The process tree of a task: how it ends, and that nothing of it is left when it has.

import { describe, expect, test } from "bun:test";
import { closeSync, readSync } from "node:fs";
import { compilePlan, openLauncher, openMemoryFile, parseReport, reportBytes } from "../../src/plugins/sandbox/index.ts";
import { finish, isAlive, isRunning, marked, onLinux, readText, startScript, startTask, waitForOutput, waitForPid, waitUntil } from "./task-tree.ts";
import type { Task } from "./task-tree.ts";

/** Survivors at the moment at which `exited` resolved: no grace for stragglers. */
async function survivorsOf(task: Task): Promise<number[]> {
  await task.exited;
  return [...marked(task.mark), ...(isAlive(task.pid) ? [task.pid] : [])];
}

/** Forks without end from many processes at once, each of which leaves its session and its parent. */
const swarm = `
import os, time
for i in range(20):
    if os.fork() == 0: break
else:
    print("ready", os.getpid(), flush=True)
    time.sleep(600)
end = time.time() + 60
while time.time() < end:
    if os.fork(): os._exit(0)
    os.setsid()
`;

// The launcher and its supervisor are Linux programs.
describe.skipIf(!onLinux)("the end of a task", () => {
  test("exit codes pass through", async () => {
    for (const code of [0, 1, 7, 125, 126, 127, 255]) {
      const { exit } = await finish(startScript(`exit ${code}`));
      expect(exit).toEqual({ exitCode: code, signal: null });
    }
  });

  test("signals pass through", async () => {
    for (const signal of ["SIGTERM", "SIGKILL", "SIGSEGV", "SIGPIPE", "SIGUSR1"]) {
      const { exit } = await finish(startScript(`kill -${signal.slice(3)} $$`));
      expect(exit).toEqual({ exitCode: null, signal });
    }
  });

  test("a task's `kill 0` reaches its own group and not its supervisor", async () => {
    const { exit } = await finish(startScript("trap 'exit 9' TERM; sleep 600 & kill -TERM 0; wait"));
    expect(exit).toEqual({ exitCode: 9, signal: null });
  });

  test("stopping after the end does nothing", async () => {
    const task = startScript("exit 3");
    await finish(task);
    task.terminate();
    task.kill();
    task.terminate();
    expect(await task.exited).toEqual({ exitCode: 3, signal: null });
  });

  test("stopping before the first process runs ends as that signal", async () => {
    for (const [stop, signal] of [
      ["kill", "SIGKILL"],
      ["terminate", "SIGTERM"],
    ] as const) {
      const task = startScript("sleep 600");
      task[stop]();
      const { exit } = await finish(task);
      expect(exit).toEqual({ exitCode: null, signal });
      expect(marked(task.mark)).toEqual([]);
    }
  });
});

// The launcher and its supervisor are Linux programs.
describe.skipIf(!onLinux)("nothing survives the end of the first process", () => {
  const escapes = {
    "a background job": "sleep 600 &",
    nohup: "nohup sleep 600 > /dev/null 2>&1 &",
    setsid: "setsid sleep 600 &",
    "a double fork": "(setsid sh -c 'sleep 600 & sleep 600 & wait' &)",
    "a job that ignores signals": "(trap '' TERM HUP INT; exec sleep 600) &",
    "a stopped job": "sleep 600 & until grep -q sleep /proc/$!/comm; do :; done; kill -STOP $!",
  };
  for (const [name, script] of Object.entries(escapes)) {
    test(name, async () => {
      // The first process goes on, so that the escape is seen alive before the end.
      const task = startScript(`${script}\necho ready $$; while :; do sleep 0.05; done`);
      const first = await waitForPid(task);
      await waitUntil("the escape lives", () => marked(task.mark).some((pid) => isRunning(pid, "sleep 600")));
      process.kill(first, "SIGKILL");
      expect(await survivorsOf(task)).toEqual([]);
    });
  }

  test("whatever its exit code", async () => {
    const task = startScript("setsid sleep 600 & exit 4");
    const { exit } = await finish(task);
    expect(exit.exitCode).toBe(4);
    expect(await survivorsOf(task)).toEqual([]);
  });

  test("a swarm that forks while it is killed", async () => {
    const task = startTask(["python3", "-c", swarm]);
    const first = await waitForPid(task);
    await waitUntil("the swarm forks", () => marked(task.mark).length >= 2);
    process.kill(first, "SIGKILL");
    expect(await survivorsOf(task)).toEqual([]);
  });
});

// The launcher and its supervisor are Linux programs.
describe.skipIf(!onLinux)("stopping a task", () => {
  test("terminate asks every process of the tree", async () => {
    const inner = "trap 'echo inner; exit' TERM; echo ready; while :; do sleep 0.05; done";
    const task = startScript(`trap 'wait; exit 5' TERM; setsid sh -c "${inner}" & wait; wait`);
    let text = "";
    for await (const chunk of task.stdout) {
      text += Buffer.from(chunk).toString();
      if (text === "ready\n") task.terminate();
    }
    expect(text).toBe("ready\ninner\n");
    expect(await task.exited).toEqual({ exitCode: 5, signal: null });
  });

  test("what ignores SIGTERM is killed after the grace, not before", async () => {
    const task = startScript("trap '' TERM; echo ready; while :; do sleep 0.05; done", { graceMs: 200 });
    await waitForOutput(task, "ready");
    const start = performance.now();
    task.terminate();
    expect(await survivorsOf(task)).toEqual([]);
    expect(performance.now() - start).toBeGreaterThan(190);
    expect(await task.exited).toEqual({ exitCode: null, signal: "SIGKILL" });
  });

  test("kill does not wait for a running grace", async () => {
    const task = startScript("trap '' TERM; echo ready; while :; do sleep 0.05; done", { graceMs: 60_000 });
    await waitForOutput(task, "ready");
    task.terminate();
    task.kill();
    expect(await survivorsOf(task)).toEqual([]);
  });

  test("kill gets a swarm that forks all the while", async () => {
    const task = startTask(["python3", "-c", swarm]);
    await waitForPid(task);
    await waitUntil("the swarm forks", () => marked(task.mark).length >= 2);
    task.kill();
    expect(await survivorsOf(task)).toEqual([]);
  });

  test("kill gets a task that has stopped its supervisor", async () => {
    const task = startScript("kill -STOP $PPID; echo ready; sleep 600");
    await waitForOutput(task, "ready");
    task.kill();
    expect(await survivorsOf(task)).toEqual([]);
  });

  test("a task that kills its supervisor dies with it, and the caller is told", async () => {
    const task = startScript("sleep 600 & echo ready; kill -KILL $PPID; sleep 600");
    await waitForOutput(task, "ready");
    await expect(task.exited).rejects.toMatchObject({ code: "TASK_FAILED" });
    await waitUntil("the task is gone", () => marked(task.mark).length === 0);
  });

  // Until tasks may not signal their supervisor (Landlock's signal scope), one that means to can leave this behind.
  test("pipes that a stranger holds open do not hold up the caller", async () => {
    const task = startScript("setsid sleep 600 & until grep -q sleep /proc/$!/comm; do :; done; kill -KILL $PPID; sleep 600");
    await expect(task.exited).rejects.toMatchObject({ code: "TASK_FAILED" });
    expect(await readText(task.stdout)).toBe("");
    expect(await readText(task.stderr)).toBe("");
    expect((await task.result).length).toBe(0);
    for (const pid of marked(task.mark)) process.kill(pid, "SIGKILL");
    await waitUntil("the stranger is gone", () => marked(task.mark).length === 0);
  });
});

// The launcher and its supervisor are Linux programs.
describe.skipIf(!onLinux)("the death of the engine", () => {
  const driver = new URL("./engine-driver.ts", import.meta.url).pathname;

  test("kill -9 of the engine leaves nothing, whatever the task did", async () => {
    const mark = crypto.randomUUID();
    const engine = Bun.spawn([process.execPath, driver, mark], { env: { BUN_BE_BUN: "1" }, stdio: ["ignore", "pipe", "inherit"] });
    const { value } = await engine.stdout.getReader().read();
    const supervisor = Number(Buffer.from(value ?? new Uint8Array()).toString());
    await waitUntil("the tree lives", () => marked(mark).length >= 4);
    expect(isAlive(supervisor)).toBe(true);
    engine.kill("SIGKILL");
    await engine.exited;
    await waitUntil("the tree is gone", () => marked(mark).length === 0 && !isAlive(supervisor));
  });

  test("a launcher whose engine died before it could watch it starts nothing", async () => {
    const { path, arch } = openLauncher();
    const spec = { arch, program: "/bin/echo", argv: ["echo", "started"], env: {}, cwd: "/" };
    const plan = compilePlan({ ...spec, enginePid: process.ppid });
    const planFile = openMemoryFile("plan", plan.bytes);
    const child = Bun.spawn([path], { env: {}, stdio: ["ignore", "pipe", "inherit", "ignore", planFile] });
    expect(await new Response(child.stdout).text()).toBe("");
    await child.exited;
    const head = new Uint8Array(reportBytes);
    readSync(planFile, head, 0, reportBytes, 0);
    closeSync(planFile);
    const { failed, pid } = parseReport(head);
    expect(pid).toBeNull();
    expect(plan.steps[failed?.step ?? -1]).toMatchObject({ kind: "expect", what: "engine" });
  });
});
