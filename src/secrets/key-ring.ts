// Which master key a store has, and where it comes from: the environment, or the key file. The store's row says which one is right;
// nothing is kept but the key itself.
import { type Clock, fail, isCoded, toHex } from "../base/index.ts";
import type { RowChange, RowOf, SecretStore } from "../storage/index.ts";
import { keyBytes, type MasterKey } from "./cipher.ts";
import { findKeyDoubt, type GivenKey, givenKey, saltBytes } from "./given-key.ts";
import { adoptNewKey, checkFolders, dropNewKey, dropParts, keyPath, makeKeyFile, placeNewKey, readKeyFile, writeNewKey } from "./key-files.ts";

export type KeyRow = RowOf<"secret_key">;

export type KeyRingDeps = {
  store: Pick<SecretStore, "findSecretKey">;
  /** Writes changes of side tables, all or nothing; throws what the store answers (ALREADY_EXISTS for a taken key). */
  commit(changes: readonly RowChange[]): Promise<unknown>;
  /** Beside the database: `<its folder>/keys`. */
  keysDir: string;
  dataDir: string;
  /** AUTOKESTRA_SECRET_KEY and AUTOKESTRA_SECRET_KEY_OLD; null when they are absent. */
  secretKey: string | null;
  secretKeyOld: string | null;
  clock: Clock;
  randomBytes(count: number): Uint8Array;
  /** Told of what is likely a mistake. */
  onTrouble(text: string): void;
};

/** A new key that is ready to take the present one's place. */
export type NextKey = {
  present: MasterKey;
  next: MasterKey;
  row: KeyRow;
  /** After the commit, whatever its end: keeps the new key or drops it, as the store says. */
  settle(): Promise<void>;
};

