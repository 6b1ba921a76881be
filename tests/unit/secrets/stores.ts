// Vaults over real stores in folders that are gone after the tests of a file; what is opened is closed.
import { afterAll, expect } from "bun:test";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CodedError, isCoded } from "../../../src/base/index.ts";
import { createVault, type Vault } from "../../../src/secrets/index.ts";
import { openSqliteStore, type RowChange, type Store } from "../../../src/storage/index.ts";
import { Ledger, type LedgerCommit } from "../../../src/trace/index.ts";
import { startedAt } from "../../contract/requests.ts";

/** `between` runs after each answer of the store that the vault asks for, with the number of the answer, from 1. */
export type Given = { secretKey?: string; secretKeyOld?: string; troubles?: string[]; between?: (answer: number) => Promise<void> };

/** A data folder with a store and what one process has open of it. */
export type Place = { folder: string; keysDir: string; keyFile: string };
export type Opened = { vault: Vault; store: Store; commit(wish: Partial<LedgerCommit>): Promise<unknown> };

export function openVault({ folder, keysDir }: Place, given: Given = {}): Opened {
  const store = openSqliteStore({ path: join(folder, "store.db"), durability: "normal", now: startedAt });
  const ledger = new Ledger({ store, schedule: (work) => void setImmediate(work) });
  const commit = (wish: Partial<LedgerCommit>) => ledger.commit({ events: [], ...wish });
  let answers = 0;
  const answered = async <R>(answer: Promise<R>): Promise<R> => {
    const found = await answer;
    answers += 1;
    await given.between?.(answers);
    return found;
  };
  const vault = createVault({
    store: {
      findSecretKey: () => answered(store.findSecretKey()),
      findSecret: (name) => answered(store.findSecret(name)),
      listSealed: (executionId) => answered(store.listSealed(executionId)),
    },
    commit: (sideChanges) => commit({ sideChanges }),
    keysDir,
    dataDir: folder,
    secretKey: given.secretKey ?? null,
    secretKeyOld: given.secretKeyOld ?? null,
    clock: { now: () => startedAt },
    onTrouble: (said) => void given.troubles?.push(said),
    randomBytes,
  });
  return { vault, store, commit };
}

export function placeAt(folder: string): Place {
  const keysDir = join(folder, "keys");
  return { folder, keysDir, keyFile: join(keysDir, "secret.key") };
}

/** Call at the top of a test file. */
export function temporaryVaults(): { newPlace(): Place; open(place: Place, given?: Given): Opened } {
  const root = mkdtempSync(join(tmpdir(), "vault-"));
  const stores: Store[] = [];
  let count = 0;
  afterAll(async () => {
    for (const store of stores) await store.close();
    rmSync(root, { recursive: true, force: true });
  });
  return {
    newPlace: () => {
      count += 1;
      const folder = join(root, `d${count}`);
      mkdirSync(folder, { mode: 0o700 });
      return placeAt(folder);
    },
    open: (place, given) => {
      const opened = openVault(place, given);
      stores.push(opened.store);
      return opened;
    },
  };
}

export const text = (bytes: Uint8Array | undefined): string | null => (bytes === undefined ? null : new TextDecoder().decode(bytes));

/** Sets a secret as a verb does. */
export async function setSecret({ vault, commit }: Opened, name: string, value: string | Uint8Array): Promise<void> {
  const key = await vault.key();
  const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
  const row = key.encryptSecret(name, bytes, { createdAt: startedAt, now: startedAt, by: "user:alice" });
  await commit({ sideChanges: [{ table: "secrets", op: "put", key: { name }, row }], sealedWith: key.id });
}

export async function getSecret({ vault }: Opened, name: string): Promise<string | null> {
  return text((await vault.readSecrets([name])).get(name));
}

/** Changes rows behind the vault's back. */
export async function meddle({ store }: Opened, changes: readonly RowChange[]): Promise<void> {
  await store.apply(changes);
}

export async function refusal(work: Promise<unknown>): Promise<CodedError> {
  try {
    await work;
  } catch (thrown) {
    if (isCoded(thrown)) return thrown;
    throw thrown;
  }
  throw new Error("nothing was refused");
}

/** Rotates as a verb does. */
export async function rotate({ vault, commit }: Opened): Promise<void> {
  const { rotation, done } = await vault.rotate();
  try {
    await commit({ rotation });
  } finally {
    await done();
  }
}

export const filesIn = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder).toSorted() : []);

/** Nothing that a person sees of an error tells a key or a value. */
export function expectSilent(error: CodedError, ...secrets: string[]): void {
  const shown = JSON.stringify([error.message, error.details, error.hint]);
  for (const secret of secrets) expect(shown).not.toContain(secret);
}
