// What the keeper tells, read from the notice pipe: records of assets/sandbox/keeper.h, by the rules of the plan.

import { normalize } from "node:path";
import type { Notice } from "./confinement.ts";
import type { KeeperRule } from "./keeper.ts";
import { newNamespaces } from "./seccomp.ts";
import type { SyscallName } from "./syscalls.ts";

const headBytes = 32;
const recordBytesMax = 4096;
const O_ACCMODE = 3;
const O_CREAT = 0o100;
const O_TRUNC = 0o1000;
const O_DIRECTORY_ONLY = 0o20200000; // O_TMPFILE holds O_DIRECTORY
const family = { UNIX: 1, INET: 2, INET6: 10 } as const;
/** The name cache that the C library asks first; hardly any machine has one. */
const nameCache = /^unix:\/(?:var\/)?run\/nscd\//;

const network = new Set<SyscallName>(["socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "sendto", "sendmsg", "sendmmsg"]);
const programs = new Set<SyscallName>(["execve", "execveat", "fork", "vfork", "clone"]);
const openings = new Set<SyscallName>(["open", "openat", "openat2"]);

/** Turns the pipe's bytes into notices; `push` takes them as they come. `mode` says whether what is told was denied. */
export class NoticeReader {
  readonly #rules: readonly KeeperRule[];
  readonly #isObserved: boolean;
  #rest: Buffer = Buffer.alloc(0);
  /** Records that the keeper could not write because nobody read. */
  lost = 0;

  constructor(rules: readonly KeeperRule[], mode: "enforce" | "observe") {
    this.#rules = rules;
    this.#isObserved = mode === "observe";
  }

  push(chunk: Uint8Array): Notice[] {
    let bytes = this.#rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk]);
    const notices: Notice[] = [];
    while (bytes.length >= headBytes) {
      const size = bytes.readUInt32LE(0);
      // Only the keeper writes here; were it wrong, nothing that follows could be trusted.
      if (size < headBytes || size > recordBytesMax) {
        bytes = Buffer.alloc(0);
        break;
      }
      if (bytes.length < size) break;
      const notice = this.#parse(bytes.subarray(0, size));
      if (notice !== null) notices.push(notice);
      bytes = bytes.subarray(size);
    }
    this.#rest = Buffer.from(bytes);
    return notices;
  }

  #parse(record: Buffer): Notice | null {
    const rule = this.#rules[record.readUInt32LE(4)];
    if (rule === undefined) return null;
    this.lost = record.readUInt32LE(12);
    const flags = record.readUInt32LE(16);
    const found = record.readUInt32LE(24) === 1;
    const { call } = rule;
    const denied = !this.#isObserved;
    const text = record.subarray(headBytes);
    if (network.has(call)) {
      const target = call === "socket" ? renderSocket(record.readUInt32LE(20), flags & 15) : text.length === 0 ? null : renderAddress(text);
      const isNoise = target !== null && nameCache.test(target);
      const isOther = this.#isObserved && target === null;
      return isNoise || isOther ? null : { denied, call, kind: "network", target, access: null };
    }
    const target = text.length === 0 ? null : normalize(text.toString());
    if (call === "clone" && (flags & newNamespaces) !== 0) return { denied, call, kind: "syscall", target: null, access: null };
    if (programs.has(call)) {
      if (this.#isObserved && !found) return null;
      return { denied, call, kind: "run", target, access: null };
    }
    if (rule.path === undefined && target?.startsWith("/") !== true) return { denied, call, kind: "syscall", target: null, access: null };
    return this.#parseFile({ call, target, flags, found, denied });
  }

  /** A file that was looked for and is not there says nothing about what a task needs. */
  #parseFile({ call, target, flags, found, denied }: Seen): Notice | null {
    // The flags of openat2 lie in the task's memory.
    const isWrite = !openings.has(call) || (call !== "openat2" && isWriting(flags));
    if (this.#isObserved && (target === null || !target.startsWith("/"))) return null;
    if (this.#isObserved && !found && !isWrite) return null;
    return { denied, call, kind: "filesystem", target, access: isWrite ? "write" : "read" };
  }
}

type Seen = { call: SyscallName; target: string | null; flags: number; found: boolean; denied: boolean };

function isWriting(flags: number): boolean {
  return (flags & O_ACCMODE) !== 0 || (flags & (O_CREAT | O_TRUNC)) !== 0 || (flags & O_DIRECTORY_ONLY) === O_DIRECTORY_ONLY;
}

/** A socket that was asked for: `udp`, `raw`, or the number of a family that hardly anybody means. */
function renderSocket(domain: number, kind: number): string | null {
  if (domain === family.UNIX) return "unix";
  if (domain !== family.INET && domain !== family.INET6) return `family ${domain}`;
  return { 1: "tcp", 2: "udp", 3: "raw" }[kind] ?? null;
}

/** `127.0.0.1:5432`, `[::1]:80`, `unix:/path`, `unix:@abstract`; null for other kinds of address. */
function renderAddress(address: Buffer): string | null {
  if (address.length < 2) return null;
  const kind = address.readUInt16LE(0);
  if (kind === family.INET && address.length >= 8) return `${[...address.subarray(4, 8)].join(".")}:${address.readUInt16BE(2)}`;
  if (kind === family.INET6 && address.length >= 24) return `[${renderV6(address.subarray(8, 24))}]:${address.readUInt16BE(2)}`;
  if (kind !== family.UNIX) return null;
  const name = address.subarray(2);
  if (name[0] === 0) return `unix:@${name.subarray(1).toString()}`;
  const end = name.indexOf(0);
  return `unix:${name.subarray(0, end < 0 ? name.length : end).toString()}`;
}

function renderV6(bytes: Buffer): string {
  const words = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  return new URL(`http://[${words.join(":")}]/`).hostname.slice(1, -1);
}
