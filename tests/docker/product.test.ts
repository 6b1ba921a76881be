// Tasks in containers of a real engine, from the workflow's file to trace, logs and output, by the compiled binary.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { containerLayers } from "../../src/plugins/runtimes/docker/index.ts";
import { binary, Home, type Server, until } from "../product/binary.ts";
import { image, startTestEngine, type TestEngine } from "./engine.ts";

// Every call starts a program, which starts a container.
setDefaultTimeout(60_000);
const { engine, reason } = await startTestEngine();
afterAll(() => engine?.stop(), 60_000);

const home = new Home();
const pluginImage = "autokestra-plugin:1";
const inEngine = (): TestEngine => {
  if (engine === null) throw new Error("no engine");
  return engine;
};

type Task = { taskId: string; state: string; output: Record<string, unknown> & { stdout?: string }; error?: Failure };
type Failure = { code: string; message: string; hint?: string; details?: Record<string, unknown> };
type Event = { payload: Record<string, unknown> };
type Ran = { code: number | null; id: string; task: (id?: string) => Task; stderr: string };

/** A configuration: lines below `plugins` and `plugins.docker`, and further ones. */
function configure(name: string, { plugins = [] as string[], docker = [] as string[], more = [] as string[] } = {}): string {
  const socket = engine?.socket ?? "/nowhere";
  const lines = ["plugins:", `  paths: [${home.path("plugins")}]`, ...plugins.map((line) => `  ${line}`), "  docker:"];
  writeFileSync(
    home.path(name),
    `${[...more, ...lines, ...[`socket: ${socket}`, "pull: never", ...docker].map((line) => `    ${line}`)].join("\n")}\n`,
  );
  return home.path(name);
}

let config = "";

async function run(text: string, { args = [] as string[], from = config, env = {} as Record<string, string> } = {}): Promise<Ran> {
  mkdirSync(home.path("flows"), { recursive: true });
  writeFileSync(home.path("flows/flow.yaml"), `id: flow\n${text}`);
  const { code, stdout, stderr } = await home.run(["run", "flows/flow.yaml", "--json", "--config", from, ...args], { env });
  if (!stdout.startsWith("{")) throw new Error(stderr);
  const answer = JSON.parse(stdout) as { execution: { executionId: string }; tasks: Task[] };
  const task = (id = "a") => {
    const found = answer.tasks.find((one) => one.taskId === id);
    if (found === undefined) throw new Error(stdout);
    return found;
  };
  return { code, id: answer.execution.executionId, task, stderr };
}

async function events(id: string, type: string, from = config): Promise<Event[]> {
  const { stdout } = await home.run(["trace", "tail", "--trace-id", id, "--event-type", type.slice("trace.".length), "--config", from]);
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Event);
}

/** A task's script, indented for its place below `run: |`. */
const script = (lines: readonly string[]) => `|\n${lines.map((line) => `      ${line}`).join("\n")}\n`;
const inImage = `runtime: docker\n    image: ${image}`;
const task = (lines: readonly string[], more = "") =>
  `tasks:\n  - id: a\n    ${inImage}\n${more === "" ? "" : `    ${more}\n`}    run: ${script(lines)}`;
const errorOf = ({ error }: Task): Failure => error ?? { code: "none", message: "" };

