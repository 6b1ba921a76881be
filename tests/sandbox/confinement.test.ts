// What a confined task can do and cannot: folders, network, programs, limits, talking to it; and what is told of it.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo, Server } from "node:net";
import { join } from "node:path";
import { commandFor, spawnProcess } from "../../src/plugins/runtimes/index.ts";
import { probeSandbox } from "../../src/plugins/sandbox/index.ts";
import type { Confinement } from "../../src/plugins/sandbox/index.ts";
import { confine, folderFor, runConfined, startConfined, users } from "./confined.ts";
import { finish, onLinux, readText } from "./task-tree.ts";

const path = "/usr/local/bin:/usr/bin:/bin";
const sh = (script: string) => ["sh", "-c", script];
const bunMemory = { BUN_JSC_jitMemoryReservationSize: "67108864", BUN_JSC_structureHeapSizeInKB: "131072", MIMALLOC_ARENA_RESERVE: "65536" };
const runtime = process.execPath;
const runtimeEnv = { PATH: path, BUN_BE_BUN: "1", ...bunMemory };

// The sandbox is Linux's.
describe.skipIf(!onLinux).each(users)("a confined task as $name", ({ user }) => {
  let work = "";
  beforeAll(() => {
    work = folderFor(user);
  });
  afterAll(() => rmSync(work, { recursive: true }));
  const run = (argv: readonly string[], more: Partial<Confinement> = {}, spec: { stdin?: Uint8Array; env?: Record<string, string> } = {}) =>
    runConfined(argv, confine({ user, write: [work], ...more }), { cwd: work, ...spec });

  test("passes exit codes, signals, input and streams through", async () => {
    const { exit, stdout, stderr, result } = await run(
      sh("cat; echo out > /dev/stdout; echo err > /dev/stderr; echo result >&3; exit 7"),
      {},
      {
        stdin: Buffer.from("in\n"),
      },
    );
    expect({ stdout, stderr, exit }).toEqual({ stdout: "in\nout\n", stderr: "err\n", exit: { exitCode: 7, signal: null } });
    expect(Buffer.from(result).toString()).toBe("result\n");
    for (const signal of ["TERM", "KILL", "SEGV"]) expect((await run(sh(`kill -${signal} $$`))).exit.signal).toBe(`SIG${signal}`);
  });

  test("is told apart when its program or folder is missing", async () => {
    await expect(startConfined(["no-such-program"], confine({ user })).exited).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
    await expect(startConfined(["true"], confine({ user }), { cwd: "/no/such" }).exited).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
  });

  test("starts with default signals, none blocked, and the umask of everybody", async () => {
    const { stdout } = await run(sh("exec grep -E '^Sig(Blk|Ign)' /proc/self/status"));
    expect(stdout).toBe("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
  });

  // Not every machine has git.
  test.skipIf(Bun.which("git", { PATH: path }) === null)("can use git, pipes and scripts in its folder", async () => {
    const script = "git init -q r && cd r && echo x > f && git add f && git -c user.name=n -c user.email=e commit -qm m && git log --format=%s | cat";
    const env = { PATH: path, HOME: work };
    expect(await run(sh(script), {}, { env })).toMatchObject({ stdout: "m\n", stderr: "", exit: { exitCode: 0 } });
  });

  test("can run Bun, and Bun below a shell", async () => {
    writeFileSync(
      join(work, "main.ts"),
      "const seen: string = 'bun ' + (await new Response(Bun.spawn(['echo', 'child']).stdout).text()); console.log(seen);",
    );
    if (user !== null) chownSync(join(work, "main.ts"), user.uid, user.gid);
    const { argv } = commandFor("bun", join(work, "main.ts"));
    const memory = { memoryBytes: 512 * 1024 * 1024, cpuSeconds: null, processes: 64, openFiles: 256, fileBytes: null };
    const env = { ...runtimeEnv, HOME: work, TMPDIR: work };
    expect(await run(argv, { read: [runtime], limits: memory }, { env })).toMatchObject({ stdout: "bun child\n\n", exit: { exitCode: 0 } });
    // Bun wants to read about itself, which only the first process can where /proc is everybody's.
    if (!probeSandbox().facts.ownProc) return;
    const below = ["sh", "-c", '"$@"; exit $?', "sh", ...argv];
    expect(await run(below, { read: [runtime], limits: memory }, { env })).toMatchObject({ stdout: "bun child\n\n", exit: { exitCode: 0 } });
  });

  test("may start nothing with run: false, and the attempt is told", async () => {
    const { exit, notices } = await run(sh("echo one; /bin/true; echo two"), { run: false });
    expect(exit.exitCode).not.toBe(0);
    expect(notices).toEqual([expect.objectContaining({ kind: "run", denied: true })]);
    const exchanged = await run(sh("exec /bin/echo other"), { run: false });
    expect(exchanged.stdout).toBe("");
    expect(exchanged.notices).toEqual([{ denied: true, call: "execve", kind: "run", target: "/bin/echo", access: null }]);
  });

  test("reaches granted paths below closed folders, and nothing else there", async () => {
    const closed = folderFor(null, 0o700);
    for (const name of ["granted", "other", "written"]) mkdirSync(join(closed, "deep", name), { recursive: true });
    writeFileSync(join(closed, "deep", "granted", "file"), "content");
    writeFileSync(join(closed, "deep", "single"), "single");
    writeFileSync(join(closed, "deep", "other", "file"), "other");
    const written = join(closed, "deep", "written");
    if (user !== null) chownSync(written, user.uid, user.gid);
    const read = ["granted", "single"].map((name) => join(closed, "deep", name));
    const script = `cd ${closed}/deep; cat granted/file single; cat other/file; echo w > written/w && cat written/w; echo x > granted/x; ls ${closed}`;
    const { stdout, stderr } = await run(sh(script), { read, write: [work, written] });
    expect(stdout).toBe("contentsinglew\n");
    expect(stderr.split("\n").length).toBe(4);
    expect(readFileSync(join(written, "w"), "utf8")).toBe("w\n");
    expect(existsSync(join(closed, "deep", "granted", "x"))).toBe(false);
    rmSync(closed, { recursive: true });
  });

  test("moves files inside one granted tree, also where a part of it was granted again", async () => {
    const script = "mkdir -p a/b; echo x > a/f; mv a/f a/b/f; ln a/b/f a/h; cat a/h";
    mkdirSync(join(work, "a"), { recursive: true });
    if (user !== null) chownSync(join(work, "a"), user.uid, user.gid);
    expect(await run(sh(script), { write: [work, join(work, "a")] })).toMatchObject({ stdout: "x\n", stderr: "" });
  });

  test("does not start when a granted path has become a link", async () => {
    const place = folderFor(user);
    symlinkSync("/etc", join(place, "link"));
    await expect(startConfined(["true"], confine({ user, write: [join(place, "link")] })).exited).rejects.toMatchObject({
      code: "SANDBOX_UNAVAILABLE",
    });
    rmSync(place, { recursive: true });
  });

  test("has its limits", async () => {
    const limits = { memoryBytes: null, cpuSeconds: 1, processes: 20, openFiles: 32, fileBytes: 1000 };
    const { stdout } = await run(sh("ulimit -n; ulimit -t; head -c 2000 /dev/zero > big; echo $?; wc -c < big"), { limits });
    expect(stdout.split("\n").slice(0, 4)).toEqual(["32", "1", "153", "1000"]);
    expect((await run(sh("while :; do :; done"), { limits })).exit.signal).toMatch(/^SIG(XCPU|KILL)$/);
  });

  test("has as many processes as it may, however many its user has", async () => {
    const limits = { memoryBytes: null, cpuSeconds: null, processes: 10, openFiles: null, fileBytes: null };
    const script =
      "import os,time\nn=0\ntry:\n  for i in range(30):\n    if os.fork()==0: time.sleep(60); os._exit(0)\n    n+=1\nexcept OSError: pass\nprint(n)";
    const counted = user !== null || probeSandbox().facts.namespaces === "user";
    const runs = await Promise.all([1, 2, 3].map(() => run(["python3", "-c", script], { limits })));
    for (const { stdout } of runs) expect(Number(stdout)).toBe(counted ? (user === null ? 8 : 9) : 30);
  });
});

// The sandbox is Linux's.
describe.skipIf(!onLinux).each(users)("network as $name", ({ user }) => {
  let server: Server | null = null;
  let port = 0;
  beforeAll(async () => {
    const listening = createServer((socket) => socket.end("reached"));
    server = listening;
    await new Promise<void>((resolve) => listening.listen(0, "0.0.0.0", resolve));
    port = (listening.address() as AddressInfo).port;
  });
  afterAll(() => server?.close());
  const dial = (host: string, to: number) => [
    "python3",
    "-c",
    `import socket;s=socket.create_connection(('${host}',${to}),2);print(s.recv(9).decode())`,
  ];

  test("reaches a granted port on loopback", async () => {
    const { stdout, notices } = await runConfined(dial("127.0.0.1", port), confine({ user, connect: [port] }));
    expect([stdout, notices]).toEqual(["reached\n", []]);
  });

  test("reaches no other port and no other address", async () => {
    const granted = confine({ user, connect: [port === 9 ? 10 : 9] });
    const { exit, notices } = await runConfined(dial("127.0.0.1", port), granted);
    expect(exit.exitCode).toBe(1);
    expect(notices).toEqual([{ denied: true, call: "connect", kind: "network", target: `127.0.0.1:${port}`, access: null }]);
    const far = await runConfined(dial("192.0.2.7", port), confine({ user, connect: [port] }));
    expect(far.notices).toEqual([expect.objectContaining({ target: `192.0.2.7:${port}` })]);
  });

  test("listens on a granted port, on loopback, and on no other", async () => {
    const free = port === 40_999 ? 40_998 : 40_999;
    const script = (host: string, at: number) => [
      "python3",
      "-c",
      `import socket;s=socket.socket();s.bind(('${host}',${at}));s.listen();print('listens')`,
    ];
    const granted = confine({ user, listen: [free] });
    expect((await runConfined(script("127.0.0.1", free), granted)).stdout).toBe("listens\n");
    expect((await runConfined(script("127.0.0.1", free + 2), granted)).notices).toEqual([
      expect.objectContaining({ call: "bind", target: `127.0.0.1:${free + 2}` }),
    ]);
    expect((await runConfined(script("0.0.0.0", free), granted)).stdout).toBe("");
  });
});

// The sandbox is Linux's.
describe.skipIf(!onLinux)("observing", () => {
  test("denies nothing and tells files, programs and addresses with absolute paths", async () => {
    const folder = folderFor(null);
    const file = join(folder, "file");
    const script = `cd ${folder}; echo x > file; mkdir sub; cd sub; mv ../file moved; cat ./moved; chmod 600 moved; rm moved; cat missing; python3 -c "
import socket
socket.socket().connect_ex(('127.0.0.1',9))"`;
    const { stdout, notices } = await runConfined(sh(script), confine({ mode: "observe" }));
    expect(stdout).toBe("x\n");
    expect(notices.every(({ denied }) => !denied)).toBe(true);
    const told = notices.map(({ kind, target, access }) => `${kind} ${access} ${target}`);
    for (const wanted of [
      `filesystem write ${file}`,
      `filesystem write ${folder}/sub`,
      `filesystem write ${folder}/sub/moved`,
      `filesystem read ${folder}/sub/moved`,
      "network null 127.0.0.1:9",
    ]) {
      expect(told).toContain(wanted);
    }
    expect(told.some((text) => text.startsWith("run null ") && text.endsWith("/cat"))).toBe(true);
    expect(told.join("\n")).not.toContain("missing");
    rmSync(folder, { recursive: true });
  });

  test("loses nothing of a task that opens many files", async () => {
    const folder = folderFor(null);
    const script = `for i in $(seq 1 3000); do : > ${folder}/f$i; done`;
    const { notices } = await runConfined(sh(script), confine({ mode: "observe" }));
    expect(new Set(notices.map(({ target }) => target).filter((target) => target?.startsWith(`${folder}/f`))).size).toBe(3000);
    rmSync(folder, { recursive: true });
  });
});

// The sandbox is Linux's.
describe.skipIf(!onLinux)("a task that is talked to", () => {
  test("answers over pipes while it runs, and ends with its input", async () => {
    const spec = { env: { PATH: path }, cwd: "/", stdin: "pipe", graceMs: 1000, resultBytesMax: 1000, resultAsChunks: true } as const;
    const task = spawnProcess({ ...spec, argv: sh("while read line; do echo $line-$line >&3; done; exit 5"), confinement: confine() });
    const chunks = task.resultChunks;
    for (const word of ["one", "two"]) {
      await task.stdin?.write(Buffer.from(`${word}\n`));
      expect(Buffer.from((await chunks?.next())?.value ?? []).toString()).toBe(`${word}-${word}\n`);
    }
    expect(task.descendants().length).toBe(1);
    task.stdin?.end();
    await Promise.all([readText(task.stdout), readText(task.stderr)]);
    expect(await task.exited).toEqual({ exitCode: 5, signal: null });
  });

  test("a flood of denials is bounded", async () => {
    const script = "import socket\nfor i in range(5000): socket.socket().connect_ex(('127.0.0.1', 1000 + i))";
    const task = startConfined(["python3", "-c", script], confine());
    expect((await finish(task)).exit.exitCode).toBe(0);
    expect(task.notices.length).toBe(500);
    expect(task.noticesDropped()).toBeGreaterThan(100);
  });

  test("the probe names what holds", () => {
    const { state, facts } = probeSandbox();
    expect(state.level).toBe(facts.landlock >= 6 ? "strict" : "reduced");
    expect(state.layers).toContain("landlock");
    expect(state.canOwnUser).toBe(facts.switchUser);
  });
});
