// Takes layers away in a process of its own, and prints what is left of the sandbox each time.

import { selfTest, spawnProcess } from "../../src/plugins/runtimes/index.ts";
import { distrustLayer, probeSandbox } from "../../src/plugins/sandbox/index.ts";
import { confine } from "./confined.ts";

const results = await selfTest();
const levels: Record<string, unknown> = { all: probeSandbox().state.level };
for (const layer of ["mounts", "loopback", "landlock"]) {
  distrustLayer(layer, "a test says so");
  const { state } = probeSandbox();
  levels[layer] = [state.level, state.layers.includes(layer), state.canOwnUser, state.missing.some((gap) => gap.layer === layer)];
}
let refusal = "none";
try {
  spawnProcess({ argv: ["true"], env: {}, cwd: "/", stdin: null, graceMs: 1, resultBytesMax: 1, confinement: confine() });
} catch (error) {
  refusal = (error as { code: string }).code;
}
console.log(JSON.stringify({ results, levels, refusal, rest: await selfTest() }));
