// Containers of a real engine end when they are told to, and with the server, and nothing of them stays.

import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { ContainerRuntime, type ContainerOwner } from "../../src/plugins/runtimes/docker/index.ts";
import { ambient, finish, readSome, script, startTestEngine, until } from "./engine.ts";

const { engine, reason } = await startTestEngine();
afterAll(() => engine?.stop(), 60_000);

const inEngine = () => {
  if (engine === null) throw new Error("no engine");
  return engine;
};

// Each test needs the engine; why there is none stands in the title.
describe.skipIf(engine === null)(`[WF-13] the life of containers${reason}`, () => {
  test("[WF-13] SIGTERM reaches every process, which may end by itself", async () => {
    const child = "sh -c 'trap \"echo child; exit\" TERM; while :; do sleep 0.1; done' &";
    const handle = inEngine()
      .runtime()
      .runContainer(script(`${child} trap 'wait; echo parent; exit 9' TERM; echo ready; while :; do sleep 0.1; done`));
    await readSome(handle.stdout);
    handle.terminate();
    const { exit, stdout } = await finish(handle);
    expect(exit).toEqual({ exitCode: 9, signal: null, oomKilled: false });
    expect(stdout.trim().split("\n").toSorted()).toEqual(["child", "parent"]);
    expect(await inEngine().containers()).toEqual([]);
  });

  test("[WF-13] a task that ends by the signal says so", async () => {
    const handle = inEngine().runtime().runContainer(script("echo ready; exec sleep 600"));
    await readSome(handle.stdout);
    handle.terminate();
    expect((await finish(handle)).exit).toEqual({ exitCode: null, signal: "SIGTERM", oomKilled: false });
  });

  test("[WF-13] SIGKILL after the grace, and at once", async () => {
    const stubborn = (graceMs: number) => script("trap '' TERM; echo ready; while :; do sleep 0.1; done", { graceMs });
    const [slow, fast] = [inEngine().runtime().runContainer(stubborn(300)), inEngine().runtime().runContainer(stubborn(600_000))];
    await Promise.all([readSome(slow.stdout), readSome(fast.stdout)]);
    slow.terminate();
    fast.terminate();
    fast.kill();
    const killed = { exitCode: null, signal: "SIGKILL", oomKilled: false };
    expect((await finish(slow)).exit).toEqual(killed);
    expect((await finish(fast)).exit).toEqual(killed);
    expect(await inEngine().containers()).toEqual([]);
  });

  test("[WF-13] one that is stopped before it started never starts", async () => {
    const handle = inEngine().runtime().runContainer(script("echo ran"));
    handle.terminate();
    expect(await finish(handle)).toEqual({ exit: { exitCode: null, signal: "SIGTERM", oomKilled: false }, stdout: "", stderr: "" });
    expect(await inEngine().containers()).toEqual([]);
  });

  test("[WF-13] stopped at any moment of its start, nothing is left", async () => {
    const exits = await Promise.all(
      [0, 5, 20, 50, 100, 200, 400].map(async (ms) => {
        const handle = inEngine()
          .runtime()
          .runContainer(script("while :; do sleep 1; done", { graceMs: 200 }));
        setTimeout(() => handle.terminate(), ms);
        return (await finish(handle)).exit;
      }),
    );
    expect(exits.every(({ signal }) => signal === "SIGTERM" || signal === "SIGKILL")).toBeTrue();
    expect(await inEngine().containers()).toEqual([]);
  });

  test("[WF-13] orphans and background jobs end with the task", async () => {
    const { exit } = await finish(inEngine().runtime().runContainer(script("setsid sleep 600 & (sleep 600 &) ; exit 4")));
    expect(exit.exitCode).toBe(4);
    expect(await inEngine().containers()).toEqual([]);
  });

  test("[WF-13] a task that leaves its output behind, read by nobody, still ends", async () => {
    const handle = inEngine().runtime().runContainer(script("echo out; echo err >&2; exit 5"));
    await handle.stdout.return?.();
    await handle.stderr.return?.();
    expect((await handle.exited).exitCode).toBe(5);
  });

  test("[WF-13] the server's own kill -9 ends its containers at once; the next start removes them", async () => {
    const folder = join(inEngine().folder, "killed");
    const server = Bun.spawn([process.execPath, join(import.meta.dir, "server-driver.ts"), inEngine().socket, folder], {
      env: { PATH: process.env.PATH ?? "", BUN_BE_BUN: "1" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    await readSome(server.stdout[Symbol.asyncIterator]());
    const running = async () => ((await inEngine().ask("/containers/json")) as unknown[]).length;
    // Output comes before the engine says that the container runs.
    expect(await until(async () => (await running()) === 1)).toBeTrue();
    server.kill("SIGKILL");
    await server.exited;
    expect(await until(async () => (await running()) === 0)).toBeTrue();
    expect((await inEngine().containers()).length).toBe(1);

    const owners: ContainerOwner[] = [];
    const control = join(folder, "containers");
    for (const name of readdirSync(control)) utimesSync(join(control, name), 0, 0);
    const removed = await inEngine()
      .runtime({ folder })
      .removeLeftovers((owner) => {
        owners.push(owner);
        return false;
      });
    expect(removed).toBe(1);
    expect(owners).toEqual([{ execution: "execution-1", task: "build", attempt: 1, owner: "killed" }]);
    expect(await inEngine().containers()).toEqual([]);
    expect(readdirSync(control)).toEqual([]);
  });

  test("[WF-13] leftovers of the living and of other stores stay", async () => {
    const [mine, other] = [inEngine().runtime({ store: "store-1" }), inEngine().runtime({ store: "store-2" })];
    const handles = [mine, other].map((runtime) => runtime.runContainer(script("echo ready; while :; do sleep 1; done")));
    await Promise.all(handles.map(({ stdout }) => readSome(stdout)));
    expect(await mine.removeLeftovers(({ owner }) => owner === "owner-1")).toBe(0);
    expect((await inEngine().containers()).length).toBe(2);
    expect(await mine.removeLeftovers(() => false)).toBe(1);
    expect((await inEngine().containers()).length).toBe(1);
    for (const handle of handles) handle.kill();
    await Promise.all(handles.map((handle) => finish(handle).catch(() => null)));
    expect(await inEngine().containers()).toEqual([]);
  });

  test("[WF-13] which engine answers is observed, and so is that none does", async () => {
    expect(await inEngine().runtime().probe()).toMatchObject({
      available: true,
      name: "docker",
      socket: inEngine().socket,
      rootless: false,
      missing: [],
    });
    const nowhere = new ContainerRuntime({
      ...ambient,
      sockets: ["/nowhere/docker.sock"],
      folder: inEngine().folder,
      store: "s",
      owner: "o",
      settings: {},
    });
    expect(await nowhere.probe()).toMatchObject({ available: false, why: expect.stringContaining("/nowhere/docker.sock") as string });
    const failed = await finish(nowhere.runContainer(script("true"))).catch((cause: unknown) => cause);
    expect(failed).toMatchObject({ code: "DOCKER_UNAVAILABLE", hint: expect.stringContaining("plugins.docker.socket") as string });
    expect(existsSync("/nowhere")).toBeFalse();
  });
});
