// backup and restore through the built binary: one file of a store that is being written to, and a whole store out of that file.
import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { chmodSync, cpSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { gunzipSync } from "node:zlib";
import { openSqliteStore } from "../../src/storage/index.ts";
import { binary, type Ended, Home, type Server, until } from "../product/binary.ts";

const flow = `id: files
tasks:
  - id: make
    run: |
      mkdir -p "$HOME/out"
      head -c 1200000 /dev/urandom > "$HOME/out/large.bin"
      echo a line of the log; echo small > "$HOME/out/small.txt"
`;
type BackupJson = {
  file: string;
  bytes: number;
  events: number;
  executions: number;
  blobs: number;
  keyId: string | null;
  sha256: string;
  lastSeq: number;
};
type RestoreJson = BackupJson & { keyProblem: string | null; setAside: string[] };

function codeOf({ stderr, code }: Ended): [string | null, number | null] {
  return [/error\[([A-Z_]+)\]/.exec(stderr)?.[1] ?? null, code];
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** Every file below a folder with its bytes' digest. */
function filesOf(folder: string): Record<string, string> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = entries.map((entry) => join(entry.parentPath, entry.name)).toSorted();
  return Object.fromEntries(paths.map((path) => [relative(folder, path), sha256(readFileSync(path))]));
}

async function backUp(home: Home, name: string, ...more: string[]): Promise<BackupJson> {
  const ended = await home.run(["backup", name, "--json", ...more]);
  expect(codeOf(ended)).toEqual([null, 0]);
  return JSON.parse(ended.stdout) as BackupJson;
}

async function restore(home: Home, name: string, data: string, ...more: string[]): Promise<RestoreJson> {
  const ended = await home.run(["restore", name, "--json", "--data", data, ...more]);
  expect(codeOf(ended)).toEqual([null, 0]);
  return JSON.parse(ended.stdout) as RestoreJson;
}

async function expectProven(home: Home, data: string): Promise<void> {
  const ended = await home.run(["trace", "verify", "--all", "--state", "--data", data]);
  expect({ code: ended.code, stderr: ended.stderr }).toEqual({ code: 0, stderr: "" });
}

async function runOnce(home: Home): Promise<string> {
  writeFileSync(home.path("files.yaml"), flow);
  const ended = await home.run(["run", "files.yaml", "--json"]);
  expect(codeOf(ended)).toEqual([null, 0]);
  return (JSON.parse(ended.stdout) as { execution: { executionId: string } }).execution.executionId;
}

/** Starts one execution after the other until it is told to stop. */
function keepBusy(server: Server): { ended(): number; stop(): Promise<void> } {
  const wish = { isOver: false };
  let count = 0;
  const loop = async () => {
    while (!wish.isOver) {
      expect((await server.call("POST", "/api/v1/workflows/files/executions?wait=20s", {})).status).toBe(200);
      count += 1;
    }
  };
  const loops = [loop(), loop(), loop()];
  return {
    ended: () => count,
    stop: async () => {
      wish.isOver = true;
      await Promise.all(loops);
    },
  };
}

test("a store under load is backed up whole, and goes on where the backup ends", async () => {
  const home = new Home();
  const server = await home.startServer();
  await server.apply("files", flow);
  const busy = keepBusy(server);
  await until(() => (busy.ended() >= 5 ? true : null), 60_000);
  const before = busy.ended();
  const made = await backUp(home, "b.tar.gz");
  await until(() => (busy.ended() > before + 3 ? true : null), 60_000);
  await busy.stop();
  expect(made.executions).toBeGreaterThanOrEqual(before);
  expect(made.sha256).toBe(sha256(readFileSync(home.path("b.tar.gz"))));
  expect((statSync(home.path("b.tar.gz")).mode & 0o777).toString(8)).toBe("600");
  expect(readdirSync(home.dir).filter((name) => name.includes("b.tar.gz"))).toEqual(["b.tar.gz"]);

  const restored = home.path("restored");
  const { bytes, ...same } = made;
  expect(bytes).toBe(statSync(home.path("b.tar.gz")).size);
  expect(await restore(home, "b.tar.gz", restored)).toMatchObject({ ...same, keyProblem: null, setAside: [] });
  await expectProven(home, restored);
  await expectSame(server, home, { restored, made });
  await server.stop();

  // What was under way at the backup is taken up by the next server, which has a key of its own.
  const other = new Home();
  cpSync(restored, other.data, { recursive: true });
  const next = await other.startServer();
  await until(async () => {
    const { body } = await next.call("GET", "/api/v1/status");
    const open = await next.call("GET", "/api/v1/executions?state=RUNNING");
    return (open.body as { executions: unknown[] }).executions.length === 0 ? body : null;
  }, 60_000);
  await next.stop();
  await expectProven(home, other.data);
}, 240_000);

/** Every event up to the end of the backup is the same on both sides, and so are artifacts and logs. */
async function expectSame(server: Server, home: Home, { restored, made }: { restored: string; made: BackupJson }): Promise<void> {
  const [ours, theirs] = [home.data, restored].map((data) => openSqliteStore({ path: join(data, "autokestra.db"), durability: "normal", now: 0 }));
  if (ours === undefined || theirs === undefined) throw new Error("two stores are needed");
  try {
    const hashes = async (store: typeof ours) => (await store.listEvents({ limit: made.lastSeq })).map(({ hash }) => hash);
    expect((await hashes(theirs)).length).toBe(made.lastSeq);
    expect(await hashes(theirs)).toEqual(await hashes(ours));
    const executions = await theirs.listExecutions({ limit: 500 });
    expect(executions.length).toBe(made.executions);
    const done = executions.filter(({ state }) => state === "SUCCESS").slice(-3);
    expect(done.length).toBe(3);
    for (const { execution_id: id } of done) {
      const file = home.path(`${id}.bin`);
      expect((await home.run(["execution", "artifacts", id, "large.bin", "-o", file, "--data", restored])).code).toBe(0);
      const bytes = await fetch(`${server.url}/api/v1/executions/${id}/artifacts/large.bin`, { headers: { authorization: `Bearer ${server.key}` } });
      expect(sha256(readFileSync(file))).toBe(sha256(await bytes.bytes()));
      expect((await home.run(["execution", "logs", id, "--data", restored])).stdout).toContain("a line of the log");
    }
  } finally {
    await ours.close();
    await theirs.close();
  }
}

test("an empty store is backed up and restored, and both are in the record", async () => {
  const home = new Home();
  const made = await backUp(home, "b.tar.gz");
  expect(made).toMatchObject({ events: 0, executions: 0, blobs: 0, keyId: null, lastSeq: 0 });
  const restored = home.path("restored");
  await restore(home, "b.tar.gz", restored);
  await expectProven(home, restored);
  const payloadsOf = async (data: string) => {
    const { stdout } = await home.run(["trace", "tail", "--event-type", "store.*", "--data", data]);
    return stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { event_type: string; payload: unknown });
  };
  expect(await payloadsOf(home.data)).toMatchObject([
    { event_type: "trace.store.backed_up", payload: { file: "b.tar.gz", sha256: made.sha256, last_seq: 0 } },
  ]);
  expect(await payloadsOf(restored)).toMatchObject([{ event_type: "trace.store.restored", payload: { sha256: made.sha256, last_seq: 0 } }]);
}, 60_000);

