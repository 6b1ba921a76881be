// Puts a restored store in place of an old one. What is to be moved is written down first: a process that dies half-way leaves a list,
// and whoever opens the store next finishes it, so that there is always one whole store, the old one or the new one.
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fail, limits } from "../../base/index.ts";
import { holdSqlite } from "../../storage/index.ts";
import { syncFolder } from "./files.ts";

/** `keep` sets what is there aside under a name that is free; `put` brings what is new into its place. */
export type Move = { kind: "keep" | "put"; from: string; to: string };
type Plan = { moves: Move[]; staging: string };

/** What a restore has beside the store while it works. */
export const planName = "restore.json";
export const lockName = "restore.lock";
export const stagingPrefix = ".restore-";

/** Whether a restore has begun to move and not ended. */
function isHalfMoved(folder: string): boolean {
  return existsSync(join(folder, planName));
}

/** Finishes what a restore that died has begun; costs one look where there is none. @throws STORE_IN_USE, STORE_UNAVAILABLE */
export function finishRestore(storePath: string): void {
  const folder = dirname(storePath);
  if (!isHalfMoved(folder)) return;
  const lock = lockMoves(folder);
  try {
    // Another process may have finished it meanwhile.
    if (isHalfMoved(folder)) carryOut(folder, readPlan(folder));
  } finally {
    rmSync(join(folder, lockName), { force: true });
    lock.release();
  }
}

export type Restoring = {
  /** An empty folder beside the store, for this user alone. */
  staging: string;
  /** All or, after a crash, the rest by the next `finishRestore`. */
  move(moves: readonly Move[]): void;
  /** Removes what is left of it. */
  end(): void;
};

/** One at a time on a store; what one that was killed had unpacked is removed. @throws STORE_IN_USE, STORE_UNAVAILABLE */
export function beginRestore(storePath: string): Restoring {
  const folder = dirname(storePath);
  const lock = lockMoves(folder);
  try {
    if (isHalfMoved(folder)) carryOut(folder, readPlan(folder));
    for (const name of readdirSync(folder)) if (name.startsWith(stagingPrefix)) rmSync(join(folder, name), { recursive: true, force: true });
    const staging = mkdtempSync(join(folder, stagingPrefix));
    return {
      staging,
      move: (moves) => {
        writePlan(folder, { moves: [...moves], staging });
        carryOut(folder, { moves: [...moves], staging });
      },
      end: () => {
        // Where a move failed, what is left of it is still to be moved.
        if (!isHalfMoved(folder)) rmSync(staging, { recursive: true, force: true });
        rmSync(join(folder, lockName), { force: true });
        lock.release();
      },
    };
  } catch (cause) {
    lock.release();
    throw cause;
  }
}

/** From here on the new store is the store. */
function writePlan(folder: string, plan: Plan): void {
  const draft = join(plan.staging, planName);
  const handle = openSync(draft, "wx", 0o600);
  try {
    writeSync(handle, JSON.stringify(plan));
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(draft, join(folder, planName));
}

/** A database with nothing in it: SQLite's locks work everywhere, and end with their process. */
function lockMoves(folder: string): { release(): void } {
  return holdSqlite(join(folder, lockName), { waitMs: limits.storeHoldMsMax });
}

function readPlan(folder: string): Plan {
  try {
    return JSON.parse(readFileSync(join(folder, planName), "utf8")) as Plan;
  } catch (cause) {
    throw fail("STORE_UNAVAILABLE", `Cannot finish a restore: "${join(folder, planName)}" cannot be read`, {
      cause,
      hint: "Restore again, with --force.",
    });
  }
}

/** Every move that was made already is seen to be, so this may be done again from anywhere in it. */
function carryOut(folder: string, { moves, staging }: Plan): void {
  syncFolder(folder);
  for (const { kind, from, to } of moves) {
    if (!isThere(from)) continue;
    if (kind === "put") renameSync(from, to);
    else if (!isThere(to)) setAside(from, to, { isReplaced: moves.some((move) => move.kind === "put" && move.to === from) });
  }
  for (const changed of new Set(moves.map(({ to }) => dirname(to)))) syncFolder(changed);
  rmSync(join(folder, planName), { force: true });
  rmSync(staging, { recursive: true, force: true });
}

/** A file that a new one replaces stays under both names until then: there is no moment without a database. */
function setAside(from: string, to: string, { isReplaced }: { isReplaced: boolean }): void {
  if (!isReplaced || lstatSync(from).isDirectory()) return renameSync(from, to);
  try {
    linkSync(from, to);
  } catch {
    // No links on this file system.
    renameSync(from, to);
  }
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
