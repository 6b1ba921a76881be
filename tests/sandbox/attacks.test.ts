// Attacks from inside the sandbox, with every layer and with fewer of them: what must fail fails, what must work works,
// and what was denied is told.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo, Server } from "node:net";
import { join } from "node:path";
import { probeSandbox } from "../../src/plugins/sandbox/index.ts";
import type { KernelFacts } from "../../src/plugins/sandbox/index.ts";
import { confine, folderFor, runConfined, startConfined, users } from "./confined.ts";
import type { User } from "./confined.ts";
import { onLinux } from "./task-tree.ts";

const attacks = new URL("./attacks.py", import.meta.url).pathname;
const canAttack = onLinux && Bun.which("python3", { PATH: "/usr/bin:/bin" }) !== null;

/** What is no attack and has to work. */
const works: Record<string, unknown> = {
  "read readable": "r",
  "own maps": "done",
  "write null": "done",
  descriptors: [0, 1, 2, 3],
  "stream pair": "done",
  "fifo inside": "done",
  "rename inside": "done",
  "new privileges": "1",
  capabilities: ["0000000000000000"],
  subprocess: 3,
  thread: "done",
  "core size": 0,
  "chmod inside": "done",
  "utime inside": "done",
  "run a script of the folder": 4,
};
/** Reading is what was granted, and changing the times by an open file is nothing that a filter can tell apart. */
const harmlessUnmediated = new Set(["futimes readable"]);
const refusals = new Set("EACCES EPERM EROFS EXDEV ESRCH ENOENT ENOSYS EBADF EAFNOSUPPORT EINVAL EOPNOTSUPP ENOTSUP".split(" "));

/** This process itself is in a container with a filter. */
const isFiltered = onLinux && /^Seccomp:\s*2$/m.test(readFileSync("/proc/self/status", "utf8"));
/** Where neither mounts nor the keeper can tell where they happen, changes are not made at all. */
const unmadeUnasked = { "chmod inside": "EPERM", "utime inside": "EPERM", "run a script of the folder": "EPERM" };

let outside = "";
const servers: Server[] = [];
const abstract = `attack-${crypto.randomUUID()}`;
beforeAll(async () => {
  if (!canAttack) return;
  outside = folderFor(null, 0o755);
  for (const name of ["secret", "readable"]) {
    writeFileSync(join(outside, name), name === "secret" ? "secret" : "r");
    chmodSync(join(outside, name), 0o644);
  }
  mkdirSync(join(outside, "folder-outside"));
  for (const address of [0, join(outside, "socket"), `\0${abstract}`]) {
    const server = createServer((socket) => socket.end("reached"));
    servers.push(server);
    await new Promise<void>((resolve) => {
      if (typeof address === "number") server.listen(address, "127.0.0.1", resolve);
      else server.listen(address, resolve);
    });
  }
});
afterAll(() => {
  for (const server of servers) server.close();
  if (outside !== "") rmSync(outside, { recursive: true });
});

function openPort(): number {
  const address = servers[0]?.address() as AddressInfo;
  return address.port;
}

async function attack(user: User) {
  const inside = folderFor(user);
  const readable = join(outside, "readable");
  const port = openPort();
  const spec = {
    secret: join(outside, "secret"),
    outside,
    inside,
    parent: process.pid,
    stranger: process.pid,
    readable,
    port,
    socket: join(outside, "socket"),
    abstract,
  };
  const confinement = confine({ user, read: [readable, attacks], write: [inside] });
  const run = await runConfined(["python3", "-I", attacks, JSON.stringify(spec)], confinement, { cwd: inside });
  expect({ stderr: run.stderr, exit: run.exit }).toEqual({ stderr: "", exit: { exitCode: 0, signal: null } });
  rmSync(inside, { recursive: true });
  return { seen: JSON.parse(run.stdout) as Record<string, unknown>, notices: run.notices };
}

