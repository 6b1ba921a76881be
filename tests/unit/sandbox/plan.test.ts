// The plan compiler, checked through a decoder of its own: what the launcher would be told to do.

import { describe, expect, test } from "bun:test";
import { array, assert, property, string } from "fast-check";
import { compilePlan } from "../../../src/plugins/sandbox/index.ts";
import type { LaunchSpec } from "../../../src/plugins/sandbox/index.ts";

type Word = { value: bigint; of: "number" | "blob" | "slot" };
type Decoded = { kind: string; number: bigint; args: Word[]; result: number; mayFail: boolean };

const kinds = ["syscall", "pointers", "expect", "fork", "store", "keep"];
const x64 = {
  prctl: 157,
  getppid: 110,
  fcntl: 72,
  close_range: 436,
  openat: 257,
  setsid: 112,
  chdir: 80,
  prlimit64: 302,
  getpid: 39,
  execve: 59,
  rt_sigprocmask: 14,
};
const arm64 = {
  prctl: 167,
  getppid: 173,
  fcntl: 25,
  close_range: 436,
  openat: 56,
  setsid: 157,
  chdir: 49,
  prlimit64: 261,
  getpid: 172,
  execve: 221,
  rt_sigprocmask: 135,
};

const spec: LaunchSpec = {
  arch: "x64",
  program: "/bin/sh",
  argv: ["sh", "-c", "echo"],
  env: { A: "1", EMPTY: "", LONG: "ü=b" },
  cwd: "/work",
  enginePid: 4711,
};

function decode(bytes: Uint8Array): { steps: Decoded[]; blob: Buffer } {
  const plan = Buffer.from(bytes);
  expect(plan.toString("latin1", 0, 4)).toBe("PAK1");
  const count = plan.readUInt32LE(4);
  const blobOffset = plan.readUInt32LE(8);
  expect(blobOffset).toBe(48 + count * 64);
  expect(plan.subarray(12, 48).every((byte) => byte === 0)).toBe(true);
  const steps = Array.from({ length: count }, (_, index) => decodeStep(plan.subarray(48 + index * 64, 48 + index * 64 + 64)));
  return { steps, blob: plan.subarray(blobOffset) };
}

function decodeStep(record: Buffer): Decoded {
  const flags = record.readUInt32LE(4);
  const args = Array.from({ length: 6 }, (_, index): Word => {
    const of = (flags >> index) & 1 ? "blob" : (flags >> (8 + index)) & 1 ? "slot" : "number";
    return { of, value: record.readBigInt64LE(16 + index * 8) };
  });
  const kind = kinds[record.readUInt32LE(0)] ?? "unknown";
  return { kind, number: record.readBigUInt64LE(8), args, result: flags >>> 24, mayFail: ((flags >> 16) & 1) === 1 };
}

function textAt(blob: Buffer, word: Word | undefined): string {
  expect(word?.of).toBe("blob");
  const start = Number(word?.value ?? -1n);
  return blob.toString("utf8", start, blob.indexOf(0, start));
}

/** The strings of a null-terminated table, after the pointer step has turned its offsets into addresses. */
function tableAt(blob: Buffer, word: Word | undefined): string[] {
  const texts: string[] = [];
  for (let at = Number(word?.value ?? -1n); ; at += 8) {
    const offset = blob.readBigUInt64LE(at);
    if (offset === 0n) return texts; // offset 0 itself is taken by the first text of the plan, "/proc"
    texts.push(textAt(blob, { of: "blob", value: offset }));
  }
}

/** A step as `call(number, "text", slot 1)` or `kind(…)`, without trailing zeros. */
function render(step: Decoded, blob: Buffer, numbers: Record<string, number>): string {
  const name = step.kind === "syscall" ? Object.keys(numbers).find((call) => numbers[call] === Number(step.number)) : step.kind;
  const args = step.args.map((word) =>
    word.of === "blob" ? JSON.stringify(textAt(blob, word)) : word.of === "slot" ? `slot ${word.value}` : String(word.value),
  );
  while (args.at(-1) === "0") args.pop();
  const result = step.result === 255 ? "" : ` -> ${step.result}`;
  return `${name}(${args.join(", ")})${result}${step.mayFail ? " or not" : ""}`;
}

