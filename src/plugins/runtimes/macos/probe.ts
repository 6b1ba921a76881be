// Finds out whether the sandbox of macOS holds on this machine: one confined program does ordinary work, which must succeed,
// and attacks, which must not. All or nothing: sandbox-exec is undocumented, so nothing is relied on that was not tried.

import { mkdirSync, mkdtempSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { basename, join } from "node:path";
import attackScript from "../../../../assets/sandbox/self-test-macos.txt" with { type: "text" };
import { toErrorBody } from "../../../base/index.ts";
import type { Confinement, SandboxState } from "../../sandbox/index.ts";
import { bunCommand } from "../interpreters.ts";
import { ceilingScript, macCommand, macTools, parseCeilings } from "./command.ts";
import type { Ceilings, MacTools } from "./command.ts";
import { lookUpPlaces } from "./places.ts";
import { profileFor } from "./profile.ts";

/** As the results of the other self-test. */
export type MacAttack = { layer: string; attack: string; held: boolean; detail: string };
export type MacProbe = { state: SandboxState; ceilings: Ceilings; results: MacAttack[] };

const timeoutMs = 20_000;
const openFiles = 200;
/** A documentation address (RFC 5737): nobody answers there, and a sandbox that holds does not even ask. */
const nowhere = "192.0.2.1";

const attacks: Record<string, readonly string[]> = {
  "sandbox-exec": [
    "read",
    "read by another name",
    "read by a link",
    "hard link",
    "list the home folder",
    "read ssh keys",
    "read the keychain",
    "write",
    "write to /tmp",
    "chmod",
    "setuid bit",
    "execute",
    "signal",
    "launchd job",
  ],
  network: ["connect", "connect outside", "unix socket", "listen", "datagram"],
  limits: ["open files"],
};
/** Without these no task could work, and what an attack came to would say nothing. */
const work = ["own write", "own read", "own run", "own connect"];
/** Where what they are aimed at is not there, there is nothing to be had. */
const mayBeMissing = new Set(["read by another name", "list the home folder", "read ssh keys", "read the keychain"]);
/** What the kernel of macOS answers for its sandbox, and the script's word for a limit. An attack that failed for another
 * reason proves nothing, */
const refusals = new Set(["EPERM", "EACCES", "limited"]);
/** but for these, which nothing else could stop. */
const provesByFailing = new Set(["execute", "launchd job", "listen"]);
const undecided = new Set(["succeeded", "no answer"]);

let probed: MacProbe | null = null;

/** What holds here, tried once per process; takes a quarter of a second. Never throws. */
export function probeMac(): MacProbe {
  probed ??= examineMac(macTools, process.getuid?.() ?? 0);
  return probed;
}

/** The attacks of that one try, or of another one. Empty where there was nothing to attack. */
export function selfTestMac({ afresh }: { afresh: boolean }): MacAttack[] {
  if (afresh) probed = null;
  return probeMac().results;
}

/** The same for other tools than the system's. */
export function examineMac(tools: MacTools, uid: number): MacProbe {
  const none: Ceilings = { cpuSeconds: null, openFiles: null, fileBlocks: null };
  const refuse = (why: string): MacProbe => ({ ceilings: none, results: [], state: stateOf([{ layer: "sandbox-exec", why }]) });
  if (uid === 0) return refuse("the server runs as root, and tasks would too: run it as an ordinary user");
  if (statSync(tools.sandboxExec, { throwIfNoEntry: false }) === undefined) return refuse(`there is no ${tools.sandboxExec}`);
  try {
    const asked = Bun.spawnSync([tools.shell, "-p", "-c", ceilingScript], { env: {}, stdio: ["ignore", "pipe", "ignore"], timeout: timeoutMs });
    const ceilings = parseCeilings(asked.stdout.toString());
    const { results, obstacle } = attackFromInside(tools, ceilings);
    const lost = results.filter(({ held }) => !held).map(({ layer, attack, detail }) => ({ layer, why: `the attack "${attack}": ${detail}` }));
    const missing = obstacle === null ? lost : [{ layer: "sandbox-exec", why: obstacle }];
    return { ceilings, results, state: stateOf(missing) };
  } catch (cause) {
    return refuse(toErrorBody(cause).message);
  }
}

function stateOf(missing: SandboxState["missing"]): SandboxState {
  const level = missing.length === 0 ? "strict" : "none";
  return { level, layers: level === "strict" ? Object.keys(attacks) : [], missing, canOwnUser: false };
}

type Tried = { results: MacAttack[]; obstacle: string | null };

function attackFromInside(tools: MacTools, ceilings: Ceilings): Tried {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "workflow-self-test-")));
  const socket = join(folder, "s");
  const mark = basename(folder);
  const nothing = { data: () => {} };
  // The kernel completes connections to them, although this process waits for the attacks meanwhile.
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: nothing });
  const granted = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: nothing });
  const local = Bun.listen({ unix: socket, socket: nothing });
  try {
    const targets = { secret: join(folder, "secret"), outside: join(folder, "outside"), program: join(folder, "program") };
    const own = join(folder, "work");
    mkdirSync(own);
    writeFileSync(targets.secret, "secret");
    writeFileSync(targets.program, "#!/bin/sh\n", { mode: 0o755 });
    const ports = { port: server.port, granted: granted.port };
    const given = {
      ...targets,
      ...ports,
      socket,
      mark,
      openFiles,
      own: join(own, "own"),
      home: userInfo().homedir,
      engine: process.pid,
      address: nowhere,
    };
    return judge(tools, run({ tools, ceilings, folder: own, granted: granted.port, given }), mark);
  } finally {
    for (const one of [server, granted, local]) one.stop(true);
    rmSync(folder, { recursive: true, force: true });
    rmSync(join("/private/tmp", mark), { force: true });
  }
}

