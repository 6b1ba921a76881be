// What a confinement becomes in the language of macOS's sandbox: which rules there are, and that nothing foreign is in the text.
import { expect, test } from "bun:test";
import { profileFor } from "../../../src/plugins/runtimes/macos/profile.ts";
import type { Confinement } from "../../../src/plugins/sandbox/index.ts";

const limits = { memoryBytes: null, cpuSeconds: null, processes: null, openFiles: null, fileBytes: null };
const base: Confinement = { mode: "enforce", user: null, read: [], write: [], connect: [], listen: [], run: false, limits };
const places = { starts: ["/usr/bin/true"], closed: ["/Users/ann/Library/Keychains"] };

type Rule = { decision: string; operations: string[]; filters: string[] };

/** Each top-level form; the reader is the test's own and knows strings and parentheses only. */
function rulesOf(profile: string): Rule[] {
  const forms: string[] = [];
  let depth = 0;
  let start = 0;
  let inString = false;
  for (const [at, char] of [...profile].entries()) {
    if (char === '"') inString = !inString;
    if (inString) continue;
    if (char === "(" && depth++ === 0) start = at;
    if (char === ")" && --depth === 0) forms.push(profile.slice(start, at + 1));
  }
  expect([depth, inString]).toEqual([0, false]);
  return forms.map((form) => {
    const words = (/^\(([^("]*)/.exec(form)?.[1] ?? "").trim().split(/\s+/);
    const [decision = "", ...operations] = words.map((word) => word.replace(/\)$/, ""));
    return {
      decision,
      operations,
      filters: form
        .split("\n")
        .slice(1)
        .map((line) => line.trim()),
    };
  });
}

const allowed = (profile: string, operation: string) =>
  rulesOf(profile).filter(({ decision, operations }) => decision === "allow" && operations.includes(operation));

test("[WF-14] everything is denied first, and the least confinement allows no network, no writing, no forking and no services", () => {
  const { profile, parameters } = profileFor(base, places);
  const [version, denied] = rulesOf(profile);
  expect(version).toMatchObject({ decision: "version", operations: ["1"] });
  expect(denied).toEqual({ decision: "deny", operations: ["default"], filters: [] });
  const operations = rulesOf(profile).flatMap((rule) => (rule.decision === "allow" ? rule.operations : []));
  expect([...new Set(operations)].toSorted()).toEqual([
    "file-map-executable",
    "file-read*",
    "file-read-data",
    "file-read-metadata",
    "file-write-data",
    "mach-lookup",
    "process-exec*",
    "process-info*",
    "signal",
    "sysctl-read",
  ]);
  expect(allowed(profile, "process-exec*").map(({ filters }) => filters)).toEqual([['(subpath (param "START_0")))']]);
  expect(parameters).toEqual({ START_0: "/usr/bin/true", CLOSED_0: "/Users/ann/Library/Keychains" });
});

test("only devices and the task's own descriptors are written without a grant, and only users' names are looked up", () => {
  const { profile } = profileFor(base, places);
  const written = allowed(profile, "file-write-data").flatMap(({ filters }) => filters);
  expect(written.map((filter) => /"([^"]+)"/.exec(filter)?.[1])).toEqual(["/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/fd"]);
  expect(allowed(profile, "mach-lookup").flatMap(({ filters }) => filters)).toEqual(['(global-name "com.apple.system.opendirectoryd.libinfo"))']);
  expect(profile).not.toContain("procargs");
  expect(profile).not.toMatch(/sysctl-name-prefix "kern/);
});

test("what is read of the system is neither a user's data nor the whole disk, and the root only as itself", () => {
  const { profile } = profileFor(base, places);
  const read = allowed(profile, "file-read*").flatMap(({ filters }) => filters);
  const folders = read.map((filter) => /\(subpath "([^"]+)"/.exec(filter)?.[1]).filter((path) => path !== undefined);
  expect(folders.length).toBeGreaterThan(20);
  for (const folder of folders) {
    expect(folder).not.toMatch(/^\/(?:System|Library|private|private\/(?:etc|var|tmp)|Users|usr|usr\/local|opt|opt\/homebrew|dev)?$/);
    expect(folder).not.toMatch(/^\/System\/Volumes\/Data|\/Keychains|^\/(?:etc|var|tmp)\b/);
  }
  expect(read.filter((filter) => filter.startsWith("(literal"))).toContain('(literal "/")');
});

test("granted paths are parameters: read ones can be read and loaded, written ones all of it, and run ones executed only with run", () => {
  const confinement = { ...base, read: ["/private/tmp/r/"], write: ["/private/tmp/w", "/Users/ann/x"] };
  const { profile, parameters } = profileFor(confinement, places);
  expect(parameters).toMatchObject({ READ_0: "/private/tmp/r", WRITE_0: "/private/tmp/w", WRITE_1: "/Users/ann/x" });
  const named = (text: string, operation: string) =>
    [...new Set(allowed(text, operation).flatMap(({ filters }) => filters.map((filter) => /param "(\w+)"/.exec(filter)?.[1])))].filter(Boolean);
  expect(named(profile, "file-read*").toSorted()).toEqual(["READ_0", "START_0", "WRITE_0", "WRITE_1"]);
  expect(named(profile, "file-map-executable").toSorted()).toEqual(["READ_0", "START_0", "WRITE_0", "WRITE_1"]);
  expect(named(profile, "file-write*")).toEqual(["WRITE_0", "WRITE_1"]);
  expect(named(profile, "process-exec*")).toEqual(["START_0"]);
  expect(allowed(profile, "process-fork")).toEqual([]);
  const running = profileFor({ ...confinement, run: true }, places).profile;
  expect(named(running, "process-exec*").toSorted()).toEqual(["READ_0", "START_0", "WRITE_0", "WRITE_1"]);
  expect(allowed(running, "process-fork")).toHaveLength(1);
});

test("what stays closed is denied last, and no bits that change the user can be set", () => {
  const { profile } = profileFor({ ...base, read: ["/Users/ann"], write: ["/Users/ann"], run: true, connect: [1], listen: [2] }, places);
  const last = rulesOf(profile).at(-1);
  expect(last).toMatchObject({ decision: "deny", operations: ["file-read*", "file-write*"] });
  expect(last?.filters).toEqual(['(subpath "/Library/Keychains")', '(subpath (param "CLOSED_0")))']);
  const all = rulesOf(profile);
  const writes = all.findIndex(({ operations }) => operations.includes("file-write*"));
  const setugid = all.findIndex(({ decision, operations }) => decision === "deny" && operations.includes("file-write-setugid"));
  expect(setugid).toBeGreaterThan(writes);
});

test("[WF-14] network is TCP of localhost by port: what may be reached out, what may be listened on both ways", () => {
  const { profile } = profileFor({ ...base, connect: [4100, 4101], listen: [8080] }, places);
  const networkRules = rulesOf(profile).filter(({ operations }) => operations.some((operation) => operation.startsWith("network")));
  expect(networkRules).toEqual([
    { decision: "allow", operations: ["network-outbound"], filters: ['(remote tcp "localhost:4100")', '(remote tcp "localhost:4101"))'] },
    { decision: "allow", operations: ["network-bind", "network-inbound"], filters: ['(local tcp "localhost:8080"))'] },
  ]);
});

test("hostile paths never reach the text of the profile", () => {
  const hostile = ['/tmp/")) (allow default) ("', "/tmp/a\n(allow network*)", "/tmp/(param)", "/tmp/\\", "/tmp/READ_0=x;", "/tmp/ä ' $(id) `id`"];
  const plain = hostile.map((_, index) => `/tmp/${index}`);
  const confine = (paths: readonly string[]) => profileFor({ ...base, read: paths, write: paths, run: true }, { starts: paths, closed: paths });
  const made = confine(hostile);
  expect(made.profile).toBe(confine(plain).profile);
  expect(Object.keys(made.parameters).every((name) => /^(?:READ|WRITE|START|CLOSED)_\d+$/.test(name))).toBe(true);
  expect(Object.values(made.parameters)).toEqual(Array.from({ length: 4 }, () => hostile).flat());
});

test("what is no port or no absolute path is a mistake of ours, and what macOS cannot hold is refused", () => {
  for (const port of [0, -1, 65_536, 1.5, Number.NaN]) {
    expect(() => profileFor({ ...base, connect: [port] }, places)).toThrow(expect.objectContaining({ code: "INTERNAL" }));
    expect(() => profileFor({ ...base, listen: [port] }, places)).toThrow(expect.objectContaining({ code: "INTERNAL" }));
  }
  for (const path of ["", "relative", "/a\0b"]) {
    expect(() => profileFor({ ...base, read: [path] }, places)).toThrow(expect.objectContaining({ code: "INTERNAL" }));
  }
  for (const more of [{ mode: "observe" }, { user: { uid: 1, gid: 1 } }] as const) {
    expect(() => profileFor({ ...base, ...more }, places)).toThrow(expect.objectContaining({ code: "SANDBOX_UNAVAILABLE" }));
  }
});