function putPlugin(name: string, manifest: string, files: Record<string, string> = {}): void {
  const folder = home.path(`plugins/acme/${name}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "plugin.yaml"), `namespace: acme\nname: ${name}\nversion: 1.0.0\n${manifest}`);
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
}

beforeAll(async () => {
  if (engine === null) return;
  config = configure("config.yaml");
  mkdirSync(home.path("data"), { recursive: true });
  mkdirSync(home.path("files"), { recursive: true });
  writeFileSync(home.path("files/a.txt"), "from a file\n");
  const root = join(engine.folder, "plugin-root");
  cpSync(engine.root, root, { recursive: true, verbatimSymlinks: true });
  const main = [
    "read -r line",
    'echo "in $PWD" >&2',
    'case "$line" in',
    '  *\\"mode\\":\\"fail\\"*) echo \'{"error":{"code":"NO_PAPER","message":"no paper","retryable":false}}\' > "$WORKFLOW_RESULT"; exit 3;;',
    '  *\\"mode\\":\\"wrong\\"*) echo \'{"output":{"words":"many"}}\' > "$WORKFLOW_RESULT";;',
    '  *\\"mode\\":\\"look\\"*) touch "$PWD/x" || true; ls "$PWD" >&2; exit 7;;',
    '  *) printf \'{"output":{"words":%s}}\' "$(cat "$PWD/words.txt" | wc -w)" > "$WORKFLOW_RESULT";;',
    "esac",
  ];
  writeFileSync(join(root, "main.sh"), `${main.join("\n")}\n`);
  await engine.importImage(root, pluginImage, ['ENTRYPOINT ["/bin/sh","/main.sh"]']);
  const schemas =
    "    input: { type: object, properties: { mode: { type: string } } }\n    output: { type: object, properties: { words: { type: integer } }, required: [words] }\n";
  putPlugin("count", `runtime: docker\nentrypoint: ${pluginImage}\nactions:\n  - name: words\n${schemas}`, { "words.txt": "one two three\n" });
  putPlugin("tool", `runtime: exec\nentrypoint: [sh, main.sh]\nactions:\n  - name: go\n    input: { type: object }\n    output: { type: object }\n`, {
    "main.sh":
      'read -r line; printf \'{"output":{"in":"%s","busybox":%s}}\' "$PWD" "$(test -L /bin/ls && echo true || echo false)" > "$WORKFLOW_RESULT"\n',
  });
});

// Each test needs the engine; why there is none stands in the title.
describe.skipIf(engine === null)(`[WF-13] tasks in containers${reason}`, () => {
  test("[WF-13] a script: workspace and folder at the same paths, output file, both streams, what stood in the trace", async () => {
    const lines = [
      'echo "to the log"; echo "and an error" >&2',
      'echo "place=$PWD" >> "$WORKFLOW_OUTPUT"; echo "who=$(id -u)" >> "$WORKFLOW_OUTPUT"',
      'echo kept > "$WORKSPACE/kept"; test "$HOME" = "$TMPDIR" && touch "$HOME/x"; test -L /bin/ls',
      'test -z "${DOCKER_HOST:-}" && ls / | grep -c "^work$" || true',
    ];
    const text = `${task(lines, "workdir: below/here")}  - id: b\n    needs: [a]\n    run: cat "$WORKSPACE/kept"; cd "$WORKSPACE/below/here"\n`;
    const ran = await run(text);
    expect({ code: ran.code, stderr: ran.stderr }).toMatchObject({ code: 0 });
    const { output } = ran.task();
    const workspace = join(realpathSync(home.data), "work", ran.id, "workspace");
    expect(output).toMatchObject({ exitCode: 0, place: join(workspace, "below/here"), stdout: "to the log\n0" });
    expect(Number(output["who"])).toBeGreaterThanOrEqual(60_000);
    expect(ran.task("b").output.stdout).toBe("kept");
    const [started] = await events(ran.id, "trace.task.started");
    const digest = expect.stringMatching(/^sha256:[0-9a-f]{64}$/) as string;
    expect(started?.payload).toMatchObject({ runtime: "docker", image_digest: digest, sandbox: { level: "strict", layers: [...containerLayers] } });
    const { stdout } = await home.run(["execution", "logs", ran.id, "--json", "--config", config]);
    const logs = (JSON.parse(stdout) as { items: { source: string; level: string; message: string }[] }).items;
    expect(logs).toContainEqual(expect.objectContaining({ source: "stdout", level: "INFO", message: "to the log" }));
    expect(logs).toContainEqual(expect.objectContaining({ source: "stderr", level: "ERROR", message: "and an error" }));
    expect(await inEngine().containers()).toEqual([]);
  });

  test("[WF-13] exit codes, signals and programs that the image does not hold", async () => {
    expect(errorOf((await run(task(["echo why >&2", "exit 9"]))).task())).toMatchObject({
      code: "PLUGIN_EXIT",
      details: { exitCode: 9, stderr: "why" },
    });
    expect(errorOf((await run(task(["kill -9 $$"]))).task())).toMatchObject({ code: "PLUGIN_EXIT", details: { exitCode: 137 } });
    const bun = (await run(task(["console.log(1)"], "shell: bun"))).task();
    expect(errorOf(bun)).toMatchObject({ code: "PLUGIN_EXIT", hint: expect.stringContaining('"bun"') as string, details: { exitCode: 127 } });
  });

  test("[WF-13] [WF-22] a plugin that is an image: request, result, schemas, its folder read-only", async () => {
    const call = (mode: string) => run(`tasks: [{ id: a, type: acme/count.words, inputs: { mode: ${mode} } }]\n`);
    const good = await call("count");
    expect(good.task()).toMatchObject({ state: "SUCCESS", output: { words: 3 } });
    const [started] = await events(good.id, "trace.task.started");
    expect(started?.payload).toMatchObject({ runtime: "docker", plugin_sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string });
    expect(errorOf((await call("fail")).task())).toMatchObject({ code: "NO_PAPER" });
    expect(errorOf((await call("wrong")).task())).toMatchObject({ code: "PLUGIN_OUTPUT_INVALID" });
    const looked = errorOf((await call("look")).task());
    expect(looked.details?.["stderr"]).toContain(`in ${home.path("plugins/acme/count")}`);
    expect(looked.details?.["stderr"]).toContain("Read-only file system");
    expect(existsSync(home.path("plugins/acme/count/x"))).toBe(false);
  });

  test("[WF-13] core/docker.run: the image's own command or another, environment, folder, workspace and files", async () => {
    const text = `tasks:
  - { id: made, run: 'mkdir "$HOME/out"; echo from before > "$HOME/out/note.txt"' }
  - id: a
    needs: [made]
    type: core/docker.run
    inputs:
      image: ${image}
      command: 'echo "$WORD in $PWD"; cat "$HOME/in/note.txt"; echo n=1 >> "$WORKFLOW_OUTPUT"; mkdir "$HOME/out"; echo made > "$HOME/out/made.txt"'
      env: { WORD: hello }
      workdir: sub
      files: { note.txt: "{{ tasks.made.output.artifacts[0].uri }}" }
  - { id: list, type: core/docker.run, inputs: { image: ${image}, command: [echo, "a b", c], workdir: /tmp } }
  - { id: own, type: core/docker.run, inputs: { image: ${pluginImage} } }
  - { id: later, needs: [a], run: 'cat "$HOME/in/x"', inputs: { files: { x: "{{ tasks.a.output.artifacts[0].uri }}" } } }
`;
    const ran = await run(text);
    expect(ran.task().output).toMatchObject({
      exitCode: 0,
      n: "1",
      stdout: `hello in ${join(realpathSync(home.data), "work", ran.id, "workspace/sub")}\nfrom before`,
    });
    expect(ran.task("list").output).toMatchObject({ exitCode: 0, stdout: "a b c" });
    expect(ran.task("own").output).toEqual({ exitCode: 0, stdout: "", words: 0 });
    expect(ran.task("later").output.stdout).toBe("made");
  });

  test("[WF-13] the configuration chooses containers for scripts and programs, and an image", async () => {
    const from = configure("docker.yaml", { plugins: ["runtime: docker"], docker: [`image: ${image}`] });
    const flow = `tasks:\n  - { id: a, run: 'test -L /bin/ls && echo yes' }\n  - { id: p, type: acme/tool.go }\n  - { id: j, type: core/json.transform, inputs: { input: 1, expression: input } }\n`;
    const ran = await run(flow, { from });
    expect(ran.task().output.stdout).toBe("yes");
    expect(ran.task("p").output).toEqual({ in: home.path("plugins/acme/tool"), busybox: true });
    const runtimes = (await events(ran.id, "trace.task.started", from)).map(({ payload }) => payload["runtime"]);
    expect(runtimes.toSorted()).toEqual(["docker", "docker", "process"]);
    const none = configure("no-image.yaml", { plugins: ["runtime: docker"] });
    const refused = errorOf((await run("tasks: [{ id: a, run: 'true' }]\n", { from: none })).task());
    expect(refused).toMatchObject({ code: "TASK_INPUT_INVALID", hint: expect.stringContaining("plugins.docker.image") as string });
    const builtIn = await run(
      `tasks: [{ id: a, type: core/json.transform, runtime: docker, image: ${image}, inputs: { input: 1, expression: input } }]\n`,
    );
    expect(errorOf(builtIn.task())).toMatchObject({ code: "TASK_INPUT_INVALID" });
  });

  test("[WF-14] [WF-22] files: what is granted is there, read-only or writable; the rest is not, and is denied", async () => {
    const folder = realpathSync(home.dir);
    const granted = `permissions:\n  filesystem: { read: [../files], write: [../made] }\n  env: [ZONE]\n`;
    mkdirSync(home.path("made"), { recursive: true });
    const lines = [
      `cat ${folder}/files/a.txt`,
      `echo x > ${folder}/made/new`,
      'echo "zone=$ZONE secret=${SECRET:-none}"',
      `echo y 2>/dev/null > ${folder}/files/no || echo "read-only"`,
    ];
    const ran = await run(granted + task(lines), { env: { ZONE: "here", SECRET: "s3cret" } });
    expect(ran.task().output.stdout).toBe("from a file\nzone=here secret=none\nread-only");
    expect(readFileSync(home.path("made/new"), "utf8")).toBe("x\n");

    writeFileSync(home.path("flows/beside.txt"), "beside\n");
    const denied = await run(task([`cat ${folder}/flows/beside.txt`]));
    const target = join(folder, "flows/beside.txt");
    const denial = { kind: "filesystem", target, rule: "filesystem.read" };
    expect(errorOf(denied.task())).toMatchObject({ code: "PERMISSION_DENIED", details: denial });
    const grant = String(errorOf(denied.task()).details?.["grant"]);
    expect((await run(`permissions: { ${grant} }\n${task([`cat ${target}`])}`)).task().output.stdout).toBe("beside");
    expect((await events(denied.id, "trace.permission.denied")).map(({ payload }) => payload)).toMatchObject([denial]);
  });

  test("[WF-14] the socket of an engine gets into no container, whatever is granted", async () => {
    const { socket, folder } = inEngine();
    for (const path of [socket, folder, "/var/run"]) {
      const ran = await run(`permissions: { filesystem: { write: [${path}] } }\n${task(["true"])}`);
      expect(errorOf(ran.task())).toMatchObject({ code: "PERMISSION_DENIED", details: { kind: "filesystem", rule: "docker.mount" } });
      expect(await events(ran.id, "trace.permission.denied")).toHaveLength(1);
    }
    // Everything is not this machine's files.
    const all = await run(task([`ls -d ${folder} ${socket} /work 2>/dev/null | wc -l`]), { args: ["--allow-all"] });
    expect(all.task().output.stdout).toBe("0");
  });

  test("[WF-14] the network: none, or what is granted, through the proxy and the forwarder; denials in the trace", async () => {
    const origin = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("from the origin\n") });
    const granted = `127.0.0.1:${origin.port}`;
    const lines = [
      `wget -q -O - http://${granted}/`,
      `at=$(echo "$WORKFLOW_FORWARD" | sed 's/.*"${granted}":"\\([0-9.]*\\):\\([0-9]*\\)".*/\\1 \\2/')`,
      `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc $at | tail -1`,
      `nc -w 1 127.0.0.1 ${origin.port} </dev/null 2>/dev/null || echo "no other way"`,
      "wget -q -O - http://127.0.0.1:1/ 2>/dev/null || echo denied",
    ];
    const ran = await run(`permissions: { network: ["${granted}"] }\n${task(lines)}`);
    expect(ran.task().output.stdout).toBe("from the origin\nfrom the origin\nno other way\ndenied");
    const denials = (await events(ran.id, "trace.permission.denied")).map(({ payload }) => payload);
    expect(denials).toMatchObject([{ kind: "network", target: "127.0.0.1:1", grant: 'network: ["127.0.0.1:1"]' }]);

    const failed = await run(`permissions: { network: ["${granted}"] }\n${task(["wget -q -O - http://127.0.0.1:1/"])}`);
    expect(errorOf(failed.task())).toMatchObject({ code: "PERMISSION_DENIED", details: { target: "127.0.0.1:1" } });
    const without = await run(
      task(['test -z "${HTTP_PROXY:-}${http_proxy:-}"', "cat /proc/net/route | wc -l", `wget -q -O - http://${granted}/ || echo no way`]),
    );
    expect(without.task().output.stdout).toBe("1\nno way");
    const named = errorOf((await run(task(["wget -q -O - http://example.com/"]))).task());
    expect(named).toMatchObject({ code: "PERMISSION_DENIED", details: { kind: "network", target: "example.com:80" } });
    void origin.stop(true);
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith("ak-net-"))).toEqual([]);
  });

  test("[WF-13] limits: memory, processes and time", async () => {
    const memory = await run(`permissions: { memoryMb: 32 }\n${task(["head -c 200000000 /dev/zero | tail -c 150000000 | wc -c"])}`);
    expect(errorOf(memory.task())).toMatchObject({ code: "TASK_MEMORY", details: { limitMb: 32 } });
    const processes = await run(
      `permissions: { processes: 8 }\n${task(["for i in $(seq 1 30); do sleep 5 & done 2>/dev/null; jobs | wc -l; wait"])}`,
    );
    expect(processes.code).toBe(1);
    const disk = await run(
      `permissions: { diskMb: 2 }\n${task(["for i in 1 2 3 4 5; do head -c 1000000 /dev/zero > $WORKSPACE/$i; done; sleep 30"])}`,
    );
    expect(errorOf(disk.task())).toMatchObject({ code: "PLUGIN_EXIT", details: { limit: "diskMb", diskMb: 2 } });
    const slow = await run(task(["trap '' TERM", "while :; do sleep 0.1; done"], "timeout: 1s"), {
      from: configure("grace.yaml", { more: ["execution: { killGrace: 200ms }"] }),
    });
    expect(errorOf(slow.task())).toMatchObject({ code: "TASK_TIMEOUT" });
    expect(await inEngine().containers()).toEqual([]);
  });

  test("[WF-13] images that are not there, and no engine at all", async () => {
    const missing = (await run(`tasks: [{ id: a, runtime: docker, image: "nobody/nothing:1", run: "true" }]\n`)).task();
    expect(errorOf(missing)).toMatchObject({ code: "IMAGE_NOT_FOUND", hint: expect.stringContaining("pull: missing") as string });
    const inAction = (await run(`tasks: [{ id: a, type: core/docker.run, inputs: { image: "nobody/nothing:1", pull: never } }]\n`)).task();
    expect(errorOf(inAction).code).toBe("IMAGE_NOT_FOUND");
    writeFileSync(home.path("nowhere.yaml"), "plugins: { docker: { socket: /nowhere/docker.sock } }\n");
    const ran = await run(task(["true"], "retry: { max: 2, delay: 10ms }"), { from: home.path("nowhere.yaml") });
    expect(errorOf(ran.task())).toMatchObject({ code: "DOCKER_UNAVAILABLE", hint: expect.stringContaining("plugins.docker.socket") as string });
    const failed = await events(ran.id, "trace.task.failed", home.path("nowhere.yaml"));
    expect(failed.map(({ payload }) => payload["will_retry"])).toEqual([true, false]);
  });

  test("[WF-13] TypeScript runs by the image's own Bun, with the SDK in reach", async () => {
    const root = join(inEngine().folder, "bun-root");
    const bun = join(import.meta.dir, "../../node_modules/.bin/bun");
    cpSync(inEngine().root, root, { recursive: true, verbatimSymlinks: true });
    cpSync(realpathSync(bun), join(root, "bin/bun"));
    const libraries = Bun.spawnSync(["ldd", realpathSync(bun)]).stdout.toString();
    for (const [, path = ""] of libraries.matchAll(/(\/\S+) \(0x/g)) {
      mkdirSync(join(root, path, ".."), { recursive: true });
      cpSync(path, join(root, path), { dereference: true });
    }
    await inEngine().importImage(root, "autokestra-bun:1");
    const flow = `tasks:\n  - id: a\n    runtime: docker\n    image: autokestra-bun:1\n    shell: bun\n    run: ${script(['const sdk = await import("autokestra/sdk");', "console.log(typeof sdk.definePlugin, process.cwd() === process.env.WORKSPACE);"])}`;
    expect((await run(flow)).task()).toMatchObject({ state: "SUCCESS", output: { stdout: "function true" } });
    putPlugin("typed", "runtime: bun\nentrypoint: main.ts\nactions:\n  - name: add\n    input: { type: object }\n    output: { type: object }\n", {
      "main.ts":
        'import { definePlugin } from "autokestra/sdk";\nexport default definePlugin({ actions: { add: async (input) => ({ sum: input.a + 1 }) } });\n',
    });
    const typed = "tasks: [{ id: a, type: acme/typed.add, inputs: { a: 2 }, runtime: docker, image: 'autokestra-bun:1' }]\n";
    expect((await run(typed)).task()).toMatchObject({ state: "SUCCESS", output: { sum: 3 }, attempts: [{ runtime: "docker" }] });
  });
});

