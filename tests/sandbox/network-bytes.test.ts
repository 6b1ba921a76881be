// The egress proxy by its bytes: sizes, slowness and ends of both sides, a second request, floods, and what close leaves.
import { describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { limits } from "../../src/base/index.ts";
import { Connection } from "../../src/plugins/network/connection.ts";
import { Wire, wireHandlers } from "../../src/plugins/network/wire.ts";
import { proxyOf, until, World } from "./network-world.ts";

const mebibyte = 1024 * 1024;
const block = crypto.getRandomValues(new Uint8Array(65_536));
const big = new Uint8Array(24 * mebibyte).map((_, index) => block[index % 65_521] ?? 0);
const bigHash = new Bun.CryptoHasher("sha256").update(big).digest("hex");

/** A tunnel to a service on loopback, open when this resolves. */
async function openTunnel(world: World, port: number, place?: number | string) {
  const pass = world.open([`127.0.0.1:${port}`]);
  const proxy = proxyOf(pass);
  const peer = await world.connect(place ?? proxy.port);
  peer.send(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\n${proxy.authorization}\r\n\r\n`);
  await until("the tunnel", () => peer.text.includes("\r\n\r\n"));
  expect(peer.text).toStartWith("HTTP/1.1 200 ");
  return { pass, peer, headBytes: peer.text.indexOf("\r\n\r\n") + 4 };
}

describe("sizes and slowness", () => {
  test("a forwarder passes 24 MiB both ways at once, whole", async () => {
    using world = new World();
    const service = world.serve((peer) => {
      peer.send(big).end();
    });
    const pass = world.open([`127.0.0.1:${service.port}`]);
    const peer = await world.connect(Number(pass.forwards[`127.0.0.1:${service.port}`]?.split(":")[1]));
    peer.send(big).end();
    await until("all bytes", () => peer.isOver && service.peers[0]?.isOver === true);
    expect([peer.hash.digest("hex"), service.peers[0]?.hash.digest("hex")]).toEqual([bigHash, bigHash]);
    await until("both ends", () => peer.isClosed && service.peers[0]?.isClosed === true);
    expect([peer.wasReset, service.peers[0]?.wasReset]).toEqual([false, false]);
  });

  test("who does not read holds the sender up, and gets everything later, though the sender is gone", async () => {
    using world = new World();
    const service = world.serve((peer) => {
      peer.send(big).end();
    });
    const { peer, headBytes } = await openTunnel(world, service.port);
    peer.socket?.pause();
    const [sender] = service.peers;
    let last = -1;
    await until("the sender stands still", () => {
      const stands = sender?.unsent === last && last < big.length;
      last = sender?.unsent ?? -1;
      return stands && last >= 0;
    });
    expect(last).toBeGreaterThan(4 * mebibyte);
    peer.socket?.resume();
    await until("all bytes", () => peer.isOver);
    expect(peer.bytes - headBytes).toBe(big.length);
  });

  test("plain HTTP bodies of both framings, both ways", async () => {
    using world = new World();
    const port = world.http(async (request) => {
      const text = new Bun.CryptoHasher("sha256").update(await request.arrayBuffer()).digest("hex");
      return text === bigHash ? new Response(big) : new Response(text, { status: 400 });
    });
    const pass = world.open([`127.0.0.1:${port}`]);
    const proxy = pass.env["HTTP_PROXY"] ?? "";
    const stream = () =>
      new ReadableStream({
        start(controller) {
          for (let at = 0; at < big.length; at += 100_003) controller.enqueue(big.subarray(at, at + 100_003));
          controller.close();
        },
      });
    for (const body of [big, stream()]) {
      const response = await fetch(`http://127.0.0.1:${port}/`, { method: "POST", body, proxy });
      const bytes = await response.bytes();
      expect([response.status, new Bun.CryptoHasher("sha256").update(bytes).digest("hex")]).toEqual([200, bigHash]);
    }
  });
});

