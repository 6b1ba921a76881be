// [WF-14] What an action was not granted: denied by default, told with the line that would grant it, and what then works.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { invokeAction } from "../../src/plugins/invoke/index.ts";
import type { NetworkGate } from "../../src/plugins/network/index.ts";
import { asRoot } from "./task-tree.ts";
import { errorOf, granting, InvokeWorld, outputOf, script } from "./invoke-world.ts";

let world: InvokeWorld;
let outside = "";
let server: ReturnType<typeof Bun.serve>;
beforeAll(() => {
  world = new InvokeWorld();
  outside = world.write("outside", { "secret.txt": "secret" });
  server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("reached") });
});
afterAll(() => {
  void server.stop(true);
  world.close();
});

describe("files", () => {
  const readers: [string, string][] = [
    ["sh", 'cat "$FILE"'],
    ["python3", "import os; print(open(os.environ['FILE']).read(), end='')"],
    ["bun", "console.log(require('node:fs').readFileSync(process.env.FILE, 'utf8'))"],
  ];
  test.each(readers)("[WF-14] %s reads nothing outside without a grant, and with the one that the denial names", async (shell, text) => {
    const target = join(outside, "secret.txt");
    const folder = world.folder;
    const denied = await world.sh(text, { env: { FILE: target }, folder }, shell);
    const grant = 'filesystem: { read: ["./outside/secret.txt"] }';
    const denial = { kind: "filesystem", target, rule: "filesystem.read", grant } as const;
    expect(errorOf(denied)).toMatchObject({ code: "PERMISSION_DENIED", details: denial, retryable: false });
    expect(denied.denials).toEqual([denial]);
    const filesystem = { read: ["./outside/secret.txt"], write: [] };
    const granted = await world.sh(text, { env: { FILE: target }, folder, ...granting({ filesystem }) }, shell);
    expect(outputOf(granted)).toMatchObject({ stdout: "secret" });
    expect(granted.denials).toEqual([]);
  });

  const writers: [string, string][] = [
    ["sh", 'echo x > "$FILE"'],
    ["python3", "import os; open(os.environ['FILE'], 'w').write('x')"],
    ["bun", "require('node:fs').writeFileSync(process.env.FILE, 'x')"],
  ];
  test.each(writers)("[WF-14] %s writes nothing outside without a grant, and with the one that the denial names", async (shell, text) => {
    const folder = world.folder;
    mkdirSync(join(world.folder, `out-${shell}`), { recursive: true });
    const target = join(world.folder, `out-${shell}`, "new");
    const denied = await world.sh(text, { env: { FILE: target }, folder }, shell);
    const denial = { kind: "filesystem", target, rule: "filesystem.write", grant: `filesystem: { write: ["./out-${shell}"] }` } as const;
    expect(errorOf(denied)).toMatchObject({ code: "PERMISSION_DENIED", details: denial });
    expect(existsSync(target)).toBe(false);
    const filesystem = { read: [], write: [`./out-${shell}`] };
    outputOf(await world.sh(text, { env: { FILE: target }, folder, ...granting({ filesystem }) }, shell));
    expect(existsSync(target)).toBe(true);
  });

  test("a plugin's error frame tells of a denial too, and what really is missing is none", async () => {
    const main = `import { definePlugin } from "autokestra/sdk"; import { readFileSync } from "node:fs";
      definePlugin({ actions: { run: (input) => ({ text: readFileSync(input.path, "utf8") }) } });`;
    const action = world.plugin({ "main.ts": main });
    const target = join(outside, "secret.txt");
    expect(errorOf(await world.call(action, { path: target }))).toMatchObject({ code: "PERMISSION_DENIED", details: { target } });
    for (const path of ["/usr/none", join(outside, "none")]) {
      const missing = await world.call(action, { path });
      expect(errorOf(missing).code).toBe("TASK_FAILED");
      expect(missing.denials).toEqual([]);
    }
  });

  test("a grant of what is not there gives nothing and says so", async () => {
    const filesystem = { read: ["./none", "$worktree"], write: ["./nowhere/file"] };
    const done = await world.sh("true", { folder: world.folder, ...granting({ filesystem }) });
    expect(done.lines.map(({ level, source, metadata }) => [level, source, (metadata as { entry: string }).entry]).toSorted()).toEqual([
      ["WARN", "engine", "$worktree"],
      ["WARN", "engine", "./none"],
      ["WARN", "engine", "./nowhere/file"],
    ]);
  });

  test("no grant below the engine's data is ever suggested, but of the task's own workspace", async () => {
    const data = world.deps.engine.data;
    const inData = await world.sh(`echo "cat: ${data}/work: Permission denied" >&2; exit 1`);
    expect(errorOf(inData).code).toBe("PERMISSION_DENIED");
    expect(inData.denials.map(({ grant }) => grant)).toEqual(inData.denials.map(() => null));
    const main = `import { definePlugin } from "autokestra/sdk"; import { writeFileSync } from "node:fs";
      definePlugin({ actions: { run: (input) => ({ text: writeFileSync(input.path, "x") }) } });`;
    const { call, finish } = world.start(world.plugin({ "main.ts": main }), { path: "" }, { executionId: crypto.randomUUID() });
    await finish();
    const own = await world.call(call.action, { path: join(call.folders.workspace, "x") }, { folders: call.folders });
    expect(own.denials.map(({ grant }) => grant)).toEqual(['filesystem: { write: ["$workspace"] }']);
  });

  test("what a plugin said itself stands beside the denial", async () => {
    const main = `import { definePlugin } from "autokestra/sdk"; import { readFileSync } from "node:fs";
      definePlugin({ actions: { run: (input, ctx) => { console.error("before"); try { readFileSync(input.path); } catch (e) { ctx.fail("NO_DATA", "no data: " + e.message); } } } });`;
    const error = errorOf(await world.call(world.plugin({ "main.ts": main }), { path: join(outside, "secret.txt") }));
    expect(error).toMatchObject({ code: "PERMISSION_DENIED", details: { claimed: { code: "NO_DATA" }, target: join(outside, "secret.txt") } });
    const { claimed, stderr, grant } = error.details as { claimed: { message: string }; stderr: string; grant: string };
    expect(claimed.message).toStartWith("no data: ");
    expect(stderr).toContain("before");
    expect(error.hint).toContain(grant);
  });

  test("a link that a task planted widens no later grant", async () => {
    const shared = world.write("shared", { "plain.txt": "plain" });
    symlinkSync(outside, join(shared, "link"));
    const granted = { read: ["./shared"], write: [] };
    const read = (entry: string, file: string) =>
      world.sh(`cat "${join(shared, file)}"`, { folder: world.folder, granted, ...granting({ filesystem: { read: [entry], write: [] } }) });
    expect(outputOf(await read("./shared/plain.txt", "plain.txt"))).toMatchObject({ stdout: "plain" });
    const led = await read("./shared/link", "link/secret.txt");
    expect(errorOf(led).code).toBe("PERMISSION_DENIED");
    expect(led.lines.some(({ level, metadata }) => level === "WARN" && (metadata as { entry?: string }).entry === "./shared/link")).toBe(true);
    // The workflow's own link was meant.
    symlinkSync(outside, join(world.folder, "own-link"));
    const own = { read: ["./own-link"], write: [] };
    const meant = await world.sh(`cat "${join(outside, "secret.txt")}"`, { folder: world.folder, granted: own, ...granting({ filesystem: own }) });
    expect(outputOf(meant)).toMatchObject({ stdout: "secret" });
  });
});

