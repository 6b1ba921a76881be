// The engine's memory holds keys and secrets: when it crashes, nothing of it may come to lie on a disk.
import { dlopen, ptr } from "bun:ffi";

/** Of both systems. */
const RLIMIT_CORE = 4;
/** glibc, then the names musl goes by. */
const libraries: Partial<Record<NodeJS.Platform, string[]>> = {
  linux: ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1", "libc.so"],
  darwin: ["/usr/lib/libSystem.B.dylib"],
};

/** Forbids core dumps to this process and all that it starts, for good. Takes a millisecond at most, and never throws; false where
 * it cannot be done. */
export function disableCoreDumps(): boolean {
  for (const name of libraries[process.platform] ?? []) {
    try {
      const { symbols } = dlopen(name, { setrlimit: { args: ["i32", "ptr"], returns: "i32" } });
      // The soft limit and the hard one.
      return symbols.setrlimit(RLIMIT_CORE, ptr(new BigUint64Array(2))) === 0;
    } catch {
      // The library goes by another name here.
    }
  }
  return false;
}
