// What --learn makes of what it saw: the least block, as text too. Files are real, notices are made up.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parse } from "yaml";
import { limits } from "../../../src/base/index.ts";
import type { EffectivePermissions, WorkflowDefinition } from "../../../src/model/index.ts";
import { LearnLog, leastPermissions, type Notice, renderLearned, type WatchedAttempt } from "../../../src/plugins/index.ts";
import { Masker } from "../../../src/secrets/index.ts";
import { definitionOf } from "../workflow/check-source.ts";

const root = realpathSync(mkdtempSync(join(tmpdir(), "learn-")));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const folder = join(root, "flow");
const dataDir = join(root, "data");
const workspace = join(dataDir, "work/e/workspace");
const workdir = join(dataDir, "work/e/attempts/a-0-1");
const plugin = join(root, "plugins/acme/report");
for (const path of [folder, workspace, workdir, plugin]) mkdirSync(path, { recursive: true });

function file(path: string): string {
  const full = join(root, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, "x");
  return full;
}

const nothing: EffectivePermissions = {
  network: [],
  filesystem: { read: [], write: [] },
  env: [],
  run: true,
  listen: [],
  memoryMb: 512,
  cpuSeconds: null,
  processes: 64,
  openFiles: 256,
  diskMb: 1024,
  outputBytes: 1,
};
const callable = { plugin: null, input: {}, output: {}, idempotent: false, timeoutMs: null, asks: () => "everything" as const };
const script = (text = "", shell = "sh"): WatchedAttempt => ({
  task: "a",
  action: { ...callable, action: "core/shell.run" },
  inputs: { script: text, shell },
  folders: { workspace, workdir },
  permissions: nothing,
  masker: new Masker(),
});
const builtIn = (permissions: Partial<EffectivePermissions>): WatchedAttempt => ({
  ...script(),
  action: { ...callable, action: "core/file.write", asks: () => ({}) },
  permissions: { ...nothing, ...permissions },
});

const read = (target: string): Notice => ({ denied: false, call: "openat", kind: "filesystem", target, access: "read" });
const write = (target: string, call = "openat"): Notice => ({ denied: false, call, kind: "filesystem", target, access: "write" });
const run = (target: string): Notice => ({ denied: false, call: "execve", kind: "run", target, access: null });
const net = (target: string, call = "proxy"): Notice => ({ denied: false, call, kind: "network", target, access: null });

type Run = { attempt?: WatchedAttempt; since?: number; definition?: WorkflowDefinition; environment?: Record<string, string> };

function learn(notices: readonly Notice[], { attempt = script(), since = Date.now() + 60_000, definition, environment = {} }: Run = {}) {
  const log = new LearnLog();
  const take = log.watch(attempt);
  for (const notice of notices) take(notice);
  return leastPermissions(log, {
    folder,
    dataDir,
    since,
    environment,
    program: process.execPath,
    home: homedir(),
    definition: definition ?? definitionOf("id: w\ntasks: [{ id: a, run: x }]\n"),
  });
}

describe("files", () => {
  test("what every task has needs no grant", () => {
    const own = [join(workspace, "x"), join(workdir, "script.sh"), join(dataDir, "runtime/1/sdk.ts"), "/etc/passwd", "/dev/null", "/proc/self/maps"];
    const seen = [...own.map(read), write(join(workspace, "x")), write(join(workdir, "x")), run("/bin/sh"), run(process.execPath), write("/dev/tty")];
    expect(learn(seen)).toEqual({ permissions: {}, notes: [] });
  });

  test("below the workflow's folder as ./x, elsewhere absolute; gone ones are left out; links are followed", () => {
    const outside = file("elsewhere/y");
    symlinkSync(outside, join(folder, "link"));
    const seen = [read(file("flow/data/x")), read(outside), read(join(folder, "gone")), read(join(folder, "link")), run(file("flow/bin/tool"))];
    expect(learn(seen).permissions).toEqual({ filesystem: { read: [outside, "./bin/tool", "./data/x"] } });
  });

  test("four files of one folder are the folder, three are three", () => {
    const three = ["1", "2", "3"].map((name) => file(`flow/three/${name}`));
    const four = ["1", "2", "3", "4"].map((name) => file(`flow/four/${name}`));
    expect(learn([...three, ...four].map(read)).permissions.filesystem?.read).toEqual(["./four", "./three/1", "./three/2", "./three/3"]);
  });

  test("never the root or the whole home in place of files in it", () => {
    const seen = ["/", ...["etc/shadow", "etc/fstab", "etc/hostname", "etc/machine-id", "etc/shells"].map((name) => `/${name}`)].map(read);
    const { permissions, notes } = learn(seen);
    expect(permissions.filesystem?.read ?? []).not.toContain("/");
    expect(permissions.filesystem?.read ?? []).not.toContain("/etc");
    // Everybody looks into it: nothing is to be learned from that.
    expect(notes.some((note) => note.includes("not granted: /"))).toBe(false);
    const home = learn([read(homedir())]);
    expect(home.permissions.filesystem?.read).toEqual([homedir()]);
    expect(home.notes.some((note) => note.startsWith(homedir()))).toBe(true);
  });

  test("an old file that is written needs itself, a new or removed one its folder, a new folder the one it is in", () => {
    const out = file("flow/out/old");
    expect(learn([write(out), read(out)]).permissions).toEqual({ filesystem: { write: ["./out/old"] } });
    expect(learn([write(out)], { since: 0 }).notes).toHaveLength(1);
    expect(learn([write(join(folder, "out/gone"), "unlinkat")]).permissions).toEqual({ filesystem: { write: ["./out"] } });
    expect(learn([write(join(folder, "out/a/b/c"), "mkdir")]).permissions).toEqual({ filesystem: { write: ["./out"] } });
    // What `mkdir -p` does on its way.
    expect(learn([write(join(folder, "out"), "mkdir"), write("/tmp", "mkdir")]).permissions).toEqual({});
    expect(learn([write(dataDir, "mkdir")])).toEqual({ permissions: {}, notes: [] });
    expect(learn([write(join(folder, "new"))])).toMatchObject({ permissions: { filesystem: { write: ["."] } }, notes: [expect.any(String)] });
  });

  test("Bun's own look at the folders above is no need of the task, but what is listed elsewhere is", () => {
    const listed = [root, join(root, "data"), file("package.json"), join(folder)];
    const { permissions, notes } = learn(listed.map(read), { attempt: script("", "bun") });
    expect(permissions).toEqual({ filesystem: { read: ["."] } });
    expect(notes).toEqual([`only looked into, not granted: ${root}, ${join(root, "data")}`]);
  });

  test("built-ins need what their inputs imply, and $workspace; the engine's folder is never granted", () => {
    const attempt = builtIn({ filesystem: { read: ["./data", "$input"], write: ["$workspace/part.json"] }, network: ["a.b:443"] });
    expect(learn([], { attempt }).permissions).toEqual({ network: ["a.b:443"], filesystem: { read: ["./data"], write: ["$workspace"] } });
    expect(learn([read(join(workspace, "x"))], { attempt: builtIn({}) }).permissions).toEqual({ filesystem: { read: ["$workspace"] } });
    const secret = learn([read(file("data/keys/ledger.key"))]);
    expect(secret).toEqual({ permissions: {}, notes: [expect.stringContaining("keys/ledger.key")] });
  });
});

