// The pre-commit hook in a repository of its own: a commit goes through exactly when the check does.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };

const root = join(import.meta.dir, "../..");
let work = "";

async function run(...argv: string[]): Promise<number> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("GIT_"));
  const child = Bun.spawn(argv, {
    cwd: work,
    env: { ...Object.fromEntries(inherited), HOME: work, GIT_CONFIG_NOSYSTEM: "1" },
    stdio: ["ignore", "ignore", "ignore"],
  });
  return child.exited;
}

async function commitWith(check: string): Promise<number> {
  const { hooks } = manifest.scripts;
  await writeFile(join(work, "package.json"), JSON.stringify({ private: true, scripts: { check, hooks } }));
  await run("git", "add", ".");
  return run("git", "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-m", "a");
}

beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), "autokestra-hooks-"));
  await cp(join(root, ".ci/hooks"), join(work, ".ci/hooks"), { recursive: true });
});

afterAll(async () => {
  await rm(work, { recursive: true, force: true });
});

test("[CRA-0.20] the pre-commit hook runs type check and linter and stops a commit that fails them", async () => {
  expect(manifest.scripts.check).toMatch(/\btsc --noEmit\b.*&&.*\boxlint\b/);
  expect(await run("git", "init", "-q", ".")).toBe(0);
  await writeFile(join(work, "package.json"), JSON.stringify({ private: true, scripts: { hooks: manifest.scripts.hooks } }));
  expect(await run("npm", "run", "hooks")).toBe(0);
  expect(await commitWith("exit 1")).not.toBe(0);
  expect(await run("git", "rev-parse", "--verify", "HEAD")).not.toBe(0);
  expect(await commitWith("exit 0")).toBe(0);
  expect(await run("git", "rev-parse", "--verify", "HEAD")).toBe(0);
}, 30_000);
