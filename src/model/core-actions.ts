// The built-in actions as the language knows them: names, schemas, and where each runs. What they do is written elsewhere.
import type { JsonObject } from "../base/index.ts";

/** One action of a plugin or of the engine, as validation and inspection need it. */
export type ActionDescription = {
  /** `namespace/plugin.action` */
  action: string;
  description: string;
  /** JSON Schema of the inputs, and of the output. */
  input: JsonObject;
  output: JsonObject;
  /** Whether a lost attempt may be repeated blindly. */
  idempotent: boolean;
  runsIn: "engine" | "process";
  /** False for an action that this version knows by name only. */
  available: boolean;
};

const anything: JsonObject = { type: "object" };
const text: JsonObject = { type: "string" };
const files: JsonObject = {
  type: "object",
  additionalProperties: { type: "string" },
  description: "Artifacts to put into the work folder, by name.",
};

function closed(properties: JsonObject, required: string[] = []): JsonObject {
  return { type: "object", properties, required, additionalProperties: false };
}

const ready: ActionDescription[] = [
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
    action: "core/shell.run",
    description: "Runs a script; `run:` is short for it.",
    input: closed({ script: text, shell: { type: "string", enum: ["sh", "bash", "bun", "python3"] }, files }, ["script"]),
    output: { type: "object", properties: { exitCode: { type: "integer" }, stdout: text } },
    idempotent: false,
    runsIn: "process",
    available: true,
  },
  {
    action: "core/workflow.run",
    description: "Starts another workflow and, by default, waits for its end.",
    input: closed({ workflow: text, inputs: anything, wait: { type: "boolean" } }, ["workflow"]),
    output: { type: "object", properties: { executionId: text, state: text, outputs: anything } },
    idempotent: false,
    runsIn: "engine",
    available: false,
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

/** Names of built-ins that come with a later version; any inputs are taken, so that workflows can be written for them. */
const later: Record<string, string> = {
  "http.request": "Sends one HTTP request.",
  "script.run": "Runs a script in a named language.",
  "file.read": "Reads a file.",
  "file.write": "Writes a file.",
  "file.copy": "Copies files.",
  "file.move": "Moves files.",
  "file.delete": "Deletes files.",
  "file.list": "Lists files.",
  "json.transform": "Transforms JSON.",
  "csv.read": "Reads CSV.",
  "csv.write": "Writes CSV.",
  "csv.parse": "Parses CSV text.",
  "csv.format": "Formats rows as CSV.",
  "sql.query": "Runs an SQL statement.",
  "git.clone": "Clones a repository.",
  "git.checkout": "Checks out a revision.",
  "git.commit": "Commits changes.",
  "git.push": "Pushes commits.",
  "git.diff": "Shows differences.",
  "archive.create": "Packs files.",
  "archive.extract": "Unpacks an archive.",
  "docker.run": "Runs a container.",
  "email.send": "Sends a mail.",
  "ssh.run": "Runs a command on another machine.",
};

function describeLater([name, description]: [string, string]): ActionDescription {
  return { action: `core/${name}`, description, input: anything, output: anything, idempotent: false, runsIn: "process", available: false };
}

/** Every built-in, sorted by name. */
export const coreActions: readonly ActionDescription[] = [...ready, ...Object.entries(later).map(describeLater)].toSorted((a, b) =>
  a.action < b.action ? -1 : 1,
);

const byName = new Map(coreActions.map((known) => [known.action, known]));

/** The built-in of that name, null when there is none. */
export function findCoreAction(action: string): ActionDescription | null {
  return byName.get(action) ?? null;
}
