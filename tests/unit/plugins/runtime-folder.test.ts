// What plugins run with: written whole at first use, the same for all who start together, mended when somebody changed it.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { version } from "../../../src/base/index.ts";
import { RuntimeFolder } from "../../../src/plugins/runtime-folder/index.ts";
import { ensureRuntime } from "../../sandbox/invoke-world.ts";

let data = "";
beforeEach(() => {
  ensureRuntime();
  data = mkdtempSync(join(tmpdir(), "autokestra-runtime-"));
});
afterEach(() => Bun.spawnSync(["sh", "-c", 'chmod -R u+w "$1"; rm -rf "$1"', "sh", data]));

const sdk = "node_modules/autokestra/sdk.js";

test("is made once, read-only, under the version and the digest of what is in it", async () => {
  const folder = await new RuntimeFolder(data).path();
  expect(basename(folder)).toMatch(new RegExp(`^${version.replaceAll(".", "\\.")}-[0-9a-f]{64}$`));
  expect(statSync(join(folder, sdk)).mode & 0o777).toBe(0o444);
  expect(statSync(folder).mode & 0o777).toBe(0o555);
  expect(existsSync(join(folder, "node_modules/autokestra/index.d.ts"))).toBe(true);
  const { ino } = statSync(folder);
  expect(await new RuntimeFolder(data).path()).toBe(folder);
  expect(statSync(folder).ino).toBe(ino);
  expect(readdirSync(join(data, "runtime"))).toEqual([basename(folder)]);
});

test("is written again when a file was changed, removed or added", async () => {
  const folder = await new RuntimeFolder(data).path();
  const text = readFileSync(join(folder, sdk), "utf8");
  const lib = join(folder, "node_modules/autokestra");
  const open = () => chmodSync(lib, 0o755);
  const tamper = [
    () => (chmodSync(join(folder, sdk), 0o644), writeFileSync(join(folder, sdk), `${text}//`)),
    () => (open(), rmSync(join(folder, sdk), { force: true })),
    () => (open(), writeFileSync(join(lib, "added.js"), "")),
  ];
  for (const change of tamper) {
    change();
    expect(await new RuntimeFolder(data).path()).toBe(folder);
    expect(readFileSync(join(folder, sdk), "utf8")).toBe(text);
    expect(existsSync(join(lib, "added.js"))).toBe(false);
    expect(readdirSync(join(data, "runtime"))).toEqual([basename(folder)]);
  }
});

test("several that start together get the same whole folder", async () => {
  const script = `import { RuntimeFolder } from ${JSON.stringify(join(import.meta.dir, "../../../src/plugins/runtime-folder/index.ts"))};
    console.log(await new RuntimeFolder(${JSON.stringify(data)}).path());`;
  const starts = Array.from({ length: 4 }, () => Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "inherit" }));
  const paths = await Promise.all(starts.map((child) => new Response(child.stdout).text()));
  expect(new Set(paths).size).toBe(1);
  expect(await Promise.all(starts.map((child) => child.exited))).toEqual([0, 0, 0, 0]);
  expect(readdirSync(join(data, "runtime"))).toHaveLength(1);
});
