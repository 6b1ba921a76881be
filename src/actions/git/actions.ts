// Cloning, comparing and committing.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join as joinPath } from "node:path";
import { fail, type JsonObject, limits } from "../../base/index.ts";
import { placeOfGitUrl, repositoryName } from "../../model/index.ts";
import { resolvePath, showPath } from "../shared/paths.ts";
import type { ActionContext } from "../shared/context.ts";
import { sshCommand, sshEnvironment } from "../shared/ssh-options.ts";
import { runGit, splitLogin, withoutCredentials } from "./run-git.ts";

type Clone = { url: string; to?: string; ref?: string; depth?: number; key?: string; knownHosts?: string; insecureHostKey?: boolean };

/** `core/git.clone`: → {path, commit, branch}. @throws TASK_INPUT_INVALID, TASK_FAILED */
export async function clone(input: JsonObject, context: ActionContext): Promise<JsonObject> {
  const { url, to, ref, depth } = input as unknown as Clone;
  const place = placeOfGitUrl(url);
  if (place === null) throw fail("TASK_INPUT_INVALID", `Cannot clone "${withoutCredentials(url)}": not an address of https, ssh, git or a path`);
  const target = resolvePath(to ?? repositoryName(url));
  const { address, login } = splitLogin(url);
  const source = place.kind === "local" ? resolvePath(place.path) : address;
  const env = place.kind === "remote" && place.scheme === "ssh" ? sshEnvironmentOf(input as unknown as Clone, { ...place, context }) : {};
  mkdirSync(dirname(target), { recursive: true });
  const isCommit = ref !== undefined && /^[0-9a-f]{7,64}$/.test(ref);
  const options = [
    ...(depth !== undefined && !isCommit ? [`--depth=${depth}`, ...(place.kind === "local" ? ["--no-local"] : [])] : []),
    ...(ref !== undefined && !isCommit ? [`--branch=${ref}`] : []),
  ];
  // No hard links to the source: what belongs to another user may not be linked, and must not be shared.
  await runGit(["clone", "--quiet", ...(place.kind === "local" ? ["--no-hardlinks"] : []), ...options, "--", source, target], { env, login });
  if (isCommit) await runGit(["checkout", "--quiet", "--detach", ref], { cwd: target });
  return { path: showPath(target), ...(await headOf(target)) };
}

/** How git calls ssh: as `core/ssh.run` does, with a copy of the key that is the task's own, as ssh wants it. */
function sshEnvironmentOf(
  { key, knownHosts, insecureHostKey = false }: Clone,
  at: { host: string; port: number; context: ActionContext },
): Record<string, string> {
  const { host, port, context } = at;
  const { workdir } = context;
  if (knownHosts === undefined && !insecureHostKey) {
    throw fail("TASK_INPUT_INVALID", `Cannot clone from ${host}: there is no host key to compare with`, {
      hint: "Give knownHosts, the path of a file with the host's key, or insecureHostKey: true.",
    });
  }
  const identityFile = key === undefined ? null : joinPath(workdir, ".git-key");
  if (key !== undefined && identityFile !== null) writeFileSync(identityFile, readFileSync(resolvePath(key)), { mode: 0o600 });
  const knownHostsFile = knownHosts === undefined ? null : resolvePath(knownHosts);
  const plainHost = host.replace(/^\[|\]$/g, "");
  const place = { host: plainHost, port, target: context.forward(plainHost, port), identityFile, knownHostsFile, connectSeconds: 20, workdir };
  return { GIT_SSH_COMMAND: sshCommand(place), ...sshEnvironment };
}

async function headOf(cwd: string): Promise<{ commit: string; branch: string | null }> {
  const { stdout: commit } = await runGit(["rev-parse", "HEAD"], { cwd });
  const { stdout: branch } = await runGit(["branch", "--show-current"], { cwd });
  return { commit: commit.trim(), branch: branch.trim() || null };
}