describe("a look-up of names", () => {
  const udp = "import socket; \ntry:\n  socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nexcept OSError:\n  pass\n";
  const targets = ({ denials }: { denials: { target: string }[] }) => denials.map(({ target }) => target);

  test("is no denial of a task that succeeds, nor beside one that names the host", async () => {
    const fine = await world.sh(udp, {}, "python3");
    expect([fine.outcome.ok, targets(fine)]).toEqual([true, []]);
    const tcp = `${udp}socket.create_connection(("127.0.0.1", 9), 2)`;
    expect(targets(await world.sh(tcp, {}, "python3"))).toEqual(["127.0.0.1:9"]);
    const named = await world.sh("curl -sS http://api.example.com/x");
    expect(targets(named)).toEqual(["api.example.com:80"]);
  });

  test("is told when nothing else explains the failure", async () => {
    expect(targets(await world.sh(`${udp}raise SystemExit(1)`, {}, "python3"))).toEqual(["udp"]);
  });
});

describe("network", () => {
  const clients: [string, (url: string) => string][] = [
    ["sh", (url) => `curl -sSf ${url}`],
    ["python3", (url) => `import urllib.request; print(urllib.request.urlopen("${url}").read().decode(), end="")`],
    ["bun", (url) => `console.log(await (await fetch("${url}")).text())`],
  ];
  test.each(clients)("[WF-14] %s reaches nothing without a grant, and with it what it names alone", async (shell, text) => {
    const target = `127.0.0.1:${server.port}`;
    const script = text(`http://${target}/`);
    const denied = await world.sh(script, {}, shell);
    const denial = { kind: "network", target, rule: "network", grant: `network: ["${target}"]` } as const;
    expect(errorOf(denied)).toMatchObject({ code: "PERMISSION_DENIED", details: denial });
    expect(denied.denials).toContainEqual(denial);
    expect(outputOf(await world.sh(script, granting({ network: [target] }), shell))).toMatchObject({ stdout: "reached" });
    const other = await world.sh(script, granting({ network: ["127.0.0.1:1"] }), shell);
    expect(other.denials).toContainEqual(denial);
  });

  test("a name that cannot be resolved for want of network is named with its port", async () => {
    for (const [shell, text] of clients) {
      const error = errorOf(await world.sh(text("http://db.example.com:8080/"), {}, shell));
      expect(error).toMatchObject({
        code: "PERMISSION_DENIED",
        details: { target: "db.example.com:8080", grant: 'network: ["db.example.com:8080"]' },
      });
    }
  });

  test("who copes with a denial goes on, and it is told all the same", async () => {
    const done = await world.sh(`curl -sS http://127.0.0.1:${server.port}/ || echo coped`);
    expect(outputOf(done)).toMatchObject({ stdout: "coped" });
    expect(done.denials).toMatchObject([{ kind: "network", target: `127.0.0.1:${server.port}` }]);
  });
});

