// Network entries: `host:port`, `*.host:port`, `host:*`, `cidr:port`. What is well-formed, what covers what, and what two have in common.

/** Stands for every host and port. No block may say it: only `--allow-all` does. */
export const anyNetwork = "*:*";

const label = "[a-z0-9_](?:[a-z0-9_-]{0,62})";
const hostName = new RegExp(`^${label}(?:\\.${label})*$`);
const hostLengthMax = 253;

const byte = "(?:0|[1-9]\\d?|1\\d\\d|2[0-4]\\d|25[0-5])";
const dotted = new RegExp(`^${byte}(?:\\.${byte}){3}$`);
const bitsOf = { 4: 32, 6: 128 } as const;

type Range = { family: 4 | 6; value: bigint; prefix: number };
/** `text` is the one spelling of the host: lower case, no final dot, addresses shortened. */
type Host = { kind: "any" } | { kind: "name" | "suffix"; text: string } | { kind: "range"; range: Range };
type NetworkEntry = { host: Host; port: number | null };

function join(parts: readonly number[], width: bigint): bigint {
  return parts.reduce((sum, part) => (sum << width) | BigInt(part), 0n);
}

/** IPv4-mapped IPv6 addresses are IPv4 here, as they are to the kernel. `isBracketed`: IPv6 stands in brackets. */
function readAddress(text: string, isBracketed: boolean): Pick<Range, "family" | "value"> | null {
  if (!isBracketed) return dotted.test(text) ? { family: 4, value: join(text.split(".").map(Number), 8n) } : null;
  const url = `http://[${text}]/`;
  if (!/^[0-9a-f:.]+$/i.test(text) || !URL.canParse(url)) return null;
  // The URL standard's serializer gives every address one spelling, without dots.
  const [head = "", tail] = new URL(url).hostname.slice(1, -1).split("::");
  const groups = (part: string | undefined) => (part === undefined || part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16)));
  const [left, right] = [groups(head), groups(tail)];
  const value = join([...left, ...Array.from({ length: 8 - left.length - right.length }, () => 0), ...right], 16n);
  return value >> 32n === 0xffffn ? { family: 4, value: value & 0xffffffffn } : { family: 6, value };
}

function readRange(text: string): Range | null {
  const isBracketed = text.startsWith("[") && text.endsWith("]");
  const [start = "", length, ...more] = (isBracketed ? text.slice(1, -1) : text).split("/");
  const address = readAddress(start, isBracketed);
  if (address === null || more.length > 0) return null;
  const bits = bitsOf[address.family];
  if (length === undefined) return { ...address, prefix: bits };
  // A mapped network counts from the wrong end: nobody means that.
  const isFit = /^(?:0|[1-9]\d{0,2})$/.test(length) && Number(length) <= bits && isBracketed === (address.family === 6);
  return isFit ? { ...address, prefix: Number(length) } : null;
}

/** Resolvers read `127.1`, `0x7f.1` and `010.0.0.1` as addresses: a name whose last label is a number is none. */
function isOddAddress(name: string): boolean {
  return /^(?:\d+|0x[0-9a-f]*)$/.test(name.slice(name.lastIndexOf(".") + 1));
}

function readHost(text: string): Host | null {
  if (text === "*") return { kind: "any" };
  const range = readRange(text);
  if (range !== null) return { kind: "range", range };
  const isSuffix = text.startsWith("*.");
  const name = (isSuffix ? text.slice(2) : text).toLowerCase().replace(/\.$/, "");
  if (name.length > hostLengthMax || !hostName.test(name) || isOddAddress(name)) return null;
  return { kind: isSuffix ? "suffix" : "name", text: name };
}

/** Undefined when it is no port; null for `*`. */
function readPort(text: string): number | null | undefined {
  if (text === "*") return null;
  return /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65_535 ? Number(text) : undefined;
}

function readEntry(entry: string): NetworkEntry | null {
  const colon = entry.lastIndexOf(":");
  const host = readHost(entry.slice(0, Math.max(0, colon)));
  const port = readPort(entry.slice(colon + 1));
  return host === null || port === undefined ? null : { host, port };
}

/** Why a network entry is malformed, null when it is well-formed. */
export function findNetworkProblem(entry: string): string | null {
  if (entry.includes("://")) return "names a URL; write host:port";
  const colon = entry.lastIndexOf(":");
  if (colon <= 0) return "has no port; write host:port";
  if (readPort(entry.slice(colon + 1)) === undefined) return "has no port from 1 to 65535";
  const host = entry.slice(0, colon);
  if (host === "*") return "allows every host; name one, or *.example.com";
  if (readHost(host) !== null) return null;
  return /^[\d.]+(?:\/\d*)?$/.test(host) ? "is no address; write four numbers from 0 to 255" : "is none of host:port, *.host:port, host:*, cidr:port";
}

function coversRange(wide: Range, narrow: Range): boolean {
  if (wide.family !== narrow.family || wide.prefix > narrow.prefix) return false;
  const rest = BigInt(bitsOf[wide.family] - wide.prefix);
  return wide.value >> rest === narrow.value >> rest;
}

function coversHost(wide: Host, narrow: Host): boolean {
  if (wide.kind === "any") return true;
  if (narrow.kind === "any") return false;
  if (wide.kind === "range") return narrow.kind === "range" && coversRange(wide.range, narrow.range);
  if (narrow.kind === "range") return false;
  if (wide.kind === "suffix") return narrow.text.endsWith(`.${wide.text}`) || (narrow.kind === "suffix" && narrow.text === wide.text);
  return narrow.kind === "name" && narrow.text === wide.text;
}

function covers(wide: NetworkEntry, narrow: NetworkEntry): boolean {
  return (wide.port === null || wide.port === narrow.port) && coversHost(wide.host, narrow.host);
}

/** Whether everything that `entry` names is granted by `grant`; false for what is malformed. */
export function coversNetwork(grant: string, entry: string): boolean {
  const wide = readEntry(grant);
  const narrow = readEntry(entry);
  return wide !== null && narrow !== null && covers(wide, narrow);
}

/** What both entries allow, null when nothing: the host of the narrower one with the narrower port. */
export function meetNetwork(a: string, b: string): string | null {
  const left = readEntry(a);
  const right = readEntry(b);
  if (left === null || right === null) return null;
  if (covers(left, right)) return b;
  if (covers(right, left)) return a;
  const host = coversHost(left.host, right.host) ? b : coversHost(right.host, left.host) ? a : null;
  if (host === null || (left.port !== null && right.port !== null && left.port !== right.port)) return null;
  return `${host.slice(0, host.lastIndexOf(":"))}:${left.port ?? right.port ?? "*"}`;
}
