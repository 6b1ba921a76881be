// A call in a container: the same protocol and permissions, as an image, mounts and the sockets of a network pass.
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fail } from "../../base/index.ts";
import type { NetworkPass } from "../network/index.ts";
import type { ContainerSpec } from "../runtimes/docker/index.ts";
import { isScript, type TaskCommand } from "./command.ts";
import type { ResolvedPaths } from "./confine.ts";
import type { ActionCall } from "./ports.ts";

export type SocketFolder = { path: string; remove(): void };

/** A folder for sockets that a container's user can reach and nobody else here: open itself, below one that is closed. Short,
 * since a socket's path holds a hundred characters. */
export function makeSocketFolder(): SocketFolder {
  const closed = mkdtempSync(join(tmpdir(), "ak-net-"));
  const path = join(closed, "s");
  mkdirSync(path);
  chmodSync(path, 0o755);
  return { path, remove: () => rmSync(closed, { recursive: true, force: true }) };
}

export type ContainerParts = {
  command: TaskCommand;
  env: Record<string, string>;
  paths: ResolvedPaths;
  network: { pass: NetworkPass; folder: SocketFolder } | null;
  hasWorkspace: boolean;
};

const bytesPerMb = 1024 * 1024;

/** @throws TASK_INPUT_INVALID without an image, and for built-in actions, which no image holds */
export function containerSpec(call: ActionCall, { command, env, paths, network, hasWorkspace }: ContainerParts): ContainerSpec {
  const { image, permissions, folders, executionId, task, attempt, action } = call;
  const hint = "Name one with `image:`.";
  if (image === null) throw fail("TASK_INPUT_INVALID", `Cannot run "${action.action}" in a container: there is no image`, { hint });
  if (action.plugin === null && !isScript(call)) throw fail("TASK_INPUT_INVALID", `Cannot run "${action.action}" in a container: no image holds it`);
  const { PATH: _own, ...rest } = env;
  const write = new Set([folders.workdir, ...(hasWorkspace ? [folders.workspace] : []), ...paths.write]);
  const read = new Set([...(action.plugin === null ? [] : [action.plugin.folder]), ...paths.read]);
  const mount = (path: string, readOnly: boolean) => ({ source: path, target: path, readOnly });
  return {
    image,
    pull: null,
    command: isScript(call) ? containerCommand(command.argv) : null,
    env: rest,
    stdin: command.stdin,
    mounts: [...[...write].map((path) => mount(path, false)), ...[...read].filter((path) => !write.has(path)).map((path) => mount(path, true))],
    network: network === null ? null : { folder: network.folder.path, sockets: network.pass.sockets },
    cwd: isScript(call) ? command.cwd : null,
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

/** This program is not in the image: its own Bun runs TypeScript there. */
function containerCommand(argv: readonly string[]): string[] {
  return argv[0] === process.execPath ? ["bun", ...argv.slice(1)] : [...argv];
}
