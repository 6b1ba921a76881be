// `server.json`: written for its owner only, believed only while the writing process lives, and held by one server.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isCoded } from "../../../src/base/index.ts";
import { ensureDataDir, loadConfig, readServerFile, removeServerFile, writeServerFile } from "../../../src/config/index.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "server-file-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const address = { port: 7433, host: "127.0.0.1", url: "http://127.0.0.1:7433", startedAt: "2026-01-02T03:04:05.678Z", version: "0.1.0" };
const file = () => join(dir, "server.json");
const codeOf = (run: () => unknown): string | null => {
  try {
    run();
    return null;
  } catch (thrown) {
    return isCoded(thrown) ? thrown.code : "other";
  }
};
const put = (change: object) => writeFileSync(file(), JSON.stringify({ ...(JSON.parse(readFileSync(file(), "utf8")) as object), ...change }));

test("a live server's record is read back, private to its owner, with nothing left beside it", () => {
  const written = writeServerFile(dir, address);
  expect(readServerFile(dir)).toEqual(written);
  expect(written.pid).toBe(process.pid);
  expect(statSync(file()).mode & 0o777).toBe(0o600);
  expect(readdirSync(dir)).toEqual(["server.json"]);
  expect(writeServerFile(dir, { ...address, port: 8000 }).port).toBe(8000);
  expect(readServerFile(dir)?.port).toBe(8000);
  removeServerFile(dir);
  expect(readServerFile(dir)).toBeNull();
});

// Only there does the system tell when a process started.
const isLinux = process.platform === "linux";

test.if(isLinux)("a pid that another process has now is stale by its start time", () => {
  writeServerFile(dir, address);
  put({ startTicks: "00000000-0000-4000-8000-000000000000/1" });
  expect(readServerFile(dir)).toBeNull();
  // Process 1 lives, but did not start when this record says.
  put({ pid: 1 });
  expect(readServerFile(dir)).toBeNull();
});

test("a dead process, a torn file and a missing one count as no server", async () => {
  expect(readServerFile(dir)).toBeNull();
  const child = Bun.spawn(["true"]);
  await child.exited;
  writeServerFile(dir, address);
  put({ pid: child.pid });
  expect(readServerFile(dir)).toBeNull();
  removeServerFile(dir);
  expect(readdirSync(dir)).toEqual(["server.json"]);
  writeFileSync(file(), '{"pid": 1');
  expect(readServerFile(dir)).toBeNull();
});

test.if(isLinux)("of two servers on one folder the second is refused; a stale record is taken over", async () => {
  const child = Bun.spawn(["sleep", "60"]);
  const ticks = readFileSync(`/proc/${child.pid}/stat`, "utf8").split(") ")[1]?.split(" ")[19];
  const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  writeFileSync(file(), JSON.stringify({ ...address, pid: child.pid, startTicks: `${boot}/${ticks}` }));
  expect(codeOf(() => writeServerFile(dir, address))).toBe("SERVER_RUNNING");
  expect(readServerFile(dir)?.pid).toBe(child.pid);
  expect(readdirSync(dir)).toEqual(["server.json"]);
  child.kill();
  await child.exited;
  expect(codeOf(() => writeServerFile(dir, address))).toBeNull();
  expect(readServerFile(dir)?.pid).toBe(process.pid);
});

test("the data folder is made for its owner only", () => {
  const loaded = loadConfig({ flags: { data: "a/b" }, env: { HOME: dir }, cwd: dir });
  ensureDataDir(loaded);
  expect(statSync(join(dir, "a/b")).mode & 0o777).toBe(0o700);
  expect(codeOf(() => ensureDataDir(loaded))).toBeNull();
  writeFileSync(join(dir, "file"), "");
  expect(codeOf(() => ensureDataDir({ ...loaded, dataDir: join(dir, "file", "x") }))).toBe("STORE_UNAVAILABLE");
});
