// The Landlock layer: which files and folders a task may use and how, which TCP ports, and that signals and abstract
// sockets stay inside. Bits and structures: linux/landlock.h.

import { fail } from "../../base/index.ts";
import type { Confinement } from "./confinement.ts";
import type { DiskView } from "./disk-view.ts";
import { holdsNetwork, landlockNetwork, landlockStrict } from "./kernel-facts.ts";
import type { KernelFacts } from "./kernel-facts.ts";
import type { ViewedPath } from "./paths.ts";
import { addBytes, addText } from "./plan-format.ts";
import type { Argument, PlanDraft } from "./plan-format.ts";
import { slots } from "./slots.ts";
import { ownProcessPaths } from "./system-paths.ts";

const fileAccess = {
  EXECUTE: 1,
  WRITE_FILE: 2,
  READ_FILE: 4,
  READ_DIR: 8,
  REMOVE_DIR: 16,
  REMOVE_FILE: 32,
  MAKE_CHAR: 64,
  MAKE_DIR: 128,
  MAKE_REG: 256,
  MAKE_SOCK: 512,
  MAKE_FIFO: 1024,
  MAKE_BLOCK: 2048,
  MAKE_SYM: 4096,
  REFER: 8192,
  TRUNCATE: 16384,
  IOCTL_DEV: 32768,
} as const;
const { EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, MAKE_CHAR, MAKE_SOCK, MAKE_BLOCK, REFER, TRUNCATE, IOCTL_DEV } = fileAccess;
const all = 0xffff;
/** What a rule on a file, not a folder, may speak of. */
const ofFiles = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;
const reading = READ_FILE | READ_DIR;
const executing = reading | EXECUTE;
/** No devices and no sockets are made, not even where a task may write. */
const writing = all & ~(MAKE_CHAR | MAKE_BLOCK | MAKE_SOCK | IOCTL_DEV);
const using = READ_FILE | WRITE_FILE | TRUNCATE | IOCTL_DEV;

const net = { BIND_TCP: 1, CONNECT_TCP: 2 } as const;
const scopes = 3;
const ruleType = { path: 1, port: 2 } as const;
const open = { AT_FDCWD: -100, O_PATH: 0o10000000, O_CLOEXEC: 0o2000000, RESOLVE_NO_SYMLINKS: 4 } as const;

/** What a version of Landlock can speak of. */
function handled(abi: number): number {
  return all & ~(abi < 2 ? REFER : 0) & ~(abi < 3 ? TRUNCATE : 0) & ~(abi < 5 ? IOCTL_DEV : 0);
}

/** Makes the ruleset; the keeper does, who may open what the task's user may not.
 * @throws SANDBOX_UNAVAILABLE when ports are granted where level `reduced` is all that holds: it has no network. */
export function buildRuleset(draft: PlanDraft, parts: { confinement: Confinement; view: DiskView; facts: KernelFacts }): void {
  const { confinement, view, facts } = parts;
  const abi = facts.landlock;
  if (!holdsNetwork(facts) && confinement.connect.length + confinement.listen.length > 0) throw noNetwork(facts);
  const attributes = new Uint8Array(new BigUint64Array([BigInt(handled(abi)), 3n, BigInt(scopes)]).buffer);
  const size = abi < landlockNetwork ? 8 : abi < landlockStrict ? 16 : 24;
  draft.steps.push({ kind: "syscall", call: "landlock_create_ruleset", args: [addBytes(draft, attributes), size, 0], result: slots.ruleset });
  const add = (paths: readonly ViewedPath[], access: number) => {
    for (const path of paths) allowPath(draft, path, { access: access & handled(abi), follow: true });
  };
  add(view.programs, executing);
  add(view.settings, reading);
  add(view.devices, using);
  if (facts.ownProc) add([{ path: "/proc", isFolder: true }], reading);
  for (const path of view.read) allowPath(draft, path, { access: executing, follow: false });
  for (const path of view.write) allowPath(draft, path, { access: writing & handled(abi), follow: false });
  for (const port of confinement.connect) allowPort(draft, port, net.CONNECT_TCP);
  for (const port of confinement.listen) allowPort(draft, port, net.BIND_TCP);
}

function noNetwork({ landlock, notify }: KernelFacts) {
  const lacks = [
    ...(landlock < landlockStrict ? [`Landlock is version ${landlock} of the ${landlockStrict} that it takes`] : []),
    ...(notify ? [] : ["system-call filters cannot ask"]),
  ];
  return fail("SANDBOX_UNAVAILABLE", `Cannot start a task with network: the sandbox's level is "reduced" here, ${lacks.join(" and ")}`, {
    details: { level: "reduced", landlock, notify },
    hint: "Use Linux 6.12 or newer, take the task's network permissions away (network, listen), or use `runtime: docker`.",
  });
}

/** Confines the calling process for good. Where /proc is everybody's, first come the files about the task itself. */
export function restrictSelf(draft: PlanDraft, facts: KernelFacts): void {
  if (!facts.ownProc) {
    for (const path of ownProcessPaths) allowPath(draft, { path, isFolder: path.endsWith("/fd") }, { access: reading, follow: true });
  }
  draft.steps.push(
    { kind: "syscall", call: "landlock_restrict_self", args: [{ slot: slots.ruleset }, 0] },
    { kind: "syscall", call: "close", args: [{ slot: slots.ruleset }] },
  );
}

/** Opens a path without reading it. A granted one is followed through no link: it was resolved when it was granted, and
 * what a task has put there since leads nowhere. `folder`: the slot of the folder that a relative one starts at. */
export function openPath(draft: PlanDraft, path: string, { follow, result, folder }: { follow: boolean; result: number; folder?: number }): void {
  const flags = open.O_PATH | open.O_CLOEXEC;
  const text = addText(draft, path);
  if (follow) {
    draft.steps.push({ kind: "syscall", call: "openat", args: [open.AT_FDCWD, text, flags, 0], result, for: path });
    return;
  }
  const from = folder === undefined ? open.AT_FDCWD : { slot: folder };
  const how = addBytes(draft, new Uint8Array(new BigUint64Array([BigInt(flags), 0n, BigInt(open.RESOLVE_NO_SYMLINKS)]).buffer));
  draft.steps.push({ kind: "syscall", call: "openat2", args: [from, text, how, 24], result, for: path });
}

function allowPath(draft: PlanDraft, { path, isFolder }: ViewedPath, { access, follow }: { access: number; follow: boolean }): void {
  openPath(draft, path, { follow, result: slots.scratch });
  const rule = new Uint8Array(16);
  new DataView(rule.buffer).setUint32(0, isFolder ? access : access & ofFiles, true);
  const at = addBytes(draft, rule);
  draft.steps.push({ kind: "store", at: { blob: at.blob + 8 }, value: { slot: slots.scratch } });
  addRule(draft, ruleType.path, at);
  draft.steps.push({ kind: "syscall", call: "close", args: [{ slot: slots.scratch }] });
}

function allowPort(draft: PlanDraft, port: number, access: number): void {
  addRule(draft, ruleType.port, addBytes(draft, new Uint8Array(new BigUint64Array([BigInt(access), BigInt(port)]).buffer)));
}

function addRule(draft: PlanDraft, type: number, rule: Argument): void {
  draft.steps.push({ kind: "syscall", call: "landlock_add_rule", args: [{ slot: slots.ruleset }, type, rule, 0] });
}
