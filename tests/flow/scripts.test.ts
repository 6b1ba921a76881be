// `run:` tasks through the engine with real processes: their environment, outputs, logs, ends, and what they may plant.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { canonicalJson, limits, sha256Hex } from "../../src/base/index.ts";
import { cutMark } from "../../src/logs/index.ts";
import { processesWith } from "../product/binary.ts";
import { RealEngine } from "./real-engine.ts";
import { caller } from "./world.ts";

let real: RealEngine;
/** What a task could plant where nothing confines it. */
let unconfined: RealEngine;
beforeAll(() => {
  real = new RealEngine();
  unconfined = new RealEngine(undefined, "off");
});
afterAll(async () => {
  await real.close();
  await unconfined.close();
});

test("[WF-05] executions and their outputs are there after a restart, and what was under way ends", async () => {
  const first = new RealEngine();
  const once = 'echo b; test -e "$WORKSPACE/again" || { touch "$WORKSPACE/again"; sleep 60; }';
  const target = await first.apply({
    id: "restart",
    tasks: [
      { id: "a", run: "echo one" },
      { id: "b", run: once, needs: ["a"], retry: { max: 2 } },
    ],
  });
  const done = await first.run({ run: "echo done" });
  const id = await first.submit(target);
  const last = Date.now() + 10_000;
  while ((await first.store.listLogs({ executionId: id, task: "b", order: "asc", limit: 1 })).length === 0 && Date.now() < last) await Bun.sleep(5);
  await first.close({ keep: true });
  const second = new RealEngine(first.folder);
  await second.engine.start({ takesAll: true });
  const finished = await second.finish(id);
  expect(finished.row.state).toBe("SUCCESS");
  expect(finished.outputs["a"]).toEqual({ exitCode: 0, stdout: "one" });
  expect(finished.attempts.map(({ task, attempt }) => `${task} ${attempt}`)).toEqual(["a 1", "b 1", "b 2"]);
  expect((await second.finish(done.id)).outputs["t0"]).toEqual({ exitCode: 0, stdout: "done" });
  await second.close();
});

test("a folder that one task writes is read by the next, and is gone when the execution has ended", async () => {
  const finished = await real.run([
    { run: 'mkdir -p data/deep && echo hello > data/deep/file && echo "$WORKSPACE"' },
    { run: "cat deep/file", workdir: "data", needs: ["t0"] },
  ]);
  expect(finished.outputs["t1"]).toEqual({ exitCode: 0, stdout: "hello" });
  expect(existsSync(String(finished.outputs["t0"]?.["stdout"]))).toBe(false);
  expect(readdirSync(join(real.folder, "work"))).not.toContain(finished.id);
});

test("lines in $WORKFLOW_OUTPUT become members: text, JSON, an equals sign in a value, a member named like a prototype", async () => {
  const script = [
    'echo "path=part=1.json" >> "$WORKFLOW_OUTPUT"',
    'echo "empty=" >> "$WORKFLOW_OUTPUT"',
    `echo '{"n": 3, "list": [1, {"a": null}], "__proto__": 1}' >> "$WORKFLOW_OUTPUT"`,
    "echo said",
  ].join("\n");
  const finished = await real.run({ run: script });
  const stored = canonicalJson(finished.outputs["t0"]);
  expect(stored).toBe('{"__proto__":1,"empty":"","exitCode":0,"list":[1,{"a":null}],"n":3,"path":"part=1.json","stdout":"said"}');
});

test("a line in $WORKFLOW_OUTPUT that is nothing of it fails the task, and names the line", async () => {
  const finished = await real.run({ run: 'printf "a=1\\nnonsense\\n" > "$WORKFLOW_OUTPUT"', retry: { max: 3 } });
  expect(finished.errors["t0"]).toMatchObject({ code: "PLUGIN_OUTPUT_INVALID", details: { line: 2 } });
  expect(finished.attempts.length).toBe(1);
});

test("stdout and stderr become lines with their source; stderr is level ERROR, JSON lines say their own", async () => {
  const script = [
    "echo plain",
    "echo problem >&2",
    `echo '{"level":"warn","message":"careful","code":7}'`,
    `echo '{"level":"debug","message":"detail"}' >&2`,
    `echo '{"level":"loud","message":"x"}'`,
    "printf 'no newline'",
  ].join("\n");
  const { logs } = await real.run({ run: script });
  const seen = logs.map(({ source, level, message, metadata }) => [source, level, message, metadata]);
  expect(seen.filter(([source]) => source === "stdout")).toEqual([
    ["stdout", "INFO", "plain", null],
    ["stdout", "WARN", "careful", '{"code":7}'],
    ["stdout", "INFO", '{"level":"loud","message":"x"}', null],
    ["stdout", "INFO", "no newline", null],
  ]);
  expect(seen.filter(([source]) => source === "stderr")).toEqual([
    ["stderr", "ERROR", "problem", null],
    ["stderr", "DEBUG", "detail", null],
  ]);
});

