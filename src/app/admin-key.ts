// The admin key of a data folder: every start of its server leaves one there that works.
import { adminKeyPath, findAdminKey, writeAdminKey } from "../config/index.ts";
import type { Caller } from "../model/index.ts";
import type { AppContext } from "./context.ts";
import { createKey } from "./verbs/index.ts";

type AdminKeyDeps = { isLive: (key: string) => Promise<boolean>; onTrouble: (text: string) => void };

/**
 * Writes a new key where none is, or where the one that is there was revoked, has expired, or is of another store. Whoever owns the data
 * folder owns the store and needs no key for it, so this gives him nothing new; and a key that works is left alone, whoever put it there.
 * A file that is not surely his is left alone too.
 */
export async function ensureAdminKey(context: AppContext, caller: Caller, { isLive, onTrouble }: AdminKeyDeps): Promise<void> {
  const { dataDir } = context.loaded;
  const { key, keyProblem } = findAdminKey(dataDir);
  if (keyProblem !== null) return onTrouble(keyProblem);
  if (key !== null && (await isLive(key))) return;
  const created = await createKey(context, caller, { name: "admin", principal: caller.principal, roles: ["admin"], scopes: [] });
  writeAdminKey(dataDir, created.key);
  if (key !== null) onTrouble(`The key in "${adminKeyPath(dataDir)}" was not valid any more: it was replaced by a new one`);
}
