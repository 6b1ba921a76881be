// Rotation: all rows under a new key in one step, from whichever place to whichever; killed anywhere, the store opens again and nothing is lost.
import { describe, expect, test } from "bun:test";
import { copyFileSync, existsSync, linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isCoded } from "../../../src/base/index.ts";
import { startedAt } from "../../contract/requests.ts";
import { expectSilent, filesIn, getSecret, meddle, type Opened, refusal, rotate, setSecret, temporaryVaults } from "./stores.ts";

const { newPlace, open } = temporaryVaults();
const hex = (digit: string) => digit.repeat(64);

async function fill(ours: Opened): Promise<void> {
  await setSecret(ours, "A", "value of a");
  await setSecret(ours, "BYTES", new Uint8Array([0, 255, 7]));
  const key = await ours.vault.key();
  const sideChanges = Array.from({ length: 400 }, (_, item) =>
    key.seal({ executionId: "e", task: "t", itemIndex: item, member: "output" }, { item, secret: `value ${item}` }),
  );
  await ours.commit({ sideChanges, sealedWith: key.id });
}

async function expectAll({ vault }: Opened): Promise<void> {
  const read = await vault.readSecrets(["A", "BYTES"]);
  expect(new TextDecoder().decode(read.get("A"))).toBe("value of a");
  expect([...(read.get("BYTES") ?? [])]).toEqual([0, 255, 7]);
  const sealed = await vault.openSealed("e");
  expect(sealed.length).toBe(400);
  for (const { itemIndex, value } of sealed) expect(value).toEqual({ item: itemIndex, secret: `value ${itemIndex}` });
}

const idsIn = async ({ store }: Opened) =>
  new Set([...(await store.listSecrets({ limit: 100 })), ...(await store.listSealed("e"))].map((row) => row.key_id));

