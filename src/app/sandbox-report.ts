// What this process can enforce on tasks, as people and records are told. The kernel is asked at the first question.
import { toErrorBody } from "../base/index.ts";
import { probeSandbox, type SandboxState } from "../plugins/index.ts";

export type SandboxMode = "enforce" | "off";
/** `none`: tasks are refused; `off`: they run unconfined because the configuration says so. */
export type SandboxReport = { level: "strict" | "reduced" | "none" | "off"; layers: string[] };

export function reportSandbox(mode: SandboxMode): SandboxReport {
  if (mode === "off") return { level: "off", layers: [] };
  const { level, layers } = sandboxState();
  return { level, layers };
}

/** Where not even the launcher runs nothing is enforced. */
export function sandboxState(): SandboxState {
  try {
    return probeSandbox().state;
  } catch (cause) {
    return { level: "none", layers: [], missing: [{ layer: "limits", why: toErrorBody(cause).message }], canOwnUser: false };
  }
}