test("an exit code is PLUGIN_EXIT with the last lines of stderr", async () => {
  const { errors, row } = await real.run({ run: "for i in $(seq 1 30); do echo line $i >&2; done; exit 7" });
  expect([row.state, row.reason]).toEqual(["FAILED", "TASK_FAILED"]);
  expect(errors["t0"]).toMatchObject({ code: "PLUGIN_EXIT", details: { exitCode: 7, signal: null } });
  const stderr = String(errors["t0"]?.details?.["stderr"]).split("\n");
  expect([stderr.length, stderr[0], stderr.at(-1)]).toEqual([20, "line 11", "line 30"]);
});

test("a signal is PLUGIN_EXIT too", async () => {
  const { errors } = await real.run({ run: "kill -9 $$" });
  expect(errors["t0"]).toMatchObject({ code: "PLUGIN_EXIT", details: { exitCode: null, signal: "SIGKILL" } });
});

test("an error with long lines, control characters and no UTF-8 is stored all the same", async () => {
  const long = "os.write(2, b'x' * 200000 + b'\\n' + b'\\x01' * 60000 + b'\\n')";
  const script = ["import os, sys", long, "os.write(2, b'\\xff\\xfe\\n')", "sys.exit(1)"].join("\n");
  const { errors, row } = await real.run({ run: script, shell: "python3" });
  expect(row.state).toBe("FAILED");
  expect(errors["t0"]?.code).toBe("PLUGIN_EXIT");
});

test("a result frame's error is the task's own, bounded, and I-JSON whatever it holds", async () => {
  const frame = `{"error":{"code":"NO_LUCK","message":"\\\\ud800 bad","details":{"big":1e400,"deep":"\\\\udfff"},"retryable":false}}`;
  const { errors, attempts } = await real.run({
    run: `printf '%s' '${frame.replaceAll("\\\\", "\\")}' > "$WORKFLOW_RESULT"; exit 3`,
    retry: { max: 3 },
  });
  expect(errors["t0"]).toMatchObject({ code: "NO_LUCK", message: "\ufffd bad" });
  expect(attempts.length).toBe(1);
});

test("a task that ignores SIGTERM is killed after the grace, and its failure is TASK_TIMEOUT", async () => {
  const started = Date.now();
  const { errors, row } = await real.run({ run: "trap '' TERM; echo up; while :; do sleep 0.05; done", timeout: "200ms" });
  expect(errors["t0"]?.code).toBe("TASK_TIMEOUT");
  expect([row.state, row.reason]).toEqual(["FAILED", "TIMEOUT"]);
  expect(Date.now() - started).toBeGreaterThanOrEqual(490);
});

test("a cancel stops the whole tree", async () => {
  const marker = `tree-${process.pid}-${Date.now()}`;
  const tasks = [{ id: "a", run: `sh -c 'sleep 300; : ${marker}' & echo up; sleep 300` }];
  const id = await real.submit(await real.apply({ id: "tree", tasks, finally: [{ id: "b", run: "echo tidy" }] }));
  const last = Date.now() + 10_000;
  let line = await real.store.listLogs({ executionId: id, order: "asc", limit: 1 });
  while (line.length === 0 && Date.now() < last) {
    await Bun.sleep(5);
    line = await real.store.listLogs({ executionId: id, order: "asc", limit: 1 });
  }
  expect(processesWith(`: ${marker}`).length).toBeGreaterThan(0);
  await real.engine.command(id, { kind: "cancel" }, caller);
  const finished = await real.finish(id);
  expect([finished.row.state, finished.row.reason]).toEqual(["CANCELLED", "USER_CANCELLED"]);
  expect(finished.outputs["b"]).toEqual({ exitCode: 0, stdout: "tidy" });
  expect(processesWith(`: ${marker}`)).toEqual([]);
});

test("the digest of an attempt's log is that of its stored lines", async () => {
  const { logs, attempts } = await real.run({ run: "for i in $(seq 1 1000); do echo out $i; echo err $i >&2; done" });
  expect(logs.length).toBe(2000);
  expect(attempts[0]?.log_lines).toBe(2000);
  expect(attempts[0]?.log_sha256).toBe(sha256Hex(logs.map((line) => `${line.message}\n`).join("")));
});

