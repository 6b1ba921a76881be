// Who a key stands for. Rows are kept for a moment, and no longer than until a key event of this process.
import { isLiveKey, keyDigest, keyScopes, principalOf } from "../access/index.ts";
import type { Caller, Principal, Scope } from "../model/index.ts";
import type { RowOf } from "../storage/index.ts";
import type { AppContext } from "./context.ts";

type Known = { row: RowOf<"api_keys">; principal: Principal; scopes: Set<Scope>; readAt: number };

const knownMax = 1000;
/**
 * For so long a key may outlive its revocation by another process. Asking the store costs a third of a small request, so a busy key is
 * asked about four times a second only; it does not wait for anyone to notice the other process's write, which may be busy.
 */
const knownMs = 250;

export class Authenticator {
  readonly #context: AppContext;
  readonly #known = new Map<string, Known>();
  /** Counts key events: an answer of the store that was asked for before one is not kept. */
  #turn = 0;

  constructor(context: AppContext) {
    this.#context = context;
    context.ledger.listen((news) => {
      if (news.events.some((event) => event.draft.type.startsWith("trace.key."))) this.#forget();
    });
  }

  /** Null when the key is unknown, revoked or expired. */
  async authenticate(key: string): Promise<Caller | null> {
    const digest = keyDigest(key);
    const known = digest === null ? null : (this.#recall(digest) ?? (await this.#find(digest)));
    if (known === null || !isLiveKey(known.row, this.#context.clock.now())) return null;
    return { principal: known.principal, scopes: known.scopes, sessionId: this.#context.session.id, keyId: known.row.key_id };
  }

  /** Whether a key that was valid still is; asked of the store, so that a stream ends in time whoever revoked its key. */
  async isLive(keyId: string): Promise<boolean> {
    const row = await this.#context.store.findKey(keyId);
    return row !== null && isLiveKey(row, this.#context.clock.now());
  }

  #recall(digest: string): Known | null {
    const known = this.#known.get(digest);
    if (known === undefined) return null;
    const age = this.#context.clock.now() - known.readAt;
    // A clock that was set back makes ages negative: such a row is as good as old.
    return age >= 0 && age < knownMs ? known : null;
  }

  async #find(digest: string): Promise<Known | null> {
    const turn = this.#turn;
    const readAt = this.#context.clock.now();
    const row = await this.#context.store.findKeyByHash(digest);
    if (row === null) {
      this.#known.delete(digest);
      return null;
    }
    const known = { row, principal: principalOf(row), scopes: keyScopes(row), readAt };
    if (this.#known.size >= knownMax) this.#known.clear();
    if (turn === this.#turn) this.#known.set(digest, known);
    return known;
  }

  #forget(): void {
    this.#turn += 1;
    this.#known.clear();
  }
}
