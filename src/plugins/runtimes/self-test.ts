// Attacks the sandbox for real: one confined process tries a sample against each layer, and what it gets through is
// trusted no more. For the start of a server and for `doctor`.

import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import attackScript from "../../../assets/sandbox/self-test.txt" with { type: "text" };
import { distrustLayer, forgetProbe, probeSandbox } from "../sandbox/index.ts";
import type { Confinement, SandboxState } from "../sandbox/index.ts";
import { bunCommand } from "./interpreters.ts";
import { selfTestMac } from "./macos/index.ts";
import { spawnProcess } from "./process.ts";

/** `layer`: whose work it was to hold; `detail`: what the attack came to, an errno as a rule. */
export type SelfTestResult = { layer: string; attack: string; held: boolean; detail: string };

/** The script's word for an attack that got through. */
const succeeded = "succeeded";
const graceMs = 1000;
/** An attack that hangs has not succeeded, but nothing else of the test can be believed. */
const timeoutMs = 10_000;
const openFiles = 200;
/** Outside of the range of executions, so that no task shares it. */
const testUser = { uid: 1_899_999_999, gid: 1_899_999_999 };

/** Which layer each attack is aimed at; the first of those that are said to hold here answers for it. */
const aims: Record<string, readonly string[]> = {
  read: ["landlock"],
  write: ["landlock"],
  chmod: ["mounts", "uid", "seccomp"],
  "setuid bit": ["seccomp"],
  signal: ["namespaces", "uid", "landlock"],
  connections: ["network"],
  connect: ["loopback", "seccomp"],
  "unix socket": ["seccomp"],
  datagram: ["seccomp"],
  ptrace: ["seccomp"],
  mount: ["seccomp"],
  unshare: ["seccomp"],
  keyctl: ["seccomp"],
  capabilities: ["privileges"],
  "open files": ["limits"],
  user: ["uid"],
};

/** Tries a sample of attacks; a layer that one got through is left out by `probeSandbox` from then on, also in later
 * processes (`keepProbes`), and the level falls with it. `afresh`: nothing that was found before counts. Takes about 50 ms.
 * Empty where there is nothing to test.
 * @throws SANDBOX_UNAVAILABLE where processes cannot be started at all. */
export async function selfTest({ afresh = false }: { afresh?: boolean } = {}): Promise<SelfTestResult[]> {
  if (process.platform === "darwin") return selfTestMac({ afresh });
  if (afresh) forgetProbe({ trusts: true });
  const { state } = probeSandbox();
  if (state.level === "none") return [];
  const results = await attackFromInside(state);
  for (const { held, layer, attack, detail } of results) {
    // A test that broke off says nothing about later processes.
    if (!held) distrustLayer(layer, `the self-test's attack "${attack}" ${detail}`, { lasts: detail === succeeded });
  }
  return results;
}

async function attackFromInside(state: SandboxState): Promise<SelfTestResult[]> {
  const folder = mkdtempSync(join(tmpdir(), "workflow-self-test-"));
  chmodSync(folder, 0o755);
  const servers: Server[] = [];
  try {
    const socket = join(folder, "socket");
    const port = await listen(servers, 0);
    await listen(servers, socket);
    return await runAttacks(state, { folder, port, socket });
  } finally {
    for (const server of servers) server.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

type Targets = { folder: string; port: number; socket: string };

async function runAttacks(state: SandboxState, { folder, port, socket }: Targets): Promise<SelfTestResult[]> {
  const work = join(folder, "work");
  const [secret, script, own] = [join(folder, "secret"), join(work, "attacks.js"), join(work, "own")];
  mkdirSync(work, { mode: 0o755 });
  writeFileSync(secret, "secret", { mode: 0o644 });
  writeFileSync(script, attackScript);
  writeFileSync(own, "");
  const user = state.canOwnUser ? testUser : null;
  if (user !== null) for (const path of [work, script, own]) chownSync(path, user.uid, user.gid);

  const uid = user?.uid ?? process.getuid?.() ?? 0;
  const given = { secret, outside: join(folder, "outside"), own, engine: process.pid, port, socket, openFiles, uid };
  const { argv, env } = bunCommand(script);
  const task = spawnProcess({
    argv: [...argv, JSON.stringify(given)],
    env: { ...env, HOME: work, TMPDIR: work, PATH: "/usr/bin:/bin" },
    cwd: work,
    stdin: null,
    graceMs,
    resultBytesMax: 0,
    confinement: confinementOf(user, work),
  });
  const timer = setTimeout(() => task.kill(), timeoutMs);
  const [text, complaint, exit] = await Promise.all([readAll(task.stdout), readAll(task.stderr), task.exited]);
  clearTimeout(timer);
  const outcomes = parseOutcomes(text);
  const ended = exit.exitCode === 0 ? "was not tried" : `was not tried: ${complaint.slice(-200) || (exit.signal ?? exit.exitCode)}`;
  if (readFileSync(secret, "utf8") !== "secret") outcomes.set("write", succeeded);
  return Object.entries(aims).flatMap(([attack, layers]) => {
    const layer = layers.find((name) => state.layers.includes(name));
    if (layer === undefined) return [];
    const outcome = outcomes.get(attack) ?? ended;
    return [{ layer, attack, held: outcomes.has(attack) && outcome !== succeeded, detail: outcome }];
  });
}

function confinementOf(user: Confinement["user"], work: string): Confinement {
  const limits = { memoryBytes: null, cpuSeconds: 10, processes: null, openFiles, fileBytes: null };
  return { mode: "enforce", user, read: [process.execPath], write: [work], connect: [], listen: [], run: true, limits };
}

function parseOutcomes(text: string): Map<string, string> {
  const lines = text.split("\n").filter((line) => line.startsWith("{"));
  return new Map(lines.map((line) => JSON.parse(line) as { attack: string; outcome: string }).map(({ attack, outcome }) => [attack, outcome]));
}

async function readAll(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const kept: Uint8Array[] = [];
  for await (const chunk of chunks) kept.push(chunk);
  return Buffer.concat(kept).toString();
}

function listen(servers: Server[], place: number | string): Promise<number> {
  const server = createServer((socket) => socket.destroy());
  servers.push(server);
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    const ready = () => {
      const address = server.address();
      resolve(address !== null && typeof address === "object" ? address.port : 0);
    };
    if (typeof place === "number") server.listen(place, "127.0.0.1", ready);
    else server.listen(place, ready);
  });
}
