// The prebuilt launcher: embedded in the binary, checked against its digest, and run from a sealed file in memory, so
// that it needs no place on the disk and cannot be exchanged. Opened once per process.

import { readFileSync } from "node:fs";
import { fail, sha256Hex } from "../../base/index.ts";
import launcherArm64 from "../../../assets/sandbox/launcher-arm64" with { type: "file" };
import launcherX64 from "../../../assets/sandbox/launcher-x64" with { type: "file" };
import digests from "../../../assets/sandbox/launcher.sha256" with { type: "text" };
import { openSealedProgram } from "./libc.ts";
import type { LinuxArch } from "./syscalls.ts";

export type Launcher = { path: string; arch: LinuxArch };

let opened: Launcher | null = null;

/** The launcher as a path to spawn.
 * @throws SANDBOX_UNAVAILABLE where processes cannot be supervised: not Linux, no /proc, executable memory forbidden. */
export function openLauncher(): Launcher {
  opened ??= prepareLauncher();
  return opened;
}

function prepareLauncher(): Launcher {
  const arch = supportedArch();
  const file = openSealedProgram("task-launcher", readEmbedded(arch));
  return { path: `/proc/self/fd/${file}`, arch };
}

function supportedArch(): LinuxArch {
  const { platform, arch } = process;
  if (platform === "linux" && (arch === "x64" || arch === "arm64")) return arch;
  throw fail("SANDBOX_UNAVAILABLE", `Cannot start tasks as processes on ${platform}-${arch}: there is no launcher for it`, {
    hint: "Use tasks with runtime: docker, or run the server on Linux.",
  });
}

/** @throws SANDBOX_UNAVAILABLE when the bytes are not those that were checked in. */
function readEmbedded(arch: LinuxArch): Uint8Array {
  const bytes = readFileSync(arch === "x64" ? launcherX64 : launcherArm64);
  if (checkedIn(arch) !== sha256Hex(bytes)) {
    throw fail("SANDBOX_UNAVAILABLE", `Cannot start tasks: launcher-${arch} is not what its digest says`, {
      hint: "Install the program again.",
    });
  }
  return bytes;
}

/** The digest of the launcher of this machine, as it was checked in. */
export function launcherDigest(): string {
  return checkedIn(process.arch) ?? "";
}

function checkedIn(arch: string): string | undefined {
  return digests
    .split("\n")
    .find((entry) => entry.endsWith(`  launcher-${arch}`))
    ?.slice(0, 64);
}