test("a file that is damaged, cut or foreign changes nothing, not even with --force", async () => {
  const home = new Home();
  await runOnce(home);
  await backUp(home, "b.tar.gz");
  const whole = readFileSync(home.path("b.tar.gz"));
  const before = filesOf(home.data);
  const size = whole.byteLength;
  const bad: [string, Uint8Array][] = [0, 4, 9, 300, size >> 1, size - 70, size - 50, size - 20, size - 1].map((at) => {
    const changed = Buffer.from(whole);
    changed[at] = (changed[at] ?? 0) ^ 4;
    return [`bit at ${at}`, changed];
  });
  for (const length of [0, 10, size >> 1, size - 58, size - 1]) bad.push([`cut at ${length}`, whole.subarray(0, length)]);
  bad.push(["foreign", Buffer.from(flow)], ["longer", Buffer.concat([whole, whole])]);
  for (const [what, bytes] of bad) {
    writeFileSync(home.path("bad.tar.gz"), bytes);
    expect([what, ...codeOf(await home.run(["restore", "bad.tar.gz", "--force"]))]).toEqual([what, "PAYLOAD_DIGEST_MISMATCH", 7]);
  }
  expect(codeOf(await home.run(["restore", "none.tar.gz", "--force"]))).toEqual(["FILE_NOT_FOUND", 4]);
  expect(codeOf(await home.run(["restore", ".", "--force"]))).toEqual(["FILE_NOT_FOUND", 4]);
  expect((await home.run(["restore", "none.tar.gz"])).stderr).toContain("no such file");
  expect((await home.run(["restore", "."])).stderr).toContain("it is a folder");
  expect(filesOf(home.data)).toEqual(before);
}, 120_000);