/** The facts with some layers taken away, for the time of one action. */
async function without(missing: Partial<KernelFacts>, action: () => Promise<void>): Promise<void> {
  const { facts } = probeSandbox();
  const all = { ...facts };
  Object.assign(facts, missing);
  try {
    await action();
  } finally {
    Object.assign(facts, all);
  }
}

function expectHeld(seen: Record<string, unknown>, isMediated: boolean, unmade: Record<string, unknown> = {}): void {
  const got = Object.entries(seen).filter(([name]) => name in works);
  expect(Object.fromEntries(got)).toEqual({ ...works, ...unmade });
  const through = Object.entries(seen).filter(([name, outcome]) => {
    if (name in works || (!isMediated && harmlessUnmediated.has(name))) return false;
    return !refusals.has(String(outcome));
  });
  expect(through).toEqual([]);
  expect(readFileSync(join(outside, "secret"), "utf8")).toBe("secret");
  for (const name of ["secret", "readable"]) expect(statSync(join(outside, name)).mode & 0o7777).toBe(0o644);
}

// The sandbox is Linux's, and the attacks are written in Python.
describe.skipIf(!canAttack)("attacks", () => {
  for (const { name, user } of users) {
    test(`[WF-14] fail as ${name}, with all layers, and are told`, async () => {
      const { seen, notices } = await attack(user);
      expectHeld(seen, probeSandbox().facts.mounts || user !== null);
      const told = notices.map(({ call, target }) => `${call} ${target}`);
      const port = openPort();
      expect(told).toContain(`connect 127.0.0.1:${port}`);
      expect(told).toContain(`connect [::1]:${port}`);
      expect(told).toContain("connect 192.0.2.1:80");
      expect(told).toContain(`connect unix:${join(outside, "socket")}`);
      expect(told).toContain(`connect unix:@${abstract}`);
      // What a container forbids already is not asked.
      for (const call of isFiltered ? ["ptrace", "chroot"] : ["ptrace", "mount", "unshare", "keyctl"]) expect(told).toContain(`${call} null`);
      expect(notices.filter(({ kind, denied }) => kind === "run" || !denied)).toEqual([]);
      const sockets = told.filter((text) => text.startsWith("socket "));
      expect(sockets).toContain("socket udp");
      expect(sockets).toEqual([...new Set(sockets)]);
    });
  }

  const namespaces = { namespaces: null, mounts: false, ownProc: false, countApart: false } as const;
  test("fail without namespaces and mounts", async () => {
    await without(namespaces, async () => expectHeld((await attack(null)).seen, false));
  });

  test("fail with namespaces and without mounts", async () => {
    await without({ mounts: false, ownProc: false }, async () => expectHeld((await attack(null)).seen, false));
  });

  test("fail where the filter cannot ask", async () => {
    await without({ notify: false }, async () => {
      const { seen, notices } = await attack(null);
      const { mounts } = probeSandbox().facts;
      expectHeld(seen, mounts, mounts ? {} : unmadeUnasked);
      expect(notices).toEqual([]);
    });
  });

  test.each([{ landlock: 5 }, { landlock: 4 }, { landlock: 1 }, { notify: false }])("find no socket at level reduced: %j", async (missing) => {
    const script = "import socket\ntry: socket.socket(); print('made')\nexcept OSError as error: print(error.errno)";
    await without(missing, async () => {
      expect((await runConfined(["python3", "-c", script], confine())).stdout).toBe("13\n");
      expect(() => startConfined(["true"], confine({ connect: [openPort()] }))).toThrow(expect.objectContaining({ code: "SANDBOX_UNAVAILABLE" }));
    });
  });

  test("fail with the oldest Landlock", async () => {
    await without({ landlock: 1 }, async () => {
      const { seen } = await attack(null);
      expect(seen["tcp denied port"]).toBe("EACCES");
      expect(seen["read secret"]).toBe("EACCES");
      // What of signals Landlock of that time leaves open, namespaces close.
      if (probeSandbox().facts.namespaces !== null) expect(seen["signal to stranger"]).toBe("ESRCH");
    });
  });
});
