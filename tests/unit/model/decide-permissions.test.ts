// The one function that decides what an attempt may do, the grants it proposes, and where entries lead.
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import {
  allowsPath,
  copiedNames,
  coversNetwork,
  coversPath,
  decidePermissions,
  findGrant,
  findNetworkProblem,
  findPathProblem,
  limitKeys,
  type Permissions,
  type PermissionSources,
  resolveEntries,
  type RunGrants,
} from "../../../src/model/index.ts";

const decide = (sources: Partial<PermissionSources>) => decidePermissions({ asks: {}, workflow: {}, ...sources });
const grants = (given: Partial<RunGrants>): RunGrants => ({ network: [], filesystem: { read: [], write: [] }, env: [], all: false, ...given });

describe("[WF-14] deny by default", () => {
  test("nothing granted is nothing, with the default limits", () => {
    const { effective, findings } = decide({
      asks: { network: ["a.b:1"], filesystem: { read: ["/r"], write: ["$workspace"] }, env: ["TZ"], listen: [80] },
    });
    expect(effective).toEqual({
      network: [],
      filesystem: { read: [], write: [] },
      env: [],
      run: false,
      listen: [],
      memoryMb: 512,
      cpuSeconds: null,
      processes: 64,
      openFiles: 256,
      diskMb: 1024,
      outputBytes: 64 * 1024 * 1024,
    });
    expect(findings.map(({ allowed, by, grant }) => [allowed, by, grant])).toEqual([
      [false, "workflow", 'network: ["a.b:1"]'],
      [false, "workflow", 'filesystem: { read: ["/r"] }'],
      [false, "workflow", 'filesystem: { write: ["$workspace"] }'],
      [false, "workflow", "env: [TZ]"],
      [false, "workflow", "listen: [80]"],
    ]);
  });

  test("scripts get what is granted, their workspace and programs, and no more", () => {
    const workflow = { network: ["*.a.b:443"], filesystem: { read: ["./in", "./out/x"], write: ["./out"] }, env: ["TZ", "LD_PRELOAD"], run: false };
    const { effective, findings } = decide({ asks: "everything", workflow });
    expect(effective).toMatchObject({
      network: ["*.a.b:443"],
      filesystem: { read: ["./in"], write: ["$workspace", "./out"] },
      env: ["TZ"],
      run: true,
    });
    expect(findings.filter(({ allowed }) => !allowed)).toEqual([{ kind: "env", entry: "LD_PRELOAD", allowed: false, by: "server", grant: null }]);
    expect(decide({ asks: "everything" }).effective).toMatchObject({ network: [], filesystem: { read: [], write: ["$workspace"] }, env: [] });
  });

  test("of each pair the narrower entry holds, and what is granted in part is told so", () => {
    const { effective, findings } = decide({
      asks: { network: ["*.a.b:443", "c.d:1"], filesystem: { read: ["/data/x"], write: ["/"] } },
      workflow: { network: ["x.a.b:*", "c.d:1"], filesystem: { write: ["/data"] } },
    });
    expect(effective).toMatchObject({ network: ["x.a.b:443", "c.d:1"], filesystem: { read: [], write: ["/data"] } });
    expect(findings).toEqual([
      { kind: "network", entry: "x.a.b:443", allowed: true, by: "workflow", grant: null },
      { kind: "network", entry: "*.a.b:443", allowed: false, by: "workflow", grant: 'network: ["*.a.b:443"]' },
      { kind: "network", entry: "c.d:1", allowed: true, by: "workflow", grant: null },
      { kind: "filesystem.read", entry: "/data/x", allowed: true, by: "workflow", grant: null },
      { kind: "filesystem.write", entry: "/data", allowed: true, by: "workflow", grant: null },
      { kind: "filesystem.write", entry: "/", allowed: false, by: "workflow", grant: 'filesystem: { write: ["/"] }' },
    ]);
  });

  test("who asks to write and may only read, reads", () => {
    const { effective } = decide({ asks: { filesystem: { write: ["/d"] } }, workflow: { filesystem: { read: ["/d"] } } });
    expect(effective.filesystem).toEqual({ read: ["/d"], write: [] });
  });

  test("every attempt has its work folder, its input and its plugin", () => {
    const asks = { filesystem: { read: ["$input", "$plugin/data", "$workdir/a"], write: ["$workdir", "$plugin"] } };
    const { effective, findings } = decide({ asks });
    expect(effective.filesystem.write).toEqual(["$workdir"]);
    expect(effective.filesystem.read).toEqual(["$input", "$plugin/data", "$plugin"]);
    expect(findings.filter(({ allowed }) => !allowed).map(({ entry }) => entry)).toEqual(["$plugin"]);
  });

  test("a task's block is complete, but one of limits alone leaves the entries", () => {
    const workflow = { network: ["a.b:1"], filesystem: { read: ["/d"] }, memoryMb: 300 };
    const of = (task: Permissions) => decide({ asks: "everything", workflow, task }).effective;
    expect(of({ network: ["a.b:*"] })).toMatchObject({ network: ["a.b:1"], filesystem: { read: [] } });
    expect(of({})).toMatchObject({ network: [], filesystem: { read: [] } });
    expect(of({ memoryMb: 100 })).toMatchObject({ network: ["a.b:1"], filesystem: { read: ["/d"] }, memoryMb: 100 });
    expect(of({ memoryMb: 400 }).memoryMb).toBe(300);
  });

  test("the server's ceiling bounds what it names", () => {
    const workflow = { network: ["a.b:1"], filesystem: { read: ["/d"] }, diskMb: 5000 };
    const { effective, findings } = decide({ asks: "everything", workflow, server: { network: [], diskMb: 10 } });
    expect(effective).toMatchObject({ network: [], filesystem: { read: ["/d"] }, diskMb: 10 });
    expect(findings[0]).toEqual({ kind: "network", entry: "a.b:1", allowed: false, by: "server", grant: 'network: ["a.b:1"]' });
  });

  test("programs: a plugin that asks, unless somebody forbids it", () => {
    const run = (sources: Partial<PermissionSources>) => decide({ asks: { run: true }, ...sources }).effective.run;
    expect(run({})).toBe(true);
    expect(run({ workflow: { network: [] }, task: { env: [] }, server: { env: [] } })).toBe(true);
    for (const block of [{ workflow: { run: false } }, { task: { run: false } }, { server: { run: false } }]) expect(run(block)).toBe(false);
    expect(decide({ asks: {}, workflow: { run: true } }).effective.run).toBe(false);
    expect(run({ workflow: { run: false }, allow: grants({ all: true }) })).toBe(true);
    expect(run({ task: { run: false }, allow: grants({ all: true }) })).toBe(false);
  });

  test("limits: the smallest named one, else the default, and what is lowered is told", () => {
    const { effective, findings } = decide({ asks: { memoryMb: 2048, processes: 1e12 }, workflow: { memoryMb: 1024 }, server: { cpuSeconds: 5 } });
    expect(effective).toMatchObject({ memoryMb: 1024, cpuSeconds: 5, processes: 4_194_304 });
    expect(findings).toEqual([
      { kind: "limit", entry: "memoryMb: 2048", allowed: false, by: "workflow", grant: "memoryMb: 2048" },
      { kind: "limit", entry: `processes: ${1e12}`, allowed: false, by: "server", grant: null },
    ]);
  });

  test("what one run is allowed beside its workflow stays within task and server", () => {
    const allow = grants({ network: ["c.d:2"], filesystem: { read: ["/w/data"], write: [] }, env: ["A"] });
    const asks = { network: ["c.d:2"], filesystem: { read: ["./data/x"] }, env: ["A", "B"] };
    const { effective, findings } = decide({ asks, allow, folder: "/w" });
    expect(effective).toMatchObject({ network: ["c.d:2"], filesystem: { read: ["./data/x"] }, env: ["A"] });
    expect(findings.map(({ entry, allowed, by }) => [entry, allowed, by])).toEqual([
      ["c.d:2", true, "run"],
      ["./data/x", true, "run"],
      ["A", true, "run"],
      ["B", false, "workflow"],
    ]);
    expect(decide({ asks, allow, task: { env: [] } }).effective.network).toEqual([]);
    expect(decide({ asks, allow: grants({ all: true }) }).effective).toMatchObject({ ...asks, filesystem: { read: ["./data/x"], write: [] } });
    const all = decide({ asks: "everything", allow: grants({ all: true }) }).effective;
    expect(all).toMatchObject({ network: ["*:*"], filesystem: { read: [], write: ["$workspace", "/"] }, env: ["*"] });
    const narrowed = decide({
      asks: "everything",
      allow: grants({ all: true }),
      server: { network: ["a.b:1"], filesystem: { read: ["$workspace/x", "/r"] } },
    });
    expect(narrowed.effective).toMatchObject({ network: ["a.b:1"], filesystem: { read: [], write: ["$workspace"] }, env: ["*"] });
  });

  test("all variables are those that may be copied and that tasks have no values of their own for", () => {
    const environment = { A: "1", PATH: "/x", AUTOKESTRA_API_KEY: "k", LD_PRELOAD: "x", GONE: undefined };
    expect(copiedNames(["*"], environment)).toEqual(["A"]);
    expect(copiedNames(["PATH", "LD_PRELOAD", "GONE"], environment)).toEqual(["PATH"]);
  });
});

