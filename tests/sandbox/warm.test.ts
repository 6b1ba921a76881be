// Plugins with `keepWarm`: one confined worker serves many calls of one plugin version, one workflow and one set of grants, and of no other.
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { JsonObject } from "../../src/base/index.ts";
import type { CallableAction } from "../../src/model/index.ts";
import type { ActionCall, WarmPool } from "../../src/plugins/invoke/index.ts";
import type { ProcessHandle } from "../../src/plugins/runtimes/index.ts";
import { until } from "../product/binary.ts";
import { granting, nothingGranted, outputOf } from "./invoke-world.ts";
import { type Counted, WarmWorld } from "./warm-world.ts";

const world = new WarmWorld();
const { handles, root } = world;
const warm = (body: string, keepWarm = 1) => world.warm(body, keepWarm);
const counted: WarmWorld["counted"] = (...all) => world.counted(...all);
afterAll(() => world.closeAll());

describe("a warm worker", () => {
  test("[WF-12] serves one call after the other, each with its own input, context, folder and log", async () => {
    const action = warm(`console.log("out", input.n); console.error("err", input.n);
      return { id, count, n: input.n, attempt: ctx.attempt, workdir: ctx.workdir, left: fs.readdirSync(ctx.workdir), env: process.env };`);
    const executions = ["one", "two", "three"];
    const started = handles.length;
    const all = [];
    for (const [n, executionId] of executions.entries()) all.push(await world.call(action, { n }, { executionId, attempt: n + 1 }));
    const outputs = all.map(outputOf) as Counted[];
    expect(handles.length).toBe(started + 1);
    expect(new Set(outputs.map(({ id }) => id)).size).toBe(1);
    for (const [n, output] of outputs.entries()) {
      const { workdir, env } = output as JsonObject as { workdir: string; env: JsonObject };
      expect(output).toMatchObject({ n, count: n + 1, attempt: n + 1, left: [] });
      expect(env).toMatchObject({ HOME: workdir, TMPDIR: workdir, WORKFLOW_EXECUTION_ID: executions[n] as string });
      const lines = all[n]?.lines.map(({ source, level, message }) => [source, level, message]);
      expect(lines?.toSorted()).toEqual([
        ["stderr", "ERROR", `err ${n}`],
        ["stdout", "INFO", `out ${n}`],
      ]);
    }
  });

  test("stops for good while nobody calls it", async () => {
    const action = warm(
      "globalThis.ticks ??= 0; setInterval(() => { globalThis.ticks++; console.log('tick'); }, 1); return { id, ticks: globalThis.ticks }",
    );
    await counted(action);
    await Bun.sleep(30);
    const again = await world.call(action);
    expect((outputOf(again) as JsonObject)["ticks"]).toBe(0);
  });

  test("takes inputs and results of a megabyte, and unfinished last lines", async () => {
    const action = warm("await Bun.write(Bun.stdout, 'no end'); return { id, text: input.text }");
    const text = "ü".repeat(400_000);
    const [first, second] = [await world.call(action, { text }), await world.call(action, { text: "b" })];
    expect([outputOf(first), outputOf(second)]).toMatchObject([{ text }, { text: "b" }]);
    expect((outputOf(first) as Counted).id).toBe((outputOf(second) as Counted).id);
    for (const { lines } of [first, second]) expect(lines.map(({ message }) => message)).toEqual(["no end"]);
  });

  test("is replaced after a thousand calls", async () => {
    const action = warm("");
    const ids: string[] = [];
    for (let call = 0; call < 1002; call += 1) ids.push((await counted(action)).id);
    expect(new Set(ids.slice(0, 1000)).size).toBe(1);
    expect(new Set(ids.slice(1000)).size).toBe(1);
    expect(ids[1000]).not.toBe(ids[0]);
  }, 30_000);

  test("there are as many as the manifest says; who finds all busy goes on all the same", async () => {
    const action = warm("await Bun.sleep(input.ms)", 2);
    const started = handles.length;
    const busy = [counted(action, { ms: 600 }), counted(action, { ms: 600 })];
    await until(() => (handles.length === started + 2 ? true : null));
    const begun = performance.now();
    const third = await counted(action, { ms: 0 });
    expect(performance.now() - begun).toBeLessThan(500);
    expect(handles.length).toBe(started + 2);
    const two = await Promise.all(busy);
    expect(new Set([...two, third].map(({ id }) => id)).size).toBe(3);
    // The third was a process of its own: one that is free now serves the next.
    expect(two.map(({ id }) => id)).toContain((await counted(action, { ms: 0 })).id);
  });

  test("waits a moment for a busy one before it goes on alone", async () => {
    const action = warm("");
    await counted(action);
    const all = await Promise.all(Array.from({ length: 5 }, () => counted(action)));
    // On a busy machine the moment may pass for some.
    expect(new Set(all.map(({ id }) => id)).size).toBeLessThan(5);
  });
});

