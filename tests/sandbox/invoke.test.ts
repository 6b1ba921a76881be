// Actions called out of process under enforcement: the protocol, results, logs and artifacts of plugins of every runtime.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import type { JsonObject } from "../../src/base/index.ts";
import { errorOf, granting, InvokeWorld, outputOf } from "./invoke-world.ts";

let world: InvokeWorld;
beforeAll(() => {
  world = new InvokeWorld();
});
afterAll(() => world.close());

/** A TypeScript plugin whose action is the given body; `input` and `ctx` are in scope. */
function typescript(body: string, more: Parameters<InvokeWorld["plugin"]>[1] = {}) {
  const main = `import { definePlugin } from "autokestra/sdk";\nexport default definePlugin({ actions: { run: async (input, ctx) => { ${body} } } });\n`;
  return world.plugin({ "main.ts": main, "beside.txt": "beside" }, more);
}

describe("a TypeScript plugin", () => {
  test("[WF-12] gets its input and context, and its stray prints are logs", async () => {
    const body = `
      console.log("stray"); console.error("complaint"); ctx.log.warn("careful", { n: 1 }); ctx.progress(0.25, "quarter");
      return { input, task: ctx.taskId, execution: ctx.executionId, attempt: ctx.attempt, deadline: ctx.deadline, key: ctx.idempotencyKey };`;
    const deadlineAt = Date.UTC(2026, 0, 2, 3, 4, 5);
    const action = typescript(body);
    const first = await world.call(action, { a: [1, "ü"] }, { executionId: "e1", attempt: 1, deadlineAt });
    const second = await world.call(action, { a: [1, "ü"] }, { executionId: "e1", attempt: 2 });
    const [one, two] = [outputOf(first), outputOf(second)] as JsonObject[];
    expect(one).toMatchObject({ input: { a: [1, "ü"] }, task: "t", execution: "e1", attempt: 1, deadline: "2026-01-02T03:04:05.000Z" });
    expect(two).toMatchObject({ attempt: 2, deadline: null });
    expect(two?.["key"]).toBe(one?.["key"] as string);
    const lines = first.lines.map(({ source, level, message, metadata }) => [source, level, message, metadata]);
    expect(lines).toContainEqual(["stdout", "INFO", "stray", null]);
    expect(lines).toContainEqual(["stderr", "ERROR", "complaint", null]);
    expect(lines).toContainEqual(["stdout", "WARN", "careful", { n: 1 }]);
    expect(lines).toContainEqual(["stdout", "INFO", "quarter", { progress: 0.25 }]);
  });

  test("[WF-22] starts in its own folder, which it reads and cannot write, with absolute paths and nothing else around it", async () => {
    const action = typescript(`
      const write = await Bun.write("planted", "x").then(() => "written", (error) => error.code);
      const file = await Bun.file("beside.txt").text();
      return { cwd: process.cwd(), file, main: import.meta.path, write, env: Object.keys(process.env).sort() };`);
    const folder = action.plugin?.folder ?? "";
    const { call, finish } = world.start(action, {});
    const output = outputOf(await finish()) as JsonObject;
    expect(output).toMatchObject({ cwd: realpathSync(folder), file: "beside", main: join(folder, "main.ts") });
    expect(["EACCES", "EROFS"]).toContain(output["write"] as string);
    const given = ["HOME", "LANG", "NODE_PATH", "PATH", "TMPDIR", "WORKFLOW_EXECUTION_ID", "WORKFLOW_OUTPUT", "WORKFLOW_RESULT"];
    expect((output["env"] as string[]).filter((name) => !/^(?:BUN_|MIMALLOC_)/.test(name))).toEqual(given);
    expect(call.folders.workdir.startsWith("/")).toBe(true);
  });

  test("fails with the code it chose, whose reserved ones it cannot take", async () => {
    const chosen = errorOf(await world.call(typescript(`ctx.fail("NO_LUCK", "none today", { details: { x: 1 }, retryable: false });`)));
    expect(chosen).toMatchObject({ code: "NO_LUCK", message: "none today", details: { x: 1 }, retryable: false });
    for (const code of ["PERMISSION_DENIED", "INTERNAL", "TASK_TIMEOUT", "lower case"]) {
      const claimed = errorOf(await world.call(typescript(`ctx.fail(${JSON.stringify(code)}, "m");`)));
      expect(claimed).toMatchObject({ code: "TASK_FAILED", details: { claimedCode: code } });
    }
    const thrown = await world.call(typescript(`throw new TypeError("broken");`));
    expect(errorOf(thrown)).toMatchObject({ code: "TASK_FAILED", message: "broken", details: { name: "TypeError" } });
    expect(thrown.lines.some(({ source, message }) => source === "stderr" && message.includes("TypeError: broken"))).toBe(true);
    expect(errorOf(await world.call(typescript(`await new Promise(() => {});`)))).toMatchObject({ code: "TASK_FAILED" });
  });

  test("its input is checked before and its output after", async () => {
    const input = { type: "object", properties: { n: { type: "integer" } }, required: ["n"], additionalProperties: false };
    const output = { type: "object", properties: { list: { type: "array", items: { type: "string" } } } };
    const action = typescript("return { list: input.n === 1 ? ['a'] : ['a', 2] };", { input, output });
    const refused = await world.call(action, { n: "1", more: true });
    expect(refused.lines).toEqual([]);
    const { findings } = errorOf(refused).details as { findings: { path: string }[] };
    expect(errorOf(refused).code).toBe("TASK_INPUT_INVALID");
    expect(findings.map(({ path }) => path).toSorted()).toEqual(["inputs", "inputs.n"]);
    expect(outputOf(await world.call(action, { n: 1 }))).toEqual({ list: ["a"] });
    const wrong = errorOf(await world.call(action, { n: 2 }));
    expect(wrong).toMatchObject({ code: "PLUGIN_OUTPUT_INVALID", details: { findings: [{ path: "output.list[1]" }] } });
  });

  test("a result beyond 1 MiB, and none at all", async () => {
    expect(errorOf(await world.call(typescript("return { text: 'x'.repeat(1100 * 1024) };"))).code).toBe("PLUGIN_OUTPUT_INVALID");
    expect(outputOf(await world.call(typescript("process.exit(0);")))).toEqual({});
    expect(errorOf(await world.call(typescript("process.exit(3);")))).toMatchObject({ code: "PLUGIN_EXIT", details: { exitCode: 3 } });
  });

  test("is told to end by its signal, and what it left open does not hold its result up", async () => {
    const waiting = world.start(
      typescript("return new Promise((done) => { ctx.signal.addEventListener('abort', () => done({ ended: true })); console.log('on'); });"),
      {},
      {
        onLine: () => void waiting.run.terminate(),
      },
    );
    expect(outputOf(await waiting.finish())).toEqual({ ended: true });
    expect(outputOf(await world.call(typescript("setInterval(() => {}, 1000); return {};")))).toEqual({});
  });
});

