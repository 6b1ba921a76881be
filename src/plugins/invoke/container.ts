// A call in a container: the same protocol and permissions, as an image, mounts and the sockets of a network pass.
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fail } from "../../base/index.ts";
import { resolveEntry } from "../../model/index.ts";
import type { NetworkPass } from "../network/index.ts";
import type { ContainerMount, ContainerSpec } from "../runtimes/docker/index.ts";
import { isScript, type TaskCommand } from "./command.ts";
import type { ResolvedPaths } from "./confine.ts";
import { realPath } from "./real-path.ts";
import { type ImageCommand, imageCommand, isContainerRun } from "./image-command.ts";
import type { ActionCall } from "./ports.ts";
import { bytesPerMb } from "./tree-limits.ts";

export type SocketFolder = { path: string; remove(): void };

const socketPrefix = "ak-net-";

/** A folder for sockets that a container's user can reach and nobody else here: open itself, below one that is closed. Short,
 * since a socket's path holds a hundred characters. */
export function makeSocketFolder(): SocketFolder {
  const closed = mkdtempSync(join(tmpdir(), `${socketPrefix}${process.pid}-`));
  const path = join(closed, "s");
  mkdirSync(path);
  chmodSync(path, 0o755);
  return { path, remove: () => rmSync(closed, { recursive: true, force: true }) };
}

/** Removes the folders for sockets that killed processes left behind. */
export function sweepSocketFolders(): void {
  for (const name of readdirSync(tmpdir())) {
    const [, pid] = name.startsWith(socketPrefix) ? (/^ak-net-(\d+)-/.exec(name) ?? []) : [];
    if (pid === undefined || isAlive(Number(pid))) continue;
    try {
      rmSync(join(tmpdir(), name), { recursive: true, force: true });
    } catch {
      // Another user's.
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return (cause as { code?: string }).code !== "ESRCH";
  }
}

export type ContainerParts = {
  command: TaskCommand;
  env: Record<string, string>;
  paths: ResolvedPaths;
  network: { pass: NetworkPass; folder: SocketFolder } | null;
  hasWorkspace: boolean;
};

/** @throws TASK_INPUT_INVALID without an image, and for built-in actions, which no image holds */
export function containerSpec(call: ActionCall, parts: ContainerParts): ContainerSpec {
  const { permissions, folders, executionId, task, attempt } = call;
  const { command, network } = parts;
  const own = commandInImage(call, command);
  return {
    image: imageOf(call),
    pull: null,
    command: own.argv,
    env: { ...withoutOurPath(call, parts.env), ...own.env },
    stdin: command.stdin,
    mounts: mountsOf(call, parts),
    network: network === null ? null : { folder: network.folder.path, sockets: network.pass.sockets },
    cwd: own.cwd,
    limits: {
      memoryBytes: permissions.memoryMb * bytesPerMb,
      processes: permissions.processes,
      cpus: null,
      cpuSeconds: permissions.cpuSeconds,
      openFiles: permissions.openFiles,
      fileBytes: permissions.diskMb * bytesPerMb,
    },
    labels: { execution: executionId, task, attempt },
    user: folders.user,
    graceMs: call.graceMs,
    onProgress: (line) => void call.onLine({ source: "engine", level: "INFO", message: line, metadata: null }),
  };
}

function imageOf(call: ActionCall): string {
  const { image, action } = call;
  const isBuiltIn = action.plugin === null && !isScript(call) && !isContainerRun(call);
  if (isBuiltIn) throw fail("TASK_INPUT_INVALID", `Cannot run "${action.action}" in a container: no image holds it`);
  if (image !== null) return image;
  const hint = "Name one with `image:`, or for all tasks with plugins.docker.image.";
  throw fail("TASK_INPUT_INVALID", `Cannot run "${action.action}" in a container: there is no image`, { hint });
}

/** This program is not in the image: its own Bun runs TypeScript there. */
function commandInImage(call: ActionCall, { argv, cwd }: TaskCommand): ImageCommand {
  if (isContainerRun(call)) return imageCommand(call);
  if (call.action.plugin?.manifest.runtime === "docker") return { argv: null, cwd, env: {} };
  return { argv: argv[0] === process.execPath ? ["bun", ...argv.slice(1)] : [...argv], cwd, env: {} };
}

/** The image's own search path stands, unless the task sets one. */
function withoutOurPath({ env: own }: ActionCall, env: Record<string, string>): Record<string, string> {
  const { PATH: _ours, ...rest } = env;
  return own["PATH"] === undefined ? rest : { ...rest, PATH: own["PATH"] };
}

/** Everything at the path that it has on the host, also at the one that a grant spells where links are on the way. */
function mountsOf(call: ActionCall, { command, paths, hasWorkspace }: ContainerParts): ContainerMount[] {
  const { folders, folder, permissions } = call;
  const { workspace, workdir } = folders;
  const places = { workspace: hasWorkspace ? workspace : null, workdir, input: `${workdir}/in`, plugin: command.plugin, folder };
  const mount = (path: string, readOnly: boolean): ContainerMount => ({ source: path, target: path, readOnly });
  // A container has a root of its own, which no grant replaces.
  const isMountable = (path: string) => path !== "/";
  const write = [...new Set([folders.workdir, ...(hasWorkspace ? [folders.workspace] : []), ...paths.write])].filter(isMountable);
  const needed = command.read.filter((path) => path !== process.execPath);
  const read = [...new Set([...needed, ...paths.read])].filter((path) => isMountable(path) && !write.includes(path));
  const spelled = [...permissions.filesystem.write, ...permissions.filesystem.read].flatMap((entry): ContainerMount[] => {
    const target = resolveEntry(entry, places);
    const source = target === null ? null : realPath(target);
    if (target === null || source === null || source === target) return [];
    const isKnown = write.includes(source) || read.includes(source);
    return isKnown ? [{ source, target, readOnly: !write.includes(source) }] : [];
  });
  return [...write.map((path) => mount(path, false)), ...read.map((path) => mount(path, true)), ...spelled];
}

/** Says that a grant of everything gives no files here. */
export function tellUnmounted({ sandbox, onLine }: ActionCall, { read, write }: ResolvedPaths): void {
  if (sandbox === "observe" || ![...read, ...write].includes("/")) return;
  const why = "a container has a root of its own; name the folders that it is to see";
  void onLine({ source: "engine", level: "WARN", message: `The permission for "/" gives nothing: ${why}`, metadata: { entry: "/", why } });
}

const missingProgram = /^Cannot execute "([^"\n]{1,4096})": no such program in the image$/m;

/** What a person can do about a container's failure, as far as its end tells. */
export function containerHint(exitCode: number | null, stderr: string): string | null {
  const [, program] = exitCode === 127 ? (missingProgram.exec(stderr) ?? []) : [];
  return program === undefined ? null : `Use an image that holds "${program}": what a task in a container starts comes from its image.`;
}
