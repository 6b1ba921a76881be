// The handle of a task on macOS, tried wherever there is a shell: a stand-in for sandbox-exec drops the profile and runs the
// command. What the profile holds back can only be seen on a Mac, by the self-test.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { macTools } from "../../../src/plugins/runtimes/macos/command.ts";
import { readProcessTable } from "../../../src/plugins/runtimes/macos/process-table.ts";
import { type MacHost, spawnOnMac } from "../../../src/plugins/runtimes/macos/spawn.ts";
import type { ProcessSpec } from "../../../src/plugins/runtimes/process.ts";
import type { Confinement, SandboxState } from "../../../src/plugins/sandbox/index.ts";
import { until } from "../../product/binary.ts";

let folder = "";
let host: MacHost;
const strict: SandboxState = { level: "strict", layers: ["sandbox-exec", "network", "limits"], missing: [], canOwnUser: false };
const ceilings = { cpuSeconds: null, openFiles: null, fileBlocks: null };

/** Takes the options of the real one, and nothing else. */
const standIn = `#!/bin/sh
while [ "$1" != -- ]; do
  case $1 in
    -D) case $2 in *_[0-9]*=/*) ;; *) exit 64 ;; esac ;;
    -p) case $2 in "(version 1)"*) ;; *) exit 65 ;; esac ;;
    *) exit 66 ;;
  esac
  shift 2
done
shift
exec "$@"
`;

beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "workflow-mac-")));
  const sandboxExec = join(folder, "sandbox-exec");
  writeFileSync(sandboxExec, standIn);
  chmodSync(sandboxExec, 0o755);
  host = { tools: { ...macTools, sandboxExec }, probe: () => ({ state: strict, ceilings }) };
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const confine = (more: Partial<Confinement["limits"]> = {}): Confinement => ({
  mode: "enforce",
  user: null,
  read: [],
  write: [folder],
  connect: [4100],
  listen: [],
  run: true,
  limits: { memoryBytes: null, cpuSeconds: null, processes: null, openFiles: null, fileBytes: null, ...more },
});

function start(script: string, more: Partial<ProcessSpec> = {}) {
  const spec: ProcessSpec = {
    argv: ["sh", "-c", script, "sh", folder],
    env: { PATH: "/usr/bin:/bin" },
    cwd: folder,
    stdin: null,
    graceMs: 10_000,
    resultBytesMax: 1000,
    confinement: confine(),
    ...more,
  };
  return spawnOnMac(spec, host);
}

async function read(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const kept: Uint8Array[] = [];
  for await (const chunk of chunks) kept.push(chunk);
  return Buffer.concat(kept).toString();
}

const isAlive = (pid: number) => readProcessTable(macTools.ps).some((row) => row.pid === pid);
/** Waits for what the task writes down, its processes' numbers. */
async function pidIn(name: string): Promise<number> {
  const path = join(folder, name);
  return until(() => (existsSync(path) && readFileSync(path, "utf8").endsWith("\n") ? Number(readFileSync(path, "utf8")) : null));
}

for (const confinement of ["confined", "off"] as const) {
  const more = () => ({ confinement: confinement === "off" ? null : confine() });

  test(`[WF-12] both streams, the result on descriptor 3 and the exit code come back apart (${confinement})`, async () => {
    const task = start("echo out; echo err >&2; printf '{\"a\":1}' >&3; pwd; exit 7", more());
    const [out, err, result, exit] = await Promise.all([read(task.stdout), read(task.stderr), task.result, task.exited]);
    expect({ out, err, result: Buffer.from(result).toString(), exit }).toEqual({
      out: `out\n${folder}\n`,
      err: "err\n",
      result: '{"a":1}',
      exit: { exitCode: 7, signal: null },
    });
    expect([task.stdin, task.resultChunks, task.noticesDropped()]).toEqual([null, null, 0]);
  });

  test(`input is given whole, or through the handle, and the environment is nothing but what was said (${confinement})`, async () => {
    const bytes = Buffer.alloc(300_000, "x");
    const whole = start("wc -c; env | cut -d= -f1 | sort | tr '\\n' ' '", { ...more(), stdin: bytes });
    const [counted, , exit] = await Promise.all([read(whole.stdout), read(whole.stderr), whole.exited]);
    expect(counted.trim().split(/\s+/)).toEqual([
      "300000",
      "PATH",
      "PWD",
      ...(counted.includes("SHLVL") ? ["SHLVL"] : []),
      ...(counted.includes("_") ? ["_"] : []),
    ]);
    expect(exit).toEqual({ exitCode: 0, signal: null });

    const talked = start('while read line; do echo "<$line>"; done', { ...more(), stdin: "pipe" });
    await talked.stdin?.write(Buffer.from("one\n"));
    const first = await talked.stdout.next();
    expect(Buffer.from(first.value ?? []).toString()).toBe("<one>\n");
    talked.stdin?.end();
    expect(await read(talked.stdout)).toBe("");
    expect((await talked.exited).exitCode).toBe(0);
  });
}

test("input that nobody reads disturbs nobody", async () => {
  const task = start("exit 0", { stdin: Buffer.alloc(5_000_000) });
  await Promise.all([read(task.stdout), read(task.stderr)]);
  expect(await task.exited).toEqual({ exitCode: 0, signal: null });
});

test("arguments arrive as they are", async () => {
  const hostile = ["$(id)", '"; id; "', "a\nb", "--", "-p", "", "ä"];
  const task = start("", { argv: ["printf", "[%s]", ...hostile] });
  const [out] = await Promise.all([read(task.stdout), read(task.stderr), task.exited]);
  expect(out).toBe(hostile.map((text) => `[${text}]`).join(""));
});

