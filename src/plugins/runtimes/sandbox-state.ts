// Which platform's sandbox is asked what it holds.

import { probeSandbox as probeLinux } from "../sandbox/index.ts";
import type { SandboxState } from "../sandbox/index.ts";
import { probeMac } from "./macos/index.ts";

/** What holds on this machine; found out at the first question.
 * @throws SANDBOX_UNAVAILABLE where tasks cannot be started as processes at all. */
export function probeSandbox(): { state: SandboxState } {
  return process.platform === "darwin" ? probeMac() : probeLinux();
}