describe("[WF-21] rotate-key", () => {
  test("of a file makes a new one in its place; who has the store open goes on", async () => {
    const place = newPlace();
    const [ours, theirs] = [open(place), open(place)];
    await fill(ours);
    await expectAll(theirs);
    const old = { file: readFileSync(place.keyFile, "utf8"), id: (await ours.vault.key()).id };
    await rotate(ours);
    expect(readFileSync(place.keyFile, "utf8")).not.toBe(old.file);
    expect([filesIn(place.keysDir), statSync(place.keyFile).mode & 0o777]).toEqual([["secret.key"], 0o600]);
    const { id } = await ours.vault.key();
    expect(id).not.toBe(old.id);
    expect(await idsIn(ours)).toEqual(new Set([id]));
    for (const each of [ours, theirs, open(place)]) await expectAll(each);
    expect((await theirs.vault.key()).id).toBe(id);
    writeFileSync(place.keyFile, old.file);
    expect((await refusal(getSecret(open(place), "A"))).code).toBe("SECRET_KEY_WRONG");
  });

  test("of a store without a key makes one first", async () => {
    const place = newPlace();
    const ours = open(place);
    await rotate(ours);
    await fill(ours);
    await expectAll(open(place));
  });

  test.each([
    ["hex to hex", { secretKey: hex("1") }, { secretKey: hex("2"), secretKeyOld: hex("1") }, "hex"],
    ["hex to passphrase", { secretKey: hex("1") }, { secretKey: "passphrase two", secretKeyOld: hex("1") }, "passphrase"],
    ["passphrase to passphrase", { secretKey: "passphrase one" }, { secretKey: "passphrase two", secretKeyOld: "passphrase one" }, "passphrase"],
    ["passphrase to hex", { secretKey: "passphrase one" }, { secretKey: hex("2"), secretKeyOld: "passphrase one" }, "hex"],
    ["file to passphrase", {}, { secretKey: "passphrase two" }, "passphrase"],
    ["file to hex", {}, { secretKey: hex("2") }, "hex"],
    ["passphrase to file", { secretKey: "passphrase one" }, { secretKeyOld: "passphrase one" }, "file"],
  ])("goes from %s", async (_what, before, between, source) => {
    const place = newPlace();
    await fill(open(place, before));
    const rotating = open(place, between);
    await rotate(rotating);
    const row = await rotating.store.findSecretKey();
    expect(row?.source).toBe(source as "file");
    expect(row?.salt !== null).toBe(source === "passphrase");
    await expectAll(rotating);
    const { secretKeyOld: _old, ...after } = { secretKeyOld: "", ...between };
    await expectAll(open(place, after));
    expect((await refusal(getSecret(open(place, before), "A"))).code).toBe("SECRET_KEY_WRONG");
  });

  test("twice with the same passphrase is no rotation; with a key of the environment and no other neither", async () => {
    for (const secretKey of ["passphrase one", hex("1")]) {
      const place = newPlace();
      const ours = open(place, { secretKey });
      await setSecret(ours, "A", "value");
      const row = await ours.store.findSecretKey();
      for (const given of [{ secretKey }, { secretKey, secretKeyOld: secretKey }, { secretKey, secretKeyOld: hex("9") }]) {
        const error = await refusal(open(place, given).vault.rotate());
        expect(error.code).toBe("CONFIG_INVALID");
        expect(error.hint).toContain("AUTOKESTRA_SECRET_KEY_OLD");
        expectSilent(error, secretKey);
      }
      expect(await ours.store.findSecretKey()).toEqual(row);
      expect(existsSync(place.keysDir)).toBe(false);
    }
  });

  test("without the present key is SECRET_KEY_WRONG and leaves nothing", async () => {
    const place = newPlace();
    await setSecret(open(place, { secretKey: hex("1") }), "A", "value");
    for (const given of [{}, { secretKey: hex("2") }, { secretKey: hex("2"), secretKeyOld: hex("3") }])
      expect((await refusal(open(place, given).vault.rotate())).code).toBe("SECRET_KEY_WRONG");
    expect(existsSync(place.keysDir)).toBe(false);
    const filed = newPlace();
    await setSecret(open(filed), "A", "value");
    writeFileSync(filed.keyFile, hex("4"));
    expect((await refusal(open(filed).vault.rotate())).code).toBe("SECRET_KEY_WRONG");
    expect([filesIn(filed.keysDir), readFileSync(filed.keyFile, "utf8")]).toEqual([["secret.key"], hex("4")]);
  });

  test("with one row that was tampered with changes nothing and leaves no file", async () => {
    const place = newPlace();
    const ours = open(place);
    await fill(ours);
    const row = (await ours.store.listSealed("e"))[250];
    if (row === undefined) throw new Error("nothing is sealed");
    await meddle(ours, [{ table: "sealed_values", op: "put", key: row, row: { ...row, ciphertext: row.ciphertext.toReversed() } }]);
    const file = readFileSync(place.keyFile, "utf8");
    expect((await refusal(rotate(ours))).code).toBe("SECRET_TAMPERED");
    expect([filesIn(place.keysDir), readFileSync(place.keyFile, "utf8")]).toEqual([["secret.key"], file]);
    await meddle(ours, [{ table: "sealed_values", op: "put", key: row, row }]);
    for (const each of [ours, open(place)]) await expectAll(each);
    await meddle(ours, [{ table: "sealed_values", op: "put", key: row, row: { ...row, key_id: "0".repeat(32) } }]);
    expect((await refusal(rotate(ours))).code).toBe("SECRET_TAMPERED");
  });

  test("what was encrypted before it is not written after it", async () => {
    const place = newPlace();
    const [ours, theirs] = [open(place), open(place)];
    await fill(ours);
    const key = await theirs.vault.key();
    const row = key.encryptSecret("LATE", new Uint8Array([1]), { createdAt: startedAt, now: startedAt, by: "user:alice" });
    await rotate(ours);
    const late = theirs.commit({ sideChanges: [{ table: "secrets", op: "put", key: { name: "LATE" }, row }], sealedWith: key.id });
    expect((await refusal(late)).code).toBe("SECRET_KEY_WRONG");
    await setSecret(theirs, "LATE", "again");
    expect(await getSecret(ours, "LATE")).toBe("again");
  });
});

