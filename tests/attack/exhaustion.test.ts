// What a task may not use up: processes, memory, disk, log, time. The product stays whole, and nothing of the task is left.
import { describe, expect, test } from "bun:test";
import { until, processesWith } from "../product/binary.ts";
import { users, World } from "./world.ts";

for (const user of users) {
  describe(`as ${user}`, () => {
    const world = new World(user);
    const gone = (mark: string) => until(() => (processesWith(mark).length === 0 ? true : null), 10_000);

    test("a fork bomb ends, and nothing of it is left", async () => {
      const mark = `bomb-${crypto.randomUUID()}`;
      const bomb = "f() { f | f & f; }; f";
      const run = await world.runTasks(
        [{ id: "bomb", shell: "bash", run: bomb, env: { MARK: mark }, timeout: "5s", permissions: { processes: 40 } }],
        {
          permissions: { processes: 40 },
        },
      );
      expect(run.tasks.get("bomb")?.state).toBe("FAILED");
      await gone(mark);
    }, 60_000);

    test("more memory than granted ends a task in every language, also spread over processes", async () => {
      const python = "x = []\nwhile True: x.append(bytearray(8_000_000))";
      const bun = "const x: Uint8Array[] = []; for (;;) x.push(new Uint8Array(8_000_000).fill(1));";
      const spread = "for i in 1 2 3 4 5 6 7 8; do python3 -c 'x = bytearray(60_000_000); import time; time.sleep(20)' & done; wait";
      const permissions = { memoryMb: 256 };
      const run = await world.runTasks(
        [
          { id: "python", shell: "python3", run: python },
          { id: "bun", shell: "bun", run: bun },
          { id: "spread", run: spread, timeout: "15s" },
        ],
        { permissions },
      );
      const ends = ["bun", "python", "spread"].map((id) => [id, run.tasks.get(id)?.state, run.tasks.get(id)?.code]);
      expect(ends).toEqual([
        ["bun", "FAILED", "TASK_MEMORY"],
        ["python", "FAILED", "TASK_MEMORY"],
        ["spread", "FAILED", "TASK_MEMORY"],
      ]);
    }, 60_000);

    test("memory that processes share counts too, and every language starts below a small limit", async () => {
      const shared = "import mmap\nm = mmap.mmap(-1, 400_000_000)\nfor i in range(0, 400_000_000, 4096): m[i] = 1";
      const run = await world.runTasks(
        [
          { id: "shared", shell: "python3", run: shared, timeout: "15s" },
          { id: "sh", run: "echo small" },
          { id: "python", shell: "python3", run: "print('small')" },
          { id: "bun", shell: "bun", run: "console.log('small')" },
        ],
        { permissions: { memoryMb: 128 } },
      );
      expect(run.tasks.get("shared")).toMatchObject({ state: "FAILED", code: "TASK_MEMORY" });
      for (const id of ["sh", "python", "bun"]) expect(run.tasks.get(id)).toMatchObject({ state: "SUCCESS", output: { stdout: "small" } });
    }, 60_000);

    test("more disk than granted ends a task, in one file or in many", async () => {
      const run = await world.runTasks(
        [
          { id: "one", run: "head -c 50000000 /dev/zero > big" },
          { id: "many", run: 'i=0; while :; do head -c 1000000 /dev/zero > "f$i"; i=$((i+1)); done', timeout: "20s" },
        ],
        { permissions: { diskMb: 20 } },
      );
      expect(run.tasks.get("one")?.state).toBe("FAILED");
      expect(run.tasks.get("many")).toMatchObject({ state: "FAILED" });
      expect(run.tasks.get("many")?.code).not.toBe("TASK_TIMEOUT");
    }, 60_000);

    test("a flood of output is bounded, and endless output ends with the timeout", async () => {
      const run = await world.runTasks([
        { id: "flood", run: "yes 'a line that is repeated' | head -c 300000000" },
        { id: "endless", run: "yes", timeout: "2s" },
      ]);
      expect(run.tasks.get("flood")).toMatchObject({ state: "SUCCESS" });
      expect(run.tasks.get("endless")).toMatchObject({ state: "FAILED", code: "TASK_TIMEOUT" });
    }, 120_000);

    test("zombies, orphans and a task that ignores SIGTERM are gone when the task has ended", async () => {
      const mark = `orphan-${crypto.randomUUID()}`;
      const orphans = "for i in 1 2 3 4 5 6 7 8 9 10; do (sleep 300 & setsid sleep 300 & nohup sleep 300 >/dev/null 2>&1 &) ; done; true";
      const deaf = "trap '' TERM HUP INT; while :; do sleep 1; done";
      const run = await world.runTasks([
        { id: "orphans", run: orphans, env: { MARK: mark } },
        { id: "deaf", run: deaf, env: { MARK: mark }, timeout: "1s" },
      ]);
      expect(run.tasks.get("orphans")?.state).toBe("SUCCESS");
      expect(run.tasks.get("deaf")).toMatchObject({ state: "FAILED", code: "TASK_TIMEOUT" });
      expect(processesWith(mark)).toEqual([]);
    }, 60_000);
  });
}
