// Lines in which a program says that a file could not be used: where shells, coreutils, Python, Bun, Node, Go and git put the path,
// and what they wanted of it.

/** `create`: it was to be made. Null: the line does not say. */
export type Use = "read" | "write" | "create" | null;
export type PathMention = {
  text: string;
  use: Use;
  /** Stands where this kind of line has the path. */
  isSure: boolean;
  /** Has quotes around it, or a slash in it. */
  isMarked: boolean;
  /** The line says that there is no such file: what is masked looks so. */
  isMissing: boolean;
  /** A shell's own words, which are the same for a file that it cannot open and a program that it cannot start. */
  isOfShell: boolean;
};

const words =
  "permission denied|operation not permitted|read-only file system|no such file or directory|directory nonexistent|" +
  "(?:invalid )?cross-device link(?: not permitted)?";
const refusal = new RegExp(String.raw`${words}|\b(?:EACCES|EPERM|EROFS|ENOENT|EXDEV)\b`, "i");
const missing = /\bENOENT\b|no such file or directory|directory nonexistent/i;
/** Nothing that only reads is answered so. */
const unchangeable = /\bEROFS\b|read-only file system/i;
/** Neither lines nor the paths in one are looked at beyond these: what a task wrote is no reason to stop the engine for long. */
const lineUnitsMax = 4096;
const pathsMax = 16;

export function isRefusal(line: string): boolean {
  return refusal.test(line.slice(0, lineUnitsMax));
}

type Found = Pick<PathMention, "text" | "isSure" | "isMarked"> & { use?: Use; isOfShell?: boolean };

/** The paths that a line may be about, the likeliest first. */
export function pathsIn(whole: string): PathMention[] {
  const line = whole.slice(0, lineUnitsMax);
  const all = [...inSyscall(line), ...inPair(line), ...beforeWords(line), ...inQuotes(line), ...withSlashes(line)]
    .filter(isPathLike)
    .slice(0, pathsMax);
  // What is known best of a path stands first.
  const found = all.filter(({ text }, index) => all.findIndex((one) => one.text === text) === index);
  const isMissing = missing.test(line);
  const use = useIn(found.reduce((rest, { text }) => rest.replaceAll(text, " "), line));
  return found.map((one) => {
    const own = one.use === undefined ? use : one.use;
    const isChange = own === "create" || own === "write";
    return { isOfShell: false, ...one, use: !isChange && unchangeable.test(line) ? "write" : own, isMissing };
  });
}