describe("isolation", () => {
  test("[WF-14] workflows, grants, variables, sandbox modes and plugin versions never meet in one worker", async () => {
    const action = warm("globalThis.planted ??= input.who; return { id, planted: globalThis.planted }", 4);
    const readable = world.write("readable", { "a.txt": "a" });
    const other = world.write("other", { "a.txt": "a" });
    const { plugin } = action;
    if (plugin === null) throw new Error("no plugin");
    const upgraded = { ...action, plugin: { ...plugin, sha256: "1".repeat(64) } };
    const reading = (path: string) => granting({ filesystem: { read: [path], write: [] } });
    const worlds: [CallableAction, Partial<ActionCall>][] = [
      [action, {}],
      [action, { workflow: "another" }],
      [upgraded, {}],
      [action, reading(readable)],
      [action, reading(other)],
      [action, granting({ run: true })],
      [action, granting({ memoryMb: 300 })],
      [action, granting({ network: ["a.example:443"] })],
      [action, granting({ network: ["b.example:443"] })],
      [action, { env: { TZ: "UTC" } }],
      [action, { env: { TZ: "CET" } }],
      [action, { sandbox: "off" }],
    ];
    const started = handles.length;
    const first = [];
    for (const [index, [which, more]] of worlds.entries()) first.push(await counted(which, { who: index }, more));
    const second = [];
    for (const [index, [which, more]] of worlds.entries()) second.push(await counted(which, { who: 100 + index }, more));
    expect(first.map(({ planted }) => planted)).toEqual(worlds.map((_, index) => index));
    // Each finds what its own kind planted, in its own kind's worker.
    expect(second.map(({ planted, id }) => [planted, id])).toEqual(first.map(({ planted, id }) => [planted, id]));
    expect(new Set(first.map(({ id }) => id)).size).toBe(worlds.length);
    expect(new Set(handles.slice(started).map(({ pid }) => pid)).size).toBe(worlds.length);
  });

  test("a path that leads elsewhere by now is another grant", async () => {
    const [one, two] = [world.write("tree-1", { "a.txt": "1" }), world.write("tree-2", { "a.txt": "2" })];
    const link = join(world.folder, "link");
    const action = warm("return { id, text: fs.readFileSync(input.path, 'utf8') }");
    const more = granting({ filesystem: { read: [link], write: [] } });
    symlinkSync(one, link);
    const first = await counted(action, { path: `${link}/a.txt` }, more);
    Bun.spawnSync(["ln", "-sfn", two, link]);
    const second = await counted(action, { path: `${link}/a.txt` }, more);
    expect([first["text"], second["text"]]).toEqual(["1", "2"]);
    expect(second.id).not.toBe(first.id);
  });

  test("a call's folder cannot be read by another worker of the same pool, nor after its end", async () => {
    const action = warm(
      `const look = (path) => { try { return fs.readFileSync(path, "utf8"); } catch (error) { return error.code; } };
      const list = (path) => { try { return fs.readdirSync(path); } catch (error) { return error.code; } };
      if (input.path !== undefined) return { id, file: look(input.path + "/secret"), up: list(input.path + "/.."), pool: list(input.path + "/../..") };
      fs.writeFileSync(ctx.workdir + "/secret", "secret");
      console.log(ctx.workdir);
      await Bun.sleep(input.ms);
      return { id, own: look(ctx.workdir + "/secret") }`,
      2,
    );
    let workdir = "";
    const { finish } = world.start(action, { ms: 400 }, { onLine: ({ message }) => void (workdir = message) });
    const path = await until(() => (workdir === "" ? null : workdir));
    const beside = await counted(action, { path });
    const { id, own } = outputOf(await finish()) as JsonObject;
    expect(own).toBe("secret");
    expect(beside.id).not.toBe(id as string);
    for (const what of ["file", "up", "pool"]) expect(["EACCES", "ENOENT"]).toContain(beside[what] as string);
    // A denial that the worker coped with is only seen by the kernel; both workers may serve again.
    const after = [await counted(action, { path }), await counted(action, { path })];
    for (const { file } of after) expect(["EACCES", "ENOENT"]).toContain(file as string);
    expect(existsSync(join(path, "secret"))).toBe(false);
  });

  test("nothing that a call wrote is there for the next", async () => {
    const action = warm(`
      const home = fs.readdirSync(process.env.WORKFLOW_WARM), own = fs.readdirSync(ctx.workdir);
      fs.mkdirSync(ctx.workdir + "/a/b/c", { recursive: true });
      for (const place of [ctx.workdir, ctx.workdir + "/a/b", process.env.WORKFLOW_WARM]) {
        fs.writeFileSync(place + "/file", "x");
        fs.symlinkSync("/etc", place + "/link");
      }
      return { id, home: home.length, own };`);
    const all = [await counted(action), await counted(action), await counted(action)];
    for (const output of all) expect(output).toMatchObject({ home: 1, own: [] });
    expect(new Set(all.map(({ id }) => id)).size).toBe(1);
    expect(existsSync("/etc/passwd")).toBe(true);
  });

  test("what cannot be cleared away in passing takes its worker with it", async () => {
    const many = warm("for (let n = 0; n < 400; n++) fs.writeFileSync(`${ctx.workdir}/${n}`, '')");
    const deep = warm("fs.mkdirSync(ctx.workdir + '/a'.repeat(40), { recursive: true })");
    const moved = warm(
      "fs.rmSync(ctx.workdir, { recursive: true }); fs.symlinkSync('/etc', ctx.workdir); return { id, names: fs.readdirSync(process.env.WORKFLOW_WARM).length }",
    );
    for (const action of [many, deep]) expect((await counted(action)).id).not.toBe((await counted(action)).id);
    expect([(await counted(moved))["names"], (await counted(moved))["names"]]).toEqual([1, 1]);
    expect(existsSync("/etc/passwd")).toBe(true);
  });

  test("what belongs to one execution starts cold: its workspace, handed-in files, CPU time, ports that are listened on", async () => {
    const action = warm("");
    world.artifacts.set("a".repeat(64), "text");
    const cold: [JsonObject, Partial<ActionCall>][] = [
      [{}, granting({ filesystem: { read: [], write: ["$workspace"] } })],
      [{}, granting({ filesystem: { read: ["$workspace/a"], write: [] } })],
      [{ files: { "a.txt": `artifact:${"a".repeat(64)}` } }, {}],
      [{}, granting({ cpuSeconds: 10 })],
      [{}, granting({ listen: [40_123] })],
      [{}, { sandbox: "observe" }],
    ];
    const started = handles.length;
    for (const [inputs, more] of cold) {
      expect((await counted(action, inputs, more)).count).toBe(1);
      expect((await counted(action, inputs, more)).count).toBe(1);
    }
    expect(handles.length).toBe(started);
  });
});

