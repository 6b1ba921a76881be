// Warm workers that are not as they should be: each is replaced, and no other call notices.
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { ProcessHandle } from "../../src/plugins/runtimes/index.ts";
import { errorOf, granting, outputOf } from "./invoke-world.ts";
import { type Counted, isGone, kept, WarmWorld } from "./warm-world.ts";

const world = new WarmWorld();
const { handles } = world;
const warm = (body: string, keepWarm = 1) => world.warm(body, keepWarm);
const python = (body: string) => world.python(body);
const counted: WarmWorld["counted"] = (...all) => world.counted(...all);
afterAll(() => world.closeAll());

describe("a worker that is not as it should be is replaced", () => {
  test("a crash fails its call with PLUGIN_EXIT, which may be tried again, and nothing else", async () => {
    const action = warm(
      "if (input.how === 'exit') process.exit(7); if (input.how === 'signal') process.kill(process.pid, 'SIGKILL'); if (input.how === 'quiet') process.exit(0)",
    );
    const first = await counted(action);
    expect(errorOf(await world.call(action, { how: "exit" }))).toMatchObject({ code: "PLUGIN_EXIT", retryable: true, details: { exitCode: 7 } });
    const second = await counted(action);
    expect([second.count, second.id === first.id]).toEqual([1, false]);
    expect(errorOf(await world.call(action, { how: "signal" }))).toMatchObject({
      code: "PLUGIN_EXIT",
      retryable: true,
      details: { signal: "SIGKILL" },
    });
    expect(outputOf(await world.call(action, { how: "quiet" }))).toEqual({});
    expect((await counted(action)).count).toBe(1);
  });

  test("an error of the action is the same as cold, with its lines", async () => {
    const action = warm(
      "console.error('before'); if (input.how === 'fail') ctx.fail('NO_LUCK', 'none', { retryable: false }); if (input.how === 'hang') await new Promise(() => {}); throw new TypeError('broken')",
    );
    const failed = await world.call(action, { how: "fail" });
    expect(errorOf(failed)).toMatchObject({ code: "NO_LUCK", retryable: false });
    expect(failed.lines.map(({ message }) => message)).toEqual(["before"]);
    const broken = await world.call(action, {});
    expect(errorOf(broken)).toMatchObject({ code: "TASK_FAILED", message: "broken" });
    expect(broken.lines.some(({ message }) => message.includes("TypeError: broken"))).toBe(true);
    expect(errorOf(await world.call(action, { how: "hang" }))).toMatchObject({ code: "TASK_FAILED" });
  });

  test("a worker that dies while it is idle is not missed", async () => {
    const action = warm("");
    await counted(action);
    const { pid } = handles.at(-1) as ProcessHandle;
    handles.at(-1)?.kill();
    await isGone(pid);
    expect((await counted(action)).count).toBe(1);
  });

  test("a cancelled call takes its worker; one that heeds its signal may still answer", async () => {
    const stuck = warm("console.log('on'); await Bun.sleep(60_000)");
    const cancelled = world.start(stuck, {}, { onLine: () => cancelled.run.kill() });
    const ended = await cancelled.finish();
    expect(errorOf(ended).code).toBe("PLUGIN_EXIT");
    const heeding = warm(
      "if (input.go) return { id, count }; const stopped = new Promise((done) => ctx.signal.addEventListener('abort', done)); console.log('on'); await stopped; return { id, heeded: true }",
    );
    const asked = world.start(heeding, {}, { onLine: () => asked.run.terminate() });
    const answered = outputOf(await asked.finish()) as Counted;
    expect(answered["heeded"]).toBe(true);
    expect((await counted(heeding, { go: true })).id).not.toBe(answered.id);
    const late = world.start(warm(""), {});
    late.run.kill();
    expect((await late.finish()).outcome.ok).toBe(false);
  });

  test("[WF-14] a denial is the running call's, and ends the worker", async () => {
    const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const action = warm(
      "if (input.port) await Bun.connect({ hostname: '127.0.0.1', port: input.port, socket: { data() {} } }).catch((error) => { if (!input.cope) throw error; })",
    );
    const quiet = await world.call(action);
    const coped = await world.call(action, { port: server.port, cope: true });
    const target = `127.0.0.1:${server.port}`;
    expect(coped.outcome.ok).toBe(true);
    expect([quiet.denials, coped.denials.map((denial) => denial.target)]).toEqual([[], [target]]);
    const next = await world.call(action);
    expect(next.denials).toEqual([]);
    expect((outputOf(next) as Counted).count).toBe(1);
    const failed = await world.call(action, { port: server.port });
    expect(errorOf(failed)).toMatchObject({ code: "PERMISSION_DENIED", details: { target, rule: "network" }, retryable: false });
    server.stop(true);
  });

  test("[WF-14] a file that is not granted, and a host that is not, through the proxy", async () => {
    const hidden = world.write("hidden", { "a.txt": "hidden" });
    const reading = warm("if (input.path) fs.readFileSync(input.path)");
    await counted(reading);
    const path = join(hidden, "a.txt");
    const denied = await world.call(reading, { path });
    expect(errorOf(denied)).toMatchObject({ code: "PERMISSION_DENIED", details: { target: path, rule: "filesystem.read" } });
    const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("reached") });
    const fetching = warm("const answer = await fetch(input.url); return { id, text: await answer.text(), status: answer.status }");
    const granted = granting({ network: [`127.0.0.1:${server.port}`] });
    const url = `http://127.0.0.1:${server.port}/`;
    const [first, second] = [await counted(fetching, { url }, granted), await counted(fetching, { url }, granted)];
    expect([first, second]).toMatchObject([{ text: "reached" }, { text: "reached" }]);
    expect(second.id).toBe(first.id);
    const refused = await world.call(fetching, { url: "http://other.example:81/" }, granted);
    expect(refused.denials.map(({ target }) => target)).toEqual(["other.example:81"]);
    await server.stop(true);
  });

  test("a process that a call leaves behind is ended with its worker", async () => {
    const action = warm("if (input.leave) Bun.spawn(['sleep', '300'], { stdio: ['ignore', 'ignore', 'ignore'] }).unref()");
    const first = await counted(action, {}, granting({ run: true }));
    const left = await counted(action, { leave: true }, granting({ run: true }));
    const { pid } = handles.at(-1) as ProcessHandle;
    expect(left.id).toBe(first.id);
    await isGone(pid);
    expect((await counted(action, {}, granting({ run: true }))).count).toBe(1);
  });

  test("one that leaks is replaced before its limit; beyond it the call fails", async () => {
    const action = warm("globalThis.kept ??= []; for (let n = 0; n < input.mb; n++) globalThis.kept.push(new Uint8Array(1024 * 1024).fill(1))");
    const limited = granting({ memoryMb: 400 });
    const counts: number[] = [];
    for (let call = 0; call < 40; call += 1) counts.push((await counted(action, { mb: 20 }, limited)).count);
    expect(counts.slice(0, 2)).toEqual([1, 2]);
    expect(counts.filter((count) => count === 1).length).toBeGreaterThan(2);
    expect(errorOf(await world.call(action, { mb: 600 }, limited)).code).toBe("TASK_MEMORY");
    expect((await counted(action, { mb: 1 }, limited)).count).toBe(1);
  }, 20_000);

  test("files that become artifacts are taken when the worker is gone", async () => {
    const action = warm(`
      if (input.keep === "out") { fs.mkdirSync(ctx.workdir + "/out"); fs.writeFileSync(ctx.workdir + "/out/a.txt", "a"); fs.symlinkSync("/etc/passwd", ctx.workdir + "/out/link"); }
      if (input.keep === "named") { fs.writeFileSync(ctx.workdir + "/b.txt", "b"); ctx.artifact("b.txt"); }`);
    const { id } = await counted(action);
    for (const [keep, name] of [
      ["out", "a.txt"],
      ["named", "b.txt"],
    ] as const) {
      const { finish } = world.start(action, { keep });
      const seen: string[] = [];
      const done = await finish((files) => seen.push(...files.map((file) => `${file.name} ${file.size} ${existsSync(file.path)}`)));
      outputOf(done);
      expect(seen).toEqual([`${name} 1 true`]);
    }
    expect((await counted(action)).id).not.toBe(id);
  });

  test("a result that is too large, or none", async () => {
    const action = python(`
if input.get("large"): os.write(3, b"x" * 1200000)
elif input.get("none"): answer(mark, "nothing")
else: answer(mark, {"output": {"id": worker}})`);
    const { id } = await counted(action);
    expect(errorOf(await world.call(action, { large: true })).code).toBe("PLUGIN_OUTPUT_INVALID");
    const second = await counted(action);
    expect(second.id).not.toBe(id);
    expect(errorOf(await world.call(action, { none: true })).code).toBe("PLUGIN_OUTPUT_INVALID");
    expect((await counted(action)).id).not.toBe(second.id);
  });
});

