// Every bound of the product in one place, each with its reason. Exceeding one is a clear error, never a surprise.

export const limits = {
  /** Workflow source, so that a parse stays under a tenth of a second. */
  workflowBytesMax: 1024 * 1024,
  /** Tasks of a workflow, handlers included. */
  tasksMax: 2000,
  forEachItemsMax: 100_000,
  /** JSON text of all inputs of an execution. */
  inputBytesMax: 1024 * 1024,
  /** JSON text of a task's inline output; larger results are artifacts. */
  outputBytesMax: 1024 * 1024,
  /** Larger values in event payloads are stored once, as blobs. */
  payloadValueBytesMax: 16 * 1024,
  /** Larger blobs are files beside the database. */
  blobRowBytesMax: 1024 * 1024,
  logLineBytesMax: 64 * 1024,
  logAttemptBytesMax: 64 * 1024 * 1024,
  /** `stdout` of a `run:` task keeps its last part. */
  stdoutOutputBytesMax: 64 * 1024,
  bodyBytesMax: 1024 * 1024,
  /** Operations in one transaction: keeps the longest stall of the event loop in milliseconds. */
  commitOperationsMax: 256,
  /** Executions that may wait for a place. */
  queueMax: 10_000,
  expressionMsMax: 100,
  expressionStepsMax: 1_000_000,
  expressionCharsMax: 64 * 1024,
  finallyMsMax: 5 * 60_000,
  workflowRunDepthMax: 10,
  pageMax: 500,
  pageDefault: 50,
  waitMsMax: 60_000,
  diagnosticsMax: 200,
  /** Longest timeout or delay: a year; beyond it timers are a mistake. */
  durationMsMax: 366 * 86_400_000,
} as const;