describe("[WF-21] rotations at once", () => {
  for (const order of ["the winner ends first", "the loser ends first"])
    test(`one wins, the other's key is dropped: ${order}`, async () => {
      const place = newPlace();
      const [ours, theirs] = [open(place), open(place)];
      await fill(ours);
      const [mine, other] = [await ours.vault.rotate(), await theirs.vault.rotate()];
      await ours.commit({ rotation: mine.rotation });
      expect((await refusal(theirs.commit({ rotation: other.rotation }))).code).toBe("SECRET_KEY_WRONG");
      for (const { done } of order === "the winner ends first" ? [mine, other] : [other, mine]) await done();
      expect(filesIn(place.keysDir)).toEqual(["secret.key"]);
      for (const each of [ours, theirs, open(place)]) await expectAll(each);
      await rotate(theirs);
      for (const each of [ours, theirs, open(place)]) await expectAll(each);
    });

  test("one that comes between another's commit and its end takes nothing from it", async () => {
    const place = newPlace();
    const [ours, theirs] = [open(place), open(place)];
    await fill(ours);
    const mine = await ours.vault.rotate();
    await ours.commit({ rotation: mine.rotation });
    await rotate(theirs);
    const file = readFileSync(place.keyFile, "utf8");
    await mine.done();
    expect([filesIn(place.keysDir), readFileSync(place.keyFile, "utf8")]).toEqual([["secret.key"], file]);
    for (const each of [ours, theirs, open(place)]) await expectAll(each);
  });
});

/** More answers than any verb asks of the store. */
const answersMax = 8;

describe("[WF-21] between any two steps of another process", () => {
  test.each(["file", "hex"])("a rotation changes nothing for it: %s", async (source) => {
    let reached = 0;
    for (let at = 1; at <= answersMax; at += 1) {
      const place = newPlace();
      const before = source === "file" ? {} : { secretKey: hex("1") };
      const after = source === "file" ? {} : { secretKey: hex("2"), secretKeyOld: hex("1") };
      await fill(open(place, before));
      for (const work of [expectAll, (ours: Opened) => setSecret(ours, "NEW", "n"), rotateOrLose]) {
        let isDone = false;
        const between = async (answer: number) => {
          if (answer !== at || isDone) return;
          isDone = true;
          reached = Math.max(reached, at);
          const other = open(place, after);
          if (source === "file" || (await other.store.findSecretKey())?.source === "hex") await rotate(other).catch(ignoreNothingNew);
        };
        await work(open(place, { ...after, between }));
        await expectAll(open(place, after));
        if (source === "file") expect(filesIn(place.keysDir)).toEqual(["secret.key"]);
      }
    }
    expect(reached).toBeGreaterThan(2);
  });

  test.each([{}, { secretKey: hex("1") }, { secretKey: "a passphrase" }])("a first key that is made is its key too: %j", async (given) => {
    const place = newPlace();
    let other = "none";
    const between = async (answer: number) => {
      if (answer === 1) other = (await open(place, given).vault.key()).id;
    };
    expect((await open(place, { ...given, between }).vault.key()).id).toBe(other);
    expect((await open(place, given).vault.key()).id).toBe(other);
  });

  test("a first key of the environment is not that of who has none", async () => {
    const place = newPlace();
    const between = async (answer: number) => {
      if (answer === 1) await open(place, { secretKey: hex("1") }).vault.key();
    };
    expect((await refusal(open(place, { between }).vault.key())).code).toBe("SECRET_KEY_WRONG");
    await setSecret(open(place, { secretKey: hex("1") }), "A", "value");
    expect(await getSecret(open(place, { secretKey: hex("1") }), "A")).toBe("value");
  });
});

async function rotateOrLose(ours: Opened): Promise<void> {
  await rotate(ours).catch((error: unknown) => {
    if (!isCoded(error, "SECRET_KEY_WRONG") || !error.message.startsWith("Cannot write")) ignoreNothingNew(error);
  });
}

