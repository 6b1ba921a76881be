// The mounts layer: in a mount namespace of the task's own the whole tree becomes read-only but for what it may write,
// and folders that its user cannot enter are covered by empty ones in which only the granted paths are to be found.

import { fail } from "../../base/index.ts";
import { closeCover, coverFolder, moveTree, openInCover } from "./covers.ts";
import type { Cover } from "./covers.ts";
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

const AT_EMPTY_PATH = 0x1000;
const AT_RECURSIVE = 0x8000;
const O_CLOEXEC = 0o2000000;
const OPEN_TREE_CLONE = 1;
const MS = { RDONLY: 1, NOSUID: 2, NODEV: 4, NOEXEC: 8, PRIVATE: 1 << 18 } as const;
const MOUNT_ATTR_RDONLY = 1;

/** A copy of a mounted tree that waits for its place: the descriptor of what it was copied from, or a name in a cover. */
type Held = ViewedPath & { tree: number; place: number | Cover };

/** Who the task is in the lists of users, null: somebody who is in them. */
export type MountedUser = { uid: number; gid: number; home: string } | null;

/** Appends the whole layer. Copies of writable trees are taken before everything is made read-only, and keep what they
 * were: a part that was read-only stays so.
 * @throws SANDBOX_UNAVAILABLE for more paths than the launcher can hold. */
export function arrangeMounts(draft: PlanDraft, view: DiskView, { facts, user }: { facts: KernelFacts; user: MountedUser }): void {
  const root = slots.firstFree;
  openPath(draft, "/", { follow: false, result: root });
  changeTree(draft, root, { readOnly: false, propagation: MS.PRIVATE });
  // What is made here has to be readable for the task's user.
  draft.steps.push({ kind: "syscall", call: "umask", args: [0o022], result: slots.mask });
  for (const mask of view.masks) coverInside(draft, mask, view.passed);
  const isAllWritable = view.write.some(({ path }) => path === "/");
  const take = slotsFrom(root + 1);
  const covers = isAllWritable ? [] : view.closed.map((folder): Cover => ({ folder, slot: take() }));
  const hold = (path: ViewedPath): Held => takeTree(draft, path, { take, cover: covers.find(({ folder }) => isBelow(path.path, folder)) });
  const writable = isAllWritable ? [] : view.write.map(hold);
  const readable = view.read.filter(({ path }) => covers.some(({ folder }) => isBelow(path, folder))).map(hold);
  const names = [...readable, ...writable.filter(({ place }) => typeof place !== "number"), ...namesOf(view.passed)];
  for (const cover of covers) coverFolder(draft, cover, names);
  if (user !== null) nameUser(draft, view.names, user);
  draft.steps.push({ kind: "syscall", call: "umask", args: [{ slot: slots.mask }] });
  for (const held of readable) putTree(draft, held);
  if (facts.ownProc) mountProcesses(draft);
  if (!isAllWritable) changeTree(draft, root, { readOnly: true, propagation: 0 });
  for (const held of writable) putTree(draft, held);
  for (const cover of covers) closeCover(draft, cover);
  draft.steps.push({ kind: "syscall", call: "close", args: [{ slot: root }] });
}

/** The task's own /proc. What it may not trace is not there: the keeper, whose network is everybody's. */
function mountProcesses(draft: PlanDraft): void {
  const [name, target, options] = [addText(draft, "proc"), addText(draft, "/proc"), addText(draft, "hidepid=4")];
  draft.steps.push({ kind: "syscall", call: "mount", args: [name, target, name, MS.RDONLY | MS.NOSUID | MS.NODEV | MS.NOEXEC, options] });
}

/** Gives out slots one by one. */
function slotsFrom(first: number): () => number {
  let slot = first;
  return () => {
    if (slot >= slotCount) throw tooMany();
    return slot++;
  };
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
  const first = slots.firstFree + 1;
  for (const pin of namesOf(pins)) putTree(draft, takeTree(draft, pin, { take: slotsFrom(first) }));
  const take = slotsFrom(first);
  const cover: Cover = { folder, slot: take() };
  const hold = (path: ViewedPath) => takeTree(draft, path, { take, cover });
  const [readable, writable] = [read.map(hold), write.map(hold)];
  coverFolder(draft, cover, [...readable, ...writable, ...namesOf(passed)]);
  for (const held of readable) putTree(draft, held);
  changeTree(draft, cover.slot, { readOnly: true, propagation: 0 });
  for (const held of writable) putTree(draft, held);
  closeCover(draft, cover);
}

/** Of the mount whose root a slot has open, and all below. */
function changeTree(draft: PlanDraft, slot: number, { readOnly, propagation }: { readOnly: boolean; propagation: number }): void {
  const attributes = new BigUint64Array([readOnly ? BigInt(MOUNT_ATTR_RDONLY) : 0n, 0n, BigInt(propagation), 0n]);
  const args = [{ slot }, addText(draft, ""), AT_RECURSIVE | AT_EMPTY_PATH, addBytes(draft, new Uint8Array(attributes.buffer)), 32];
  draft.steps.push({ kind: "syscall", call: "mount_setattr", args });
}

/** Copies a tree, of a path that leads through no link. */
function takeTree(draft: PlanDraft, path: ViewedPath, { take, cover }: { take: () => number; cover?: Cover | undefined }): Held {
  const tree = take();
  const opened = cover === undefined ? take() : slots.scratch;
  openPath(draft, path.path, { follow: false, result: opened });
  const flags = OPEN_TREE_CLONE | AT_EMPTY_PATH | AT_RECURSIVE | O_CLOEXEC;
  draft.steps.push({ kind: "syscall", call: "open_tree", args: [{ slot: opened }, addText(draft, ""), flags], result: tree, for: path.path });
  if (cover !== undefined) draft.steps.push({ kind: "syscall", call: "close", args: [{ slot: opened }] });
  return { ...path, tree, place: cover ?? opened };
}

/** Puts a tree in its place. */
function putTree(draft: PlanDraft, { path, tree, place }: Held): void {
  const at = typeof place === "number" ? place : slots.scratch;
  if (typeof place !== "number") openInCover(draft, path, { cover: place, result: at });
  moveTree(draft, { tree, place: at }, path);
  for (const slot of [tree, at]) draft.steps.push({ kind: "syscall", call: "close", args: [{ slot }] });
}
