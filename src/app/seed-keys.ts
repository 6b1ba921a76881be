// Keys that the configuration gives (`server.apiKeys`): each start of a server brings the store in line with those that are listed.
import { isWeakKey, keyDigest, principalOf } from "../access/index.ts";
import { canonicalJson, fail, parseTime } from "../base/index.ts";
import type { Config } from "../config/index.ts";
import { type Caller, principalText } from "../model/index.ts";
import type { RowOf } from "../storage/index.ts";
import type { AppContext } from "./context.ts";
import { putKey, retryRaces } from "./verbs/index.ts";

type Seed = Config["server"]["apiKeys"][number];

/**
 * A seed that is not stored is stored, one that is stored otherwise is replaced, and one that was revoked stays so; one that has expired
 * is not stored anew. One that is listed no more is not ended: other servers on the store may list it, and it may have been made by hand.
 * @throws CONFIG_INVALID for a key that is listed twice, or allows nothing
 */
export async function seedKeys(context: AppContext, caller: Caller, onTrouble: (text: string) => void): Promise<void> {
  const labels = new Map<string, string>();
  for (const [index, seed] of context.loaded.config.server.apiKeys.entries()) {
    const digest = keyDigest(seed.key);
    if (digest === null) continue;
    const label = seed.name === undefined ? `no. ${index + 1}` : `"${seed.name}"`;
    const other = labels.get(digest);
    if (other !== undefined) throw fail("CONFIG_INVALID", `Cannot use server.apiKeys: ${other} and ${label} are the same key`);
    labels.set(digest, label);
    const wish = wishOf(seed);
    if (wish.roles.length + wish.scopes.length === 0)
      throw fail("CONFIG_INVALID", `Cannot use server.apiKeys: key ${label} has neither a role nor a scope`, { hint: "Give it roles, or scopes." });
    if (isWeakKey(seed.key)) onTrouble(`The key ${label} of server.apiKeys is easily guessed: make a long random one`);
    // Another server on the store may do the same right now.
    await retryRaces(() => seedKey(context, caller, { wish, label, digest, onTrouble }));
  }
}

/** With what may be left out in its place. */
type SeedWish = Required<Omit<Seed, "name" | "expiresAt">> & { name: string | null; expiresAt: string | null };

function wishOf(seed: Seed): SeedWish {
  return { ...seed, name: seed.name ?? null, expiresAt: seed.expiresAt ?? null, roles: seed.roles ?? [], scopes: seed.scopes ?? [] };
}

type OneSeed = { wish: SeedWish; label: string; digest: string; onTrouble: (text: string) => void };

async function seedKey(context: AppContext, caller: Caller, { wish, label, digest, onTrouble }: OneSeed): Promise<void> {
  const stored = await context.store.findKeyByHash(digest);
  if (stored !== null && stored.revoked_at !== null) return onTrouble(`The key ${label} of server.apiKeys was revoked, and stays so`);
  const endsAt = endOf(wish);
  const hasEnded = endsAt !== null && endsAt <= context.clock.now();
  if (hasEnded) onTrouble(`The key ${label} of server.apiKeys has expired`);
  if (stored === null ? hasEnded : isSame(stored, wish)) return;
  const { expiresAt, ...rest } = wish;
  await putKey(context, caller, { ...rest, ...(expiresAt === null ? {} : { expiresAt }), replaces: stored });
}

function endOf({ expiresAt }: SeedWish): number | null {
  return expiresAt === null ? null : parseTime(expiresAt);
}

function isSame(stored: RowOf<"api_keys">, wish: SeedWish): boolean {
  const isSameSet = (text: string, wanted: readonly string[]) =>
    canonicalJson((JSON.parse(text) as string[]).toSorted()) === canonicalJson([...new Set(wanted)].toSorted());
  const mayTheSame = isSameSet(stored.roles, wish.roles) && isSameSet(stored.scopes, wish.scopes) && stored.expires_at === endOf(wish);
  return mayTheSame && stored.name === wish.name && principalText(principalOf(stored)) === principalText(wish.principal);
}
