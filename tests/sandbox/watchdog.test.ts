// The watchdog and control groups on real trees: what a whole tree uses is seen in time, however it is spread.
import { afterEach, describe, expect, test } from "bun:test";
import { existsSync, linkSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openCgroup, probeCgroup } from "../../src/plugins/runtimes/cgroup.ts";
import { measureFolders } from "../../src/plugins/runtimes/folder-size.ts";
import { listDescendants } from "../../src/plugins/runtimes/tree-usage.ts";
import { createWatchdog } from "../../src/plugins/runtimes/watchdog.ts";
import type { Over, WatchAsk } from "../../src/plugins/runtimes/watchdog.ts";
import { finish, onLinux, startScript, startTask, waitForOutput } from "./task-tree.ts";
import type { Task } from "./task-tree.ts";

const mebibyte = 1024 * 1024;
const hasPython = Bun.which("python3") !== null;
const group = onLinux ? probeCgroup() : null;
const place = group?.place ?? null;
const clock = { now: () => performance.now() };

const folders: string[] = [];
const running: Task[] = [];
afterEach(async () => {
  for (const task of running.splice(0)) {
    task.kill();
    await task.exited.catch(() => {});
  }
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "watchdog-"));
  folders.push(folder);
  return folder;
}

function python(code: string): Task {
  const task = startTask(["python3", "-I", "-c", code]);
  running.push(task);
  return task;
}

type Seen = { what: Over; measured: number };

/** Watches a task and kills it when it is over; what was told, null when it ended by itself. */
async function watchTask(task: Task, limits: Partial<WatchAsk>): Promise<Seen | null> {
  const watchdog = createWatchdog({ clock });
  let seen: Seen | null = null;
  const onOver = (what: Over, measured: number) => {
    seen = { what, measured };
    task.kill();
  };
  const watch = watchdog.watch({ pid: task.pid, memoryBytes: null, processes: null, disk: null, ...limits, onOver });
  await finish(task);
  watch.close();
  watchdog.close();
  return seen;
}

// /proc is Linux's.
describe.skipIf(!onLinux)("trees", () => {
  test("descendants are found through double forks and sessions of their own", async () => {
    const task = startScript("(sh -c 'sleep 100 & sleep 100 & wait' &) ; setsid sleep 100 & echo ready; wait");
    running.push(task);
    await waitForOutput(task, "ready");
    const deadline = performance.now() + 5000;
    while (listDescendants(task.pid, 100).length < 5 && performance.now() < deadline) await Bun.sleep(5);
    expect(listDescendants(task.pid, 100).length).toBeGreaterThanOrEqual(5);
    expect(listDescendants(task.pid, 2)).toHaveLength(2);
  });

  // Memory is spread by Python's fork here.
  describe.skipIf(!hasPython)("memory", () => {
    const limit = 200 * mebibyte;
    const cases = [
      { title: "of one process", code: "x = bytearray(2000 << 20)" },
      {
        title: "of many, each below the limit",
        code: "for _ in range(10):\n  if os.fork() == 0: x = bytearray(60 << 20); time.sleep(100)\ntime.sleep(100)",
      },
      { title: "mapped and shared", code: "m = mmap.mmap(-1, 400 << 20); m.write(b'x' * (400 << 20)); time.sleep(100)" },
      {
        title: "in a memory file",
        code: "f = os.memfd_create('x')\nos.truncate(f, 400 << 20)\nm = mmap.mmap(f, 400 << 20)\nm.write(b'x' * (400 << 20)); time.sleep(100)",
      },
    ];
    for (const { title, code } of cases) {
      test(title, async () => {
        const seen = await watchTask(python(`import mmap, os, time\n${code}`), { memoryBytes: limit });
        expect(seen?.what).toBe("memory");
        expect(seen?.measured).toBeGreaterThan(limit);
      });
    }

    test("what a fork shares counts once, what is only mapped from files does not", async () => {
      const big = join(makeFolder(), "big");
      writeFileSync(big, new Uint8Array(300 * mebibyte));
      const code = `import mmap, os, time
x = bytearray(os.urandom(1 << 20) * 90)
for _ in range(5):
  if os.fork() == 0: time.sleep(0.6); os._exit(0)
f = open("${big}", "rb"); m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ); n = sum(m[::4096]); time.sleep(0.6)`;
      expect(await watchTask(python(code), { memoryBytes: limit })).toBeNull();
    });
  });

  test("processes of a fork bomb", async () => {
    const task = startScript("f() { f & f & wait; }; n=0; while [ $n -lt 60 ]; do sleep 100 & n=$((n+1)); done; wait");
    running.push(task);
    const seen = await watchTask(task, { processes: 20 });
    expect(seen).toEqual({ what: "processes", measured: 21 });
  });

  test("disk, of all folders together", async () => {
    const [a, b] = [makeFolder(), makeFolder()];
    const task = startScript(`head -c 6M /dev/urandom > ${a}/x; mkdir ${b}/sub; head -c 6M /dev/urandom > ${b}/sub/y; sleep 100`);
    running.push(task);
    const seen = await watchTask(task, { disk: { folders: [a, b], bytes: 8 * mebibyte } });
    expect(seen?.what).toBe("disk");
  });

  test("a task within its limits is left alone, a short one is not looked at", async () => {
    const limits = { memoryBytes: 500 * mebibyte, processes: 10, disk: { folders: [makeFolder()], bytes: mebibyte } };
    expect(await watchTask(startScript("sleep 0.4"), limits)).toBeNull();
    expect(await watchTask(startScript("sleep 0.01 & sleep 0.01 & wait"), { processes: 0 })).toBeNull();
  });

  test("nothing is told after close, and one limit once", async () => {
    const told: Over[] = [];
    const watchdog = createWatchdog({ clock });
    const task = startScript("sleep 100");
    running.push(task);
    const ask = { pid: task.pid, memoryBytes: 0, processes: 0, disk: null, onOver: (what: Over) => void told.push(what) };
    watchdog.watch(ask).close();
    watchdog.watch(ask);
    const deadline = performance.now() + 5000;
    while (told.length === 0 && performance.now() < deadline) await Bun.sleep(5);
    await Bun.sleep(0);
    expect(told).toEqual(["processes"]);
    watchdog.close();
  });
});

