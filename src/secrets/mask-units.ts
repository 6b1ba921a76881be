// The part of a text that is searched at the moment: its units as numbers, and hashes of any run of them in constant time.

/** Of the forms that are searched for, at most. */
export const formUnitsMax = 1024;
const blockUnits = 8192;

/** Lengths of beginnings by which forms are turned down: at each step up about half of what is left is passed by. */
const steps = [8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024];

export function levelsFor(window: number, lengthMax: number): number[] {
  return [window, ...steps.filter((length) => length > window && length <= lengthMax)];
}

/** How many of the levels a text of so many units has. */
export function reachOf(levels: readonly number[], length: number): number {
  let count = 0;
  while (count < levels.length && (levels[count] ?? 0) <= length) count += 1;
  return count;
}

const factor = 0x01000193;
const powers = new Int32Array(formUnitsMax + 1);
powers[0] = 1;
for (let at = 1; at <= formUnitsMax; at += 1) powers[at] = Math.imul(powers[at - 1] ?? 0, factor);

/** Of a text up to `to`, where `hash` is the one up to `from`. */
export function hashOf(text: string, from: number, to: number, hash: number): number {
  let sum = hash;
  for (let at = from; at < to; at += 1) sum = (Math.imul(sum, factor) + text.charCodeAt(at) + 1) | 0;
  return sum;
}

/** Spread over all bits, and different at each level. */
export function mixed(hash: number, level: number): number {
  const one = Math.imul(hash ^ (hash >>> 15) ^ Math.imul(level + 1, 0x9e3779b1), 0x2c1b3c6d);
  const two = Math.imul(one ^ (one >>> 13), 0x297a2d39);
  return two ^ (two >>> 16);
}

/** Texts are searched as numbers in an array: twice as fast as `charCodeAt`, and as fast whatever else the program did with texts before. */
const bytesRead = Buffer.alloc((blockUnits + 2 * formUnitsMax + 1) * 2);

export class Loaded {
  /** From 1 on: the unit before the first may be read. */
  readonly units = new Uint16Array(bytesRead.buffer, bytesRead.byteOffset, bytesRead.length / 2);
  /** Where in the text the first one stands. */
  base = 0;
  count = 0;
  /** Offsets before this one may be searched: a form that begins there is there as a whole, or the text ends before. */
  from = 0;
  #text = "";
  readonly #hashes = new Int32Array(bytesRead.length / 2 + 1);
  #hashedFrom = 0;
  #hashedTo = 0;

  has(text: string, place: number): boolean {
    return place >= this.base && place - this.base < this.from && text === this.#text;
  }

  load(text: string, place: number): void {
    const part = place === 0 && text.length <= blockUnits + formUnitsMax ? text : text.slice(place, place + blockUnits + formUnitsMax);
    this.#text = text;
    this.base = place;
    this.count = bytesRead.write(part, 2, "utf16le") / 2;
    this.from = place + this.count === text.length ? this.count : this.count - formUnitsMax;
    this.#hashedFrom = this.#hashedTo = 0;
    this.#hashes[0] = 0;
  }

  /** Of the units from an offset on; 1024 at most. */
  hash(offset: number, length: number): number {
    const hashes = this.#hashes;
    if (offset > this.#hashedTo || offset < this.#hashedFrom) {
      this.#hashedFrom = this.#hashedTo = offset;
      hashes[offset] = 0;
    }
    const end = offset + length;
    for (let at = this.#hashedTo; at < end; at += 1) hashes[at + 1] = (Math.imul(hashes[at] ?? 0, factor) + (this.units[at + 1] ?? 0) + 1) | 0;
    if (end > this.#hashedTo) this.#hashedTo = end;
    return ((hashes[end] ?? 0) - Math.imul(hashes[offset] ?? 0, powers[length] ?? 0)) | 0;
  }
}

const loaded = new Loaded();

/** The units around a place; good until the next call. */
export function loadUnits(text: string, place: number): Loaded {
  if (!loaded.has(text, place)) loaded.load(text, place);
  return loaded;
}
