// The conditions of a container as its engine starts it by default, made without one: the capabilities that are left to
// root, and a system-call filter that forbids namespaces and mounts.

import { closeSync } from "node:fs";
import { openLauncher, openMemoryFile } from "../../src/plugins/sandbox/index.ts";
import { assembleFilter } from "../../src/plugins/sandbox/filter.ts";
import type { FilterRule } from "../../src/plugins/sandbox/filter.ts";
import { addBytes, addText, addTextList, encodePlan, startDraft } from "../../src/plugins/sandbox/plan-format.ts";
import type { PlanDraft } from "../../src/plugins/sandbox/plan-format.ts";
import { newNamespaces } from "../../src/plugins/sandbox/seccomp.ts";
import type { SyscallName } from "../../src/plugins/sandbox/syscalls.ts";
import { asRoot } from "./task-tree.ts";

const EPERM = 1;
const ENOSYS = 38;
const AF_VSOCK = 40;
const prctl = { PR_CAPBSET_DROP: 24, PR_SET_NO_NEW_PRIVS: 38 } as const;
const SIG_SETMASK = 2;
const SECCOMP_SET_MODE_FILTER = 1;
const FD_CLOEXEC = { command: 2, flag: 1 } as const;
const capabilities = 48;

/** What container engines leave to root: chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service,
 * net_raw, sys_chroot, mknod, audit_write, setfcap. */
export const containerCapabilities: readonly number[] = [0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31];
export const allCapabilities: readonly number[] = Array.from({ length: capabilities }, (_, capability) => capability);

const forbidden = (
  "unshare setns mount umount2 pivot_root open_tree move_mount fsopen fsconfig fsmount fspick mount_setattr " +
  "bpf perf_event_open keyctl add_key request_key userfaultfd kcmp pidfd_getfd process_madvise open_by_handle_at fanotify_init " +
  "io_uring_setup io_uring_enter io_uring_register acct quotactl syslog sethostname setdomainname settimeofday clock_settime " +
  "reboot swapon swapoff kexec_load init_module delete_module iopl ioperm vhangup mbind set_mempolicy move_pages fchmodat2"
).split(" ") as SyscallName[];

const containerFilter: readonly FilterRule[] = [
  { call: "clone", looks: [{ arg: 0, mask: newNamespaces, values: [0], not: true }], verdict: { errno: EPERM } },
  { call: "clone3", verdict: { errno: ENOSYS } },
  { call: "socket", looks: [{ arg: 0, values: [AF_VSOCK] }], verdict: { errno: EPERM } },
  ...forbidden.map((call): FilterRule => ({ call, verdict: { errno: EPERM } })),
];

export type ContainerSpec = {
  argv: readonly [string, ...string[]];
  env: Record<string, string>;
  cwd: string;
  /** null: that of this process. */
  uid: number | null;
  capabilities?: readonly number[];
  isFiltered?: boolean;
  /** Beside the usual rules, and before them. */
  rules?: readonly FilterRule[];
};

/** Runs a program in such a container to its end. */
export async function runInContainer(spec: ContainerSpec): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  const { path } = openLauncher();
  const plan = openMemoryFile("container-plan", containerPlan(spec));
  try {
    const child = Bun.spawn([path], { env: {}, stdio: ["ignore", "pipe", "pipe", "ignore", plan] });
    const [stdout, stderr, exitCode] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited]);
    return { exitCode, stdout, stderr };
  } finally {
    closeSync(plan);
  }
}

function containerPlan({
  argv,
  env,
  cwd,
  uid,
  capabilities: left = containerCapabilities,
  isFiltered = true,
  rules = [],
}: ContainerSpec): Uint8Array {
  const { arch } = openLauncher();
  const draft = startDraft();
  const { steps } = draft;
  steps.push({ kind: "syscall", call: "fcntl", args: [4, FD_CLOEXEC.command, FD_CLOEXEC.flag] });
  // Root's container has no such promise; who is not root cannot install a filter without it.
  if (!asRoot) steps.push({ kind: "syscall", call: "prctl", args: [prctl.PR_SET_NO_NEW_PRIVS, 1] });
  if (isFiltered) install(draft, assembleFilter([...rules, ...containerFilter], arch, { closed: false }));
  if (asRoot) {
    for (const capability of allCapabilities.filter((one) => !left.includes(one))) {
      steps.push({ kind: "syscall", call: "prctl", args: [prctl.PR_CAPBSET_DROP, capability], mayFail: true });
    }
    steps.push({ kind: "syscall", call: "setgroups", args: [0, 0] });
    if (uid !== null)
      steps.push({ kind: "syscall", call: "setresgid", args: [uid, uid, uid] }, { kind: "syscall", call: "setresuid", args: [uid, uid, uid] });
  }
  steps.push(
    { kind: "syscall", call: "rt_sigprocmask", args: [SIG_SETMASK, addBytes(draft, new Uint8Array(8)), 0, 8] },
    { kind: "syscall", call: "chdir", args: [addText(draft, cwd)] },
  );
  const environment = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const args = [addText(draft, argv[0]), addTextList(draft, argv), addTextList(draft, environment)];
  steps.push({ kind: "syscall", call: "execve", args });
  return encodePlan(draft, arch);
}

function install(draft: PlanDraft, filter: Uint8Array): void {
  const program = new Uint8Array(16);
  const view = new DataView(program.buffer);
  view.setUint16(0, filter.length / 8, true);
  view.setUint32(8, addBytes(draft, filter).blob, true);
  const at = addBytes(draft, program);
  draft.steps.push({ kind: "pointers", table: at.blob + 8, count: 1 }, { kind: "syscall", call: "seccomp", args: [SECCOMP_SET_MODE_FILTER, 0, at] });
}
