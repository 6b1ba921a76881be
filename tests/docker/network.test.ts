// The network of containers: none, or the gate's sockets through the relay.

import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { createNetworkGate, type NetworkDecision } from "../../src/plugins/network/index.ts";
import type { ContainerSpec } from "../../src/plugins/runtimes/docker/index.ts";
import { finish, script, startTestEngine } from "./engine.ts";

const { engine, reason } = await startTestEngine();
afterAll(() => engine?.stop(), 60_000);

const inEngine = () => {
  if (engine === null) throw new Error("no engine");
  return engine;
};
const run = (text: string, changes: Partial<ContainerSpec>) => finish(inEngine().runtime().runContainer(script(text, changes)));
const newFolder = () => {
  const folder = mkdtempSync(join(inEngine().folder, "n-"));
  chmodSync(folder, 0o711);
  return folder;
};
const listen = (server: Server, place: string | { host: string; port: number }) =>
  new Promise<Server>((resolve) => server.listen(place as string, () => resolve(server.unref())));
const stranger = { uid: 1_900_000_001, gid: 1_900_000_001 };

// Each test needs the engine; why there is none stands in the title.
describe.skipIf(engine === null)(`[WF-13] the network of containers${reason}`, () => {
  test("[WF-13] [WF-14] granted hosts are reached through the gate, others are denied and reported", async () => {
    const origin = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("from the origin\n") });
    const granted = `127.0.0.1:${origin.port}`;
    const gate = createNetworkGate({ onTrouble: () => {}, randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)) });
    const decisions: NetworkDecision[] = [];
    const folder = newFolder();
    const pass = gate.open({ entries: [granted], mode: "enforce", onDecision: (decision) => decisions.push(decision), socketFolder: folder });
    const forward = (pass.forwards[granted] ?? "").split(":").join(" ");
    const asked = [
      `wget -q -O - http://${granted}/`,
      "wget -q -O - http://127.0.0.1:1/ 2>/dev/null || echo denied",
      `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc ${forward} | tail -1`,
      `nc -w 1 127.0.0.1 ${origin.port} </dev/null 2>/dev/null || echo no other way`,
    ];
    const network = { folder, sockets: pass.sockets };
    const { stdout } = await run(asked.join("\n"), { env: { PATH: "/bin", ...pass.env }, network, user: stranger });
    gate.close();
    void origin.stop(true);
    expect(stdout).toBe("from the origin\ndenied\nfrom the origin\nno other way\n");
    expect(decisions.map(({ host, port, allowed, via }) => `${host}:${port} ${allowed} ${via}`)).toEqual([
      `${granted} true proxy`,
      "127.0.0.1:1 false proxy",
      `${granted} true forwarder`,
    ]);
  });

  test("[WF-13] each direction ends by itself, and large amounts pass whole", async () => {
    const folder = newFolder();
    // Answers with the number of bytes only when the client has said that it is done, then with as many.
    const server = await listen(
      createServer({ allowHalfOpen: true }, (socket: Socket) => {
        let bytes = 0;
        socket.on("error", () => {});
        socket.on("data", (chunk: Buffer) => (bytes += chunk.byteLength));
        socket.on("end", () => socket.end(Buffer.concat([Buffer.from(`${bytes}\n`), Buffer.alloc(bytes, "y")])));
      }),
      join(folder, "count.sock"),
    );
    chmodSync(join(folder, "count.sock"), 0o666);
    const network = { folder, sockets: [{ port: 8000, socket: "count.sock" }] };
    const { stdout } = await run("dd if=/dev/zero bs=1M count=9 2>/dev/null | nc 127.0.0.1 8000 | wc -c", { network });
    server.close();
    const bytes = 9 * 1024 * 1024;
    expect(stdout.trim()).toBe(String(bytes + String(bytes).length + 1));
  });

  test("[WF-13] many connections at once, more than the relay holds, are all served", async () => {
    const folder = newFolder();
    const server = await listen(
      createServer((socket: Socket) => socket.on("error", () => {}).end("served\n")),
      join(folder, "many.sock"),
    );
    const network = { folder, sockets: [{ port: 8000, socket: "many.sock" }] };
    const script = "for i in $(seq 1 150); do nc 127.0.0.1 8000 </dev/null & done | grep -c served; wait";
    const limits = { memoryBytes: 256 * 1024 * 1024, processes: 400, cpus: null, cpuSeconds: null, openFiles: 64, fileBytes: null };
    const { stdout } = await run(script, { network, limits });
    server.close();
    expect(stdout.trim()).toBe("150");
  });

  test("[WF-13] a socket without a listener closes the connection, and the relay goes on", async () => {
    const folder = newFolder();
    const network = { folder, sockets: [{ port: 8000, socket: "nobody.sock" }] };
    const { stdout, exit } = await run("nc 127.0.0.1 8000 </dev/null; nc 127.0.0.1 8000 </dev/null; echo on", { network });
    expect({ stdout, exitCode: exit.exitCode }).toEqual({ stdout: "on\n", exitCode: 0 });
  });

  test("[WF-13] without a grant there is nothing to connect to", async () => {
    const { stdout } = await run("cat /proc/net/tcp | wc -l; cat /proc/net/route | wc -l; ls / | grep -c network", {});
    expect(stdout.trim().split("\n")).toEqual(["1", "1", "0"]);
  });
});