describe("any other program", () => {
  const exec = (files: Record<string, string>, entrypoint: string[]) => world.plugin(files, { runtime: "exec", entrypoint });

  test("[WF-12] a python plugin reads the request and answers on descriptor 3", async () => {
    const text = `#!/usr/bin/env python3\nimport json, os, sys\nr = json.loads(sys.stdin.readline())\nassert sys.stdin.read() == ""\nprint("printed")\nos.write(3, json.dumps({"output": {"action": r["action"], "protocol": r["protocol"], "in": r["input"], "cwd": os.getcwd()}}).encode())\n`;
    for (const entrypoint of [["./main.py"], ["python3", "main.py"]]) {
      const action = exec({ "main.py": text }, entrypoint);
      const done = await world.call(action, { x: 1 });
      expect(outputOf(done)).toEqual({ action: action.action, protocol: 1, in: { x: 1 }, cwd: realpathSync(action.plugin?.folder ?? "") });
      expect(done.lines).toMatchObject([{ source: "stdout", level: "INFO", message: "printed" }]);
    }
  });

  test("sh answers by file, which counts only when descriptor 3 got nothing", async () => {
    const byFile = exec({ "main.sh": `#!/bin/sh\necho '{"output":{"by":"file"}}' > "$WORKFLOW_RESULT"\n` }, ["./main.sh"]);
    expect(outputOf(await world.call(byFile))).toEqual({ by: "file" });
    const both = exec({ "main.sh": `#!/bin/sh\necho '{"output":{"by":"file"}}' > "$WORKFLOW_RESULT"\necho '{"output":{"by":"3"}}' >&3\n` }, [
      "./main.sh",
    ]);
    expect(outputOf(await world.call(both))).toEqual({ by: "3" });
    const planted = exec({ "main.sh": `#!/bin/sh\nln -s /etc/passwd "$WORKFLOW_RESULT"\n` }, ["./main.sh"]);
    expect(errorOf(await world.call(planted, {}, granting({ run: true }))).code).toBe("PLUGIN_OUTPUT_INVALID");
    const pipe = exec({ "main.sh": `#!/bin/sh\nmkfifo "$WORKFLOW_RESULT" 2>/dev/null || mkdir "$WORKFLOW_RESULT"\n` }, ["./main.sh"]);
    expect(errorOf(await world.call(pipe, {}, granting({ run: true }))).code).toBe("PLUGIN_OUTPUT_INVALID");
  });

  test("an error frame with exit 0 fails, and a bad exit without one names the last lines", async () => {
    const frame = exec({ "main.sh": `#!/bin/sh\necho '{"error":{"code":"OWN","message":"m","retryable":false}}' >&3\n` }, ["./main.sh"]);
    expect(errorOf(await world.call(frame))).toMatchObject({ code: "OWN", message: "m", retryable: false });
    const bad = exec({ "main.sh": `#!/bin/sh\nfor i in $(seq 30); do echo "line $i" >&2; done\nexit 9\n` }, ["./main.sh"]);
    const error = errorOf(await world.call(bad, {}, granting({ run: true })));
    expect(error).toMatchObject({ code: "PLUGIN_EXIT", details: { exitCode: 9 } });
    expect(String(error.details?.["stderr"]).split("\n")).toEqual(Array.from({ length: 20 }, (_, index) => `line ${index + 11}`));
  });
});

