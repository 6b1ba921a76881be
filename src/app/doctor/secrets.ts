// What doctor says of secrets: whether this process has their key, and whether each of them opens with it.
import { fail, isCoded } from "../../base/index.ts";
import { type LoadedConfig, readServerFile, type ServerRecord } from "../../config/index.ts";
import type { RowOf, Store } from "../../storage/index.ts";
import { openVault } from "../vault.ts";
import { type Check, failedBy, passed, warned } from "./check.ts";

/** Values that are held in memory at a time. */
const portion = 20;

/** Makes no key; one that a broken rotation left without its name gets it, as by every other command. */
export async function checkSecrets(loaded: LoadedConfig, store: Store): Promise<Check> {
  const key = await store.findSecretKey();
  if (key === null) return passed("secrets", "none stored yet, so there is no key yet");
  const server = readServerFile(loaded.dataDir);
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
    const whose = server === null ? "" : `, as this command finds it; ${serverPart(server)}`;
    return passed("secrets", `${count} open with the key of ${sourceText(key)}${whose}`);
  } catch (thrown) {
    const isOwn = loaded.secretKey !== null || key.source !== "file";
    if (server === null || !isOwn || !isCoded(thrown, "SECRET_KEY_WRONG")) return failedBy("secrets", thrown);
    const hint = "Run `workflow doctor` with the AUTOKESTRA_SECRET_KEY that the server was started with.";
    return warned("secrets", `not opened with this command's own environment (${thrown.message}); ${serverPart(server)}`, hint);
  }
}

function sourceText({ source }: RowOf<"secret_key">): string {
  return source === "file" ? "the key file" : "AUTOKESTRA_SECRET_KEY";
}

/** A server has an environment of its own, which nobody else sees. */
function serverPart({ pid }: ServerRecord): string {
  return `the key of the running server (pid ${pid}) was not checked: it says at its start, in its log, when that is wrong`;
}