test("a plugin that may not start programs is told which one it tried", async () => {
  const main = `import { definePlugin } from "autokestra/sdk"; definePlugin({ actions: { run: () => ({ code: Bun.spawnSync(["ls"]).exitCode }) } });`;
  const action = world.plugin({ "main.ts": main });
  const denied = await world.call(action);
  expect(errorOf(denied)).toMatchObject({ code: "PERMISSION_DENIED", details: { kind: "run", grant: "run: true" } });
  expect(outputOf(await world.call(action, {}, granting({ run: true })))).toEqual({ code: 0 });
});

test("observed, every entry that a connection needs is told", async () => {
  const entries = ["db.internal:5432", "10.0.0.5:5432"];
  const pass = { env: {}, ports: [], forwards: {}, sockets: [], close: () => undefined };
  const gate: NetworkGate = {
    open: ({ onDecision }) => {
      onDecision({ host: "db.internal", port: 5432, allowed: true, why: "", entries, via: "proxy" });
      return pass;
    },
    close: () => undefined,
  };
  const notices: (string | null)[] = [];
  const { call } = world.start(script, { script: "true" }, { sandbox: "observe" });
  await invokeAction(
    { ...world.deps, gate },
    {
      ...call,
      attempt: 2,
      folders: world.workspaces.open(call.executionId, { task: "t", itemIndex: null, attempt: 2 }),
      onNotice: ({ kind, target }) => void (kind === "network" && notices.push(target)),
    },
  ).done;
  expect(notices).toEqual(entries);
});

