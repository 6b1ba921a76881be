// The vault: values go in and come out under one key, which comes from the environment or a file; what was changed is told from what was not.
import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RowChange, RowOf } from "../../../src/storage/index.ts";
import { startedAt } from "../../contract/requests.ts";
import { expectSilent, filesIn, getSecret, meddle, type Opened, refusal, setSecret, temporaryVaults } from "./stores.ts";

const { newPlace, open } = temporaryVaults();
const hex = (digit: string) => digit.repeat(64);

describe("[WF-21] values", () => {
  test("come out as they went in, whatever bytes they are; names that do not exist are left out", async () => {
    const place = newPlace();
    const ours = open(place);
    const values = new Map<string, Uint8Array>([
      ["TEXT", new TextEncoder().encode("grün 🔑")],
      ["BYTES", new Uint8Array([0, 255, 254, 0, 10, 13])],
      ["ONE", new Uint8Array([0])],
      ["LARGE", randomBytes(64 * 1024)],
    ]);
    for (const [name, value] of values) await setSecret(ours, name, value);
    for (const { vault } of [ours, open(place)]) {
      const read = await vault.readSecrets([...values.keys(), "NONE", "TEXT"]);
      expect([...read.keys()].toSorted()).toEqual([...values.keys()].toSorted());
      for (const [name, value] of values) expect(Buffer.compare(read.get(name) ?? new Uint8Array(), value)).toBe(0);
    }
    await setSecret(ours, "TEXT", "newer");
    expect(await getSecret(ours, "TEXT")).toBe("newer");
  });

  test("the same value twice is two ciphertexts under two nonces, and neither it nor the key is in the store's files", async () => {
    const place = newPlace();
    const ours = open(place);
    const value = randomBytes(24).toString("hex");
    await setSecret(ours, "A", value);
    await setSecret(ours, "B", value);
    const key = await ours.vault.key();
    await ours.commit({ sideChanges: [key.seal({ executionId: "e", task: null, itemIndex: null, member: "inputs" }, value)], sealedWith: key.id });
    const [a, b] = await Promise.all([ours.store.findSecret("A"), ours.store.findSecret("B")]);
    expect(a?.nonce.toHex()).not.toBe(b?.nonce.toHex() ?? "");
    expect(a?.ciphertext.toHex()).not.toBe(b?.ciphertext.toHex() ?? "");
    expect(a?.ciphertext.byteLength).toBe(value.length + 16);
    const master = readFileSync(place.keyFile, "utf8").trim();
    for (const name of filesIn(place.folder).filter((file) => file.startsWith("store.db"))) {
      const bytes = readFileSync(join(place.folder, name));
      for (const needle of [value, Buffer.from(value, "hex"), master, Buffer.from(master, "hex")]) expect(bytes.includes(needle)).toBe(false);
    }
  });

  test("sealed values are an execution's own, with their places", async () => {
    const ours = open(newPlace());
    const key = await ours.vault.key();
    const values = [
      { task: null, itemIndex: null, member: "inputs", value: { a: [1, null, "ü"], b: true } },
      { task: "t", itemIndex: 0, member: "output", value: "text" },
      { task: "t", itemIndex: null, member: "output", value: null },
    ];
    await ours.commit({ sideChanges: values.map(({ value, ...place }) => key.seal({ executionId: "e", ...place }, value)), sealedWith: key.id });
    await ours.commit({ sideChanges: [key.seal({ executionId: "f", task: null, itemIndex: null, member: "inputs" }, 0)], sealedWith: key.id });
    const order = (list: readonly object[]) => list.map((one) => JSON.stringify(one, ["task", "itemIndex", "member", "value", "a", "b"])).toSorted();
    expect(order(await ours.vault.openSealed("e"))).toEqual(order(values));
    expect(await ours.vault.openSealed("f")).toEqual([{ task: null, itemIndex: null, member: "inputs", value: 0 }]);
    await ours.commit({ sideChanges: [key.seal({ executionId: "f", task: null, itemIndex: null, member: "inputs" }, 1)], sealedWith: key.id });
    expect((await ours.vault.openSealed("f")).map(({ value }) => value)).toEqual([1]);
  });

  test("reading where nothing is makes no key, and needs none", async () => {
    const place = newPlace();
    const { vault, store } = open(place);
    expect((await vault.readSecrets(["A"])).size).toBe(0);
    expect((await vault.readSecrets([])).size).toBe(0);
    expect(await vault.openSealed("e")).toEqual([]);
    expect(await store.findSecretKey()).toBeNull();
    expect(existsSync(place.keysDir)).toBe(false);
    await setSecret(open(place), "A", "value");
    rmSync(place.keyFile);
    const without = open(place).vault;
    expect((await without.readSecrets(["B"])).size).toBe(0);
    expect(await without.openSealed("e")).toEqual([]);
  });
});