describe("files", () => {
  test("what lies in out, and what is named, is left behind; links and pipes are not", async () => {
    const action = typescript(`
      const { mkdirSync, symlinkSync, writeFileSync } = await import("node:fs");
      mkdirSync(ctx.workdir + "/out/deep", { recursive: true });
      writeFileSync(ctx.workdir + "/out/a.txt", "a"); writeFileSync(ctx.workdir + "/out/deep/b.txt", "bb"); writeFileSync(ctx.workdir + "/named", "ccc");
      symlinkSync("/etc/passwd", ctx.workdir + "/out/link");
      writeFileSync(process.env.WORKSPACE + "/shared", "dddd");
      ctx.artifact("named"); ctx.artifact(process.env.WORKSPACE + "/shared");
      return {};`);
    const filesystem = { read: [], write: ["$workspace"] };
    const { finish } = world.start(action, {}, granting({ filesystem }));
    let found: [string, number, string][] = [];
    const done = await finish((files) => {
      found = files.map(({ name, size, path }) => [name, size, readFileSync(path, "utf8")]);
    });
    outputOf(done);
    expect(found).toEqual([
      ["a.txt", 1, "a"],
      ["deep/b.txt", 2, "bb"],
      ["named", 3, "ccc"],
      ["shared", 4, "dddd"],
    ]);
    expect(done.lines.filter(({ level }) => level === "WARN")).toMatchObject([{ source: "engine", metadata: { name: "link" } }]);
    for (const path of ["/etc/passwd", "../../x", "missing"])
      expect(errorOf(await world.call(typescript(`ctx.artifact(${JSON.stringify(path)}); return {};`))).code).toBe("PLUGIN_OUTPUT_INVALID");
  });

  test("inputs.files are put into in, read-only, under plain names that may have folders", async () => {
    const sha256 = "a".repeat(64);
    world.artifacts.set(sha256, "content");
    const done = await world.sh('cat "$TMPDIR/in/data"; echo x 2>/dev/null > "$TMPDIR/in/data" || echo " kept"', {
      inputs: { script: 'cat "$TMPDIR/in/data"; echo x 2>/dev/null > "$TMPDIR/in/data" || echo " kept"', files: { data: `artifact:${sha256}` } },
    });
    expect(outputOf(done)).toMatchObject({ stdout: "content kept" });
    const inputs = {
      script: 'cd "$TMPDIR/in"; cat sub/a.txt sub/deep/b.txt',
      files: { "sub/a.txt": `artifact:${sha256}`, "sub/deep/b.txt": `artifact:${sha256}` },
    };
    expect(outputOf(await world.sh("", { inputs }))).toMatchObject({ stdout: "contentcontent" });
    for (const files of [
      { "../x": `artifact:${sha256}` },
      { "": `artifact:${sha256}` },
      ...["a/../b", "/a", "a//b", "a/", "1/2/3/4/5/6/7/8/9"].map((name) => ({ [name]: `artifact:${sha256}` })),
      { a: `artifact:${sha256}`, "a/b": `artifact:${sha256}` },
      { x: "file:///etc/passwd" },
      { x: `artifact:${"b".repeat(64)}` },
    ])
      expect(errorOf(await world.call(typescript("return {};"), { files } as JsonObject)).code).toBe("TASK_INPUT_INVALID");
  });
});

