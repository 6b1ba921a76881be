// One process of several on one store: makes or takes the first key, then writes, reads and rotates as it is told. Any error ends it.
import { isCoded } from "../../../src/base/index.ts";
import { getSecret, openVault, placeAt, rotate, setSecret } from "./stores.ts";

const [folder = "", name = "", rounds = "0", rotates = ""] = process.argv.slice(2);
const ours = openVault(placeAt(folder));

/** What the ledger's callers do when the key was rotated between taking it and writing. */
async function untilWritten(work: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      if (tries === 50 || !isCoded(error, "SECRET_KEY_WRONG") || !error.message.startsWith("Cannot write")) throw error;
    }
  }
}

for (let round = 0; round <= Number(rounds); round += 1) {
  await untilWritten(() => setSecret(ours, name, `${name} ${round}`));
  if ((await getSecret(ours, name)) !== `${name} ${round}`) throw new Error("another value came back");
  if (rotates === "rotates") await untilWritten(() => rotate(ours));
}
await ours.store.close();
