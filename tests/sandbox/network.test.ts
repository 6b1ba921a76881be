// The egress proxy with real clients and raw bytes: what is granted works at any size, nothing else leads anywhere.
import { describe, expect, test } from "bun:test";
import { Peer, proxyOf, runClient, until, World } from "./network-world.ts";

const hasCurl = Bun.which("curl") !== null;
const hasPython = Bun.which("python3") !== null;
const hello = () => new Response("hello");
const decided = (world: World) => world.decisions.map(({ host, port, allowed, via }) => `${allowed ? "+" : "-"} ${via} ${host}:${port}`);

/** Sends raw text with a valid token after the first line; the answer when the connection has ended. */
async function ask(world: World, proxy: { port: number; authorization: string }, first: string, rest = ""): Promise<Peer> {
  const peer = await world.connect(proxy.port);
  peer.send(`${first}\r\n${proxy.authorization}\r\n${rest}\r\n`);
  await until(`the end of: ${first}`, () => peer.isEnded || peer.isClosed);
  return peer;
}

describe("[WF-14] clients that know a proxy", () => {
  // A machine without curl cannot test it.
  test.skipIf(!hasCurl)("curl: granted, denied by name, denied by port, through CONNECT", async () => {
    using world = new World({ "svc.test": ["127.0.0.1"] });
    const port = world.http(hello);
    const { env } = world.open([`svc.test:${port}`, `127.0.0.1:${port}`]);
    const curl = (...args: string[]) => runClient(["curl", "-sS", "-i", "--max-time", "10", ...args], env);
    expect((await curl(`http://svc.test:${port}/a`)).stdout).toContain("hello");
    const denied = await curl(`http://other.test:${port}/a`);
    expect(denied.stdout).toStartWith("HTTP/1.1 403 ");
    expect(denied.stdout.toLowerCase()).toContain("x-denied-by: engine");
    expect(denied.stdout).toEndWith(`network permission missing: other.test:${port}`);
    expect((await curl("http://svc.test/")).stdout).toEndWith("network permission missing: svc.test:80");
    expect((await curl("-p", `http://svc.test:${port}/a`)).stdout).toContain("hello");
    expect((await curl("https://other.test/")).exitCode).not.toBe(0);
    expect(decided(world)).toEqual([
      `+ proxy svc.test:${port}`,
      `- proxy other.test:${port}`,
      "- proxy svc.test:80",
      `+ proxy svc.test:${port}`,
      "- proxy other.test:443",
    ]);
    expect(world.decisions[1]).toMatchObject({ entries: [`other.test:${port}`] });
    // Names that are not granted are not even asked for.
    expect(new Set(world.asked)).toEqual(new Set(["svc.test"]));
  });

  // A machine without Python cannot test it.
  test.skipIf(!hasPython)("python's urllib", async () => {
    using world = new World();
    const port = world.http(async (request) => new Response(`got ${(await request.text()).length}`));
    const { env } = world.open([`127.0.0.1:${port}`]);
    const script = [
      "import sys, urllib.request, urllib.error",
      `print(urllib.request.urlopen('http://127.0.0.1:${port}/', data=b'x' * 300000).read().decode())`,
      "try: urllib.request.urlopen('http://example.com/')",
      "except urllib.error.HTTPError as e: print(e.code, e.read().decode())",
    ].join("\n");
    const said = await runClient(["python3", "-I", "-c", script], env);
    expect([said.stdout, said.stderr]).toEqual(["got 300000\n403 network permission missing: example.com:80\n", ""]);
  });

  test("Bun's fetch, many at once and again and again, and node:http", async () => {
    using world = new World();
    const port = world.http((request) => new Response(`hello ${new URL(request.url).pathname}`));
    const { env } = world.open([`127.0.0.1:${port}`]);
    const script = `
      const paths = Array.from({ length: 40 }, (_, index) => "/" + index);
      const texts = await Promise.all(paths.map(async (path) => (await fetch("http://127.0.0.1:${port}" + path)).text()));
      let right = texts.filter((text, index) => text === "hello /" + index).length;
      for (const path of paths) if (await (await fetch("http://127.0.0.1:${port}" + path)).text() === "hello " + path) right += 1;
      const denied = await fetch("http://127.0.0.1:1/");
      console.log(right, denied.status, await denied.text());
      const http = await import("node:http");
      http.get("http://127.0.0.1:${port}/node", (response) => response.on("data", (data) => console.log(String(data))));
    `;
    const said = await runClient([process.execPath, "-e", script], env);
    expect([said.stdout, said.stderr]).toEqual(["80 403 network permission missing: 127.0.0.1:1\nhello /node\n", ""]);
  });
});

