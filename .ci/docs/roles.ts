// docs/reference/roles.md: what each role holds, and every route with who may use it, from the route table and the scopes.
import { hasScope, type Role, roleNames, roles, type Scope, scopes, scopesOf } from "../../src/model/index.ts";
import { type Route, routes } from "../../src/server/index.ts";
import { generatedNote, renderTable as table } from "./table.ts";

const intro = [
  "What an API key may do is the union of its roles and its single scopes ([keys.md](../keys.md)). Generated from the route table and the",
  "scopes; a test asks every route with a key of every role. Of `GET` routes, `HEAD` is the same.",
].join("\n");

const code = (text: string): string => `\`${text}\``;

/** One mark for each role; null is public. */
function marksOf(scope: Scope | null): string[] {
  return roleNames.map((role: Role) => (scope === null || hasScope(scopesOf([role], []), scope) ? "yes" : "–"));
}

export function renderRoles(): string {
  const heldRows = roleNames.map((role) => [code(role), roles[role].map(code).join(" ")]);
  const scopeRows = scopes.map(scopeRow);
  const routesIntro =
    "`public`: needs no key. `own proof`: takes no key, but what the trigger's secret proves ([triggers.md](../triggers.md)). " +
    "Everything else is 401 without one, and 403 without the scope.";
  return (
    [
      `${generatedNote}\n\n# Roles and routes\n\n${intro}`,
      `## What each role holds\n\n\`admin\` contains every scope.\n\n${table(["role", "scopes"], heldRows)}`,
      `## Scopes\n\nThe last column counts the routes of this version that ask for the scope.\n\n${table(["scope", ...roleNames, "routes"], scopeRows)}`,
      `## Routes\n\n${routesIntro}\n\n${table(["method", "path", "scope", ...roleNames], routes.map(routeRow))}`,
    ].join("\n\n") + "\n"
  );
}

function scopeRow(scope: Scope): string[] {
  const guarded = routes.filter((route) => route.scope === scope);
  return [code(scope), ...marksOf(scope), String(guarded.length)];
}

function routeRow({ method, path, scope, isRaw }: Route): string[] {
  // Who may call a hook is not a matter of roles.
  if (isRaw === true) return [code(method), code(path), "own proof", ...roleNames.map(() => "–")];
  return [code(method), code(path), scope === null ? "public" : code(scope), ...marksOf(scope)];
}