describe("any other program", () => {
  test("answers line by line, and marks are no log lines", async () => {
    const action = python(`
print("n", input["n"], flush=True)
answer(mark, {"output": {"id": worker, "n": input["n"]}})`);
    const all = [await world.call(action, { n: 1 }), await world.call(action, { n: 2 })];
    const outputs = all.map(outputOf) as Counted[];
    expect(outputs[0]?.id).toBe(outputs[1]?.id as string);
    expect(all.map(({ lines }) => lines.map(({ message }) => message))).toEqual([["n 1"], ["n 2"]]);
  });

  test("early, wrong, repeated and missing marks harm nobody", async () => {
    const action = python(`
how = input.get("how")
if how == "early": print(mark, flush=True)
if how == "wrong": print("f" * 32, flush=True)
if how == "old": print(old, flush=True)
print("said", input["n"], flush=True)
old = mark
frame = {"output": {"id": worker, "n": input["n"]}}
answer(mark, frame, (1,) if how == "missing" else (1, 2))
if how == "twice": os.write(3, (json.dumps({"output": {"id": worker, "n": "forged"}}) + "\\n").encode())`);
    for (const how of ["early", "twice", "wrong", "old", "early", "twice"]) {
      const before = await world.call(action, { n: `${how} before` });
      const odd = await world.call(action, { n: how, how });
      const after = await world.call(action, { n: `${how} after` });
      for (const [done, n] of [
        [before, `${how} before`],
        [odd, how],
        [after, `${how} after`],
      ] as const) {
        expect(outputOf(done)).toMatchObject({ n });
        expect(done.lines.map(({ message }) => message)).toContain(`said ${n}`);
        expect(done.lines.filter(({ message }) => message.startsWith("said")).length).toBe(1);
      }
    }
  });

  test("one that prints while nobody calls it is ended", async () => {
    const action = python(`
threading.Timer(0.05, lambda: print("late", flush=True)).start()
answer(mark, {"output": {"id": worker}})`);
    const { id } = await counted(action);
    await isGone((handles.at(-1) as ProcessHandle).pid);
    const again = await world.call(action);
    expect((outputOf(again) as Counted).id).not.toBe(id);
    expect(again.lines).toEqual([]);
  });

  test("one that knows nothing of warm starts answers once and ends", async () => {
    const main = `#!/usr/bin/env python3\nimport os, sys\nsys.stdin.readline()\nprint("said")\nos.write(3, b'{"output":{"once":true}}')\n`;
    const action = kept(world.plugin({ "main.py": main }, { runtime: "exec", entrypoint: ["./main.py"] }), 1);
    for (let call = 0; call < 2; call += 1) {
      const done = await world.call(action);
      expect(outputOf(done)).toEqual({ once: true });
      expect(done.lines.map(({ message }) => message)).toEqual(["said"]);
    }
  });
});
