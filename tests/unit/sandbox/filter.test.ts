// The system-call filter, run through an interpreter of the kernel's filter language written for this test.

import { describe, expect, test } from "bun:test";
import { assembleFilter } from "../../../src/plugins/sandbox/filter.ts";
import type { KernelFacts } from "../../../src/plugins/sandbox/kernel-facts.ts";
import { enforcedCalls, observedCalls } from "../../../src/plugins/sandbox/seccomp.ts";
import { syscallNumber } from "../../../src/plugins/sandbox/syscalls.ts";
import type { LinuxArch, SyscallName } from "../../../src/plugins/sandbox/syscalls.ts";
import { confine } from "../../sandbox/confined.ts";

const facts: KernelFacts = {
  landlock: 7,
  notify: true,
  namespaces: "user",
  mounts: true,
  ownProc: true,
  switchUser: false,
  countApart: false,
  ownNetwork: false,
  uid: 1000,
  gid: 1000,
};
const audit = { x64: 0xc000003e, arm64: 0xc00000b7 } as const;
const [KILL, ASK, ALLOW] = [0x80000000, 0x7fc00000, 0x7fff0000];
const errno = (number: number) => 0x00050000 | number;

/** What the filter answers to a call, as 32-bit word. */
function run(filter: Uint8Array, { number, arch, args = [] }: { number: number; arch: number; args?: readonly bigint[] }): number {
  const code = Buffer.from(filter);
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number >>> 0, 0);
  data.writeUInt32LE(arch, 4);
  for (const [index, value] of args.entries()) data.writeBigUInt64LE(BigInt.asUintN(64, value), 16 + index * 8);
  let word = 0;
  for (let at = 0; at * 8 < code.length; at++) {
    const [yes, no, operand] = [code[at * 8 + 2] ?? 0, code[at * 8 + 3] ?? 0, code.readUInt32LE(at * 8 + 4)];
    const jump = (holds: boolean) => {
      at += holds ? yes : no;
    };
    switch (code.readUInt16LE(at * 8)) {
      case 0x20:
        word = data.readUInt32LE(operand);
        break;
      case 0x54:
        word = (word & operand) >>> 0;
        break;
      case 0x15:
        jump(word === operand);
        break;
      case 0x25:
        jump(word > operand);
        break;
      case 0x35:
        jump(word >= operand);
        break;
      case 0x05:
        at += operand;
        break;
      case 0x06:
        return operand;
      default:
        throw new Error("an instruction that no filter has");
    }
  }
  throw new Error("the filter has no end");
}

function ask(filter: Uint8Array, arch: LinuxArch, call: SyscallName, ...args: (number | bigint)[]): number | null {
  const number = syscallNumber(call, arch);
  return number === null ? null : run(filter, { number, arch: audit[arch], args: args.map(BigInt) });
}

