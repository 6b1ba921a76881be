// The request that makes a container: every layer of its confinement, as one pure function.

import { limits } from "../../../base/index.ts";
import type { Engine } from "./engine-api.ts";
import { controlTarget } from "./mounts.ts";
import type { ContainerMount, ContainerSpec, ResolvedImage } from "./ports.ts";

export const labelNames = {
  execution: "autokestra.execution",
  task: "autokestra.task",
  attempt: "autokestra.attempt",
  store: "autokestra.store",
  owner: "autokestra.owner",
} as const;

/** What confines every container, as trace.task.started names it. A container that one of them cannot be had for is refused. */
export const containerLayers = ["container", "seccomp", "capabilities", "privileges", "read-only", "namespaces", "network", "limits"] as const;

/** Where the sockets of a network pass are in the container. */
const socketsTarget = `${controlTarget}-network`;
/** The kernel counts CPU quota in thousandths of a second at the least. */
const cpusMin = 0.01;

export type BodyParts = {
  spec: ContainerSpec;
  image: ResolvedImage;
  engine: Engine;
  /** Checked. */
  mounts: readonly ContainerMount[];
  controlFolder: string;
  user: { uid: number; gid: number };
  cpus: number;
  labels: Record<string, string>;
};

/** The body of `POST /containers/create`. */
export function containerBody(parts: BodyParts): Record<string, unknown> {
  const { spec, image, engine, labels } = parts;
  return {
    Image: image.id,
    // The relay is process 1. What follows is visible to whoever may list processes: no values of the task's.
    Entrypoint: [`${controlTarget}/relay`],
    Cmd: relayArguments(spec, image),
    Env: [],
    WorkingDir: "/",
    User: userText(parts),
    Labels: labels,
    Tty: false,
    // Held open by the server: when it ends, however it ends, the relay sees it.
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    Healthcheck: { Test: ["NONE"] },
    HostConfig: { ...isolation(engine), ...resources(parts), Mounts: mountList(parts) },
  };
}

function relayArguments(spec: ContainerSpec, image: ResolvedImage): string[] {
  const listens = (spec.network?.sockets ?? []).flatMap(({ port, socket }) => ["--listen", `${port}=${socketsTarget}/${socket}`]);
  const stdin = spec.stdin === null ? [] : ["--stdin", `${controlTarget}/stdin`];
  const cwd = spec.cwd ?? image.workdir ?? "/";
  return ["--cwd", cwd, "--env", `${controlTarget}/env`, ...stdin, "--lifeline", ...listens, "--", ...commandOf(spec, image)];
}

/** The program and its arguments: the task's own, else the image's. */
export function commandOf(spec: ContainerSpec, image: ResolvedImage): string[] {
  return spec.command === null ? [...image.entrypoint, ...image.cmd] : [...spec.command];
}

/** Ids mean the same inside and outside, except where the engine's user is the containers' root. */
function userText({ engine, user }: BodyParts): string {
  return engine.rootless && engine.name === "docker" ? "0:0" : `${user.uid}:${user.gid}`;
}

function isolation(engine: Engine): Record<string, unknown> {
  const userns = engine.name === "podman" && engine.rootless ? "keep-id" : engine.userRemap ? "host" : "";
  return {
    Privileged: false,
    NetworkMode: "none",
    IpcMode: "private",
    PidMode: "",
    UsernsMode: userns,
    ReadonlyRootfs: true,
    CapAdd: [],
    CapDrop: ["ALL"],
    // Seccomp is the engine's default profile, which is what applies when none is named here.
    SecurityOpt: ["no-new-privileges"],
    Devices: [],
    // The relay does what an init does.
    Init: false,
    // Output goes straight to the server, masked and bounded there; the engine keeps no copy on the disk.
    LogConfig: { Type: "none", Config: {} },
    RestartPolicy: { Name: "no" },
    AutoRemove: false,
  };
}

function resources({ spec, cpus, engine }: BodyParts): Record<string, unknown> {
  const { memoryBytes, processes, cpuSeconds, openFiles, fileBytes } = spec.limits;
  const ulimit = (Name: string, value: number | null) => (value === null ? [] : [{ Name, Soft: value, Hard: value }]);
  return {
    Memory: memoryBytes,
    // Memory and swap together: no swap.
    MemorySwap: memoryBytes,
    // One for the relay.
    PidsLimit: processes + 1,
    NanoCpus: Math.round(Math.max(cpusMin, Math.min(spec.limits.cpus ?? cpus, engine.cpus)) * 1e9),
    ShmSize: limits.containerTmpBytes,
    Tmpfs: { "/tmp": `rw,nosuid,nodev,noexec,mode=1777,size=${limits.containerTmpBytes}` },
    Ulimits: [...ulimit("core", 0), ...ulimit("cpu", cpuSeconds), ...ulimit("nofile", openFiles), ...ulimit("fsize", fileBytes)],
  };
}

function mountList({ spec, image, mounts, controlFolder }: BodyParts): Record<string, unknown>[] {
  const bind = ({ source, target, readOnly }: ContainerMount) => ({
    Type: "bind",
    Source: source,
    Target: target,
    ReadOnly: readOnly,
    BindOptions: { Propagation: "rprivate" },
  });
  const own = [{ source: controlFolder, target: controlTarget, readOnly: true }];
  const network = spec.network === null ? [] : [{ source: spec.network.folder, target: socketsTarget, readOnly: true }];
  const taken = new Set(["/tmp", ...mounts.map(({ target }) => target)]);
  // A volume that the image declares would be disk without a bound.
  const volumes = image.volumes
    .filter((target) => !taken.has(target))
    .map((target) => ({ Type: "tmpfs", Target: target, TmpfsOptions: { SizeBytes: limits.containerTmpBytes, Mode: 0o1777 } }));
  return [...[...own, ...network, ...mounts].map(bind), ...volumes];
}