test("observed, nothing is denied and what was done is told", async () => {
  const target = join(outside, "secret.txt");
  const done = await world.sh(`cat "${target}"; curl -sS http://127.0.0.1:${server.port}/`, { sandbox: "observe" });
  expect(outputOf(done)).toMatchObject({ stdout: "secretreached" });
  expect(done.denials).toEqual([]);
  expect(done.notices.some((notice) => notice.kind === "filesystem" && notice.target === target && notice.access === "read")).toBe(true);
  expect(done.notices.some((notice) => notice.kind === "network" && notice.target === `127.0.0.1:${server.port}`)).toBe(true);
});

// Only root can give a task a user of its own.
describe.skipIf(!asRoot)("as root (skipped for an ordinary user, who can give no other one)", () => {
  const choose = (granted: { read: string[]; write: string[] }, executionId = crypto.randomUUID()) => {
    const choice = { canOwnUser: true, granted, folder: world.folder, plugins: [] };
    return { executionId, folders: world.workspaces.open(executionId, { task: "t", itemIndex: null, attempt: 1 }, choice) };
  };

  test("each execution has a user of its own, which all its tasks share and its folders belong to", async () => {
    const first = choose({ read: [], write: [] });
    const uid = first.folders.user?.uid ?? 0;
    expect(uid).toBeGreaterThan(1000);
    expect(outputOf(await world.sh('id -u; echo x > "$WORKSPACE/left"', first))).toMatchObject({ stdout: String(uid) });
    expect(statSync(join(first.folders.workspace, "left")).uid).toBe(uid);
    const second = choose({ read: [], write: ["./outside"] }, first.executionId);
    expect(second.folders).toMatchObject({ workspace: first.folders.workspace, user: { uid } });
    expect(outputOf(await world.sh('cat "$WORKSPACE/left"', second))).toMatchObject({ stdout: "x" });
    expect(choose({ read: [], write: [] }).folders.user?.uid).not.toBe(uid);
  });

  test("a path that leads through a folder that was not granted is the way to one that was", async () => {
    world.write("beside", { "plain.txt": "plain" });
    world.write("flow/deep", { "own.txt": "own" });
    const folder = join(world.folder, "flow");
    const granted = { read: ["../beside", "./deep/../../beside/plain.txt"], write: [] };
    const choice = { canOwnUser: true, granted, folder, plugins: [] };
    const executionId = crypto.randomUUID();
    const folders = world.workspaces.open(executionId, { task: "t", itemIndex: null, attempt: 1 }, choice);
    expect(folders.user).not.toBeNull();
    const script = 'cd "$WORKFLOW_DIR" && cat ../beside/plain.txt "$WORKFLOW_DIR/deep/../../beside/plain.txt" && ! ls deep 2>/dev/null';
    const done = await world.sh(script, { executionId, folders, folder, ...granting({ filesystem: granted }) });
    expect(outputOf(done)).toMatchObject({ stdout: "plainplain" });
  });

  test("with a grant that only the engine's user can use it keeps that one, without capabilities", async () => {
    const place = world.write("engines", { file: "x" });
    const kept = choose({ read: [], write: ["./engines"] });
    expect(kept.folders.user).toBeNull();
    const filesystem = { read: [], write: ["./engines"] };
    const script = `echo y > "${join(place, "file")}"; id -u; cat /proc/self/status | grep CapEff`;
    expect(outputOf(await world.sh(script, { ...kept, folder: world.folder, ...granting({ filesystem }) }))).toMatchObject({
      stdout: "0\nCapEff:\t0000000000000000",
    });
    expect(readFileSync(join(place, "file"), "utf8")).toBe("y\n");
    writeFileSync(join(place, "closed"), "x");
    chmodSync(join(place, "closed"), 0o600);
    expect(choose({ read: ["./engines/closed"], write: [] }).folders.user).toBeNull();
    expect(choose({ read: ["./engines/file"], write: [] }).folders.user).not.toBeNull();
  });
});
