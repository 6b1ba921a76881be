import { dlopen, FFIType } from "bun:ffi";
import * as fs from "node:fs";
import net from "node:net";
import dgram from "node:dgram";
import { join } from "node:path";
import { definePlugin } from "autokestra/sdk";

type Input = { attack: string; path?: string; host?: string; port?: number; pid?: number };

const libc = () =>
  dlopen("libc.so.6", {
    ptrace: { args: [FFIType.i64, FFIType.i32, FFIType.ptr, FFIType.ptr], returns: FFIType.i64 },
    perror: { args: [FFIType.ptr], returns: FFIType.void },
  }).symbols;

function connect(options: net.NetConnectOpts): Promise<object> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(options, () => {
      socket.destroy();
      resolve({ connected: true });
    });
    socket.setTimeout(3000, () => reject(new Error("timed out")));
    socket.on("error", reject);
  });
}

function sendUdp(host: string, port: number): Promise<object> {
  return new Promise((resolve, reject) => {
    const socket = dgram.createSocket("udp4");
    socket.on("error", reject);
    socket.send("x", port, host, (error) => (error ? reject(error) : resolve({ sent: true })));
  });
}

const attacks: Record<string, (input: Required<Input>, workdir: string) => unknown> = {
  read: ({ path }) => fs.readFileSync(path, "utf8"),
  write: ({ path }) => fs.writeFileSync(path, "attacked"),
  remove: ({ path }) => fs.rmSync(path),
  chmod: ({ path }) => fs.chmodSync(path, 0o777),
  list: ({ path }) => fs.readdirSync(path),
  readByLink: ({ path }, workdir) => {
    fs.symlinkSync(path, join(workdir, "link"));
    return fs.readFileSync(join(workdir, "link"), "utf8");
  },
  writeByLink: ({ path }, workdir) => {
    fs.symlinkSync(path, join(workdir, "link"));
    fs.writeFileSync(join(workdir, "link"), "attacked");
  },
  hardLink: ({ path }, workdir) => {
    fs.linkSync(path, join(workdir, "hard"));
    return fs.readFileSync(join(workdir, "hard"), "utf8");
  },
  connect: ({ host, port }) => connect({ host, port }),
  unix: ({ path }) => connect({ path }),
  udp: ({ host, port }) => sendUdp(host, port),
  http: async ({ host, port }) => {
    const response = await fetch(`http://${host}:${port}/`, { signal: AbortSignal.timeout(3000) });
    if (!response.ok) throw new Error(`HTTP ${response.status}: ${await response.text()}`);
    return { body: await response.text() };
  },
  ptrace: ({ pid }) => {
    const done = libc().ptrace(16, pid, null, null);
    if (Number(done) !== 0) throw new Error("ptrace: Operation not permitted");
  },
  signal: ({ pid }) => process.kill(pid, "SIGUSR2"),
  descriptors: () => ({ open: fs.readdirSync("/proc/self/fd").map((name) => `${name}:${linkOf(name)}`) }),
  environment: () => ({ names: Object.keys(process.env).toSorted() }),
};

function linkOf(name: string): string {
  try {
    return fs.readlinkSync(`/proc/self/fd/${name}`);
  } catch {
    return "";
  }
}

definePlugin<{ try: { input: Input; output: unknown } }>({
  actions: {
    try: async (input, ctx) => {
      const attack = attacks[input.attack];
      if (attack === undefined) return ctx.fail("NO_SUCH_ATTACK", input.attack);
      const got = await attack({ path: "", host: "", port: 0, pid: 0, ...input }, ctx.workdir);
      return typeof got === "object" && got !== null && !Array.isArray(got) ? got : { got: String(got).slice(0, 200) };
    },
  },
});
