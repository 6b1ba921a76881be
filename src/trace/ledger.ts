// The one write door. Commits that arrive together share a transaction; each keeps its own outcome.
import { assert, limits } from "../base/index.ts";
import type { EventDraft } from "../model/index.ts";
import type {
  Blob,
  BlobFile,
  Claim,
  ClaimFence,
  CommitOutcome,
  CommitRequest,
  CommittedEvent,
  KeyRotation,
  LogLine,
  RowChange,
  Store,
  TraceSubject,
} from "../storage/index.ts";
import { checkDraft, definitionOf } from "./catalogue/index.ts";
import { coalesce } from "./coalesce.ts";
import { externalise, toStorable } from "./payload.ts";

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
  /** Blobs that the store took in before and that these events name. */
  blobFiles?: readonly BlobFile[];
  /** Id of the key that encrypted rows among the side changes; another one by now: SECRET_KEY_WRONG. */
  sealedWith?: string;
  rotation?: KeyRotation;
  /** The trace that the first event is the tombstone of; ALREADY_EXISTS when it is removed already. */
  buries?: string;
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

  /** One batch at a time: between two of them the event loop gets its turn. */
  async #flush(): Promise<void> {
    const batch = await this.#withFiles(this.#takeBatch());
    try {
      this.#settleBatch(batch, await this.#store.commit(batch.map((waiting) => waiting.request)));
    } catch (error) {
      for (const waiting of batch) waiting.reject(error);
    }
    this.#isFlushing = this.#waiting.length > 0;
    if (this.#isFlushing) this.#schedule(() => void this.#flush());
  }

  /** Writes the blobs that are files; who has one that cannot be written is out. */
  async #withFiles(batch: readonly Waiting[]): Promise<Waiting[]> {
    const ready: Waiting[] = [];
    for (const waiting of batch) {
      try {
        for (const blob of waiting.request.blobs ?? []) if (blob.bytes.byteLength > limits.blobRowBytesMax) await this.#store.writeBlobFile(blob);
        ready.push(waiting);
      } catch (error) {
        waiting.reject(error);
      }
    }
    return ready;
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
  const changes: RowChange[] = [];
  const events = wish.events.map((draft) => {
    const storable = toStorable(draft);
    checkDraft(storable.draft);
    // Folded as it is stored, so that folding again gives the same rows.
    const event = externalise(storable, blobs);
    changes.push(...definitionOf(event.type).project(event));
    return event;
  });
  changes.push(...(wish.sideChanges ?? []));
  const request: CommitRequest = { events, opens: wish.opens ?? noOpens, changes: coalesce(changes), blobs };
  if (wish.expected !== undefined) request.expected = wish.expected;
  if (wish.fence !== undefined) request.fence = wish.fence;
  if (wish.acquire !== undefined) request.acquire = wish.acquire;
  if (wish.release !== undefined) request.release = wish.release;
  if (wish.logs !== undefined) request.logs = wish.logs;
  if (wish.blobFiles !== undefined) request.blobFiles = wish.blobFiles;
  if (wish.sealedWith !== undefined) request.sealedWith = wish.sealedWith;
  if (wish.rotation !== undefined) request.rotation = wish.rotation;
  if (wish.buries !== undefined) request.buries = wish.buries;
  return request;
}
