// The one write door. Commits that arrive together share a transaction; each keeps its own outcome.
import { assert, canonicalJson, fail, isObject, type Json, type JsonObject, limits, sha256Hex } from "../base/index.ts";
import type { EventDraft } from "../model/index.ts";
import type { Blob, Claim, ClaimFence, CommitOutcome, CommitRequest, CommittedEvent, LogLine, RowChange, Store, TraceSubject } from "../storage/index.ts";
import { checkPayload, definitionOf } from "./catalogue/index.ts";

/** What a caller wants written, all or nothing. */
export type LedgerCommit = {
  events: readonly EventDraft[];
  /** Who the trace is about, for traces that these events open. */
  opens?: ReadonlyMap<string, TraceSubject>;
  /** Changes of side tables that ride along. */
  sideChanges?: readonly RowChange[];
  expected?: ReadonlyMap<string, number>;
  fence?: ClaimFence;
  acquire?: { resource: string; owner: string; expiresAt: number; now: number };
  release?: ClaimFence;
  logs?: readonly LogLine[];
  blobs?: readonly Blob[];
};
export type LedgerReceipt = { events: CommittedEvent[]; claim: Claim | null; logIds: number[] };

/** Told after each transaction, in commit order. `external`: another process wrote; read the store to see what. */
export type LedgerListener = (news: { events: readonly CommittedEvent[]; logs: readonly LogLine[]; external: boolean }) => void;

type Waiting = { request: CommitRequest; operations: number; resolve: (receipt: LedgerReceipt) => void; reject: (error: unknown) => void };

const noOpens: ReadonlyMap<string, TraceSubject> = new Map();

export class Ledger {
  readonly #store: Store;
  readonly #schedule: (work: () => void) => void;
  readonly #listeners = new Set<LedgerListener>();
  #waiting: Waiting[] = [];
  #isFlushing = false;

  /** `schedule` runs work soon; what arrives before that shares the transaction. */
  constructor(deps: { store: Store; schedule: (work: () => void) => void }) {
    this.#store = deps.store;
    this.#schedule = deps.schedule;
  }