// Each test needs the engine; why there is none stands in the title.
describe.skipIf(engine === null)(`[WF-13] who may use the engine, and who watches${reason}`, () => {
  test("[WF-13] an ordinary user of the engine's group: files are the user's, the network as granted", async () => {
    const origin = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("from the origin\n") });
    const data = home.path("ordinary");
    mkdirSync(data);
    // The test engine's group is root's.
    const [uid, gid] = [65_534, 0];
    chownSync(data, uid, gid);
    chmodSync(home.dir, 0o755);
    const granted = `127.0.0.1:${origin.port}`;
    const lines = [`wget -q -O - http://${granted}/`, 'id -u; echo x > "$WORKSPACE/x"; mkdir "$HOME/out"; cp "$WORKSPACE/x" "$HOME/out/"'];
    writeFileSync(join(data, "flow.yaml"), `id: flow\npermissions: { network: ["${granted}"] }\n${task(lines)}`);
    const command = ["setpriv", `--reuid=${uid}`, `--regid=${gid}`, "--clear-groups", binary, "run", "flow.yaml", "--json", "--config", config];
    const child = Bun.spawn([...command, "--data", join(data, "data")], {
      cwd: data,
      env: home.env({ HOME: data }),
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [ran] = (JSON.parse(await new Response(child.stdout).text()) as { tasks: Task[] }).tasks;
    expect(ran).toMatchObject({ state: "SUCCESS", output: { stdout: "from the origin\n65534", artifacts: [{ name: "x", size: 2 }] } });
    void origin.stop(true);
  });

  test("[WF-14] --learn records what a container reaches through the proxy; the container stays confined", async () => {
    const origin = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("from the origin\n") });
    const target = `127.0.0.1:${origin.port}`;
    const ran = await run(task([`wget -q -O - http://${target}/`]), { args: [`--learn=${home.path("learned.yaml")}`] });
    expect(ran.task().output.stdout).toBe("from the origin");
    expect(readFileSync(home.path("learned.yaml"), "utf8")).toContain(target);
    const [started] = await events(ran.id, "trace.task.started");
    expect(started?.payload["sandbox"]).toEqual({ level: "strict", layers: [...containerLayers, "observe"] });
    void origin.stop(true);
  });
});

