// Nothing that a task started outlives it: not its normal end, not a timeout, not a cancel, not Ctrl-C.
import { expect, test } from "bun:test";
import { existsSync, mkdirSync } from "node:fs";
import { Home, processesWith, until } from "../product/binary.ts";

const stray = (marker: string, end: string, extra = "") => `id: stray
permissions: { filesystem: { write: [./marks] } }
tasks:
  - id: t
    run: |
      trap '' TERM
      sleep 300 &
      setsid sleep 300 &
      (setsid sh -c 'sleep 300 & sleep 300' >/dev/null 2>&1 &)
      touch "$READY"
      ${end}
    env: { MARK: ${marker}, READY: "{{ inputs.ready }}" }
    ${extra}
inputs: [{ id: ready, type: string, required: true }]
`;

async function prepare(name: string, end: string, extra = "") {
  const home = new Home();
  const marker = `stray-${name}-${process.pid}-${Math.floor(performance.now())}`;
  await Bun.write(home.path("stray.yaml"), stray(marker, end, extra));
  const config = home.path("c.yaml");
  await Bun.write(config, "execution: { killGrace: 300ms }\n");
  mkdirSync(home.path("marks"));
  const ready = home.path("marks/ready");
  const run = home.start(["run", "stray.yaml", "-c", config, "--input", `ready=${ready}`]);
  await until(() => (existsSync(ready) ? true : null));
  return { home, marker, run };
}

const gone = (marker: string) => until(() => (processesWith(marker).length === 0 ? true : null), 5000);

test("a task that exits 0 and leaves children is SUCCESS, and they are killed", async () => {
  const { marker, run } = await prepare("normal", "exit 0");
  expect((await run.ended).code).toBe(0);
  await gone(marker);
});

test("a timeout takes the whole tree, also when it ignores SIGTERM", async () => {
  const { marker, run } = await prepare("timeout", "wait", "timeout: 700ms");
  const ended = await run.ended;
  expect(ended.code).toBe(1);
  expect(ended.stderr).toContain("TASK_TIMEOUT");
  await gone(marker);
});

test("Ctrl-C cancels with exit 130 and takes the whole tree", async () => {
  const { marker, run } = await prepare("interrupt", "wait");
  expect(processesWith(marker).length).toBeGreaterThan(3);
  run.child.kill("SIGINT");
  expect((await run.ended).code).toBe(130);
  await gone(marker);
});

test("a cancel from another process takes the whole tree, and the owner says CANCELLED", async () => {
  const { home, marker, run } = await prepare("cancel", "wait");
  const list = JSON.parse((await home.run(["execution", "list", "--json"])).stdout) as { executions: { executionId: string }[] };
  const id = list.executions[0]?.executionId ?? "";
  expect((await home.run(["execution", "cancel", id])).code).toBe(0);
  expect((await run.ended).code).toBe(1);
  await gone(marker);
  const shown = JSON.parse((await home.run(["execution", "inspect", id, "--json"])).stdout) as { execution: { state: string; reasonCode: string } };
  expect(shown.execution).toMatchObject({ state: "CANCELLED", reasonCode: "USER_CANCELLED" });
});

test("--keep-workspace leaves the folder, also when a server later looks for what was left behind", async () => {
  const home = new Home();
  await Bun.write(home.path("w.yaml"), "id: w\ntasks: [{ id: a, run: 'echo kept > file.txt' }]\n");
  const run = JSON.parse((await home.run(["run", "w.yaml", "--keep-workspace", "--json"])).stdout) as { execution: { executionId: string } };
  const file = `${home.data}/work/${run.execution.executionId}/workspace/file.txt`;
  expect(existsSync(file)).toBe(true);
  expect((await (await home.startServer()).stop()).code).toBe(0);
  expect(existsSync(file)).toBe(true);
});
