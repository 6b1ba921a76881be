// Hosts that a failed task could not reach because it has no network: names that nothing resolves in the sandbox, and URLs it could not open.
import { coversNetwork, type DeniedOperation } from "../../model/index.ts";

type Place = { host: string; port: number };
type Found = DeniedOperation & { line: number };

/** Of the places that lines and inputs name; a task's words must not cost more than its failure is worth. */
const placesMax = 64;
const inputUnitsMax = 64 * 1024;

/** Each gives the host. `port`: of the program that says so. No pattern here looks at a character more than a few times. */
const unresolved: { words: RegExp; port: number | null }[] = [
  { words: /\bssh: could not resolve hostname ([\w.-]{1,253})/gi, port: 22 },
  { words: /could not resolve (?:host|hostname):? ["']?([\w.-]{1,253})/gi, port: null },
  { words: /unable to resolve host(?: address)? [‘'"]?([\w.-]{1,253})/gi, port: null },
  { words: /\b(?:EAI_AGAIN|ENOTFOUND|EAI_FAIL|EREFUSED) ([\w.-]{1,253})/gi, port: null },
  { words: /could not translate host name "([\w.-]{1,253})"/gi, port: 5432 },
  { words: /\blookup ([\w.-]{1,253})(?: on \S{1,64})?: /gi, port: null },
  { words: /failed to lookup address information[^.\n]{0,128}?\b([\w-]{1,63}\.[\w.-]{1,253})/gi, port: null },
  { words: /\bbad address '([\w.-]{1,253})'/gi, port: null },
];
/** No name is told with these: it is in the inputs. */
const unnamed = /temporary failure in name resolution|name or service not known|nodename nor servname|EAI_AGAIN|ENOTFOUND|try again/i;
const unreachable = new RegExp(
  `unable to connect|ConnectionRefused|FailedToOpenSocket|was there a typo in the url|could not connect|failed to connect|urlopen error|${unnamed.source}`,
  "i",
);
const url =
  /\b(https?|wss?|ssh|git|postgres(?:ql)?|mysql|redis|smtps?|ftp):\/\/(?:[^\s/@'"]{0,256}@)?(\[[0-9a-f:]{2,45}\]|[\w.-]{1,253})(?::(\d{1,5}))?/gi;
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
export function recogniseHosts(lines: readonly string[], granted: readonly string[], allInputs: string): Found[] {
  const inputs = allInputs.slice(0, inputUnitsMax);
  const hints: Hints = { text: [...lines, inputs].join("\n"), inputs, urls: urlsIn([...lines, inputs].join("\n")) };
  const found: (Place & { line: number })[] = [];
  for (const [line, text] of lines.entries()) {
    const room = placesMax - found.length;
    if (room <= 0) break;
    const named = namesIn(text)
      .slice(0, room)
      .map(({ host, port }) => withPort({ host, line: text, port }, hints));
    const places = [...named, ...(unreachable.test(text) ? urlsNear(lines, line) : [])].slice(0, room);
    found.push(...places.map((place) => ({ ...place, line })));
  }
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
    const names = [...text.matchAll(words).take(placesMax)].map(([, name = ""]) => ({ host: name.toLowerCase().replace(/\.$/, ""), port }));
    if (names.length > 0) return names;
  }
  return [];
}

/** Some programs tell the URL on a line of its own. */
function urlsNear(lines: readonly string[], at: number): Place[] {
  const own = urlsIn(lines[at] ?? "");
  return own.length > 0 ? own : urlsIn(lines.slice(Math.max(0, at - 3), at + 4).join("\n"));
}

type Hints = { text: string; inputs: string; urls: readonly Place[] };

function withPort({ host, line, port }: { host: string; line: string; port: number | null }, { text, inputs, urls }: Hints): Place {
  const inUrl = [...urlsIn(line), ...urls].find((one) => one.host === host);
  if (inUrl !== undefined) return inUrl;
  const name = host.replaceAll(".", String.raw`\.`).replaceAll("-", String.raw`\-`);
  const [, written] = new RegExp(String.raw`(?<![\w.-])${name}:(\d{1,5})(?!\d)`, "i").exec(text) ?? [];
  if (written !== undefined) return { host, port: Number(written) };
  // Without a scheme these mean http.
  const isPlain = /^(?:curl|wget)\b/i.test(line) && isFetched(name, inputs);
  return { host, port: port ?? (isPlain ? 80 : anyPort) };
}

/** Whether a command of the inputs gives the name to curl or wget. */
function isFetched(name: string, inputs: string): boolean {
  const alone = new RegExp(String.raw`(?<![\w./-])${name}(?![\w.-])`, "i");
  return inputs.split(/[\n;|&]/).some((command) => {
    const at = command.search(/\b(?:curl|wget)\b/i);
    return at >= 0 && alone.test(command.slice(at));
  });
}

function urlsIn(text: string): Place[] {
  return [...text.matchAll(url).take(placesMax)].map(([, scheme = "", host = "", port]) => ({
    host: host.toLowerCase(),
    port: Number(port ?? ports[scheme.toLowerCase()] ?? anyPort),
  }));
}
