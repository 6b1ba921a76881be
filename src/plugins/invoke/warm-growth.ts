// How much a warm worker has grown: what one call leaks must not become the memory error of a later one.
import { readFileSync } from "node:fs";
import type { Clock } from "../../base/index.ts";
import type { ProcessHandle } from "../runtimes/index.ts";

/** A call this short takes a few megabytes at most (measured 1.3 GB/s): of such calls only some are looked at. */
const shortMs = 2;
const lookEvery = 16;
/** Of the room that the program had to begin with, so much is to be left; and more than it took of late. */
const shareMin = 0.25;
const stepsMin = 1.5;

/** One figure of the worker against its bound, in bytes. */
type Room = { pattern: RegExp; bytesMax: number; atFirst: number | null; last: number };

export class Growth {
  readonly #handle: Pick<ProcessHandle, "descendants">;
  readonly #rooms: Room[];
  #pid: number | null = null;
  readonly #clock: Clock;
  #lookedAt: number;

  /** `used`: of what is really used. `reserved`: of what was asked for, used or not (RLIMIT_DATA). */
  constructor(handle: Pick<ProcessHandle, "descendants">, { used, reserved, clock }: { used: number; reserved: number; clock: Clock }) {
    this.#handle = handle;
    this.#clock = clock;
    this.#lookedAt = clock.now();
    this.#rooms = [
      { pattern: /^RssAnon:\s+(\d+) kB/m, bytesMax: used, atFirst: null, last: 0 },
      { pattern: /^VmData:\s+(\d+) kB/m, bytesMax: reserved, atFirst: null, last: 0 },
    ];
  }

  /** Whether its limit is near. To be asked at the end of each call. */
  isLarge(calls: number): boolean {
    const now = this.#clock.now();
    if (this.#pid !== null && now - this.#lookedAt < shortMs * lookEvery && calls % lookEvery !== 0) return false;
    this.#lookedAt = now;
    const status = this.#read();
    return this.#rooms.map((room) => isNearlyFull(room, status)).includes(true);
  }

  #read(): string {
    this.#pid ??= this.#handle.descendants()[0] ?? null;
    try {
      return readFileSync(`/proc/${this.#pid}/status`, "latin1");
    } catch {
      return ""; // it is gone
    }
  }
}

function isNearlyFull(room: Room, status: string): boolean {
  const bytes = Number(room.pattern.exec(status)?.[1] ?? 0) * 1024;
  const step = room.atFirst === null ? 0 : bytes - room.last;
  room.atFirst ??= bytes;
  room.last = bytes;
  return room.bytesMax - bytes < Math.max(shareMin * (room.bytesMax - room.atFirst), stepsMin * step);
}
