// The few C library calls that Bun has no API for: pipes that are not sockets, files in memory, seals. Linux only.

import { dlopen, ptr, read } from "bun:ffi";
import { closeSync, writeSync } from "node:fs";
import { fail } from "../../base/index.ts";

/** glibc, then the names musl goes by. */
const libraryNames = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1", "libc.so"];

const O_CLOEXEC = 0o2000000;
const O_NONBLOCK = 0o4000;
const F_SETFL = 4;
const F_DUPFD_CLOEXEC = 1030;
const F_ADD_SEALS = 1033;
const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const MFD_NOEXEC_SEAL = 8;
const MFD_EXEC = 16;
/** No more seals, and the file keeps its size and its bytes. */
const SEALS = 1 | 2 | 4 | 8;
const EINVAL = 22;
/** A spawned process gets its descriptors at the lowest numbers, one after the other: what is passed on must lie above
 * them, or one would be replaced before it was copied. */
const lowestDescriptor = 16;

const symbols = {
  memfd_create: { args: ["ptr", "u32"], returns: "i32" },
  pipe2: { args: ["ptr", "i32"], returns: "i32" },
  fcntl: { args: ["i32", "i32", "i64"], returns: "i32" },
  __errno_location: { args: [], returns: "ptr" },
  syscall: { args: ["i64", "i64", "i64", "i64"], returns: "i64" },
} as const;

function openLibrary() {
  const causes: unknown[] = [];
  for (const name of libraryNames) {
    try {
      return dlopen(name, symbols).symbols;
    } catch (cause) {
      causes.push(cause);
    }
  }
  throw fail("SANDBOX_UNAVAILABLE", "Cannot start tasks: the C library cannot be opened", { cause: causes[0] });
}

let library: ReturnType<typeof openLibrary> | null = null;
function libc(): ReturnType<typeof openLibrary> {
  library ??= openLibrary();
  return library;
}

function errno(): number {
  const { __errno_location: locate } = libc();
  const location = locate();
  return location === null ? 0 : read.i32(location, 0);
}

function check(call: string, result: number): number {
  if (result >= 0) return result;
  const number = errno();
  throw fail("SANDBOX_UNAVAILABLE", `Cannot start tasks: ${call} failed with errno ${number}`, {
    details: { call, errno: number },
    hint: "Look at the limits on open files and on memory of the server's process.",
  });
}

/** A system call that the C library has no function for, with plain numbers; what it returns, negative when it failed. */
export function rawSyscall(number: number, [a, b, c]: readonly [number, number, number]): number {
  return Number(libc().syscall(number, a, b, c));
}

/** A pipe, both ends close-on-exec; the read end does not block, so that the event loop can wait for it. The write end does
 * unless `writeBlocks` is false: programs do not expect that of their output. */
export function openPipe({ writeBlocks = true }: { writeBlocks?: boolean } = {}): { read: number; write: number } {
  const ends = new Int32Array(2);
  check("pipe2", libc().pipe2(ptr(ends), O_CLOEXEC));
  const [readEnd = -1, writeEnd = -1] = ends;
  for (const end of writeBlocks ? [readEnd] : [readEnd, writeEnd]) check("fcntl", libc().fcntl(end, F_SETFL, O_NONBLOCK));
  return { read: readEnd, write: raise(writeEnd) };
}

/** A file in memory that holds the bytes, positioned at its start. It is not executable where the kernel can say so. */
export function openMemoryFile(name: string, bytes: Uint8Array): number {
  return writeAll(createMemoryFile(name, MFD_CLOEXEC, MFD_NOEXEC_SEAL), bytes);
}

/** A file in memory that nobody can change any more and that can be executed. */
export function openSealedProgram(name: string, bytes: Uint8Array): number {
  const file = writeAll(createMemoryFile(name, MFD_CLOEXEC | MFD_ALLOW_SEALING, MFD_EXEC), bytes);
  check("fcntl", libc().fcntl(file, F_ADD_SEALS, SEALS));
  return file;
}

/** Kernels before 6.3 refuse the executable flags; what they then create may be executed. */
function createMemoryFile(name: string, flags: number, executable: number): number {
  const cName = Buffer.from(`${name}\0`);
  const file = libc().memfd_create(ptr(cName), flags | executable);
  const old = file < 0 && errno() === EINVAL;
  return raise(check("memfd_create", old ? libc().memfd_create(ptr(cName), flags) : file));
}

/** The same open file at a number that can be passed on. */
function raise(file: number): number {
  if (file >= lowestDescriptor) return file;
  try {
    return check("fcntl", libc().fcntl(file, F_DUPFD_CLOEXEC, lowestDescriptor));
  } finally {
    closeSync(file);
  }
}

function writeAll(file: number, bytes: Uint8Array): number {
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at, bytes.length - at, at);
    return file;
  } catch (cause) {
    closeSync(file);
    throw fail("SANDBOX_UNAVAILABLE", "Cannot start tasks: a file in memory cannot be written", { cause });
  }
}
