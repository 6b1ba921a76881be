// key create, list, revoke. The key itself is printed by create alone.
import { fail, toIso } from "../../base/index.ts";
import { type Principal, principalText } from "../../model/index.ts";
import type { CliContext } from "../context.ts";
import { parseMoment, parsePage } from "../option-values.ts";
import { visibleLine } from "../render/visible.ts";
import { noteMore } from "./workflows.ts";

type CreateValues = { name: string | null; principal: string | null; role: string[]; scope: string[]; expires: string | null };

export async function createKey(context: CliContext, values: CreateValues): Promise<void> {
  const named = values.principal === null ? null : parsePrincipal(values.principal);
  const expires = parseMoment("--expires", values.expires, { now: context.io.now(), ago: false });
  if (values.role.length === 0 && values.scope.length === 0)
    throw fail("USAGE", "Cannot create a key: it would allow nothing", { hint: "Name at least one --role or --scope." });
  const { osUserName } = await import("../../app/index.ts");
  const { facade, principal } = await context.connect();
  const created = await facade.createKey({
    principal: named ?? principal ?? { type: "user", id: osUserName() },
    roles: values.role,
    scopes: values.scope,
    ...(values.name === null ? {} : { name: values.name }),
    ...(expires === undefined ? {} : { expiresAt: toIso(expires) }),
  });
  if (context.common.json) return context.printJson(created);
  context.print(`${created.key}\n`);
  context.note(`Key ${created.id} of ${visibleLine(principalText(created.principal))}. It is shown this once.`);
}

function parsePrincipal(text: string): Principal {
  const match = /^(user|service|agent):(.+)$/.exec(text);
  if (match === null) throw fail("USAGE", `Cannot use --principal "${text}": not of the form user:NAME, service:NAME or agent:NAME`);
  return { type: match[1] as Principal["type"], id: match[2] ?? "" };
}

export async function listKeys(context: CliContext, values: { limit: string | null; cursor: string | null }): Promise<void> {
  const query = parsePage(values);
  const { facade } = await context.connect();
  const page = await facade.listKeys(query);
  if (context.common.json) return context.printJson(page);
  if (page.keys.length === 0) return context.note("No keys.");
  context.printTable(page.keys, [
    { title: "ID", value: (row) => row.id },
    { title: "NAME", value: (row) => row.name ?? "" },
    { title: "PRINCIPAL", value: (row) => principalText(row.principal) },
    { title: "ROLES", value: (row) => row.roles.join(",") },
    { title: "SCOPES", value: (row) => row.scopes.join(",") },
    { title: "EXPIRES", value: (row) => row.expiresAt ?? "never" },
  ]);
  noteMore(context, page.nextCursor);
}

export async function revokeKey(context: CliContext, { id }: { id: string }): Promise<void> {
  const { facade } = await context.connect();
  const key = await facade.revokeKey(id);
  if (context.common.json) return context.printJson(key);
  context.note(`Revoked ${visibleLine(id)}.`);
}
