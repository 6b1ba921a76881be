// The same tests once more as a user without privileges, where the suite itself runs as root.

import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, chownSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { asRoot, onLinux } from "./task-tree.ts";

const nobody = 65534;
const reason = asRoot && onLinux && Bun.which("setpriv") !== null ? "" : " (skipped: needs root and setpriv)";

// The reason stands in the title.
test.skipIf(reason !== "")(
  `process trees and streams work for an ordinary user${reason}`,
  async () => {
    const home = mkdtempSync(join(tmpdir(), "ordinary-"));
    chownSync(home, nobody, nobody);
    const drop = ["setpriv", "--reuid", `${nobody}`, "--regid", `${nobody}`, "--clear-groups"];
    const names = ["process-tree", "process-streams", "attacks", "confinement", "confined-tree", "ordinary-tools", "probe-cache"];
    const files = names.map((name) => new URL(`./${name}.test.ts`, import.meta.url).pathname);
    const child = Bun.spawn([...drop, process.execPath, "test", ...files], {
      cwd: new URL("../..", import.meta.url).pathname,
      env: { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: home, TMPDIR: home, BUN_BE_BUN: "1" },
      stdio: ["ignore", "ignore", "pipe"],
    });
    const report = await new Response(child.stderr).text();
    rmSync(home, { recursive: true, force: true });
    expect(report).toMatch(/^ *[1-9]\d* pass$/m);
    expect(report.split("\n").filter((line) => line.startsWith("(fail)") || line.startsWith("error:"))).toEqual([]);
    expect(report).not.toMatch(/ [1-9]\d* skip$/m);
    expect(await child.exited).toBe(0);
  },
  60_000,
);
