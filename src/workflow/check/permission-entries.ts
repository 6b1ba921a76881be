// What single permission entries say, and whether one covers another; the enforcement lives with the plugins.
import type { Permissions } from "../../model/index.ts";

const label = "[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})";
const hostName = new RegExp(`^(?:\\*\\.)?${label}(?:\\.${label})*\\.?$`);
const ip4 = /^(?:\d{1,3}\.){3}\d{1,3}(?:\/\d{1,2})?$/;
const ip6 = /^\[[0-9A-Fa-f:.]+(?:\/\d{1,3})?\]$/;

/** Why a network entry is malformed, null when it is well-formed. */
export function findNetworkProblem(entry: string): string | null {
  if (entry.includes("://")) return "names a URL; write host:port";
  const colon = entry.lastIndexOf(":");
  if (colon <= 0) return "has no port; write host:port";
  const host = entry.slice(0, colon);
  const port = entry.slice(colon + 1);
  if (port !== "*" && !(/^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535)) return "has no port from 1 to 65535";
  if (host === "*") return "allows every host; name one, or *.example.com";
  if (ip4.test(host)) return host.split(/[./]/).every((part, index) => Number(part) <= (index === 4 ? 32 : 255)) ? null : "is no address";
  return ip6.test(host) || hostName.test(host) ? null : "is none of host:port, *.host:port, host:*, cidr:port";
}

const places = ["$workspace", "$workdir", "$input", "$plugin", "$worktree"];

/** Why a filesystem entry is malformed, `relative` when it needs the workflow's folder, null when it is well-formed. */
export function findPathProblem(entry: string): { relative: boolean; problem: string | null } {
  if (entry.includes("\0")) return { relative: false, problem: "holds a NUL" };
  if (entry.startsWith("$")) {
    const place = entry.split("/", 1)[0] ?? "";
    return { relative: false, problem: places.includes(place) ? null : `starts with ${place}, which is none of ${places.join(", ")}` };
  }
  if (entry.startsWith("~")) return { relative: false, problem: "starts with ~, which is not expanded" };
  return { relative: !entry.startsWith("/"), problem: null };
}

/** Names that are never copied into a task, whatever is granted. */
export function isNeverCopied(name: string): boolean {
  return /^(?:AUTOKESTRA_|WORKFLOW_|BUN_|LD_)/.test(name) || name === "NODE_OPTIONS";
}

function splitEntry(entry: string): [string, string] {
  const colon = entry.lastIndexOf(":");
  return [entry.slice(0, colon).toLowerCase(), entry.slice(colon + 1)];
}

export function coversNetwork(grant: string, entry: string): boolean {
  const [grantHost, grantPort] = splitEntry(grant);
  const [host, port] = splitEntry(entry);
  if (grantPort !== "*" && grantPort !== port) return false;
  if (grantHost === host) return true;
  return grantHost.startsWith("*.") && host.replace(/^\*\./, "").endsWith(grantHost.slice(1)) ? true : coversAddress(grantHost, host);
}

function addressOf(text: string): { bits: number; prefix: number } | null {
  if (!ip4.test(text)) return null;
  const [address = "", length = "32"] = text.split("/");
  return { bits: address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0), prefix: Number(length) };
}

function coversAddress(grant: string, entry: string): boolean {
  const wide = addressOf(grant);
  const narrow = addressOf(entry);
  if (wide === null || narrow === null || wide.prefix > narrow.prefix) return false;
  const step = 2 ** (32 - wide.prefix);
  return Math.floor(wide.bits / step) === Math.floor(narrow.bits / step);
}

function normalPath(path: string): string {
  const plain = path.replace(/\/+/g, "/").replace(/\/$/, "");
  return plain.startsWith("./") ? plain.slice(2) : plain === "." ? "" : plain;
}

export function coversPath(grant: string, entry: string): boolean {
  const wide = normalPath(grant);
  const narrow = normalPath(entry);
  if (narrow.split("/").includes("..")) return wide === narrow;
  if (wide === narrow || grant === "/") return grant !== "/" || entry.startsWith("/");
  if (wide === "") return !/^[/$]/.test(entry);
  return narrow.startsWith(`${wide}/`);
}

type Covers = (grant: string, entry: string) => boolean;

/** The entries that both lists allow: of each pair that overlaps, the narrower one. */
function intersect(a: readonly string[], b: readonly string[], covers: Covers): string[] {
  const kept = [...b.filter((entry) => a.some((grant) => covers(grant, entry))), ...a.filter((entry) => b.some((grant) => covers(grant, entry)))];
  return [...new Set(kept)];
}

const same: Covers = (grant, entry) => grant === entry;
const limitKeys = ["memoryMb", "cpuSeconds", "processes", "openFiles", "diskMb", "outputBytes"] as const;

/** What a task may do as declared: the workflow's grants narrowed by the task's own block, if it has one. Limits: the smaller. */
export function narrowPermissions(workflow: Permissions, task: Permissions | undefined): Permissions {
  if (task === undefined) return workflow;
  const read = intersect([...(workflow.filesystem?.read ?? []), ...(workflow.filesystem?.write ?? [])], task.filesystem?.read ?? [], coversPath);
  const write = intersect(workflow.filesystem?.write ?? [], task.filesystem?.write ?? [], coversPath);
  const out: Permissions = {
    network: intersect(workflow.network ?? [], task.network ?? [], coversNetwork),
    filesystem: { read, write },
    env: intersect(workflow.env ?? [], task.env ?? [], same),
    listen: (workflow.listen ?? []).filter((port) => (task.listen ?? []).includes(port)),
    run: (workflow.run ?? false) && (task.run ?? false),
  };
  for (const key of limitKeys) {
    const values = [workflow[key], task[key]].filter((value) => value !== undefined);
    if (values.length > 0) out[key] = Math.min(...values);
  }
  return out;
}
