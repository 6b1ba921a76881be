// The actions that the engine runs itself.
import { type ActionDescription, anything, text, closed } from "./describe.ts";

export const controlFlowActions: readonly ActionDescription[] = [
  {
    action: "core/value.set",
    description: "Gives its inputs as its output.",
    input: anything,
    output: anything,
    idempotent: true,
    runsIn: "engine",
    available: true,
  },
  {
    action: "core/log.write",
    description: "Writes one line into the execution's log.",
    input: closed({ message: {}, level: { type: "string", enum: ["DEBUG", "INFO", "WARN", "ERROR", "debug", "info", "warn", "error"] } }, [
      "message",
    ]),
    output: closed({}),
    idempotent: true,
    runsIn: "engine",
    available: true,
  },
  {
    action: "core/wait.for",
    description: "Waits for a duration, or until a time (RFC 3339).",
    input: closed({ duration: text, until: text }),
    output: closed({ until: text }, ["until"]),
    idempotent: true,
    runsIn: "engine",
    available: true,
  },
  {
    action: "core/workflow.run",
    description: "Starts another workflow and, by default, waits for its end.",
    input: closed({ workflow: text, inputs: anything, wait: { type: "boolean" } }, ["workflow"]),
    output: { type: "object", properties: { executionId: text, state: text, outputs: anything } },
    idempotent: false,
    runsIn: "engine",
    available: true,
  },
  {
    action: "core/approval.request",
    description: "Waits for people to approve.",
    input: closed(
      {
        prompt: text,
        approvers: { type: "array", items: text },
        minApprovers: { type: "integer", minimum: 1 },
        timeout: text,
        inputs: { type: ["array", "object"] },
      },
      ["prompt"],
    ),
    output: { type: "object", properties: { approved: { type: "boolean" }, by: { type: "array" }, comment: {}, inputs: anything } },
    idempotent: false,
    runsIn: "engine",
    available: false,
  },
];
