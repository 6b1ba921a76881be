export { openLauncher } from "./launcher.ts";
export type { Launcher } from "./launcher.ts";
export { openMemoryFile, openPipe } from "./libc.ts";
export { parseReport, reportBytes } from "./plan-format.ts";
export type { LaunchReport, Step } from "./plan-format.ts";
export { compilePlan } from "./plan.ts";
export type { LaunchSpec, Plan } from "./plan.ts";
export { resolveProgram } from "./program.ts";
export type { LinuxArch } from "./syscalls.ts";