describe("grants for what was denied", () => {
  const places = { workspace: "/data/ws", workdir: "/data/tmp/1", input: "/data/tmp/1/in", plugin: "/plugins/a", folder: "/home/me/w" };
  test.each([
    ["network", "db.example.com:5432", "network", 'network: ["db.example.com:5432"]'],
    ["network", "[::1]:80", "network", 'network: ["[::1]:80"]'],
    ["network", "unix:/run/docker.sock", "network", null],
    ["network", "127.0.0.1:8080", "listen", "listen: [8080]"],
    ["filesystem", "/etc/shadow", "filesystem.read", 'filesystem: { read: ["/etc/shadow"] }'],
    ["filesystem", "/home/me/w/data/x", "filesystem.read", 'filesystem: { read: ["./data/x"] }'],
    ["filesystem", "/home/me/w", "filesystem.write", 'filesystem: { write: ["."] }'],
    ["filesystem", "/home/me/w2/x", "filesystem.write", 'filesystem: { write: ["/home/me/w2/x"] }'],
    ["filesystem", "/data/ws/a/b", "filesystem.write", 'filesystem: { write: ["$workspace"] }'],
    ["filesystem", "/plugins/a/main.ts", "filesystem.write", null],
    ["filesystem", '/a "b"\n', "filesystem.read", 'filesystem: { read: ["/a \\"b\\"\\n"] }'],
    ["env", "TZ", "env", "env: [TZ]"],
    ["env", "BUN_OPTIONS", "env", null],
    ["run", "/usr/bin/git", "run", "run: true"],
    ["syscall", "mount", "syscall", null],
  ] as const)("%s %s: %s is %p", (kind, target, rule, grant) => {
    expect(findGrant({ kind, target, rule }, places)).toBe(grant);
  });

  test("a file to be made needs its folder", () => {
    expect(findGrant({ kind: "filesystem", target: "/home/me/w/out/x", rule: "filesystem.write", isNew: true }, places)).toBe(
      'filesystem: { write: ["./out"] }',
    );
  });

  test("entries lead to absolute trees, and say which paths they reach", () => {
    const { effective } = decide({
      asks: "everything",
      workflow: { filesystem: { read: ["./data", "../shared", "$input/x"], write: ["/srv//out/"] } },
    });
    expect(resolveEntries(effective, places)).toEqual({
      read: ["/home/me/w/data", "/home/me/shared", "/data/tmp/1/in/x"],
      write: ["/data/ws", "/srv/out/"],
    });
    expect(resolveEntries(effective, { folder: null })).toEqual({ read: [], write: ["/srv/out/"] });
    const allows = (path: string, access: "read" | "write") => allowsPath(effective, places, path, access);
    for (const path of ["/home/me/w/data/x", "/home/me/shared", "/plugins/a/x", "/data/tmp/1/in/y"])
      expect([path, allows(path, "read")]).toEqual([path, true]);
    for (const path of ["/home/me/w/data2", "/home/me", "/etc/shadow", "/srv/outer"]) expect([path, allows(path, "read")]).toEqual([path, false]);
    for (const path of ["/data/ws/a", "/data/tmp/1/x", "/srv/out/x"]) expect([path, allows(path, "write")]).toEqual([path, true]);
    for (const path of ["/home/me/w/data/x", "/plugins/a/x", "/srv"]) expect([path, allows(path, "write")]).toEqual([path, false]);
  });
});

