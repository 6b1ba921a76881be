// The mounts layer: in a mount namespace of the task's own the whole tree becomes read-only but for what it may write,
// and folders that its user cannot enter are covered by empty ones in which only the granted paths are to be found.

import { dirname } from "node:path";
import { fail } from "../../base/index.ts";
import type { DiskView } from "./disk-view.ts";
import type { KernelFacts } from "./kernel-facts.ts";
import { openPath } from "./landlock.ts";
import type { Mask } from "./masks.ts";
import { isBelow } from "./paths.ts";
import type { ViewedPath } from "./paths.ts";
import { addBytes, addText } from "./plan-format.ts";
import type { PlanDraft } from "./plan-format.ts";
import { slotCount, slots } from "./slots.ts";
import { nameUser } from "./user-names.ts";

const AT_FDCWD = -100;
const AT_EMPTY_PATH = 0x1000;
const AT_RECURSIVE = 0x8000;
const O_CLOEXEC = 0o2000000;
const O_CREAT_WRONLY = 0o101;
const OPEN_TREE_CLONE = 1;
const MOVE_FROM_EMPTY = 4;
const MOVE_TO_EMPTY = 0x40;
const MS = { RDONLY: 1, NOSUID: 2, NODEV: 4, NOEXEC: 8, PRIVATE: 1 << 18 } as const;
const MOUNT_ATTR_RDONLY = 1;
/** Of a covering folder: it holds names only. */
const coverOptions = "size=1m,nr_inodes=4096,mode=755";

/** A copy of a mounted tree that waits for its place. */
type Held = ViewedPath & { tree: number; place: number | null };

/** Who the task is in the lists of users, null: somebody who is in them. */
export type MountedUser = { uid: number; gid: number; home: string } | null;

/** Appends the whole layer. Copies of writable trees are taken before everything is made read-only, and keep what they
 * were: a part that was read-only stays so.
 * @throws SANDBOX_UNAVAILABLE for more paths than the launcher can hold. */
export function arrangeMounts(draft: PlanDraft, view: DiskView, { facts, user }: { facts: KernelFacts; user: MountedUser }): void {
  changeTree(draft, "/", { readOnly: false, propagation: MS.PRIVATE });
  // What is made here has to be readable for the task's user.
  draft.steps.push({ kind: "syscall", call: "umask", args: [0o022], result: slots.mask });
  for (const mask of view.masks) coverInside(draft, mask, view.passed);
  const isAllWritable = view.write.some(({ path }) => path === "/");
  const isCovered = (path: string) => view.closed.some((folder) => isBelow(path, folder));
  let slot: number = slots.firstFree;
  const hold = (path: ViewedPath): Held => {
    if (slot + 2 > slotCount) throw tooMany();
    const place = isCovered(path.path) ? null : slot + 1;
    const held = { ...path, tree: slot, place };
    takeTree(draft, held);
    slot += 2;
    return held;
  };
  const writable = isAllWritable ? [] : view.write.map(hold);
  const readable = isAllWritable ? [] : view.read.filter(({ path }) => isCovered(path)).map(hold);
  if (!isAllWritable) {
    const held = [...readable, ...writable].filter(({ place }) => place === null);
    for (const folder of view.closed) coverFolder(draft, folder, [...held, ...namesOf(view.passed)]);
  }
  if (user !== null) nameUser(draft, view.names, user);
  draft.steps.push({ kind: "syscall", call: "umask", args: [{ slot: slots.mask }] });
  for (const held of readable) putTree(draft, held);
  if (facts.ownProc) {
    const [name, target] = [addText(draft, "proc"), addText(draft, "/proc")];
    draft.steps.push({ kind: "syscall", call: "mount", args: [name, target, name, MS.RDONLY | MS.NOSUID | MS.NODEV | MS.NOEXEC, 0] });
  }
  if (!isAllWritable) changeTree(draft, "/", { readOnly: true, propagation: 0 });
  for (const held of writable) putTree(draft, held);
}

function tooMany() {
  return fail("SANDBOX_UNAVAILABLE", `Cannot start a task: more than ${(slotCount - slots.firstFree) >> 1} separate paths are granted`, {
    hint: "Grant a folder that holds them.",
  });
}

function namesOf(folders: readonly string[]): ViewedPath[] {
  return folders.map((path) => ({ path, isFolder: true }));
}

