// One process that asks what the sandbox holds, after what it is told to do first, and counts the launchers it ran for that.

import { spawnProcess } from "../../src/plugins/runtimes/index.ts";
import { distrustLayer, forgetProbe, keepProbes, probeSandbox } from "../../src/plugins/sandbox/index.ts";
import { confine } from "./confined.ts";

const [, , folder = "", order = "", layer = ""] = process.argv;
let starts = 0;
const spawnSync = Bun.spawnSync;
Bun.spawnSync = ((...given: Parameters<typeof spawnSync>) => {
  starts += 1;
  return spawnSync(...given);
}) as typeof spawnSync;

keepProbes(folder, { now: () => Date.now() });
if (order === "afresh") forgetProbe({ trusts: true });
probeSandbox();
if (order === "distrust" || order === "doubt") distrustLayer(layer, "a test says so", { lasts: order === "distrust" });
if (order === "fail") {
  // More open files than any kernel lets a process have: the step that sets the limit fails.
  const limits = { ...confine().limits, openFiles: 2 ** 40 };
  const task = spawnProcess({ argv: ["true"], env: {}, cwd: "/", stdin: null, graceMs: 1, resultBytesMax: 1, confinement: confine({ limits }) });
  const code = await task.exited.then(
    () => "started",
    (error: { code: string }) => error.code,
  );
  console.log(JSON.stringify({ starts, code }));
  process.exit();
}
const { level, layers, missing } = probeSandbox().state;
console.log(JSON.stringify({ starts, level, layers, missing }));