const hosts = ["a.b", "x.a.b", "*.a.b", "*.x.a.b", "b", "A.B.", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "[::1]", "[fd00::/8]", "[fd12::1]"];
const networkEntry = fc.tuple(fc.constantFrom(...hosts), fc.constantFrom("1", "2", "*")).map(([host, port]) => `${host}:${port}`);
const part = fc.constantFrom("a", "b", "ab");
const pathEntry = fc
  .tuple(fc.constantFrom("/", "./", "../", "$workspace/", "$workdir/", "/w/f/"), fc.array(part, { maxLength: 3 }))
  .map(([root, parts]) => `${root}${parts.join("/")}`);
const limit = fc.integer({ min: 1, max: 2000 });
const blockArbitrary: fc.Arbitrary<Permissions> = fc.record(
  {
    network: fc.array(networkEntry, { maxLength: 4 }),
    filesystem: fc.record({ read: fc.array(pathEntry, { maxLength: 4 }), write: fc.array(pathEntry, { maxLength: 3 }) }, { requiredKeys: [] }),
    env: fc.array(fc.constantFrom("A", "B", "LD_X"), { maxLength: 3 }),
    run: fc.boolean(),
    listen: fc.array(fc.constantFrom(1, 2, 3), { maxLength: 3 }),
    memoryMb: limit,
    cpuSeconds: limit,
    processes: limit,
  },
  { requiredKeys: [] },
);
const folder = fc.constantFrom(null, "/w/f");

