// What one attempt may do, and whether it may start: permissions, sandbox and approval put together. Pure.
import { type ErrorBody, fail, type JsonObject, toErrorBody } from "../base/index.ts";
import type { TaskAsk, TaskPrepared } from "../engine/index.ts";
import {
  bareFolderOf,
  type CallableAction,
  decidePermissions,
  type Denial,
  type EffectivePermissions,
  type PermissionFinding,
  type Permissions,
  resolveEntry,
  type RunGrants,
} from "../model/index.ts";
import { approvalProblem, containerLayers, exceedingEntries, type GrantedEntries, type PluginApproval, wantsGroup } from "../plugins/index.ts";
import type { SandboxReport } from "./sandbox-report.ts";

/** What `prepare` leaves for `invoke`. */
export type Ticket = {
  action: CallableAction;
  permissions: EffectivePermissions;
  /** Filesystem entries of the workflow and the run, before action and task narrowed them. */
  granted: GrantedEntries;
  runtime: "process" | "docker";
  image: string | null;
};

export type PrepareFacts = {
  action: CallableAction;
  runtime: "process" | "docker";
  image: string | null;
  imageDigest: string | null;
  /** Of the action's plugin for the workflow. */
  approval: PluginApproval | null;
  sandbox: SandboxReport;
  /** Nothing is enforced and everything is recorded (--learn). */
  isObserved: boolean;
  /** The most that the server allows any task, null without a bound. */
  ceiling: Permissions | null;
  /** What a look-up ended with. */
  problem: ErrorBody | null;
  /** Whether this process can put attempts into control groups: asked only for those that want one. */
  hasGroups?: () => boolean;
};

/** Places, forwarders and variables follow from what is granted: where nothing is enforced, that is everything. */
const grantedToObserved: RunGrants = { network: [], filesystem: { read: [], write: [] }, env: [], all: true };

export function prepareTask(ask: TaskAsk, facts: PrepareFacts): TaskPrepared {
  const { action, runtime, image, imageDigest, isObserved } = facts;
  const { workflow, task } = ask.permissions;
  const allow = isObserved ? grantedToObserved : ask.permissions.allow;
  const { ceiling } = facts;
  const blocks = { ...(task === undefined ? {} : { task }), ...(ceiling === null ? {} : { server: ceiling }) };
  const bare = bareFolderOf((start) => action.asks(ask.inputs, start), { workflow, allow: givenOf(ask, isObserved), folder: ask.folder });
  const sources = { asks: action.asks(ask.inputs, bare), workflow, allow, folder: ask.folder, ...blocks };
  const { effective, findings } = decidePermissions(sources);
  const refused = findings.filter((finding) => !finding.allowed);
  // A built-in asks for what its inputs need, so a part of it is of no use; a plugin asks for the most that it may ever need.
  const isDefinite = action.plugin === null && sources.asks !== "everything" && !isObserved;
  const denials = isDefinite ? refused.flatMap((finding) => denialOf(finding, ask.folder)) : [];
  const ticket: Ticket = { action, permissions: effective, granted: grantedOf(ask), runtime, image };
  return {
    runtime,
    pluginSha256: action.plugin?.sha256 ?? null,
    imageDigest,
    permissions: recordOf(effective, refused),
    timeoutMs: action.timeoutMs,
    env: effective.env,
    sandbox: sandboxOf(facts, effective),
    refusal: facts.problem ?? approvalRefusal(ask, facts) ?? sandboxRefusal(facts) ?? permissionRefusal(ask, denials),
    denials,
    ticket,
  };
}

/** What is granted by name counts also where everything is. */
function givenOf({ permissions }: TaskAsk, isObserved: boolean): RunGrants | null {
  return isObserved ? { ...grantedToObserved, ...permissions.allow, all: true } : permissions.allow;
}

function grantedOf({ permissions: { workflow, allow } }: TaskAsk): GrantedEntries {
  const { read = [], write = [] } = workflow.filesystem ?? {};
  if (allow === null) return { read, write };
  const { filesystem, all } = allow;
  return { read: [...read, ...filesystem.read], write: [...write, ...filesystem.write, ...(all ? ["/"] : [])] };
}

