// Encrypted rows: they come back as they were, writes under a key that is not the store's are refused, and a rotation is one step.
import { describe, expect, test } from "bun:test";
import { fail } from "../../src/base/index.ts";
import type { EncryptedRow, KeyRotation, RowChange, RowOf, Store } from "../../src/storage/index.ts";
import { codeOf, draftOf, nextId, openingOf, openTrace, outcomeOf, requestOf, startedAt, newTrace } from "./requests.ts";
import type { OpenStore } from "./store-contract.ts";

const idOf = (digit: string) => digit.repeat(32);
const keyRow = (over: Partial<RowOf<"secret_key">> = {}): RowOf<"secret_key"> => ({
  id: 1,
  key_id: idOf("a"),
  source: "file",
  salt: null,
  created_at: startedAt,
  ...over,
});
const secretRow = (name: string, over: Partial<RowOf<"secrets">> = {}): RowOf<"secrets"> => ({
  name,
  key_id: idOf("a"),
  nonce: new Uint8Array(12).fill(1),
  ciphertext: new Uint8Array([0, 255, 1, 128]),
  created_at: startedAt,
  updated_at: startedAt,
  by: "user:alice",
  ...over,
});
const sealedRow = (executionId: string, over: Partial<RowOf<"sealed_values">> = {}): RowOf<"sealed_values"> => ({
  execution_id: executionId,
  task: "",
  item_index: -1,
  member: "inputs",
  key_id: idOf("a"),
  nonce: new Uint8Array(12).fill(2),
  ciphertext: new Uint8Array([9, 0, 9]),
  ...over,
});
const insertKey: RowChange = { table: "secret_key", op: "insert", row: keyRow() };
const putSecret = (row: RowOf<"secrets">): RowChange => ({ table: "secrets", op: "put", key: { name: row.name }, row });
const putSealed = (row: RowOf<"sealed_values">): RowChange => ({ table: "sealed_values", op: "put", key: row, row });
const rotationTo = (digit: string, over: Partial<KeyRotation> = {}): KeyRotation => ({
  from: idOf("a"),
  to: keyRow({ key_id: idOf(digit), source: "passphrase", salt: "5".repeat(32), created_at: startedAt + 7 }),
  reseal: ({ nonce, ciphertext }) => ({ nonce: nonce.map((byte) => byte + 1), ciphertext: new Uint8Array([7, ...ciphertext]) }),
  ...over,
});
const commit = async (store: Store, over: Parameters<typeof requestOf>[1]) => outcomeOf(await store.commit([requestOf([], over)]));
const same = (rows: readonly object[]) => rows.map((row) => JSON.stringify(row)).toSorted();

export function secretCases(open: OpenStore): void {
  keyCases(open);
  rowCases(open);
  rotationCases(open);
  refusedCases(open);
}

function keyCases(open: OpenStore): void {
  describe("[WF-21] the key of secrets", () => {
    test("the first key is the only one, also when two are written at once", async () => {
      const store = await open();
      expect(await store.findSecretKey()).toBeNull();
      const other: RowChange = { table: "secret_key", op: "insert", row: keyRow({ key_id: idOf("b") }) };
      const outcomes = await store.commit([requestOf([], { changes: [insertKey] }), requestOf([], { changes: [other] })]);
      expect([outcomeOf(outcomes), outcomeOf(outcomes, 1)]).toEqual(["ok", "ALREADY_EXISTS"]);
      expect(await store.findSecretKey()).toEqual(keyRow());
      const second = { ...keyRow(), id: 2 } as unknown as RowOf<"secret_key">;
      expect(await codeOf(store.apply([{ table: "secret_key", op: "insert", row: second }]))).not.toBe("ok");
    });

    test("what was encrypted with another key than the store's is refused, and so are its events", async () => {
      const store = await open();
      const trace = await openTrace(store, "system");
      const write = async (sealedWith: string) =>
        outcomeOf(await store.commit([requestOf([draftOf(trace)], { changes: [putSecret(secretRow("A"))], sealedWith })]));
      expect(await write(idOf("a"))).toBe("SECRET_KEY_WRONG");
      await store.apply([insertKey]);
      expect(await write(idOf("b"))).toBe("SECRET_KEY_WRONG");
      expect(await store.findSecret("A")).toBeNull();
      expect((await store.findTrace(trace.traceId))?.events).toBe(1);
      expect(await write(idOf("a"))).toBe("ok");
      expect(await store.findSecret("A")).not.toBeNull();
      expect((await store.findTrace(trace.traceId))?.events).toBe(2);
    });
  });
}

