// The one function that says what an attempt may do: what its action asks for ∩ (workflow ∪ --allow-*) ∩ task ∩ server.
import type { Permissions } from "../workflow.ts";
import type { EffectivePermissions, PermissionFinding, PermissionKind, PermissionSources } from "./effective.ts";
import { anyVariable, isNeverCopied } from "./environment-entries.ts";
import { renderGrant } from "./grants.ts";
import { type AttemptLimits, decideLimits, limitKeys } from "./limits.ts";
import { anyNetwork, meetNetwork } from "./network-entries.ts";
import { coversPath } from "./path-entries.ts";

type ListKind = Exclude<PermissionKind, "run" | "limit">;
type Meet = (a: string, b: string) => string | null;
/** Who stands between asking and getting, in this order; each has to let an entry pass. "all" lets everything pass. */
type Step = { by: "workflow" | "task" | "server"; entries: readonly string[] | "all" };
type Question = { kind: ListKind; meet: Meet; steps: readonly Step[]; grantedBy: (entry: string) => "workflow" | "run" };
type Outcome = { entry: string; kept: string[]; findings: PermissionFinding[] };

/** What one attempt may do, and what became of each entry that its action asks for. Pure. */
export function decidePermissions(sources: PermissionSources): { effective: EffectivePermissions; findings: PermissionFinding[] } {
  const { asks } = sources;
  const network = decideList(sources, "network");
  const write = decideList(sources, "filesystem.write");
  const read = decideList(sources, "filesystem.read");
  const env = decideList(sources, "env");
  const listen = decideList(sources, "listen");
  const run = decideRun(sources);
  const attempt = decideLimits([asks === "everything" ? undefined : asks, sources.workflow, sources.task, sources.server]);
  const kept = (outcomes: readonly Outcome[]) => [...new Set(outcomes.flatMap((outcome) => outcome.kept))];
  // The workspace is where scripts start: theirs without a grant.
  const writable = [...new Set([...(asks === "everything" ? ["$workspace"] : []), ...kept(write)])];
  const readable = kept(read).filter((entry) => !writable.some((grant) => coversPath(grant, entry, sources.folder)));
  // Entries that are asked for writing are readable too, and told once.
  const asked = new Set(askedEntries(sources, "filesystem.read").own);
  const lists = [network, read.filter(({ entry }) => asked.has(entry)), write, env, listen];
  const findings = [...lists.flat().flatMap((outcome) => outcome.findings), ...run.findings, ...limitFindings(sources, attempt)];
  const effective = {
    network: kept(network),
    filesystem: { read: readable, write: writable },
    env: kept(env),
    run: run.allowed,
    listen: kept(listen).map(Number),
    ...attempt,
  };
  return { effective, findings };
}

/** The entries of one kind in a block; `own` leaves out those that only follow from another kind. */
function entriesOf(block: Permissions, kind: ListKind): { own: string[]; all: string[] } {
  const { read = [], write = [] } = block.filesystem ?? {};
  if (kind === "filesystem.read") return { own: read, all: [...read, ...write] };
  const own = kind === "filesystem.write" ? write : kind === "listen" ? (block.listen ?? []).map(String) : (block[kind] ?? []);
  return { own, all: own };
}

/**
 * A block that names a kind of entry, or nothing at all, is complete: kinds that it leaves out are not granted. One that has
 * only limits or `run` bounds the attempt and leaves the entries alone.
 */
function isComplete(block: Permissions): boolean {
  const kinds = [block.network, block.filesystem, block.env, block.listen];
  return kinds.some((kind) => kind !== undefined) || Object.values(block).every((value) => value === undefined);
}

const anyEntry: Record<ListKind, string | null> = {
  network: anyNetwork,
  "filesystem.read": null,
  "filesystem.write": "/",
  env: anyVariable,
  listen: null,
};

/** What is asked for: by `run:` scripts whatever somebody granted. */
function askedEntries({ asks, workflow, allow }: PermissionSources, kind: ListKind): { own: string[]; all: string[] } {
  if (asks !== "everything") return entriesOf(asks, kind);
  const blocks = [entriesOf(workflow, kind), entriesOf(allow ?? {}, kind)];
  const any = allow?.all === true ? anyEntry[kind] : null;
  const wildcard = any === null ? [] : [any];
  return { own: [...blocks.flatMap(({ own }) => own), ...wildcard], all: [...blocks.flatMap(({ all }) => all), ...wildcard] };
}

function meetOf(kind: ListKind, folder: string | null, any: string | null): Meet {
  const meet = meetEntries(kind, folder);
  // What stands for everything meets also what it does not cover as a text, such as a place.
  return any === null ? meet : (a, b) => (a === any ? b : b === any ? a : meet(a, b));
}