describe("the master key", () => {
  test("is made once, in a file for its owner only", async () => {
    const place = newPlace();
    const ours = open(place);
    const keys = await Promise.all([ours.vault.key(), ours.vault.key(), open(place).vault.key()]);
    expect(new Set(keys.map(({ id }) => id)).size).toBe(1);
    expect(keys[0]?.id).toMatch(/^[0-9a-f]{32}$/);
    expect(filesIn(place.keysDir)).toEqual(["secret.key"]);
    expect(readFileSync(place.keyFile, "utf8")).toMatch(/^[0-9a-f]{64}\n$/);
    expect([statSync(place.keysDir).mode & 0o777, statSync(place.keyFile).mode & 0o777]).toEqual([0o700, 0o600]);
    expect(await ours.store.findSecretKey()).toEqual({ id: 1, key_id: keys[0]?.id ?? "", source: "file", salt: null, created_at: startedAt });
  });

  test("of the environment is the key itself when it is 64 hex digits, and no file is made", async () => {
    const place = newPlace();
    const ours = open(place, { secretKey: hex("a") });
    await setSecret(ours, "A", "value");
    expect(await ours.store.findSecretKey()).toMatchObject({ source: "hex", salt: null });
    expect(existsSync(place.keysDir)).toBe(false);
    expect(await getSecret(open(place, { secretKey: hex("A") }), "A")).toBe("value");
  });

  test("of a passphrase depends on the stored salt; nearly the same passphrase is another", async () => {
    const [place, other] = [newPlace(), newPlace()];
    const ours = open(place, { secretKey: "a long passphrase" });
    await setSecret(ours, "A", "value");
    const row = await ours.store.findSecretKey();
    expect(row).toMatchObject({ source: "passphrase", salt: expect.stringMatching(/^[0-9a-f]{32}$/) });
    expect(existsSync(place.keysDir)).toBe(false);
    expect(await getSecret(open(place, { secretKey: "a long passphrase" }), "A")).toBe("value");
    expect((await open(other, { secretKey: "a long passphrase" }).vault.key()).id).not.toBe(row?.key_id ?? "");
    const error = await refusal(getSecret(open(place, { secretKey: "a long passphrase " }), "A"));
    expect(error.code).toBe("SECRET_KEY_WRONG");
    expectSilent(error, "a long passphrase", "value");
  });

  test("of a passphrase is derived while the event loop goes on, once", async () => {
    const place = newPlace();
    await setSecret(open(place, { secretKey: "a long passphrase" }), "A", "value");
    const { vault } = open(place, { secretKey: "a long passphrase" });
    let ticks = 0;
    const timer = setInterval(() => (ticks += 1), 1);
    // The store answers within microtasks: only the derivation gives the timer its turn.
    await Promise.all(Array.from({ length: 4 }, () => vault.readSecrets(["A"])));
    expect(ticks).toBeGreaterThan(0);
    ticks = 0;
    await vault.readSecrets(["A"]);
    expect(ticks).toBe(0);
    clearInterval(timer);
  });

  test("is wrong when the environment gives another, even where the file would fit", async () => {
    const place = newPlace();
    await setSecret(open(place), "A", "the value");
    for (const secretKey of [hex("b"), "a passphrase"]) {
      const theirs = open(place, { secretKey });
      for (const work of [theirs.vault.readSecrets(["A"]), theirs.vault.key(), setSecret(theirs, "B", "x")]) {
        const error = await refusal(work);
        expect(error.code).toBe("SECRET_KEY_WRONG");
        expectSilent(error, secretKey, "the value", readFileSync(place.keyFile, "utf8").trim());
      }
    }
    const same = readFileSync(place.keyFile, "utf8").trim();
    expect(await getSecret(open(place, { secretKey: same }), "A")).toBe("the value");
  });

  test("is wrong when the environment that gave it gives none, and none is made in its place", async () => {
    for (const secretKey of [hex("c"), "a passphrase"]) {
      const place = newPlace();
      await setSecret(open(place, { secretKey }), "A", "value");
      const error = await refusal(getSecret(open(place), "A"));
      expect(error.code).toBe("SECRET_KEY_WRONG");
      expect(error.hint).toContain("AUTOKESTRA_SECRET_KEY");
      expect(existsSync(place.keysDir)).toBe(false);
      expect((await refusal(open(place).vault.key())).code).toBe("SECRET_KEY_WRONG");
    }
  });

  test("is wrong when its file is gone, holds another, or none at all; a restored file is fine", async () => {
    const place = newPlace();
    await setSecret(open(place), "A", "value");
    const kept = readFileSync(place.keyFile, "utf8");
    rmSync(place.keyFile);
    const gone = await refusal(getSecret(open(place), "A"));
    expect(gone.code).toBe("SECRET_KEY_WRONG");
    expect(gone.message).toContain(place.keyFile);
    expect(gone.hint).toContain("AUTOKESTRA_SECRET_KEY");
    expect((await refusal(open(place).vault.key())).code).toBe("SECRET_KEY_WRONG");
    expect(existsSync(place.keyFile)).toBe(false);
    for (const wrong of [hex("d"), kept.slice(1), "", `${kept}${kept}`, kept.replace(/./, "g")]) {
      writeFileSync(place.keyFile, wrong, { mode: 0o600 });
      const error = await refusal(getSecret(open(place), "A"));
      expect(error.code).toBe("SECRET_KEY_WRONG");
      expect(error.message).toContain(place.keyFile);
      expectSilent(error, kept.slice(1, 20), hex("d"));
    }
    writeFileSync(place.keyFile, kept.trim().toUpperCase(), { mode: 0o600 });
    expect(await getSecret(open(place), "A")).toBe("value");
  });

  test("the old one of the environment opens the store until it is rotated; a file does not help a wrong new one", async () => {
    const place = newPlace();
    await setSecret(open(place, { secretKey: hex("1") }), "A", "value");
    expect(await getSecret(open(place, { secretKey: hex("2"), secretKeyOld: hex("1") }), "A")).toBe("value");
    expect((await refusal(getSecret(open(place, { secretKey: hex("2"), secretKeyOld: hex("3") }), "A"))).code).toBe("SECRET_KEY_WRONG");
  });

  test("a file that was made before its row is taken as it is; what is no key is not", async () => {
    const place = newPlace();
    const former = open(place);
    await former.vault.key();
    const kept = readFileSync(place.keyFile, "utf8");
    await meddle(former, [{ table: "secret_key", op: "delete", key: { id: 1 } }]);
    await setSecret(open(place), "A", "value");
    expect(readFileSync(place.keyFile, "utf8")).toBe(kept);
    const broken = newPlace();
    await setSecret(open(broken), "A", "value");
    writeFileSync(broken.keyFile, "half");
    await meddle(open(broken), [{ table: "secret_key", op: "delete", key: { id: 1 } }]);
    expect((await refusal(open(broken).vault.key())).code).toBe("SECRET_KEY_WRONG");
    expect(readFileSync(broken.keyFile, "utf8")).toBe("half");
  });
});