export class KeyRing {
  readonly #deps: KeyRingDeps;
  readonly #given: GivenKey | null;
  readonly #givenOld: GivenKey | null;
  #held: MasterKey | null = null;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(deps: KeyRingDeps) {
    this.#deps = deps;
    this.#given = givenKey(deps.secretKey);
    this.#givenOld = givenKey(deps.secretKeyOld);
  }

  /** The store's key; null when it has none yet. @throws SECRET_KEY_WRONG, FILE_MODE_UNSAFE, STORE_UNAVAILABLE */
  async find(): Promise<MasterKey | null> {
    const row = await this.#deps.store.findSecretKey();
    if (row === null) return null;
    // Another process may have rotated: the row is looked at each time.
    if (this.#held?.id === row.key_id) return this.#held;
    return this.#inTurn(() => this.#load());
  }

  /** The store's key; made when it has none yet. @throws SECRET_KEY_WRONG, FILE_MODE_UNSAFE, STORE_UNAVAILABLE */
  async get(): Promise<MasterKey> {
    return (await this.find()) ?? (await this.#inTurn(() => this.#make()));
  }

  /** @throws SECRET_KEY_WRONG, FILE_MODE_UNSAFE, STORE_UNAVAILABLE; CONFIG_INVALID when the environment gives the present key and no other */
  async prepareNext(): Promise<NextKey> {
    if ((await this.#deps.store.findSecretKey()) === null) await this.get();
    return this.#inTurn(() => this.#prepareNext());
  }

  /** One at a time: of calls at once only the first reads files and derives keys. */
  #inTurn<R>(work: () => Promise<R>): Promise<R> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  async #load(): Promise<MasterKey | null> {
    // Whoever is told a key by the environment is not to go on with a file's by mistake.
    return (await this.#search({ files: this.#given === null }))?.key ?? null;
  }

  /** The key that the store's row names, with the row. @throws SECRET_KEY_WRONG when it is nowhere */
  async #search(within: { files: boolean }): Promise<{ key: MasterKey; row: KeyRow } | null> {
    for (let before: KeyRow | null = null; ; ) {
      const row = await this.#deps.store.findSecretKey();
      if (row === null) return null;
      if (row.key_id === before?.key_id) throw this.#wrong(row);
      if (this.#held?.id !== row.key_id) {
        checkFolders(this.#deps);
        this.#held = (await this.#fromEnvironment(row)) ?? (within.files ? this.#fromFiles(row) : null);
      }
      if (this.#held !== null) return { key: this.#held, row };
      // Not found: wrong, unless another process rotated after the row was read.
      before = row;
    }
  }

  /** The old key counts too: until the store is rotated it is the present one. */
  async #fromEnvironment(row: KeyRow): Promise<MasterKey | null> {
    for (const given of [this.#given, this.#givenOld]) {
      const key = (await given?.keyFor(row.salt)) ?? null;
      if (key?.id === row.key_id) return key;
    }
    return null;
  }

  #fromFiles(row: KeyRow): MasterKey | null {
    const { keysDir } = this.#deps;
    // A rotation that was killed after its commit: its key is the store's, and has not got its name.
    const left = adoptNewKey(keysDir, row.key_id);
    if (left !== null) return left;
    const key = readKeyFile(keysDir);
    return key?.id === row.key_id ? key : null;
  }

  /** The row decides between processes that are told different keys; between those without one the file does, before the row. */
  async #make(): Promise<MasterKey> {
    const { clock, commit, randomBytes } = this.#deps;
    checkFolders(this.#deps);
    const salt = this.#given?.source === "passphrase" ? toHex(randomBytes(saltBytes)) : null;
    const key = (await this.#given?.keyFor(salt)) ?? this.#fileKey();
    const row: KeyRow = { id: 1, key_id: key.id, source: this.#given?.source ?? "file", salt, created_at: clock.now() };
    try {
      await commit([{ table: "secret_key", op: "insert", row }]);
      this.#held = key;
      this.#warnOfWeakKey();
      return key;
    } catch (error) {
      if (!isCoded(error, "ALREADY_EXISTS")) throw error;
    }
    const first = await this.#load();
    if (first === null) throw fail("SECRET_KEY_WRONG", "Cannot make the store's master key: it came and went meanwhile", { hint: "Try again." });
    return first;
  }

  /** A file that is there was made by a process that was killed before it wrote the row, or belongs to a store of before. */
  #fileKey(): MasterKey {
    const { keysDir } = this.#deps;
    return readKeyFile(keysDir) ?? wiping(this.#deps.randomBytes(keyBytes), (bytes) => makeKeyFile(keysDir, bytes));
  }

  async #prepareNext(): Promise<NextKey> {
    const { clock, keysDir, randomBytes } = this.#deps;
    const found = await this.#search({ files: true });
    if (found === null) throw fail("SECRET_KEY_WRONG", "Cannot rotate the master key: the store has none");
    const { key: present, row } = found;
    checkFolders(this.#deps);
    const isGiven = this.#given !== null;
    const salt = this.#given?.source === "passphrase" ? toHex(randomBytes(saltBytes)) : null;
    if (isGiven && (await this.#given?.keyFor(row.salt))?.id === row.key_id) throw nothingNew();
    const next = (await this.#given?.keyFor(salt)) ?? wiping(randomBytes(keyBytes), (bytes) => writeNewKey(keysDir, bytes));
    return {
      present,
      next,
      row: { id: 1, key_id: next.id, source: this.#given?.source ?? "file", salt, created_at: clock.now() },
      settle: () => this.#settle({ present, next, isFile: !isGiven }),
    };
  }

  async #settle({ present, next, isFile }: { present: MasterKey; next: MasterKey; isFile: boolean }): Promise<void> {
    const { keysDir, store } = this.#deps;
    const isThrough = (await store.findSecretKey())?.key_id === next.id;
    if (isThrough) this.#held = next;
    if (isThrough && !isFile) this.#warnOfWeakKey();
    if (!isFile) return;
    if (!isThrough) return dropNewKey(keysDir, next.id);
    placeNewKey(keysDir, next.id);
    dropParts(keysDir, present.id);
  }

  /** Once it has become the store's; before that nothing is lost by a mistake. */
  #warnOfWeakKey(): void {
    const doubt = this.#deps.secretKey === null ? null : findKeyDoubt(this.#deps.secretKey);
    if (doubt !== null) this.#deps.onTrouble(`Warning: AUTOKESTRA_SECRET_KEY ${doubt}. To use another key: workflow secrets rotate-key`);
  }

  #wrong(row: KeyRow): Error {
    const { keysDir } = this.#deps;
    const wrong = (why: string, hint: string) => fail("SECRET_KEY_WRONG", `Cannot open the store's secrets: ${why}`, { hint });
    if (this.#given !== null)
      return wrong(
        "AUTOKESTRA_SECRET_KEY is not the key that they are encrypted with",
        "Set it to the key that was used before; to change the key, set AUTOKESTRA_SECRET_KEY_OLD to that and run: workflow secrets rotate-key",
      );
    if (row.source !== "file")
      return wrong("their key comes from AUTOKESTRA_SECRET_KEY, which is not set", "Set AUTOKESTRA_SECRET_KEY to the key that was used before.");
    const path = keyPath(keysDir);
    const why = readKeyFile(keysDir) === null ? `there is no key file "${path}"` : `"${path}" holds another key`;
    return wrong(why, "Restore the file from a backup, or set AUTOKESTRA_SECRET_KEY to what it held.");
  }
}

function wiping<R>(bytes: Uint8Array, work: (bytes: Uint8Array) => R): R {
  try {
    return work(bytes);
  } finally {
    bytes.fill(0);
  }
}

function nothingNew(): Error {
  return fail("CONFIG_INVALID", "Cannot rotate the master key: AUTOKESTRA_SECRET_KEY is the present key, and no new one was given", {
    hint:
      "Set AUTOKESTRA_SECRET_KEY to the new key and AUTOKESTRA_SECRET_KEY_OLD to the present one, then rotate again; a server that runs has its own " +
      "environment: restart it with both first.",
  });
}
