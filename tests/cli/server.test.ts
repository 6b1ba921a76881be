// `workflow server …` of the built binary: one per data folder, found by the other commands, stopped cleanly.
import { describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readdirSync, readFileSync, realpathSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Home, root, until } from "../product/binary.ts";

const status = async (home: Home) =>
  JSON.parse((await home.run(["server", "status", "--json"])).stdout) as {
    running: boolean;
    pid: number | null;
    url: string | null;
  };
const hintOf = (stderr: string) => (JSON.parse(stderr) as { error: { hint: string } }).error.hint;
const codeOf = (stderr: string) => (JSON.parse(stderr) as { error: { code: string } }).error.code;

describe("server", () => {
  test("[WF-01] [WF-08] started with a config file it answers /health, from the installed command as from the source", async () => {
    for (const command of [null, [join(root, "node_modules/.bin/bun"), join(root, "src/main.ts")]]) {
      const home = new Home();
      writeFileSync(home.path("autokestra.yaml"), "server: { port: 0 }\nstorage: { path: flows.db }\n");
      const args = ["server", "start", "-c", "autokestra.yaml"];
      const child =
        command === null
          ? home.start(args).child
          : Bun.spawn([...command, ...args], { cwd: home.dir, env: home.env(), stdio: ["ignore", "ignore", "ignore"] });
      const url = await until(async () => {
        if (child.exitCode !== null) throw new Error(`${command === null ? "the binary" : "the source"} ended with ${child.exitCode}`);
        return (await status(home)).url;
      }, 20_000);
      expect(await (await fetch(`${url}/health`)).json()).toMatchObject({ status: "ok" });
      expect(existsSync(home.path("flows.db"))).toBe(true);
      expect((await home.run(["server", "stop"])).code).toBe(0);
      await until(() => child.exitCode);
      expect(child.exitCode).toBe(0);
    }
  }, 30_000);

  test("--detach waits until it is ready; a second one is refused with 5; stop takes its record away", async () => {
    const home = new Home();
    expect(await status(home)).toEqual({ running: false, pid: null, url: null, version: null, uptimeMs: null } as never);
    expect((await home.run(["server", "start", "--detach", "--port", "0"])).code).toBe(0);
    const first = await status(home);
    expect(first).toMatchObject({ running: true, pid: expect.any(Number) });
    expect((await fetch(`${first.url}/health/ready`)).status).toBe(200);
    for (const more of [[], ["--detach"]]) {
      const second = await home.run(["server", "start", "--port", "0", "--json", ...more]);
      expect([second.code, codeOf(second.stderr), second.stdout]).toEqual([5, "SERVER_RUNNING", ""]);
    }
    expect(statSync(join(home.data, "admin.key")).mode & 0o777).toBe(0o600);
    expect((await home.run(["server", "stop"])).code).toBe(0);
    expect(existsSync(join(home.data, "server.json"))).toBe(false);
    const again = await home.run(["server", "stop", "--json"]);
    expect([again.code, codeOf(again.stderr)]).toEqual([4, "SERVER_NOT_RUNNING"]);
    expect(readFileSync(join(home.data, "server.log"), "utf8")).toContain("Listening on http://127.0.0.1:");
  }, 30_000);

  test("of several that start together one runs, even over the record of one that was killed", async () => {
    const home = new Home();
    await (await home.startServer()).kill();
    expect(existsSync(join(home.data, "server.json"))).toBe(true);
    const starts = [1, 2, 3].map(() => home.start(["server", "start", "--port", "0", "--json"]));
    const winner = await until(async () => (await status(home)).pid, 20_000);
    const losers = await Promise.all(starts.filter(({ child }) => child.pid !== winner).map(({ ended }) => ended));
    expect(losers.map(({ code, stderr }) => [code, codeOf(stderr)])).toEqual([
      [5, "SERVER_RUNNING"],
      [5, "SERVER_RUNNING"],
    ]);
    expect((await home.run(["server", "stop"])).code).toBe(0);
  }, 30_000);

  test("of detached ones that start together each loser says one thing", async () => {
    const home = new Home();
    const starts = await Promise.all([1, 2, 3].map(() => home.run(["server", "start", "--detach", "--port", "0", "--json"])));
    expect(starts.map(({ code }) => code).toSorted()).toEqual([0, 5, 5]);
    for (const { code, stderr } of starts)
      if (code !== 0) expect([codeOf(stderr), stderr.trimEnd().split("\n").length]).toEqual(["SERVER_RUNNING", 1]);
    expect(readdirSync(home.data).filter((name) => name.startsWith("start-"))).toEqual([]);
    expect((await home.run(["server", "stop"])).code).toBe(0);
  }, 30_000);

  test("a start that fails says why, also detached", async () => {
    const home = new Home();
    for (const more of [[], ["--detach"]]) {
      const ended = await home.run(["server", "start", "--host", "0.0.0.0", "--port", "0", "--json", ...more]);
      expect([ended.code, codeOf(ended.stderr)]).toEqual([3, "CONFIG_INVALID"]);
    }
    expect((await home.run(["server", "start", "--port", "70000"])).code).toBe(2);
  }, 30_000);
});