type Meddling = (rows: { a: RowOf<"secrets">; b: RowOf<"secrets"> }) => RowChange[];
const put = (row: RowOf<"secrets">): RowChange => ({ table: "secrets", op: "put", key: { name: row.name }, row });
const flipped = (bytes: Uint8Array, index: number): Uint8Array => {
  const copy = new Uint8Array(bytes);
  copy[index] = (copy[index] ?? 0) ^ 1;
  return copy;
};

const meddlings: Record<string, Meddling> = {
  "a bit of the ciphertext": ({ a }) => [put({ ...a, ciphertext: flipped(a.ciphertext, 0) })],
  "a bit of the tag": ({ a }) => [put({ ...a, ciphertext: flipped(a.ciphertext, a.ciphertext.length - 1) })],
  "a bit of the nonce": ({ a }) => [put({ ...a, nonce: flipped(a.nonce, 11) })],
  "a shorter ciphertext": ({ a }) => [put({ ...a, ciphertext: a.ciphertext.subarray(1) })],
  "less than a tag": ({ a }) => [put({ ...a, ciphertext: a.ciphertext.subarray(0, 15) })],
  "no ciphertext": ({ a }) => [put({ ...a, ciphertext: new Uint8Array() })],
  "another key's id": ({ a }) => [put({ ...a, key_id: "0".repeat(32) })],
  "another secret's row": ({ a, b }) => [put({ ...b, name: a.name })],
  "both swapped": ({ a, b }) => [put({ ...a, nonce: b.nonce, ciphertext: b.ciphertext }), put({ ...b, nonce: a.nonce, ciphertext: a.ciphertext })],
  "the key's row gone": () => [{ table: "secret_key", op: "delete", key: { id: 1 } }],
};