function meetEntries(kind: ListKind, folder: string | null): Meet {
  if (kind === "network") return meetNetwork;
  if (kind === "env" || kind === "listen") return (a, b) => (a === b ? a : null);
  return (a, b) => (coversPath(a, b, folder) ? b : coversPath(b, a, folder) ? a : null);
}

function decideList(sources: PermissionSources, kind: ListKind): Outcome[] {
  const { workflow, task, server, allow, folder = null } = sources;
  const isAll = allow?.all === true;
  const meet = meetOf(kind, folder, isAll ? anyEntry[kind] : null);
  const own = entriesOf(workflow, kind).all;
  const steps: Step[] = [{ by: "workflow", entries: isAll ? "all" : [...own, ...entriesOf(allow ?? {}, kind).all] }];
  if (task !== undefined && isComplete(task)) steps.push({ by: "task", entries: entriesOf(task, kind).all });
  // A ceiling bounds the kinds that it names.
  const isBounded = (kind.startsWith("filesystem") ? server?.filesystem : server?.[kind as keyof Permissions]) !== undefined;
  if (server !== undefined && isBounded) steps.push({ by: "server", entries: entriesOf(server, kind).all });
  const grantedBy = (entry: string) => (own.some((grant) => meet(grant, entry) === entry) ? "workflow" : "run");
  const question: Question = { kind, meet, steps, grantedBy };
  return [...new Set(askedEntries(sources, kind).all)].map((entry) => decideEntry(entry, question));
}

/** What every attempt has without a grant. */
function isGiven(kind: ListKind, entry: string): boolean {
  if (kind === "filesystem.write") return coversPath("$workdir", entry);
  return kind === "filesystem.read" && ["$workdir", "$input", "$plugin"].some((place) => coversPath(place, entry));
}

/** Takes one asked entry through everybody's grants; of what is granted in part, the parts are kept. */
function decideEntry(entry: string, { kind, meet, steps, grantedBy }: Question): Outcome {
  const allowed = (text: string, by: PermissionFinding["by"]) => ({ kind, entry: text, allowed: true, by, grant: null });
  const refused = (by: PermissionFinding["by"], grant: string | null) => ({ kind, entry, allowed: false, by, grant });
  if (kind === "env" && isNeverCopied(entry)) return { entry, kept: [], findings: [refused("server", null)] };
  if (isGiven(kind, entry)) return { entry, kept: [entry], findings: [allowed(entry, "plugin")] };
  let kept = [entry];
  let refusedBy: Step["by"] | null = null;
  for (const { by, entries } of steps) {
    if (entries !== "all") kept = [...new Set(kept.flatMap((part) => entries.map((grant) => meet(part, grant)).filter((found) => found !== null)))];
    if (refusedBy === null && !kept.some((part) => meet(part, entry) === entry)) refusedBy = by;
  }
  if (refusedBy === null) return { entry, kept: kept.includes(entry) ? kept : [entry], findings: [allowed(entry, grantedBy(entry))] };
  return { entry, kept, findings: [...kept.map((part) => allowed(part, grantedBy(part))), refused(refusedBy, renderGrant(kind, entry))] };
}

/** Programs: scripts always; a plugin that asks for it, unless a block forbids it. */
function decideRun({ asks, workflow, task, server, allow }: PermissionSources): { allowed: boolean; findings: PermissionFinding[] } {
  if (asks === "everything") return { allowed: true, findings: [] };
  if (asks.run !== true) return { allowed: false, findings: [] };
  const refusedBy =
    workflow.run === false && allow?.all !== true ? "workflow" : task?.run === false ? "task" : server?.run === false ? "server" : null;
  const allowed = refusedBy === null;
  return {
    allowed,
    findings: [{ kind: "run", entry: "true", allowed, by: refusedBy ?? "plugin", grant: allowed ? null : renderGrant("run", "true") }],
  };
}

/** Limits that an action asks for and that somebody lowers. */
function limitFindings(sources: PermissionSources, decided: AttemptLimits): PermissionFinding[] {
  const { asks } = sources;
  if (asks === "everything") return [];
  return limitKeys.flatMap((key) => {
    const wanted = asks[key];
    const got = decided[key];
    if (wanted === undefined || got === null || wanted <= got) return [];
    const by = (["workflow", "task", "server"] as const).find((source) => (sources[source]?.[key] ?? Infinity) < wanted);
    const grant = by === undefined ? null : `${key}: ${wanted}`;
    return [{ kind: "limit" as const, entry: `${key}: ${wanted}`, allowed: false, by: by ?? "server", grant }];
  });
}
