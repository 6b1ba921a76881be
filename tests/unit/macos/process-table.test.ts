// Which processes belong to a task, by one look at all of them.
import { expect, test } from "bun:test";
import { listMacTree, measureMacMemory, membersOf, parseProcessTable, readProcessTable } from "../../../src/plugins/runtimes/macos/process-table.ts";
import { macTools } from "../../../src/plugins/runtimes/macos/command.ts";

const row = (pid: number, parent: number, group: number, startedAt = `start ${pid}`) => ({ pid, parent, group, memoryBytes: 0, startedAt });
const pids = (rows: readonly { pid: number }[]) => rows.map(({ pid }) => pid).toSorted((a, b) => a - b);
const none = new Map<number, string>();

test("lines of ps are read, and processes that have ended are left out", () => {
  const text = "    1     0     0  1200 Ss   Sat Nov 21 11:41:37 2026    \n  80  1  80   0 Z+ Sat Nov 21 11:41:38 2026\ngarbage\n";
  expect(parseProcessTable(text)).toEqual([{ pid: 1, parent: 0, group: 0, memoryBytes: 1200 * 1024, startedAt: "Sat Nov 21 11:41:37 2026" }]);
});

test("descendants belong to a task whatever their group, and its groups whatever their parents; strangers do not", () => {
  const rows = [
    row(12, 11, 12), // left the group
    row(10, 1, 10),
    row(11, 10, 10),
    row(13, 1, 12), // its parent is gone
    row(14, 1, 10),
    row(20, 1, 20),
    row(21, 20, 20),
  ];
  expect(pids(membersOf(rows, { leader: 10, hasEnded: false, known: none }))).toEqual([10, 11, 12, 13, 14]);
});

test("after the first process's end known members are found again, but not what took over their numbers", () => {
  const known = new Map([
    [10, "start 10"],
    [30, "start 30"],
    [40, "start 40"],
  ]);
  const rows = [
    row(30, 1, 30), // known, by its start
    row(31, 1, 30),
    row(32, 30, 32),
    row(40, 1, 40, "later"), // another process of that number, which leads another group
    row(41, 40, 40),
    row(50, 1, 10), // still in the first group, whose number nobody else can have
  ];
  expect(pids(membersOf(rows, { leader: 10, hasEnded: true, known }))).toEqual([30, 31, 32, 50]);
  const reused = [row(10, 1, 10, "later"), row(11, 10, 10)];
  expect(membersOf(reused, { leader: 10, hasEnded: true, known })).toEqual([]);
});

test("the watchdog counts the first process with its descendants and their memory, and nothing for a start that failed", () => {
  const ps = "/bin/ps";
  expect(readProcessTable(ps).some(({ pid }) => pid === process.pid)).toBe(true);
  const tree = listMacTree(process.pid, 100, ps);
  expect(tree).toContain(process.pid);
  expect(measureMacMemory([process.pid], ps)).toBeGreaterThan(10_000_000);
  expect(listMacTree(process.pid, 1, ps)).toHaveLength(1);
  expect(listMacTree(0, 100, ps)).toEqual([]);
  expect(macTools.ps).toBe("/bin/ps");
});
