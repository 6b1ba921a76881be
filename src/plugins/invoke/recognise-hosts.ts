// Hosts that a failed task could not reach because it has no network: names that nothing resolves in the sandbox, and URLs it could not open.
import { coversNetwork, type DeniedOperation } from "../../model/index.ts";

type Place = { host: string; port: number };
type Found = DeniedOperation & { line: number };

/** Each gives the host. `port`: of the program that says so. */
const unresolved: { words: RegExp; port: number | null }[] = [
  { words: /\bssh: could not resolve hostname ([\w.-]+)/gi, port: 22 },
  { words: /could not resolve (?:host|hostname):? ["']?([\w.-]+)/gi, port: null },
  { words: /unable to resolve host(?: address)? [‘'"]?([\w.-]+)/gi, port: null },
  { words: /\b(?:EAI_AGAIN|ENOTFOUND|EAI_FAIL|EREFUSED) ([\w.-]+)/gi, port: null },
  { words: /could not translate host name "([\w.-]+)"/gi, port: 5432 },
  { words: /\blookup ([\w-]+(?:\.[\w-]+)*)(?: on \S+)?: /gi, port: null },
  { words: /failed to lookup address information.*?\b([\w-]+(?:\.[\w-]+)+)/gi, port: null },
  { words: /\bbad address '([\w.-]+)'/gi, port: null },
];
/** No name is told with these: it is in the inputs. */
const unnamed = /temporary failure in name resolution|name or service not known|nodename nor servname|EAI_AGAIN|ENOTFOUND|try again/i;
const unreachable = new RegExp(
  `unable to connect|ConnectionRefused|FailedToOpenSocket|was there a typo in the url|could not connect|failed to connect|urlopen error|${unnamed.source}`,
  "i",
);
const url = /\b(https?|wss?|ssh|git|postgres(?:ql)?|mysql|redis|smtps?|ftp):\/\/(?:[^\s/@'"]*@)?(\[[0-9a-f:]+\]|[\w.-]+)(?::(\d{1,5}))?/gi;
const ports: Record<string, number> = {
  http: 80,
  ws: 80,
  https: 443,
  wss: 443,
  ssh: 22,
  git: 9418,
  postgres: 5432,
  postgresql: 5432,
  mysql: 3306,
  redis: 6379,
  smtp: 25,
  smtps: 465,
  ftp: 21,
};
const anyPort = 443;

/** Hosts that the lines tell of and no grant covers, the latest first. `inputs`: where ports are looked up, and a host that no line names. */
export function recogniseHosts(lines: readonly string[], granted: readonly string[], inputs: string): Found[] {
  const hints = [...lines, inputs].join("\n");
  const found = lines.flatMap((text, line) => {
    const named = namesIn(text).map(({ host, port }) => withPort({ host, line: text, port }, hints, inputs));
    return [...named, ...(unreachable.test(text) ? urlsNear(lines, line) : [])].map((place) => ({ ...place, line }));
  });
  const blind = lines.findLastIndex((text) => unnamed.test(text));
  const [first] = urlsIn(inputs).filter(({ host }) => /[a-z]/i.test(host) && !host.startsWith("["));
  if (found.length === 0 && blind >= 0 && first !== undefined) found.push({ ...first, line: blind });
  return found
    .toReversed()
    .map(({ host, port, line }): Found => ({ kind: "network", target: `${host}:${port}`, rule: "network", line }))
    .filter(({ target }) => !granted.some((entry) => coversNetwork(entry, target)));
}

/** By the first of the patterns that fits. */
function namesIn(text: string): { host: string; port: number | null }[] {
  for (const { words, port } of unresolved) {
    const names = [...text.matchAll(words)].map(([, name = ""]) => ({ host: name.toLowerCase().replace(/\.$/, ""), port }));
    if (names.length > 0) return names;
  }
  return [];
}

/** Some programs tell the URL on a line of its own. */
function urlsNear(lines: readonly string[], at: number): Place[] {
  const own = urlsIn(lines[at] ?? "");
  return own.length > 0 ? own : urlsIn(lines.slice(Math.max(0, at - 3), at + 4).join("\n"));
}

function withPort({ host, line, port }: { host: string; line: string; port: number | null }, hints: string, inputs: string): Place {
  const inUrl = [...urlsIn(line), ...urlsIn(hints)].find((one) => one.host === host);
  if (inUrl !== undefined) return inUrl;
  const name = host.replaceAll(".", String.raw`\.`).replaceAll("-", String.raw`\-`);
  const [, written] = new RegExp(String.raw`(?<![\w.-])${name}:(\d{1,5})(?!\d)`, "i").exec(hints) ?? [];
  if (written !== undefined) return { host, port: Number(written) };
  // Without a scheme these mean http.
  const isPlain = /^(?:curl|wget)\b/i.test(line) && new RegExp(String.raw`\b(?:curl|wget)\b[^\n;|&]*(?<![\w./-])${name}(?![\w.-])`, "i").test(inputs);
  return { host, port: port ?? (isPlain ? 80 : anyPort) };
}

function urlsIn(text: string): Place[] {
  return [...text.matchAll(url)].map(([, scheme = "", host = "", port]) => ({
    host: host.toLowerCase(),
    port: Number(port ?? ports[scheme.toLowerCase()] ?? anyPort),
  }));
}
