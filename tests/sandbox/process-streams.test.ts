// What goes in and out of a task: environment, folder, descriptors, standard streams, the result, and failed starts.

import { describe, expect, test } from "bun:test";
import { closeSync, openSync, readdirSync } from "node:fs";
import { spawnProcess } from "../../src/plugins/runtimes/index.ts";
import { compilePlan, openLauncher, openMemoryFile } from "../../src/plugins/sandbox/index.ts";
import { asRoot, finish, onLinux, readText, startScript, startTask, waitForOutput, waitUntil } from "./task-tree.ts";

// The launcher and its supervisor are Linux programs.
describe.skipIf(!onLinux)("what a task starts with", () => {
  test("its environment is exactly what was given", async () => {
    const env = { PATH: "/usr/bin:/bin", EMPTY: "", "with.dot": "a=b c\nd", UNICODE: "žluť" };
    const { stdout } = await finish(startTask(["env", "-0"], { env }));
    const seen = stdout
      .split("\0")
      .filter((line) => line !== "")
      .toSorted();
    expect(seen).toEqual(
      Object.entries(env)
        .map(([name, value]) => `${name}=${value}`)
        .toSorted(),
    );
  });

  test("an empty environment stays empty", async () => {
    const { stdout } = await finish(startTask(["/usr/bin/env"], { env: {} }));
    expect(stdout).toBe("");
  });

  test("arguments arrive unchanged", async () => {
    const odd = ["", " two  words ", "$HOME `x` \"q\" 'p'", "line\nbreak", "ü"];
    const { stdout } = await finish(startTask(["printf", "%s\\0", ...odd]));
    expect(stdout).toBe(odd.map((text) => `${text}\0`).join(""));
  });

  test("it starts in its folder, with default signals and none blocked", async () => {
    const { stdout } = await finish(startScript("pwd; grep -E '^Sig(Blk|Ign)' /proc/self/status", { cwd: "/usr" }));
    expect(stdout).toBe("/usr\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
  });

  test("it sees descriptors 0 to 3 only", async () => {
    const { stdout } = await finish(startTask(["ls", "/proc/self/fd"]));
    expect(stdout).toBe("0\n1\n2\n3\n4\n"); // 4 is the folder that ls reads: the lowest number that was free
  });

  test("a descriptor that the engine hands on by mistake is closed before the task runs", async () => {
    const { path, arch } = openLauncher();
    const argv = ["ls", "/proc/self/fd"];
    const plan = compilePlan({ arch, program: "/bin/ls", argv, env: {}, cwd: "/", enginePid: process.pid });
    const planFile = openMemoryFile("plan", plan.bytes);
    const leak = openSync("/etc/passwd", "r");
    const child = Bun.spawn([path], { env: {}, stdio: ["ignore", "pipe", "inherit", leak, planFile, leak, leak] });
    expect(await new Response(child.stdout).text()).toBe("0\n1\n2\n3\n4\n");
    closeSync(leak);
    closeSync(planFile);
  });

  test("its supervisor keeps the plan and /proc open, nothing else, and shows them to no ordinary user", async () => {
    const task = startScript("echo ready; sleep 600");
    await waitForOutput(task, "ready");
    const descriptors = () => readdirSync(`/proc/${task.pid}/fd`).toSorted();
    if (asRoot) await waitUntil("the supervisor holds 4 and 5", () => descriptors().join() === "4,5");
    else await waitUntil("the supervisor is closed", () => attempt(descriptors) === "EACCES");
    task.kill();
    await task.exited;
  });
});

function attempt(action: () => unknown): string {
  try {
    action();
    return "done";
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
}

// The launcher and its supervisor are Linux programs.
describe.skipIf(!onLinux)("streams", () => {
  test("standard input arrives whole, and again through /dev/stdin", async () => {
    const stdin = Buffer.from("line\n".repeat(400_000));
    const { stdout } = await finish(startScript("wc -c; wc -c < /dev/stdin", { stdin }));
    expect(stdout.split("\n").slice(0, 2).map(Number)).toEqual([stdin.length, stdin.length]);
  });

  test("no standard input is an empty one", async () => {
    const { stdout } = await finish(startScript("wc -c"));
    expect(stdout.trim()).toBe("0");
  });

  test("/dev/stdout and /dev/stderr can be opened", async () => {
    const { stdout, stderr, exit } = await finish(startScript("set -e; echo out > /dev/stdout; echo err > /dev/stderr"));
    expect({ stdout, stderr, code: exit.exitCode }).toEqual({ stdout: "out\n", stderr: "err\n", code: 0 });
  });

  test("large streams arrive whole, both at once", async () => {
    const task = startScript("head -c 50000000 /dev/zero & head -c 50000000 /dev/zero >&2 & wait");
    const count = async (chunks: AsyncIterable<Uint8Array>) => {
      let bytes = 0;
      for await (const chunk of chunks) bytes += chunk.length;
      return bytes;
    };
    expect(await Promise.all([count(task.stdout), count(task.stderr)])).toEqual([50_000_000, 50_000_000]);
    expect((await task.exited).exitCode).toBe(0);
  });

  test("output written before the end is not lost when it is read late", async () => {
    const task = startScript("head -c 60000 /dev/zero; echo end >&2");
    await task.exited;
    expect((await readText(task.stdout)).length).toBe(60_000);
    expect(await readText(task.stderr)).toBe("end\n");
  });

  test("a reader that leaves early ends its pipe", async () => {
    const task = startTask(["yes"]);
    void readText(task.stderr);
    for await (const chunk of task.stdout) if (chunk.length > 0) break;
    expect(await task.exited).toEqual({ exitCode: null, signal: "SIGPIPE" });
  });
});

// The launcher and its supervisor are Linux programs.
describe.skipIf(!onLinux)("the result on descriptor 3", () => {
  const mebibyte = 1024 * 1024;

  test("carries 1 MiB", async () => {
    const { result } = await finish(startScript(`head -c ${mebibyte} /dev/zero | tr '\\0' 'r' >&3`));
    expect(Buffer.from(result).toString()).toBe("r".repeat(mebibyte));
  });

  test("is empty when nothing was written", async () => {
    expect((await finish(startScript("exit 0"))).result.length).toBe(0);
  });

  test("beyond its limit is refused, while the task goes on undisturbed", async () => {
    const task = startScript("head -c 3000000 /dev/zero >&3 && echo whole", { resultBytesMax: mebibyte });
    await expect(task.result).rejects.toMatchObject({ code: "TOO_LARGE", details: { bytes: 3_000_000, bytesMax: mebibyte } });
    expect(await readText(task.stdout)).toBe("whole\n");
    expect((await task.exited).exitCode).toBe(0);
  });
});

// The launcher and its supervisor are Linux programs.
describe.skipIf(!onLinux)("what cannot be started says why", () => {
  const cases = [
    {
      name: "no such program",
      argv: ["no-such-program"],
      cwd: "/",
      code: "FILE_NOT_FOUND",
      details: { program: "no-such-program", errno: "ENOENT" },
    },
    { name: "no such path", argv: ["/no/such"], cwd: "/", code: "FILE_NOT_FOUND", details: { errno: "ENOENT" } },
    { name: "not executable", argv: ["/etc/passwd"], cwd: "/", code: "TASK_FAILED", details: { errno: "EACCES" } },
    { name: "a folder", argv: ["/usr"], cwd: "/", code: "TASK_FAILED", details: { errno: "EACCES" } },
    { name: "arguments too long", argv: ["true", "x".repeat(200_000)], cwd: "/", code: "TASK_FAILED", details: { errno: "E2BIG" } },
    { name: "no such folder", argv: ["true"], cwd: "/no/such", code: "FILE_NOT_FOUND", details: { folder: "/no/such", errno: "ENOENT" } },
    { name: "a file as folder", argv: ["true"], cwd: "/etc/passwd", code: "FILE_NOT_FOUND", details: { errno: "ENOTDIR" } },
  ];
  for (const { name, argv, cwd, code, details } of cases) {
    test(name, async () => {
      const task = startTask(argv, { cwd });
      await expect(task.exited).rejects.toMatchObject({ code, details });
      expect((await task.result).length).toBe(0);
      expect([await readText(task.stdout), await readText(task.stderr)]).toEqual(["", ""]);
    });
  }

  test("a program's own exit 125, 126 or 127 is no failed start", async () => {
    expect((await startScript("exit 125").exited).exitCode).toBe(125);
    expect((await startScript("/etc/passwd").exited).exitCode).toBe(126);
    expect((await startScript("no-such-program").exited).exitCode).toBe(127);
  });

  test("bytes no process can be given are refused at once", () => {
    const spec = { cwd: "/", stdin: null, graceMs: 1, resultBytesMax: 1 };
    for (const bad of [
      { argv: ["a\0b"], env: {} },
      { argv: ["a"], env: { A: "\0" } },
      { argv: ["a"], env: { "A=B": "" } },
      { argv: ["a"], env: { "": "" } },
    ]) {
      expect(() => spawnProcess({ ...spec, ...bad })).toThrow(expect.objectContaining({ code: "TASK_INPUT_INVALID" }));
    }
    expect(() => spawnProcess({ ...spec, argv: [], env: {} })).toThrow(expect.objectContaining({ code: "INTERNAL" }));
    expect(() => spawnProcess({ ...spec, argv: ["true"], env: {}, cwd: "tmp" })).toThrow(expect.objectContaining({ code: "INTERNAL" }));
  });
});

// The launcher and its supervisor are Linux programs.
describe.skipIf(!onLinux)("what a task costs", () => {
  const openDescriptors = () => readdirSync("/proc/self/fd").length;

  test("1,000 tasks leave no descriptor behind, failed starts and early leavers included", async () => {
    for (let warm = 0; warm < 10; warm++) await finish(startTask(["true"]));
    Bun.gc(true);
    const before = openDescriptors();
    for (let round = 0; round < 100; round++) {
      const rejected = startTask(["no-such-program"]);
      const left = startScript("echo out; echo err >&2; echo result >&3");
      await Promise.all([left.stdout.next().then(() => left.stdout.return?.()), readText(left.stderr), left.exited]);
      await Promise.all([rejected.exited.catch(() => {}), readText(rejected.stdout), readText(rejected.stderr)]);
      await Promise.all(Array.from({ length: 8 }, () => finish(startTask(["true"], { stdin: Buffer.from("x") }))));
    }
    await waitUntil("the descriptors are closed", () => openDescriptors() <= before);
  }, 60_000);
});
