// One network namespace with nothing in it for all tasks of a root engine: to make one takes half a millisecond, to enter it next to nothing.
// Tasks make no sockets there, and so do not meet: the keeper makes theirs, elsewhere.

import { closeSync, openSync } from "node:fs";
import { rawSyscall } from "./libc.ts";
import { syscallNumber } from "./syscalls.ts";
import type { LinuxArch } from "./syscalls.ts";

const CLONE_NEWNET = 0x40000000;
const ownNetwork = "/proc/thread-self/ns/net";

let made: number | null | undefined;

/** A descriptor of it, made at the first question; null where each task has to make its own. */
export function emptyNetwork(arch: LinuxArch): number | null {
  if (made === undefined) made = process.getuid?.() === 0 ? make(arch) : null;
  return made;
}

/** Only the calling thread changes its network, and is back before anything else of this program runs. */
function make(arch: LinuxArch): number | null {
  const call = (name: "setns" | "unshare", ...args: [number, number]) => rawSyscall(syscallNumber(name, arch) ?? -1, [...args, 0]) === 0;
  let own: number;
  try {
    own = openSync(ownNetwork, "r");
  } catch {
    return null;
  }
  try {
    // Whether the way back is open is tried before the way out.
    if (!call("setns", own, CLONE_NEWNET) || !call("unshare", CLONE_NEWNET, 0)) return null;
    try {
      return openSync(ownNetwork, "r");
    } catch {
      return null;
    } finally {
      // A program without its network must not go on.
      if (!call("setns", own, CLONE_NEWNET)) process.abort();
    }
  } finally {
    closeSync(own);
  }
}