describe("tokens", () => {
  test("none, wrong, and of a closed pass: 407, and nothing is decided", async () => {
    using world = new World();
    const port = world.http(hello);
    const closed = world.open([`127.0.0.1:${port}`]);
    const proxy = proxyOf(closed);
    closed.close();
    world.open([`127.0.0.1:${port}`]);
    const wrong = (user: string) => `Proxy-Authorization: Basic ${Buffer.from(user).toString("base64")}`;
    for (const authorization of [
      proxy.authorization,
      "X: y",
      wrong("task:"),
      wrong("task:abc"),
      wrong(proxy.token),
      "Proxy-Authorization: Bearer x",
    ]) {
      const peer = await ask(world, { port: proxy.port, authorization }, `GET http://127.0.0.1:${port}/ HTTP/1.1`);
      expect(peer.text).toStartWith("HTTP/1.1 407 ");
      expect(peer.text).toContain('Proxy-Authenticate: Basic realm="workflow"');
    }
    expect(world.decisions).toEqual([]);
  });

  test("each has its own grants and its own reports", async () => {
    using world = new World();
    const port = world.http(hello);
    const seen: string[] = [];
    const granted = proxyOf(world.open([`127.0.0.1:${port}`], { onDecision: () => seen.push("granted") }));
    const bare = proxyOf(world.open(["example.com:1"], { onDecision: () => seen.push("bare") }));
    expect(granted.port).toBe(bare.port);
    expect(granted.token).not.toBe(bare.token);
    expect(Buffer.from(granted.token, "base64url").length).toBe(32);
    expect((await ask(world, bare, `GET http://127.0.0.1:${port}/ HTTP/1.1`)).text).toStartWith("HTTP/1.1 403 ");
    expect((await ask(world, granted, `GET http://127.0.0.1:${port}/ HTTP/1.1`)).text).toEndWith("hello");
    expect(seen).toEqual(["bare", "granted"]);
  });

  test("the environment that clients read", () => {
    using world = new World();
    const pass = world.open(["db.example.com:5432", "*.example.com:443"]);
    const { port, token } = proxyOf(pass);
    const url = `http://task:${token}@127.0.0.1:${port}`;
    for (const name of ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"]) expect(pass.env[name]).toBe(url);
    expect([pass.env["NO_PROXY"], pass.env["no_proxy"], pass.env["NODE_USE_ENV_PROXY"]]).toEqual(["", "", "1"]);
    const forward = pass.forwards["db.example.com:5432"] ?? "";
    expect(JSON.parse(pass.env["WORKFLOW_FORWARD"] ?? "")).toEqual({ "db.example.com:5432": forward });
    expect(pass.ports).toEqual([port, Number(forward.split(":")[1])]);
  });
});

describe("names that lead to addresses of this network", () => {
  const places = ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0", "fe80::1", "64:ff9b::7f00:1", "2002:7f00:1::"];
  for (const place of places) {
    test(`${place} is denied though the name is granted, and named as what is missing`, async () => {
      using world = new World({ "svc.test": [place] });
      const service = world.serve(() => {});
      const proxy = proxyOf(world.open([`svc.test:${service.port}`]));
      const peer = await ask(world, proxy, `CONNECT svc.test:${service.port} HTTP/1.1`);
      expect(peer.text).toStartWith("HTTP/1.1 403 ");
      expect(world.decisions).toHaveLength(1);
      expect(world.decisions[0]).toMatchObject({ host: "svc.test", allowed: false });
      expect(world.decisions[0]?.entries[0]).toEndWith(`:${service.port}`);
      expect(world.decisions[0]?.entries[0]).not.toContain("svc.test");
      expect(service.peers).toHaveLength(0);
    });
  }

  test("a name is resolved once: a second answer has no effect (DNS rebinding)", async () => {
    const answers = ["127.0.0.2", "127.0.0.1"];
    const names = {
      get "svc.test"() {
        return [answers.shift() ?? "127.0.0.1"];
      },
    };
    using world = new World(names);
    const service = world.serve(() => {});
    // The first answer is granted, nobody listens there; the service is at the second one.
    const proxy = proxyOf(world.open([`svc.test:${service.port}`, `127.0.0.2:${service.port}`]));
    expect((await ask(world, proxy, `CONNECT svc.test:${service.port} HTTP/1.1`)).text).toStartWith("HTTP/1.1 502 ");
    expect((await ask(world, proxy, `CONNECT svc.test:${service.port} HTTP/1.1`)).text).toStartWith("HTTP/1.1 403 ");
    expect(world.asked).toEqual(["svc.test", "svc.test"]);
    expect(service.peers).toHaveLength(0);
  });

  test("all addresses are tried in turn, closed ones among them left out", async () => {
    using world = new World({ "svc.test": ["10.0.0.1", "127.0.0.2", "127.0.0.1"] });
    const port = world.http(hello);
    const proxy = proxyOf(world.open([`svc.test:${port}`, `127.0.0.0/8:${port}`]));
    expect((await ask(world, proxy, `GET http://svc.test:${port}/ HTTP/1.1`)).text).toEndWith("hello");
  });

  test("localhost by its own name, and by no other", async () => {
    using world = new World({ "foo.localhost": ["127.0.0.1"] });
    const port = world.http(hello);
    const proxy = proxyOf(world.open([`localhost:${port}`, `foo.localhost:${port}`]));
    expect((await ask(world, proxy, `GET http://LOCALHOST.:${port}/ HTTP/1.1`)).text).toEndWith("hello");
    expect((await ask(world, proxy, `GET http://127.0.0.1:${port}/ HTTP/1.1`)).text).toStartWith("HTTP/1.1 403 ");
    expect((await ask(world, proxy, `GET http://foo.localhost:${port}/ HTTP/1.1`)).text).toStartWith("HTTP/1.1 403 ");
    for (const odd of ["127.1", "2130706433", "0x7f.0.0.1", "[::ffff:7f00:1]"]) {
      expect((await ask(world, proxy, `GET http://${odd}:${port}/ HTTP/1.1`)).text).toEndWith(`network permission missing: 127.0.0.1:${port}`);
    }
    expect(world.asked).toEqual(["foo.localhost"]);
  });

  test("unresolvable, and nobody there: 502 after an allowed decision", async () => {
    using world = new World();
    const proxy = proxyOf(world.open(["none.test:80", "127.0.0.1:1"]));
    expect((await ask(world, proxy, "GET http://none.test/ HTTP/1.1")).text).toStartWith("HTTP/1.1 502 ");
    expect((await ask(world, proxy, "CONNECT 127.0.0.1:1 HTTP/1.1")).text).toStartWith("HTTP/1.1 502 ");
    expect(decided(world)).toEqual(["+ proxy none.test:80", "+ proxy 127.0.0.1:1"]);
  });
});

describe("observe", () => {
  test("everything is let through, and reported with the entries that it would take", async () => {
    using world = new World({ "svc.test": ["127.0.0.1"] });
    const port = world.http(hello);
    const proxy = proxyOf(world.open([], { mode: "observe" }));
    expect((await ask(world, proxy, `GET http://svc.test:${port}/ HTTP/1.1`)).text).toEndWith("hello");
    expect((await ask(world, proxy, `GET http://localhost:${port}/ HTTP/1.1`)).text).toEndWith("hello");
    expect(world.decisions.map(({ allowed, entries }) => [allowed, entries])).toEqual([
      [true, [`svc.test:${port}`, `127.0.0.1:${port}`]],
      [true, [`localhost:${port}`]],
    ]);
  });
});
