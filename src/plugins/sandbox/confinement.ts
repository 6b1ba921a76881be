// What one process tree may do, in the sandbox's own words: paths are real and absolute, ports are numbers. Compiled into plan steps.

export type Confinement = {
  /** `enforce`: the kernel denies; `observe`: nothing is denied, everything is reported (--learn). */
  mode: "enforce" | "observe";
  /** The user that the task becomes, null: the engine's own, without capabilities. Only where `SandboxState.canOwnUser`. */
  user: { uid: number; gid: number } | null;
  /** Trees or files readable and executable, beside the system folders that every task gets. */
  read: readonly string[];
  /** Trees or files readable, executable and writable. */
  write: readonly string[];
  /** Folders of the engine's own, real paths: what a granted path contains of them stays out of reach, but for `read` and `write` paths that
   * lie in them. */
  hidden?: readonly string[];
  /** Folders whose names have to be there, since a path leads through them; nothing in them is opened by that. */
  passed?: readonly string[];
  /** Loopback TCP ports that may be reached (proxy and forwarders); empty: no network at all. */
  connect: readonly number[];
  /** Loopback TCP ports that may be listened on. */
  listen: readonly number[];
  /** May start other programs. */
  run: boolean;
  limits: {
    memoryBytes: number | null;
    cpuSeconds: number | null;
    processes: number | null;
    openFiles: number | null;
    /** Of one file. */
    fileBytes: number | null;
  };
};

/** Something that the kernel denied, or that was seen in `observe` mode. Several equal ones may be folded into one. */
export type Notice = {
  denied: boolean;
  /** Name of the system call. */
  call: string;
  kind: "network" | "filesystem" | "run" | "syscall";
  /** connect, bind: `127.0.0.1:5432`, `[::1]:80` or `unix:/path`; files: the absolute path; run: the program; else null. */
  target: string | null;
  /** Files: what was wanted. */
  access: "read" | "write" | null;
};

/** What this machine can enforce, found by probing. */
export type SandboxState = {
  /** `none`: tasks are refused unless `plugins.sandbox: off`. */
  level: "strict" | "reduced" | "none";
  /** Names of the layers that hold, for example "landlock", "seccomp", "loopback", "namespaces", "mounts", "uid", "limits", "cgroup". */
  layers: string[];
  /** Layers that are missing here, and why. */
  missing: { layer: string; why: string }[];
  /** Whether a task can be given a user of its own. */
  canOwnUser: boolean;
};