describe("the pool", () => {
  test("closed, it leaves neither processes nor folders; what a killed engine left is swept", async () => {
    const before = world.deps.warm as WarmPool;
    const own = world.openPool("a second one");
    world.deps.warm = own;
    await counted(warm("", 2));
    const { pid } = handles.at(-1) as ProcessHandle;
    await own.close();
    expect(existsSync(`/proc/${pid}`)).toBe(false);
    // Closed it serves nobody: the call starts cold.
    expect((await counted(warm(""))).count).toBe(1);
    world.deps.warm = before;
    mkdirSync(join(root, ".warm/left/worker/call-1"), { recursive: true });
    writeFileSync(join(root, ".warm/left.owner"), "killed");
    world.openPool("a third one", (owner) => owner === "killed");
    const names = readdirSync(join(root, ".warm"));
    expect(names.filter((name) => name.startsWith("left"))).toEqual([]);
    expect(names.filter((name) => name.endsWith(".owner")).length).toBe(1);
  });

  test("a worker has a user of its own where the engine is root", async () => {
    // Only root can give a process another user.
    if (process.getuid?.() !== 0) return;
    const action = warm("return { id, count, uid: process.getuid() }", 2);
    const open = (executionId: string) =>
      world.workspaces.open(
        executionId,
        { task: "t", itemIndex: null, attempt: 1 },
        { canOwnUser: true, granted: nothingGranted.filesystem, folder: null, plugins: [] },
      );
    const [one, two] = [open("user-1"), open("user-2")];
    const first = await counted(action, {}, { executionId: "user-1", folders: one });
    const second = await counted(action, {}, { executionId: "user-2", folders: two });
    expect(second.id).toBe(first.id);
    expect(second["uid"]).toBe(first["uid"] as number);
    expect([0, one.user?.uid, two.user?.uid]).not.toContain(first["uid"] as number);
    // Where it may write beside the execution's other tasks, it is the execution's user, and cold.
    const shared = world.write("shared", { "a.txt": "a" });
    const { count, uid } = await counted(
      action,
      {},
      { ...granting({ filesystem: { read: [], write: [shared] } }), executionId: "user-1", folders: open("user-1") },
    );
    expect([count, uid]).toEqual([1, one.user?.uid as number]);
  });
});