type Attempt = { tools: MacTools; ceilings: Ceilings; folder: string; granted: number; given: object };
type Ran = { outcomes: Map<string, string>; complaint: string };

function run({ tools, ceilings, folder, granted, given }: Attempt): Ran {
  const script = join(folder, "attacks.js");
  writeFileSync(script, attackScript);
  const { argv, env } = bunCommand(script);
  const limits = { memoryBytes: null, cpuSeconds: 30, processes: null, openFiles, fileBytes: null };
  const confinement: Confinement = { mode: "enforce", user: null, read: [], write: [folder], connect: [granted], listen: [], run: true, limits };
  const profile = profileFor(confinement, lookUpPlaces(argv[0] ?? ""));
  const task = Bun.spawnSync(macCommand({ tools, ceilings, profile, limits, argv: [...argv, JSON.stringify(given)] }), {
    cwd: folder,
    env: { ...env, HOME: folder, TMPDIR: folder, PATH: "/usr/bin:/bin" },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: timeoutMs,
  });
  const complaint = task.stderr.toString().trim().slice(-300);
  return { outcomes: parseOutcomes(task.stdout.toString()), complaint: complaint || `exit ${task.exitCode ?? task.signalCode}` };
}

/** `obstacle`: why nothing can be concluded from the results. */
function judge(tools: MacTools, { outcomes, complaint }: Ran, mark: string): Tried {
  if (removeJob(tools, mark)) outcomes.set("launchd job", "succeeded");
  const failed = work.find((name) => outcomes.get(name) !== "succeeded");
  const obstacle = failed === undefined ? null : `a confined program cannot do its work: ${failed}: ${outcomes.get(failed) ?? complaint}`;
  const results = Object.entries(attacks).flatMap(([layer, names]) =>
    names.map((attack) => {
      const detail = outcomes.get(attack) ?? `was not tried: ${complaint}`;
      return { layer, attack, held: outcomes.has(attack) && isHeld(attack, detail), detail };
    }),
  );
  return { results, obstacle };
}

/** By what an attack came to, whether the sandbox was what stopped it. */
function isHeld(attack: string, outcome: string): boolean {
  if (refusals.has(outcome)) return true;
  if (outcome === "ENOENT") return mayBeMissing.has(attack);
  return provesByFailing.has(attack) && !undecided.has(outcome);
}

/** Whether launchd knows the job; then it forgets it. */
function removeJob({ launchctl }: MacTools, label: string): boolean {
  if (statSync(launchctl, { throwIfNoEntry: false }) === undefined) return false;
  const ask = (verb: string) =>
    Bun.spawnSync([launchctl, verb, label], { env: {}, stdio: ["ignore", "ignore", "ignore"], timeout: timeoutMs }).exitCode;
  if (ask("list") !== 0) return false;
  ask("remove");
  return true;
}

function parseOutcomes(text: string): Map<string, string> {
  const lines = text.split("\n").filter((line) => line.startsWith("{"));
  return new Map(lines.map((line) => JSON.parse(line) as { attack: string; outcome: string }).map(({ attack, outcome }) => [attack, outcome]));
}
