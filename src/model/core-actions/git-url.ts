// Where a repository's address leads: a host with a port, or a path on this machine.
import { basename } from "node:path";

export type GitPlace = { kind: "remote"; scheme: "http" | "https" | "ssh" | "git"; host: string; port: number } | { kind: "local"; path: string };

const ports = { http: 80, https: 443, ssh: 22, git: 9418 } as const;
const withScheme = /^(https?|ssh|git):\/\/(?:[^/@]*@)?(\[[0-9A-Fa-f:.]+\]|[^/:@]+)(?::(\d{1,5}))?(?:\/|$)/;
/** user@host:path, as scp writes it. */
const likeScp = /^(?:[^/@:\s]+@)?([^/:@\s]+):(?!\/\/)/;

/** What a clone is named after its address. */
export function repositoryName(url: string): string {
  return basename(url.replace(/\/+$/, ""), ".git");
}

/** Null for an address of a kind that is not served (ext::, a URL of another scheme). */
export function placeOfGitUrl(url: string): GitPlace | null {
  const [, scheme, host, port] = withScheme.exec(url) ?? [];
  if (scheme !== undefined && host !== undefined) {
    const known = scheme as keyof typeof ports;
    return { kind: "remote", scheme: known, host: host.toLowerCase(), port: port === undefined ? ports[known] : Number(port) };
  }
  if (url.startsWith("file://")) return { kind: "local", path: url.slice("file://".length) };
  if (url.includes("::") || url.includes("://")) return null;
  const scp = likeScp.exec(url)?.[1];
  if (scp !== undefined) return { kind: "remote", scheme: "ssh", host: scp.toLowerCase(), port: ports.ssh };
  return { kind: "local", path: url };
}
