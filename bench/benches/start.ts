// How long it takes until the binary has answered: the version, a one-task run, a healthy server.
// The programs' files are in the page cache for both sides; "cold" is the process and its data folder.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Bench, type BenchContext, timed } from "../harness/bench.ts";
import { binary, emptyHome, run } from "../harness/programs.ts";
import { atMost, medianOf } from "../harness/row.ts";
import { startProduct, startServer } from "../harness/server.ts";
import { compileBare } from "../harness/server-pair.ts";

const goals = { version: atMost(0.3), run: atMost(1), healthy: atMost(2) };
/** Starts per repetition, of which the median counts. */
const starts = 7;

export const start: Bench = async (context) => {
  if (Bun.which("node") === null) context.skip("commands against node", "there is no node");
  else await compareCommands(context);
  await compareServers(context);
};

async function medianOfStarts(work: () => Promise<number> | number): Promise<number> {
  const times: number[] = [];
  for (let done = 0; done < starts; done += 1) times.push(await work());
  return medianOf(times);
}

async function compareCommands(context: BenchContext): Promise<void> {
  const home = context.folder();
  writeFileSync(join(home, "hello.yaml"), "id: hello\ntasks:\n  - id: hello\n    run: echo hello\n");
  const options = { cwd: home, env: emptyHome(home) };
  const time = (argv: string[]): Promise<number> => timed(() => run(argv, options));
  const node = (): Promise<number> => medianOfStarts(() => time(["node", "-e", "0"]));
  const compare = (work: string, goal: typeof goals.run, ours: () => Promise<number>) =>
    context.compare({ work, unit: "ms", floorName: "node -e 0", goal, ours: () => medianOfStarts(ours), floor: node });
  await compare("workflow --version", goals.version, () => time([binary, "--version"]));
  await compare("workflow run of a one-task hello, existing data folder", goals.run, () => time([binary, "run", "hello.yaml"]));
  await compare("workflow run of a one-task hello, fresh data folder", goals.run, async () => {
    const data = context.folder();
    const ms = await time([binary, "run", "hello.yaml", "--data", data]);
    context.remove(data);
    return ms;
  });
}

async function compareServers(context: BenchContext): Promise<void> {
  const bare = await compileBare(context);
  const folder = context.folder();
  const healthyBare = async (): Promise<number> => {
    const server = await startServer((port) => [bare, String(port)], { cwd: folder, env: emptyHome(folder) });
    await server.stop();
    return server.healthyMs;
  };
  const healthyIn = async (home: string): Promise<number> => {
    const server = await startProduct(home);
    await server.stop();
    return server.healthyMs;
  };
  const compare = (work: string, ours: () => Promise<number>) =>
    context.compare({
      work,
      unit: "ms",
      floorName: "bare Elysia",
      goal: goals.healthy,
      ours: () => medianOfStarts(ours),
      floor: () => medianOfStarts(healthyBare),
    });
  const home = context.folder();
  await compare("server start to healthy, existing data folder", () => healthyIn(home));
  await compare("server start to healthy, fresh data folder", async () => {
    const fresh = context.folder();
    const ms = await healthyIn(fresh);
    context.remove(fresh);
    return ms;
  });
}