describe("network and environment", () => {
  test("names from the proxy, addresses where it was passed by, with a remark; look-ups and own listeners not", () => {
    const seen = [net("a.b:443"), net("10.1.2.3:5432", "connect"), net("10.0.0.2:53", "connect"), net("[::1]:80", "connect")];
    const own = [net("127.0.0.1:8080", "bind"), net("127.0.0.1:8080", "connect"), net("0.0.0.0:0", "bind"), net("127.0.0.1:45000", "connect")];
    const { permissions, notes } = learn([...seen, ...own, net("unix:/run/docker.sock", "connect")]);
    expect(permissions).toEqual({ network: ["10.1.2.3:5432", "[::1]:80", "a.b:443"], listen: [8080] });
    expect(notes).toHaveLength(3);
  });

  test.each([
    ["echo $FOO ${BAR:-x} $$ $1", "sh", ["BAR", "FOO"]],
    ["FOO=1; echo $FOO; export BAR=2; for OWN in a; do echo $OWN $BAR; done", "sh", []],
    ['import os; os.environ["FOO"]; os.environ.get("BAR"); os.getenv("MISSING")', "python3", ["BAR", "FOO"]],
    ['process.env.FOO; Bun.env["BAR"]', "bun", ["BAR", "FOO"]],
    ["echo $OWN $HOME $HTTPS_PROXY $LD_PRELOAD $WORKFLOW_DIR", "sh", []],
  ])("%s", (text, shell, names) => {
    const definition = definitionOf("id: w\ntasks: [{ id: a, run: x, env: { OWN: '1' } }]\n");
    const environment = { FOO: "1", BAR: "2", OWN: "3", HOME: "/h", HTTPS_PROXY: "p", LD_PRELOAD: "l", WORKFLOW_DIR: "w" };
    expect(learn([], { attempt: script(text, shell), definition, environment }).permissions.env ?? []).toEqual(names);
  });

  test("names in expressions count, limits of the block stay", () => {
    const definition = definitionOf(
      "id: w\npermissions: { env: [FOO, BAR], memoryMb: 99, run: false }\ntasks: [{ id: a, run: x, env: { A: '{{ env.FOO }}' } }]\n",
    );
    expect(learn([], { definition, environment: { FOO: "1", BAR: "2" } }).permissions).toEqual({ env: ["FOO"], memoryMb: 99, run: false });
  });
});

test("the text is the block again, whatever the names hold", () => {
  const odd = file('flow/odd/a "b"\n# c: [');
  const learned = learn([read(odd), read("/"), net("a.b:443")]);
  const text = renderLearned(learned);
  expect(parse(text)).toEqual({ permissions: { network: ["a.b:443"], filesystem: { read: ['./odd/a "b"\n# c: ['] } } });
  expect(text.split("\n").filter((line) => line.startsWith("#"))).toHaveLength(learned.notes.length);
  expect(renderLearned({ permissions: {}, notes: [] })).toBe("permissions: {}\n");
});

test("[WF-09] a secret in the name of a file or a host is masked, and what then reads the same stands there once", () => {
  const masker = new Masker();
  masker.add(["hush-one", "hush-two"]);
  const seen = [read(file("data1/hush-one.txt")), read(file("data1/hush-two.txt")), net("hush-one.example.com:443"), net("hush-two.example.com:443")];
  const learned = learn(seen, { attempt: { ...script(), masker } });
  expect(learned.permissions).toEqual({ network: ["***.example.com:443"], filesystem: { read: [join(root, "data1/***.txt")] } });
  expect(renderLearned(learned)).not.toContain("hush");
});

test("what is kept of a walk through a large tree is bounded", () => {
  const log = new LearnLog();
  const take = log.watch(script());
  for (let index = 0; index <= limits.learnedNoticesMax; index += 1) take(net(`h${index}.a:1`));
  expect(log.isFull).toBe(true);
  expect(log.attempts[0]?.notices.size).toBe(limits.learnedNoticesMax);
});
