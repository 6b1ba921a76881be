// The form of a plan on descriptor 4: steps and the bytes they point to, as launcher.c reads them, and the report it
// writes back into the same file. What the steps are is decided in plan.ts and nowhere else.

import { syscallNumber } from "./syscalls.ts";
import type { LinuxArch, SyscallName } from "./syscalls.ts";

/** An argument: a number, an address inside the blob, or what an earlier step returned. */
export type Argument = number | { blob: number } | { slot: number };

export type Step =
  | { kind: "syscall"; call: SyscallName; args: readonly Argument[]; result?: number; mayFail?: boolean; for?: string }
  /** `count` blob offsets at `table` become addresses: argument and environment lists. */
  | { kind: "pointers"; table: number; count: number }
  /** Fails with ESRCH unless both are equal. */
  | { kind: "expect"; what: string; actual: Argument; expected: Argument }
  /** The child goes on with the next step, the parent supervises; `proc` is the parent's descriptor of /proc, `closes`
   * has a bit for each descriptor that the parent closes. */
  | { kind: "fork"; flags: number; proc: Argument; closes: number }
  /** Writes a result as a 32-bit word into the blob. */
  | { kind: "store"; at: Argument; value: Argument }
  /** The child goes on, the parent keeps it: answers its system-call filter until its end (keeper.h). */
  | { kind: "keep"; flags: number; keeper: Argument; signals: Argument; ready: Argument };

/** A plan in the making: layers append steps, and bytes through `addBytes` and `addText`. A step's `for` is the path it is about. */
export type PlanDraft = { steps: Step[]; blob: Uint8Array[]; blobBytes: number };

/** What the launcher left in the plan: a failed step, the task's first process or its keeper, the task's wait status once
 * the tree is gone. */
export type LaunchReport = {
  failed: { step: number; errno: number } | null;
  pid: number | null;
  status: number | null;
};

const magic = 0x314b4150;
const headerBytes = 48;
const stepBytes = 64;
const kinds = { syscall: 0, pointers: 1, expect: 2, fork: 3, store: 4, keep: 5 } as const;
/** Results that nobody asked for go to the last slot. */
const slotUnused = 255;

/** Bytes of the head of a plan, which is all that `parseReport` needs. */
export const reportBytes = headerBytes;

export function startDraft(): PlanDraft {
  return { steps: [], blob: [], blobBytes: 0 };
}

/** Appends bytes to the blob on an 8-byte boundary and returns the argument that points to them. */
export function addBytes(draft: PlanDraft, bytes: Uint8Array): { blob: number } {
  const offset = draft.blobBytes;
  const padded = (bytes.length + 7) & ~7;
  const chunk = padded === bytes.length ? bytes : new Uint8Array(padded);
  if (chunk !== bytes) chunk.set(bytes);
  draft.blob.push(chunk);
  draft.blobBytes += padded;
  return { blob: offset };
}

/** Appends text as a C string. */
export function addText(draft: PlanDraft, text: string): { blob: number } {
  return addBytes(draft, Buffer.from(`${text}\0`));
}

/** Appends a list of C strings that ends in a null pointer, as execve wants its arguments and environment. */
export function addTextList(draft: PlanDraft, texts: readonly string[]): { blob: number } {
  const table = new Uint32Array((texts.length + 1) * 2);
  for (const [index, text] of texts.entries()) writeWord(table, index * 2, addText(draft, text).blob);
  const { blob } = addBytes(draft, new Uint8Array(table.buffer));
  draft.steps.push({ kind: "pointers", table: blob, count: texts.length });
  return { blob };
}

/** The plan's bytes for one architecture. Both are little endian, as is every machine that a plan is made on. */
export function encodePlan(draft: PlanDraft, arch: LinuxArch): Uint8Array {
  const blobOffset = headerBytes + draft.steps.length * stepBytes;
  const plan = new Uint8Array(blobOffset + draft.blobBytes);
  const words = new Uint32Array(plan.buffer, 0, blobOffset >> 2);
  words[0] = magic;
  words[1] = draft.steps.length;
  words[2] = blobOffset;
  let word = headerBytes >> 2;
  for (const step of draft.steps) {
    writeStep(words, word, { step, arch });
    word += stepBytes >> 2;
  }
  let at = blobOffset;
  for (const chunk of draft.blob) {
    plan.set(chunk, at);
    at += chunk.length;
  }
  return plan;
}

/** Reads the report out of the first `reportBytes` of a plan. */
export function parseReport(head: Uint8Array): LaunchReport {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const word = (offset: number) => view.getUint32(offset, true);
  return {
    failed: word(16) === 0 ? null : { step: word(20), errno: word(24) },
    pid: word(28) === 0 ? null : word(28),
    status: word(32) === 0 ? null : word(40) === 0 ? word(36) : word(44),
  };
}

function writeStep(words: Uint32Array, word: number, { step, arch }: { step: Step; arch: LinuxArch }): void {
  const result = step.kind === "syscall" ? (step.result ?? slotUnused) : slotUnused;
  let flags = (result << 24) | (step.kind === "syscall" && step.mayFail === true ? 1 << 16 : 0);
  const given = argumentsOf(step);
  for (let index = 0; index < given.length; index++) {
    const argument = given[index] ?? 0;
    const at = word + 4 + index * 2;
    if (typeof argument === "number") writeWord(words, at, argument);
    else if ("blob" in argument) {
      flags |= 1 << index;
      writeWord(words, at, argument.blob);
    } else {
      flags |= 1 << (8 + index);
      writeWord(words, at, argument.slot);
    }
  }
  words[word] = kinds[step.kind];
  words[word + 1] = flags >>> 0;
  if (step.kind === "syscall") writeWord(words, word + 2, syscallNumber(step.call, arch) ?? -1);
}

function argumentsOf(step: Step): readonly Argument[] {
  switch (step.kind) {
    case "syscall":
      return step.args;
    case "pointers":
      return [{ blob: step.table }, step.count];
    case "expect":
      return [step.actual, step.expected];
    case "fork":
      return [step.flags, step.proc, step.closes];
    case "store":
      return [step.at, step.value];
    case "keep":
      return [step.flags, step.keeper, step.signals, step.ready];
  }
}

/** A 64-bit word from a safe integer, negative ones in two's complement; a bigint for each would cost more than the plan. */
function writeWord(words: Uint32Array, at: number, value: number): void {
  words[at] = value >>> 0;
  words[at + 1] = Math.floor(value / 2 ** 32) >>> 0;
}
