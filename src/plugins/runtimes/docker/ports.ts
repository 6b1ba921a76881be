// What a task's container is given and what it gives back. The handle has the shape of a process's.

/** When an image is fetched from its registry. */
export type PullPolicy = "never" | "missing" | "always";

/** A folder or file of the host, seen in the container. Both paths are absolute. */
export type ContainerMount = { source: string; target: string; readOnly: boolean };

export type ContainerLimits = {
  memoryBytes: number;
  processes: number;
  /** Null: as many as the engine's own setting says. */
  cpus: number | null;
  cpuSeconds: number | null;
  openFiles: number | null;
  /** Of one file. */
  fileBytes: number | null;
};

export type ContainerSpec = {
  /** A reference (`busybox`, `ghcr.io/a/b:1`, `name@sha256:…`) or the id that resolving one gave. */
  image: string;
  /** Null: as the engine's settings say. */
  pull: PullPolicy | null;
  /** Replaces the image's entrypoint and its arguments; null: the image's own. */
  command: readonly string[] | null;
  /** Beside the image's own variables, which it replaces. Passed in a file. */
  env: Record<string, string>;
  /** All of standard input; null is an empty one. */
  stdin: Uint8Array | null;
  /** Seen at the same absolute paths as on the host, as a rule. */
  mounts: readonly ContainerMount[];
  /** The folder of a network pass's sockets, and which loopback port leads to which of them; null: no network at all. */
  network: { folder: string; sockets: readonly { port: number; socket: string }[] } | null;
  /** Absolute, in the container; null: the image's own. */
  cwd: string | null;
  limits: ContainerLimits;
  labels: { execution: string; task: string; attempt: number };
  /** The execution's own user where the server has given it one; null: the server's. */
  user: { uid: number; gid: number } | null;
  /** Between SIGTERM and SIGKILL. */
  graceMs: number;
  /** What fetching the image reports, line by line. */
  onProgress?: (line: string) => void;
};

/** One of the first two is null. A program that ends by a signal on its own has the exit code 128 + n. */
export type ContainerExit = { exitCode: number | null; signal: string | null; oomKilled: boolean };

export type ContainerHandle = {
  /** Both are to be read to the end, side by side, or left with `return()`. */
  stdout: AsyncIterableIterator<Uint8Array>;
  stderr: AsyncIterableIterator<Uint8Array>;
  /** Always empty: a container has no descriptor 3 and writes `$WORKFLOW_RESULT`. */
  result: Promise<Uint8Array>;
  /** When the container is gone. Rejects when it was never started: DOCKER_UNAVAILABLE, IMAGE_NOT_FOUND,
   * PERMISSION_DENIED or FILE_NOT_FOUND for a mount, SANDBOX_UNAVAILABLE for a layer that the engine cannot give,
   * TASK_INPUT_INVALID, TASK_FAILED for what the engine refused otherwise. */
  exited: Promise<ContainerExit>;
  /** SIGTERM to every process, SIGKILL after the grace. */
  terminate(): void;
  kill(): void;
};

export type ResolvedImage = {
  /** The engine's own id, `sha256:…`. */
  id: string;
  /** `sha256:…` as the registry knows it; the id for an image that came from none. */
  digest: string;
  entrypoint: string[];
  cmd: string[];
  env: Record<string, string>;
  workdir: string | null;
  /** Folders that the image declares as volumes. */
  volumes: string[];
};

/** Who a container belongs to, from its labels. */
export type ContainerOwner = { execution: string; task: string; attempt: number; owner: string };

export type EngineState =
  /** `missing`: layers that it cannot give, without which every container is refused. */
  | { available: true; name: "docker" | "podman"; version: string; api: string; socket: string; rootless: boolean; missing: string[] }
  | { available: false; why: string };

/** Containers as a runtime of tasks. */
export interface ContainerRunner {
  /** Which engine answers, as observed now. Never rejects. */
  probe(): Promise<EngineState>;
  /** What a reference stands for now, fetched when the policy says so. The answer is kept for a short while.
   * @throws DOCKER_UNAVAILABLE, IMAGE_NOT_FOUND, TASK_INPUT_INVALID */
  resolveImage(image: string, pull: PullPolicy | null, onProgress?: (line: string) => void): Promise<ResolvedImage>;
  /** Starts a container. Problems come by `exited`. */
  runContainer(spec: ContainerSpec): ContainerHandle;
  /** Removes this store's containers whose owner `isLive` denies, with what they left; gives their number.
   * @throws DOCKER_UNAVAILABLE */
  removeLeftovers(isLive: (owner: ContainerOwner) => boolean): Promise<number>;
}
