// What was found out about the machine is kept for later processes, and believed only when nothing about it is odd.

import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onLinux } from "./task-tree.ts";

const driver = new URL("./probe-driver.ts", import.meta.url).pathname;
let base = "";
beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), "probes-"));
});
afterAll(() => rmSync(base, { recursive: true }));

type Answer = { starts: number; code?: string; level: string; layers: string[]; missing: { layer: string; why: string }[] };

/** Asks a process of its own; `starts` counts the launchers that it ran to find out. */
function ask(folder: string, ...orders: string[]): Answer {
  const child = Bun.spawnSync([process.execPath, driver, folder, ...orders], { env: { ...process.env, BUN_BE_BUN: "1" }, stderr: "inherit" });
  return JSON.parse(child.stdout.toString()) as Answer;
}

const keptIn = (folder: string) => join(folder, readdirSync(folder).find((name) => name.endsWith(".json")) ?? "none");

// The sandbox is Linux's.
test.skipIf(!onLinux)("a later process takes over what was found, without trying again", () => {
  const folder = join(base, "taken");
  const first = ask(folder);
  expect(first.starts).toBeGreaterThan(0);
  expect(statSync(keptIn(folder)).mode & 0o777).toBe(0o600);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  expect(readdirSync(folder).length).toBe(1);
  expect(ask(folder)).toEqual({ ...first, starts: 0 });
});

// The sandbox is Linux's.
test.skipIf(!onLinux)("a file that is odd in any way counts for nothing", () => {
  const folder = join(base, "odd");
  const { starts } = ask(folder);
  const file = keptIn(folder);
  const good = JSON.parse(readFileSync(file, "utf8"));
  const write = (text: string) => {
    rmSync(file, { force: true });
    writeFileSync(file, text, { mode: 0o600 });
  };
  const { facts } = good.trial;
  const odd: Record<string, () => void> = {
    empty: () => write(""),
    "not JSON": () => write("{"),
    "another machine": () => write(JSON.stringify({ ...good, key: "0".repeat(64) })),
    "too old": () => write(JSON.stringify({ ...good, at: Date.now() - 25 * 60 * 60 * 1000 })),
    "from the future": () => write(JSON.stringify({ ...good, at: Date.now() + 60_000 })),
    "a better kernel": () => write(JSON.stringify({ ...good, trial: { ...good.trial, facts: { ...facts, landlock: facts.landlock + 1 } } })),
    "another user": () => write(JSON.stringify({ ...good, trial: { ...good.trial, facts: { ...facts, uid: facts.uid + 1 } } })),
    "an unknown fact": () => write(JSON.stringify({ ...good, trial: { ...good.trial, facts: { ...facts, more: true } } })),
    "mounts without namespaces": () =>
      write(JSON.stringify({ ...good, trial: { ...good.trial, facts: { ...facts, namespaces: null, mounts: true } } })),
    "an unknown layer": () => write(JSON.stringify({ ...good, broken: [{ layer: "x", why: "y" }] })),
    "too large": () => write(JSON.stringify({ ...good, more: "x".repeat(20_000) })),
    "readable by others": () => {
      write(JSON.stringify(good));
      chmodSync(file, 0o644);
    },
    "a link": () => {
      write(JSON.stringify(good));
      renameSync(file, `${file}.real`);
      symlinkSync(`${file}.real`, file);
    },
    "two names": () => {
      write(JSON.stringify(good));
      linkSync(file, `${file}.other`);
    },
    "a folder": () => {
      rmSync(file, { force: true });
      mkdirSync(file);
    },
  };
  const tried = Object.entries(odd).map(([name, make]) => {
    make();
    const answer = ask(folder);
    rmSync(file, { force: true, recursive: true });
    return [name, answer.starts];
  });
  expect(tried).toEqual(Object.keys(odd).map((name) => [name, starts]));
});

// The sandbox is Linux's.
test.skipIf(!onLinux)("a layer that a self-test got through stays out for later processes, until it is tested afresh", () => {
  const folder = join(base, "broken");
  expect(ask(folder).layers).toContain("loopback");
  expect(ask(folder, "distrust", "loopback").level).toBe("reduced");
  const later = ask(folder);
  expect(later).toMatchObject({ starts: 0, level: "reduced" });
  expect(later.layers).not.toContain("loopback");
  expect(later.missing.map(({ layer }) => layer)).toContain("loopback");
  expect(ask(folder, "afresh").level).toBe("strict");
  expect(ask(folder)).toMatchObject({ starts: 0, level: "strict" });
  // What was only not tried is not held against later processes.
  ask(folder, "doubt", "loopback");
  expect(ask(folder).level).toBe("strict");
});

// The sandbox is Linux's.
test.skipIf(!onLinux)("a start that the sandbox fails at makes the next process find out anew", () => {
  const folder = join(base, "stale");
  const { starts } = ask(folder);
  expect(ask(folder, "fail")).toMatchObject({ starts: 0, code: "SANDBOX_UNAVAILABLE" });
  expect(readdirSync(folder)).toEqual([]);
  expect(ask(folder).starts).toBe(starts);
});