describe("bounds", () => {
  test("output beyond its limit is read and dropped after one line that says so, and the task goes on", async () => {
    const done = await world.sh(
      "i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; i=$((i+1)); done; echo end",
      granting({ outputBytes: 10_000 }),
    );
    expect(outputOf(done)).toMatchObject({ exitCode: 0 });
    expect((outputOf(done) as JsonObject)["stdout"]).toEndWith("\nend");
    expect(done.lines.length).toBeLessThan(300);
    expect(done.lines.at(-1)).toMatchObject({ source: "engine", level: "WARN", metadata: { limit: "outputBytes" } });
  });

  test("memory over the limit is TASK_MEMORY, in one process and in many", async () => {
    const bun = errorOf(await world.sh("const a = []; for (;;) a.push(new Uint8Array(1e7).fill(1));", granting({ memoryMb: 400 }), "bun"));
    expect(bun).toMatchObject({ code: "TASK_MEMORY", details: { limitMb: 400 }, retryable: false });
    expect(errorOf(await world.sh("x = bytearray(500 * 1024 * 1024)", granting({ memoryMb: 200 }), "python3")).code).toBe("TASK_MEMORY");
    const many = 'for i in 1 2 3 4; do python3 -c "x = bytearray(150 * 1024 * 1024); import time; time.sleep(20)" & done; wait';
    expect(errorOf(await world.sh(many, granting({ memoryMb: 200 }))).code).toBe("TASK_MEMORY");
  }, 20_000);

  test("processor time over the limit names it", async () => {
    const error = errorOf(await world.sh("while :; do :; done", granting({ cpuSeconds: 1 })));
    expect(error).toMatchObject({ code: "PLUGIN_EXIT", details: { limit: "cpuSeconds", cpuSeconds: 1 } });
  }, 20_000);

  test("disk over the limit names it, in one file and in many", async () => {
    const one = errorOf(await world.sh('dd if=/dev/zero of="$TMPDIR/x" bs=1M count=20 2>/dev/null', granting({ diskMb: 8 })));
    expect(one).toMatchObject({ code: "PLUGIN_EXIT", details: { limit: "diskMb" } });
    const many = errorOf(await world.sh('for i in 1 2 3 4 5; do head -c 4000000 /dev/zero > "$TMPDIR/$i"; done; sleep 20', granting({ diskMb: 8 })));
    expect(many).toMatchObject({ code: "PLUGIN_EXIT", details: { limit: "diskMb" } });
  }, 20_000);
});