describe("compilePlan", () => {
  test("supervises the tree, enters the task, executes the program", () => {
    const { steps, blob } = decode(compilePlan(spec).bytes);
    const rendered = steps
      .filter((step) => step.kind !== "pointers")
      .slice(0, -1)
      .map((step) => render(step, blob, x64));
    expect(rendered).toEqual([
      "prctl(1, 10)",
      "getppid() -> 1",
      "expect(slot 1, 4711)",
      "fcntl(4, 2, 1)",
      "close_range(5, 4294967295)",
      'openat(-100, "/proc", 524288) -> 2',
      "setsid() or not",
      "prctl(36, 1)",
      'prctl(15, "task-keeper") or not',
      'chdir("/")',
      "getpid() -> 0",
      "fork(17, slot 2, 15)",
      "prctl(1, 9)",
      "getppid() -> 1",
      "expect(slot 1, slot 0)",
      "setsid()",
      'rt_sigprocmask(2, "", 0, 8)',
      'prlimit64(0, 4, "")',
      'chdir("/work")',
    ]);
  });

  test("ends in execve with the program, its arguments and exactly the given environment", () => {
    const { steps, blob } = decode(compilePlan(spec).bytes);
    const last = steps.at(-1);
    expect([last?.kind, last?.number]).toEqual(["syscall", 59n]);
    expect(textAt(blob, last?.args[0])).toBe("/bin/sh");
    expect(tableAt(blob, last?.args[1])).toEqual(["sh", "-c", "echo"]);
    expect(tableAt(blob, last?.args[2])).toEqual(["A=1", "EMPTY=", "LONG=ü=b"]);
    const tables = steps.filter((step) => step.kind === "pointers").map((step) => [step.args[0]?.value, step.args[1]?.value]);
    expect(tables).toEqual([
      [last?.args[1]?.value, 3n],
      [last?.args[2]?.value, 3n],
    ]);
  });

  test("uses each architecture's own numbers for the same steps", () => {
    const intel = decode(compilePlan(spec).bytes);
    const arm = decode(compilePlan({ ...spec, arch: "arm64" }).bytes);
    const name = (numbers: Record<string, number>) => (step: Decoded) => render({ ...step, args: [] }, Buffer.alloc(0), numbers);
    expect(arm.steps.map(name(arm64))).toEqual(intel.steps.map(name(x64)));
    expect(arm.blob.equals(intel.blob)).toBe(true);
  });

  test("explains every record by the step of the same number", () => {
    const plan = compilePlan(spec);
    expect(decode(plan.bytes).steps.map((step) => step.kind)).toEqual(plan.steps.map((step) => step.kind));
  });

  test("any arguments and environment come back, on 8-byte boundaries", () => {
    const text = string({ unit: "grapheme" }).filter((value) => !value.includes("\0"));
    assert(
      property(array(text, { minLength: 1 }), array(text, { minLength: 1 }), (argv, values) => {
        const env = Object.fromEntries(values.map((value, index) => [`N${index}`, value]));
        const { steps, blob } = decode(compilePlan({ ...spec, argv, env }).bytes);
        const args = steps.at(-1)?.args ?? [];
        expect(tableAt(blob, args[1])).toEqual(argv);
        expect(tableAt(blob, args[2])).toEqual(values.map((value, index) => `N${index}=${value}`));
        expect(args.slice(0, 3).every((word) => Number(word.value) % 8 === 0)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  test("an empty environment is an empty list", () => {
    const { steps, blob } = decode(compilePlan({ ...spec, env: {} }).bytes);
    expect(blob.readBigUInt64LE(Number(steps.at(-1)?.args[2]?.value))).toBe(0n);
  });
});

describe("compilePlan of a confined task", () => {
  const facts = {
    landlock: 7,
    notify: true,
    namespaces: "plain",
    mounts: true,
    ownProc: true,
    switchUser: true,
    countApart: true,
    ownNetwork: true,
    uid: 0,
    gid: 0,
  } as const;
  const folder = (path: string) => ({ path, isFolder: true });
  const view = {
    programs: [folder("/usr")],
    settings: [],
    devices: [],
    read: [folder("/closed/read")],
    write: [folder("/work")],
    closed: ["/closed"],
    masks: [],
    passed: [],
    names: [],
  };
  const limits = { memoryBytes: 1 << 29, cpuSeconds: 1, processes: 2, openFiles: 3, fileBytes: 4 };
  const confinement = { mode: "enforce", user: { uid: 5, gid: 6 }, read: [], write: [], connect: [80], listen: [], run: true, limits } as const;
  const stepsOf = (more: object = {}, known: object = {}) =>
    compilePlan({ ...spec, confined: { confinement: { ...confinement, ...more }, facts: { ...facts, ...known }, view } }).steps;
  const names = (steps: ReturnType<typeof stepsOf>) => steps.map((step) => (step.kind === "syscall" ? step.call : step.kind));

  test("gives up rights before it is confined, and is confined before the program", () => {
    const order = names(stepsOf());
    const last = (name: string) => order.lastIndexOf(name as (typeof order)[number]);
    const wanted = [
      "fork",
      "move_mount",
      "landlock_create_ruleset",
      "keep",
      "setresuid",
      "unshare",
      "capset",
      "landlock_restrict_self",
      "chdir",
      "seccomp",
      "execve",
    ];
    const places = wanted.map(last);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(places).not.toContain(-1);
    expect(last("execve")).toBe(order.length - 1);
  });

  test("only cleared layers may fail, never one that confines", () => {
    const failing = stepsOf().flatMap((step) => (step.kind === "syscall" && step.mayFail === true ? [step.call] : []));
    expect([...new Set(failing)].toSorted()).toEqual(["prctl", "setsid"]);
  });

  test("leaves out what the kernel has not, and everything but the filter while observing", () => {
    const poor = names(stepsOf({ user: null }, { namespaces: null, mounts: false, ownProc: false }));
    for (const name of ["mount", "open_tree", "move_mount", "unshare", "setresuid"] as const) expect(poor).not.toContain(name);
    const seeing = names(stepsOf({ mode: "observe", user: null }));
    for (const name of ["mount", "landlock_restrict_self", "capset"] as const) expect(seeing).not.toContain(name);
    expect(seeing).toContain("seccomp");
  });

  test("names nothing by its path that others could exchange: covers are filled and put in place by descriptors", () => {
    const steps = stepsOf().flatMap((step) => (step.kind === "syscall" ? [step] : []));
    const called = (name: string) => steps.filter(({ call }) => call === name);
    expect(called("mkdirat").length).toBeGreaterThan(0);
    const folders = ["mkdirat", "mount_setattr", "move_mount"].flatMap((name) => called(name).map(({ args }) => args[0]));
    // The other side of a move: the place.
    const places = called("move_mount").map(({ args }) => args[2]);
    for (const argument of [...folders, ...places]) expect(argument).toHaveProperty("slot");
    const creating = called("openat").filter(({ args: [folder, , flags] }) => typeof folder === "number" && (Number(flags) & 0o100) !== 0);
    expect(creating).toEqual([]);
    expect(called("mount")).toHaveLength(1); // /proc
  });

  test("is in no network of the machine's: in the empty one that is there, or in one of its own", () => {
    const order = (network: number | null, known: object = {}) =>
      names(compilePlan({ ...spec, network, confined: { confinement, facts: { ...facts, countApart: false, ...known }, view } }).steps).filter(
        (name) => name === "setns" || name === "unshare" || name === "setresuid",
      );
    expect(order(20)).toEqual(["setns", "setresuid"]);
    expect(order(null)).toEqual(["unshare", "setresuid"]);
    expect(order(20, { namespaces: "user" })).toEqual(["unshare", "setresuid"]);
    expect(order(20, { ownNetwork: false })).toEqual(["setresuid"]);
    expect(order(20, { namespaces: null })).toEqual(["setresuid"]);
  });

  test("mounts nothing outside of a mount namespace of its own, whatever it is told", () => {
    for (const known of [{ namespaces: null }, { namespaces: null, ownProc: true }]) {
      const order = names(stepsOf({}, { mounts: true, ...known }));
      for (const name of ["mount", "mount_setattr", "open_tree", "move_mount", "umount2"] as const) expect(order).not.toContain(name);
    }
    const NEWNS = 0x20000;
    const fork = (known: object) => stepsOf({}, known).find((step) => step.kind === "fork");
    expect((fork({ mounts: true })?.flags ?? 0) & NEWNS).toBe(NEWNS);
  });

  test("refuses ports that the kernel cannot confine", () => {
    for (const known of [{ landlock: 1 }, { landlock: 3 }, { landlock: 4 }, { landlock: 5 }, { notify: false }]) {
      const refused = expect.objectContaining({ code: "SANDBOX_UNAVAILABLE", details: expect.objectContaining({ level: "reduced" }) });
      expect(() => stepsOf({}, known)).toThrow(refused);
      expect(() => stepsOf({ connect: [], listen: [80] }, known)).toThrow(refused);
      expect(() => stepsOf({ connect: [] }, known)).not.toThrow();
    }
    expect(() => stepsOf({ listen: [80] }, { landlock: 6 })).not.toThrow();
  });

  test("limits processes only where they are counted apart from the engine's", () => {
    const NPROC = 6;
    const isLimited = (more: object, known: object) =>
      stepsOf(more, known).some((step) => step.kind === "syscall" && step.call === "prlimit64" && step.args[1] === NPROC);
    expect(isLimited({}, {})).toBe(true);
    expect(isLimited({ user: null }, { namespaces: "user" })).toBe(true);
    expect(isLimited({ user: null }, {})).toBe(false);
    expect(isLimited({ user: null }, { namespaces: null })).toBe(false);
  });

  test("refuses more paths than can be held", () => {
    const write = Array.from({ length: 130 }, (_, index) => folder(`/w${index}`));
    const confined = { confinement, facts, view: { ...view, write } };
    expect(() => compilePlan({ ...spec, confined })).toThrow(expect.objectContaining({ code: "SANDBOX_UNAVAILABLE" }));
    expect(() => compilePlan({ ...spec, confined: { confinement, facts, view: { ...view, write: write.slice(0, 100) } } })).not.toThrow();
  });

  test("follows granted paths through no link", () => {
    const opened = stepsOf().flatMap((step) => (step.kind === "syscall" && step.for === "/work" ? [step.call] : []));
    expect(opened.filter((call) => call.startsWith("open")).toSorted()).toEqual(["open_tree", "openat2", "openat2"]);
  });
});