test("a line beyond the bound comes in pieces, with nothing lost", async () => {
  const script = "import sys\nsys.stdout.write('a' * 200000 + '\\n' + '\\u20ac' * 60000)";
  const { logs, attempts, outputs } = await real.run({ run: script, shell: "python3" });
  expect(logs.every((line) => Buffer.byteLength(line.message) <= limits.logLineBytesMax)).toBe(true);
  expect(logs.map((line) => line.message.endsWith(cutMark))).toEqual([true, true, true, false, true, true, false]);
  expect(logs.map((line) => line.message.replace(cutMark, "")).join("")).toBe("a".repeat(200_000) + "€".repeat(60_000));
  expect(attempts[0]?.log_sha256).toBe(sha256Hex(logs.map((line) => `${line.message}\n`).join("")));
  // The output is the text as it was written: neither marks nor the places of the cuts are in it.
  expect(String(outputs["t0"]?.["stdout"])).toMatch(/^€{21000,21845}$/);
});

test("a flood of lines is slowed down and all there; the output keeps its end", async () => {
  const { logs, outputs, attempts } = await real.run({ run: "seq 1 60000" });
  expect(logs.length).toBe(60_000);
  expect(attempts[0]?.log_lines).toBe(60_000);
  const stdout = String(outputs["t0"]?.["stdout"]);
  expect(stdout.endsWith("\n60000")).toBe(true);
  expect(Buffer.byteLength(stdout)).toBeLessThanOrEqual(limits.stdoutOutputBytesMax);
});

test("the environment is built from empty; env: comes as text, objects as JSON, and nothing in a script is replaced", async () => {
  process.env["AUTOKESTRA_FLOW_SECRET"] = "leak";
  const folder = join(real.workflows, "workflow-folder");
  mkdirSync(folder);
  writeFileSync(join(folder, "note"), "from the folder");
  const env = { TEXT: "a b", NUMBER: "{{ 1 + 1 }}", OBJECT: { a: [1, "x"] }, NOTHING: null };
  const { outputs } = await real.run({ run: "env; cat \"$WORKFLOW_DIR/note\"; echo; echo '{{ inputs.x }}'", env }, folder, {
    permissions: { filesystem: { read: ["."] } },
  });
  delete process.env["AUTOKESTRA_FLOW_SECRET"];
  const lines = String(outputs["t0"]?.["stdout"]).split("\n");
  const ofTheShell = new Set(["PWD", "OLDPWD", "SHLVL", "_"]);
  const named = lines.filter((line) => /^[A-Z_]+=/.test(line)).map((line) => line.slice(0, line.indexOf("=")));
  const names = named.filter((name) => !ofTheShell.has(name));
  expect(names.toSorted()).toEqual([
    "HOME",
    "LANG",
    "NOTHING",
    "NUMBER",
    "OBJECT",
    "PATH",
    "TEXT",
    "TMPDIR",
    "WORKFLOW_DIR",
    "WORKFLOW_EXECUTION_ID",
    "WORKFLOW_OUTPUT",
    "WORKFLOW_RESULT",
    "WORKSPACE",
  ]);
  const ours = ["PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8", "TEXT=a b", "NUMBER=2", 'OBJECT={"a":[1,"x"]}', "NOTHING="];
  for (const line of [...ours, "from the folder", "{{ inputs.x }}"]) expect(lines).toContain(line);
});

test("every shell runs its own language, and stops at the first error where it can", async () => {
  const { outputs, row } = await real.run([
    { run: 'echo "sh $((1 + 1))"' },
    { run: "a=(x y); echo bash ${a[1]}", shell: "bash" },
    { run: 'const n: number = 2; console.log("bun", n);', shell: "bun" },
    { run: "print('python', 1 + 1)", shell: "python3" },
    { run: "false; echo never", allowFailure: true },
    { run: "false | true; echo never", shell: "bash", allowFailure: true },
    { run: "echo $unset_name", allowFailure: true },
  ]);
  expect(row.state).toBe("SUCCESS");
  expect(["t0", "t1", "t2", "t3"].map((task) => outputs[task]?.["stdout"])).toEqual(["sh 2", "bash y", "bun 2", "python 2"]);
  expect(["t4", "t5", "t6"].map((task) => outputs[task])).toEqual([null, null, null]);
});

for (const workdir of ["link", "link/deeper", "loop", "file"])
  test(`a workdir of ${workdir} does not lead out of the workspace`, async () => {
    const plant = "ln -s /tmp link; ln -s loop loop; echo text > file";
    const { errors, row } = await real.run([{ run: plant }, { run: "pwd", workdir, needs: ["t0"] }]);
    expect(row.state).toBe("FAILED");
    expect(errors["t1"]?.code).toBe("TASK_INPUT_INVALID");
    expect(existsSync("/tmp/deeper")).toBe(false);
  });

test("a workdir below the workspace is made; a name that begins with dots is a name like others", async () => {
  const { outputs } = await real.run([
    { run: 'echo "${PWD#$WORKSPACE}"', workdir: "a/b" },
    { run: 'echo "${PWD#$WORKSPACE}"', workdir: "..not-up" },
  ]);
  expect([outputs["t0"]?.["stdout"], outputs["t1"]?.["stdout"]]).toEqual(["/a/b", "/..not-up"]);
});

