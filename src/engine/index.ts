export type { DecideContext, Decision, TaskStart } from "./decision.ts";
export { decideNext, decideRecovery } from "./decide.ts";
export type { Command } from "./commands.ts";
export { Engine, type EngineDeps } from "./engine.ts";
export { fold } from "./fold.ts";
export { type ExecutionHeader, isEnded, type Machine, newMachine, type TriggerData, type TriggerPayload } from "./machine.ts";
export type {
  OwnerWatch,
  StoredArtifact,
  TaskAsk,
  TaskCall,
  TaskInvocation,
  TaskInvoker,
  TaskOutcome,
  TaskPrepared,
  Timers,
} from "./ports.ts";
export type { Runner } from "./runner.ts";
export type { SubmitRequest } from "./submission.ts";