function rowCases(open: OpenStore): void {
  describe("[WF-21] secrets", () => {
    test("bytes come back as they went in; put overwrites, delete takes a row that may be missing", async () => {
      const store = await open();
      const row = secretRow("A");
      const insert: RowChange = { table: "secrets", op: "insert", row };
      const erase: RowChange = { table: "secrets", op: "delete", key: { name: "A" } };
      expect(await commit(store, { changes: [insert] })).toBe("ok");
      expect(await commit(store, { changes: [insert] })).toBe("ALREADY_EXISTS");
      const found = await store.findSecret("A");
      expect(found?.ciphertext).toBeInstanceOf(Uint8Array);
      expect([...(found?.ciphertext ?? [])]).toEqual([...row.ciphertext]);
      expect([...(found?.nonce ?? [])]).toEqual([...row.nonce]);
      const newer = secretRow("A", { ciphertext: new Uint8Array(64 * 1024).fill(3), updated_at: startedAt + 1, by: "user:bob" });
      expect(await commit(store, { changes: [putSecret(newer)] })).toBe("ok");
      expect(same([(await store.findSecret("A")) ?? {}])).toEqual(same([newer]));
      for (let times = 0; times < 2; times += 1) expect(await commit(store, { changes: [erase] })).toBe("ok");
      expect(await store.findSecret("A")).toBeNull();
      expect(await store.findSecret("a")).toBeNull();
    });

    test("a nonce of another length is refused", async () => {
      const store = await open();
      expect(await commit(store, { changes: [putSecret(secretRow("A", { nonce: new Uint8Array(11) }))] })).toBe("FOLD_FAILED");
    });

    test("are listed by name, page by page", async () => {
      const store = await open();
      await store.apply(["b", "A", "_", "a", "B"].map((name) => putSecret(secretRow(name))));
      const list = async (selection: Parameters<Store["listSecrets"]>[0]) => (await store.listSecrets(selection)).map((row) => row.name);
      expect(await list({ limit: 10 })).toEqual(["A", "B", "_", "a", "b"]);
      expect(await list({ limit: 2 })).toEqual(["A", "B"]);
      expect(await list({ limit: 2, afterName: "B" })).toEqual(["_", "a"]);
      expect(await list({ limit: 2, afterName: "b" })).toEqual([]);
    });

    test("sealed values are those of one execution, one a place", async () => {
      const store = await open();
      const [one, other] = [nextId(), nextId()];
      const rows = [
        sealedRow(one),
        sealedRow(one, { task: "a", item_index: 0, member: "output" }),
        sealedRow(one, { task: "a", item_index: 1, member: "output" }),
        sealedRow(one, { task: "a", member: "output" }),
      ];
      await store.apply([...rows, sealedRow(other)].map(putSealed));
      const newer = sealedRow(one, { ciphertext: new Uint8Array([1]) });
      await store.apply([putSealed(newer)]);
      expect(same(await store.listSealed(one))).toEqual(same([newer, ...rows.slice(1)]));
      expect((await store.listSealed(other)).length).toBe(1);
      expect(await store.listSealed(nextId())).toEqual([]);
    });
  });
}

/** More than a store may hold in memory at a time. */
const many = 1100;

async function filled(open: OpenStore): Promise<{ store: Store; executionId: string }> {
  const store = await open();
  const executionId = nextId();
  const sealed = Array.from({ length: many }, (_, index) => sealedRow(executionId, { task: "t", item_index: index, member: "output" }));
  await store.apply([insertKey, ...["A", "B", "C"].map((name) => putSecret(secretRow(name))), ...sealed.map(putSealed)]);
  return { store, executionId };
}

async function everything(store: Store, executionId: string): Promise<string[]> {
  const key = await store.findSecretKey();
  return same([...(key === null ? [] : [key]), ...(await store.listSecrets({ limit: 100 })), ...(await store.listSealed(executionId))]);
}