test("a store that is there is set aside with --force and stays whole; without it nothing happens", async () => {
  const home = new Home();
  const first = await runOnce(home);
  await backUp(home, "b.tar.gz");
  const second = await runOnce(home);
  const before = filesOf(home.data);
  expect(codeOf(await home.run(["restore", "b.tar.gz"]))).toEqual(["ALREADY_EXISTS", 5]);
  expect(codeOf(await home.run(["backup", "b.tar.gz"]))).toEqual(["ALREADY_EXISTS", 5]);
  expect(filesOf(home.data)).toEqual(before);
  const { setAside } = await restore(home, "b.tar.gz", home.data, "--force");
  await expectProven(home, home.data);
  const idsIn = async (data: string) =>
    (await home.run(["execution", "list", "--json", "--data", data])).stdout.match(/"executionId":"[^"]+"/g) ?? [];
  expect(await idsIn(home.data)).toEqual([`"executionId":"${first}"`]);
  const old = home.path("old");
  mkdirSync(old, { mode: 0o700 });
  for (const path of setAside) cpSync(path, join(old, relative(home.data, path).replace(/\.before-restore-[0-9TZ]+/, "")), { recursive: true });
  await expectProven(home, old);
  expect(await idsIn(old)).toEqual([`"executionId":"${second}"`, `"executionId":"${first}"`]);
  await backUp(home, "b.tar.gz", "--force");
}, 120_000);

test("a backup overwrites nothing but a backup, and nothing at all in the store's own places", async () => {
  const home = new Home();
  expect(codeOf(await home.run(["secrets", "set", "TOKEN"], { stdin: "some value" }))).toEqual([null, 0]);
  await runOnce(home);
  const server = await home.startServer();
  const own = ["autokestra.db", "autokestra.db-wal", "autokestra.db-shm", "server.json", "admin.key", "keys/secret.key"];
  const notYet = ["autokestra.db-journal", "restore.json", "restore.lock", ".restore-x", "server.log", "blobs/b.tar.gz", "work", "runtime/b.tar.gz"];
  notYet.push("plugins", "keys");
  Bun.spawnSync(["ln", "-s", home.data, home.path("link")]);
  // Readers mark themselves in the shared memory.
  const contents = () => ({ ...filesOf(home.data), "autokestra.db-shm": "" });
  const before = contents();
  for (const name of [...own, ...notYet])
    for (const more of [[], ["--force"]]) {
      expect([name, ...codeOf(await home.run(["backup", name, ...more], { cwd: home.data }))]).toEqual([name, "USAGE", 2]);
      expect([name, ...codeOf(await home.run(["backup", `link/${name}`, ...more]))]).toEqual([name, "USAGE", 2]);
    }
  expect(contents()).toEqual(before);

  writeFileSync(home.path("notes.txt"), "x".repeat(200));
  Bun.spawnSync(["ln", join(home.data, "admin.key"), home.path("hard")]);
  Bun.spawnSync(["ln", "-s", join(home.data, "autokestra.db"), home.path("soft")]);
  for (const name of ["notes.txt", "hard", "soft", "files.yaml"])
    for (const more of [[], ["--force"]]) expect([name, ...codeOf(await home.run(["backup", name, ...more]))]).toEqual([name, "ALREADY_EXISTS", 5]);
  const folder = await home.run(["backup", ".", "--force"]);
  expect([...codeOf(folder), folder.stderr.includes("it is a folder")]).toEqual(["USAGE", 2, true]);
  expect(readFileSync(home.path("notes.txt"), "utf8")).toBe("x".repeat(200));
  expect(readFileSync(home.path("hard"), "utf8").trim()).toBe(server.key);
  expect(lstatSync(home.path("soft")).isSymbolicLink()).toBe(true);

  // In the data folder, but nobody's: a backup like any other.
  const made = await home.run(["backup", "mine.tar.gz"], { cwd: home.data });
  expect(codeOf(made)).toEqual([null, 0]);
  expect(codeOf(await home.run(["backup", "mine.tar.gz"], { cwd: home.data }))).toEqual(["ALREADY_EXISTS", 5]);
  expect(codeOf(await home.run(["backup", "mine.tar.gz", "--force"], { cwd: home.data }))).toEqual([null, 0]);
  await server.stop();
  await expectProven(home, home.data);
}, 120_000);

