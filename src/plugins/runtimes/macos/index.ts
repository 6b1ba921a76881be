export { macTools } from "./command.ts";
export { probeMac, selfTestMac } from "./probe.ts";
export type { MacAttack } from "./probe.ts";
export { listMacTree, measureMacMemory } from "./process-table.ts";
export { spawnOnMac } from "./spawn.ts";