function rotationCases(open: OpenStore): void {
  describe("[WF-21] a rotation of the key", () => {
    test("writes the key's row and every encrypted row once, beside its event", async () => {
      const { store, executionId } = await filled(open);
      const trace = newTrace("system");
      const seen: EncryptedRow[] = [];
      const base = rotationTo("b");
      const rotation = { ...base, reseal: (row: EncryptedRow) => (seen.push(row), base.reseal(row)) };
      expect(outcomeOf(await store.commit([openingOf(trace, { rotation })]))).toBe("ok");
      expect(seen.map((row) => row.table === "secrets").filter(Boolean).length).toBe(3);
      expect(seen.length).toBe(many + 3);
      const [secret, value] = [seen.find((row) => row.table === "secrets"), seen.find((row) => row.table === "sealed_values")];
      expect(same([secret ?? {}])).toEqual(same([{ ...secretRow("A"), table: "secrets" }]));
      expect(Object.keys(value ?? {}).toSorted()).toEqual([...Object.keys(sealedRow("")), "table"].toSorted());
      expect(await store.findSecretKey()).toEqual(rotation.to);
      const rows = [...(await store.listSecrets({ limit: 100 })), ...(await store.listSealed(executionId))];
      expect(rows.length).toBe(many + 3);
      expect(new Set(rows.map((row) => row.key_id))).toEqual(new Set([idOf("b")]));
      expect(rows.every((row) => row.ciphertext[0] === 7)).toBe(true);
      expect((await store.findSecret("B"))?.updated_at).toBe(startedAt);
      expect((await store.findTrace(trace.traceId))?.events).toBe(1);
    });
  });
}

function refusedCases(open: OpenStore): void {
  describe("[WF-21] a rotation that is refused", () => {
    test("writes nothing when a row in the middle cannot be opened", async () => {
      const { store, executionId } = await filled(open);
      const trace = await openTrace(store, "system");
      const before = await everything(store, executionId);
      for (const failing of [1, 3, 4, many]) {
        let count = 0;
        const base = rotationTo("b");
        const reseal = (row: EncryptedRow) => {
          count += 1;
          if (count === failing) throw fail("SECRET_TAMPERED", "Cannot open a row");
          return base.reseal(row);
        };
        expect(outcomeOf(await store.commit([requestOf([draftOf(trace)], { rotation: { ...base, reseal } })]))).toBe("SECRET_TAMPERED");
        expect(count).toBe(failing);
        expect(await everything(store, executionId)).toEqual(before);
        expect((await store.findTrace(trace.traceId))?.events).toBe(1);
      }
    });

    test("refused, it takes nothing of its neighbours with it", async () => {
      const { store, executionId } = await filled(open);
      const before = await everything(store, executionId);
      const refusing = rotationTo("b", {
        reseal: () => {
          throw fail("SECRET_TAMPERED", "Cannot open a row");
        },
      });
      const outcomes = await store.commit([
        requestOf([], { changes: [putSealed(sealedRow("x"))], sealedWith: idOf("a") }),
        requestOf([], { rotation: refusing }),
        requestOf([], { changes: [putSealed(sealedRow("y"))], sealedWith: idOf("a") }),
      ]);
      expect([0, 1, 2].map((index) => outcomeOf(outcomes, index))).toEqual(["ok", "SECRET_TAMPERED", "ok"]);
      expect(await everything(store, executionId)).toEqual(before);
      expect((await store.listSealed("x")).length + (await store.listSealed("y")).length).toBe(2);
    });

    test("from a key that is not the store's is refused; of two at once the second is", async () => {
      const { store } = await filled(open);
      expect(await commit(store, { rotation: rotationTo("c", { from: idOf("b") }) })).toBe("SECRET_KEY_WRONG");
      const outcomes = await store.commit([requestOf([], { rotation: rotationTo("b") }), requestOf([], { rotation: rotationTo("c") })]);
      expect([outcomeOf(outcomes), outcomeOf(outcomes, 1)]).toEqual(["ok", "SECRET_KEY_WRONG"]);
      expect((await store.findSecretKey())?.key_id).toBe(idOf("b"));
      expect((await store.findSecret("A"))?.key_id).toBe(idOf("b"));
    });

    test("of a store without a key is refused", async () => {
      expect(await commit(await open(), { rotation: rotationTo("b") })).toBe("SECRET_KEY_WRONG");
    });

    test("shuts out what was encrypted before it, in the same transaction and after it", async () => {
      const { store } = await filled(open);
      const late = () => requestOf([], { changes: [putSecret(secretRow("LATE"))], sealedWith: idOf("a") });
      const outcomes = await store.commit([requestOf([], { rotation: rotationTo("b") }), late()]);
      expect([outcomeOf(outcomes), outcomeOf(outcomes, 1)]).toEqual(["ok", "SECRET_KEY_WRONG"]);
      expect(outcomeOf(await store.commit([late()]))).toBe("SECRET_KEY_WRONG");
      expect(await store.findSecret("LATE")).toBeNull();
    });
  });
}
