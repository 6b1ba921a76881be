export { runScript, type ScriptCall, type ScriptOutcome, type ScriptRun } from "./run-script.ts";
export { type AttemptFolders, Workspaces } from "./workspace.ts";
