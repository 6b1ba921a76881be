// --allow-*: what one run is granted beside its workflow's block.
import { resolve } from "node:path";
import { fail } from "../base/index.ts";
import { findNetworkProblem, findPathProblem, isNeverCopied, type RunGrants } from "../model/index.ts";

export type GrantOptions = { allowNet: string[]; allowRead: string[]; allowWrite: string[]; allowEnv: string[]; allowAll: boolean };

/** Names of the options that were given. */
export function givenGrants({ allowNet, allowRead, allowWrite, allowEnv, allowAll }: GrantOptions): string[] {
  const lists = Object.entries({ "--allow-net": allowNet, "--allow-read": allowRead, "--allow-write": allowWrite, "--allow-env": allowEnv });
  const given = lists.filter(([, values]) => values.length > 0).map(([name]) => name);
  return allowAll ? [...given, "--allow-all"] : given;
}

/** Null when nothing is granted. Relative paths start from `cwd`. @throws USAGE naming the entry and what is wrong with it */
export function parseGrants(options: GrantOptions, cwd: string): RunGrants | null {
  if (givenGrants(options).length === 0) return null;
  return {
    network: entriesOf("--allow-net", options.allowNet, findNetworkProblem),
    filesystem: {
      read: entriesOf("--allow-read", options.allowRead, pathProblem).map((path) => toAbsolute(path, cwd)),
      write: entriesOf("--allow-write", options.allowWrite, pathProblem).map((path) => toAbsolute(path, cwd)),
    },
    env: entriesOf("--allow-env", options.allowEnv, nameProblem),
    all: options.allowAll,
  };
}

function entriesOf(option: string, values: readonly string[], findProblem: (entry: string) => string | null): string[] {
  const entries = values.flatMap((value) => value.split(",")).map((entry) => entry.trim());
  for (const entry of entries) {
    const problem = entry === "" ? "is empty" : findProblem(entry);
    if (problem !== null) throw fail("USAGE", `Cannot use ${option} "${entry}": it ${problem}`);
  }
  return [...new Set(entries)];
}

// The shell's user means the path that the current folder gives, `..` and all; only places are left to the run.
function pathProblem(entry: string): string | null {
  return /^[$~]/.test(entry) || entry.includes("\0") ? findPathProblem(entry).problem : null;
}

function toAbsolute(path: string, cwd: string): string {
  return path.startsWith("$") ? path : resolve(cwd, path);
}

function nameProblem(name: string): string | null {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return "is not the name of a variable";
  return isNeverCopied(name) ? "is never copied into a task" : null;
}
