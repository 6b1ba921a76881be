// What a kernel can do for the sandbox, as far as plans depend on it. Found by probe.ts, a plain value everywhere else.

export type KernelFacts = {
  /** Landlock's ABI version, 0: none. */
  landlock: number;
  /** System-call filters can ask the keeper. */
  notify: boolean;
  /** pid, ipc and uts namespaces: made directly, by way of a user namespace, or not at all. */
  namespaces: "plain" | "user" | null;
  /** A mount namespace whose tree can be made read-only. */
  mounts: boolean;
  /** A /proc of the task's own pid namespace. */
  ownProc: boolean;
  /** A task can have a network namespace of its own, in which there is nothing; the keeper makes its sockets elsewhere. */
  ownNetwork: boolean;
  /** The engine may give tasks another user. */
  switchUser: boolean;
  /** A task with a user of its own can have a user namespace, in which its processes are counted apart. */
  countApart: boolean;
  /** The engine's own. */
  uid: number;
  gid: number;
};

/** The Landlock version from which on every part of `strict` holds: ports, device control, signal and socket scopes. */
export const landlockStrict = 6;
/** The version from which on TCP ports can be confined. */
export const landlockNetwork = 4;
/** Whether a task can have network: ports can be confined, and the keeper binds sockets to loopback. Level `reduced` has none. */
export function holdsNetwork({ landlock, notify }: Pick<KernelFacts, "landlock" | "notify">): boolean {
  return landlock >= landlockStrict && notify;
}

/** The version from which on emptying a file is a right of its own. */
export const landlockTruncate = 3;
