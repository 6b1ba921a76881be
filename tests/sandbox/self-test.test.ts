// The self-test attacks every layer that is said to hold, and a layer that is not trusted any more lowers the level.

import { expect, test } from "bun:test";
import { probeSandbox } from "../../src/plugins/sandbox/index.ts";
import type { SelfTestResult } from "../../src/plugins/runtimes/index.ts";
import { onLinux } from "./task-tree.ts";

const driver = new URL("./self-test-driver.ts", import.meta.url).pathname;

// The sandbox is Linux's.
test.skipIf(!onLinux)("every layer holds, and the level falls with what does not", async () => {
  const child = Bun.spawn([process.execPath, driver], { env: { ...process.env, BUN_BE_BUN: "1" }, stdio: ["ignore", "pipe", "inherit"] });
  const { results, levels, refusal, rest } = JSON.parse(await new Response(child.stdout).text()) as {
    results: SelfTestResult[];
    levels: Record<string, unknown>;
    refusal: string;
    rest: SelfTestResult[];
  };
  expect(results.filter(({ held }) => !held)).toEqual([]);
  const { state } = probeSandbox();
  expect(new Set(results.map(({ layer }) => layer))).toEqual(new Set(state.layers));
  expect(levels).toEqual({
    all: state.level,
    mounts: [state.level, false, false, true],
    loopback: ["reduced", false, false, true],
    landlock: ["none", false, false, true],
  });
  expect([refusal, rest]).toEqual(["SANDBOX_UNAVAILABLE", []]);
});
