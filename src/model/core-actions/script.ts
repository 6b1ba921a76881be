// Scripts in a named language.
import { type ActionDescription, closed, files, text } from "./describe.ts";

export const scriptActions: readonly ActionDescription[] = [
  {
    action: "core/script.run",
    description: "Runs a script in TypeScript, JavaScript or Python.",
    input: closed({
      language: {
        type: "string",
        enum: ["ts", "typescript", "js", "javascript", "python", "python3"],
        description: "Default: what the file's name says, else ts.",
      },
      code: { type: "string" },
      script: { type: "string", description: "The same as code." },
      file: { type: "string", description: "Path of the script, instead of code. Bare: in the workspace, which scripts always have." },
      args: { type: "array", items: text, maxItems: 1000 },
      input: { description: "Given to the script on its standard input, as JSON." },
      stdin: { type: "string", description: "Standard input as text, instead of input." },
      env: { type: "object", additionalProperties: text },
      files,
    }),
    output: closed(
      {
        exitCode: { type: "integer" },
        stdout: { type: "string", description: "Its last 64 KiB." },
        result: {
          description:
            "What the script wrote as JSON to $WORKFLOW_RESULT; else the members it wrote to $WORKFLOW_OUTPUT; else its last line, if that is JSON.",
        },
        artifacts: { type: "array" },
      },
      ["exitCode", "stdout", "result"],
    ),
    idempotent: false,
    runsIn: "process",
    available: true,
    // No `asks`: like a `run:` script it asks for everything that is granted.
  },
];
