// Who a key stands for. Rows are kept until a key event, here or in another process, may have changed them.
import { isLiveKey, keyDigest, keyScopes, principalOf } from "../access/index.ts";
import type { Caller, Principal, Scope } from "../model/index.ts";
import type { RowOf } from "../storage/index.ts";
import type { AppContext } from "./context.ts";

type Known = { row: RowOf<"api_keys">; principal: Principal; scopes: Set<Scope> };

const knownMax = 1000;

/**
 * The store looks keys up by their SHA-256, so no comparison runs over the key itself: how long it takes tells nothing about
 * other keys.
 */
export class Authenticator {
  readonly #context: AppContext;
  readonly #known = new Map<string, Known>();

  constructor(context: AppContext) {
    this.#context = context;
    context.ledger.listen((news) => {
      if (news.external || news.events.some((event) => event.draft.type.startsWith("trace.key."))) this.#known.clear();
    });
  }

  /** Null when the key is unknown, revoked or expired. */
  async authenticate(key: string): Promise<Caller | null> {
    const digest = keyDigest(key);
    const known = digest === null ? null : (this.#known.get(digest) ?? (await this.#find(digest)));
    if (known === null || !isLiveKey(known.row, this.#context.clock.now())) return null;
    return { principal: known.principal, scopes: known.scopes, sessionId: this.#context.session.id, keyId: known.row.key_id };
  }

  /** Whether a key that was valid still is; asked of the store, so that a stream ends in time whoever revoked its key. */
  async isLive(keyId: string): Promise<boolean> {
    const row = await this.#context.store.findKey(keyId);
    return row !== null && isLiveKey(row, this.#context.clock.now());
  }

  async #find(digest: string): Promise<Known | null> {
    const row = await this.#context.store.findKeyByHash(digest);
    if (row === null) return null;
    const known = { row, principal: principalOf(row), scopes: keyScopes(row) };
    if (this.#known.size >= knownMax) this.#known.clear();
    this.#known.set(digest, known);
    return known;
  }
}
