// Which system calls a task may make, and what happens to the others. Landlock leaves holes (fast open, datagrams, Unix
// sockets, chmod, signals by other means, …): this closes them. What is denied is asked of the keeper, so that it can be
// reported; what programs try all the time without meaning it is denied at once and in silence.

import type { Confinement } from "./confinement.ts";
import type { FilterRule, Look } from "./filter.ts";
import type { KeeperRule } from "./keeper.ts";
import { holdsNetwork, landlockTruncate } from "./kernel-facts.ts";
import type { KernelFacts } from "./kernel-facts.ts";
import type { SyscallName } from "./syscalls.ts";

export type CallPolicy = { filter: FilterRule[]; keeper: KeeperRule[] };

const EPERM = 1;
const EACCES = 13;
const ENOSYS = 38;
const EOPNOTSUPP = 95;
const EAFNOSUPPORT = 97;

/** Whatever these do, no task needs it. */
const denied: readonly SyscallName[] = (
  "ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp pidfd_getfd " +
  "mount umount2 pivot_root chroot move_mount open_tree open_tree_attr fsopen fsconfig fsmount fspick mount_setattr setns unshare " +
  "bpf perf_event_open keyctl add_key request_key userfaultfd memfd_secret lsm_set_self_attr " +
  "init_module finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff acct quotactl quotactl_fd syslog vhangup " +
  "settimeofday clock_settime adjtimex clock_adjtime sethostname setdomainname iopl ioperm modify_ldt uselib lookup_dcookie nfsservctl _sysctl " +
  "open_by_handle_at fanotify_init fanotify_mark shmget shmat shmctl shmdt semget semop semctl semtimedop msgget msgsnd msgrcv msgctl " +
  "mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr move_pages migrate_pages file_setattr"
).split(" ") as SyscallName[];

/** Denied too, but runtimes and tools try them as a matter of course and do without. */
const deniedQuietly: readonly SyscallName[] = (
  "name_to_handle_at inotify_add_watch statmount listmount mbind set_mempolicy set_mempolicy_home_node " +
  "sched_setscheduler sched_setattr sched_setparam"
).split(" ") as SyscallName[];

/** Not there: programs fall back to what can be looked into. */
const missing: readonly SyscallName[] = [
  ...(["clone3", "openat2", "io_uring_setup", "io_uring_enter", "io_uring_register", "io_setup"] as const),
  // A file in memory that no process has mapped counts nowhere.
  "memfd_create",
];

type MetadataCall = Omit<KeeperRule, "action" | "errno"> & { action?: "chmod" | "chown" | "times"; looks?: readonly Look[] };
/** What changes a file without opening it. With an action the keeper does it where the task may write. */
const metadata: readonly MetadataCall[] = [
  { call: "chmod", action: "chmod", path: 0, value: 1 },
  { call: "fchmod", action: "chmod", value: 1 },
  { call: "fchmodat", action: "chmod", folder: 0, path: 1, value: 2 },
  { call: "fchmodat2", action: "chmod", folder: 0, path: 1, value: 2, flags: 3 },
  { call: "chown", action: "chown", path: 0, value: 1 },
  { call: "lchown", action: "chown", path: 0, value: 1, flags: "noFollow" },
  { call: "fchown", action: "chown", value: 1 },
  { call: "fchownat", action: "chown", folder: 0, path: 1, value: 2, flags: 4 },
  { call: "utime", path: 0 },
  { call: "utimes", path: 0 },
  { call: "futimesat", folder: 0, path: 1 },
  // The form without a path works on a file that was opened.
  { call: "utimensat", action: "times", folder: 0, path: 1, value: 2, flags: 3, looks: [{ arg: 1, values: [0], not: true }] },
  { call: "utimensat", action: "times", folder: 0, path: 1, value: 2, flags: 3, looks: [{ arg: 1, high: true, values: [0], not: true }] },
];

/** Seem not to be there: then programs that copy files do without. */
const attributes: readonly SyscallName[] = "setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat".split(
  " ",
) as SyscallName[];

const privilegeBits: readonly number[] = [0o2000, 0o4000, 0o6000];
const givesPrivileges = (arg: number): Look => ({ arg, mask: 0o6000, values: privilegeBits });
const O_ACCMODE = 3;
const O_CREAT = 0o100;
const O_TRUNC = 0o1000;
const O_TMPFILE = 0o20000000;
const creates = (arg: number): Look => ({ arg, mask: O_CREAT | O_TMPFILE, values: [0], not: true });
const MSG_FASTOPEN = 0x20000000;
const CLONE_THREAD = 0x10000;
/** The flags by which clone makes namespaces. */
export const newNamespaces = 0x7e020000;
const terminalTricks = [0x5412, 0x541c]; // TIOCSTI, TIOCLINUX
const family = { UNIX: 1, NETLINK: 16 } as const;
const kind = { MASK: 15, STREAM: 1, SEQPACKET: 5 } as const;
const fileKind = { MASK: 0o170000, REGULAR: 0o100000, FIFO: 0o010000 } as const;