describe("one request a connection", () => {
  test("what follows the first goes nowhere, pipelined or later, by length or by chunks", async () => {
    using world = new World();
    const service = world.serve((peer) => {
      // Answers as a server that keeps the connection would.
      peer.onData = (text) => {
        if (text.endsWith("abc") || text.endsWith("0\r\n\r\n"))
          peer.send("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok and more");
      };
    });
    const { port } = service;
    const proxy = proxyOf(world.open([`127.0.0.1:${port}`]));
    const second = "GET http://evil.test/ HTTP/1.1\r\nHost: evil.test\r\n\r\n";
    const bodies = [
      ["Content-Length: 3", "abc"],
      ["Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n"],
    ];
    for (const [field, body] of bodies) {
      const peer = await world.connect(proxy.port);
      peer.send(`POST http://127.0.0.1:${port}/ HTTP/1.1\r\n${proxy.authorization}\r\n${field}\r\n\r\n${body}${second}`);
      await until("the end", () => peer.isOver);
      peer.send(second);
      expect(peer.text).toBe("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
      expect(service.peers.at(-1)?.text).toEndWith(`\r\n${field}\r\nConnection: close\r\n\r\n${body}`);
    }
    expect(service.peers.map((peer) => peer.text.includes("evil"))).toEqual([false, false]);
    expect(service.peers.every((peer) => !peer.text.toLowerCase().includes("proxy-authorization"))).toBe(true);
  });

  test("a body that breaks its chunks ends both connections", async () => {
    using world = new World();
    const service = world.serve(() => {});
    const proxy = proxyOf(world.open([`127.0.0.1:${service.port}`]));
    const peer = await world.connect(proxy.port);
    peer.send(`POST http://127.0.0.1:${service.port}/ HTTP/1.1\r\n${proxy.authorization}\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n`);
    await until("both ends", () => peer.isClosed && service.peers[0]?.isClosed === true);
  });

  test("responses: interim ones pass, one without a length ends with its sender, nonsense is a 502", async () => {
    using world = new World();
    const answers = ["HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n\r\nuntil the end", "HTTP/1.1 101 Yes\r\n\r\n", "no HTTP\r\n\r\n", ""];
    const service = world.serve((peer) => {
      peer.onData = () => void peer.send(answers.shift() ?? "").end();
    });
    const proxy = proxyOf(world.open([`127.0.0.1:${service.port}`]));
    const got: string[] = [];
    for (let count = answers.length; count > 0; count -= 1) {
      const peer = await world.connect(proxy.port);
      peer.send(`GET http://127.0.0.1:${service.port}/ HTTP/1.1\r\n${proxy.authorization}\r\n\r\n`);
      await until("an answer", () => peer.isOver);
      got.push(peer.text);
    }
    expect(got[0]).toBe("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\nConnection: close\r\n\r\nuntil the end");
    expect(got.slice(1).map((text) => text.slice(0, 12))).toEqual(["HTTP/1.1 502", "HTTP/1.1 502", "HTTP/1.1 502"]);
  });

  test("hostile heads are refused before anything is decided", async () => {
    using world = new World();
    const { port, authorization } = proxyOf(world.open(["a.test:80"]));
    const heads = [
      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
      `POST http://a.test/ HTTP/1.1\r\n${authorization}\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`,
      `GET http://a.test/ HTTP/1.1\r\n${authorization}\r\nX: a\nY: b\r\n\r\n`,
      `CONNECT a.test:80:90 HTTP/1.1\r\n${authorization}\r\n\r\n`,
      `GET http://a.test/ HTTP/1.1\r\nX: ${"x".repeat(limits.networkHeadBytesMax)}`,
    ];
    for (const head of heads) {
      const peer = await world.connect(port);
      peer.send(head);
      await until("a refusal", () => peer.isOver);
      expect(peer.text).toMatch(/^HTTP\/1\.1 4(?:00|31) /);
    }
    expect(world.decisions).toEqual([]);
  });
});

describe("ends and bounds", () => {
  test("one half may end before the other, a reset is passed on", async () => {
    using world = new World();
    const service = world.serve((peer) => {
      peer.onEnd = () => void peer.send(`you sent ${peer.text}`).end();
    });
    const { peer, headBytes } = await openTunnel(world, service.port);
    peer.send("abc").end();
    await until("the answer", () => peer.isOver);
    expect(peer.text.slice(headBytes)).toBe("you sent abc");
    const other = await openTunnel(world, service.port);
    service.peers[1]?.socket?.terminate();
    await until("the reset", () => other.peer.isClosed);
    expect(other.peer.wasReset).toBe(true);
  });

  test("close ends tunnels, forwarders and listeners of this pass alone", async () => {
    using world = new World();
    const service = world.serve(() => {});
    const kept = await openTunnel(world, service.port);
    const gone = await openTunnel(world, service.port);
    const forward = Number(Object.values(gone.pass.forwards)[0]?.split(":")[1]);
    const forwarded = await world.connect(forward);
    await until("three connections", () => service.peers.length === 3);
    gone.pass.close();
    await until("the ends", () => gone.peer.isOver && forwarded.isOver);
    await expect(world.connect(forward)).rejects.toThrow();
    kept.peer.send("still here");
    await until("the other pass", () => service.peers[0]?.text === "still here");
    world.gate.close();
    await until("the end of all", () => kept.peer.isClosed && service.peers.every((peer) => peer.isClosed));
    await expect(world.connect(proxyOf(kept.pass).port)).rejects.toThrow();
  });

  test("a forwarder resets what it may not or cannot connect, and reports it", async () => {
    using world = new World({ "svc.test": ["10.0.0.1"] });
    const pass = world.open(["svc.test:5432", "127.0.0.1:1"]);
    for (const place of Object.values(pass.forwards)) {
      const peer = await world.connect(Number(place.split(":")[1]));
      await until("the reset", () => peer.isClosed);
    }
    expect(world.decisions.map(({ host, allowed, via, entries }) => [host, allowed, via, entries])).toEqual([
      ["svc.test", false, "forwarder", ["10.0.0.1:5432"]],
      ["127.0.0.1", true, "forwarder", ["127.0.0.1:1"]],
    ]);
  });

  test("more connections than a pass may have are reset, and places come back", async () => {
    using world = new World();
    const service = world.serve(() => {});
    const pass = world.open([`127.0.0.1:${service.port}`]);
    const forward = Number(Object.values(pass.forwards)[0]?.split(":")[1]);
    const peers = await Promise.all(Array.from({ length: limits.networkPassConnectionsMax }, () => world.connect(forward)));
    await until("all of them", () => service.peers.length === limits.networkPassConnectionsMax);
    const extra = await world.connect(forward);
    await until("the reset", () => extra.isClosed);
    peers[0]?.socket?.terminate();
    await until("the far end", () => service.peers.some((peer) => peer.isClosed));
    await world.connect(forward);
    await until("one more", () => service.peers.length === limits.networkPassConnectionsMax + 1);
  });

  test("strangers without a token make way for those who come after them", async () => {
    using world = new World();
    const port = world.http(() => new Response("hello"));
    const proxy = proxyOf(world.open([`127.0.0.1:${port}`]));
    const strangers = await Promise.all(Array.from({ length: limits.networkStrangersMax }, () => world.connect(proxy.port)));
    const peer = await world.connect(proxy.port);
    peer.send(`GET http://127.0.0.1:${port}/ HTTP/1.1\r\n${proxy.authorization}\r\n\r\n`);
    await until("the answer", () => peer.isOver);
    expect(peer.text).toEndWith("hello");
    expect(strangers.filter((stranger) => stranger.isClosed)).toHaveLength(1);
  });

  test("a head that does not come, however it drips, ends in time", async () => {
    using world = new World();
    let connection: Connection | null = null;
    const socket = wireHandlers((wire) => {
      connection = new Connection(wire);
    });
    using server = Bun.listen<Wire | undefined>({ hostname: "127.0.0.1", port: 0, socket, data: undefined });
    const peer = await world.connect(server.port);
    await until("a connection", () => connection !== null);
    const ticks = (count: number) => {
      for (let left = count; left > 0; left -= 1) connection?.tick();
    };
    ticks(limits.networkHeadMsMax / 1000);
    peer.send("GET");
    expect(peer.isClosed).toBe(false);
    ticks(1);
    await until("the end", () => peer.isClosed);
  });
});

describe("sockets for containers", () => {
  test("proxy and forwarders as files that anyone who reaches the folder may connect to, gone after close", async () => {
    using world = new World();
    // Longer than a socket's address can be.
    const folder = mkdtempSync(join(tmpdir(), `sockets-${"x".repeat(120)}-`));
    try {
      const service = world.serve((peer) => {
        peer.send("hello").end();
      });
      const pass = world.open([`127.0.0.1:${service.port}`], { socketFolder: folder });
      expect(pass.sockets.map(({ socket }) => socket)).toEqual(["proxy.sock", "forward-1.sock"]);
      expect(pass.ports).toEqual(pass.sockets.map(({ port }) => port));
      expect(pass.forwards).toEqual({ [`127.0.0.1:${service.port}`]: `127.0.0.1:${pass.sockets[1]?.port}` });
      expect(proxyOf(pass).port).toBe(pass.sockets[0]?.port ?? 0);
      for (const { socket } of pass.sockets) expect(statSync(join(folder, socket)).mode & 0o777).toBe(0o666);
      const cwd = process.cwd();
      process.chdir(folder);
      const [tunnel, forwarded] = await Promise.all([world.connect("proxy.sock"), world.connect("forward-1.sock")]).finally(() => process.chdir(cwd));
      tunnel.send(`CONNECT 127.0.0.1:${service.port} HTTP/1.1\r\n${proxyOf(pass).authorization}\r\n\r\n`);
      await until("both", () => tunnel.text.endsWith("hello") && forwarded.text === "hello");
      pass.close();
      await until("the ends", () => tunnel.isClosed && forwarded.isClosed);
      expect(readdirSync(folder)).toEqual([]);
      expect(existsSync(folder)).toBe(true);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test("a socket takes the token of its own pass only", async () => {
    using world = new World();
    const folder = mkdtempSync(join(tmpdir(), "sockets-"));
    try {
      const other = world.open(["127.0.0.1:1"]);
      world.open(["127.0.0.1:1"], { socketFolder: folder });
      const peer = await world.connect(join(folder, "proxy.sock"));
      peer.send(`CONNECT 127.0.0.1:1 HTTP/1.1\r\n${proxyOf(other).authorization}\r\n\r\n`);
      await until("the refusal", () => peer.isOver);
      expect(peer.text).toStartWith("HTTP/1.1 407 ");
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
