// Denials that the kernel does not report: found in what a failed task wrote last, and believed only where they fit what it was granted.
import { lstatSync } from "node:fs";
import { basename, dirname, isAbsolute, join, normalize, resolve } from "node:path";
import { coversNetwork, type DeniedOperation, isWithin } from "../../model/index.ts";
import { programPaths, settingPaths } from "../sandbox/index.ts";
import { realPath } from "./confine.ts";

export type Granted = {
  /** Real paths. */
  read: readonly string[];
  write: readonly string[];
  network: readonly string[];
  /** Where relative paths in the output start. */
  cwd: string;
};

/** Words of shells, coreutils, Bun, node, Python and git for a path that may not be used; a masked one looks as if it were missing. */
const refused =
  /permission denied|EACCES|EPERM|operation not permitted|EROFS|read-only file system|ENOENT|no such file or directory|cross-device link|EXDEV/i;
const missing = /ENOENT|no such file or directory/i;
const writing = new RegExp(
  String.raw`\b(?:create|write|writing|remove|removing|unlink|renamed?|move|mkdir|rmdir|touch|touching|chmod|chown|truncate|append|copyfile)\b|` +
    String.raw`\b(?:symlink|link|utime|set|creat)\b|read-only file system|EROFS|cross-device`,
  "i",
);
const quoted = /'([^'\n]{1,4096})'|"([^"\n]{1,4096})"|`([^`\n]{1,4096})['`]|‘([^’\n]{1,4096})’/g;
/** `prog: /path: Permission denied`, `cannot open /path: …`, `bash: line 1: /path: …`. */
const bare = /(?:^|[\s:=(])((?:\.{0,2}\/)[^\s:'"`]{1,4096}|[^\s:'"`/]{1,255}(?:\/[^\s:'"`]{1,4096})?)(?=:\s)/g;
const unresolved = [
  /could not resolve (?:host|hostname):? ["']?([\w.-]+)/gi,
  /unable to resolve host(?: address)? [‘'"]?([\w.-]+)/gi,
  /getaddrinfo (?:EAI_AGAIN|ENOTFOUND|EAI_FAIL|EREFUSED|ECONNREFUSED) ([\w.-]+)/gi,
  /could not translate host name "([\w.-]+)"/gi,
  /failed to lookup address information.*?\b([\w-]+(?:\.[\w-]+)+)/gi,
];
const unreachable = new RegExp(
  "unable to connect|ConnectionRefused|FailedToOpenSocket|was there a typo in the url|temporary failure in name resolution|" +
    "name or service not known|EAI_AGAIN|could not connect|failed to connect|urlopen error",
  "i",
);
const url = /\b(https?|wss?|ssh|git|postgres(?:ql)?|smtps?):\/\/(?:[^\s/@'"]*@)?(\[[0-9a-f:]+\]|[\w.-]+)(?::(\d{1,5}))?/gi;
const ports: Record<string, number> = {
  http: 80,
  ws: 80,
  https: 443,
  wss: 443,
  ssh: 22,
  git: 9418,
  postgres: 5432,
  postgresql: 5432,
  smtp: 25,
  smtps: 465,
};

/** What the lines tell of, the latest first, each once. `inputs`: where the port of a host that has none in the output is looked up. */
export function recogniseDenials(lines: readonly string[], granted: Granted, inputs: string): DeniedOperation[] {
  const found = lines.toReversed().flatMap((line) => (refused.test(line) ? recogniseFile(line, granted) : []));
  found.push(...recogniseHosts(lines.join("\n"), granted, inputs));
  const seen = new Set<string>();
  return found.filter(({ rule, target }) => {
    const key = `${rule} ${target}`;
    return seen.has(key) ? false : Boolean(seen.add(key));
  });
}

function recogniseFile(line: string, granted: Granted): DeniedOperation[] {
  const inQuotes = [...line.matchAll(quoted)].flatMap((match) => match.slice(1).filter((text) => text !== undefined));
  const paths = [...inQuotes, ...[...line.matchAll(bare)].map(([, text = ""]) => text)].filter(isPathLike);
  for (const text of paths) {
    const denial = judgePath(text, line, granted);
    if (denial !== null) return [denial];
  }
  return [];
}

function isPathLike(text: string): boolean {
  return !text.includes("\0") && !text.includes("://") && text.trim() === text && text !== "" && text !== "/";
}

function judgePath(text: string, line: string, granted: Granted): DeniedOperation | null {
  const spelled = isAbsolute(text) ? normalize(text) : resolve(granted.cwd, text);
  const whole = realPath(spelled);
  const parent = realPath(dirname(spelled));
  // Neither it nor its folder: a name that only looks like a path.
  if (whole === null && parent === null) return null;
  const target = whole ?? join(parent ?? "/", basename(spelled));
  const isThere = whole !== null || lstatSync(spelled, { throwIfNoEntry: false }) !== undefined;
  const mayRead = isWithin([...granted.read, ...granted.write, ...programPaths, ...settingPaths], target);
  const mayWrite = isWithin(granted.write, target);
  if (mayWrite) return null;
  if (missing.test(line) && !isThere && !writing.test(line)) return null;
  const isWrite = writing.test(line) || !isThere || mayRead;
  // What is missing and may be read really is missing.
  if (missing.test(line) && mayRead && !isThere) return null;
  if (missing.test(line) && mayRead && !writing.test(line)) return null;
  return { kind: "filesystem", target, rule: isWrite ? "filesystem.write" : "filesystem.read", isNew: !isThere };
}

function recogniseHosts(text: string, granted: Granted, inputs: string): DeniedOperation[] {
  const names = new Set(unresolved.flatMap((pattern) => [...text.matchAll(pattern)].map(([, name = ""]) => name.toLowerCase())));
  const urls = urlsIn(text);
  const known = [...urls, ...urlsIn(inputs)];
  const meant = [...[...names].map((host) => known.find((one) => one.host === host) ?? { host, port: 443 }), ...(unreachable.test(text) ? urls : [])];
  return meant
    .map(({ host, port }) => `${host}:${port}`)
    .filter((target) => !granted.network.some((entry) => coversNetwork(entry, target)))
    .map((target) => ({ kind: "network", target, rule: "network" }) as const);
}

function urlsIn(text: string): { host: string; port: number }[] {
  return [...text.matchAll(url)].map(([, scheme = "", host = "", port]) => ({
    host: host.toLowerCase(),
    port: Number(port ?? ports[scheme.toLowerCase()] ?? 443),
  }));
}