test("a store that is in use is not restored into, whoever uses it", async () => {
  const home = new Home();
  await runOnce(home);
  await backUp(home, "b.tar.gz");
  const server = await home.startServer();
  expect(codeOf(await home.run(["restore", "b.tar.gz", "--force"]))).toEqual(["SERVER_RUNNING", 5]);
  // Another data folder, the same store.
  const shared = { WORKFLOW_STORAGE_PATH: join(home.data, "autokestra.db") };
  expect(codeOf(await home.run(["restore", "b.tar.gz", "--force", "--data", home.path("second")], { env: shared }))).toEqual(["STORE_IN_USE", 5]);
  await server.stop();
  writeFileSync(home.path("slow.yaml"), `id: slow\ntasks: [{ id: a, run: "echo up; exec sleep 60" }]\n`);
  const { child, ended } = home.start(["run", "slow.yaml"]);
  let said = "";
  child.stderr?.on("data", (piece: Buffer) => {
    said += piece.toString();
  });
  await until(() => (said.includes("up") ? true : null), 20_000);
  expect(codeOf(await home.run(["restore", "b.tar.gz", "--force"]))).toEqual(["STORE_IN_USE", 5]);
  child.kill("SIGINT");
  await ended;
  await expectProven(home, home.data);
  await restore(home, "b.tar.gz", home.data, "--force");
}, 120_000);

test("a store elsewhere, with plugins, comes back as it was", async () => {
  const home = new Home();
  const env = { WORKFLOW_STORAGE_PATH: home.path("store/records.sqlite") };
  const folder = home.path("hello");
  expect(codeOf(await home.run(["plugin", "init", "hello", "--lang", "sh"], { env }))).toEqual([null, 0]);
  Bun.spawnSync(["ln", "-s", "plugin.yaml", join(folder, "also.yaml")]);
  const installed = await home.run(["plugin", "install", folder, "--json"], { env });
  expect(codeOf(installed)).toEqual([null, 0]);
  await backUp(home, "b.tar.gz");
  const made = await home.run(["backup", "c.tar.gz", "--json"], { env });
  expect(codeOf(made)).toEqual([null, 0]);
  const other = { WORKFLOW_STORAGE_PATH: home.path("other/place.db") };
  expect(codeOf(await home.run(["restore", "c.tar.gz"], { env: other }))).toEqual([null, 0]);
  expect(readdirSync(home.path("other")).toSorted()).toEqual(["place.db", "plugins"]);
  expect((statSync(home.path("other")).mode & 0o777).toString(8)).toBe("700");
  expect(Bun.spawnSync(["diff", "-r", "--no-dereference", home.path("store/plugins"), home.path("other/plugins")]).exitCode).toBe(0);
  const { sha256: digest, plugin } = JSON.parse(installed.stdout) as { sha256: string; plugin: string };
  expect((await home.run(["plugin", "inspect", plugin, "--json"], { env: other })).stdout).toContain(digest);
}, 60_000);

test("both work on this machine's files only", async () => {
  const home = new Home();
  const server = await home.startServer();
  for (const words of [
    ["backup", "b.tar.gz"],
    ["restore", "b.tar.gz"],
  ]) {
    expect(codeOf(await home.run([...words, "--server", "http://127.0.0.1:1"]))).toEqual(["USAGE", 2]);
    expect(codeOf(await home.run(words, { env: { AUTOKESTRA_SERVER_URL: "http://192.0.2.1:7433" } }))).toEqual(["USAGE", 2]);
    expect(codeOf(await home.run([words[0] ?? "", "-"]))).toEqual(["USAGE", 2]);
  }
  expect(existsSync(home.path("b.tar.gz"))).toBe(false);
  expect(codeOf(await home.run(["backup", "b.tar.gz"], { env: { AUTOKESTRA_SERVER_URL: server.url } }))).toEqual([null, 0]);
  expect(codeOf(await home.run(["backup", "none/b.tar.gz"]))).toEqual(["FILE_NOT_FOUND", 4]);
  await server.stop();
}, 60_000);

