// core/ssh.run against a real sshd, directly and through a forwarder.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer, connect, type Server } from "node:net";
import { join } from "node:path";
import { runOverSsh } from "../../../src/actions/ssh/run.ts";
import type { JsonObject } from "../../../src/base/index.ts";
import { findCoreAction } from "../../../src/model/index.ts";
import { directContext, rejection } from "./direct-context.ts";
import { hasSshd, type SshServer, startSshd } from "./ssh-server.ts";

// sshd logs in whoever runs it as root only, and is not installed everywhere.
describe.skipIf(!hasSshd)("over a real sshd", () => {
  let server: SshServer;
  let base: JsonObject = {};
  beforeAll(async () => {
    server = await startSshd();
    base = {
      host: "127.0.0.1",
      port: server.port,
      user: server.user,
      identityFile: server.key,
      knownHosts: `[127.0.0.1]:${server.port} ${server.hostKey}`,
    };
  }, 30_000);
  afterAll(() => server.stop());
  const lines: string[] = [];
  const run = (input: JsonObject, context = directContext()) =>
    runOverSsh({ ...base, ...input }, context, (stream, line) => void lines.push(`${stream}: ${line}`));

  test("a command with its standard input, both streams, and its lines as the task's", async () => {
    expect(await run({ command: "cat; echo err >&2", stdin: "in ä" })).toEqual({ exitCode: 0, stdout: "in ä", stderr: "err\n" });
    expect(lines).toEqual(expect.arrayContaining(["stdout: in ä", "stderr: err"]));
  });

  test("a script for each shell, with the key as text", async () => {
    const identity = readFileSync(server.key, "utf8").trimEnd();
    const { identityFile: _, ...rest } = base;
    const context = directContext();
    const script = (input: JsonObject) => runOverSsh({ ...rest, identity, ...input }, context, () => undefined);
    expect(await script({ script: "x='a b'\necho \"$x\"" })).toMatchObject({ stdout: "a b\n" });
    expect(statSync(join(context.workdir, ".ssh-identity")).mode & 0o777).toBe(0o600);
    expect(await script({ script: "print(1 + 1)", shell: "python3" })).toMatchObject({ stdout: "2\n" });
    expect(await rejection(script({ script: "false\necho never" }))).toMatchObject({ code: "SSH_EXIT", details: { exitCode: 1, stdout: "" } });
  });

  test("another exit code fails with it and the end of stderr, 255 too", async () => {
    expect(await rejection(run({ command: "echo why >&2; exit 3" }))).toMatchObject({ code: "SSH_EXIT", details: { exitCode: 3, stderr: "why" } });
    expect(await rejection(run({ command: "exit 255" }))).toMatchObject({ code: "SSH_EXIT", details: { exitCode: 255 } });
  });

  test("the host key has to be the known one; only insecureHostKey takes any", async () => {
    const other = `[127.0.0.1]:${server.port} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl`;
    for (const knownHosts of [other, `example.test ${server.hostKey}`])
      expect(await rejection(run({ command: "true", knownHosts }))).toMatchObject({ code: "SSH_HOST_KEY", retryable: false });
    const file = join(server.folder, "known");
    writeFileSync(file, `[127.0.0.1]:${server.port} ${server.hostKey}\n`);
    expect(await run({ command: "true", knownHosts: file })).toMatchObject({ exitCode: 0 });
    const { knownHosts: _, ...unknown } = base;
    expect((await rejection(runOverSsh({ ...unknown, command: "true" }, directContext()))).code).toBe("TASK_INPUT_INVALID");
    expect(await runOverSsh({ ...unknown, command: "true", insecureHostKey: true }, directContext(), () => undefined)).toMatchObject({ exitCode: 0 });
  });

  test("a refused login and an absent server are SSH_UNREACHABLE", async () => {
    expect(await rejection(run({ command: "true", identityFile: join(server.folder, "host") }))).toMatchObject({
      code: "SSH_UNREACHABLE",
      retryable: false,
    });
    expect(await rejection(run({ command: "true", port: 1 }))).toMatchObject({ code: "SSH_UNREACHABLE", retryable: true });
  });

  test("inputs that say too little or too much", async () => {
    for (const input of [
      {},
      { command: "a", script: "b" },
      { script: "a", stdin: "b" },
      { command: "a", identity: "x" },
      { command: "a", insecureHostKey: true },
    ] as JsonObject[])
      expect((await rejection(run(input))).code).toBe("TASK_INPUT_INVALID");
    expect((await rejection(run({ command: "a", identityFile: "/nonexistent" }))).code).toBe("FILE_NOT_FOUND");
  });

  test("through a forwarder the host key is still that of the real name", async () => {
    const forwarder: Server = createServer((socket) => {
      const upstream = connect(server.port, "127.0.0.1");
      for (const one of [socket, upstream]) one.on("error", () => undefined);
      socket.pipe(upstream).pipe(socket);
    });
    await new Promise<void>((resolve) => forwarder.listen(0, "127.0.0.1", resolve));
    const { port } = forwarder.address() as { port: number };
    const context = () => directContext({ "box.example.test:22": { host: "127.0.0.1", port } });
    const far = { host: "box.example.test", port: 22 };
    const big = await run({ ...far, command: "head -c 200000 /dev/zero | tr '\\0' x", knownHosts: `box.example.test ${server.hostKey}` }, context());
    expect((big as { stdout: string }).stdout.length).toBe(200_000);
    expect(
      await run({ ...far, command: "wc -c", stdin: "y".repeat(300_000), knownHosts: `box.example.test ${server.hostKey}` }, context()),
    ).toMatchObject({ stdout: "300000\n" });
    expect(await rejection(run({ ...far, command: "true", knownHosts: `127.0.0.1 ${server.hostKey}` }, context()))).toMatchObject({
      code: "SSH_HOST_KEY",
    });
    forwarder.close();
  });
});

test("it asks to start ssh, for the server and for its files", () => {
  const asks = (inputs: JsonObject) => findCoreAction("core/ssh.run")?.asks?.(inputs);
  expect(asks({ host: "box.example.com", identityFile: "./id", knownHosts: "known" })).toEqual({
    run: true,
    network: ["box.example.com:22"],
    filesystem: { read: ["./id", "$workspace/known"] },
  });
  expect(asks({ host: "::1", port: 2222, knownHosts: "x ssh-ed25519 AAAA" })).toEqual({
    run: true,
    network: ["[::1]:2222"],
    filesystem: { read: [] },
  });
  expect(asks({ host: "{{ vars.h }}", port: "{{ vars.p }}", identityFile: "{{ x }}" })).toEqual({ run: true, network: [], filesystem: { read: [] } });
});
