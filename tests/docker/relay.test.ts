// The relay waits without work: whatever state its connections are in, it uses no processor time until something comes.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../product/binary.ts";

const relayFile = new URL(`../../assets/sandbox/relay-${process.arch}`, import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), "relay-idle-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const canUnshare = process.platform === "linux" && Bun.spawnSync(["unshare", "--pid", "--fork", "true"]).exitCode === 0;
const reason = canUnshare ? "" : " (skipped: needs a process namespace, which this user may not make)";

type Relay = { pid: number; port: number; stop(): Promise<void> };

/** A relay as process 1 of a namespace of its own, which listens in this one's network. */
async function startRelay(socket: string): Promise<Relay> {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = probe;
  probe.stop(true);
  const command = [relayFile, "--lifeline", "--listen", `${port}=${socket}`, "--", "/bin/sleep", "600"];
  const child = Bun.spawn(["unshare", "--pid", "--fork", "--kill-child", ...command], { stdio: ["pipe", "ignore", "inherit"] });
  const pid = await until(() => {
    const [first] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim().split(" ").map(Number);
    const isRelay = first !== undefined && first > 0 && readFileSync(`/proc/${first}/cmdline`, "latin1").startsWith(relayFile);
    return isRelay && readFileSync(`/proc/${first}/task/${first}/children`, "utf8") !== "" ? first : null;
  });
  const stop = async () => {
    child.kill("SIGKILL");
    await child.exited;
  };
  return { pid, port, stop };
}

/** Clock ticks, a hundred in a second, that the process used so far. */
function ticksOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const [user = 0, system = 0] = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 13)
    .map(Number);
  return user + system;
}

/** How much of half a second the process works; what is measured is the time itself. */
async function workOf(pid: number): Promise<number> {
  const before = ticksOf(pid);
  await Bun.sleep(500);
  return ticksOf(pid) - before;
}

const listen = (name: string, onSocket: (socket: Socket) => void) =>
  new Promise<{ server: Server; path: string; accepted: Socket[] }>((resolve) => {
    const accepted: Socket[] = [];
    const path = join(folder, name);
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      accepted.push(socket.on("error", () => {}));
      onSocket(socket);
    });
    server.listen(path, () => resolve({ server, path, accepted }));
  });

const open = (port: number) =>
  new Promise<Socket>((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true }, () => resolve(socket));
    socket.on("error", reject);
  });

/** What each side does with its connection, and then leaves it. */
const states: Record<string, { server: (socket: Socket) => void; client: (socket: Socket) => void }> = {
  "nothing at all": { server: () => {}, client: () => {} },
  "the client has said all": { server: () => {}, client: (socket) => socket.end("x") },
  "the server has said all": { server: (socket) => socket.end("x"), client: (socket) => socket.pause() },
  "the client is gone": { server: () => {}, client: (socket) => socket.destroy() },
  "the client has reset the connection": { server: () => {}, client: (socket) => socket.resetAndDestroy() },
  "the server is gone": { server: (socket) => socket.destroy(), client: (socket) => socket.pause() },
  "both are full, and nobody reads": {
    server: (socket) => socket.write(Buffer.alloc(8 * 1024 * 1024)),
    client: (socket) => {
      socket.pause();
      socket.write(Buffer.alloc(8 * 1024 * 1024));
    },
  },
  "full, and then one side is gone": {
    server: (socket) => socket.write(Buffer.alloc(8 * 1024 * 1024)),
    client: (socket) => {
      socket.pause();
      socket.write(Buffer.alloc(8 * 1024 * 1024), () => {});
      setTimeout(() => socket.destroy(), 50);
    },
  },
};

// Each test needs a process namespace; why there is none stands in the title.
describe.skipIf(!canUnshare)(`[WF-13] an idle relay uses no processor time${reason}`, () => {
  test.each(Object.keys(states))("[WF-13] %s", async (name) => {
    const state = states[name] ?? { server: () => {}, client: () => {} };
    const { server, path, accepted } = await listen(`${Object.keys(states).indexOf(name)}.sock`, state.server);
    const relay = await startRelay(path);
    const clients = await Promise.all(Array.from({ length: 20 }, () => until(() => open(relay.port).catch(() => null))));
    for (const client of clients) state.client(client.on("error", () => {}));
    await until(() => (accepted.length === clients.length ? true : null));
    // What was sent is on its way for a moment; a relay that goes round and round never rests.
    expect(await until(async () => ((await workOf(relay.pid)) <= 3 ? true : null))).toBeTrue();
    for (const socket of [...clients, ...accepted]) socket.destroy();
    await relay.stop();
    server.close();
  });

  test("[WF-13] nobody listens, and clients try again and again", async () => {
    const relay = await startRelay(join(folder, "nobody.sock"));
    for (let tries = 0; tries < 50; tries++) (await until(() => open(relay.port).catch(() => null))).on("error", () => {}).destroy();
    expect(await workOf(relay.pid)).toBeLessThanOrEqual(3);
    await relay.stop();
  });

  test("[WF-13] its lifeline is cut: it ends, and all with it", async () => {
    const relay = Bun.spawn(["unshare", "--pid", "--fork", relayFile, "--lifeline", "--", "/bin/sleep", "600"], {
      stdio: ["pipe", "ignore", "inherit"],
    });
    relay.stdin.end();
    expect(await relay.exited).toBe(137);
  });
});