class Policy {
  readonly filter: FilterRule[] = [];
  readonly keeper: KeeperRule[] = [];
  readonly #asks: boolean;
  readonly #asked = new Set<SyscallName>();
  constructor(asks: boolean) {
    this.#asks = asks;
  }

  quiet(call: SyscallName, errno: number, looks?: readonly Look[]): void {
    this.#add(call, { errno }, looks);
  }

  allow(call: SyscallName, looks?: readonly Look[]): void {
    this.#add(call, "allow", looks);
  }

  /** Asks the keeper, or denies where it cannot be asked. */
  ask(rule: KeeperRule, looks?: readonly Look[]): void {
    this.#add(rule.call, this.#asks ? "ask" : { errno: rule.errno }, looks);
    if (!this.#asked.has(rule.call)) this.keeper.push(rule);
    this.#asked.add(rule.call);
  }

  deny(call: SyscallName, errno: number, looks?: readonly Look[]): void {
    this.ask({ call, action: "deny", errno }, looks);
  }

  #add(call: SyscallName, verdict: FilterRule["verdict"], looks: readonly Look[] | undefined): void {
    this.filter.push(looks === undefined ? { call, verdict } : { call, verdict, looks });
  }
}

/** The rules of `enforce`. What is called most stands first. */
export function enforcedCalls(confinement: Confinement, facts: KernelFacts): CallPolicy {
  const policy = new Policy(facts.notify);
  // Outside of what a task may write changes end at a read-only tree, or at another user's files.
  const isMediated = isChangeMediated(confinement, facts);
  // The keeper looks at the bits itself.
  for (const { looks, action = "deny", ...rule } of isMediated ? [] : metadata) policy.ask({ ...rule, action, errno: EPERM }, looks);
  for (const call of isMediated ? [] : attributes) policy.quiet(call, EOPNOTSUPP);
  denyPrivilegedFiles(policy);
  confineSockets(policy, confinement, facts);
  confineProcesses(policy, confinement, facts);
  policy.deny("ioctl", EPERM, [{ arg: 1, values: terminalTricks }]);
  policy.quiet("personality", EPERM, [{ arg: 0, values: [0, 8, 0xffffffff], not: true }]);
  if (!isMediated && facts.landlock < landlockTruncate) denyTruncation(policy);
  for (const call of denied) policy.deny(call, EPERM);
  for (const call of deniedQuietly) policy.quiet(call, EPERM);
  for (const call of missing) policy.quiet(call, ENOSYS);
  return { filter: policy.filter, keeper: facts.notify ? policy.keeper : [] };
}

/** Whether a task can change modes, owners and times only where it may write. */
export function isChangeMediated({ user }: Pick<Confinement, "user">, { mounts }: Pick<KernelFacts, "mounts">): boolean {
  return mounts || user !== null;
}

/** No file that gives its user's rights to whoever executes it, and no device. */
function denyPrivilegedFiles(policy: Policy): void {
  const rule = { action: "deny", errno: EPERM } as const;
  policy.ask({ ...rule, call: "openat", folder: 0, path: 1 }, [givesPrivileges(3), creates(2)]);
  policy.ask({ ...rule, call: "open", path: 0 }, [givesPrivileges(2), creates(1)]);
  policy.ask({ ...rule, call: "creat", path: 0 }, [givesPrivileges(1)]);
  policy.ask({ ...rule, call: "chmod", path: 0 }, [givesPrivileges(1)]);
  policy.ask({ ...rule, call: "fchmod" }, [givesPrivileges(1)]);
  policy.ask({ ...rule, call: "fchmodat", folder: 0, path: 1 }, [givesPrivileges(2)]);
  policy.ask({ ...rule, call: "fchmodat2", folder: 0, path: 1 }, [givesPrivileges(2)]);
  const isDevice = (arg: number): Look => ({ arg, mask: fileKind.MASK, values: [0, fileKind.REGULAR, fileKind.FIFO], not: true });
  for (const [call, path, looks] of [
    ["mknod", 0, [isDevice(1)]],
    ["mknod", 0, [givesPrivileges(1)]],
    ["mknodat", 1, [isDevice(2)]],
    ["mknodat", 1, [givesPrivileges(2)]],
  ] as const) {
    policy.ask(call === "mknod" ? { ...rule, call, path } : { ...rule, call, folder: 0, path }, looks);
  }
}

/** Landlock before version 3 lets whoever may read a file empty it. */
function denyTruncation(policy: Policy): void {
  const rule = { action: "deny", errno: EACCES } as const;
  const empties = (arg: number): Look => ({ arg, mask: O_TRUNC | O_ACCMODE, values: [O_TRUNC] });
  policy.ask({ ...rule, call: "truncate", path: 0 });
  policy.ask({ ...rule, call: "openat", folder: 0, path: 1 }, [empties(2)]);
  policy.ask({ ...rule, call: "open", path: 0 }, [empties(1)]);
}