// Each test needs the engine; why there is none stands in the title.
describe.skipIf(engine === null)(`[WF-13] containers of a server${reason}`, () => {
  const start = () => home.startServer(["--config", config]);
  const running = async () => ((await inEngine().ask("/containers/json")) as unknown[]).length;
  const endless = task(["trap '' TERM HUP", "echo ready", "sleep 600 &", "while :; do sleep 1; done"]);

  async function begin(server: Server, id: string, text: string): Promise<string> {
    await server.apply(id, `id: ${id}\n${text}`);
    const { body } = await server.call("POST", `/api/v1/workflows/${id}/executions`, {});
    return (body as { executionId: string }).executionId;
  }
  const stateOf = async (server: Server, id: string) =>
    ((await server.call("GET", `/api/v1/executions/${id}`)).body as { execution: { state: string } }).execution.state;
  const ended = (server: Server, id: string) =>
    until(async () => (["PENDING", "RUNNING", "QUEUED"].includes(await stateOf(server, id)) ? null : stateOf(server, id)), 30_000);

  test("[WF-13] run, and are stopped and removed by a cancel", async () => {
    const server = await start();
    const good = await begin(server, "good", task(["echo hello"]));
    expect(await ended(server, good)).toBe("SUCCESS");
    const id = await begin(server, "endless", task(["echo ready", "while :; do sleep 1; done"]));
    await until(async () => ((await running()) === 1 ? true : null), 20_000);
    expect((await server.call("POST", `/api/v1/executions/${id}/cancel`, {})).status).toBeLessThan(300);
    expect(await ended(server, id)).toBe("CANCELLED");
    expect(await inEngine().containers()).toEqual([]);
    await server.stop();
  });

  test("[WF-13] end with a one-shot run that is interrupted, and with one that is killed", async () => {
    writeFileSync(home.path("flows/endless.yaml"), `id: endless\n${endless}`);
    for (const signal of ["SIGINT", "SIGKILL"] as const) {
      const { child, ended: over } = home.start([
        "run",
        "flows/endless.yaml",
        "--config",
        configure("grace.yaml", { more: ["execution: { killGrace: 200ms }"] }),
      ]);
      await until(async () => ((await running()) === 1 ? true : null), 20_000);
      child.kill(signal);
      await over;
      await until(async () => ((await running()) === 0 ? true : null), 10_000);
      if (signal === "SIGINT") expect(await inEngine().containers()).toEqual([]);
    }
    // What a killed run leaves behind is removed by the next server.
    const server = await start();
    await until(async () => ((await inEngine().containers()).length === 0 ? true : null), 20_000);
    await server.stop();
  });

  test("[WF-13] end at once with the server's kill -9, and the next start removes them", async () => {
    const server = await start();
    await begin(server, "killed", `permissions: { network: ["127.0.0.1:9"] }\n${endless}`);
    await until(async () => ((await running()) === 1 ? true : null), 20_000);
    await server.kill();
    await until(async () => ((await running()) === 0 ? true : null), 10_000);
    const left = await inEngine().containers();
    expect(left).toHaveLength(1);
    const sockets = () => readdirSync(tmpdir()).filter((name) => name.startsWith("ak-net-"));
    expect(sockets()).toHaveLength(1);
    const next = await start();
    await until(async () => ((await inEngine().containers()).every((name) => !left.includes(name)) ? true : null), 20_000);
    expect(sockets().filter((name) => !name.startsWith(`ak-net-${next.child.pid}-`))).toEqual([]);
    await next.kill();
  });
});