  /**
   * Appends the events, folds them, and resolves when all of it is durable.
   * @throws CLAIM_LOST, ALREADY_EXISTS, FOLD_FAILED, STORE_UNAVAILABLE; INTERNAL for an event that does not fit its schema
   */
  async commit(wish: LedgerCommit): Promise<LedgerReceipt> {
    const request = prepare(wish);
    for (const blob of request.blobs ?? []) if (blob.bytes.byteLength > limits.blobRowBytesMax) await this.#store.writeBlobFile(blob);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ request, operations: request.events.length + (request.logs?.length ?? 0) + 1, resolve, reject });
      if (!this.#isFlushing) {
        this.#isFlushing = true;
        this.#schedule(() => void this.#flush());
      }
    });
  }

  /** Resolves when everything that was handed in before is durable. */
  async settle(): Promise<void> {
    while (this.#isFlushing) await new Promise<void>((resolve) => this.#schedule(resolve));
  }

  listen(listener: LedgerListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Tells listeners that another process wrote. */
  announceExternal(): void {
    for (const listener of this.#listeners) listener({ events: [], logs: [], external: true });
  }

  async #flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#takeBatch();
      try {
        const outcomes = await this.#store.commit(batch.map((waiting) => waiting.request));
        this.#settleBatch(batch, outcomes);
      } catch (error) {
        for (const waiting of batch) waiting.reject(error);
      }
    }
    this.#isFlushing = false;
  }

  #takeBatch(): Waiting[] {
    let operations = 0;
    let count = 0;
    for (const waiting of this.#waiting) {
      if (count > 0 && operations + waiting.operations > limits.commitOperationsMax) break;
      operations += waiting.operations;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  #settleBatch(batch: readonly Waiting[], outcomes: readonly CommitOutcome[]): void {
    const events: CommittedEvent[] = [];
    const logs: LogLine[] = [];
    for (const [index, waiting] of batch.entries()) {
      const outcome = outcomes[index];
      assert(outcome !== undefined, "one outcome per request");
      if (!outcome.ok) {
        waiting.reject(outcome.error);
        continue;
      }
      events.push(...outcome.events);
      logs.push(...(waiting.request.logs ?? []));
      waiting.resolve({ events: outcome.events, claim: outcome.claim, logIds: outcome.logIds });
    }
    if (events.length > 0 || logs.length > 0) for (const listener of this.#listeners) listener({ events, logs, external: false });
  }
}

function prepare(wish: LedgerCommit): CommitRequest {
  const blobs: Blob[] = [...(wish.blobs ?? [])];
  const events = wish.events.map((draft) => externalise(draft, blobs));
  const changes: RowChange[] = [];
  for (const event of events) {
    checkPayload(event);
    changes.push(...definitionOf(event.type).project(event));
  }
  changes.push(...(wish.sideChanges ?? []));
  const request: CommitRequest = { events, opens: wish.opens ?? noOpens, changes, blobs };
  if (wish.expected !== undefined) request.expected = wish.expected;
  if (wish.fence !== undefined) request.fence = wish.fence;
  if (wish.acquire !== undefined) request.acquire = wish.acquire;
  if (wish.release !== undefined) request.release = wish.release;
  if (wish.logs !== undefined) request.logs = wish.logs;
  return request;
}

/** Moves large members of the payload into blobs; the payload then holds `{"$artifact": sha256}`. */
function externalise(draft: EventDraft, blobs: Blob[]): EventDraft {
  let out: EventDraft | null = null;
  for (const [name, value] of Object.entries(draft.payload)) {
    if (!mayBeLarge(value)) continue;
    const text = canonicalJson(value);
    if (text.length <= limits.payloadValueBytesMax && Buffer.byteLength(text) <= limits.payloadValueBytesMax) continue;
    const sha256 = sha256Hex(text);
    blobs.push({ sha256, bytes: new TextEncoder().encode(text), contentType: "application/json" });
    out ??= { ...draft, payload: { ...draft.payload }, artifacts: [...(draft.artifacts ?? [])] };
    out.payload[name] = { $artifact: sha256 };
    out.artifacts?.push({ name, uri: `artifact:${sha256}`, sha256, content_type: "application/json" });
  }
  return out ?? draft;
}

/** A cheap look before the exact measure: most payload members are a few bytes. */
function mayBeLarge(value: Json | undefined, budget = { left: 4096 }): boolean {
  if (typeof value === "string") budget.left -= value.length;
  else if (Array.isArray(value)) for (const item of value) if (mayBeLarge(item, budget)) return true;
  budget.left -= 8;
  if (isObject(value)) {
    for (const [key, member] of Object.entries(value)) {
      budget.left -= key.length;
      if (mayBeLarge(member as Json, budget)) return true;
    }
  }
  return budget.left < 0;
}

/** Puts the values of `{"$artifact": sha256}` members back. @throws BLOB_NOT_FOUND */
export async function restorePayload(store: Store, payload: JsonObject): Promise<JsonObject> {
  let out: JsonObject | null = null;
  for (const [name, value] of Object.entries(payload)) {
    const sha256 = artifactOf(value);
    if (sha256 === null) continue;
    out ??= { ...payload };
    out[name] = await readJsonBlob(store, sha256);
  }
  return out ?? payload;
}

/** The digest of a value that was moved into a blob, else null. */
export function artifactOf(value: unknown): string | null {
  return isObject(value) && typeof value["$artifact"] === "string" && Object.keys(value).length === 1 ? value["$artifact"] : null;
}

/** @throws BLOB_NOT_FOUND */
export async function readJsonBlob(store: Store, sha256: string): Promise<Json> {
  return JSON.parse(new TextDecoder().decode(await readBlob(store, sha256))) as Json;
}

/** @throws BLOB_NOT_FOUND */
export async function readBlob(store: Store, sha256: string): Promise<Uint8Array> {
  const blob = await store.findBlob(sha256);
  if (blob === null) throw fail("BLOB_NOT_FOUND", `Cannot read blob "${sha256}": it is not in the store`);
  return blob.bytes;
}