function confineSockets(policy: Policy, confinement: Confinement, facts: KernelFacts): void {
  // Where no port can be confined there are no sockets at all.
  const hasSockets = holdsNetwork(facts);
  for (const [call, flags] of [
    ["sendto", 3],
    ["sendmsg", 2],
    ["sendmmsg", 3],
  ] as const) {
    policy.deny(call, EPERM, [{ arg: flags, mask: MSG_FASTOPEN, values: [0], not: true }]);
  }
  policy.quiet("socket", EAFNOSUPPORT, [{ arg: 0, values: [family.NETLINK] }]);
  policy.ask({ call: "socket", action: hasSockets ? "socket" : "deny", errno: EACCES });
  // A pair of datagram sockets could be connected anew.
  policy.allow("socketpair", [
    { arg: 0, values: [family.UNIX] },
    { arg: 1, mask: kind.MASK, values: [kind.STREAM, kind.SEQPACKET] },
  ]);
  policy.quiet("socketpair", EACCES);
  policy.ask({ call: "connect", action: "connect", errno: EACCES });
  policy.ask({ call: "bind", action: "bind", errno: EACCES });
  if (confinement.listen.length > 0) return;
  for (const call of ["listen", "accept", "accept4"] as const) policy.deny(call, EPERM);
}

function confineProcesses(policy: Policy, confinement: Confinement, facts: KernelFacts): void {
  const clone = { call: "clone", action: "deny", errno: EPERM, value: 0 } as const;
  policy.ask(clone, [{ arg: 0, mask: newNamespaces, values: [0], not: true }]);
  if (!confinement.run) {
    policy.ask(clone, [{ arg: 0, mask: CLONE_THREAD, values: [0] }]);
    policy.deny("fork", EPERM);
    policy.deny("vfork", EPERM);
    // Without a keeper the program can be exchanged, which gains nothing, but no other be started beside it.
    if (facts.notify) policy.ask({ call: "execve", action: "first", errno: EPERM, path: 0 });
    policy.ask({ call: "execveat", action: "deny", errno: EPERM, folder: 0, path: 1 });
  }
  // The limits and priorities of others with the same user, such as the engine.
  for (const high of [false, true]) {
    policy.quiet("prlimit64", EPERM, [
      { arg: 0, values: [0], not: true },
      { arg: 2, high, values: [0], not: true },
    ]);
  }
  for (const [call, which] of [
    ["setpriority", 0],
    ["ioprio_set", 1],
  ] as const) {
    policy.quiet(call, EPERM, [{ arg: 0, values: [which], not: true }]);
    policy.quiet(call, EPERM, [{ arg: 1, values: [0], not: true }]);
  }
  if (facts.namespaces !== null) return;
  policy.quiet("sched_setaffinity", EPERM, [{ arg: 0, values: [0], not: true }]);
  // A session of its own would hide a background job from the kill that is left when the supervisor is lost.
  policy.quiet("setsid", EPERM);
  policy.quiet("setpgid", EPERM);
}

/** The rules of `observe`: everything passes, and is seen first. */
export function observedCalls(): CallPolicy {
  const keeper: KeeperRule[] = [];
  const see = (call: SyscallName, places: Pick<KeeperRule, "folder" | "path" | "value">) => keeper.push({ call, action: "see", errno: 0, ...places });
  see("openat", { folder: 0, path: 1, value: 2 });
  see("openat2", { folder: 0, path: 1, value: 2 });
  see("open", { path: 0, value: 1 });
  for (const call of ["creat", "unlink", "rmdir", "mkdir", "truncate", "mknod", "execve"] as const) see(call, { path: 0 });
  for (const call of ["unlinkat", "mkdirat", "mknodat", "execveat"] as const) see(call, { folder: 0, path: 1 });
  for (const call of ["rename", "link"] as const) for (const path of [0, 1]) see(call, { path });
  for (const call of ["renameat", "renameat2", "linkat"] as const) for (const folder of [0, 2]) see(call, { folder, path: folder + 1 });
  see("symlink", { path: 1 });
  see("symlinkat", { folder: 1, path: 2 });
  for (const { call, looks, folder, path } of metadata) {
    if (path === undefined || looks?.[0]?.high === true) continue;
    see(call, folder === undefined ? { path } : { folder, path });
  }
  for (const call of ["setxattr", "lsetxattr", "removexattr", "lremovexattr"] as const) see(call, { path: 0 });
  for (const call of ["setxattrat", "removexattrat"] as const) see(call, { folder: 0, path: 1 });
  keeper.push({ call: "connect", action: "seeAddress", errno: 0 }, { call: "bind", action: "seeAddress", errno: 0 });
  const calls = [...new Set(keeper.map(({ call }) => call))];
  return { filter: calls.map((call) => ({ call, verdict: "ask" })), keeper };
}
