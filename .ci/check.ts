// Runs everything that must hold, one after the other: build, types, lint, then each suite. Ends with one line of counts.
// Suites run in processes of their own, without standard input and without settings of whoever calls.
import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { countSuite, parseReport, renderClosing, runMinutesMax, suites } from "./suites.ts";
import type { Counts, Suite } from "./suites.ts";

const root = join(import.meta.dir, "..");
const tools = join(root, "node_modules/.bin");
const deadline = performance.now() + runMinutesMax * 60_000;

const steps: readonly { name: string; argv: string[] }[] = [
  { name: "build", argv: [process.execPath, "build.ts"] },
  { name: "types", argv: [join(tools, "tsc"), "--noEmit"] },
  { name: "lint", argv: [join(tools, "oxlint"), "--quiet", ".", ".ci"] },
  { name: "format", argv: [join(tools, "biome"), "format", "."] },
];
const stepMinutes = 5;

/** The caller's environment without what would change the product's behaviour or the form of the output. */
function cleanEnvironment(): Record<string, string> {
  const own = /^(AUTOKESTRA_|WORKFLOW_|FORCE_COLOR$|NODE_ENV$|BUN_)/;
  const kept = Object.entries(process.env).filter((pair): pair is [string, string] => pair[1] !== undefined && !own.test(pair[0]));
  return { ...Object.fromEntries(kept), NO_COLOR: "1" };
}

/** Runs a command in a process group of its own and ends the whole group when its time is over. */
async function run(argv: string[], minutes: number): Promise<{ exitCode: number; isLate: boolean }> {
  const child = Bun.spawn(argv, {
    cwd: root,
    env: cleanEnvironment(),
    stdio: ["ignore", "inherit", "inherit"],
    detached: true,
  });
  let isLate = false;
  const patience = Math.max(0, Math.min(minutes * 60_000, deadline - performance.now()));
  const timer = setTimeout(() => {
    isLate = true;
    killGroup(child.pid);
  }, patience);
  const exitCode = await child.exited;
  clearTimeout(timer);
  // Whatever a test left behind must not disturb the next suite.
  killGroup(child.pid);
  return { exitCode, isLate };
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // The group has ended already.
  }
}

function hasTests(suite: Suite): boolean {
  const folder = join(root, "tests", suite.name);
  return existsSync(folder) && readdirSync(folder, { recursive: true }).some((name) => String(name).endsWith(".test.ts"));
}

async function runSuite({ name, minutes, testSeconds }: Suite, reports: string): Promise<Counts & { note: string }> {
  const report = join(reports, `${name}.xml`);
  const started = performance.now();
  const flags = ["--only-failures", `--timeout=${testSeconds * 1000}`, "--reporter=junit", `--reporter-outfile=${report}`];
  const { exitCode, isLate } = await run([process.execPath, "test", ...flags, `./tests/${name}/`], minutes);
  const parsed = parseReport(await readFile(report, "utf8").catch(() => ""));
  const result = countSuite(parsed, exitCode);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  for (const title of result.skippedTitles) console.log(`skipped: ${name}: ${title}`);
  const end = isLate ? "  stopped: out of time" : parsed === null ? `  died with exit code ${exitCode}` : "";
  return { ...result, note: `${name.padEnd(12)} ${renderClosing(result)}  (${seconds} s)${end}` };
}

async function runSteps(): Promise<{ failed: number; notes: string[] }> {
  const notes: string[] = [];
  // Tests must never meet the binary of an earlier state.
  await rm(join(root, "dist/workflow"), { force: true });
  let failed = 0;
  for (const { name, argv } of steps) {
    console.log(`\n== ${name}`);
    const started = performance.now();
    const { exitCode } = await run(argv, stepMinutes);
    if (exitCode !== 0) failed += 1;
    notes.push(`${name.padEnd(12)} ${exitCode === 0 ? "ok" : "failed"}  (${((performance.now() - started) / 1000).toFixed(1)} s)`);
  }
  return { failed, notes };
}

async function main(wanted: readonly string[]): Promise<number> {
  const unknown = wanted.filter((name) => !suites.some((suite) => suite.name === name));
  if (unknown.length > 0) {
    console.error(`Cannot run ${unknown.join(", ")}: the suites are ${suites.map(({ name }) => name).join(", ")}`);
    return 2;
  }
  const { failed, notes } = await runSteps();
  const total: Counts = { passed: 0, failed, skipped: 0 };
  const reports = await mkdtemp(join(tmpdir(), "autokestra-reports-"));
  for (const suite of suites.filter((one) => hasTests(one) && (wanted.length === 0 || wanted.includes(one.name)))) {
    console.log(`\n== ${suite.name}`);
    const result = await runSuite(suite, reports);
    total.passed += result.passed;
    total.failed += result.failed;
    total.skipped += result.skipped;
    notes.push(result.note);
  }
  await rm(reports, { recursive: true, force: true });
  console.log(`\n${notes.join("\n")}\n\n${renderClosing(total)}`);
  return total.failed === 0 && total.passed > 0 ? 0 : 1;
}

process.exitCode = await main(Bun.argv.slice(2));
