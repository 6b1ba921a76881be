// The prebuilt launchers are what their source says: rebuilt and compared where the same compiler is at hand.

import { describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sha256Hex } from "../../src/base/index.ts";

const assets = new URL("../../assets/sandbox/", import.meta.url).pathname;
const script = join(assets, "build.sh");
const record = readFileSync(join(assets, "launcher.sha256"), "utf8");

/** ELF's numbers for x86-64 and arm64. */
const machines = { x64: 62, arm64: 183 } as const;

function recordedCompiler(arch: string): string | undefined {
  return record
    .split("\n")
    .find((line) => line.startsWith(`# launcher-${arch}: `))
    ?.slice(`# launcher-${arch}: `.length);
}

function presentCompiler(arch: string): string {
  const { stdout, exitCode } = Bun.spawnSync(["sh", script, "--version", arch], { stderr: "ignore" });
  return exitCode === 0 ? stdout.toString().trim() : "none";
}

for (const arch of ["x64", "arm64"] as const) {
  describe(`launcher-${arch}`, () => {
    const bytes = readFileSync(join(assets, `launcher-${arch}`));
    const [recorded, present] = [recordedCompiler(arch), presentCompiler(arch)];

    test("is a small static program of its architecture with the recorded digest", () => {
      expect(record).toContain(`${sha256Hex(bytes)}  launcher-${arch}\n`);
      expect(bytes.length).toBeLessThanOrEqual(64 * 1024);
      expect(bytes.subarray(0, 4).toString("latin1")).toBe("\x7fELF");
      expect(bytes.readUInt16LE(16)).toBe(2); // ET_EXEC: no interpreter, no relocation
      expect(bytes.readUInt16LE(18)).toBe(machines[arch]);
    });

    const reason = recorded === present ? "" : ` (skipped: the compiler here is ${present}, it was built with ${recorded})`;
    // The reason stands in the title.
    test.skipIf(reason !== "")(`is what its source gives${reason}`, () => {
      const folder = mkdtempSync(join(tmpdir(), "launcher-"));
      const { exitCode } = Bun.spawnSync(["sh", script, "--into", folder, arch], { stderr: "inherit" });
      expect(exitCode).toBe(0);
      expect(sha256Hex(readFileSync(join(folder, `launcher-${arch}`)))).toBe(sha256Hex(bytes));
      rmSync(folder, { recursive: true });
    });
  });
}
