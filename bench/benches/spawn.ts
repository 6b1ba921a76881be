// What a process costs: through the launcher, through the whole engine, and as TypeScript, against make and a bare spawn.
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { spawnProcess } from "../../src/plugins/runtimes/index.ts";
import { type Bench, type BenchContext, inParallel, timed } from "../harness/bench.ts";
import { emptyHome, run } from "../harness/programs.ts";
import { applyTasks, openProduct, runToEnd } from "../harness/product.ts";
import { atMost } from "../harness/row.ts";
import { measureWarm } from "./warm-calls.ts";

type Sandbox = "enforce" | "off";

const width = 2;
const goals = { launcher: atMost(1.5), dag: atMost(3), strict: atMost(4), typescript: atMost(1.3) };
const typescript = "const total: number = [1, 2, 3].reduce((a, b) => a + b, 0);\nconsole.log(total);\n";

export const spawn: Bench = async (context) => {
  await compareSingle(context);
  for (const sandbox of ["off", "enforce"] as const) await compareTypescript(context, sandbox);
  await measureWarm(context);
  if (Bun.which("make") === null) return context.skip("1000 processes against make", "there is no make");
  const makefile = writeMakefile(context, 1000);
  const options = { cwd: dirname(makefile), env: emptyHome(dirname(makefile)) };
  const make = (): Promise<number> => timed(() => run(["make", "-s", `-j${width}`, "-f", makefile], options));
  await context.compare({
    work: "1000 × true through the launcher, 2 at a time, sandbox off",
    unit: "ms",
    floorName: "make -j2",
    goal: goals.launcher,
    ours: () => timed(() => inParallel(1000, width, launchTrue)),
    floor: make,
  });
  const scripts = Array.from({ length: 1000 }, (_, index) => ({ id: `t${index}`, run: "true" }));
  await context.compare({
    work: "1 execution of 1000 tasks `run: true`, 2 at a time, sandbox off",
    unit: "ms",
    floorName: "make -j2",
    goal: goals.dag,
    ours: () => timeTasks(context, scripts, "off"),
    floor: make,
  });
  await context.compare({
    work: "1 execution of 1000 tasks `run: true`, 2 at a time, strict sandbox",
    unit: "ms",
    floorName: "make -j2",
    goal: goals.strict,
    ours: () => timeTasks(context, scripts, "enforce"),
    floor: make,
  });
};

function writeMakefile(context: BenchContext, targets: number): string {
  const names = Array.from({ length: targets }, (_, index) => `t${index}`).join(" ");
  const path = join(context.folder(), "Makefile");
  writeFileSync(path, `.PHONY: all ${names}\nall: ${names}\n${names}:\n\ttrue\n`);
  return path;
}

async function launchTrue(): Promise<void> {
  const handle = spawnProcess({ argv: ["true"], env: { PATH: "/usr/bin:/bin" }, cwd: "/", stdin: null, graceMs: 1000, resultBytesMax: 1024 });
  const drain = async (chunks: AsyncIterable<Uint8Array>): Promise<void> => {
    for await (const _ of chunks) continue;
  };
  const [exit] = await Promise.all([handle.exited, drain(handle.stdout), drain(handle.stderr), handle.result]);
  if (exit.exitCode !== 0) throw new Error("true failed");
}

async function spawnTrue(): Promise<void> {
  await Bun.spawn(["true"], { env: { PATH: "/usr/bin:/bin" }, cwd: "/", stdio: ["ignore", "pipe", "pipe"] }).exited;
}

function compareSingle(context: BenchContext): Promise<void> {
  const count = 500;
  return context.compare({
    work: "true through the launcher, one after the other: each",
    unit: "ms",
    floorName: "Bun.spawn",
    goal: null,
    ours: async () => (await timed(() => inParallel(count, 1, launchTrue))) / count,
    floor: async () => (await timed(() => inParallel(count, 1, spawnTrue))) / count,
  });
}

function compareTypescript(context: BenchContext, sandbox: Sandbox): Promise<void> {
  const tasks = Array.from({ length: 200 }, (_, index) => ({ id: `t${index}`, run: typescript, shell: "bun" }));
  const folder = context.folder();
  const file = join(folder, "task.ts");
  writeFileSync(file, typescript);
  const bare = async (): Promise<void> => {
    await Bun.spawn([process.execPath, file], { cwd: folder, env: emptyHome(folder), stdio: ["ignore", "pipe", "pipe"] }).exited;
  };
  return context.compare({
    work: `1 execution of ${tasks.length} TypeScript tasks, 2 at a time, ${sandbox === "off" ? "sandbox off" : "strict sandbox"}`,
    unit: "ms",
    floorName: "bun file.ts, 2 at a time",
    goal: goals.typescript,
    ours: () => timeTasks(context, tasks, sandbox),
    floor: () => timed(() => inParallel(tasks.length, width, bare)),
  });
}

/** Runs the tasks as one execution, without opening and closing the store. */
async function timeTasks(context: BenchContext, tasks: readonly object[], sandbox: Sandbox): Promise<number> {
  const folder = context.folder();
  const { app, facade } = await openProduct({ folder, tasks: width, sandbox });
  await applyTasks(facade, "bench", tasks);
  const ms = await timed(() => runToEnd(facade, "bench"));
  await app.close();
  context.remove(folder);
  return ms;
}
