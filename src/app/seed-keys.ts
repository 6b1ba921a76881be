// Keys that the configuration gives (`server.apiKeys`): each start of a server brings the store in line with those that are listed.
import { isWeakKey, keyDigest, principalOf } from "../access/index.ts";
import { canonicalJson, fail } from "../base/index.ts";
import type { Config } from "../config/index.ts";
import { type Caller, principalText } from "../model/index.ts";
import type { RowOf } from "../storage/index.ts";
import type { AppContext } from "./context.ts";
import { putKey, retryRaces } from "./verbs/index.ts";

type Seed = Config["server"]["apiKeys"][number];

/**
 * A seed that is not stored is stored, one that is stored with other roles or another principal is replaced, and one that was revoked
 * stays so. One that is listed no more is not ended: other servers on the store may list it, and it may have been made by hand.
 * @throws CONFIG_INVALID for a key that is listed twice
 */
export async function seedKeys(context: AppContext, caller: Caller, onTrouble: (text: string) => void): Promise<void> {
  const names = new Map<string, string>();
  for (const seed of context.loaded.config.server.apiKeys) {
    const digest = keyDigest(seed.key);
    if (digest === null) continue;
    const other = names.get(digest);
    if (other !== undefined) throw fail("CONFIG_INVALID", `Cannot use server.apiKeys: "${other}" and "${seed.name}" are the same key`);
    names.set(digest, seed.name);
    if (isWeakKey(seed.key)) onTrouble(`The key "${seed.name}" of server.apiKeys is easily guessed: make a long random one`);
    // Another server on the store may do the same right now.
    await retryRaces(() => seedKey(context, caller, { seed, digest, onTrouble }));
  }
}

type OneSeed = { seed: Seed; digest: string; onTrouble: (text: string) => void };

async function seedKey(context: AppContext, caller: Caller, { seed, digest, onTrouble }: OneSeed): Promise<void> {
  const stored = await context.store.findKeyByHash(digest);
  if (stored !== null && stored.revoked_at !== null) return onTrouble(`The key "${seed.name}" of server.apiKeys was revoked, and stays so`);
  if (stored !== null && isSame(stored, seed)) return;
  await putKey(context, caller, { ...seed, scopes: [], replaces: stored });
}

function isSame(stored: RowOf<"api_keys">, seed: Seed): boolean {
  const [roles, scopes] = [JSON.parse(stored.roles), JSON.parse(stored.scopes)] as [string[], string[]];
  const isEverlasting = stored.expires_at === null && scopes.length === 0;
  const isOneRole = canonicalJson(roles.toSorted()) === canonicalJson([...new Set<string>(seed.roles)].toSorted());
  return isEverlasting && isOneRole && stored.name === seed.name && principalText(principalOf(stored)) === principalText(seed.principal);
}