const planted: [string, string][] = [
  ["a link", 'ln -s /etc/hostname "$WORKFLOW_OUTPUT"; ln -s /etc/hostname "$WORKFLOW_RESULT"'],
  ["a pipe", 'mkfifo "$WORKFLOW_OUTPUT" "$WORKFLOW_RESULT"'],
  ["a folder", 'mkdir "$WORKFLOW_OUTPUT" "$WORKFLOW_RESULT"'],
  ["a link in place of its folder", 'd="$HOME"; mkdir "$WORKSPACE/x"; echo a=1 > "$WORKSPACE/x/output"; rm -rf "$d"; ln -s "$WORKSPACE/x" "$d"'],
];
for (const [what, script] of planted)
  test(`${what} planted as $WORKFLOW_OUTPUT is neither followed nor waited for, and is said`, async () => {
    const { errors, row, attempts } = await unconfined.run({ run: `${script}; echo fine`, retry: { max: 2 } });
    expect([row.state, errors["t0"]?.code, attempts.length]).toEqual(["FAILED", "PLUGIN_OUTPUT_INVALID", 1]);
  });

for (const name of ["WORKFLOW_OUTPUT", "WORKFLOW_RESULT"])
  test(`a link planted as $${name} alone is said; an empty file is nothing`, async () => {
    const { errors, outputs } = await real.run([{ run: `ln -s /etc/hostname "$${name}"` }, { run: `: > "$${name}"` }]);
    expect(errors["t0"]).toMatchObject({ code: "PLUGIN_OUTPUT_INVALID" });
    expect(errors["t0"]?.message).toContain(`$${name}`);
    expect(outputs["t1"]).toEqual({ exitCode: 0, stdout: "" });
  });

test("a link that a task puts in place of the workspace leads no later task elsewhere", async () => {
  const outside = join(unconfined.folder, "outside");
  mkdirSync(outside);
  const { errors, row, attempts } = await unconfined.run([
    { run: `mv "$WORKSPACE" "$WORKSPACE.moved"; ln -s '${outside}' "$WORKSPACE"` },
    { run: "echo planted > file", needs: ["t0"], retry: { max: 3 } },
  ]);
  expect([row.state, errors["t1"]?.code, attempts.length]).toEqual(["FAILED", "TASK_INPUT_INVALID", 2]);
  expect(readdirSync(outside)).toEqual([]);
});

test("a variable too large for a process is named, and so is the largest of too many", async () => {
  const long = "{{ tasks.t3.output.stdout }}";
  const { errors, outputs } = await real.run([
    { run: "echo never", env: { SMALL: "x", HUGE: "x".repeat(128 * 1024) } },
    {
      run: "echo never",
      needs: ["t3"],
      env: Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`V${index}`, index === 10 ? `${long}y` : long])),
    },
    { run: "echo ${#BIG}", env: { BIG: "x".repeat(128 * 1024 - "BIG=".length - 1) } },
    { run: "head -c 65000 /dev/zero | tr '\\0' x" },
  ]);
  expect(errors["t0"]).toMatchObject({ code: "TASK_INPUT_INVALID", details: { variable: "HUGE" } });
  expect(errors["t1"]).toMatchObject({ code: "TASK_INPUT_INVALID", details: { variable: "V10" } });
  expect(outputs["t2"]?.["stdout"]).toBe("131067");
});

test("a $WORKFLOW_OUTPUT that is too large is refused", async () => {
  const { errors } = await real.run({ run: 'head -c 2000000 /dev/zero | tr "\\0" x > "$WORKFLOW_OUTPUT"' });
  expect(errors["t0"]?.code).toBe("PLUGIN_OUTPUT_INVALID");
});

test("a result that is too large is refused, in the file and on descriptor 3", async () => {
  const { errors } = await real.run([
    { run: 'head -c 2000000 /dev/zero | tr "\\0" x > "$WORKFLOW_RESULT"' },
    { run: 'head -c 2000000 /dev/zero | tr "\\0" x >&3' },
  ]);
  expect([errors["t0"]?.code, errors["t1"]?.code]).toEqual(["PLUGIN_OUTPUT_INVALID", "PLUGIN_OUTPUT_INVALID"]);
});

test("what a task leaves behind in its folders does not keep its execution from ending", async () => {
  const { row, id } = await real.run({ run: 'mkdir -p "$HOME/a/b" "$WORKSPACE/c/d"; chmod 000 "$HOME/a" "$WORKSPACE/c"' });
  expect(row.state).toBe("SUCCESS");
  const last = Date.now() + 5000;
  while (readdirSync(join(real.folder, "work")).includes(id) && Date.now() < last) await Bun.sleep(5);
  expect(readdirSync(join(real.folder, "work"))).not.toContain(id);
});
