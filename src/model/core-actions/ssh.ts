// Other machines over ssh.
import type { JsonObject } from "../../base/index.ts";
import type { Permissions } from "../workflow.ts";
import { type ActionDescription, closed, files } from "./describe.ts";
import { type BareFolder, pathEntries } from "./path-entry.ts";

const input = closed(
  {
    host: { type: "string", pattern: "^[A-Za-z0-9_\\[][A-Za-z0-9_.:\\[\\]-]*$", maxLength: 255 },
    port: { type: "integer", minimum: 1, maximum: 65_535, description: "Default: 22." },
    user: { type: "string", pattern: "^[A-Za-z0-9_][A-Za-z0-9_.@\\\\$-]*$", maxLength: 255 },
    command: { type: "string", minLength: 1, description: "Run by the login shell of the other machine." },
    script: { type: "string", minLength: 1, description: "Instead of command: fed to a shell there." },
    shell: { type: "string", enum: ["sh", "bash", "python3"], description: "What reads the script. Default: sh." },
    stdin: { type: "string", description: "Standard input of the command." },
    identity: { type: "string", minLength: 1, description: "The private key, as text." },
    identityFile: { type: "string", minLength: 1, description: "The private key, as the path of a file." },
    knownHosts: { type: "string", minLength: 1, description: "Lines of a known_hosts file, or the path of one." },
    insecureHostKey: { type: "boolean", description: "True: takes any host key, instead of knownHosts." },
    connectTimeout: { type: "string", description: "Default: 20s." },
    files,
  },
  ["host", "user"],
);

const output = closed(
  {
    exitCode: { type: "integer" },
    stdout: { type: "string", description: "Its last 256 KiB." },
    stderr: { type: "string", description: "Its last 64 KiB." },
    artifacts: { type: "array" },
  },
  ["exitCode", "stdout", "stderr"],
);

/** Whether known hosts are given as text: a path names no key type. */
export function isKnownHostsText(value: string): boolean {
  return /\s(?:ssh-|ecdsa-|sk-)/.test(value);
}

function asks(inputs: JsonObject, bare?: BareFolder): Permissions {
  const { host, port = 22, identityFile, knownHosts } = inputs as Record<string, unknown>;
  const isKnown = typeof host === "string" && host !== "" && !host.includes("{{") && typeof port === "number";
  const known = typeof knownHosts === "string" && isKnownHostsText(knownHosts) ? undefined : knownHosts;
  const name = isKnown && host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
  // ssh is a program of its own, which starts another as its way out.
  return { run: true, network: isKnown ? [`${String(name)}:${port}`] : [], filesystem: { read: pathEntries([identityFile, known], bare) } };
}

export const sshActions: readonly ActionDescription[] = [
  {
    action: "core/ssh.run",
    description: "Runs a command or a script on another machine, over the system's ssh.",
    input,
    output,
    idempotent: false,
    runsIn: "process",
    available: true,
    asks,
  },
];
