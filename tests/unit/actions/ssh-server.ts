// A real sshd on a free port of loopback, with keys of its own, for root, who runs it.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "./postgres-cluster.ts";

export const sshd = "/usr/sbin/sshd";
export const hasSshd = existsSync(sshd) && Bun.which("ssh") !== null && process.getuid?.() === 0;

export type SshServer = { port: number; user: string; key: string; hostKey: string; folder: string; stop(): void };

function makeKey(folder: string, name: string): string {
  const path = join(folder, name);
  const made = Bun.spawnSync(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path], { stderr: "pipe" });
  if (made.exitCode !== 0) throw new Error(made.stderr.toString());
  return path;
}

export async function startSshd(): Promise<SshServer> {
  const folder = mkdtempSync(join(tmpdir(), "autokestra-sshd-"));
  // sshd's own work folder, which its package's init script makes.
  mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
  const host = makeKey(folder, "host");
  const own = makeKey(folder, "own");
  writeFileSync(join(folder, "authorized"), readFileSync(`${own}.pub`));
  chmodSync(folder, 0o755);
  const port = await freePort();
  const settings = {
    Port: port,
    ListenAddress: "127.0.0.1",
    HostKey: host,
    AuthorizedKeysFile: join(folder, "authorized"),
    StrictModes: "no",
    UsePAM: "no",
    PasswordAuthentication: "no",
    PermitRootLogin: "prohibit-password",
    PidFile: "none",
    PrintMotd: "no",
  };
  writeFileSync(
    join(folder, "config"),
    Object.entries(settings)
      .map(([name, value]) => `${name} ${value}\n`)
      .join(""),
  );
  const child = Bun.spawn([sshd, "-D", "-e", "-f", join(folder, "config")], { stdout: "ignore", stderr: "ignore" });
  const deadline = performance.now() + 10_000;
  while (!(await answers(port))) {
    if (performance.now() > deadline || child.exitCode !== null) throw new Error("sshd did not start");
    await Bun.sleep(20);
  }
  const [type = "", text = ""] = readFileSync(`${host}.pub`, "utf8").split(" ");
  return {
    port,
    user: "root",
    key: own,
    hostKey: `${type} ${text}`,
    folder,
    stop: () => {
      child.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}
