// Everything that doctor can say of this machine by itself, with or without a server. It changes nothing.
import { join } from "node:path";
import type { LoadedConfig } from "../../config/index.ts";
import { keepProbes } from "../../plugins/index.ts";
import { systemClock } from "../system.ts";
import type { Check } from "./check.ts";
import { checkClock, checkDisk, checkDocker } from "./machine.ts";
import { checkDataFolder, checkStore } from "./store.ts";
import { checkPlugins, checkSandbox } from "./tasks.ts";

/** All local checks in the order in which they are shown. Attacks the sandbox; takes about half a second, more for large stores. */
export async function examineMachine(loaded: LoadedConfig): Promise<Check[]> {
  keepProbes(join(loaded.dataDir, "runtime"), systemClock);
  const { checks: store, newestEventAt } = await checkStore(loaded);
  return [
    checkDataFolder(loaded),
    ...store,
    checkDisk(loaded),
    checkClock(newestEventAt),
    await checkDocker(loaded),
    checkPlugins(loaded),
    ...(await checkSandbox(loaded.config.plugins.sandbox)),
  ];
}
