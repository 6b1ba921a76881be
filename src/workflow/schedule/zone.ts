// Clocks on the wall: the offset of a named time zone at a moment, its changes, and the moments at which a wall clock shows a time.
// A wall time is written as the milliseconds that the same figures mean in UTC.

const formats = new Map<string, Intl.DateTimeFormat>();
/** Formats are large (some tens of KB); workflows name few zones. */
const formatsMax = 100;
const figures = /^(\d+)\/(\d+)\/(\d+), (\d+):(\d+):(\d+)$/;

/** Shows the figures of a wall clock in a zone. */
export function formatOf(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone);
  if (known !== undefined) return known;
  const made = new Intl.DateTimeFormat("en-US", {
    timeZone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  if (formats.size >= formatsMax) formats.clear();
  formats.set(timeZone, made);
  return made;
}

/** How far the zone's wall clock is ahead of UTC at a moment, in milliseconds. */
export function offsetAt(timeZone: string, at: number): number {
  if (timeZone === "UTC") return 0;
  const second = Math.floor(at / 1000) * 1000;
  const match = figures.exec(formatOf(timeZone).format(second));
  if (match === null) return 0;
  const [, month = 1, day = 1, year = 1970, hour = 0, minute = 0, seconds = 0] = match.map(Number);
  return Date.UTC(year, month - 1, day, hour, minute, seconds) - second;
}

/** No zone changes its clocks and changes them back within so long; nor is any change larger. */
const calmMs = 2 * 86_400_000;
/** Longer apart than any two changes that undo each other are close: the shortest known pair is some thirty days. */
const strideMs = 7 * 86_400_000;

/** The first moment in (from, to] at which the zone's offset is another than just before; null where there is none. */
export function nextChange(timeZone: string, from: number, to: number): number | null {
  const before = offsetAt(timeZone, from);
  for (let low = from; low < to; low = Math.min(low + strideMs, to)) {
    const high = Math.min(low + strideMs, to);
    if (offsetAt(timeZone, high) !== before) return bisect(timeZone, low, high);
  }
  return null;
}

/** The change between two moments of different offset; zones change at whole seconds. */
function bisect(timeZone: string, from: number, to: number): number {
  const before = offsetAt(timeZone, from);
  let low = Math.floor(from / 1000);
  let high = Math.ceil(to / 1000);
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetAt(timeZone, middle * 1000) === before) low = middle;
    else high = middle;
  }
  return high * 1000;
}

/**
 * When the wall clock first shows a time, in milliseconds. For one that a change leaves out it is the moment of the change.
 * Never earlier for a later wall time.
 */
export function firstMoment(timeZone: string, wall: number): number {
  const early = offsetAt(timeZone, wall - calmMs);
  const late = offsetAt(timeZone, wall + calmMs);
  if (early === late) return wall - early;
  const change = bisect(timeZone, wall - calmMs, wall + calmMs);
  if (wall < change + early) return wall - early;
  return wall < change + late ? change : wall - late;
}
