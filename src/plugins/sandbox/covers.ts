// Covers: file systems in memory that hide a folder. Each is made and filled where nobody else can reach it and only then put over its folder,
// all by descriptors: no name in a tree that others can change is followed with the engine's rights.

import { dirname } from "node:path";
import { openPath } from "./landlock.ts";
import { isBelow } from "./paths.ts";
import type { ViewedPath } from "./paths.ts";
import { addText } from "./plan-format.ts";
import type { PlanDraft } from "./plan-format.ts";
import { slots } from "./slots.ts";

/** What is hidden, and the slot with the cover's descriptor, which `closeCover` closes. */
export type Cover = { folder: string; slot: number };

const O_CLOEXEC = 0o2000000;
/** With O_EXCL, which follows no link. */
const O_CREATE_NEW = 0o301;
const MOVE_BOTH_EMPTY = 0x44;
const FSOPEN_CLOEXEC = 1;
const FSMOUNT_CLOEXEC = 1;
const fsconfig = { SET_STRING: 1, CREATE: 6 } as const;
const NOSUID_NODEV_NOEXEC = 14;
/** It holds names only. */
const options = { size: "1m", nr_inodes: "4096", mode: "755" } as const;

/** Covers a folder. Inside are the names that trees are put at and that paths lead through, and nothing else. */
export function coverFolder(draft: PlanDraft, cover: Cover, names: readonly ViewedPath[]): void {
  const { folder, slot } = cover;
  makeMemoryTree(draft, slot);
  const made = new Set<string>([folder]);
  const inside = names.filter(({ path }) => path !== folder && isBelow(path, folder));
  for (const item of inside.toSorted((a, b) => a.path.length - b.path.length)) makeName(draft, { ...item, cover }, made);
  openPath(draft, folder, { follow: false, result: slots.scratch });
  moveTree(draft, { tree: slot, place: slots.scratch }, folder);
  draft.steps.push({ kind: "syscall", call: "close", args: [{ slot: slots.scratch }] });
}

/** Opens the place of a path in a cover: whatever was put there meanwhile is passed, links are not. */
export function openInCover(draft: PlanDraft, path: string, { cover, result }: { cover: Cover; result: number }): void {
  openPath(draft, below(cover, path), { follow: false, result, folder: cover.slot });
}

export function closeCover(draft: PlanDraft, { slot }: Cover): void {
  draft.steps.push({ kind: "syscall", call: "close", args: [{ slot }] });
}

/** Puts a tree over a place, both by their descriptors; those stay open. */
export function moveTree(draft: PlanDraft, { tree, place }: { tree: number; place: number }, path: string): void {
  const empty = addText(draft, "");
  draft.steps.push({ kind: "syscall", call: "move_mount", args: [{ slot: tree }, empty, { slot: place }, empty, MOVE_BOTH_EMPTY], for: path });
}

/** An empty file system that is mounted nowhere. */
function makeMemoryTree(draft: PlanDraft, result: number): void {
  const opened = { slot: slots.scratch };
  draft.steps.push({ kind: "syscall", call: "fsopen", args: [addText(draft, "tmpfs"), FSOPEN_CLOEXEC], result: slots.scratch });
  for (const [name, value] of Object.entries(options)) {
    draft.steps.push({ kind: "syscall", call: "fsconfig", args: [opened, fsconfig.SET_STRING, addText(draft, name), addText(draft, value), 0] });
  }
  draft.steps.push(
    { kind: "syscall", call: "fsconfig", args: [opened, fsconfig.CREATE, 0, 0, 0] },
    { kind: "syscall", call: "fsmount", args: [opened, FSMOUNT_CLOEXEC, NOSUID_NODEV_NOEXEC], result },
    { kind: "syscall", call: "close", args: [opened] },
  );
}

type Name = ViewedPath & { cover: Cover };

/** Makes the folders above a name and the name. Inside a tree that is put there later nothing has to be made: it exists. */
function makeName(draft: PlanDraft, { path, isFolder, cover }: Name, made: Set<string>): void {
  const missing: string[] = [];
  for (let at = dirname(path); !made.has(at); at = dirname(at)) missing.unshift(at);
  if (isFolder && !made.has(path)) missing.push(path);
  for (const folder of missing) {
    made.add(folder);
    draft.steps.push({ kind: "syscall", call: "mkdirat", args: [{ slot: cover.slot }, addText(draft, below(cover, folder)), 0o755] });
  }
  if (isFolder || made.has(path)) return;
  const name = addText(draft, below(cover, path));
  draft.steps.push(
    { kind: "syscall", call: "openat", args: [{ slot: cover.slot }, name, O_CREATE_NEW | O_CLOEXEC, 0o644], result: slots.scratch },
    { kind: "syscall", call: "close", args: [{ slot: slots.scratch }] },
  );
}

function below({ folder }: Cover, path: string): string {
  return path.slice(folder.length + 1);
}
