// The tombstones of a store, and whether they account for every event that is missing: how many, and where.
import { isObject } from "../base/index.ts";
import type { Store } from "../storage/index.ts";

const tombstoneType = "trace.ledger.pruned";

/** What the system trace says of a trace that left. */
export type Tombstone = { traceId: string; count: number; firstSeq: number; lastSeq: number };

type Stretch = { from: number; to: number };

/** All tombstones that follow an event: those of the system trace alone, wherever else one may stand. */
export class Tombstones {
  readonly #byTrace = new Map<string, Tombstone>();
  /** Where their events were, in order, without overlaps. */
  #stretches: Stretch[] = [];
  /** A trace that has two: one of them is not true. */
  doubled: string | null = null;

  /** @param afterSeq 0 for all */
  static async read(store: Store, afterSeq: number): Promise<Tombstones> {
    const all = new Tombstones();
    const system = await store.systemTraceId();
    const page = { types: [tombstoneType], limit: 2000 };
    let sequence = -1;
    let seq = afterSeq;
    for (;;) {
      // Of all, the system trace's own index; of the newest, those after a place.
      const place = afterSeq === 0 ? { traceId: system, afterSequence: sequence } : { afterSeq: seq };
      const events = await store.listEvents({ ...page, ...place });
      for (const event of events) if (event.traceId === system) all.#add(event.body);
      const last = events.at(-1);
      if (last === undefined || events.length < page.limit) break;
      [sequence, seq] = [last.sequence, last.seq];
    }
    all.#stretches = merge([...all.#byTrace.values()]);
    return all;
  }

  has(traceId: string): boolean {
    return this.#byTrace.has(traceId);
  }

  /** Whether events may be missing there. */
  covers({ from, to }: Stretch): boolean {
    let low = 0;
    let high = this.#stretches.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const stretch = this.#stretches[middle];
      if (stretch === undefined) return false;
      if (to > stretch.to) low = middle + 1;
      else if (from < stretch.from) high = middle - 1;
      else return true;
    }
    return false;
  }

  /** How many events have left, when so many of each trace are still there; null when there are more than a tombstone counts. */
  countMissing(presentOf: (traceId: string) => number): number | null {
    let missing = 0;
    for (const { traceId, count } of this.#byTrace.values()) {
      const present = presentOf(traceId);
      if (present > count) return null;
      missing += count - present;
    }
    return missing;
  }

  #add(body: string): void {
    const tombstone = parse(body);
    if (tombstone === null) return;
    if (this.#byTrace.has(tombstone.traceId)) this.doubled ??= tombstone.traceId;
    this.#byTrace.set(tombstone.traceId, tombstone);
  }
}

/** Null for one that was not written by us: it accounts for nothing. */
function parse(body: string): Tombstone | null {
  const event: unknown = JSON.parse(body);
  const payload = isObject(event) ? event["payload"] : null;
  if (!isObject(payload)) return null;
  const { trace_id: traceId, count, first_seq: firstSeq, last_seq: lastSeq } = payload;
  const numbers = [count, firstSeq, lastSeq];
  if (typeof traceId !== "string" || !numbers.every((value) => Number.isSafeInteger(value))) return null;
  const tombstone = { traceId, count: Number(count), firstSeq: Number(firstSeq), lastSeq: Number(lastSeq) };
  return tombstone.count >= 1 && tombstone.lastSeq - tombstone.firstSeq + 1 >= tombstone.count ? tombstone : null;
}

function merge(tombstones: readonly Tombstone[]): Stretch[] {
  const merged: Stretch[] = [];
  for (const { firstSeq: from, lastSeq: to } of tombstones.toSorted((a, b) => a.firstSeq - b.firstSeq)) {
    const last = merged.at(-1);
    if (last !== undefined && from <= last.to + 1) last.to = Math.max(last.to, to);
    else merged.push({ from, to });
  }
  return merged;
}
