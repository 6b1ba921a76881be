// What a file trigger knows already: which version of which file it has seen to. Kept in the store, where servers find out who was first.
import { limits } from "../../base/index.ts";
import type { RowChange } from "../../storage/index.ts";
import type { AppContext } from "../context.ts";
import { wasTaken } from "./due-runs.ts";
import type { SeenFile } from "./watched-places.ts";

type Named = { workflow: string; trigger: string };

const pageSize = 1000;
/** Changes of one commit that can wait. */
const batchSize = 500;

export class KnownFiles {
  readonly #context: AppContext;
  readonly #at: Named;
  readonly #versions = new Map<string, string>();

  constructor(context: AppContext, at: Named) {
    this.#context = context;
    this.#at = at;
  }

  has({ path, version }: SeenFile): boolean {
    return this.#versions.get(path) === version;
  }

  /** Reads what there is, once the trigger has looked for the first time: what lies there by then is known, and never fires. */
  async open(places: string, files: () => Promise<Iterable<SeenFile>>): Promise<void> {
    const { store, ledger, clock } = this.#context;
    const { workflow, trigger } = this.#at;
    const watch = await store.findWatch(workflow, trigger);
    await this.#load();
    if (watch?.places === places) return;
    const first: RowChange =
      watch === null
        ? { table: "watches", op: "insert", row: { workflow, trigger, places, since: clock.now() } }
        : { table: "watches", op: "update", key: { workflow, trigger, places: watch.places }, set: { places, since: clock.now() } };
    const rows = [...(await files())].filter((file) => !this.has(file)).map((file) => this.take(file));
    // Another server may have looked first; then that is what is known.
    await ledger.commit({ events: [], sideChanges: [first, ...rows] }).catch(unlessTaken);
    await this.#load();
  }

  async #load(): Promise<void> {
    this.#versions.clear();
    for await (const row of this.#rows()) this.#versions.set(row.path, row.version);
  }

  /** The change that takes a version of a file: refused when another server took one since. */
  take({ path, version }: SeenFile): RowChange {
    const before = this.#versions.get(path);
    const row = { ...this.#at, path, version, gone_at: null };
    return before === undefined
      ? { table: "watched_files", op: "insert", row }
      : { table: "watched_files", op: "update", key: { ...this.#at, path, version: before }, set: { version, gone_at: null } };
  }

  note({ path, version }: SeenFile): void {
    this.#versions.set(path, version);
  }

  /** Reads again what is known of a file. */
  async refresh(path: string): Promise<void> {
    const row = await this.#context.store.findWatchedFile({ ...this.#at, path });
    if (row === null) this.#versions.delete(path);
    else this.#versions.set(path, row.version);
  }

  /**
   * Forgets files that have been gone for a month, and notes which are gone since. Not at once: a network folder that was away for a while
   * must not look as if all of its files were new.
   */
  async tidy(present: ReadonlyMap<string, SeenFile>): Promise<void> {
    const { clock, ledger } = this.#context;
    const now = clock.now();
    const changes: RowChange[] = [];
    for await (const { workflow, trigger, path, version, gone_at } of this.#rows()) {
      const key = { workflow, trigger, path, version };
      const isThere = present.has(path);
      if (!isThere && gone_at !== null && gone_at < now - limits.goneFileMsMax) {
        changes.push({ table: "watched_files", op: "delete", key });
        this.#versions.delete(path);
      } else if (isThere === (gone_at !== null)) changes.push({ table: "watched_files", op: "update", key, set: { gone_at: isThere ? null : now } });
    }
    for (let at = 0; at < changes.length; at += batchSize)
      await ledger.commit({ events: [], sideChanges: changes.slice(at, at + batchSize) }).catch(unlessTaken);
  }

  async *#rows() {
    for (let afterPath = ""; ; ) {
      const page = await this.#context.store.listWatchedFiles({ ...this.#at, afterPath, limit: pageSize });
      yield* page;
      const last = page.at(-1);
      if (last === undefined || page.length < pageSize) return;
      afterPath = last.path;
    }
  }
}

function unlessTaken(cause: unknown): void {
  if (!wasTaken(cause)) throw cause;
}
