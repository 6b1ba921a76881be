// `run:` scripts.
import { type ActionDescription, text, closed, files } from "./describe.ts";

export const shellActions: readonly ActionDescription[] = [
  {
    action: "core/shell.run",
    description: "Runs a script; `run:` is short for it.",
    input: closed({ script: text, shell: { type: "string", enum: ["sh", "bash", "bun", "python3"] }, files }, ["script"]),
    output: { type: "object", properties: { exitCode: { type: "integer" }, stdout: text } },
    idempotent: false,
    runsIn: "process",
    available: true,
  },
];
