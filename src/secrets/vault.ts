// Reads and writes encrypted values under the store's master key.
import { fail, type Json } from "../base/index.ts";
import type { EncryptedRow, KeyRotation, RowChange, RowOf, SecretStore } from "../storage/index.ts";
import { type Binding, decrypt, encrypt, type MasterKey } from "./cipher.ts";
import { KeyRing, type KeyRingDeps } from "./key-ring.ts";

export type SealedPlace = { executionId: string; task: string | null; itemIndex: number | null; member: string };
export type SealedValue = Omit<SealedPlace, "executionId"> & { value: Json };

/** The store's key at one moment. Rows made with it go into a commit with `sealedWith: id`; refused with SECRET_KEY_WRONG when it was rotated meanwhile. */
export interface StoreKey {
  readonly id: string;
  /** The row of a value that masking changed. */
  seal(place: SealedPlace, value: Json): RowChange;
  /** `created_at` of a secret that is there already is kept by the caller. */
  encryptSecret(name: string, value: Uint8Array, at: { createdAt: number; now: number; by: string }): RowOf<"secrets">;
}

export interface Vault {
  /** Values by name, as they are now; names that do not exist are left out. @throws SECRET_KEY_WRONG, SECRET_TAMPERED, FILE_MODE_UNSAFE */
  readSecrets(names: readonly string[]): Promise<Map<string, Uint8Array>>;
  /** The store's present key; made, with its file, when there is none yet. @throws SECRET_KEY_WRONG, FILE_MODE_UNSAFE */
  key(): Promise<StoreKey>;
  /** An execution's sealed values; no key is needed when there are none. @throws SECRET_KEY_WRONG, SECRET_TAMPERED, FILE_MODE_UNSAFE */
  openSealed(executionId: string): Promise<SealedValue[]>;
  /**
   * Prepares a rotation to a new key: `rotation` goes into a commit, then `done` puts the new key in the old one's place on the disk. Call
   * `done` whatever became of the commit: it asks the store, and takes back a new key that is not in use.
   * @throws SECRET_KEY_WRONG, FILE_MODE_UNSAFE, CONFIG_INVALID when the key comes from the environment and no new one was given
   */
  rotate(): Promise<{ rotation: KeyRotation; done(): Promise<void> }>;
}

export type VaultDeps = KeyRingDeps & { store: Pick<SecretStore, "findSecretKey" | "findSecret" | "listSealed"> };

/** The vault of one store. Nothing is read before it is asked for, and nothing is kept but the key. */
export function createVault(deps: VaultDeps): Vault {
  const { store, randomBytes } = deps;
  const ring = new KeyRing(deps);
  return {
    readSecrets: async (names) => {
      const wanted = [...new Set(names)];
      const load = async () => (await Promise.all(wanted.map((name) => store.findSecret(name)))).filter((row) => row !== null);
      return new Map((await openRows(ring, load, bindingOfSecret)).map(({ row, plain }) => [row.name, plain]));
    },
    key: async () => storeKey(await ring.get(), randomBytes),
    openSealed: async (executionId) => {
      const load = () => store.listSealed(executionId);
      return (await openRows(ring, load, bindingOfSealed)).map(({ row, plain }) => sealedValue(row, plain));
    },
    rotate: async () => {
      const { present, next, row: to, settle } = await ring.prepareNext();
      const reseal = (row: EncryptedRow) => {
        const binding = row.table === "secrets" ? bindingOfSecret(row) : bindingOfSealed(row);
        return encrypt(next, openRow(present, row, binding), { binding, randomBytes });
      };
      return { rotation: { from: present.id, to, reseal }, done: settle };
    },
  };
}

function storeKey(key: MasterKey, randomBytes: (count: number) => Uint8Array): StoreKey {
  return {
    id: key.id,
    seal: ({ executionId, task, itemIndex, member }, value) => {
      const at = { execution_id: executionId, task: task ?? "", item_index: itemIndex ?? -1, member };
      const encrypted = encrypt(key, Buffer.from(JSON.stringify(value)), { binding: { table: "sealed_values", ...at }, randomBytes });
      return { table: "sealed_values", op: "put", key: at, row: { ...at, key_id: key.id, ...encrypted } };
    },
    encryptSecret: (name, value, { createdAt, now, by }) => {
      const encrypted = encrypt(key, value, { binding: { table: "secrets", name }, randomBytes });
      return { name, key_id: key.id, ...encrypted, created_at: createdAt, updated_at: now, by };
    },
  };
}

type Row = RowOf<"secrets"> | RowOf<"sealed_values">;

/** Rotations that may come between the key and its rows before it is no chance any more. */
const triesMax = 3;

/** Loads rows and opens each of them. Without rows no key is needed. */
async function openRows<R extends Row>(
  ring: KeyRing,
  load: () => Promise<R[]>,
  bindingOf: (row: R) => Binding,
): Promise<{ row: R; plain: Uint8Array }[]> {
  for (let tries = 1; ; tries += 1) {
    const rows = await load();
    const [first] = rows;
    if (first === undefined) return [];
    const key = await ring.find();
    if (key === null) throw tampered(first, "the store does not say which key it has");
    // Another process may have rotated after the rows were read, and before the key was.
    if (tries < triesMax && rows.some((row) => row.key_id !== key.id)) continue;
    return rows.map((row) => ({ row, plain: openRow(key, row, bindingOf(row)) }));
  }
}

/** @throws SECRET_TAMPERED */
function openRow(key: MasterKey, row: Row, binding: Binding): Uint8Array {
  if (row.key_id !== key.id) throw tampered(row, "its row names another key than the store's");
  const plain = decrypt(key, row, binding);
  // The key is surely the right one: its id is a digest of it.
  if (plain === null) throw tampered(row, "its row is not what was written");
  return plain;
}

function tampered(row: Row, why: string): Error {
  if ("name" in row)
    return fail("SECRET_TAMPERED", `Cannot open secret "${row.name}": ${why}`, {
      details: { name: row.name },
      hint: "Delete the secret and set it again.",
    });
  const { execution_id, task, item_index, member } = row;
  return fail("SECRET_TAMPERED", `Cannot open ${member} of execution "${execution_id}": ${why}`, {
    details: { execution_id, task, item_index, member },
    hint: "Restore the store from a backup.",
  });
}

function bindingOfSecret({ name }: RowOf<"secrets">): Binding {
  return { table: "secrets", name };
}

function bindingOfSealed({ execution_id, task, item_index, member }: RowOf<"sealed_values">): Binding {
  return { table: "sealed_values", execution_id, task, item_index, member };
}

function sealedValue({ task, item_index, member }: RowOf<"sealed_values">, plain: Uint8Array): SealedValue {
  const value = JSON.parse(new TextDecoder().decode(plain)) as Json;
  return { task: task === "" ? null : task, itemIndex: item_index < 0 ? null : item_index, member, value };
}
