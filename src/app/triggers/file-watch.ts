// One file trigger of this process: looks when the kernel says that something changed, and every few seconds since network folders say
// nothing; starts an execution for each version of a file that has come to rest.
import { type FSWatcher, watch } from "node:fs";
import { isCoded, type Json, toErrorBody, toIso } from "../../base/index.ts";
import type { Caller, FileTrigger } from "../../model/index.ts";
import type { AppContext } from "../context.ts";
import { wasTaken } from "./due-runs.ts";
import { KnownFiles } from "./known-files.ts";
import { startByTrigger } from "./start.ts";
import { digestOf, lookAt, type Look, placesOf, type SeenFile, seeAgain } from "./watched-places.ts";

export type FileWatchDeps = { context: AppContext; caller: Caller; onTrouble: (text: string) => void };
export type Watched = { workflow: string; folder: string | null; trigger: FileTrigger };

/** Without a word from the kernel. */
const pollMs = 3000;
/** What changes comes in bursts. */
const gatherMs = 50;
/** A look takes at most this part of the time. */
const restFactor = 4;
/** A file that was last written before it came here was put there whole; it is seen twice all the same, since clocks of file servers may differ. */
const secondLookMs = 250;
const tidyMs = 86_400_000;
const startsMax = 16;

/** A file whose version has not come to rest yet, and since when it is seen. */
type Candidate = { file: SeenFile; since: number };

export class FileWatch {
  readonly #deps: FileWatchDeps;
  readonly #watched: Watched;
  readonly #known: KnownFiles;
  readonly #candidates = new Map<string, Candidate>();
  readonly #watchers = new Map<string, FSWatcher>();
  #isOpen = false;
  #tidiedAt = 0;
  #timer: unknown = null;
  #timerAt = Number.POSITIVE_INFINITY;
  #lookedUntil = 0;
  #lookTook = 0;
  #looking: Promise<void> | null = null;
  /** Something changed while it looked. */
  #isAskedAgain = false;
  #isStopped = false;
  /** Said once, until something else is wrong: with the places, and with starts. */
  readonly #told = { places: "", starts: "" };

  constructor(deps: FileWatchDeps, watched: Watched) {
    this.#deps = deps;
    this.#watched = watched;
    this.#known = new KnownFiles(deps.context, { workflow: watched.workflow, trigger: watched.trigger.id });
  }

  start(): void {
    this.#wakeAt(this.#deps.context.clock.now());
  }

