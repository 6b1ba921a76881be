// What the relay needs in a container, as one folder on the host that is mounted read-only: the relay itself, the
// environment and standard input. They are files so that nothing of them shows in an argument list or in the engine's records.

import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fail, sha256Hex } from "../../../base/index.ts";
import relayArm64 from "../../../../assets/sandbox/relay-arm64" with { type: "file" };
import digests from "../../../../assets/sandbox/relay.sha256" with { type: "text" };
import relayX64 from "../../../../assets/sandbox/relay-x64" with { type: "file" };

export type ControlFiles = {
  arch: "x64" | "arm64";
  env: Record<string, string>;
  stdin: Uint8Array | null;
  /** Who the container runs as. Only root can give files to another. */
  user: { uid: number; gid: number };
};

/** A folder that belongs to no container is left alone for so long: its container may be about to be made. */
const youngMs = 10 * 60_000;
const badName = /[=\0]/;
/** As many as the relay takes. */
const variablesMax = 8192;

/** Makes `<root>/<name>`; `root` is private to the server.
 * @throws TASK_INPUT_INVALID for an environment that no program can be given, SANDBOX_UNAVAILABLE */
export function makeControlFolder(root: string, name: string, files: ControlFiles): string {
  const folder = join(root, name);
  const env = renderEnvironment(files.env);
  const relay = readRelay(files.arch);
  mkdirSync(root, { recursive: true, mode: 0o700 });
  mkdirSync(folder, { mode: 0o755 });
  try {
    // The umask may have taken rights away that another user needs.
    chmodSync(folder, 0o755);
    const write = (file: string, bytes: Uint8Array, mode: number) => {
      const path = join(folder, file);
      writeFileSync(path, bytes, { mode: 0o600, flag: "wx" });
      chmodSync(path, mode);
      if (process.getuid?.() === 0 && files.user.uid !== 0) chownSync(path, files.user.uid, files.user.gid);
    };
    write("relay", relay, 0o555);
    write("env", env, 0o400);
    if (files.stdin !== null) write("stdin", files.stdin, 0o400);
  } catch (cause) {
    rmSync(folder, { recursive: true, force: true });
    throw cause;
  }
  return folder;
}

export function removeControlFolder(root: string, name: string): void {
  rmSync(join(root, name), { recursive: true, force: true });
}

/** Removes the folders of containers that are no more. */
export function sweepControlFolders(root: string, now: number, isKept: (name: string) => boolean): void {
  if (!existsSync(root)) return;
  for (const name of readdirSync(root)) {
    const found = statSync(join(root, name), { throwIfNoEntry: false });
    if (found !== undefined && !isKept(name) && now - found.mtimeMs > youngMs) removeControlFolder(root, name);
  }
}

function renderEnvironment(env: Record<string, string>): Uint8Array {
  const pairs = Object.entries(env);
  const isBad = ([name, value]: [string, string]) => name === "" || badName.test(name) || value.includes("\0");
  if (pairs.some(isBad)) throw fail("TASK_INPUT_INVALID", "Cannot start a container: its environment holds a NUL byte or a bad name");
  if (pairs.length > variablesMax) throw fail("TASK_INPUT_INVALID", `Cannot start a container: more than ${variablesMax} variables`);
  return Buffer.from(pairs.map(([name, value]) => `${name}=${value}\0`).join(""));
}

function readRelay(arch: "x64" | "arm64"): Uint8Array {
  const bytes = readFileSync(arch === "x64" ? relayX64 : relayArm64);
  const line = digests.split("\n").find((entry) => entry.endsWith(`  relay-${arch}`));
  if (line?.slice(0, 64) === sha256Hex(bytes)) return bytes;
  throw fail("SANDBOX_UNAVAILABLE", `Cannot start containers: relay-${arch} is not what its digest says`, { hint: "Install the program again." });
}
