// The table by which the keeper answers (assets/sandbox/keeper.h), and the step that makes it.

import type { ViewedPath } from "./paths.ts";
import { openPath } from "./landlock.ts";
import { addBytes } from "./plan-format.ts";
import type { PlanDraft } from "./plan-format.ts";
import { descriptors, slots } from "./slots.ts";
import { syscallNumber } from "./syscalls.ts";
import type { LinuxArch, SyscallName } from "./syscalls.ts";

const actions = { deny: 1, socket: 2, connect: 3, bind: 4, first: 5, see: 6, seeAddress: 7, chmod: 8, chown: 9, times: 10 } as const;

/** What the keeper does about a call that the filter asks about. `errno` answers a denial; `folder`, `path` and `value`
 * are the numbers of arguments: a folder's descriptor, a path, and what is passed on in the report or in the call that is
 * done for the task; `flags` that of AT_ flags, or that the call follows no link. */
export type KeeperRule = {
  call: SyscallName;
  action: keyof typeof actions;
  errno: number;
  folder?: number;
  path?: number;
  value?: number;
  flags?: number | "noFollow";
};

export type KeeperTable = {
  rules: readonly KeeperRule[];
  /** Trees in which files are changed for the task. */
  roots: readonly ViewedPath[];
  connect: readonly number[];
  listen: readonly number[];
  /** Waits when the engine is slow to read, instead of dropping reports. */
  patient: boolean;
  /** Whether the task's pids are those of everybody: then its first one is put into the report. */
  sharesPids: boolean;
  /** Whether /proc shows the task under the pids that the keeper sees. */
  canLookUp: boolean;
  /** Whether there is a filter to answer. */
  answers: boolean;
  /** Whether the task's user is another than the keeper's: then the keeper cannot do without its capability. */
  hasOtherUser: boolean;
};

const none = 255;
const noFollow = 254;
const headWords = 16;
const ruleBytes = 16;
/** Their descriptors have to stay below the listener's; files of the trees that come after are not changed. */
const rootsMax = 32;
const capabilityVersion = 0x20080522;
/** To read a task's memory when its user is another: the keeper keeps this capability at most. */
const CAP_SYS_PTRACE = 1 << 19;
const SIGCHLD = 17;
const CLONE_FILES = 0x400;

/** The rules as the keeper of this architecture numbers them; reports name them by their index. */
export function numberedRules(rules: readonly KeeperRule[], arch: LinuxArch): KeeperRule[] {
  return rules.filter(({ call }) => syscallNumber(call, arch) !== null);
}

/** The parent keeps, the child goes on as the task. */
export function keepTask(draft: PlanDraft, table: KeeperTable, arch: LinuxArch): void {
  const roots = table.roots.slice(0, rootsMax).map(encodeRoot);
  const fixed = encodeTable(table, arch);
  const keeper = addBytes(draft, Buffer.concat([fixed, ...roots]));
  let at = keeper.blob + fixed.length;
  for (const [index, root] of roots.entries()) {
    const path = table.roots[index]?.path ?? "/";
    openPath(draft, path, { follow: false, result: slots.scratch });
    draft.steps.push({ kind: "store", at: { blob: at }, value: { slot: slots.scratch } });
    at += root.length;
  }
  const [signals, ready] = [{ slot: slots.signals }, { slot: slots.ready }];
  draft.steps.push({ kind: "keep", flags: SIGCHLD | CLONE_FILES, keeper, signals, ready });
}

/** The descriptor is filled in by the plan. */
function encodeRoot({ path }: ViewedPath): Uint8Array {
  const text = Buffer.from(path === "/" ? "" : path);
  const root = Buffer.alloc(8 + ((text.length + 4) & ~3));
  root.writeUInt32LE(text.length, 4);
  root.set(text, 8);
  return root;
}

function encodeTable(table: KeeperTable, arch: LinuxArch): Uint8Array {
  const { rules, connect, listen } = table;
  const bytes = new Uint8Array(headWords * 4 + rules.length * ruleBytes + (connect.length + listen.length) * 4);
  const view = new DataView(bytes.buffer);
  const flags = (table.patient ? 1 : 0) | (table.sharesPids ? 2 : 0) | (table.canLookUp ? 4 : 0) | (table.hasOtherUser ? 8 : 0);
  const listener = table.answers ? descriptors.listener : -1;
  const capabilities = [CAP_SYS_PTRACE, CAP_SYS_PTRACE, 0, 0, 0, 0];
  const counts = [rules.length, connect.length, listen.length, flags];
  const roots = [Math.min(table.roots.length, rootsMax), bytes.length];
  const head = [...counts, listener, descriptors.notices, capabilityVersion, 0, ...capabilities, ...roots];
  for (const [index, word] of head.entries()) view.setInt32(index * 4, word, true);
  let at = headWords * 4;
  for (const rule of rules) {
    view.setUint32(at, syscallNumber(rule.call, arch) ?? -1, true);
    const { folder = none, path = none, value = none, flags: links = none } = rule;
    bytes.set([actions[rule.action], folder, path, value, links === "noFollow" ? noFollow : links], at + 4);
    view.setInt32(at + 12, rule.errno, true);
    at += ruleBytes;
  }
  for (const port of [...connect, ...listen]) {
    view.setUint32(at, port, true);
    at += 4;
  }
  return bytes;
}
