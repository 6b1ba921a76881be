// What the attempts of one execution may add to their shared workspace: its growth since the first of those that run began, against the
// sum of their limits. What earlier tasks left there is nobody's.
import { measureFolders } from "../runtimes/index.ts";

type Account = {
  /** Bytes in the workspace when it was opened. */
  before: Promise<number>;
  bytesBefore: number;
  /** Of all attempts since then: what an ended one wrote stays. */
  limits: number;
  running: number;
};

/** By workspace. */
const accounts = new Map<string, Account>();

export type DiskShare = {
  /** So much may be in the workspace and in the attempt's own folder now. */
  readonly bytes: number;
  close(): void;
};

/** Opens an attempt's share of `limit` bytes; resolves when it is known what is in the workspace. Nothing of the attempt runs yet. */
export async function openDiskShare(workspace: string, limit: number): Promise<DiskShare> {
  const account = accounts.get(workspace) ?? newAccount(workspace);
  account.running += 1;
  account.limits += limit;
  account.bytesBefore = await account.before;
  let isOpen = true;
  return {
    get bytes() {
      return account.bytesBefore + account.limits;
    },
    close() {
      if (!isOpen) return;
      isOpen = false;
      account.running -= 1;
      if (account.running === 0) accounts.delete(workspace);
    },
  };
}

function newAccount(workspace: string): Account {
  const before = measureFolders([workspace], Number.POSITIVE_INFINITY);
  const account = { before, bytesBefore: 0, limits: 0, running: 0 };
  accounts.set(workspace, account);
  return account;
}
