export type { GrantedEntries } from "./confine.ts";
export { invokeAction } from "./invoke-action.ts";
export type { ActionCall, ActionOutcome, ActionRun, ArtifactSource, CheckSchema, InvokeDeps, LeftFile, Line } from "./ports.ts";
export { type AttemptFolders, type UserChoice, Workspaces } from "./workspace.ts";