describe("the local key", () => {
  test("[WF-17] is used for the local server only, and only while the file is ours alone", async () => {
    const home = new Home();
    const server = await home.startServer();
    const key = join(home.data, "admin.key");
    expect((await home.run(["list", "--json"])).code).toBe(0);
    expect((await home.run(["list", "--json", "--server", server.url])).code).toBe(0);
    expect((await home.run(["list", "--json", "--server", server.url, "--api-key", "ak_wrong"])).code).toBe(6);
    const elsewhere = await home.run(["list", "--json", "--server", server.url, "--data", home.path("empty")]);
    expect([elsewhere.code, codeOf(elsewhere.stderr)]).toEqual([6, "UNAUTHORIZED"]);
    chmodSync(key, 0o644);
    const open = await home.run(["list", "--json"]);
    expect([open.code, codeOf(open.stderr), hintOf(open.stderr)]).toEqual([6, "UNAUTHORIZED", expect.stringContaining("chmod 600")]);
    const text = readFileSync(key, "utf8");
    rmSync(key);
    writeFileSync(home.path("real.key"), text, { mode: 0o600 });
    symlinkSync(home.path("real.key"), key);
    const linked = await home.run(["list", "--json"]);
    expect([linked.code, hintOf(linked.stderr)]).toEqual([6, expect.stringContaining("it is a link")]);
    expect((await home.run(["list", "--json"], { env: { AUTOKESTRA_API_KEY: text.trim() } })).code).toBe(0);
    expect((await server.stop()).code).toBe(0);
  }, 30_000);
});

describe("run beside a server", () => {
  test("an id runs on the server, --wait follows it; a file runs in process; --server sends a file there", async () => {
    const home = new Home();
    const server = await home.startServer();
    writeFileSync(
      home.path("say.yaml"),
      'id: say\ninputs: [{ id: times, type: integer, default: 1 }]\ntasks:\n  - { id: a, run: \'echo "$N"\', env: { N: "{{ inputs.times }}" } }\n',
    );
    await home.run(["apply", "say.yaml"]);
    const started = await home.run(["run", "say"]);
    expect(started).toMatchObject({ code: 0, stdout: expect.stringMatching(/^[0-9a-f-]{36}\n$/) });
    expect(await home.run(["run", "say", "--wait", "--input", "times=3", "--quiet"])).toEqual({ code: 0, signal: null, stdout: "3\n", stderr: "" });
    expect(await home.run(["run", "say.yaml", "--quiet"])).toMatchObject({ code: 0, stdout: "1\n" });
    expect((await home.run(["run", "say.yaml", "--server", server.url, "--quiet"])).stdout).toBe("1\n");
    expect((await home.run(["run", "say", "--wait", "--input", "times=many"])).code).toBe(3);
    expect((await server.stop()).code).toBe(0);
  }, 30_000);

  test("with --timeout an id runs in this process, and a server named by its URL is refused", async () => {
    const home = new Home();
    const server = await home.startServer();
    writeFileSync(home.path("nap.yaml"), "id: nap\ntasks: [{ id: a, run: sleep 60 }]\n");
    await home.run(["apply", "nap.yaml"]);
    const here = await home.run(["run", "nap", "--timeout", "100ms", "--json"]);
    expect([here.code, JSON.parse(here.stdout)]).toMatchObject([1, { execution: { state: "FAILED", reasonCode: "TIMEOUT" } }]);
    const there = await home.run(["run", "nap", "--timeout", "100ms", "--json", "--server", server.url]);
    expect([there.code, codeOf(there.stderr), hintOf(there.stderr)]).toEqual([2, "USAGE", expect.stringContaining("--server")]);
    expect((await server.stop()).code).toBe(0);
  }, 30_000);

  test("the folder goes to the own server, by whatever name, and to no other; a key is of the user of the system", async () => {
    const home = new Home();
    const server = await home.startServer();
    writeFileSync(home.path("own.yaml"), "id: own\ntasks: [{ id: a, run: echo }]\n");
    const folder = async () => ((await server.call("GET", "/api/v1/workflows/own")).body as { folder: string | null }).folder;
    const elsewhere = ["--server", server.url, "--data", home.path("other"), "--api-key", server.key];
    expect((await home.run(["apply", "own.yaml", ...elsewhere])).code).toBe(0);
    expect(await folder()).toBeNull();
    expect((await home.run(["apply", "own.yaml", "--server", server.url])).code).toBe(0);
    expect(await folder()).toBe(realpathSync(home.dir));
    const pruned = await home.run(["apply", ".", "--prune", "--json", ...elsewhere]);
    expect([pruned.code, codeOf(pruned.stderr)]).toEqual([2, "USAGE"]);
    const key = await home.run(["key", "create", "--role", "viewer", "--json"], { env: { USER: "mallory", LOGNAME: "mallory" } });
    expect((JSON.parse(key.stdout) as { principal: { id: string } }).principal.id).toBe(Bun.spawnSync(["id", "-un"]).stdout.toString().trim());
    expect((await server.stop()).code).toBe(0);
  }, 30_000);

  test("Ctrl-C on --wait cancels the execution on the server", async () => {
    const home = new Home();
    const server = await home.startServer();
    writeFileSync(home.path("nap.yaml"), "id: nap\ntasks: [{ id: a, run: sleep 60 }]\n");
    await home.run(["apply", "nap.yaml"]);
    const { child, ended } = home.start(["run", "nap", "--wait", "--json"]);
    await until(async () => (JSON.stringify((await server.call("GET", "/api/v1/executions")).body).includes('"RUNNING"') ? true : null));
    child.kill("SIGINT");
    const { code, stdout } = await ended;
    expect([code, JSON.parse(stdout)]).toMatchObject([130, { execution: { state: "CANCELLED" } }]);
    expect((await server.stop()).code).toBe(0);
  }, 30_000);
});
