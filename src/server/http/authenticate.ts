// Who calls: the key in the request's headers, and whether it may do what the route does.
import type { App } from "../../app/index.ts";
import { fail } from "../../base/index.ts";
import { type Caller, hasScope, rolesWith, type Scope } from "../../model/index.ts";

/** Longer than any key of ours; longer texts are not worth hashing. */
const keyCharsMax = 512;
const hint = "Send it as: Authorization: Bearer KEY";

/** @throws UNAUTHORIZED when there is no key, two different ones, or one that is unknown, revoked or expired */
export async function authenticate(app: App, headers: Headers): Promise<Caller> {
  const key = keyOf(headers);
  if (key === null) throw fail("UNAUTHORIZED", "Cannot serve the request: it carries no API key", { hint });
  const caller = key.length > keyCharsMax ? null : await app.authenticate(key);
  if (caller !== null) return caller;
  const why = "It may be mistyped, revoked or expired. Who has a key with the scope admin sees what is there: workflow key list";
  throw fail("UNAUTHORIZED", "Cannot serve the request: its API key is not valid", { hint: why });
}

/** @throws FORBIDDEN */
export function requireScope(caller: Caller, scope: Scope): void {
  if (hasScope(caller.scopes, scope)) return;
  throw fail("FORBIDDEN", `Cannot serve the request: the API key lacks the scope "${scope}"`, {
    details: { scope },
    hint: `Use a key with this scope, or with a role that holds it: ${rolesWith(scope).join(", ")}.`,
  });
}

function keyOf(headers: Headers): string | null {
  // An empty header says no more than none.
  const authorization = headers.get("authorization") || null;
  const plain = headers.get("x-api-key") || null;
  if (authorization === null) return plain;
  const bearer = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
  if (bearer === undefined) throw fail("UNAUTHORIZED", "Cannot serve the request: its Authorization header is not of the form Bearer KEY", { hint });
  if (plain !== null && plain !== bearer) throw fail("UNAUTHORIZED", "Cannot serve the request: it carries two different API keys", { hint });
  return bearer;
}
