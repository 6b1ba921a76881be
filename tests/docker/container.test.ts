// Containers of a real engine: what they are given, what they are denied, and what comes back.

import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import type { ContainerHandle } from "../../src/plugins/runtimes/docker/index.ts";
import { finish, image, readSome, script, startTestEngine, until } from "./engine.ts";

const { engine, reason } = await startTestEngine();
afterAll(() => engine?.stop(), 60_000);

const inEngine = () => {
  if (engine === null) throw new Error("no engine");
  return engine;
};
const run = (...args: Parameters<typeof script>) =>
  finish(
    inEngine()
      .runtime()
      .runContainer(script(...args)),
  );
const codeOf = (handle: ContainerHandle) =>
  finish(handle).then(
    () => "none",
    (cause: unknown) => (cause as { code: string }).code,
  );
const newFolder = () => mkdtempSync(join(inEngine().folder, "f-"));
const mib = 1024 * 1024;

// Each test needs the engine; why there is none stands in the title.
describe.skipIf(engine === null)(`[WF-13] containers${reason}`, () => {
  test("[WF-13] both streams, the exit code, standard input and the environment", async () => {
    const script = 'echo out; echo err >&2; cat; echo "$GREETING"; exit 3';
    const ended = await run(script, { stdin: Buffer.from("typed\n"), env: { PATH: "/bin", GREETING: "hello = there" } });
    expect(ended).toEqual({ exit: { exitCode: 3, signal: null, oomKilled: false }, stdout: "out\ntyped\nhello = there\n", stderr: "err\n" });
  });

  test("[WF-13] output is whole and in order, however much and however slowly it is taken", async () => {
    const handle = inEngine().runtime().runContainer(script("seq 1 2000000; echo last >&2"));
    const stderr = readSome(handle.stderr);
    let text = await readSome(handle.stdout);
    // Nothing is dropped and nothing piles up here: the program waits.
    const [name = ""] = await inEngine().containers();
    expect(await until(() => waitsToWrite(name))).toBeTrue();
    for await (const chunk of handle.stdout) text += Buffer.from(chunk).toString();
    const expected = Array.from({ length: 2_000_000 }, (_, index) => `${index + 1}\n`).join("");
    expect(text.length).toBe(expected.length);
    expect(text === expected).toBeTrue();
    expect(await stderr).toBe("last\n");
    expect((await handle.exited).exitCode).toBe(0);
  });

  test("[WF-13] values of the environment are in no argument list and in no record of the engine", async () => {
    const handle = inEngine()
      .runtime()
      .runContainer(script("echo ready; read line < /dev/zero", { env: { PATH: "/bin", TOKEN: "s3cret-value" } }));
    await readSome(handle.stdout);
    const [name = ""] = await inEngine().containers();
    const inspected = JSON.stringify(await inEngine().ask(`/containers${name}/json`));
    const top = JSON.stringify(await inEngine().ask(`/containers${name}/top?ps_args=-ef`));
    const records = Bun.spawnSync(["grep", "-rl", "s3cret-value", join(inEngine().folder, "data/containers")]).stdout.toString();
    handle.kill();
    await finish(handle);
    expect(inspected).toContain("autokestra.task");
    expect(inspected).not.toContain("s3cret-value");
    expect(top).not.toContain("s3cret-value");
    expect(records).toBe("");
  });

  test("[WF-13] the engine confirms every layer", async () => {
    const handle = inEngine()
      .runtime({ settings: { cpus: 0.5 } })
      .runContainer(script("echo ready; read line < /dev/zero"));
    await readSome(handle.stdout);
    const [name = ""] = await inEngine().containers();
    const { Config, HostConfig, Mounts } = (await inEngine().ask(`/containers${name}/json`)) as Record<string, Record<string, unknown>>;
    handle.kill();
    await finish(handle);
    expect(HostConfig).toMatchObject({
      Privileged: false,
      NetworkMode: "none",
      IpcMode: "private",
      PidMode: "",
      ReadonlyRootfs: true,
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges"],
      Memory: 64 * mib,
      MemorySwap: 64 * mib,
      PidsLimit: 17,
      NanoCpus: 5e8,
      AutoRemove: false,
      RestartPolicy: { Name: "no" },
      LogConfig: { Type: "none" },
      Tmpfs: { "/tmp": expect.stringContaining("noexec") as string },
    });
    expect(HostConfig?.CapAdd ?? []).toEqual([]);
    expect(HostConfig?.Devices ?? []).toEqual([]);
    expect(Config?.Labels).toMatchObject({
      "autokestra.execution": "execution-1",
      "autokestra.task": "build",
      "autokestra.attempt": "1",
      "autokestra.store": "store-1",
      "autokestra.owner": "owner-1",
    });
    expect(JSON.stringify(Mounts)).not.toContain("docker.sock");
  });

  test("[WF-13] the kernel holds every layer", async () => {
    const attack = [
      "grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status",
      "touch /made 2>/dev/null && echo root is writable",
      "cp /bin/busybox /tmp/ls && /tmp/ls 2>/dev/null && echo tmp is executable",
      "dd if=/dev/zero of=/tmp/big bs=1M count=200 2>/dev/null && echo tmp has no bound",
      "mount -t tmpfs none /root 2>/dev/null && echo mounts",
      "ls /sys/class/net",
      "nc -w 1 1.1.1.1 80 </dev/null 2>/dev/null && echo has network",
      "chown 1 /tmp/ls 2>/dev/null && echo changes owners",
      "true",
    ];
    const { stdout } = await run(attack.join("\n"));
    const zero = "0000000000000000";
    expect(stdout.trim().split(/\s+/)).toEqual(["CapEff:", zero, "CapBnd:", zero, "NoNewPrivs:", "1", "Seccomp:", "2", "lo"]);
  });

  test("[WF-13] memory: the task is killed, and it is said why", async () => {
    const { exit } = await run("a=x; while :; do a=$a$a; done");
    expect(exit).toEqual({ exitCode: null, signal: "SIGKILL", oomKilled: true });
  });

  test("[WF-13] processes: no more than granted", async () => {
    const { stdout, exit } = await run("for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done; echo all", {
      limits: { memoryBytes: 64 * mib, processes: 5, cpus: null, cpuSeconds: null, openFiles: 64, fileBytes: null },
    });
    expect(stdout).toBe("");
    expect(exit.exitCode).not.toBe(0);
  });

  test("[WF-13] open files, bytes of a file and CPU seconds are bounded", async () => {
    const folder = newFolder();
    const { stdout } = await run(
      `ulimit -n; ulimit -c; ulimit -t; dd if=/dev/zero of=${folder}/big bs=64k count=100 2>/dev/null; wc -c < ${folder}/big`,
      {
        limits: { memoryBytes: 64 * mib, processes: 8, cpus: null, cpuSeconds: 60, openFiles: 99, fileBytes: mib },
        mounts: [{ source: folder, target: folder, readOnly: false }],
      },
    );
    expect(stdout.trim().split("\n")).toEqual(["99", "0", "60", String(mib)]);
  });

  test("[WF-13] [WF-22] mounts are at the same absolute paths, written as the server's user, and read-only ones stay as they are", async () => {
    const folder = newFolder();
    mkdirSync(join(folder, "work"));
    mkdirSync(join(folder, "plugin"));
    writeFileSync(join(folder, "plugin/main"), "from the plugin\n");
    const script = `pwd; cat ${folder}/plugin/main; echo '{"output":1}' > ${folder}/work/result.json; touch ${folder}/plugin/x 2>/dev/null && echo wrote; ls ${folder}`;
    const { stdout, exit } = await run(script, {
      cwd: join(folder, "work"),
      mounts: [
        { source: join(folder, "work"), target: join(folder, "work"), readOnly: false },
        { source: join(folder, "plugin"), target: join(folder, "plugin"), readOnly: true },
      ],
    });
    expect(exit.exitCode).toBe(0);
    expect(stdout).toBe(`${folder}/work\nfrom the plugin\nplugin\nwork\n`);
    expect(readFileSync(join(folder, "work/result.json"), "utf8")).toBe('{"output":1}\n');
    expect(statSync(join(folder, "work/result.json")).uid).toBe(process.getuid?.() ?? -1);
  });

  test("[WF-13] an execution's own user owns what it writes, and reads nothing of others", async () => {
    const folder = newFolder();
    chmodSync(folder, 0o755);
    mkdirSync(join(folder, "own"));
    chownSync(join(folder, "own"), 1_900_000_001, 1_900_000_001);
    writeFileSync(join(folder, "private"), "root's\n", { mode: 0o600 });
    const { stdout, stderr, exit } = await run("id -u; cat; cat ../private; touch made", {
      user: { uid: 1_900_000_001, gid: 1_900_000_001 },
      stdin: Buffer.from("input\n"),
      cwd: join(folder, "own"),
      mounts: [
        { source: folder, target: folder, readOnly: true },
        { source: join(folder, "own"), target: join(folder, "own"), readOnly: false },
      ],
    });
    expect({ stdout, exitCode: exit.exitCode }).toEqual({ stdout: "1900000001\ninput\n", exitCode: 0 });
    expect(stderr).toContain("Permission denied");
    expect(statSync(join(folder, "own/made")).uid).toBe(1_900_000_001);
  });

  test("[WF-13] no socket of an engine gets in: named, inside a folder, by a link, or under another name", async () => {
    const folder = newFolder();
    symlinkSync(inEngine().socket, join(folder, "link"));
    const socket = join(folder, "other.sock");
    const server = createServer().listen(socket);
    const attempts = [inEngine().socket, inEngine().folder, "/", join(folder, "link"), socket];
    const codes = await Promise.all(
      attempts.map((source) =>
        codeOf(
          inEngine()
            .runtime()
            .runContainer(script("true", { mounts: [{ source, target: "/mnt", readOnly: true }] })),
        ),
      ),
    );
    server.close();
    expect(codes).toEqual(attempts.map(() => "PERMISSION_DENIED"));
    for (const target of ["/", "/proc/1", "/dev", "/.autokestra/relay"]) {
      const mounts = [{ source: folder, target, readOnly: true }];
      expect(await codeOf(inEngine().runtime().runContainer(script("true", { mounts })))).toBe("PERMISSION_DENIED");
    }
    const missing = [{ source: join(folder, "missing"), target: "/mnt", readOnly: true }];
    expect(
      await codeOf(
        inEngine()
          .runtime()
          .runContainer(script("true", { mounts: missing })),
      ),
    ).toBe("FILE_NOT_FOUND");
  });

  test("[WF-13] an image's own entrypoint, variables, folder and volumes", async () => {
    const changes = [
      'ENTRYPOINT ["sh", "-c"]',
      'CMD ["echo $FROM_IMAGE $0 $PWD; touch /data/x && df /data | tail -1"]',
      "ENV FROM_IMAGE=yes PATH=/bin",
      "WORKDIR /etc",
      "VOLUME /data",
    ];
    await inEngine().importImage(inEngine().root, "autokestra-own:1", changes);
    const { stdout, exit } = await run("", { image: "autokestra-own:1", command: null, env: {} });
    expect(exit.exitCode).toBe(0);
    expect(stdout).toContain("yes sh /etc\n");
    // What it declares as a volume is memory with a bound.
    expect(stdout).toContain("tmpfs");
    expect((await inEngine().ask("/volumes")) as { Volumes: unknown }).toMatchObject({ Volumes: [] });
  });

  test("[WF-13] an image is known by its digest, and its id is taken as well", async () => {
    const runtime = inEngine().runtime();
    const resolved = await runtime.resolveImage(image, null);
    expect(resolved.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(resolved.digest).toBe(resolved.id);
    const { stdout } = await finish(runtime.runContainer(script("echo ran", { image: resolved.id })));
    expect(stdout).toBe("ran\n");
  });

  test("[WF-13] images that are not there, that are not reachable, and that are none", async () => {
    const runtime = inEngine().runtime();
    const resolve = (name: string, pull: "never" | "missing") => codeOf(runtime.runContainer(script("true", { image: name, pull })));
    expect(await resolve("nowhere-to-be-found:1", "never")).toBe("IMAGE_NOT_FOUND");
    expect(await resolve("127.0.0.1:1/nowhere:1", "missing")).toBe("DOCKER_UNAVAILABLE");
    expect(await resolve("../containers/json", "never")).toBe("TASK_INPUT_INVALID");
    expect(await resolve(`sha256:${"0".repeat(64)}`, "missing")).toBe("IMAGE_NOT_FOUND");
  });

  test("[WF-13] an image is pulled from a registry when it is missing, with progress", async () => {
    const registry = await startRegistry(inEngine().root);
    const lines: string[] = [];
    const runtime = inEngine().runtime({ settings: { pull: "missing" } });
    const name = `127.0.0.1:${registry.port}/acme/tool:1.0`;
    const resolved = await runtime.resolveImage(name, null, (line) => lines.push(line));
    expect(resolved.digest).toBe(registry.digest);
    expect(lines.join("\n")).toContain("Pulling from acme/tool");
    const { stdout } = await finish(runtime.runContainer(script("echo pulled", { image: name })));
    expect(stdout).toBe("pulled\n");
    expect(registry.manifestReads()).toBeGreaterThan(0);
    expect(await codeOf(runtime.runContainer(script("true", { image: `127.0.0.1:${registry.port}/acme/none:1.0` })))).toBe("IMAGE_NOT_FOUND");
    registry.stop();
  });

  test("[WF-13] a program or folder that is not there is said on stderr", async () => {
    const [missing, denied, folder] = await Promise.all([
      run("", { command: ["no-such-program"] }),
      run("", { command: ["/etc"] }),
      run("true", { cwd: "/not/there" }),
    ]);
    expect([missing?.exit.exitCode, denied?.exit.exitCode, folder?.exit.exitCode]).toEqual([127, 126, 125]);
    expect(missing?.stderr).toContain("no-such-program");
    expect(folder?.stderr).toContain("/not/there");
  });

  test("[WF-13] an environment that no program can be given is refused", async () => {
    const handle = () =>
      inEngine()
        .runtime()
        .runContainer(script("true", { env: { "A=B": "1" } }));
    expect(await codeOf(handle())).toBe("TASK_INPUT_INVALID");
    expect(
      await codeOf(
        inEngine()
          .runtime()
          .runContainer(script("true", { cwd: "relative" })),
      ),
    ).toBe("TASK_INPUT_INVALID");
  });

  test("[WF-13] nothing is left: no container, no file", async () => {
    await run("true");
    expect(await inEngine().containers()).toEqual([]);
    const folder = join(inEngine().folder, "runtime/containers");
    expect(existsSync(folder) ? readdirSync(folder) : []).toEqual([]);
  });
});

/** Whether the container's program sits in a write. */
async function waitsToWrite(name: string): Promise<boolean> {
  const { Titles, Processes } = (await inEngine().ask(`/containers${name}/top?ps_args=-eo%20pid,comm`)) as {
    Titles: string[];
    Processes: string[][];
  };
  const pid = Processes.find((fields) => fields[Titles.indexOf("COMMAND")] === "seq")?.[Titles.indexOf("PID")];
  return pid !== undefined && readFileSync(`/proc/${pid}/wchan`, "utf8").includes("pipe_write");
}

/** The smallest registry that an image can be pulled from: one image of one layer. */
async function startRegistry(root: string) {
  const sha256 = (bytes: Uint8Array) => `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;
  const layer = await new Response(Bun.spawn(["tar", "-C", root, "-c", "."]).stdout).bytes();
  const config = Buffer.from(
    JSON.stringify({
      architecture: process.arch === "x64" ? "amd64" : "arm64",
      os: "linux",
      config: {},
      rootfs: { type: "layers", diff_ids: [sha256(layer)] },
    }),
  );
  const type = "application/vnd.docker.distribution.manifest.v2+json";
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: type,
      config: { mediaType: "application/vnd.docker.container.image.v1+json", size: config.byteLength, digest: sha256(config) },
      layers: [{ mediaType: "application/vnd.docker.image.rootfs.diff.tar", size: layer.byteLength, digest: sha256(layer) }],
    }),
  );
  let manifestReads = 0;
  const blobs = new Map([layer, config].map((bytes) => [sha256(bytes), bytes]));
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/v2/") return new Response("{}");
      if (pathname.startsWith("/v2/acme/tool/manifests/")) {
        manifestReads++;
        return new Response(manifest, { headers: { "Content-Type": type, "Docker-Content-Digest": sha256(manifest) } });
      }
      const blob = blobs.get(pathname.split("/").at(-1) ?? "");
      if (blob !== undefined) return new Response(blob);
      return Response.json({ errors: [{ code: "MANIFEST_UNKNOWN", message: "manifest unknown" }] }, { status: 404 });
    },
  });
  return { port: server.port ?? 0, digest: sha256(manifest), manifestReads: () => manifestReads, stop: () => void server.stop(true) };
}
