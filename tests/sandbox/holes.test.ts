// Ways around the sandbox that were open once: each is tried again, as the engine's user and as a user of the task's own.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createWatchdog } from "../../src/plugins/runtimes/index.ts";
import type { Over, WatchAsk } from "../../src/plugins/runtimes/index.ts";
import { probeSandbox } from "../../src/plugins/sandbox/index.ts";
import { confine, folderFor, runConfined, startConfined, users } from "./confined.ts";
import type { User } from "./confined.ts";
import { asRoot, finish, onLinux } from "./task-tree.ts";

const mebibyte = 1024 * 1024;
const hasPython = Bun.which("python3") !== null;
const facts = onLinux ? probeSandbox().facts : null;
const python = (code: string) => ["python3", "-I", "-c", code];
const unlimited = { memoryBytes: null, cpuSeconds: null, processes: null, openFiles: null, fileBytes: null };

// The sandbox is Linux's; its attackers are written in Python.
describe.skipIf(!onLinux || !hasPython).each(users)("a task as $name", ({ user }) => {
  let work = "";
  beforeAll(() => void (work = folderFor(user)));
  afterAll(() => rmSync(work, { recursive: true, force: true }));
  const attack = (code: string) => runConfined(python(code), confine({ user, write: [work] }), { cwd: work });

  test("has neither memory without an owner nor kernel queues for input and output", async () => {
    const code = `import ctypes, errno, platform
call = ctypes.CDLL(None, use_errno=True).syscall
for number in ((319, 206) if platform.machine() == "x86_64" else (279, 0)):
  print(call(number, b"x", 0) if number != 206 and number != 0 else call(number, 1, ctypes.byref(ctypes.c_ulong())), errno.errorcode[ctypes.get_errno()])`;
    expect((await attack(code)).stdout).toBe("-1 ENOSYS\n-1 ENOSYS\n");
  });

  // Without namespaces the network's files are those of the whole machine, and no rule opens them.
  test.skipIf(facts?.ownNetwork === false)("sees nobody's connections, and is told which of its own were denied", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const code = `import glob, socket
own = [open(p).read().count("\\n") for p in ("/proc/net/tcp", "/proc/net/tcp6", "/proc/net/unix", "/proc/self/net/tcp", "/proc/thread-self/net/tcp")]
others = [p for p in glob.glob("/proc/[0-9]*/net/tcp") if open(p).read().count("\\n") > 1]
print(own, others)
print(socket.socket().connect_ex(("127.0.0.1", ${port})))`;
    const { stdout, notices } = await attack(code);
    server.close();
    expect(stdout).toBe("[1, 1, 1, 1, 1] []\n13\n");
    expect(notices.map(({ target }) => target)).toEqual([`127.0.0.1:${port}`]);
  });

  test("is not stopped by an engine that does not read what was denied", async () => {
    const done = join(work, "done");
    const code = `import socket\nfor i in range(5000): socket.socket().connect_ex(("127.0.0.1", 1000 + i))\nopen("done", "w")`;
    const task = startConfined(python(code), confine({ user, write: [work] }), { cwd: work });
    const deadline = performance.now() + 10_000;
    // Nothing of the event loop runs meanwhile.
    while (!existsSync(done) && performance.now() < deadline) Bun.sleepSync(5);
    expect(existsSync(done)).toBe(true);
    await finish(task);
    expect(task.noticesDropped()).toBeGreaterThan(0);
  });

  test("is seen when it holds threads, which the kernel does not count for root", async () => {
    const code = `import threading, time\nfor _ in range(40): threading.Thread(target=time.sleep, args=(100,), daemon=True).start()\ntime.sleep(100)`;
    expect(await watched(python(code), { user, work, limits: { processes: 20 } })).toMatchObject({ what: "processes" });
  });

  test("is seen when it fills the disk with files that have no name", async () => {
    const code = `import os, time
held = []
for _ in range(12):
  held.append(os.open("x", os.O_CREAT | os.O_WRONLY)); os.unlink("x")
  os.write(held[-1], os.urandom(1 << 20))
time.sleep(100)`;
    expect(await watched(python(code), { user, work, limits: { disk: { folders: [work], bytes: 8 * mebibyte } } })).toMatchObject({ what: "disk" });
  });

  test("may hold what is within its limits", async () => {
    const code = `import os, threading, time
held = os.open("x", os.O_CREAT | os.O_WRONLY); os.unlink("x")
for _ in range(60): os.write(held, os.urandom(1 << 16)); os.dup(held)
for _ in range(10): threading.Thread(target=time.sleep, args=(1.2,)).start()
time.sleep(1.2)`;
    const limits = { processes: 20, disk: { folders: [work], bytes: 8 * mebibyte } };
    expect(await watched(python(code), { user, work, limits })).toBeNull();
  });
});

type WatchedTask = { user: User; work: string; limits: Partial<WatchAsk> };

/** What the watchdog told of a task, which ends it; null when the task ended by itself. */
async function watched(argv: readonly string[], { user, work, limits }: WatchedTask): Promise<{ what: Over; measured: number } | null> {
  const task = startConfined(argv, confine({ user, write: [work], limits: unlimited }), { cwd: work });
  const watchdog = createWatchdog({ clock: { now: () => performance.now() } });
  let told: { what: Over; measured: number } | null = null;
  const onOver = (what: Over, measured: number) => {
    told = { what, measured };
    task.kill();
  };
  watchdog.watch({ pid: task.pid, memoryBytes: null, processes: null, disk: null, ...limits, onOver });
  await finish(task);
  watchdog.close();
  return told;
}

// Only root covers folders for other users, and only mounts can cover.
describe.skipIf(!asRoot || !hasPython || facts?.mounts !== true)("a folder that is exchanged for a link while others start", () => {
  const [attacker, victim] = [1_900_000_801, 1_900_000_802];
  const files = Array.from({ length: 20 }, (_, index) => `pwn${index}`);
  let root = "";
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), "holes-"));
    chmodSync(root, 0o755);
    mkdirSync(join(root, "rootonly"), { mode: 0o700 });
    for (const folder of ["share", "share/a"]) mkdirSync(join(root, folder));
    for (const name of files) writeFileSync(join(root, "share/a", name), "");
    symlinkSync(join(root, "rootonly"), join(root, "share/b"));
    for (const folder of ["share", "share/a"]) chownSync(join(root, folder), attacker, attacker);
    chmodSync(join(root, "share/a"), 0);
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  const exchange = `import ctypes, time
call = ctypes.CDLL(None).renameat2
while True:
  for seconds in (0.002, 0.0003):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end: pass
    call(-100, b"a", -100, b"b", 2)`;

  test("leads nobody with the engine's rights astray", async () => {
    const share = join(root, "share");
    const rival = Bun.spawn(python(exchange), { cwd: share, stdio: ["ignore", "ignore", "ignore"] });
    const read = files.map((name) => join(share, "a", name));
    const start = () => runConfined(["true"], confine({ user: { uid: victim, gid: victim }, read }));
    try {
      for (const end = performance.now() + 3000; performance.now() < end; ) await Promise.allSettled([start(), start()]);
    } finally {
      rival.kill("SIGKILL");
      await rival.exited;
    }
    expect(readdirSync(join(root, "rootonly"))).toEqual([]);
  }, 20_000);
});
