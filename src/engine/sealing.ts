// The true values of what masking changed: which there are, and how they reach the store in the commit of the event that shows them masked.
import { isCoded, type Json } from "../base/index.ts";
import type { Vault } from "../secrets/index.ts";
import type { TaskRunMachine } from "./machine.ts";
import type { Ledger, LedgerCommit, LedgerReceipt } from "../trace/index.ts";

/**
 * `output` and `child` (inputs of an execution that it starts) are a task run's, the others are the execution's; `request` is what a
 * repeat of its start is known by.
 */
export type SealedMember = "inputs" | "trigger" | "outputs" | "masks" | "request" | "output" | "child";
export type SealedDraft = { task: string | null; itemIndex: number | null; member: SealedMember; value: Json };

/** Rotations of the key that may come between encrypting and writing. */
const triesMax = 5;

/** Commits with these values sealed under the store's key of that moment. @throws SECRET_KEY_WRONG, FILE_MODE_UNSAFE, and what a commit throws */
export async function commitSealed(
  deps: { ledger: Ledger; vault: Vault },
  wish: LedgerCommit,
  { executionId, drafts }: { executionId: string; drafts: readonly SealedDraft[] },
): Promise<LedgerReceipt> {
  if (drafts.length === 0) return deps.ledger.commit(wish);
  for (let tries = 1; ; tries += 1) {
    const key = await deps.vault.key();
    const rows = drafts.map(({ value, ...place }) => key.seal({ executionId, ...place }, value));
    try {
      return await deps.ledger.commit({ ...wish, sideChanges: [...(wish.sideChanges ?? []), ...rows], sealedWith: key.id });
    } catch (cause) {
      if (tries === triesMax || !isCoded(cause, "SECRET_KEY_WRONG")) throw cause;
    }
  }
}

/** The true value of a member of the execution (null) or of a run; null where masking changed nothing. */
export function findSealed(drafts: readonly SealedDraft[], member: SealedMember, run: Pick<TaskRunMachine, "task" | "itemIndex"> | null) {
  const task = run?.task.definition.id ?? null;
  const itemIndex = run?.itemIndex ?? null;
  return drafts.find((draft) => draft.member === member && draft.task === task && draft.itemIndex === itemIndex) ?? null;
}
