// The vault of an opened store, with the key that the environment gives or the one in the file beside the store.
import { dirname, join } from "node:path";
import type { LoadedConfig } from "../config/index.ts";
import { createVault, type Vault, type VaultDeps } from "../secrets/index.ts";
import type { Store } from "../storage/index.ts";
import { systemClock } from "./system.ts";

/** `commit` writes the row of a new store's first key. Nothing is read before the first use. */
export function openVault(loaded: LoadedConfig, store: Store, commit: VaultDeps["commit"]): Vault {
  return createVault({
    store,
    commit,
    keysDir: keyFolder(loaded),
    dataDir: loaded.dataDir,
    secretKey: loaded.secretKey,
    secretKeyOld: loaded.secretKeyOld,
    clock: systemClock,
    onTrouble: (text) => void process.stderr.write(`${text}\n`),
    randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
  });
}

/** Where the store's private keys are. */
export function keyFolder({ storePath }: LoadedConfig): string {
  return join(dirname(storePath), "keys");
}
