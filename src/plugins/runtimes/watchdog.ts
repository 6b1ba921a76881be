// Watches running trees for what no kernel limit counts here: memory, processes and disk of a whole tree. It only tells.
import type { Clock } from "../../base/index.ts";
import { measureFolders } from "./folder-size.ts";
import { measureUnlinked } from "./open-files.ts";
import { countThreads, listDescendants, measureMemory } from "./tree-usage.ts";

export type Over = "memory" | "processes" | "disk";

export type WatchAsk = {
  /** The supervisor's: it is not counted itself. Null: no tree of this machine's is watched, only its folders. */
  pid: number | null;
  /** Of the whole tree; null: no limit. */
  memoryBytes: number | null;
  /** Of the whole tree, threads counted as the kernel does, our own keepers below `pid` included; null: no limit. */
  processes: number | null;
  disk: { folders: readonly string[]; bytes: number } | null;
  /** Called once, for the first limit that is passed; the caller ends the tree. Nothing is watched after it. */
  onOver: (what: Over, measured: number) => void;
};

export type Watch = { close(): void };
export type Watchdog = { watch(ask: WatchAsk): Watch; close(): void };

/** Tasks that end sooner cost nothing. */
const firstLookMs = 50;
const lookMsMin = 20;
const lookMsMax = 250;
/** How fast a task can take memory and start processes at most (measured 1.3 GB/s): tells when the next look must be. */
const bytesPerMs = 2_000_000;
const processesPerMs = 1;
const diskMs = 1000;
/** Trees without a limit of processes are walked no further. */
const processesMax = 4096;

type Entry = { ask: WatchAsk; nextAt: number; diskAt: number; isMeasuringDisk: boolean };

/** One timer for all trees. */
export function createWatchdog({ clock }: { clock: Clock }): Watchdog {
  const entries = new Set<Entry>();
  let timer: ReturnType<typeof setTimeout> | null = null;
  let timerAt = 0;

  const plan = (): void => {
    const nextAt = Math.min(...[...entries].map((entry) => entry.nextAt));
    if (timer !== null && (timerAt <= nextAt || entries.size === 0)) return;
    if (timer !== null) clearTimeout(timer);
    timerAt = nextAt;
    timer = entries.size === 0 ? null : setTimeout(lookAtAll, Math.max(0, nextAt - clock.now()));
    timer?.unref();
  };
  const lookAtAll = (): void => {
    timer = null;
    for (const entry of [...entries].filter((one) => one.nextAt <= clock.now())) look(entry);
    plan();
  };
  const tell = (entry: Entry, what: Over, measured: number): void => {
    if (entries.delete(entry)) entry.ask.onOver(what, measured);
  };
  const look = (entry: Entry): void => {
    const { ask } = entry;
    const now = clock.now();
    const pids = ask.pid === null ? [] : listDescendants(ask.pid, ask.processes === null ? processesMax : ask.processes + 1);
    const threads = ask.processes === null ? 0 : countThreads(pids);
    if (ask.processes !== null && threads > ask.processes) return tell(entry, "processes", threads);
    const memory = ask.memoryBytes === null ? 0 : measureMemory(pids, ask.memoryBytes);
    if (ask.memoryBytes !== null && memory > ask.memoryBytes) return tell(entry, "memory", memory);
    const headrooms = [
      ask.memoryBytes === null ? lookMsMax : (ask.memoryBytes - memory) / bytesPerMs,
      ask.processes === null ? lookMsMax : (ask.processes - threads) / processesPerMs,
    ];
    entry.nextAt = now + Math.min(lookMsMax, Math.max(lookMsMin, Math.min(...headrooms)));
    if (ask.disk !== null && !entry.isMeasuringDisk && now >= entry.diskAt) void measureDisk(entry, ask.disk, pids);
  };
  const measureDisk = async (entry: Entry, disk: NonNullable<WatchAsk["disk"]>, pids: readonly number[]): Promise<void> => {
    const startedAt = clock.now();
    entry.isMeasuringDisk = true;
    const named = await measureFolders(disk.folders, disk.bytes);
    const bytes = named > disk.bytes ? named : named + (await measureUnlinked(pids, disk.folders, disk.bytes - named));
    entry.isMeasuringDisk = false;
    // Large trees are looked at less often: never more than a fifth of the time.
    entry.diskAt = clock.now() + Math.max(diskMs, 4 * (clock.now() - startedAt));
    if (bytes > disk.bytes) tell(entry, "disk", bytes);
  };
  return {
    watch(ask) {
      const now = clock.now();
      const entry: Entry = { ask, nextAt: now + firstLookMs, diskAt: now + diskMs, isMeasuringDisk: false };
      entries.add(entry);
      plan();
      return { close: () => void entries.delete(entry) };
    },
    close() {
      entries.clear();
      if (timer !== null) clearTimeout(timer);
      timer = null;
    },
  };
}
