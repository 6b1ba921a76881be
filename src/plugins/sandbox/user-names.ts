// The files by which programs find out who they are: the system's users and groups, and the task's own user, whom no
// real file knows. Without them ssh, git, whoami and Python's getpass refuse to work.

import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { addText } from "./plan-format.ts";
import type { PlanDraft } from "./plan-format.ts";
import { slots } from "./slots.ts";

/** A list of names; `known` are the lines that are kept, each with its line end. */
export type NameFile = { kind: "passwd" | "group"; path: string; known: string };

/** A list larger than this is not a system's own; nothing of it is kept. */
const listBytesMax = 64 * 1024;
/** Users and groups below this are the system's; above are people, whom a task need not know. */
const peopleFrom = 1000;
const nobody = 65_534;
const taskName = "task";

const AT_FDCWD = -100;
const O_CREATE_NEW = 0o301;
const O_CLOEXEC = 0o2000000;
const OPEN_TREE_CLONE = 1;
const MOVE_FROM_EMPTY = 4;
const MNT_DETACH = 2;
const MS_NOSUID_NODEV_NOEXEC = 14;
/** Two small files. */
const holderOptions = "size=256k,nr_inodes=8,mode=755";
/** A folder that every system has, and under whose cover the files are made for a moment. */
const holder = "/proc";

/** What is kept of the machine's list at a real path. */
export function readNames(kind: NameFile["kind"], path: string): NameFile {
  const lines = readSmall(path).split("\n");
  const kept = lines.filter((line) => {
    const [name = "", , id = ""] = line.split(":");
    return name !== "" && name !== taskName && /^\d+$/.test(id) && (Number(id) < peopleFrom || Number(id) === nobody);
  });
  return { kind, path, known: kept.map((line) => `${line}\n`).join("") };
}

/** Appends the steps that put lists with the task's user in the place of the machine's. Needs the mounts layer, and comes
 * before the tree is made read-only. */
export function nameUser(draft: PlanDraft, files: readonly NameFile[], { uid, gid, home }: { uid: number; gid: number; home: string }): void {
  if (files.length === 0) return;
  const folder = /^\/[^:\n]*$/.test(home) ? home : "/";
  const [name, place, purpose] = [addText(draft, "tmpfs"), addText(draft, holder), { for: "names" }];
  const mount = [name, place, name, MS_NOSUID_NODEV_NOEXEC, addText(draft, holderOptions)];
  draft.steps.push({ kind: "syscall", call: "mount", args: mount, ...purpose });
  for (const { kind, path, known } of files) {
    const own = kind === "passwd" ? `${taskName}:x:${uid}:${gid}::${folder}:/bin/sh\n` : `${taskName}:x:${gid}:\n`;
    const text = known + own;
    const made = addText(draft, `${holder}/${kind}`);
    const empty = addText(draft, "");
    draft.steps.push(
      { kind: "syscall", call: "openat", args: [AT_FDCWD, made, O_CREATE_NEW | O_CLOEXEC, 0o644], result: slots.scratch, ...purpose },
      { kind: "syscall", call: "write", args: [{ slot: slots.scratch }, addText(draft, text), Buffer.byteLength(text)], ...purpose },
      { kind: "syscall", call: "close", args: [{ slot: slots.scratch }] },
      { kind: "syscall", call: "open_tree", args: [AT_FDCWD, made, OPEN_TREE_CLONE | O_CLOEXEC], result: slots.scratch, ...purpose },
      { kind: "syscall", call: "move_mount", args: [{ slot: slots.scratch }, empty, AT_FDCWD, addText(draft, path), MOVE_FROM_EMPTY], ...purpose },
      { kind: "syscall", call: "close", args: [{ slot: slots.scratch }] },
    );
  }
  draft.steps.push({ kind: "syscall", call: "umount2", args: [place, MNT_DETACH], ...purpose });
}

function readSmall(path: string): string {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return "";
  }
  try {
    const { size } = fstatSync(file);
    if (size > listBytesMax) return "";
    const bytes = Buffer.alloc(listBytesMax);
    return bytes.toString("utf8", 0, readSync(file, bytes, 0, listBytesMax, 0));
  } catch {
    return "";
  } finally {
    closeSync(file);
  }
}
