// How a script is run: the command of each shell that `run:` knows. Programs are found by the task's own PATH.

export type Shell = "sh" | "bash" | "bun" | "python3";

export type Command = { argv: string[]; env: Record<string, string> };

/** Bun reads .env and bunfig.toml of the folder it starts in and may install what a script imports: not for tasks. */
const bunFlags = ["--no-env-file", "--config=/dev/null", "--no-install"];

/** The command that runs a script file. `env` is what the interpreter itself needs, to be put into the task's own. */
export function commandFor(shell: Shell, scriptPath: string): Command {
  switch (shell) {
    case "sh":
      return { argv: ["sh", "-eu", scriptPath], env: {} };
    case "bash":
      return { argv: ["bash", "-euo", "pipefail", scriptPath], env: {} };
    case "python3":
      return { argv: ["python3", scriptPath], env: {} };
    case "bun":
      return bunCommand(scriptPath);
  }
}

/** The command by which this program runs a TypeScript or JavaScript file. */
export function bunCommand(path: string): Command {
  return { argv: [process.execPath, ...bunFlags, path], env: { BUN_BE_BUN: "1" } };
}
