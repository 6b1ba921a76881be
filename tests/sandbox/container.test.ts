// Tasks under the conditions of a container that was started without more: no namespaces, no mounts, few capabilities.

import { describe, expect, test } from "bun:test";
import { chownSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SelfTestResult } from "../../src/plugins/runtimes/index.ts";
import type { SandboxState } from "../../src/plugins/sandbox/index.ts";
import { allCapabilities, runInContainer } from "./container.ts";
import type { ContainerSpec } from "./container.ts";
import { asRoot, onLinux } from "./task-tree.ts";

const here = (name: string) => new URL(`./${name}`, import.meta.url).pathname;
const nobody = 65534;
const CAP_SYS_PTRACE = 19;
const CLOSE_RANGE_UNSHARE = 2;

async function inside(args: readonly string[], more: Partial<ContainerSpec>) {
  const home = mkdtempSync(join(tmpdir(), "container-"));
  const uid = more.uid ?? null;
  if (uid !== null && asRoot) chownSync(home, uid, uid);
  const env = { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: home, TMPDIR: home, BUN_BE_BUN: "1" };
  try {
    return await runInContainer({ argv: [process.execPath, ...args], env, cwd: here("../.."), uid: null, ...more });
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

type Seen = { state: SandboxState; outcomes: string[]; keeper: string; lost: SelfTestResult[]; attacks: number; after: string };

async function drive(more: Partial<ContainerSpec>): Promise<Seen> {
  const { stdout, stderr } = await inside([here("container-driver.ts")], more);
  expect(stderr).toBe("");
  return JSON.parse(stdout) as Seen;
}

/** Root's, where the suite is root; an ordinary user's always. */
const users = [...(asRoot ? [{ name: "root", uid: null }] : []), { name: "an ordinary user", uid: asRoot ? nobody : null }];

// The sandbox is Linux's.
describe.skipIf(!onLinux)("a default container", () => {
  for (const { name, uid } of users) {
    test(`runs every task as ${name}, with all streams, and holds`, async () => {
      const { state, outcomes, keeper, lost, attacks, after } = await drive({ uid });
      expect(outcomes).toEqual(Array(20).fill("right"));
      expect(state.layers).toEqual(["limits", "privileges", "landlock", "seccomp", "loopback"]);
      expect([state.level, state.canOwnUser, after]).toEqual(["strict", false, "strict"]);
      expect(lost).toEqual([]);
      expect(attacks).toBeGreaterThan(10);
      // Whoever answers for a task has no right that the task lacks.
      expect(Number.parseInt(keeper, 16)).toBe(0);
    });

    test(`[WF-14] attacks fail there as ${name}, and trees and streams are kept`, async () => {
      const names = ["attacks", "process-tree", "process-streams", "confinement", "confined-tree", "ordinary-tools"];
      const { stderr, exitCode } = await inside(["test", ...names.map((file) => here(`${file}.test.ts`))], { uid });
      expect(stderr).toMatch(/^ *[1-9]\d* pass$/m);
      expect(stderr.split("\n").filter((line) => line.startsWith("(fail)") || line.startsWith("error:"))).toEqual([]);
      expect(exitCode).toBe(0);
    }, 60_000);
  }

  test.each([
    ["the launcher", "close_range", undefined],
    ["the keeper", "keep", [{ arg: 2, values: [CLOSE_RANGE_UNSHARE] }]],
  ] as const)("where %s cannot do its part the machine says so, and runs nothing", async (_, step, looks) => {
    const rule = { call: "close_range", verdict: { errno: 1 } } as const;
    const { state, outcomes } = await drive({ uid: users[0]?.uid ?? null, rules: [looks === undefined ? rule : { ...rule, looks }] });
    expect(state.level).toBe("none");
    expect(state.missing.find(({ layer }) => layer === "launcher")?.why).toBe(`${step} failed with EPERM`);
    expect(outcomes.length).toBe(20);
    expect(outcomes.filter((outcome) => !outcome.startsWith('["SANDBOX_UNAVAILABLE"'))).toEqual([]);
  });

  test("where system-call filters are forbidden, that is what is missing", async () => {
    const { state } = await drive({ uid: users[0]?.uid ?? null, rules: [{ call: "seccomp", verdict: { errno: 1 } }] });
    expect(state.level).toBe("none");
    expect(state.missing.find(({ layer }) => layer === "seccomp")?.why).toBe("seccomp failed with EPERM");
  });
});

const reason = asRoot && onLinux ? "" : " (skipped: needs root)";
// The reason stands in the title.
test.skipIf(reason !== "")(`without the right to look into another user's task, tasks get none of their own${reason}`, async () => {
  const capabilities = allCapabilities.filter((capability) => capability !== CAP_SYS_PTRACE);
  const { state, outcomes, lost } = await drive({ capabilities, isFiltered: false });
  expect([state.level, state.canOwnUser]).toEqual(["strict", false]);
  expect(state.layers).toContain("mounts");
  expect(state.missing.find(({ layer }) => layer === "uid")?.why).toContain("CAP_SYS_PTRACE");
  expect(outcomes).toEqual(Array(20).fill("right"));
  expect(lost).toEqual([]);
});
