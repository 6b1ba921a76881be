// Who acts, and what they may do: principals, scopes, roles (http-api.md).
import { type Static, Type } from "@sinclair/typebox";

export const PrincipalSchema = Type.Object(
  { type: Type.Union([Type.Literal("user"), Type.Literal("service"), Type.Literal("agent")]), id: Type.String({ minLength: 1, maxLength: 200 }) },
  { additionalProperties: false },
);
export type Principal = Static<typeof PrincipalSchema>;

export const scopes = [
  "workflow:read",
  "workflow:write",
  "workflow:run",
  "execution:read",
  "execution:write",
  "secret:read",
  "secret:write",
  "trace:read",
  "trace:export",
  "session:create",
  "session:admin",
  "carp:resolve",
  "carp:execute",
  "approval:decide",
  "atlas:read",
  "atlas:write",
  "atlas:publish",
  "deploy:apply",
  "objective:read",
  "objective:write",
  "objective:promote",
  "admin",
] as const;
export type Scope = (typeof scopes)[number];

const viewer: readonly Scope[] = ["workflow:read", "execution:read", "trace:read", "atlas:read", "objective:read"];

/** Fixed scope sets. */
export const roles = {
  viewer,
  auditor: [...viewer, "trace:export"],
  operator: [...viewer, "workflow:run", "execution:write", "approval:decide", "objective:write", "objective:promote"],
  developer: [...viewer, "workflow:write", "workflow:run", "execution:write", "atlas:write", "deploy:apply", "objective:write"],
  agent: ["session:create", "carp:resolve", "carp:execute", "execution:read", "trace:read", "atlas:read"],
  admin: ["admin"],
} as const satisfies Record<string, readonly Scope[]>;
export type Role = keyof typeof roles;

export const roleNames = Object.keys(roles) as Role[];

export function isScope(text: string): text is Scope {
  return (scopes as readonly string[]).includes(text);
}

export function isRole(text: string): text is Role {
  return Object.hasOwn(roles, text);
}

/** All scopes that roles and single scopes give together. */
export function scopesOf(roleNames: readonly string[], single: readonly string[]): Set<Scope> {
  const all = new Set<Scope>(single.filter(isScope));
  for (const name of roleNames) if (isRole(name)) for (const scope of roles[name]) all.add(scope);
  return all;
}

/** `admin` contains every scope. */
export function hasScope(held: ReadonlySet<Scope>, wanted: Scope): boolean {
  return held.has("admin") || held.has(wanted);
}

/** The roles that hold a scope, `admin` always among them. */
export function rolesWith(scope: Scope): Role[] {
  return roleNames.filter((role) => hasScope(scopesOf([role], []), scope));
}

/** Someone who was authenticated, with what they may do. `session` is the TRACE session their events belong to. */
export type Caller = { principal: Principal; scopes: ReadonlySet<Scope>; sessionId: string; keyId: string | null };

/** TRACE actor of a principal: user → user, agent → agent, service → runtime. */
export function actorOf(principal: Principal): { type: "user" | "agent" | "runtime"; id: string } {
  return { type: principal.type === "service" ? "runtime" : principal.type, id: principal.id };
}

/** `user:alice` for screens and `by` members. */
export function principalText(principal: Principal): string {
  return `${principal.type}:${principal.id}`;
}