describe("[WF-21] a secret's row that was changed is SECRET_TAMPERED", () => {
  for (const [what, changesOf] of Object.entries(meddlings))
    test(what, async () => {
      const place = newPlace();
      const ours = open(place);
      await setSecret(ours, "A", "value of a");
      await setSecret(ours, "B", "value of b");
      const [a, b] = await Promise.all([ours.store.findSecret("A"), ours.store.findSecret("B")]);
      if (a === null || b === null) throw new Error("the secrets are not there");
      await meddle(ours, changesOf({ a, b }));
      for (const { vault } of [ours, open(place)]) {
        const error = await refusal(vault.readSecrets(["A", "B"]));
        expect(error.code).toBe("SECRET_TAMPERED");
        expect(error.details).toEqual({ name: "A" });
        expectSilent(error, "value of");
      }
      await meddle(ours, [put(a), put(b)]);
      if (what !== "the key's row gone") expect(await getSecret(ours, "A")).toBe("value of a");
    });

  test("a renamed one", async () => {
    const ours = open(newPlace());
    await setSecret(ours, "A", "value");
    const row = await ours.store.findSecret("A");
    await meddle(ours, [put({ ...(row as RowOf<"secrets">), name: "C" })]);
    expect(await getSecret(ours, "A")).toBe("value");
    expect((await refusal(getSecret(ours, "C"))).code).toBe("SECRET_TAMPERED");
  });

  test("the store's key changed by hand is SECRET_KEY_WRONG", async () => {
    const ours = open(newPlace());
    await setSecret(ours, "A", "value");
    await meddle(ours, [{ table: "secret_key", op: "update", key: { id: 1 }, set: { key_id: "0".repeat(32) } }]);
    expect((await refusal(getSecret(ours, "A"))).code).toBe("SECRET_KEY_WRONG");
  });
});

describe("[WF-21] a sealed value that was moved is SECRET_TAMPERED", () => {
  async function sealed(): Promise<Opened & { rows: RowOf<"sealed_values">[] }> {
    const ours = open(newPlace());
    const key = await ours.vault.key();
    const places = [0, 1].map((itemIndex) => ({ executionId: "e", task: "t", itemIndex, member: "output" }));
    await ours.commit({ sideChanges: places.map((place) => key.seal(place, `item ${place.itemIndex}`)), sealedWith: key.id });
    return { ...ours, rows: await ours.store.listSealed("e") };
  }
  const putRow = (row: RowOf<"sealed_values">): RowChange => ({ table: "sealed_values", op: "put", key: row, row });

  test.each([
    ["another execution", { execution_id: "f" }],
    ["another task", { task: "u" }],
    ["no task", { task: "", item_index: -1 }],
    ["another item", { item_index: 7 }],
    ["another member", { member: "error" }],
  ])("%s", async (_what, over) => {
    const { rows, ...ours } = await sealed();
    const [row] = rows;
    if (row === undefined) throw new Error("nothing is sealed");
    await meddle(ours, [putRow({ ...row, ...over })]);
    const error = await refusal(ours.vault.openSealed("execution_id" in over ? "f" : "e"));
    expect(error.code).toBe("SECRET_TAMPERED");
    expectSilent(error, "item 0");
  });

  test("two swapped, and a secret's bytes in its place", async () => {
    const { rows, ...ours } = await sealed();
    const [a, b] = rows;
    if (a === undefined || b === undefined) throw new Error("nothing is sealed");
    await meddle(ours, [putRow({ ...a, nonce: b.nonce, ciphertext: b.ciphertext }), putRow({ ...b, nonce: a.nonce, ciphertext: a.ciphertext })]);
    expect((await refusal(ours.vault.openSealed("e"))).code).toBe("SECRET_TAMPERED");
    await meddle(ours, [putRow(a), putRow(b)]);
    expect((await ours.vault.openSealed("e")).length).toBe(2);
    await setSecret(ours, "A", '"item 0"');
    const secret = await ours.store.findSecret("A");
    await meddle(ours, [putRow({ ...a, nonce: secret?.nonce ?? a.nonce, ciphertext: secret?.ciphertext ?? a.ciphertext })]);
    expect((await refusal(ours.vault.openSealed("e"))).code).toBe("SECRET_TAMPERED");
  });

  test("under the wrong key it is SECRET_KEY_WRONG", async () => {
    const place = newPlace();
    const ours = open(place);
    const key = await ours.vault.key();
    await ours.commit({ sideChanges: [key.seal({ executionId: "e", task: null, itemIndex: null, member: "masks" }, [])], sealedWith: key.id });
    expect((await refusal(open(place, { secretKey: hex("e") }).vault.openSealed("e"))).code).toBe("SECRET_KEY_WRONG");
  });
});
