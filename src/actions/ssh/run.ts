// `core/ssh.run`: the system's ssh as a child, with the other machine's exit code, and refusals told apart from it by ssh's own log.
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type JsonObject, limits, parseDuration } from "../../base/index.ts";
import { isKnownHostsText } from "../../model/index.ts";
import { type ChildAsk, findProgram, runChild, tellLine } from "../shared/child.ts";
import type { ActionContext } from "../shared/context.ts";
import { failure, inputError } from "../shared/failure.ts";
import { withFileErrors } from "../shared/file-errors.ts";
import { resolvePath } from "../shared/paths.ts";
import { sshEnvironment, sshOptions } from "../shared/ssh-options.ts";

type SshInput = {
  host: string;
  port?: number;
  user: string;
  command?: string;
  script?: string;
  shell?: "sh" | "bash" | "python3";
  stdin?: string;
  identity?: string;
  identityFile?: string;
  knownHosts?: string;
  insecureHostKey?: boolean;
  connectTimeout?: string;
};

const stdoutBytesMax = 256 * 1024;
const stderrLinesMax = 20;
/** How each shell is told to read its script from standard input. */
const readers = { sh: "sh -eu -s", bash: "bash -euo pipefail -s", python3: "python3 -" } as const;

/** {exitCode, stdout, stderr}. @throws SSH_EXIT, SSH_UNREACHABLE, SSH_HOST_KEY, TASK_INPUT_INVALID, FILE_NOT_FOUND */
export async function runOverSsh(given: JsonObject, context: ActionContext, tell: ChildAsk["onLine"] = tellLine): Promise<JsonObject> {
  const input = given as unknown as SshInput;
  const { user, port = 22 } = input;
  const host = input.host.replace(/^\[|\]$/g, "");
  const work = readWork(input);
  const program = findProgram("ssh");
  if (program === null) throw failure("TASK_FAILED", "Cannot run ssh: it is not on this machine", { retryable: false });
  const log = join(context.workdir, "ssh.log");
  const place = {
    host,
    port,
    target: context.forward(host, port),
    identityFile: await prepareIdentity(input, context),
    knownHostsFile: await prepareKnownHosts(input, context),
    connectSeconds: readSeconds(input.connectTimeout ?? "20s"),
    workdir: context.workdir,
  };
  const ended = await runChild({
    argv: [program, ...sshOptions(place), "-E", log, "-T", "-l", user, "--", host, work.command],
    env: { PATH: process.env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin", HOME: context.workdir, ...sshEnvironment },
    cwd: context.workdir,
    stdin: work.stdin,
    keepBytes: stdoutBytesMax,
    signal: context.signal,
    onLine: tell,
  });
  const { exitCode, stdout } = ended;
  const stderr = ended.stderr.slice(-limits.stdoutOutputBytesMax);
  if (exitCode === 0) return { exitCode, stdout, stderr };
  const lines = readLog(log);
  const isLoggedIn = lines.some((line) => line.startsWith("Authenticated to "));
  if (exitCode === 255 && (!isLoggedIn || lines.some((line) => losses.test(line)))) throw unreachable(`${host}:${port}`, lines, ended.stderr);
  const how = exitCode === null ? `ended by ${ended.signal ?? "a signal"}` : `exited with ${exitCode}`;
  const last = stderr.trimEnd().split("\n").slice(-stderrLinesMax).join("\n");
  throw failure("SSH_EXIT", `The command on ${host} ${how}`, { details: { exitCode, stderr: last, stdout: stdout.slice(-1000) }, retryable: true });
}

function readWork({ command, script, shell = "sh", stdin }: SshInput): { command: string; stdin: string | null } {
  if ((command === undefined) === (script === undefined)) throw inputError("Cannot run over ssh: give either command or script");
  if (command !== undefined) return { command, stdin: stdin ?? null };
  if (stdin !== undefined) throw inputError("Cannot give a script a standard input: the script itself comes that way", "Use command.");
  return { command: readers[shell], stdin: script ?? "" };
}

/** ssh wants a key that is its user's and nobody else's, which a file of somebody's is not within a task: it is copied. */
async function prepareIdentity({ identity, identityFile }: SshInput, { workdir }: ActionContext): Promise<string | null> {
  if (identity !== undefined && identityFile !== undefined) throw inputError("Cannot log in: give either identity or identityFile");
  const text = identityFile === undefined ? identity : await readText(identityFile);
  if (text === undefined) return null;
  const path = join(workdir, ".ssh-identity");
  writeFileSync(path, text.endsWith("\n") ? text : `${text}\n`, { mode: 0o600 });
  chmodSync(path, 0o600);
  return path;
}

async function prepareKnownHosts({ knownHosts, insecureHostKey = false }: SshInput, { workdir }: ActionContext): Promise<string | null> {
  if (knownHosts === undefined && insecureHostKey) return null;
  if (knownHosts === undefined || insecureHostKey)
    throw inputError(
      "Cannot know the other machine: give either knownHosts or insecureHostKey: true",
      "ssh-keyscan HOST prints the lines of knownHosts.",
    );
  const text = isKnownHostsText(knownHosts) ? knownHosts : await readText(knownHosts);
  const path = join(workdir, ".ssh-known-hosts");
  writeFileSync(path, text.endsWith("\n") ? text : `${text}\n`, { mode: 0o600 });
  return path;
}

function readText(path: string): Promise<string> {
  return withFileErrors(`read "${path}"`, () => readFileSync(resolvePath(path), "utf8"));
}

function readSeconds(text: string): number {
  const ms = parseDuration(text);
  if (ms === null) throw inputError(`Cannot read connectTimeout "${text}": not a duration`);
  return Math.max(1, Math.ceil(ms / 1000));
}

const logBytesMax = 1024 * 1024;

function readLog(path: string): string[] {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size > logBytesMax) return [];
  return size === 0
    ? []
    : readFileSync(path, "utf8")
        .split(/\r?\n/)
        .filter((line) => line !== "");
}

/** What ssh logs of a connection that broke while the command ran. */
const losses =
  /^(?:Connection to .* closed by remote host|Connection (?:closed|reset) by|client_loop: |Timeout, server .* not responding|Read from remote host)/;

function unreachable(target: string, lines: readonly string[], stderr: string): Error {
  const all = lines.join("\n");
  const last = (lines.at(-1) ?? stderr.trim().split("\n").at(-1) ?? "").slice(0, 500);
  const details = { target, cause: last };
  if (/Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED|No .* host key is known/.test(all))
    return failure("SSH_HOST_KEY", `Cannot trust ${target}: its host key is not among knownHosts`, { details, retryable: false });
  const isSettled = /Permission denied|Too many authentication failures|no matching|invalid format|Load key .*: /.test(all);
  return failure("SSH_UNREACHABLE", `Cannot log in to ${target}: ${last === "" ? "ssh gave no reason" : last}`, { details, retryable: !isSettled });
}