type Commit = { path: string; message: string; paths?: string[]; author?: { name: string; email: string }; allowEmpty?: boolean };

/** `core/git.commit`: → {commit, changed, branch}. @throws TASK_FAILED */
export async function commit(input: JsonObject): Promise<JsonObject> {
  const { path, message, paths, author, allowEmpty = false } = input as unknown as Commit;
  const cwd = resolvePath(path);
  await runGit(["add", "--all", "--", ...(paths ?? ["."])], { cwd });
  const { stdout: staged } = await runGit(["diff", "--cached", "--name-only", "-z"], { cwd });
  const changed = staged !== "" || allowEmpty;
  const who = author === undefined ? {} : personOf(author);
  const options = ["--quiet", "--no-gpg-sign", "--cleanup=verbatim", "--allow-empty", "--file=-"];
  if (changed) await runGit(["commit", ...options], { cwd, env: who, stdin: message });
  return { changed, ...(await headOf(cwd)) };
}

function personOf({ name, email }: { name: string; email: string }): Record<string, string> {
  return { GIT_AUTHOR_NAME: name, GIT_AUTHOR_EMAIL: email, GIT_COMMITTER_NAME: name, GIT_COMMITTER_EMAIL: email };
}

type Diff = { path: string; from?: string; to?: string; staged?: boolean; paths?: string[]; context?: number };

const diffBytesMax = limits.outputBytesMax / 2;
const filesMax = 2000;

/** `core/git.diff`: → {changed, files: [{path, status, added, deleted}], diff, truncated}; `diff` is cut at half a MiB. @throws TASK_FAILED */
export async function diff(input: JsonObject): Promise<JsonObject> {
  const { path, from, to, staged = false, paths = [], context = 3 } = input as unknown as Diff;
  const cwd = resolvePath(path);
  for (const name of [from, to])
    if (name?.startsWith("-") === true) throw fail("TASK_INPUT_INVALID", `Cannot compare with "${name}": it is no commit`);
  const what = [
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    ...(staged ? ["--cached"] : []),
    ...(from === undefined ? [] : [from]),
    ...(to === undefined ? [] : [to]),
    "--",
    ...paths,
  ];
  const base = from === undefined && !staged ? ["HEAD"] : [];
  const args = (...options: string[]) => ["diff", ...options, ...base, ...what];
  const { stdout: names } = await runGit(args("--name-status", "-z", "--no-renames"), { cwd });
  const { stdout: counts } = await runGit(args("--numstat", "-z", "--no-renames"), { cwd });
  const { stdout: text } = await runGit(args(`--unified=${context}`, "--no-renames"), { cwd });
  const files = join(names, counts);
  const bytes = Buffer.from(text);
  const isCut = bytes.byteLength > diffBytesMax || files.length > filesMax;
  return { changed: files.length > 0, files: files.slice(0, filesMax), diff: bytes.subarray(0, diffBytesMax).toString("utf8"), truncated: isCut };
}

const statuses: Record<string, string> = { A: "added", D: "deleted", M: "modified", T: "type" };

/** Both lists end their parts with NUL: status and path, and "added\tdeleted\tpath". Binary files count as null. */
function join(names: string, counts: string): JsonObject[] {
  const numbers = new Map<string, { added: number | null; deleted: number | null }>();
  for (const line of counts.split("\0").filter((part) => part !== "")) {
    const [added = "", deleted = "", ...rest] = line.split("\t");
    numbers.set(rest.join("\t"), { added: added === "-" ? null : Number(added), deleted: deleted === "-" ? null : Number(deleted) });
  }
  const parts = names.split("\0");
  const files: JsonObject[] = [];
  for (let at = 0; at + 1 < parts.length; at += 2) {
    const path = parts[at + 1] ?? "";
    files.push({ path, status: statuses[parts[at] ?? ""] ?? "changed", ...(numbers.get(path) ?? { added: null, deleted: null }) });
  }
  return files;
}
