// Calls actions outside the engine with the parts of this process: the egress gate, the runtime folder, containers, stored artifacts.
import { join } from "node:path";
import { environment, listContainerSockets, type LoadedConfig } from "../config/index.ts";
import {
  type ActionCall,
  type ActionRun,
  Cgroups,
  type ContainerRunner,
  ContainerRuntime,
  createNetworkGate,
  createWatchdog,
  invokeAction,
  RuntimeFolder,
  spawnProcess,
  WarmPool,
} from "../plugins/index.ts";
import type { Store } from "../storage/index.ts";
import { checkSchema } from "../workflow/index.ts";
import { systemClock, systemOwners } from "./system.ts";
import { findArtifactContent } from "./verbs/index.ts";

export type ActionRunner = {
  run(call: ActionCall): ActionRun;
  containers: ContainerRunner;
  /** Whether attempts can be put into control groups. */
  hasGroups(): boolean;
  /** Ends what is kept warm. */
  close(): Promise<void>;
};

/** `owner`: this process in labels of containers; `store`: the store's own id, whichever process has it open. */
export type ActionRunnerDeps = { loaded: LoadedConfig; store: Store; owner: string; storeId: string; onTrouble: (text: string) => void };

const randomBytes = (count: number): Uint8Array => crypto.getRandomValues(new Uint8Array(count));

/** Nothing listens, and nothing is written or asked, before the first call that needs it. */
export function createActionRunner(deps: ActionRunnerDeps): ActionRunner {
  const { loaded, store, onTrouble, owner, storeId } = deps;
  const { socket, image: _tasks, ...settings } = loaded.config.plugins.docker;
  const gate = createNetworkGate({ onTrouble, randomBytes });
  const watchdog = createWatchdog({ clock: systemClock });
  const containers = new ContainerRuntime({
    sockets: listContainerSockets(socket, environment()),
    folder: loaded.dataDir,
    store: storeId,
    owner,
    settings,
    clock: systemClock,
    randomBytes,
  });
  const root = join(loaded.dataDir, "work");
  const cgroups = new Cgroups();
  const warm = new WarmPool({
    spawn: spawnProcess,
    gate,
    watchdog,
    cgroups,
    root,
    owner,
    isDead: systemOwners.isDead,
    clock: systemClock,
    randomBytes,
  });
  const engine = { data: loaded.dataDir, store: loaded.storePath };
  const parts = {
    engine,
    cgroups,
    spawn: spawnProcess,
    gate,
    watchdog,
    containers,
    warm,
    runtimeFolder: new RuntimeFolder(loaded.dataDir),
    checkSchema,
  };
  return {
    run: (call) => invokeAction({ ...parts, artifacts: (sha256) => findArtifactContent(store, call.executionId, sha256) }, call),
    containers,
    hasGroups: () => cgroups.isAvailable,
    close: async () => {
      await warm.close();
      watchdog.close();
      gate.close();
    },
  };
}
