// kill -9 of the real restore at moments of chance: there is always one whole store, the old one or the new one.
import { expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { Home } from "../product/binary.ts";

const seed = Number(process.env["CRASH_SEED"] ?? 20_261_121);
let state = seed;
/** Numerical Recipes' linear congruence: enough to choose moments, and repeatable. */
function chance(): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return state / 2 ** 32;
}

const flow = `id: files
tasks:
  - { id: make, run: 'mkdir -p "$HOME/out"; head -c 1100000 /dev/urandom > "$HOME/out/large.bin"' }
`;

test(`kill -9 of a restore leaves the old store or the new one, whole (CRASH_SEED=${seed})`, async () => {
  const home = new Home();
  writeFileSync(home.path("files.yaml"), flow);
  const runs = async () => expect((await home.run(["run", "files.yaml"])).code).toBe(0);
  const count = async () => ((await home.run(["execution", "list", "--json"])).stdout.match(/"executionId"/g) ?? []).length;
  await runs();
  expect((await home.run(["backup", "b.tar.gz"])).code).toBe(0);
  await runs();
  const startedAt = performance.now();
  expect((await home.run(["restore", "b.tar.gz", "--force"])).code).toBe(0);
  const wholeMs = performance.now() - startedAt;
  const seen = new Set<number>();
  for (let round = 0; round < 15; round += 1) {
    if ((await count()) === 1) await runs();
    const { child, ended } = home.start(["restore", "b.tar.gz", "--force"]);
    const timer = setTimeout(() => child.kill("SIGKILL"), wholeMs * (0.4 + 0.7 * chance()));
    await ended;
    clearTimeout(timer);
    const verified = await home.run(["trace", "verify", "--all", "--state"]);
    expect({ round, code: verified.code, stderr: verified.stderr }).toEqual({ round, code: 0, stderr: "" });
    const executions = await count();
    expect([1, 2]).toContain(executions);
    seen.add(executions);
  }
  // Both ends were seen, or the moments were badly chosen.
  expect([...seen].toSorted()).toEqual([1, 2]);
  expect((await home.run(["restore", "b.tar.gz", "--force"])).code).toBe(0);
  expect(readdirSync(home.data).filter((name) => name.startsWith(".restore-") || name.startsWith("restore."))).toEqual([]);
}, 120_000);
