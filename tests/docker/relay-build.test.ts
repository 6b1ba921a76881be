// The prebuilt relays are what their source says: rebuilt and compared where the same compiler is at hand.

import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sha256Hex } from "../../src/base/index.ts";

const assets = new URL("../../assets/sandbox/", import.meta.url).pathname;
const script = join(assets, "build-relay.sh");
const record = readFileSync(join(assets, "relay.sha256"), "utf8");

/** ELF's numbers for x86-64 and arm64. */
const machines = { x64: 62, arm64: 183 } as const;

function recordedCompiler(arch: string): string | undefined {
  const mark = `# relay-${arch}: `;
  const line = record.split("\n").find((entry) => entry.startsWith(mark));
  return line?.slice(mark.length);
}

function presentCompiler(arch: string): string {
  const { stdout, exitCode } = Bun.spawnSync(["sh", script, "--version", arch], { stderr: "ignore" });
  return exitCode === 0 ? stdout.toString().trim() : "none";
}

for (const arch of ["x64", "arm64"] as const) {
  describe(`[WF-13] relay-${arch}`, () => {
    const bytes = readFileSync(join(assets, `relay-${arch}`));
    const [recorded, present] = [recordedCompiler(arch), presentCompiler(arch)];

    test("is a small static program of its architecture with the recorded digest", () => {
      expect(record).toContain(`${sha256Hex(bytes)}  relay-${arch}\n`);
      expect(bytes.length).toBeLessThanOrEqual(16 * 1024);
      expect(bytes.subarray(0, 4).toString("latin1")).toBe("\x7fELF");
      expect(bytes.readUInt16LE(16)).toBe(2); // ET_EXEC: no interpreter, no relocation
      expect(bytes.readUInt16LE(18)).toBe(machines[arch]);
    });

    const reason = recorded === present ? "" : ` (skipped: the compiler here is ${present}, it was built with ${recorded})`;
    // The reason stands in the title.
    test.skipIf(reason !== "")(`is what its source gives${reason}`, () => {
      const folder = mkdtempSync(join(tmpdir(), "relay-"));
      const { exitCode } = Bun.spawnSync(["sh", script, "--into", folder, arch], { stderr: "inherit" });
      expect(exitCode).toBe(0);
      expect(sha256Hex(readFileSync(join(folder, `relay-${arch}`)))).toBe(sha256Hex(bytes));
      rmSync(folder, { recursive: true });
    });
  });
}

test("[WF-13] the relay runs as process 1 only: it signals every process that it can see", () => {
  if (process.platform !== "linux") return;
  const relay = join(assets, `relay-${process.arch}`);
  expect(Bun.spawnSync([relay, "--", "true"], { stderr: "ignore" }).exitCode).toBe(125);
});
