// What doctor says of what tasks need: the plugins, and a sandbox that holds when it is attacked.
import type { LoadedConfig } from "../../config/index.ts";
import { type SandboxState, selfTest } from "../../plugins/index.ts";
import { createRegistry } from "../registry.ts";
import { sandboxState } from "../sandbox-report.ts";
import { type Check, failed, failedBy, passed, warned } from "./check.ts";

export function checkPlugins(loaded: LoadedConfig): Check {
  try {
    const registry = createRegistry(loaded);
    const installed = registry.list();
    const broken = installed.filter(({ plugin }) => plugin === null);
    const [first] = broken;
    const builtIn = registry.builtIns().size;
    if (first === undefined) return passed("plugins", `${builtIn} built-in, ${installed.length} installed`);
    const why = first.diagnostics.find(({ severity }) => severity === "error")?.message ?? "its manifest has errors";
    const names = broken.map(({ namespace, name }) => `${namespace}/${name}`).join(", ");
    return failed("plugins", `cannot be loaded: ${names} (${why})`, `Run: workflow plugin validate "${first.folder}"`);
  } catch (cause) {
    return failedBy("plugins", cause);
  }
}

/** The level first, then each layer that was attacked. */
export async function checkSandbox(mode: "enforce" | "off"): Promise<Check[]> {
  if (mode === "off")
    return [warned("sandbox", "plugins.sandbox is off: tasks run with all rights of the server", "Set plugins.sandbox to enforce.")];
  try {
    const results = await selfTest({ afresh: true });
    const layers = [...Map.groupBy(results, ({ layer }) => layer)].map(([layer, attacks]) => {
      const lost = attacks.filter(({ held }) => !held);
      const list = (some: typeof attacks) => some.map(({ attack, detail }) => `${attack} (${detail})`).join(", ");
      const hint = "Tasks are not trusted to this layer any more; look for what this machine does otherwise.";
      return lost.length > 0 ? failed(`sandbox.${layer}`, `did not hold: ${list(lost)}`, hint) : passed(`sandbox.${layer}`, `held: ${list(attacks)}`);
    });
    // Asked again: a layer that an attack got through counts no more.
    return [describeLevel(sandboxState()), ...layers];
  } catch (cause) {
    return [failedBy("sandbox", cause)];
  }
}

function describeLevel({ level, layers, missing }: SandboxState): Check {
  const without = missing.length === 0 ? "" : `; not here: ${missing.map(({ layer, why }) => `${layer} (${why})`).join(", ")}`;
  const message = `${level}: ${layers.length === 0 ? "nothing holds" : layers.join(", ")}${without}`;
  if (level === "strict") return passed("sandbox", message);
  if (level === "reduced") return warned("sandbox", message, "Tasks get no network at all. A kernel from Linux 6.12 on enforces everything.");
  return failed("sandbox", message, `Process tasks are refused here. ${needOf(missing)}, or use \`runtime: docker\`.`);
}

/** What would have to be there for the first layer that no task can do without. */
function needOf(missing: SandboxState["missing"]): string {
  const layers = new Set(missing.map(({ layer }) => layer));
  if (layers.has("launcher")) return "Let this process make the system call that failed (a container's seccomp profile forbids it)";
  if (layers.has("seccomp"))
    return "Use a kernel with seccomp filters (CONFIG_SECCOMP_FILTER), and let this process install them (a container's profile may forbid it)";
  if (layers.has("landlock")) return "Use a kernel with Landlock (from Linux 5.13 on; `lsm=` at boot has to name it)";
  return "Look at why these layers do not hold";
}
