// Two connections to one store: each sees what the other wrote, and no number is lost or given twice.
import { describe, expect, test } from "bun:test";
import { isUuidV7 } from "../../src/base/index.ts";
import type { Store } from "../../src/storage/index.ts";
import { expectWhole } from "./commit-cases.ts";
import { draftOf, executionRow, insertOf, newTrace, openingOf, openTrace, outcomeOf, requestOf, startedAt } from "./requests.ts";
import type { OpenStore } from "./store-contract.ts";

type Again = (first: Store) => Promise<Store>;

export function sharedCases(open: OpenStore, again: Again): void {
  writerCases(open, again);
  viewCases(open, again);
}

function writerCases(open: OpenStore, again: Again): void {
  describe("two connections", () => {
    test("the change token moves when the other one wrote, and only then", async () => {
      const ours = await open();
      const theirs = await again(ours);
      const trace = await openTrace(ours);
      const quiet = await ours.changeToken();
      await ours.commit([requestOf([draftOf(trace)])]);
      expect(await ours.changeToken()).toBe(quiet);
      await theirs.commit([requestOf([draftOf(trace)])]);
      const moved = await ours.changeToken();
      expect(moved).not.toBe(quiet);
      expect(await ours.changeToken()).toBe(moved);
    });

    test("both know one system trace, before its first event", async () => {
      const ours = await open();
      const theirs = await again(ours);
      const id = await ours.systemTraceId();
      expect(isUuidV7(id)).toBe(true);
      expect(await theirs.systemTraceId()).toBe(id);
      expect(await ours.findTrace(id)).toBeNull();
    });

    test("writers in turn extend one chain, whatever each remembers of it", async () => {
      const stores: Store[] = [await open()];
      for (const first of stores.slice(0, 1)) stores.push(await again(first));
      const [ours, theirs] = stores;
      if (ours === undefined || theirs === undefined) throw new Error("two stores are needed");
      const trace = await openTrace(ours);
      const own = newTrace();
      for (let round = 0; round < 20; round += 1) {
        const store = round % 3 === 0 ? ours : theirs;
        const bad = round % 5 === 0 ? [requestOf([draftOf(trace)], { fence: { resource: "x", owner: "y", version: 1 } })] : [];
        const outcomes = await store.commit([...bad, requestOf([draftOf(trace)]), round === 0 ? openingOf(own) : requestOf([draftOf(own)])]);
        expect(outcomes.filter((outcome) => outcome.ok).length).toBe(2);
      }
      expect(await expectWhole(ours)).toBe(41);
      expect(await expectWhole(theirs)).toBe(41);
    });

    test("busy writers lose no number", async () => {
      const ours = await open();
      const theirs = await again(ours);
      const trace = await openTrace(ours, "system");
      const write = async (store: Store) => {
        for (let index = 0; index < 50; index += 1) {
          expect(outcomeOf(await store.commit([requestOf([draftOf(trace)], { changes: [insertOf(executionRow())] })]))).toBe("ok");
          await Promise.resolve();
        }
      };
      await Promise.all([write(ours), write(theirs), write(ours)]);
      expect(await expectWhole(theirs)).toBe(151);
    });
  });
}

function viewCases(open: OpenStore, again: Again): void {
  describe("two connections", () => {
    test("a snapshot stays as it was while both write", async () => {
      const ours = await open();
      const theirs = await again(ours);
      const trace = await openTrace(ours);
      const snapshot = await ours.snapshot();
      for (const store of [ours, theirs]) await store.commit([requestOf([draftOf(trace)])]);
      expect(await snapshot.lastSeq()).toBe(1);
      expect((await snapshot.listEvents({ limit: 10 })).length).toBe(1);
      expect((await snapshot.findTrace(trace.traceId))?.events).toBe(1);
      await snapshot.close();
      expect(await ours.lastSeq()).toBe(3);
    });

    test("a claim and an expected sequence hold against the other one", async () => {
      const ours = await open();
      const theirs = await again(ours);
      const trace = await openTrace(ours);
      const acquire = (owner: string) => ({ acquire: { resource: "r", owner, now: startedAt, expiresAt: startedAt + 1000 } });
      expect(outcomeOf(await ours.commit([requestOf([], acquire("a"))]))).toBe("ok");
      expect(outcomeOf(await theirs.commit([requestOf([], acquire("b"))]))).toBe("CLAIM_LOST");
      const expected = new Map([[trace.traceId, 1]]);
      expect(outcomeOf(await theirs.commit([requestOf([draftOf(trace)], { expected })]))).toBe("ok");
      expect(outcomeOf(await ours.commit([requestOf([draftOf(trace)], { expected })]))).toBe("CLAIM_LOST");
      expect((await ours.findTrace(trace.traceId))?.events).toBe(2);
    });
  });
}
