// The one peer that runs without a server of its own: openworkflow, from the registry, on SQLite in the same runtime.
import { join } from "node:path";
import type { BenchContext } from "../harness/bench.ts";
import { atLeast } from "../harness/row.ts";

const peer = "openworkflow@0.10.1";
const script = join(import.meta.dir, "../floors/openworkflow.ts");
/** Few, since it is slow; its rate does not depend on how many there are. */
const runs = 100;
const steps = 10;
const patienceMs = 20_000;

/** `ours` gives the product's steps a second on ten-step runs. */
export async function comparePeer(context: BenchContext, ours: () => Promise<number>): Promise<void> {
  const work = `ten-step runs, 100 at a time, against ${peer} on SQLite: steps`;
  const folder = context.folder();
  const problem = install(folder);
  if (problem !== null) return context.skip(work, problem);
  await context.compare({ work, unit: "/s", floorName: peer, goal: atLeast(20), ours, floor: () => measurePeer(folder) });
}

/** Null when it is installed, else why it is not. */
function install(folder: string): string | null {
  if (Bun.which("npm") === null) return "there is no npm";
  const argv = ["npm", "install", "--prefix", folder, "--no-audit", "--no-fund", "--ignore-scripts", peer];
  const child = Bun.spawnSync(argv, { cwd: folder, stdio: ["ignore", "ignore", "ignore"], timeout: patienceMs });
  return child.exitCode === 0 ? null : "it cannot be installed here";
}

async function measurePeer(folder: string): Promise<number> {
  const child = Bun.spawn([process.execPath, script, folder, String(runs), String(steps)], {
    stdio: ["ignore", "pipe", "inherit"],
    timeout: patienceMs,
  });
  const figure = Number(await new Response(child.stdout).text());
  if ((await child.exited) !== 0 || !(figure > 0)) throw new Error(`${peer} did not end its runs`);
  return figure;
}
