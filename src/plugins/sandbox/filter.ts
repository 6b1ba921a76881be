// System-call filters: rules as data, assembled into the kernel's filter language. Which rules, seccomp.ts decides.
// Instructions and return values: linux/filter.h, linux/seccomp.h.

import { syscallMax, syscallNumber } from "./syscalls.ts";
import type { LinuxArch, SyscallName } from "./syscalls.ts";

/** A look at the low word of an argument (the high one with `high`), after `mask`: equal to one of `values`, or with `not`
 * to none of them. */
export type Look = { arg: number; high?: boolean; mask?: number; values: readonly number[]; not?: boolean };

export type Verdict = "allow" | "ask" | { errno: number };

/** Holds when all looks hold. The first rule of a call that holds counts; a call without one is allowed. */
export type FilterRule = { call: SyscallName; looks?: readonly Look[]; verdict: Verdict };

const code = { LOAD: 0x20, AND: 0x54, EQUAL: 0x15, GREATER: 0x25, NOT_LESS: 0x35, JUMP: 0x05, RETURN: 0x06 } as const;
const verdictWord = { KILL_PROCESS: 0x80000000, ERRNO: 0x00050000, ASK: 0x7fc00000, ALLOW: 0x7fff0000 } as const;
const auditArch = { x64: 0xc000003e, arm64: 0xc00000b7 } as const;
const data = { number: 0, arch: 4, arguments: 16 } as const;
const ENOSYS = 38;

type Instruction = { code: number; yes: number; no: number; word: number };

const instruction = (operation: number, word: number, [yes, no]: readonly [number, number] = [0, 0]): Instruction => ({
  code: operation,
  yes,
  no,
  word,
});
const answer = (verdict: Verdict): Instruction => instruction(code.RETURN, wordOf(verdict));

function wordOf(verdict: Verdict): number {
  if (verdict === "allow") return verdictWord.ALLOW;
  return verdict === "ask" ? verdictWord.ASK : verdictWord.ERRNO | verdict.errno;
}

/** Assembles a filter. `closed`: a foreign architecture kills, and calls that are too new do not exist. */
export function assembleFilter(rules: readonly FilterRule[], arch: LinuxArch, { closed }: { closed: boolean }): Uint8Array {
  const program: Instruction[] = [
    instruction(code.LOAD, data.arch),
    instruction(code.EQUAL, auditArch[arch], [1, 0]),
    instruction(code.RETURN, closed ? verdictWord.KILL_PROCESS : verdictWord.ALLOW),
    instruction(code.LOAD, data.number),
  ];
  // Also what x86-64 marks as the x32 interface: its numbers have a high bit.
  if (closed) program.push(instruction(code.GREATER, syscallMax, [0, 1]), answer({ errno: ENOSYS }));
  program.push(...searchTree([...bodies(rules, arch)].toSorted(([a], [b]) => a - b)));
  return encode(program);
}

type Entry = readonly [number: number, body: readonly Instruction[]];
/** So few are tried one after the other. */
const leafSize = 3;

/** Finds a number by halving: the kernel walks the filter for every system call there is when it is installed, and for
 * those with looks at each call. */
function searchTree(entries: readonly Entry[]): Instruction[] {
  if (entries.length <= leafSize) {
    const tried = entries.flatMap(([number, body]) => [instruction(code.EQUAL, number, [0, body.length]), ...body]);
    return [...tried, answer("allow")];
  }
  const middle = entries.length >> 1;
  const [left, right] = [searchTree(entries.slice(0, middle)), searchTree(entries.slice(middle))];
  const from = entries[middle]?.[0] ?? 0;
  return [instruction(code.NOT_LESS, from, [0, 1]), instruction(code.JUMP, left.length), ...left, ...right];
}

/** For each system call's number what decides about it; it always ends in a verdict. */
function bodies(rules: readonly FilterRule[], arch: LinuxArch): Map<number, Instruction[]> {
  const byNumber = new Map<number, FilterRule[]>();
  for (const rule of rules) {
    const number = syscallNumber(rule.call, arch);
    if (number !== null) byNumber.set(number, [...(byNumber.get(number) ?? []), rule]);
  }
  return new Map([...byNumber].map(([number, ofCall]) => [number, [...ofCall.flatMap(ruleBody), ...tail(ofCall)]]));
}

function tail(rules: readonly FilterRule[]): Instruction[] {
  return rules.some(({ looks }) => looks === undefined) ? [] : [answer("allow")];
}

function ruleBody({ looks = [], verdict }: FilterRule): Instruction[] {
  let body = [answer(verdict)];
  for (const look of looks.toReversed()) body = [...lookBody(look, body.length), ...body];
  return body;
}

/** Falls through to what follows when the look holds, else leaps over it. */
function lookBody({ arg, high = false, mask, values, not = false }: Look, skipped: number): Instruction[] {
  const load = [instruction(code.LOAD, data.arguments + 8 * arg + (high ? 4 : 0)), ...(mask === undefined ? [] : [instruction(code.AND, mask)])];
  const compare = values.map((value, index) => {
    const left = values.length - index - 1;
    if (not) return instruction(code.EQUAL, value, [left + skipped, 0]);
    return instruction(code.EQUAL, value, [left, left === 0 ? skipped : 0]);
  });
  return [...load, ...compare];
}

function encode(program: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(program.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [index, { code: operation, yes, no, word }] of program.entries()) {
    view.setUint16(index * 8, operation, true);
    view.setUint8(index * 8 + 2, yes);
    view.setUint8(index * 8 + 3, no);
    view.setUint32(index * 8 + 4, word >>> 0, true);
  }
  return bytes;
}