for (const arch of ["x64", "arm64"] as const) {
  describe(`the filter on ${arch}`, () => {
    const filterOf = (more: Parameters<typeof confine>[0] = {}, known: Partial<KernelFacts> = {}) =>
      assembleFilter(enforcedCalls(confine(more), { ...facts, ...known }).filter, arch, { closed: true });
    const filter = filterOf();
    const on = (call: SyscallName, ...args: (number | bigint)[]) => ask(filter, arch, call, ...args);

    test("is within the kernel's limit, and every number ends in a verdict", () => {
      expect(filter.length / 8).toBeLessThanOrEqual(4096);
      const verdicts = new Set<number>();
      for (let number = 0; number <= 1100; number++) verdicts.add(run(filter, { number, arch: audit[arch] }));
      expect([...verdicts].filter((word) => ![ALLOW, ASK].includes(word) && word >>> 16 !== 5)).toEqual([]);
    });

    test("kills a foreign architecture, and knows no call that is too new or of another interface", () => {
      expect(run(filter, { number: 1, arch: 0x40000003 })).toBe(KILL);
      for (const number of [470, 500, 0x40000000, 0xffffffff]) expect(run(filter, { number, arch: audit[arch] })).toBe(errno(38));
    });

    test("lets ordinary work pass", () => {
      for (const call of ["write", "close", "execve", "prctl", "fcntl", "rt_sigprocmask", "unlinkat", "setsid"] as const)
        expect(on(call)).toBe(ALLOW);
      expect(on("openat", -100, 0, 0o101, 0o644)).toBe(ALLOW);
      expect(on("clone", 0x01200011)).toBe(ALLOW);
      expect(on("fchmodat", -100, 0, 0o755)).toBe(ALLOW);
    });

    test("asks about or denies what no task needs", () => {
      for (const call of ["ptrace", "mount", "unshare", "setns", "bpf", "keyctl", "shmget", "open_by_handle_at"] as const) expect(on(call)).toBe(ASK);
      for (const call of ["io_uring_setup", "clone3", "openat2"] as const) expect(on(call)).toBe(errno(38));
      expect(on("inotify_add_watch")).toBe(errno(1));
    });

    test("looks at arguments", () => {
      expect(on("clone", 0x10000011)).toBe(ASK);
      expect(on("sendto", 3, 0, 0, 0x20000000)).toBe(ASK);
      expect(on("sendto", 3, 0, 0, 0x4000)).toBe(ALLOW);
      expect(on("socket", 16, 3, 0)).toBe(errno(97));
      expect(on("socket", 2, 1, 0)).toBe(ASK);
      expect(on("socketpair", 1, 0o2000001, 0)).toBe(ALLOW);
      expect(on("socketpair", 1, 2, 0)).toBe(errno(13));
      expect(on("ioctl", 0, 0x5412)).toBe(ASK);
      expect(on("ioctl", 0, 0x5401)).toBe(ALLOW);
      expect(on("personality", 0xffffffff)).toBe(ALLOW);
      expect(on("personality", 0x20008)).toBe(errno(1));
      expect(on("openat", -100, 0, 0o101, 0o4755)).toBe(ASK);
      // Without O_CREAT the mode is whatever the register held.
      expect(on("openat", -100, 0, 0, 0o4755)).toBe(ALLOW);
      expect(on("fchmodat", -100, 0, 0o2755)).toBe(ASK);
      expect(on("mknodat", -100, 0, 0o010644)).toBe(ALLOW);
      expect(on("mknodat", -100, 0, 0o020644)).toBe(ASK);
      expect(on("prlimit64", 0, 7, 4096n)).toBe(ALLOW);
      expect(on("prlimit64", 77, 7, 0)).toBe(ALLOW);
      expect(on("prlimit64", 77, 7, 4096n)).toBe(errno(1));
      expect(on("prlimit64", 77, 7, 1n << 32n)).toBe(errno(1));
      expect(on("setpriority", 0, 0, 5)).toBe(ALLOW);
      expect(on("setpriority", 2, 0, 5)).toBe(errno(1));
    });

    test("changes with what is granted and what other layers hold", () => {
      const alone = filterOf({}, { mounts: false, namespaces: null });
      for (const call of ["fchmodat", "fchmod", "fchownat"] as const) expect(ask(alone, arch, call)).toBe(ASK);
      expect(ask(alone, arch, "fsetxattr")).toBe(errno(95));
      expect(ask(alone, arch, "utimensat", -100, 4096n)).toBe(ASK);
      expect(ask(alone, arch, "utimensat", -100, 1n << 40n)).toBe(ASK);
      expect(ask(alone, arch, "utimensat", 3, 0)).toBe(ALLOW);
      expect(ask(alone, arch, "setsid")).toBe(errno(1));
      expect(ask(filterOf({ user: { uid: 5, gid: 5 } }, { mounts: false }), arch, "fchmodat")).toBe(ALLOW);
      expect(ask(filterOf({ listen: [80] }), arch, "listen")).toBe(ALLOW);
      expect(on("listen")).toBe(ASK);
      const still = filterOf({ run: false });
      expect(ask(still, arch, "execve")).toBe(ASK);
      expect(ask(still, arch, "clone", 0x11)).toBe(ASK);
      expect(ask(still, arch, "clone", 0x10000)).toBe(ALLOW);
      expect(ask(filterOf({}, { landlock: 2, mounts: false }), arch, "openat", -100, 0, 0o1000)).toBe(ASK);
      expect(ask(filterOf({}, { landlock: 3, mounts: false }), arch, "openat", -100, 0, 0o1000)).toBe(ALLOW);
    });

    test("never asks where nobody answers", () => {
      const mute = filterOf({ run: false }, { notify: false, mounts: false });
      for (let number = 0; number <= 469; number++) {
        for (const arg of [0n, 1n, 2n, 0xffffffffn]) expect(run(mute, { number, arch: audit[arch], args: [arg, arg, arg, arg] })).not.toBe(ASK);
      }
    });

    test("every question has a rule of the keeper", () => {
      for (const policy of [enforcedCalls(confine({ run: false }), { ...facts, mounts: false }), observedCalls()]) {
        const known = new Set(policy.keeper.map(({ call }) => call));
        expect(policy.filter.filter(({ verdict, call }) => verdict === "ask" && !known.has(call))).toEqual([]);
      }
    });

    test("denies nothing while observing", () => {
      const seeing = assembleFilter(observedCalls().filter, arch, { closed: false });
      for (let number = 0; number <= 600; number++) expect([ALLOW, ASK]).toContain(run(seeing, { number, arch: audit[arch] }));
      expect(ask(seeing, arch, "openat")).toBe(ASK);
      expect(ask(seeing, arch, "mount")).toBe(ALLOW);
    });
  });
}