/** A key of the environment is new once. */
function ignoreNothingNew(error: unknown): void {
  if (!isCoded(error, "CONFIG_INVALID")) throw error;
}

describe("[WF-21] killed", () => {
  test("after the new file was written: the old key is still the store's, and the next rotation goes through", async () => {
    const place = newPlace();
    await fill(open(place));
    await open(place).vault.rotate();
    expect(filesIn(place.keysDir).length).toBe(2);
    await expectAll(open(place));
    const next = open(place);
    await rotate(next);
    for (const each of [next, open(place)]) await expectAll(each);
  });

  test("between the commit and the new file's name: the next one to open the store gives it its name", async () => {
    const place = newPlace();
    await fill(open(place));
    const killed = open(place);
    const { rotation } = await killed.vault.rotate();
    await killed.commit({ rotation });
    const old = readFileSync(place.keyFile, "utf8");
    expect(filesIn(place.keysDir).length).toBe(2);
    await expectAll(open(place));
    expect(filesIn(place.keysDir)).toEqual(["secret.key"]);
    expect(readFileSync(place.keyFile, "utf8")).not.toBe(old);
    const next = open(place);
    await rotate(next);
    await expectAll(next);
  });

  test("there, and the old file lost or broken: the new one is enough", async () => {
    for (const damage of ["gone", "broken"]) {
      const place = newPlace();
      await fill(open(place));
      const killed = open(place);
      const { rotation } = await killed.vault.rotate();
      await killed.commit({ rotation });
      if (damage === "gone") rmSync(place.keyFile);
      else writeFileSync(place.keyFile, "half");
      await expectAll(open(place));
      await expectAll(open(place));
    }
  });

  test("between the commit and its end, with a key of the environment: the new one opens the store", async () => {
    const place = newPlace();
    await fill(open(place, { secretKey: hex("1") }));
    const killed = open(place, { secretKey: "passphrase two", secretKeyOld: hex("1") });
    const { rotation } = await killed.vault.rotate();
    await expectAll(open(place, { secretKey: hex("1") }));
    await killed.commit({ rotation });
    await expectAll(open(place, { secretKey: "passphrase two", secretKeyOld: hex("1") }));
    await expectAll(open(place, { secretKey: "passphrase two" }));
  });

  test("while the first key was made: at no step is a key lost or half a file taken", async () => {
    const part = (keysDir: string) => join(keysDir, `secret.key.${"0".repeat(32)}.part`);
    const before = newPlace();
    mkdirSync(before.keysDir, { mode: 0o700 });
    writeFileSync(part(before.keysDir), "ha", { mode: 0o600 });
    await fill(open(before));
    await expectAll(open(before));
    // The name was given by a link, and the draft not removed yet; the row is missing, then there.
    const after = newPlace();
    const first = open(after);
    const { id } = await first.vault.key();
    linkSync(after.keyFile, join(after.keysDir, `secret.key.${id}.part`));
    await meddle(first, [{ table: "secret_key", op: "delete", key: { id: 1 } }]);
    const next = open(after);
    await fill(next);
    expect((await next.vault.key()).id).toBe(id);
    await rotate(next);
    expect(filesIn(after.keysDir)).toEqual(["secret.key"]);
    await expectAll(open(after));
  });

  test("a leftover new file that is another key, or none, is not taken for the store's", async () => {
    const place = newPlace();
    const ours = open(place);
    await fill(ours);
    const { id } = await ours.vault.key();
    const left = join(place.keysDir, `secret.key.${id}.new`);
    writeFileSync(left, hex("5"), { mode: 0o600 });
    await expectAll(open(place));
    expect(readFileSync(place.keyFile, "utf8").trim()).not.toBe(hex("5"));
    copyFileSync(place.keyFile, left);
    rmSync(place.keyFile);
    await expectAll(open(place));
    expect(filesIn(place.keysDir)).toEqual(["secret.key"]);
  });
});