test("a result that is too large is refused, and the task is not held up by it", async () => {
  const task = start("head -c 200000 /dev/zero >&3; exit 3");
  await Promise.all([read(task.stdout), read(task.stderr)]);
  expect(await task.exited).toEqual({ exitCode: 3, signal: null });
  expect(await task.result.catch((error: unknown) => error)).toMatchObject({ code: "TOO_LARGE" });
});

test("the result can be taken as it comes", async () => {
  const task = start("echo one >&3; read line; echo two >&3", { resultAsChunks: true, stdin: "pipe" });
  const first = await task.resultChunks?.next();
  expect(Buffer.from(first?.value ?? []).toString()).toBe("one\n");
  await task.stdin?.write(Buffer.from("\n"));
  const rest = task.resultChunks === null ? "" : await read(task.resultChunks);
  expect([rest, (await task.result).length]).toEqual(["two\n", 0]);
  await Promise.all([read(task.stdout), read(task.stderr), task.exited]);
});

test("the limits hold in the task", async () => {
  const task = start("ulimit -n; ulimit -t; ulimit -c", { confinement: confine({ openFiles: 50, cpuSeconds: 5 }) });
  const [out] = await Promise.all([read(task.stdout), read(task.stderr), task.exited]);
  expect(out).toBe("50\n5\n0\n");
});

test("terminate asks the whole group first, and kills after the grace who does not listen", async () => {
  const polite = start("trap 'echo bye; exit 4' TERM; echo ready; while :; do sleep 0.05; done");
  await polite.stdout.next();
  polite.terminate();
  expect(await read(polite.stdout)).toBe("bye\n");
  expect(await polite.exited).toEqual({ exitCode: 4, signal: null });

  const deaf = start("trap '' TERM; echo ready; while :; do sleep 0.05; done", { graceMs: 100 });
  await deaf.stdout.next();
  deaf.terminate();
  deaf.terminate();
  expect(await deaf.exited).toEqual({ exitCode: null, signal: "SIGKILL" });
  await read(deaf.stdout);
});

test("a stopped task is ended too", async () => {
  const task = start("echo ready; kill -STOP $$; exit 9");
  await task.stdout.next();
  task.terminate();
  expect(await task.exited).toEqual({ exitCode: null, signal: "SIGTERM" });
});

test("kill ends everything of the tree, also what left the group while its parent lived", async () => {
  const left = 'perl -e \'use POSIX; POSIX::setsid(); open F, ">", "$ARGV[0]/left"; print F "$$\\n"; close F; sleep 60\' "$1" &';
  const task = start(`sleep 60 & echo $! >"$1/inside"; ${left} wait`);
  const pids = [await pidIn("inside"), await pidIn("left")];
  expect(task.descendants()).toEqual(expect.arrayContaining([task.pid, ...pids]));
  task.kill();
  expect(await task.exited).toEqual({ exitCode: null, signal: "SIGKILL" });
  expect(pids.filter(isAlive)).toEqual([]);
  await Promise.all([read(task.stdout), read(task.stderr)]);
});

test("what a task leaves running in the background ends with it, and its pipes do too", async () => {
  const task = start(`sleep 60 & echo $! >"$1/behind"; exit 0`);
  const [exit] = await Promise.all([task.exited, read(task.stdout), read(task.stderr), task.result]);
  expect(exit).toEqual({ exitCode: 0, signal: null });
  expect(isAlive(await pidIn("behind"))).toBe(false);
});

test("a program or a folder that is not there is told by code, and nothing is started", async () => {
  const missing = start("", { argv: ["no-such-program"] });
  expect(await missing.exited.catch((error: unknown) => error)).toMatchObject({ code: "FILE_NOT_FOUND" });
  expect([await read(missing.stdout), missing.descendants()]).toEqual(["", []]);
  const plain = join(folder, "plain");
  writeFileSync(plain, "", { mode: 0o644 });
  expect(await start("", { argv: [folder] }).exited.catch((error: unknown) => error)).toMatchObject({ code: "TASK_FAILED" });
  expect(await start("", { cwd: join(folder, "gone") }).exited.catch((error: unknown) => error)).toMatchObject({ code: "FILE_NOT_FOUND" });
  expect(await start("", { cwd: plain }).exited.catch((error: unknown) => error)).toMatchObject({ code: "FILE_NOT_FOUND" });
});

test("[WF-14] where the sandbox does not hold, or cannot hold what was asked, nothing is started", () => {
  const state: SandboxState = { ...strict, level: "none", layers: [], missing: [{ layer: "network", why: "x" }] };
  const unsafe: MacHost = { ...host, probe: () => ({ state, ceilings }) };
  const spec: ProcessSpec = { argv: ["true"], env: {}, cwd: "/", stdin: null, graceMs: 1, resultBytesMax: 1, confinement: confine() };
  const refused = expect.objectContaining({ code: "SANDBOX_UNAVAILABLE" });
  expect(() => spawnOnMac(spec, unsafe)).toThrow(refused);
  expect(() => spawnOnMac({ ...spec, confinement: { ...confine(), mode: "observe" } }, host)).toThrow(refused);
  expect(() => spawnOnMac({ ...spec, env: { DYLD_INSERT_LIBRARIES: "/x" } }, host)).toThrow(expect.objectContaining({ code: "TASK_INPUT_INVALID" }));
});

test("without a sandbox nothing is probed", async () => {
  const probe = () => {
    throw new Error("probed");
  };
  const task = spawnOnMac(
    { argv: ["true"], env: { PATH: "/usr/bin:/bin" }, cwd: "/", stdin: null, graceMs: 1, resultBytesMax: 1 },
    { tools: macTools, probe },
  );
  await Promise.all([read(task.stdout), read(task.stderr)]);
  expect(await task.exited).toEqual({ exitCode: 0, signal: null });
});
