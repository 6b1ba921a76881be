// A PostgreSQL cluster of its own in a temporary folder, with TLS for `db.example.test` and a password.
import { chownSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export type Cluster = { port: number; user: string; password: string; ca: string; stop(): void };

/** Where PostgreSQL's own programs are, null where it is not installed. */
export function postgresPrograms(): string | null {
  const versions = join("/usr/lib/postgresql");
  try {
    const newest = readdirSync(versions)
      .toSorted((a, b) => Number(b) - Number(a))
      .find((version) => statSync(join(versions, version, "bin/initdb"), { throwIfNoEntry: false }) !== undefined);
    return newest === undefined ? null : join(versions, newest, "bin");
  } catch {
    return null;
  }
}

/** A port that nothing listens on now. */
export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

function runIn(cwd: string, argv: string[]): void {
  const ended = Bun.spawnSync(argv, { cwd, stdout: "ignore", stderr: "pipe" });
  if (ended.exitCode !== 0) throw new Error(`${argv.join(" ")}: ${ended.stderr.toString()}`);
}

/** PostgreSQL refuses to run as root, so there it runs as its own user. */
function ownUser(): { uid: number; gid: number } | null {
  if (process.getuid?.() !== 0) return null;
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((one) => one.startsWith("postgres:"));
  const [, , uid, gid] = (line ?? "").split(":");
  return { uid: Number(uid), gid: Number(gid) };
}

export async function startCluster(programs: string): Promise<Cluster> {
  const folder = mkdtempSync(join(tmpdir(), "autokestra-postgres-"));
  const password = "pass/word@1";
  const user = ownUser();
  const as = (...argv: string[]): void =>
    runIn(folder, user === null ? argv : ["setpriv", `--reuid=${user.uid}`, `--regid=${user.gid}`, "--clear-groups", ...argv]);
  writeFileSync(join(folder, "password"), password);
  const names = ["-subj", "/CN=db.example.test", "-addext", "subjectAltName=DNS:db.example.test"];
  const curve = ["-pkeyopt", "ec_paramgen_curve:P-256"];
  runIn(folder, ["openssl", "req", "-x509", "-newkey", "ec", ...curve, "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2", ...names]);
  for (const name of ["", "password", "key.pem", "cert.pem"]) if (user !== null) chownSync(join(folder, name), user.uid, user.gid);
  const data = join(folder, "data");
  as(
    join(programs, "initdb"),
    "-D",
    data,
    "-A",
    "scram-sha-256",
    "-U",
    "me",
    `--pwfile=${join(folder, "password")}`,
    "--no-sync",
    "-E",
    "UTF8",
    "--no-locale",
  );
  const port = await freePort();
  const settings = {
    port,
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    fsync: "off",
    ssl: "on",
    ssl_cert_file: join(folder, "cert.pem"),
    ssl_key_file: join(folder, "key.pem"),
  };
  writeFileSync(
    join(data, "postgresql.auto.conf"),
    Object.entries(settings)
      .map(([name, value]) => `${name} = '${value}'\n`)
      .join(""),
  );
  as(join(programs, "pg_ctl"), "-D", data, "-w", "-l", join(folder, "log"), "start");
  return {
    port,
    user: "me",
    password,
    ca: readFileSync(join(folder, "cert.pem"), "utf8"),
    stop: () => {
      as(join(programs, "pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
