// --allow-*: one run is granted more than its workflow, enforced by the kernel; and the server's ceiling.
import { describe, expect, test } from "bun:test";
import { mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Home } from "../product/binary.ts";

const home = new Home();
const file = (name: string, text: string): string => {
  mkdirSync(join(home.path(name), ".."), { recursive: true });
  writeFileSync(home.path(name), text);
  return name;
};
file("files/a.txt", "from a file\n");
const errorOf = (stderr: string) =>
  (JSON.parse(stderr.trim().split("\n").at(-1) ?? "") as { error: { code: string; message: string; hint?: string } }).error;
const reader = file("flows/read.yaml", `id: read\ntasks: [{ id: a, run: 'cat "${home.path("files/a.txt")}"; echo "zone=\${TZ:-none}"' }]\n`);

type Started = { type: string; payload: { permissions: Record<string, unknown> } };

describe("[WF-14] one run's grants", () => {
  test("without them it is denied, with the line to add; with them it works, and only that once", async () => {
    const denied = await home.run(["run", reader, "--json"], { env: { TZ: "UTC" } });
    expect(denied.code).toBe(1);
    const [task] = (JSON.parse(denied.stdout) as { tasks: { error: { code: string; details: unknown } }[] }).tasks;
    const target = join(realpathSync(home.dir), "files/a.txt");
    expect(task?.error).toMatchObject({ code: "PERMISSION_DENIED", details: { target, grant: `filesystem: { read: [${JSON.stringify(target)}] }` } });
    expect(await home.run(["run", reader, "--allow-read", "files"])).toMatchObject({ code: 0, stdout: "from a file\nzone=none\n" });
    expect((await home.run(["run", reader])).code).toBe(1);
  });

  test("lists, several options, other folders: relative paths start from the current one", async () => {
    const cwd = home.path("flows");
    const options = ["--allow-read=nothing,../files/a.txt", "--allow-env=A", "--allow-env=TZ"];
    const { code, stdout } = await home.run(["run", "read.yaml", ...options], { cwd, env: { TZ: "Etc/UTC" } });
    expect({ code, stdout }).toEqual({ code: 0, stdout: "from a file\nzone=Etc/UTC\n" });
  });

  test("writing, and what stands in the trace", async () => {
    file("flows/write.yaml", `id: write\ntasks: [{ id: a, run: 'echo x > "${home.path("files/new")}"' }]\n`);
    expect((await home.run(["run", "flows/write.yaml", "--allow-read=files"])).code).toBe(1);
    const { code, stdout } = await home.run(["run", "flows/write.yaml", "--allow-write=files", "--json"]);
    expect(code).toBe(0);
    const { executionId } = (JSON.parse(stdout) as { execution: { executionId: string } }).execution;
    const inspected = await home.run(["execution", "inspect", executionId, "--include=trace", "--json"]);
    const { trace } = JSON.parse(inspected.stdout) as { trace: { event_type: string; payload: Record<string, unknown> }[] };
    const data = join(realpathSync(home.dir), "files");
    const created = trace.find((event) => event.event_type === "trace.execution.created")?.payload;
    expect(created?.["allow"]).toEqual({ network: [], filesystem: { read: [], write: [data] }, env: [], all: false });
    const started = trace.find((event) => event.event_type === "trace.task.started")?.payload as Started["payload"] | undefined;
    expect(started?.permissions["filesystem"]).toEqual({ read: [], write: ["$workspace", data] });
  });

  test("--allow-all grants files, variables and connections", async () => {
    const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("reached") });
    try {
      file(
        "flows/all.yaml",
        `id: all\ntasks: [{ id: a, shell: bun, run: 'console.log(await (await fetch("${server.url}")).text(), process.env.SOME)' }]\n`,
      );
      expect((await home.run(["run", "flows/all.yaml"], { env: { SOME: "var" } })).code).toBe(1);
      const { code, stdout } = await home.run(["run", "flows/all.yaml", "--allow-all"], { env: { SOME: "var" } });
      expect({ code, stdout }).toEqual({ code: 0, stdout: "reached var\n" });
      expect(await home.run(["run", reader, "--allow-all"])).toMatchObject({ code: 0 });
      const named = await home.run(["run", "flows/all.yaml", `--allow-net=127.0.0.1:${server.port}`]);
      expect({ code: named.code, stdout: named.stdout }).toEqual({ code: 0, stdout: "reached undefined\n" });
    } finally {
      await server.stop(true);
    }
  });

  test("the server's ceiling holds against the workflow and against the run", async () => {
    file("bound.yaml", "plugins: { permissions: { filesystem: { read: [/nowhere] } } }\n");
    expect((await home.run(["run", reader, "--allow-read=files", "-c", "bound.yaml"])).code).toBe(1);
    expect((await home.run(["run", reader, "--allow-all", "-c", "bound.yaml"])).code).toBe(1);
    file("flows/asks.yaml", 'id: asks\npermissions: { filesystem: { read: ["../files"] } }\ntasks: [{ id: a, run: "true" }]\n');
    const plan = JSON.parse((await home.run(["plan", "flows/asks.yaml", "--json", "-c", "bound.yaml"])).stdout) as { tasks: { asked: unknown[] }[] };
    expect(plan.tasks[0]?.asked).toEqual([
      { kind: "filesystem.read", entry: "../files", allowed: false, by: "server", grant: 'filesystem: { read: ["../files"] }' },
    ]);
  });
});

describe("usage", () => {
  test.each([
    ["--allow-net=host", "port"],
    ["--allow-net=*:443", "every host"],
    ["--allow-net=https://a:1", "URL"],
    ["--allow-net=a:1,,b:2", "empty"],
    ["--allow-read=", "empty"],
    ["--allow-read=~x/y", "~"],
    ["--allow-write=$home/x", "$home"],
    ["--allow-env=A-B", "variable"],
    ["--allow-env=LD_PRELOAD", "never"],
    ["--learn=", "no file"],
    ["--learn=flows/read.yaml", "workflow itself"],
  ])("%s is refused and says why", async (option, why) => {
    const { code, stdout, stderr } = await home.run(["run", reader, option, "--json"]);
    expect([code, stdout, errorOf(stderr).code]).toEqual([2, "", "USAGE"]);
    expect(errorOf(stderr).message).toContain(why);
  });

  test("a server takes neither grants nor --learn", async () => {
    const server = await home.startServer();
    expect((await home.run(["apply", reader])).code).toBe(0);
    for (const args of [
      ["read", "--allow-read=files"],
      [reader, "--server", server.url, "--allow-all"],
      ["read", "--server", server.url, "--learn"],
    ]) {
      const { code, stderr } = await home.run(["run", ...args, "--json"]);
      expect([code, errorOf(stderr).code]).toEqual([2, "USAGE"]);
      expect(errorOf(stderr).hint).toBeTruthy();
    }
    // A file runs in this process, beside the server.
    expect((await home.run(["run", reader, "--allow-read=files"])).code).toBe(0);
  });
});
