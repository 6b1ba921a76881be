// What goes wrong between an engine and its store: crashes around commits, refused commits, slow disks, frozen processes.
import { fail } from "../../src/base/index.ts";
import type { CommittedEvent, CommitRequest, Store } from "../../src/storage/index.ts";
import { seededRandom, type TimeOwner } from "../flow/fake-time.ts";
import type { World } from "../flow/world.ts";

/**
 * Before or after the commit is durable, `crash`: the process dies; `refuse`: the store throws, but the process lives;
 * `freeze`: the process stands still for `ms`, longer than a lease lasts.
 */
export type Fault = { kind: "crash" | "refuse" | "freeze"; when: "before" | "after"; ms?: number };

export type Faults = {
  /** Asked once for each commit of an engine, with its number from 0. */
  at(commit: number): Fault | null;
  /** How long the disk takes for it, in milliseconds. */
  delayOf(commit: number): number;
};

/** A few faults of any kind at commits that the seed chooses, on a disk that may be slow. The first commits are hit most. */
export function randomFaults(seed: number): Faults {
  const random = seededRandom(Math.imul(seed, 7919) + 13);
  const isSlow = random() < 0.4;
  const kinds: Fault["kind"][] = ["crash", "crash"];
  if (random() < 0.2) kinds.push("freeze");
  if (random() < 0.4) kinds.push("refuse");
  const share = 0.05 + random() * 0.2;
  const first = Math.floor(random() * 8);
  let left = 6;
  return {
    at: (commit) => {
      if (left === 0 || (commit !== first && random() > share)) return null;
      left -= 1;
      const when = random() < 0.5 ? "before" : "after";
      const kind = commit === first ? "crash" : (kinds[Math.floor(random() * kinds.length)] ?? "crash");
      return { kind, when, ms: 16_000 + Math.floor(random() * 9000) };
    },
    delayOf: () => (isSlow && random() < 0.3 ? Math.floor(random() * 400) : 0),
  };
}

export const noFaults: Faults = { at: () => null, delayOf: () => 0 };

/** Everything that reached the store, in order, as only the disk knows it. */
export class Disk {
  readonly #faults: Faults;
  commits = 0;
  crashes = 0;
  refusals = 0;
  freezes = 0;
  readonly written: CommittedEvent[] = [];
  onCrash: (owner: TimeOwner) => void = () => undefined;

  constructor(faults: Faults) {
    this.#faults = faults;
  }

  /** The store as one process sees it. A dead process gets no answer any more. */
  wrap(store: Store, process: { owner: TimeOwner }, world: () => World): Store {
    const { owner } = process;
    const commit = (requests: readonly CommitRequest[]) => this.#commit(store, { owner, requests, world: world() });
    const answer = async (value: unknown) => {
      const result = await value;
      return owner.isDead ? never() : result;
    };
    return new Proxy({ ...store, commit } as Store, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== "function") return member;
        return (...args: unknown[]) => (owner.isDead ? never() : answer(Reflect.apply(member, target, args)));
      },
    });
  }

  async #commit(store: Store, at: { owner: TimeOwner; requests: readonly CommitRequest[]; world: World }): ReturnType<Store["commit"]> {
    const { owner, requests, world } = at;
    const number = this.commits;
    this.commits += 1;
    const fault = this.#faults.at(number);
    const delay = this.#faults.delayOf(number);
    if (delay > 0) await world.time.sleep(owner, delay);
    if (fault?.when === "before") await this.#strike(fault, owner, world);
    const outcomes = await store.commit(requests);
    for (const outcome of outcomes) if (outcome.ok) this.written.push(...outcome.events);
    if (fault?.when === "after") await this.#strike(fault, owner, world);
    return outcomes;
  }

  async #strike(fault: Fault, owner: TimeOwner, world: World): Promise<void> {
    if (fault.kind === "crash") {
      this.crashes += 1;
      world.crash({ owner });
      this.onCrash(owner);
      return never();
    }
    if (fault.kind === "refuse") {
      this.refusals += 1;
      throw fail("STORE_UNAVAILABLE", "The disk said no");
    }
    this.freezes += 1;
    owner.frozenUntil = world.time.now + (fault.ms ?? 20_000);
    await world.time.sleep(owner, 0);
  }
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}
