// How the system's ssh is called: nothing of the machine's own settings, strict host keys, and the engine's forwarder as its way out.
import { writeFileSync } from "node:fs";
import { join } from "node:path";

export type SshPlace = {
  host: string;
  port: number;
  /** Where it is reached: the host itself where no forwarder stands between. */
  target: { host: string; port: number };
  identityFile: string | null;
  /** Null: any host key is taken. */
  knownHostsFile: string | null;
  connectSeconds: number;
  workdir: string;
};

/** Copies both ways between ssh and the forwarder; small machines have no netcat. The process ends when both ways have. */
const relay = `import { connect } from "node:net";
const socket = connect({ host: process.argv[2], port: Number(process.argv[3]), allowHalfOpen: true });
socket.on("error", (error) => { console.error(error.message); process.exit(1); });
process.stdin.pipe(socket);
socket.pipe(process.stdout);
socket.on("close", () => process.exit(0));
`;

/** Options of ssh, without the destination; the environment that ssh needs is `sshEnvironment`. */
export function sshOptions(place: SshPlace): string[] {
  const { host, port, target, identityFile, knownHostsFile } = place;
  const settings: Record<string, string> = {
    Port: String(port),
    BatchMode: "yes",
    ConnectTimeout: String(place.connectSeconds),
    ServerAliveInterval: "15",
    ServerAliveCountMax: "3",
    StrictHostKeyChecking: knownHostsFile === null ? "no" : "yes",
    UserKnownHostsFile: knownHostsFile ?? "/dev/null",
    GlobalKnownHostsFile: "/dev/null",
    UpdateHostKeys: "no",
    CanonicalizeHostname: "no",
    IdentityAgent: "none",
    IdentitiesOnly: "yes",
    PreferredAuthentications: "publickey",
    ForwardAgent: "no",
    ForwardX11: "no",
    ControlMaster: "no",
    ControlPath: "none",
    PermitLocalCommand: "no",
    RequestTTY: "no",
    LogLevel: "VERBOSE",
  };
  settings["IdentityFile"] = identityFile === null ? "none" : escaped(identityFile);
  if (target.host !== host || target.port !== port) settings["ProxyCommand"] = relayCommand(place);
  return ["-F", "/dev/null", ...Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`])];
}

/** What ssh's own children need: the binary as an interpreter, and a shell that is there. */
export const sshEnvironment: Record<string, string> = { BUN_BE_BUN: "1", SHELL: "/bin/sh" };

/** ssh takes a percent sign in a path or a command for one of its tokens. */
function escaped(text: string): string {
  return text.replaceAll("%", "%%");
}

function relayCommand({ target, workdir }: SshPlace): string {
  const path = join(workdir, ".ssh-relay.mjs");
  writeFileSync(path, relay, { mode: 0o600 });
  const words = [process.execPath, "--no-env-file", "--config=/dev/null", "--no-install", path, target.host, String(target.port)];
  return escaped(words.map(quoted).join(" "));
}

/** The whole command as one line, for programs that call ssh by themselves. */
export function sshCommand(place: SshPlace): string {
  return ["ssh", ...sshOptions(place)].map(quoted).join(" ");
}

/** A word for the shell. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
