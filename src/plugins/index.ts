export * from "./invoke/index.ts";
export {
  approvalProblem,
  asksOf,
  copyTree,
  describeAction,
  exceedingEntries,
  hashTree,
  ManifestForm,
  parseManifest,
  type PluginEntry,
  PluginRegistry,
  type PluginApproval,
  renderPluginTypes,
} from "./manifest/index.ts";
export { createNetworkGate, type NetworkGate } from "./network/index.ts";
export { RuntimeFolder } from "./runtime-folder/index.ts";
export { containerLayers, type ContainerRunner, ContainerRuntime } from "./runtimes/docker/index.ts";
export { Cgroups, createWatchdog, disableCoreDumps, probeSandbox, selfTest, spawnProcess } from "./runtimes/index.ts";
export { keepProbes } from "./sandbox/index.ts";
export type { Confinement, Notice, SandboxState } from "./sandbox/index.ts";
export { LearnLog, type LearnFacts, type Learned, leastPermissions, renderLearned, type WatchedAttempt } from "./learn/index.ts";