describe("properties", () => {
  const lists = (block: Permissions) => ({
    network: block.network ?? [],
    read: [...(block.filesystem?.read ?? []), ...(block.filesystem?.write ?? [])],
    write: block.filesystem?.write ?? [],
  });

  test("what is decided is never wider than any of its sources", () => {
    fc.assert(
      fc.property(
        fc.record({ asks: fc.oneof(blockArbitrary, fc.constant("everything" as const)), workflow: blockArbitrary, task: blockArbitrary, folder }),
        (sources) => {
          const { effective } = decidePermissions(sources);
          const { asks, workflow, task } = sources;
          const isNarrowing = Object.keys(task).length === 0 || ["network", "filesystem", "env", "listen"].some((key) => key in task);
          const bounds = [workflow, ...(isNarrowing ? [task] : []), ...(asks === "everything" ? [] : [asks])];
          const isGiven = (path: string) => coversPath("$workdir", path) || (asks === "everything" && path === "$workspace");
          for (const block of bounds) {
            const { network, read, write } = lists(block);
            const under = (grantedPaths: string[], path: string) =>
              isGiven(path) || grantedPaths.some((grant) => coversPath(grant, path, sources.folder));
            expect(effective.network.every((entry) => network.some((grant) => coversNetwork(grant, entry)))).toBe(true);
            expect(effective.filesystem.read.every((entry) => under(read, entry))).toBe(true);
            expect(effective.filesystem.write.every((entry) => under(write, entry))).toBe(true);
            expect(effective.env.every((name) => block.env?.includes(name) === true && name !== "LD_X")).toBe(true);
            expect(effective.listen.every((port) => block.listen?.includes(port) === true)).toBe(true);
            for (const key of limitKeys) if (block[key] !== undefined) expect(effective[key] ?? Infinity).toBeLessThanOrEqual(block[key]);
          }
          if (asks !== "everything" && asks.run !== true) expect(effective.run).toBe(false);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test("every asked entry is told once as allowed or refused, and adding the proposed grants allows all of them", () => {
    fc.assert(
      fc.property(blockArbitrary, blockArbitrary, folder, (asks, workflow, at) => {
        const { findings } = decidePermissions({ asks, workflow, folder: at });
        const { network, write } = lists(asks);
        for (const entry of network) expect(findings.filter((found) => found.kind === "network" && found.entry === entry).length).toBeGreaterThan(0);
        for (const entry of write) expect(findings.some((found) => found.kind === "filesystem.write" && found.entry === entry)).toBe(true);
        const wide = { ...asks, run: true };
        const after = decidePermissions({ asks, workflow: wide, folder: at }).findings.filter(({ allowed, entry }) => !allowed && entry !== "LD_X");
        expect(after).toEqual([]);
      }),
    );
  });

  test("covering is an order: of itself, and through a third", () => {
    fc.assert(
      fc.property(networkEntry, networkEntry, networkEntry, (a, b, c) => {
        expect(coversNetwork(a, a)).toBe(true);
        if (coversNetwork(a, b) && coversNetwork(b, c)) expect(coversNetwork(a, c)).toBe(true);
      }),
    );
    fc.assert(
      fc.property(pathEntry, pathEntry, pathEntry, (a, b, c) => {
        expect(coversPath(a, a)).toBe(true);
        if (coversPath(a, b) && coversPath(b, c)) expect(coversPath(a, c)).toBe(true);
      }),
    );
  });

  test("any text is judged without a throw, and what is no entry covers nothing", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.string({ unit: "binary" })), networkEntry, (text, entry) => {
        findPathProblem(text);
        const isAny = text === "*:*" || /^\*:\d+$/.test(text);
        if (findNetworkProblem(text) !== null && !isAny) expect(coversNetwork(text, entry) || coversNetwork(entry, text)).toBe(false);
      }),
    );
  });
});
