// What webhooks and file triggers were given already: who takes a delivery or a file first, and what is forgotten.
import { describe, expect, test } from "bun:test";
import type { RowChange, RowOf } from "../../src/storage/index.ts";
import { outcomeOf, requestOf, startedAt } from "./requests.ts";
import type { OpenStore } from "./store-contract.ts";

const delivery = (over: Partial<RowOf<"deliveries">> = {}): RowOf<"deliveries"> => ({
  workflow: "hello",
  trigger: "push",
  delivery_id: "one",
  body_sha256: "00",
  execution_id: "first",
  expires_at: startedAt + 1000,
  ...over,
});
const file = (over: Partial<RowOf<"watched_files">> = {}): RowOf<"watched_files"> => ({
  workflow: "hello",
  trigger: "drop",
  path: "/in/a",
  version: "1",
  gone_at: null,
  ...over,
});
const watch = (trigger: string, workflow = "hello"): RowOf<"watches"> => ({ workflow, trigger, places: "p", since: startedAt });

export function deliveryCases(open: OpenStore): void {
  describe("deliveries and watched files", () => {
    test("a delivery is taken once until it expires, and then again", async () => {
      const store = await open();
      const take = async (row: RowOf<"deliveries">) =>
        outcomeOf(await store.commit([requestOf([], { changes: [{ table: "deliveries", op: "insert", row }] })]));
      expect(await take(delivery())).toBe("ok");
      expect(await take(delivery({ execution_id: "second" }))).toBe("ALREADY_EXISTS");
      expect(await take(delivery({ trigger: "other" }))).toBe("ok");
      const at = { workflow: "hello", trigger: "push", deliveryId: "one" };
      expect(await store.findDelivery({ ...at, now: startedAt + 999 })).toEqual(delivery());
      expect(await store.findDelivery({ ...at, now: startedAt + 1000 })).toBeNull();
      expect(await store.sweepDeliveries(startedAt + 999)).toBe(0);
      expect(await store.sweepDeliveries(startedAt + 1000)).toBe(2);
      expect(await take(delivery({ execution_id: "second" }))).toBe("ok");
    });

    test("of two who want a version of a file the second is refused", async () => {
      const store = await open();
      const apply = async (change: RowChange) => outcomeOf(await store.commit([requestOf([], { changes: [change] })]));
      const insert: RowChange = { table: "watched_files", op: "insert", row: file() };
      expect(await apply(insert)).toBe("ok");
      expect(await apply({ ...insert, row: file({ version: "2" }) })).toBe("ALREADY_EXISTS");
      const { gone_at: _, ...key } = file();
      const take = (version: string): RowChange => ({ table: "watched_files", op: "update", key, set: { version } });
      expect(await apply(take("2"))).toBe("ok");
      expect(await apply(take("3"))).toBe("FOLD_FAILED");
      expect(await store.findWatchedFile({ workflow: "hello", trigger: "drop", path: "/in/a" })).toEqual(file({ version: "2" }));
      expect(await store.findWatchedFile({ workflow: "hello", trigger: "drop", path: "/in/b" })).toBeNull();
    });

    test("a workflow's watches are forgotten with what they know, but those that are kept", async () => {
      const store = await open();
      const watches = [watch("drop"), watch("kept"), watch("drop", "other")];
      const files = [file({ path: "/in/b" }), file(), file({ trigger: "kept" }), file({ workflow: "other" })];
      await store.apply([
        ...watches.map((row): RowChange => ({ table: "watches", op: "insert", row })),
        ...files.map((row): RowChange => ({ table: "watched_files", op: "insert", row })),
      ]);
      const at = { workflow: "hello", trigger: "drop", limit: 1 };
      expect(await store.listWatchedFiles({ ...at, afterPath: "" })).toEqual([file()]);
      expect(await store.listWatchedFiles({ ...at, afterPath: "/in/a" })).toEqual([file({ path: "/in/b" })]);
      expect(await store.findWatch("hello", "drop")).toEqual(watch("drop"));
      await store.forgetWatches("hello", ["kept"]);
      expect(await store.listWatches()).toEqual([watch("kept"), watch("drop", "other")]);
      expect(await store.listWatchedFiles({ ...at, afterPath: "" })).toEqual([]);
      expect(await store.listWatchedFiles({ ...at, trigger: "kept", afterPath: "" })).toEqual([file({ trigger: "kept" })]);
      await store.forgetWatches("hello", []);
      expect(await store.listWatches()).toEqual([watch("drop", "other")]);
    });
  });
}