test("a folder's size: links are not followed, hard links count once, empty files count too", async () => {
  const folder = makeFolder();
  writeFileSync(join(folder, "a"), new Uint8Array(mebibyte).fill(1));
  linkSync(join(folder, "a"), join(folder, "b"));
  symlinkSync("/usr", join(folder, "usr"));
  mkdirSync(join(folder, "many"));
  for (let count = 0; count < 100; count += 1) writeFileSync(join(folder, "many", String(count)), "");
  const bytes = await measureFolders([folder, join(folder, "none")], Number.MAX_SAFE_INTEGER);
  expect(bytes).toBeGreaterThanOrEqual(mebibyte + 100 * 4096);
  expect(bytes).toBeLessThan(mebibyte + 110 * 4096);
  expect(await measureFolders([folder], 10_000)).toBeLessThan(bytes);
});

// Only a machine that lets us make control groups can test them.
describe.skipIf(place === null)("control groups", () => {
  const names = (): string[] => readdirSync(place?.memory ?? "/").filter((name) => name.startsWith(`workflow-${process.pid}-`));
  const open = (memoryBytes: number, processes: number) => {
    const cgroup = place === null ? null : openCgroup(place, { memoryBytes, processes });
    if (cgroup === null) throw new Error("no control group");
    return cgroup;
  };
  /** A shell that joins first, as the launcher would. */
  const start = (files: readonly string[], script: string): Task => {
    const task = startScript(`${files.map((file) => `echo 0 > ${file}`).join("; ")}; ${script}`);
    running.push(task);
    return task;
  };

  // Python is the eater.
  test.skipIf(!hasPython)("memory over the limit is known as such", async () => {
    const cgroup = open(64 * mebibyte, 50);
    const { exit } = await finish(start(cgroup.joinFiles, "exec python3 -I -c 'x = bytearray(500 << 20)'"));
    expect([exit.signal, cgroup.wasOverMemory()]).toEqual(["SIGKILL", true]);
    cgroup.close();
    expect(cgroup.wasOverMemory()).toBe(true);
  });

  test("processes over the limit cannot be started, and memory was not it", async () => {
    const cgroup = open(256 * mebibyte, 5);
    const { stderr } = await finish(start(cgroup.joinFiles, "for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done; kill $(jobs -p)"));
    expect(stderr.toLowerCase()).toContain("fork");
    expect(cgroup.wasOverMemory()).toBe(false);
    cgroup.close();
  });

  test("a running process can be put in, and close leaves nothing", async () => {
    const cgroup = open(256 * mebibyte, 50);
    const task = startScript("sleep 100");
    running.push(task);
    cgroup.add(task.pid);
    expect(names().length).toBe(1);
    task.kill();
    await task.exited;
    cgroup.close();
    const deadline = performance.now() + 5000;
    while (names().length > 0 && performance.now() < deadline) await Bun.sleep(10);
    expect(names()).toEqual([]);
    expect(cgroup.joinFiles.some((file) => existsSync(file))).toBe(false);
  });
});
