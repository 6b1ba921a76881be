// Warm workers of one engine: few of a kind, started when they are needed, ended when nobody needs them. One kind is what `WarmSpec`
// says: workers are never shared between plugin versions, workflows or grants.
import { limits } from "../../base/index.ts";
import type { WarmSpec } from "./warm-fit.ts";
import { type WarmFolderDeps, WarmFolders } from "./warm-folder.ts";
import { WarmWorker, type WarmWorkerDeps } from "./warm-worker.ts";

export type WarmPoolDeps = Omit<WarmWorkerDeps, "folders"> & WarmFolderDeps;

/** The workers of one kind. */
type Pool = { all: Set<WarmWorker>; idle: WarmWorker[]; waiting: Set<() => void> };

export class WarmPool {
  readonly #deps: WarmPoolDeps;
  readonly #folders: WarmFolders;
  readonly #pools = new Map<string, Pool>();
  /** Also those that are being ended. */
  readonly #living = new Set<WarmWorker>();
  readonly #timers = new Map<WarmWorker, ReturnType<typeof setTimeout>>();
  #isClosed = false;

  constructor(deps: WarmPoolDeps) {
    this.#deps = deps;
    this.#folders = new WarmFolders(deps);
  }

  /** A worker that serves nobody else until `release`; null when all are busy for longer than a cold start takes.
   * @throws what a worker's start fails with */
  async lease(spec: WarmSpec): Promise<WarmWorker | null> {
    const until = this.#deps.clock.now() + limits.warmWaitMs;
    for (;;) {
      if (this.#isClosed) return null;
      const worker = this.#takeIdle(spec.key) ?? this.#start(spec);
      if (worker !== null) return worker;
      const leftMs = until - this.#deps.clock.now();
      if (leftMs <= 0) return null;
      await this.#wait(this.#poolOf(spec.key), leftMs);
    }
  }

  /** Gives a worker back, which is ended when it is not to serve another call. */
  release(worker: WarmWorker): void {
    const pool = this.#pools.get(worker.key);
    if (pool === undefined || !worker.isUsable || this.#isClosed) return this.#retire(worker, pool);
    pool.idle.push(worker);
    const timer = setTimeout(() => this.#retire(worker, pool), limits.warmIdleMs);
    timer.unref();
    this.#timers.set(worker, timer);
    wakeOne(pool);
  }

  /** Ends all workers; resolves when they are gone. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const workers = [...this.#living];
    for (const worker of workers) worker.kill();
    await Promise.allSettled(workers.map((worker) => worker.gone));
    this.#folders.close();
  }

  #takeIdle(key: string): WarmWorker | null {
    const pool = this.#pools.get(key);
    // The one that served last has its memory at hand, and the others may reach their idle end.
    for (let worker = pool?.idle.pop(); worker !== undefined; worker = pool?.idle.pop()) {
      this.#stopTimer(worker);
      if (worker.isUsable) return worker;
    }
    return null;
  }

  #start(spec: WarmSpec): WarmWorker | null {
    const pool = this.#poolOf(spec.key);
    if (pool.all.size >= spec.most || !this.#makeRoom()) return null;
    const worker = new WarmWorker({ ...this.#deps, folders: this.#folders }, spec);
    pool.all.add(worker);
    this.#living.add(worker);
    const forget = (): void => {
      this.#living.delete(worker);
      this.#forget(worker, pool);
    };
    worker.gone.then(forget, forget);
    return worker;
  }

  /** Whether there may be one more of all kinds; the one that was idle longest makes room. */
  #makeRoom(): boolean {
    const count = [...this.#pools.values()].reduce((sum, pool) => sum + pool.all.size, 0);
    if (count < limits.warmWorkersMax) return true;
    const [oldest] = this.#timers.keys();
    if (oldest === undefined) return false;
    this.#retire(oldest, this.#poolOf(oldest.key));
    return true;
  }

  /** Ends it; another one may take its place at once. */
  #retire(worker: WarmWorker, pool: Pool | undefined): void {
    worker.kill();
    if (pool !== undefined) this.#forget(worker, pool);
  }

  #forget(worker: WarmWorker, pool: Pool): void {
    this.#stopTimer(worker);
    pool.all.delete(worker);
    pool.idle = pool.idle.filter((one) => one !== worker);
    wakeOne(pool);
    const isOver = pool.all.size === 0 && pool.waiting.size === 0;
    if (isOver && this.#pools.get(worker.key) === pool) this.#pools.delete(worker.key);
  }

  #stopTimer(worker: WarmWorker): void {
    clearTimeout(this.#timers.get(worker));
    this.#timers.delete(worker);
  }

  #poolOf(key: string): Pool {
    const known = this.#pools.get(key);
    if (known !== undefined) return known;
    const pool: Pool = { all: new Set(), idle: [], waiting: new Set() };
    this.#pools.set(key, pool);
    return pool;
  }

  async #wait(pool: Pool, ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    pool.waiting.add(resolve);
    await promise;
    pool.waiting.delete(resolve);
    clearTimeout(timer);
  }
}

function wakeOne(pool: Pool): void {
  const [first] = pool.waiting;
  if (first === undefined) return;
  pool.waiting.delete(first);
  first();
}