/** Covers a folder inside of a granted one before that one is copied, so that the copy has the cover and what is put into it. */
function coverInside(draft: PlanDraft, { folder, pins, read, write }: Mask, passed: readonly string[]): void {
  let slot: number = slots.firstFree;
  const hold = (path: ViewedPath): Held => {
    if (slot >= slotCount) throw tooMany();
    const held = { ...path, tree: slot++, place: null };
    takeTree(draft, held);
    return held;
  };
  for (const pin of namesOf(pins)) putTree(draft, hold(pin));
  slot = slots.firstFree;
  const [readable, writable] = [read.map(hold), write.map(hold)];
  coverFolder(draft, folder, [...readable, ...writable, ...namesOf(passed)]);
  for (const held of readable) putTree(draft, held);
  changeTree(draft, folder, { readOnly: true, propagation: 0 });
  for (const held of writable) putTree(draft, held);
}

function changeTree(draft: PlanDraft, path: string, { readOnly, propagation }: { readOnly: boolean; propagation: number }): void {
  const attributes = new BigUint64Array([readOnly ? BigInt(MOUNT_ATTR_RDONLY) : 0n, 0n, BigInt(propagation), 0n]);
  const args = [AT_FDCWD, addText(draft, path), AT_RECURSIVE, addBytes(draft, new Uint8Array(attributes.buffer)), 32];
  draft.steps.push({ kind: "syscall", call: "mount_setattr", args });
}

function takeTree(draft: PlanDraft, { path, tree, place }: Held): void {
  const opened = place ?? slots.scratch;
  openPath(draft, path, { follow: false, result: opened });
  const flags = OPEN_TREE_CLONE | AT_EMPTY_PATH | AT_RECURSIVE | O_CLOEXEC;
  draft.steps.push({ kind: "syscall", call: "open_tree", args: [{ slot: opened }, addText(draft, ""), flags], result: tree, for: path });
  if (place === null) draft.steps.push({ kind: "syscall", call: "close", args: [{ slot: opened }] });
}

/** Puts a tree in its place: the folder it was copied from, or a name in a covering folder. */
function putTree(draft: PlanDraft, { path, tree, place }: Held): void {
  const empty = addText(draft, "");
  const to = place === null ? [AT_FDCWD, addText(draft, path), MOVE_FROM_EMPTY] : [{ slot: place }, empty, MOVE_FROM_EMPTY | MOVE_TO_EMPTY];
  draft.steps.push(
    { kind: "syscall", call: "move_mount", args: [{ slot: tree }, empty, ...to], for: path },
    { kind: "syscall", call: "close", args: [{ slot: tree }] },
  );
  if (place !== null) draft.steps.push({ kind: "syscall", call: "close", args: [{ slot: place }] });
}

/** Covers a folder, and makes in it the names that trees are put at and that paths lead through. */
function coverFolder(draft: PlanDraft, folder: string, names: readonly ViewedPath[]): void {
  const name = addText(draft, "tmpfs");
  const flags = MS.NOSUID | MS.NODEV | MS.NOEXEC;
  draft.steps.push({ kind: "syscall", call: "mount", args: [name, addText(draft, folder), name, flags, addText(draft, coverOptions)] });
  const made = new Set<string>([folder]);
  const inside = names.filter(({ path }) => path !== folder && isBelow(path, folder));
  for (const item of inside.toSorted((a, b) => a.path.length - b.path.length)) makeName(draft, item, made);
}

/** Makes the folders above a name and the name. Inside a tree that is put there later nothing has to be made: it exists. */
function makeName(draft: PlanDraft, { path, isFolder }: ViewedPath, made: Set<string>): void {
  const missing: string[] = [];
  for (let at = dirname(path); !made.has(at); at = dirname(at)) missing.unshift(at);
  for (const folder of missing) makeFolder(draft, folder, made);
  if (made.has(path)) return;
  if (isFolder) makeFolder(draft, path, made);
  else {
    draft.steps.push(
      { kind: "syscall", call: "openat", args: [AT_FDCWD, addText(draft, path), O_CREAT_WRONLY | O_CLOEXEC, 0o644], result: slots.scratch },
      { kind: "syscall", call: "close", args: [{ slot: slots.scratch }] },
    );
  }
}

function makeFolder(draft: PlanDraft, folder: string, made: Set<string>): void {
  made.add(folder);
  draft.steps.push({ kind: "syscall", call: "mkdirat", args: [AT_FDCWD, addText(draft, folder), 0o755] });
}
