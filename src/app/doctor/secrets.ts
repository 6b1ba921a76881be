// What doctor says of secrets: whether this process has their key, and whether each of them opens with it.
import { fail } from "../../base/index.ts";
import type { LoadedConfig } from "../../config/index.ts";
import type { Store } from "../../storage/index.ts";
import { openVault } from "../vault.ts";
import { type Check, failedBy, passed } from "./check.ts";

/** Values that are held in memory at a time. */
const portion = 20;

/** Makes no key; one that a broken rotation left without its name gets it, as by every other command. */
export async function checkSecrets(loaded: LoadedConfig, store: Store): Promise<Check> {
  const key = await store.findSecretKey();
  if (key === null) return passed("secrets", "none stored yet, so there is no key yet");
  const vault = openVault(loaded, store, async () => {
    throw fail("INTERNAL", "Cannot make a key: doctor changes nothing");
  });
  try {
    await vault.key();
    let count = 0;
    for (let afterName = ""; ; ) {
      const names = (await store.listSecrets({ afterName, limit: portion })).map(({ name }) => name);
      count += (await vault.readSecrets(names)).size;
      const last = names.at(-1);
      if (names.length < portion || last === undefined) break;
      afterName = last;
    }
    return passed("secrets", `${count} open with the key of ${key.source === "file" ? "the key file" : "AUTOKESTRA_SECRET_KEY"}`);
  } catch (thrown) {
    return failedBy("secrets", thrown);
  }
}
