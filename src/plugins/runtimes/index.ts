export { commandFor } from "./interpreters.ts";
export type { Command, Shell } from "./interpreters.ts";
export { spawnProcess } from "./process.ts";
export type { ProcessExit, ProcessHandle, ProcessSpec } from "./process.ts";
