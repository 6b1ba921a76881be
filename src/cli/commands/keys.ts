// key create, list, revoke. The key itself is printed by create alone.
import { fail, fromErrorBody, isCoded, parseTime, toErrorBody, toIso } from "../../base/index.ts";
import { type CreatedKey, type Key, type Principal, principalText, roleNames, scopes } from "../../model/index.ts";
import type { CliContext } from "../context.ts";
import { parseMoment, parsePage } from "../option-values.ts";
import { visibleLine } from "../render/visible.ts";
import { suggest } from "../suggest.ts";
import { noteMore } from "./workflows.ts";

type CreateValues = { name: string | null; principal: string | null; role: string[]; scope: string[]; expires: string | null };

export async function createKey(context: CliContext, values: CreateValues): Promise<void> {
  const named = values.principal === null ? null : parsePrincipal(values.principal);
  const expires = parseExpiry(values.expires, context.io.now());
  if (values.role.length === 0 && values.scope.length === 0)
    throw fail("USAGE", "Cannot create a key: it would allow nothing", { hint: "Name at least one --role or --scope." });
  const { osUserName } = await import("../../app/index.ts");
  const { facade, principal } = await context.connect();
  const wish = {
    // A server knows the caller by his key, but says so nowhere: on one it is who runs this.
    principal: named ?? principal ?? { type: "user" as const, id: osUserName() },
    roles: values.role,
    scopes: values.scope,
    ...(values.name === null ? {} : { name: values.name }),
    ...(expires === undefined ? {} : { expiresAt: expires }),
  };
  const created: CreatedKey = await facade.createKey(wish).catch((thrown: unknown) => {
    throw withSuggestion(thrown);
  });
  if (context.common.json) return context.printJson(created);
  context.print(`${created.key}\n`);
  const until = created.expiresAt === null ? "" : `, until ${created.expiresAt}`;
  context.note(`Key ${created.id} of ${visibleLine(principalText(created.principal))}${until}. It is shown this once.`);
}

function parsePrincipal(text: string): Principal {
  const match = /^(user|service|agent):(.+)$/.exec(text);
  if (match === null) throw fail("USAGE", `Cannot use --principal "${text}": not of the form user:NAME, service:NAME or agent:NAME`);
  return { type: match[1] as Principal["type"], id: match[2] ?? "" };
}

/** The last moment that a time of ours can name; later ones have no form on the wire. */
const timeMax = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

function parseExpiry(text: string | null, now: number): string | undefined {
  const at = parseMoment("--expires", text, { now, ago: false });
  if (at === undefined) return undefined;
  if (at > timeMax) throw fail("USAGE", `Cannot use --expires "${text}": after the year 9999`, { hint: "Leave it out for a key that does not end." });
  return toIso(at);
}

/** Which names there are the server says; which one was meant is for the command to guess. */
function withSuggestion(thrown: unknown): unknown {
  if (!isCoded(thrown, "KEY_INVALID")) return thrown;
  const { role, scope } = thrown.details ?? {};
  const near = typeof role === "string" ? suggest(role, roleNames) : typeof scope === "string" ? suggest(scope, scopes) : null;
  if (near === null) return thrown;
  const hint = [`Did you mean "${near}"?`, thrown.hint].filter((part) => part !== undefined).join(" ");
  return fromErrorBody({ ...toErrorBody(thrown), hint });
}

export async function listKeys(context: CliContext, values: { limit: string | null; cursor: string | null }): Promise<void> {
  const query = parsePage(values);
  const { facade } = await context.connect();
  const page = await facade.listKeys(query);
  if (context.common.json) return context.printJson(page);
  if (page.keys.length === 0) return context.note("No keys.");
  const now = context.io.now();
  const { yellow } = context.style;
  context.printTable(page.keys, [
    { title: "ID", value: (row) => row.id },
    { title: "NAME", value: (row) => row.name ?? "" },
    { title: "PRINCIPAL", value: (row) => principalText(row.principal) },
    { title: "ROLES", value: (row) => row.roles.join(",") },
    { title: "SCOPES", value: (row) => row.scopes.join(",") },
    { title: "EXPIRES", value: (row) => describeEnd(row, now), paint: (row) => (hasExpired(row, now) ? yellow : (text) => text) },
  ]);
  noteMore(context, page.nextCursor);
}

function describeEnd(row: Key, now: number): string {
  if (row.expiresAt === null) return "never";
  return hasExpired(row, now) ? `${row.expiresAt} (expired)` : row.expiresAt;
}

function hasExpired({ expiresAt }: Key, now: number): boolean {
  return expiresAt !== null && (parseTime(expiresAt) ?? 0) <= now;
}

export async function revokeKey(context: CliContext, { id }: { id: string }): Promise<void> {
  const { facade } = await context.connect();
  await facade.revokeKey(id);
  context.note(`Revoked ${visibleLine(id)}.`);
}
