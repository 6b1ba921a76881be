// Claims and fences: one owner at a time, and versions that only rise.
import { describe, expect, test } from "bun:test";
import type { Claim, Store } from "../../src/storage/index.ts";
import { draftOf, openTrace, outcomeOf, requestOf, startedAt } from "./requests.ts";
import type { OpenStore } from "./store-contract.ts";

const leaseMs = 30_000;

/** The claim, or the code of the refusal. */
async function acquire(store: Store, owner: string, now = startedAt, resource = "execution:1"): Promise<Claim | string> {
  const outcomes = await store.commit([requestOf([], { acquire: { resource, owner, now, expiresAt: now + leaseMs } })]);
  const [outcome] = outcomes;
  return outcome?.ok === true && outcome.claim !== null ? outcome.claim : outcomeOf(outcomes);
}

async function taken(store: Store, owner: string, now = startedAt, resource = "execution:1"): Promise<Claim> {
  const claim = await acquire(store, owner, now, resource);
  if (typeof claim === "string") throw new Error(claim);
  return claim;
}

export function claimCases(open: OpenStore): void {
  ownerCases(open);
  fenceCases(open);
}

function ownerCases(open: OpenStore): void {
  describe("claims", () => {
    test("the first owner has it until it expires, then the next", async () => {
      const store = await open();
      const first = await taken(store, "a");
      expect(first).toEqual({ resource: "execution:1", owner: "a", version: first.version, expiresAt: startedAt + leaseMs });
      expect(await acquire(store, "b")).toBe("CLAIM_LOST");
      expect(await acquire(store, "b", startedAt + leaseMs - 1)).toBe("CLAIM_LOST");
      const second = await taken(store, "b", startedAt + leaseMs);
      expect(second.version).toBeGreaterThan(first.version);
      expect(await store.findClaims(["execution:1", "execution:2"])).toEqual([second]);
    });

    test("versions rise over all resources, on taking again, after release and after expiry", async () => {
      const store = await open();
      const versions: number[] = [];
      for (const [owner, resource] of [
        ["a", "r1"],
        ["a", "r1"],
        ["b", "r2"],
      ] as const)
        versions.push((await taken(store, owner, startedAt, resource)).version);
      await store.releaseClaims(await store.findClaims(["r1", "r2"]));
      expect(await store.findClaims(["r1", "r2"])).toEqual([]);
      versions.push((await taken(store, "c", startedAt, "r1")).version, (await taken(store, "d", startedAt + leaseMs, "r1")).version);
      expect(versions).toEqual([...new Set(versions)].toSorted((x, y) => x - y));
      expect(versions.length).toBe(5);
    });

    test("extending tells which claims are lost and lengthens the others", async () => {
      const store = await open();
      const mine = await taken(store, "a", startedAt, "r1");
      const lost = await taken(store, "a", startedAt, "r2");
      await taken(store, "b", startedAt + leaseMs, "r2");
      const later = startedAt + 10 * leaseMs;
      expect(await store.extendClaims([mine, lost, { resource: "r3", owner: "a", version: 1 }], later)).toEqual(["r2", "r3"]);
      expect(await store.findClaims(["r1", "r2"])).toMatchObject([
        { owner: "a", expiresAt: later },
        { owner: "b", expiresAt: startedAt + 2 * leaseMs },
      ]);
      expect(await store.extendClaims([], later)).toEqual([]);
      expect(await acquire(store, "b", later - 1, "r1")).toBe("CLAIM_LOST");
    });

    test("a claim refused in a batch is not taken, one granted in a failed request is given back", async () => {
      const store = await open();
      await taken(store, "a");
      const wish = (resource: string) => ({ resource, owner: "b", now: startedAt, expiresAt: startedAt + leaseMs });
      const fence = { resource: "none", owner: "x", version: 9 };
      const outcomes = await store.commit([
        requestOf([], { acquire: wish("execution:1") }),
        requestOf([], { acquire: wish("r2"), changes: [{ table: "commands", op: "update", key: { command_id: "x" }, set: { kind: "y" } }] }),
        requestOf([], { acquire: wish("r3"), fence }),
        requestOf([], { acquire: wish("r4") }),
      ]);
      expect(outcomes.map((_, index) => outcomeOf(outcomes, index))).toEqual(["CLAIM_LOST", "FOLD_FAILED", "CLAIM_LOST", "ok"]);
      expect((await store.findClaims(["execution:1", "r2", "r3", "r4"])).map((claim) => [claim.resource, claim.owner])).toEqual([
        ["execution:1", "a"],
        ["r4", "b"],
      ]);
    });
  });
}

function fenceCases(open: OpenStore): void {
  describe("fences", () => {
    test("a fence lets only the newest version write", async () => {
      const store = await open();
      const trace = await openTrace(store);
      const first = await taken(store, "a");
      const write = async (fence: Claim) => outcomeOf(await store.commit([requestOf([draftOf(trace)], { fence })]));
      expect(await write(first)).toBe("ok");
      const second = await taken(store, "a");
      expect(await write(first)).toBe("CLAIM_LOST");
      expect(await write({ ...second, owner: "b" })).toBe("CLAIM_LOST");
      expect(await write(second)).toBe("ok");
      expect((await store.findTrace(trace.traceId))?.events).toBe(3);
    });

    test("a release in a commit gives back its own version only", async () => {
      const store = await open();
      const old = await taken(store, "a");
      const current = await taken(store, "a");
      expect(outcomeOf(await store.commit([requestOf([], { release: old })]))).toBe("ok");
      expect(await store.findClaims(["execution:1"])).toEqual([current]);
      expect(outcomeOf(await store.commit([requestOf([], { fence: current, release: current })]))).toBe("ok");
      expect(await store.findClaims(["execution:1"])).toEqual([]);
      await store.releaseClaims([current]);
    });
  });
}
