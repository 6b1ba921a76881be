// States of executions and task runs with their reason codes (engine.md), and which changes between them are legal.

export const executionStates = ["PENDING", "RUNNING", "WAITING", "SUCCESS", "FAILED", "CANCELLED"] as const;
export const taskStates = [...executionStates, "SKIPPED"] as const;

/** How an execution can have ended. */
export const terminalStates = ["SUCCESS", "FAILED", "CANCELLED"] as const;

export type ExecutionState = (typeof executionStates)[number];
export type TaskState = (typeof taskStates)[number];

const terminalReasons = [
  "SUCCESS",
  "TASK_FAILED",
  "TIMEOUT",
  "USER_CANCELLED",
  "DEPENDENCY_FAILED",
  "CONDITION_FALSE",
  "APPROVAL_DENIED",
  "CRASH_RECOVERY",
  "PERMISSION_DENIED",
  "INVALID_INPUT",
  "EXPRESSION_ERROR",
  "CONCURRENCY_SKIPPED",
  "BUDGET_EXHAUSTED",
  "INTERNAL",
] as const;
const waitingReasons = ["TIMER", "RETRY_DELAY", "APPROVAL_PENDING", "OUTCOME_UNKNOWN", "PAUSED", "CHILD_RUNNING"] as const;
/** Shown for PENDING while a limit holds something back; it has no event. */
const pendingReasons = ["LIMIT_WAIT"] as const;

export type TerminalReason = (typeof terminalReasons)[number];
export type WaitingReason = (typeof waitingReasons)[number];
export type ReasonCode = TerminalReason | WaitingReason | (typeof pendingReasons)[number];

export function isTerminal(state: TaskState): boolean {
  return state === "SUCCESS" || state === "FAILED" || state === "CANCELLED" || state === "SKIPPED";
}

const next: Record<TaskState, readonly TaskState[]> = {
  PENDING: ["RUNNING", "WAITING", "SUCCESS", "FAILED", "CANCELLED", "SKIPPED"],
  RUNNING: ["WAITING", "PENDING", "SUCCESS", "FAILED", "CANCELLED"],
  WAITING: ["RUNNING", "PENDING", "SUCCESS", "FAILED", "CANCELLED"],
  SUCCESS: [],
  FAILED: [],
  CANCELLED: [],
  SKIPPED: [],
};

/** Whether a task run or an execution may go from one state to the other. Terminal states never change. */
export function canMove(from: TaskState, to: TaskState): boolean {
  return next[from].includes(to);
}
