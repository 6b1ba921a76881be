// What everyday tools need of a confined task: a name for its user, and modes, owners and times of its own files, also
// where only the keeper can change them for it.

import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { probeSandbox } from "../../src/plugins/sandbox/index.ts";
import type { KernelFacts } from "../../src/plugins/sandbox/index.ts";
import { confine, folderFor, runConfined, users } from "./confined.ts";
import { onLinux } from "./task-tree.ts";

const path = "/usr/local/bin:/usr/bin:/bin";
const has = (program: string) => Bun.which(program, { PATH: path }) !== null;

/** As in a container or on a system that gives ordinary users no namespaces. */
async function withoutMounts<Result>(more: Partial<KernelFacts>, action: () => Promise<Result>): Promise<Result> {
  const { facts } = probeSandbox();
  const all = { ...facts };
  Object.assign(facts, { mounts: false, ownProc: false, ...more });
  try {
    return await action();
  } finally {
    Object.assign(facts, all);
  }
}
const bare = { namespaces: null, countApart: false } as const;

const inFolder = async (script: string, user: { uid: number; gid: number } | null = null) => {
  const work = folderFor(user);
  const ran = await runConfined(["sh", "-ec", script], confine({ user, write: [work] }), { cwd: work, env: { PATH: path, HOME: work } });
  return { ...ran, work };
};

// Only a suite that runs as root can give tasks users, and only with mounts do they get a name.
for (const { user } of users.filter((one) => one.user !== null && probeSandbox().facts.mounts)) {
  test("the user of a task has a name and a home, which nobody can change", async () => {
    const { stdout, stderr, work } = await inFolder(
      "whoami; id -gn; eval echo ~task; grep -c : /etc/passwd; echo x:x:0:0::/: >> /etc/passwd || true",
      user,
    );
    const lines = stdout.split("\n");
    expect(lines.slice(0, 3)).toEqual(["task", "task", work]);
    const known = readFileSync("/etc/passwd", "utf8").split("\n");
    expect(Number(lines[3])).toBe(known.filter((line) => /^[^:]+:[^:]*:(?:\d{1,3}|65534):/.test(line)).length + 1);
    expect(stderr).toContain("/etc/passwd");
    rmSync(work, { recursive: true });
  });
}

// The sandbox is Linux's.
describe.skipIf(!onLinux)("without mounts and without a user of its own a task", () => {
  const tools = "echo a > f; chmod +x f; chmod 640 $PWD/f; touch -d 2001-01-01T00:00:00Z f; ln -s f l; touch -h l; mkdir d; chmod 750 d";
  test("changes modes and times of its own files", async () => {
    const { exit, stderr, notices, work } = await withoutMounts(bare, () => inFolder(tools));
    expect({ exit, stderr, notices }).toEqual({ exit: { exitCode: 0, signal: null }, stderr: "", notices: [] });
    expect(statSync(join(work, "f")).mode & 0o777).toBe(0o640);
    expect(statSync(join(work, "f")).mtimeMs).toBe(Date.UTC(2001, 0, 1));
    expect(statSync(join(work, "d")).mode & 0o777).toBe(0o750);
    rmSync(work, { recursive: true });
  });

  // Not every machine has git and tar.
  test.skipIf(!has("git") || !has("tar"))("can use sed -i, cp -a, install, tar and git", async () => {
    const more =
      "sed -i s/a/b/ f; cp -a f g; install -m 755 f h; tar cf t.tar d f; mkdir x; tar xf t.tar -C x; git init -q r; cd r; chmod 700 ../d .";
    const { exit, stderr, notices, work } = await withoutMounts(bare, () => inFolder(`${tools}; ${more}`));
    expect({ exit, stderr, notices }).toEqual({ exit: { exitCode: 0, signal: null }, stderr: "", notices: [] });
    expect(readFileSync(join(work, "g"), "utf8")).toBe("b\n");
    expect(statSync(join(work, "h")).mode & 0o777).toBe(0o755);
    rmSync(work, { recursive: true });
  });

  test("changes by absolute path where the keeper cannot look the task up", async () => {
    if (probeSandbox().facts.namespaces === null) return;
    const { exit, work, notices } = await withoutMounts({}, () => inFolder("echo a > f; chmod 600 $PWD/f; chmod 601 f || exit 5"));
    expect(exit.exitCode).toBe(5);
    expect(statSync(join(work, "f")).mode & 0o777).toBe(0o600);
    expect(notices.length).toBe(1);
    rmSync(work, { recursive: true });
  });

  test("changes nothing outside, whatever the path, and is told the target", async () => {
    const outside = folderFor(null, 0o755);
    writeFileSync(join(outside, "file"), "x");
    chmodSync(join(outside, "file"), 0o644);
    mkdirSync(join(outside, "folder"));
    const work = folderFor(null);
    symlinkSync(outside, join(work, "out"));
    const targets = [`${outside}/file`, "out/file", "out", `${work}/../${outside.split("/").at(-1)}/file`, `${work}x`, "/dev/null", "/tmp"];
    const script = targets.map((target) => `chmod 777 ${target}; touch -h -d 2001-01-01 ${target}; chown -h $(id -u) ${target}`).join("; ");
    const confinement = confine({ read: [outside], write: [work] });
    const { notices } = await withoutMounts(bare, () => runConfined(["sh", "-c", script], confinement, { cwd: work, env: { PATH: path } }));
    expect(statSync(join(outside, "file")).mode & 0o777).toBe(0o644);
    expect(statSync(join(outside, "file")).mtimeMs).toBeGreaterThan(Date.UTC(2002, 0, 1));
    expect(statSync(outside).mode & 0o777).toBe(0o755);
    expect(notices).toContainEqual({ denied: true, call: "fchmodat", kind: "filesystem", target: `${outside}/file`, access: "write" });
    for (const folder of [outside, work]) rmSync(folder, { recursive: true });
  });
});