/** An attempt that cannot be told what it may do, since its action is not there. */
export function refuseTask(ask: TaskAsk, refusal: ErrorBody): TaskPrepared {
  const nothing = { pluginSha256: null, imageDigest: null, permissions: {}, timeoutMs: null, env: [], denials: [], ticket: null };
  return { ...nothing, runtime: ask.runtime, sandbox: { level: "off", layers: [] }, refusal };
}

function recordOf(effective: EffectivePermissions, refused: readonly PermissionFinding[]): JsonObject {
  return { ...effective, refused: refused.map(({ kind, entry, by, grant }) => ({ kind, entry, by, grant })) };
}

function sandboxOf({ sandbox, isObserved, runtime, hasGroups }: PrepareFacts, effective: EffectivePermissions): TaskPrepared["sandbox"] {
  // What confines a container is the container engine's, whatever this kernel offers to processes; nothing turns it off.
  if (runtime === "docker") return { level: "strict", layers: [...containerLayers, ...(isObserved ? ["observe"] : [])] };
  if (isObserved) return { level: "off", layers: ["observe"] };
  if (sandbox.level === "none" || sandbox.level === "off") return { level: "off", layers: sandbox.layers };
  const isGrouped = wantsGroup(effective) && hasGroups?.() === true && !sandbox.layers.includes("cgroup");
  return { level: sandbox.level, layers: [...sandbox.layers, ...(isGrouped ? ["cgroup"] : [])] };
}

function sandboxRefusal({ sandbox, isObserved, runtime, action }: PrepareFacts): ErrorBody | null {
  if (sandbox.level !== "none" || isObserved || runtime === "docker") return null;
  const hint = "`workflow doctor` says what is missing; `plugins.sandbox: off` runs tasks unconfined.";
  return toErrorBody(fail("SANDBOX_UNAVAILABLE", `Cannot run "${action.action}": this machine cannot confine it`, { hint }));
}

function approvalRefusal(ask: TaskAsk, { action, approval }: PrepareFacts): ErrorBody | null {
  if (action.plugin === null) return null;
  const { manifest } = action.plugin;
  const exceeded = approvalProblem(manifest.permissions, approval);
  const [first] = exceedingEntries(manifest.permissions, approval?.permissions ?? {});
  if (first === undefined) return null;
  const name = `${manifest.namespace}/${manifest.name}`;
  // No line of the workflow would help: a person has to approve.
  const [denial] = denialOf({ ...first, grant: null }, ask.folder);
  const details = { ...denial, plugin: name, exceeded };
  const message = `Cannot run "${action.action}": the installed ${name} asks for more than was approved for workflow "${ask.workflow}" (${exceeded[0]})`;
  return toErrorBody(fail("PERMISSION_DENIED", message, { details, hint: `workflow plugin approve ${name}` }));
}

function permissionRefusal({ action }: TaskAsk, [first]: readonly Denial[]): ErrorBody | null {
  if (first === undefined) return null;
  const { target, rule, grant } = first;
  const hint = grant === null ? {} : { hint: `Add to permissions: ${grant}` };
  return toErrorBody(
    fail("PERMISSION_DENIED", `Cannot run "${action}": it needs ${rule} ${target}, which is not granted`, { details: { ...first }, ...hint }),
  );
}

/** Limits are no grants: an attempt that asks for more runs with less. */
function denialOf({ kind, entry, grant }: Pick<PermissionFinding, "kind" | "entry" | "grant">, folder: string | null): Denial[] {
  if (kind === "limit") return [];
  if (kind === "listen") return [{ kind: "network", target: `127.0.0.1:${entry}`, rule: kind, grant }];
  if (kind === "filesystem.read" || kind === "filesystem.write")
    return [{ kind: "filesystem", target: resolveEntry(entry, { folder }) ?? entry, rule: kind, grant }];
  return [{ kind, target: entry, rule: kind, grant }];
}
