export type { GrantedEntries } from "./confine.ts";
export { sweepSocketFolders } from "./container.ts";
export { containerAction } from "./image-command.ts";
export { invokeAction } from "./invoke-action.ts";
export type { ActionCall, ActionOutcome, ActionRun, ArtifactSource, CheckSchema, InvokeDeps, LeftFile, Line } from "./ports.ts";
export { WarmPool, type WarmPoolDeps } from "./warm-pool.ts";
export { type AttemptFolders, type UserChoice, Workspaces } from "./workspace.ts";
export { wantsGroup } from "./tree-limits.ts";
