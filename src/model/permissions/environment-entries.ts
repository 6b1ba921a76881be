// Names of variables that a task may get from the server's environment.

/** Stands for every name that may be copied. No block may say it: only `--allow-all` does. */
export const anyVariable = "*";

/** Names that are never copied into a task, whatever is granted. */
export function isNeverCopied(name: string): boolean {
  return /^(?:AUTOKESTRA_|WORKFLOW_|BUN_|LD_)/.test(name) || name === "NODE_OPTIONS";
}

/** What every task has values of its own for: copied only when named, never by `--allow-all`. */
const ownNames = /^(?:PATH|HOME|TMPDIR|WORKSPACE|LANG|PWD|OLDPWD|SHLVL|_|(?:https?|all|no)_proxy|node_use_env_proxy)$/i;

/** The names of `environment` that a list of granted ones copies, sorted. */
export function copiedNames(granted: readonly string[], environment: Readonly<Record<string, string | undefined>>): string[] {
  const present = Object.keys(environment).filter((name) => environment[name] !== undefined && !isNeverCopied(name));
  const isAll = granted.includes(anyVariable);
  return present.filter((name) => granted.includes(name) || (isAll && !ownNames.test(name))).toSorted();
}
