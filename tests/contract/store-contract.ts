// The contract of a store, written against the port alone: every implementation runs this same suite.
import { afterEach, describe } from "bun:test";
import type { Store } from "../../src/storage/index.ts";
import { blobCases } from "./blob-cases.ts";
import { claimCases } from "./claim-cases.ts";
import { commitCases } from "./commit-cases.ts";
import { deliveryCases } from "./delivery-cases.ts";
import { eventCases } from "./event-cases.ts";
import { logCases } from "./log-cases.ts";
import { removalCases } from "./removal-cases.ts";
import { rowCases } from "./row-cases.ts";
import { scheduleCases } from "./schedule-cases.ts";
import { secretCases } from "./secret-cases.ts";
import { sharedCases } from "./shared-cases.ts";

export type OpenStore = () => Promise<Store>;

/** `open` gives an empty store; `again` a second connection to the same one, where it can have two. What is opened is closed here. */
export function describeStore(name: string, open: OpenStore, again?: (first: Store) => Promise<Store>): void {
  const opened: Store[] = [];
  const kept = async (opening: Promise<Store>): Promise<Store> => {
    const store = await opening;
    opened.push(store);
    return store;
  };
  describe(`store contract: ${name}`, () => {
    afterEach(async () => {
      for (const store of opened.splice(0)) await store.close();
    });
    const openKept = () => kept(open());
    commitCases(openKept);
    claimCases(openKept);
    eventCases(openKept);
    logCases(openKept);
    blobCases(openKept);
    rowCases(openKept);
    secretCases(openKept);
    scheduleCases(openKept);
    deliveryCases(openKept);
    removalCases(openKept);
    if (again !== undefined) sharedCases(openKept, (first) => kept(again(first)));
  });
}
