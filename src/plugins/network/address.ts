// IP addresses as numbers: one spelling for each, networks, and which addresses are nobody's public ones. Pure.
import { isIPv6 } from "node:net";

/** IPv4-mapped IPv6 addresses are IPv4 here, as they are to the kernel. */
export type Address = { family: 4 | 6; value: bigint };
export type AddressRange = Address & { prefix: number };

const byte = "(?:0|[1-9]\\d{0,2})";
const dotted = new RegExp(`^${byte}(?:\\.${byte}){3}$`);
const mappedPrefix = 0xffffn;

/** An address in its usual spelling (IPv6 without brackets and zone), null for anything else: `127.1` is none. */
export function parseAddress(text: string): Address | null {
  if (dotted.test(text)) {
    const parts = text.split(".").map(Number);
    return parts.every((part) => part <= 255) ? { family: 4, value: joinBits(parts, 8n) } : null;
  }
  if (text.includes("%") || !isIPv6(text)) return null;
  const value = joinBits(groupsOf(text), 16n);
  return value >> 32n === mappedPrefix ? { family: 4, value: value & 0xffffffffn } : { family: 6, value };
}

function joinBits(parts: readonly number[], width: bigint): bigint {
  return parts.reduce((sum, part) => (sum << width) | BigInt(part), 0n);
}

/** The eight groups of a valid IPv6 address. */
function groupsOf(text: string): number[] {
  const [head = "", tail] = text.split("::");
  const left = readGroups(head);
  if (tail === undefined) return left;
  const right = readGroups(tail);
  return [...left, ...Array.from({ length: 8 - left.length - right.length }, () => 0), ...right];
}

function readGroups(text: string): number[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    if (!group.includes(".")) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split(".").map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}

/** `10.0.0.0/8`, `fd00::/8` or a single address; null for anything else. */
export function parseRange(text: string): AddressRange | null {
  const [start = "", length, ...more] = text.split("/");
  const address = parseAddress(start);
  if (address === null || more.length > 0) return null;
  const bits = address.family === 4 ? 32 : 128;
  if (length === undefined) return { ...address, prefix: bits };
  // A mapped address with a prefix counts from the wrong end: nobody means that.
  const isMapped = address.family === 4 && start.includes(":");
  return /^\d{1,3}$/.test(length) && Number(length) <= bits && !isMapped ? { ...address, prefix: Number(length) } : null;
}

export function isInRange(address: Address, range: AddressRange): boolean {
  if (address.family !== range.family) return false;
  const rest = BigInt((range.family === 4 ? 32 : 128) - range.prefix);
  return address.value >> rest === range.value >> rest;
}

/** The usual spelling, IPv6 without brackets. */
export function formatAddress({ family, value }: Address): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 255n)).join(".");
  const groups = Array.from({ length: 8 }, (_, index) => ((value >> BigInt(16 * (7 - index))) & 0xffffn).toString(16));
  // The URL standard's serializer shortens the longest run of zeros.
  return new URL(`http://[${groups.join(":")}]/`).hostname.slice(1, -1);
}

/** As the host of `host:port`. */
export function formatHost(address: Address): string {
  return address.family === 4 ? formatAddress(address) : `[${formatAddress(address)}]`;
}

const ranges = (texts: readonly string[]): AddressRange[] => texts.map(parseRange).filter((range) => range !== null);

// IANA's special-purpose registries (RFC 6890 and after), and the metadata services that have an ordinary address.
const special4 = ranges([
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "168.63.129.16/32",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/3",
]);
const global6 = ranges(["2000::/3"]);
/** Parts of the global block that lead elsewhere: Teredo and the other protocol assignments, documentation, 6to4. */
const special6 = ranges(["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"]);

/** Whether an address is anything but a public unicast one: private, loopback, link-local, multicast, a translation of another … */
export function isSpecialAddress(address: Address): boolean {
  const within = (list: readonly AddressRange[]) => list.some((range) => isInRange(address, range));
  return address.family === 4 ? within(special4) : !within(global6) || within(special6);
}