test("a blob that is damaged or missing is found when it is backed up", async () => {
  const home = new Home();
  await runOnce(home);
  const blobs = join(home.data, "blobs");
  const [path = ""] = readdirSync(blobs, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const bytes = readFileSync(path);
  writeFileSync(path, Buffer.concat([Buffer.from([(bytes[0] ?? 0) ^ 1]), bytes.subarray(1)]));
  expect(codeOf(await home.run(["backup", "b.tar.gz"]))).toEqual(["PAYLOAD_DIGEST_MISMATCH", 7]);
  writeFileSync(path, bytes.subarray(1));
  expect(codeOf(await home.run(["backup", "b.tar.gz"]))).toEqual(["PAYLOAD_DIGEST_MISMATCH", 7]);
  cpSync(path, home.path("aside"));
  Bun.spawnSync(["rm", path]);
  expect(codeOf(await home.run(["backup", "b.tar.gz"]))).toEqual(["BLOB_NOT_FOUND", 4]);
  expect(readdirSync(home.dir).filter((name) => name.includes("b.tar.gz"))).toEqual([]);
}, 60_000);

test("a disk that is full leaves nothing of a backup, and one error", async () => {
  const home = new Home();
  await runOnce(home);
  await runOnce(home);
  // A file of more than 2 MB cannot be written: the database is smaller, the archive larger.
  const script = `trap "" XFSZ; ulimit -f 4000; exec ${binary} backup b.tar.gz`;
  const ended = Bun.spawnSync(["sh", "-c", script], { cwd: home.dir, env: home.env() });
  expect([ended.exitCode, ended.stderr.toString().split("\n").length]).toEqual([4, 3]);
  expect(readdirSync(home.dir).filter((name) => name.includes("b.tar.gz"))).toEqual([]);
}, 60_000);

test("[WF-09] [WF-15] secrets stay encrypted in a backup, and are read again where their key is", async () => {
  const home = new Home();
  const value = `plain-${crypto.randomUUID()}`;
  expect(codeOf(await home.run(["secrets", "set", "TOKEN"], { stdin: value }))).toEqual([null, 0]);
  const ended = await home.run(["backup", "b.tar.gz", "--json"]);
  expect(ended.stderr).toContain(join(home.data, "keys"));
  const made = JSON.parse(ended.stdout) as BackupJson;
  expect(made.keyId).toMatch(/^[0-9a-f]{32}$/);
  const bytes = readFileSync(home.path("b.tar.gz"));
  const key = readFileSync(join(home.data, "keys/secret.key"), "utf8").trim();
  for (const text of [value, key]) for (const where of [bytes, gunzipSync(bytes)]) expect(where.includes(text)).toBe(false);

  const restored = home.path("restored");
  const { keyId, keyProblem } = await restore(home, "b.tar.gz", restored);
  expect(keyId).toBe(made.keyId);
  expect(keyProblem).not.toBeNull();
  const get = (data: string, env = {}) => home.run(["secrets", "get", "TOKEN", "--data", data], { env });
  expect(codeOf(await get(restored))).toEqual(["SECRET_KEY_WRONG", 7]);
  cpSync(join(home.data, "keys"), join(restored, "keys"), { recursive: true });
  expect((await get(restored)).stdout.trim()).toBe(value);
  // The key in the environment, and no file.
  const third = home.path("third");
  const env = { AUTOKESTRA_SECRET_KEY: key };
  const there = await home.run(["restore", "b.tar.gz", "--json", "--data", third], { env });
  expect((JSON.parse(there.stdout) as RestoreJson).keyProblem).toBeNull();
  expect((await get(third, env)).stdout.trim()).toBe(value);

  await backUp(home, "k.tar.gz", "--with-keys");
  const fourth = home.path("fourth");
  expect((await restore(home, "k.tar.gz", fourth)).keyProblem).toBeNull();
  expect((await get(fourth)).stdout.trim()).toBe(value);
  expect((statSync(join(fourth, "keys")).mode & 0o777).toString(8)).toBe("700");
}, 120_000);

test("[WF-15] a backup says where its key is, also when the environment has it; a loose folder is mended, not given a key", async () => {
  const home = new Home();
  const env = { AUTOKESTRA_SECRET_KEY: "a long passphrase" };
  expect(codeOf(await home.run(["secrets", "set", "TOKEN"], { stdin: "some value", env }))).toEqual([null, 0]);
  for (const [name, ...more] of [["a.tar.gz"], ["b.tar.gz", "--with-keys"]] as const) {
    const ended = await home.run(["backup", name, ...more], { env });
    expect(codeOf(ended)).toEqual([null, 0]);
    expect(ended.stderr).toContain("The key is AUTOKESTRA_SECRET_KEY; it is not in the file, keep it apart");
    expect(ended.stderr).not.toContain("Key files");
  }
  const loose = home.path("loose");
  mkdirSync(loose);
  chmodSync(loose, 0o755);
  const restored = await home.run(["restore", "a.tar.gz", "--data", loose], { env });
  expect(restored.code).toBe(0);
  const command = /chmod 700 \S+/.exec(restored.stderr)?.[0] ?? "false";
  expect(restored.stderr).not.toContain("Put the key there");
  expect(Bun.spawnSync(["sh", "-c", command]).exitCode).toBe(0);
  expect((await home.run(["secrets", "get", "TOKEN", "--data", loose], { env })).stdout.trim()).toBe("some value");
}, 60_000);
