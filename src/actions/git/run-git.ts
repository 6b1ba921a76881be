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

/** Who logs in to a server: `origin` is the only one that hears of it. */
export type GitLogin = { origin: string; user: string; password: string };

/** Git asks this for the password: neither a list of processes nor a file holds it. */
function loginSettings({ origin }: GitLogin): string {
  const answer = String.raw`!answer() { test \"$1\" = get && printf 'username=%s\\npassword=%s\\n' \"$GIT_LOGIN_USER\" \"$GIT_LOGIN_PASSWORD\"; }; answer`;
  return `[credential "${origin}"]\n\thelper = "${answer}"\n`;
}

/** `stdin`: what the command reads. */
export type GitOptions = { cwd?: string; env?: Record<string, string>; login?: GitLogin | null; stdin?: string };

/** Runs one command of git. @throws TASK_FAILED with git's own words */
export async function runGit(args: readonly string[], { cwd, env = {}, login = null, stdin }: GitOptions = {}): Promise<GitEnd> {
  const home = process.env["TMPDIR"] ?? "/tmp";
  const config = join(home, ".gitconfig-action");
  writeFileSync(config, login === null ? settings : settings + loginSettings(login));
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
      ...(login === null ? {} : { GIT_LOGIN_USER: login.user, GIT_LOGIN_PASSWORD: login.password }),
      ...env,
    },
    stdio: [stdin === undefined ? "ignore" : Buffer.from(stdin), "pipe", "pipe"],
  });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  if ((await child.exited) === 0) return { stdout, stderr };
  const words = withoutCredentials(stderr.trim().split("\n").slice(-5).join("\n"));
  throw fail("TASK_FAILED", `git ${args.find((arg) => !arg.startsWith("-")) ?? ""} failed: ${words}`, { details: { stderr: words } });
}

/** An address without the login that it may carry, and that login: on a command line everybody could read it, and git would keep it
 * in the clone. @throws TASK_INPUT_INVALID */
export function splitLogin(address: string): { address: string; login: GitLogin | null } {
  if (!/^https?:\/\/[^/?#]*@/i.test(address) || !URL.canParse(address)) return { address, login: null };
  const url = new URL(address);
  const [user, password] = [decoded(url.username), decoded(url.password)];
  if (/[\r\n\0]/.test(user + password)) throw fail("TASK_INPUT_INVALID", `Cannot log in to "${url.host}": a line ends within the login`);
  return { address: address.replace(/^(https?:\/\/)[^/?#]*@/i, "$1"), login: { origin: url.origin, user, password } };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a percent sign that means itself
  }
}

/** An address may carry a password. */
export function withoutCredentials(text: string): string {
  return text.replace(/(\w+:\/\/)[^/@\s]+@/g, "$1***@");
}