  /** Looks no more; resolves when what was being started is durable. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#deps.context.timers.clear(this.#timer);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
    await this.#looking;
  }

  #wakeAt(wanted: number): void {
    const { clock, timers } = this.#deps.context;
    const at = Math.max(wanted, this.#lookedUntil + restFactor * this.#lookTook, clock.now());
    if (this.#isStopped || at >= this.#timerAt) return;
    timers.clear(this.#timer);
    this.#timerAt = at;
    this.#timer = timers.set(at, () => {
      this.#timerAt = Number.POSITIVE_INFINITY;
      if (this.#looking !== null) this.#isAskedAgain = true;
      else this.#looking = this.#look().finally(() => (this.#looking = null));
    });
  }

  async #look(): Promise<void> {
    const { clock } = this.#deps.context;
    const began = clock.now();
    let next = began + pollMs;
    try {
      const places = placesOf(this.#watched.trigger, this.#watched.folder);
      const look = await lookAt(places);
      this.#lookTook = clock.now() - began;
      if (this.#isStopped) return;
      this.#tellProblems(look);
      this.#watchFolders(look);
      if (!this.#isOpen) await this.#known.open(digestOf(places), async () => look.files.values());
      this.#isOpen = true;
      await this.#startAll(this.#settle(look));
      if (look.problems.length === 0 && this.#tidiedAt < began - tidyMs) {
        this.#tidiedAt = began;
        await this.#known.tidy(look.files);
      }
      next = this.#nextLook(clock.now());
    } catch (cause) {
      this.#tell("places", `${toErrorBody(cause).code}: ${toErrorBody(cause).message}`);
    }
    this.#lookedUntil = clock.now();
    this.#wakeAt(this.#isAskedAgain ? this.#lookedUntil : next);
    this.#isAskedAgain = false;
  }

  /** Files that have come to rest, oldest first. */
  #settle({ files }: Look): SeenFile[] {
    const now = this.#deps.context.clock.now();
    for (const path of this.#candidates.keys()) if (!files.has(path)) this.#candidates.delete(path);
    for (const [path, file] of files) {
      if (this.#known.has(file)) this.#candidates.delete(path);
      else if (this.#candidates.get(path)?.file.version !== file.version) this.#candidates.set(path, { file, since: now });
    }
    const settled = [...this.#candidates.values()].filter((candidate) => this.#restsAt(candidate) <= now).map(({ file }) => file);
    return settled.toSorted((a, b) => a.mtime - b.mtime || (a.path < b.path ? -1 : 1));
  }

  #restsAt({ file, since }: Candidate): number {
    const { settleMs } = this.#watched.trigger;
    const seenTwice = since + Math.min(settleMs, secondLookMs);
    return Math.min(since + settleMs, Math.max(seenTwice, file.mtime + settleMs));
  }

  /** What could not be started is tried again with the next poll. */
  #nextLook(now: number): number {
    const times = [...this.#candidates.values()].map((candidate) => this.#restsAt(candidate)).filter((at) => at > now);
    return times.reduce((first, at) => Math.min(first, at), now + pollMs);
  }

  async #startAll(files: readonly SeenFile[]): Promise<void> {
    for (let at = 0; at < files.length && !this.#isStopped; at += startsMax)
      await Promise.all(files.slice(at, at + startsMax).map((file) => this.#startOne(file)));
  }

  async #startOne(file: SeenFile): Promise<void> {
    const { context, caller } = this.#deps;
    const { workflow, trigger } = this.#watched;
    // It may have gone, or grown, while others were started.
    if ((await seeAgain(file.path))?.version !== file.version) return;
    const { path, name, size, mtime } = file;
    const body: Json = { path, name, size, mtime: toIso(mtime) };
    const data = { body, headers: {}, query: {} };
    try {
      const start = { workflow, trigger, scheduledAt: null, data, onMisfit: "create" } as const;
      await startByTrigger(context, caller, { ...start, sideChanges: () => [this.#known.take(file)] });
      this.#known.note(file);
      this.#tell("starts", "");
    } catch (cause) {
      await this.#takeRefusal(file, cause);
    }
    if (this.#known.has(file)) this.#candidates.delete(path);
  }

  async #takeRefusal({ path }: SeenFile, cause: unknown): Promise<void> {
    // Also where the start itself failed after the first event was durable.
    await this.#known.refresh(path);
    if (wasTaken(cause) || this.#isStopped || (isCoded(cause) && gone.includes(cause.code))) return;
    this.#tell("starts", `${toErrorBody(cause).code}: ${toErrorBody(cause).message}`);
  }

  #watchFolders({ folders }: Look): void {
    const wanted = new Set([...folders].map(([folder, id]) => `${id} ${folder}`));
    for (const [key, watcher] of this.#watchers) {
      if (wanted.has(key)) continue;
      watcher.close();
      this.#watchers.delete(key);
    }
    for (const [folder, id] of folders) if (!this.#watchers.has(`${id} ${folder}`)) this.#watchFolder(folder, `${id} ${folder}`);
  }

  /** Where the kernel has no more watches to give, looking every few seconds has to do. */
  #watchFolder(folder: string, key: string): void {
    try {
      const watcher = watch(folder, { persistent: false }, () => this.#wakeAt(this.#deps.context.clock.now() + gatherMs));
      watcher.on("error", () => {
        watcher.close();
        this.#watchers.delete(key);
      });
      this.#watchers.set(key, watcher);
    } catch {
      this.#watchers.delete(key);
    }
  }

  #tellProblems({ problems }: Look): void {
    this.#tell("places", problems.map(({ code, message }) => `${code}: ${message}`).join("; "));
  }

  #tell(of: "places" | "starts", text: string): void {
    if (text === this.#told[of]) return;
    this.#told[of] = text;
    if (text !== "") this.#deps.onTrouble(`Trigger "${this.#watched.trigger.id}" of "${this.#watched.workflow}": ${text}`);
  }
}

/** The workflow was changed, and who told the watch of it is on the way. */
const gone: readonly string[] = ["WORKFLOW_NOT_FOUND", "WORKFLOW_DISABLED", "TRIGGER_NOT_FOUND"];
