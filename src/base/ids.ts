// Identifiers: UUID version 7 (RFC 9562), made by an injected source so that simulations repeat.

export interface Ids {
  /** A new UUIDv7, ascending within one process. */
  next(): string;
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Lower-case hyphenated UUID of any version. */
export function isUuid(text: string): boolean {
  return uuid.test(text);
}

export function isUuidV7(text: string): boolean {
  return uuid.test(text) && text[14] === "7" && "89ab".includes(text[19] ?? "");
}

/** Formats a UUIDv7 from milliseconds (48 bits) and two random parts of 12 and 62 bits. */
export function formatUuidV7(ms: number, low12: number, high62: bigint): string {
  const time = Math.floor(ms).toString(16).padStart(12, "0");
  const a = (0x7000 | (low12 & 0xfff)).toString(16);
  const rest = ((2n << 62n) | (high62 & ((1n << 62n) - 1n))).toString(16).padStart(16, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-${a}-${rest.slice(0, 4)}-${rest.slice(4)}`;
}