function isPathLike({ text }: Found): boolean {
  return !/\0|:\/\/|^\s|\s$|^\/*$/.test(text) && text.length <= lineUnitsMax;
}

const reads = new Set(["scandir", "opendir", "readlink", "readdir", "stat", "lstat", "statx", "access", "read", "realpath", "watch"]);
/** Starting a program reads it. */
const starts = /^(?:posix_spawn|spawn|exec|uv_spawn|fork\/exec)/;
const makes = new Set(["mkdir", "mkdtemp", "mkdirat", "mknod", "symlinkat"]);
const syscall = /,\s(?:[a-z]+ )??([a-z_]{2,20}) '([^'\n]+)'(?: -> '([^'\n]+)')?/;
const goCall =
  /(?:^|:\s)(open|openat|stat|lstat|mkdir|mkdirat|unlinkat|remove|rename|chmod|chown|readlink|symlink|link|truncate|fork\/exec) (\/\S+): /;

function useOf(call: string): Use {
  if (reads.has(call) || starts.test(call)) return "read";
  if (call === "open" || call === "openat") return null;
  return makes.has(call) ? "create" : "write";
}

/** `EACCES: permission denied, open '/x'`, `… rename '/a' -> '/b'`, `open /x: permission denied`. */
function inSyscall(line: string): Found[] {
  const [, go, path] = goCall.exec(line) ?? [];
  if (go !== undefined && path !== undefined) return [{ text: path, use: useOf(go), isSure: true, isMarked: true }];
  const [, call = "", from, to] = syscall.exec(line) ?? [];
  if (from === undefined) return [];
  const mention = (text: string, use: Use): Found => ({ text, use, isSure: true, isMarked: true });
  if (to === undefined) return [mention(from, useOf(call))];
  if (call === "symlink") return [mention(to, "create")];
  const source = call === "copyfile" ? "read" : call === "link" ? null : "write";
  return [mention(from, source), mention(to, "create")];
}

/** `ln: failed to create hard link 'made' => 'source'`, `mv: cannot move 'a' to 'b'`, Python's `'a' -> 'b'`. */
function inPair(line: string): Found[] {
  const [, left, kind, right] = /['‘]([^'‘’\n]+)['’] (=>|->|to) ['‘]([^'‘’\n]+)['’]/.exec(line) ?? [];
  if (left === undefined || right === undefined) return [];
  const mention = (text: string, use: Use): Found => ({ text, use, isSure: true, isMarked: true });
  if (kind === "=>") return [mention(right, null), mention(left, "create")];
  return kind === "to" ? [mention(left, "write"), mention(right, "create")] : [mention(left, null), mention(right, "create")];
}

const wordsAt = new RegExp(`: (?:${words})`, "i");
const shellLine = /^(?:line )?\d+$/;
const builtIns =
  /^(?:cd|kill|ulimit|umask|exec|read|echo|printf|wait|source|\.|trap|set|export|connect|socket|bind|listen|ptrace|write error|read error)$/;

/** `prog: /x: Permission denied`, `main.sh: 2: cannot create /x: …`, `main.sh: line 3: x: …`: the part before the words. */
function beforeWords(line: string): Found[] {
  const at = wordsAt.exec(line)?.index;
  if (at === undefined) return [];
  const parts = line.slice(0, at).split(": ");
  const last = parts.at(-1) ?? "";
  const place = parts.at(-2) ?? "";
  const isOfShell = shellLine.test(place);
  if (/^['"‘`].*['"’`]$/.test(last)) return [{ text: last.slice(1, -1), isSure: true, isMarked: true }];
  const [, made, dash] = /^cannot (?:(create)|open) (.+)$/.exec(last) ?? [];
  if (dash !== undefined && isOfShell) return [{ text: dash, use: made === undefined ? "read" : "create", isSure: true, isMarked: true }];
  const phrased = afterPhrase(last);
  if (phrased !== null) return [{ text: phrased, isSure: true, isMarked: true }];
  if (parts.length < 2 || /['"‘`]/.test(last) || builtIns.test(last)) return [];
  const isMarked = last.includes("/");
  const isSure = (isMarked && (isOfShell || !/\s/.test(last))) || place.startsWith("line ");
  return [{ text: last, isSure, isMarked, isOfShell: isOfShell && !/^(?:cd|\.)$/.test(place) }];
}

/** `could not lock config file /x`: the last word, when only words stand between it and the phrase. */
function afterPhrase(text: string): string | null {
  const at = Math.max(text.lastIndexOf(" "), text.lastIndexOf("\t"));
  const path = text.slice(at + 1);
  if (at < 0 || path === "" || /['"‘`]/.test(path)) return null;
  const before = text.slice(0, at + 1);
  const phrase = [...before.matchAll(/\b(?:cannot|can't|could not|couldn't|failed to|unable to)\b/gi)].at(-1);
  return phrase !== undefined && /^[\w\s-]*$/.test(before.slice(phrase.index + phrase[0].length)) ? path : null;
}

const quotes = /(?<!\w)'([^'\n]+)'|"([^"\n]+)"|`([^`\n]+)['`]|‘([^‘’\n]+)’/g;
/** The longest of the words, and more. */
const wordsUnits = 64;
const beforeQuote = new RegExp(`(?:${words}): $`, "i");

/** In quotes anywhere; Python has them after the words. */
function inQuotes(line: string): Found[] {
  return [...line.matchAll(quotes).take(pathsMax)].map((match) => {
    const text = match.slice(1).find((group) => group !== undefined) ?? "";
    const end = match.index + match[0].length;
    const isSure =
      beforeQuote.test(line.slice(Math.max(0, match.index - wordsUnits), match.index)) ||
      wordsAt.exec(line.slice(end, end + wordsUnits))?.index === 0;
    return { text, isSure, isMarked: true };
  });
}

function withSlashes(line: string): Found[] {
  return [...line.matchAll(/(?:^|[\s=(])((?:\.{0,2}\/|[\w.-]+\/)[^\s:'"`,()]+)/g).take(pathsMax)].map(([, text = ""]) => ({
    text,
    isSure: false,
    isMarked: true,
  }));
}

const creating = /\b(?:create|creating|mkdir|touch|make)\b/i;
const changes =
  "write|writing|remove|removing|unlink|unlinking|delete|renamed?|move|rmdir|chmod|chown|chgrp|changing|setting|set|truncate|append|lock|update|utime";
const writing = new RegExp(String.raw`\b(?:${changes})\b|^tee:`, "i");
const readers = "cat|ls|head|tail|grep|find|wc|sort|less|more|od|xxd|diff|cmp|stat|file|du|readlink|realpath|md5sum|sha\\w*sum";
const reading = new RegExp(String.raw`^(?:${readers}): |for reading|\b(?:access|cd|stat|open directory|can't read|unable to read|list)\b`, "i");

/** `rest`: the line without its paths. */
function useIn(rest: string): Use {
  // The words of a refusal are no verbs.
  const text = rest.replace(new RegExp(words, "gi"), " ");
  if (creating.test(text)) return "create";
  if (writing.test(text)) return "write";
  return reading.test(text) ? "read" : null;
}
