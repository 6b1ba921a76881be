// Runs the system's git with a configuration of its own: no prompts, no hooks, no settings of the machine, only known transports.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fail } from "../../base/index.ts";

export type GitEnd = { stdout: string; stderr: string };

/** What passes through of the task's environment: the way to the network, and where it lives. */
const passed = /^(?:PATH|HOME|TMPDIR|LANG|(?:HTTPS?|ALL|NO)_PROXY|(?:https?|all|no)_proxy|SSL_CERT_FILE|GIT_SSH_COMMAND|WORKFLOW_FORWARD)$/;

/** Repositories belong to whoever made them: the sandbox says what may be read, so git's own check of owners would only be in the way. */
const settings = `[safe]
\tdirectory = *
[core]
\thooksPath = /dev/null
\tfsmonitor = false
[user]
\tname = workflow
\temail = workflow@localhost
[init]
\tdefaultBranch = main
[advice]
\tdetachedHead = false
[gc]
\tauto = 0
`;

/** Runs one command of git. @throws TASK_FAILED with git's own words */
export async function runGit(args: readonly string[], { cwd, env = {} }: { cwd?: string; env?: Record<string, string> } = {}): Promise<GitEnd> {
  const home = process.env["TMPDIR"] ?? "/tmp";
  const config = join(home, ".gitconfig-action");
  writeFileSync(config, settings);
  const own = Object.fromEntries(Object.entries(process.env).filter(([name, value]) => passed.test(name) && value !== undefined)) as Record<
    string,
    string
  >;
  const child = Bun.spawn(["git", ...args], {
    cwd: cwd ?? home,
    env: {
      ...own,
      GIT_CONFIG_GLOBAL: config,
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_TERMINAL_PROMPT: "0",
      GIT_ALLOW_PROTOCOL: "file:git:http:https:ssh",
      LC_ALL: "C.UTF-8",
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  if ((await child.exited) === 0) return { stdout, stderr };
  const words = withoutCredentials(stderr.trim().split("\n").slice(-5).join("\n"));
  throw fail("TASK_FAILED", `git ${args.find((arg) => !arg.startsWith("-")) ?? ""} failed: ${words}`, { details: { stderr: words } });
}

/** An address may carry a password. */
export function withoutCredentials(text: string): string {
  return text.replace(/(\w+:\/\/)[^/@\s]+@/g, "$1***@");
}
