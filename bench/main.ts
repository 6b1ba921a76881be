// `bun run bench [name…] [--no-build] [--no-doc]`: builds the product, runs each bench in a process of its own for at most two minutes,
// prints the table, and writes docs/performance.md and bench/results/latest.json. A goal that is missed is a figure, not a failure.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { benches } from "./benches/index.ts";
import { resultsFolder, root } from "./harness/bench.ts";
import { writeDocument } from "./harness/document.ts";
import { readFacts } from "./harness/facts.ts";
import { binary, compile } from "./harness/programs.ts";
import type { Outcome, Row, Skip } from "./harness/row.ts";
import { ratioOf } from "./harness/row.ts";
import { renderTable } from "./harness/table.ts";

const benchMsMax = 120_000;

/** Runs one bench; what it reported before it failed or was stopped counts. */
async function runBench(name: string): Promise<Outcome> {
  const folder = mkdtempSync(join(resultsFolder, `${name}-`));
  const file = join(folder, "rows.jsonl");
  const argv = [process.execPath, join(root, "bench/harness/run-one.ts"), name, folder, file];
  const child = Bun.spawn(argv, { cwd: root, stdio: ["ignore", "inherit", "inherit"], detached: true });
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    endGroup(child.pid);
  }, benchMsMax);
  const exitCode = await child.exited;
  clearTimeout(timer);
  // Servers and tasks that a bench left behind go with it.
  endGroup(child.pid);
  const outcome = readLines(file);
  rmSync(folder, { recursive: true, force: true });
  if (isLate) outcome.skips.push({ bench: name, work: "the rest", reason: `stopped after ${benchMsMax / 1000} s` });
  else if (exitCode !== 0) outcome.skips.push({ bench: name, work: "the rest", reason: `the bench failed with exit ${exitCode}` });
  return outcome;
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // Nobody was left.
  }
}

function readLines(file: string): Outcome {
  const text = existsSync(file) ? readFileSync(file, "utf8") : "";
  const lines = text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as { row?: Row; skip?: Skip });
  return { rows: lines.flatMap(({ row }) => row ?? []), skips: lines.flatMap(({ skip }) => skip ?? []) };
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { "no-build": { type: "boolean", default: false }, "no-doc": { type: "boolean", default: false } },
  });
  const names = positionals.length > 0 ? positionals : [...benches.keys()];
  const unknown = names.filter((name) => !benches.has(name));
  if (unknown.length > 0) {
    console.error(`Cannot run ${unknown.join(", ")}: the benches are ${[...benches.keys()].join(", ")}`);
    return 2;
  }
  mkdirSync(resultsFolder, { recursive: true });
  if (!values["no-build"]) await compile(join(root, "src/main.ts"), binary);
  const facts = readFacts();
  const all: Outcome = { rows: [], skips: [] };
  for (const name of names) {
    console.log(`running ${name}`);
    const { rows, skips } = await runBench(name);
    all.rows.push(...rows);
    all.skips.push(...skips);
  }
  console.log(`\n${renderTable(all)}`);
  const rows = all.rows.map((row) => ({ ...row, ratio: ratioOf(row) }));
  writeFileSync(join(resultsFolder, "latest.json"), `${JSON.stringify({ facts, rows, skips: all.skips }, null, 2)}\n`);
  if (!values["no-doc"]) writeDocument(names, all, facts);
  return 0;
}

process.exitCode = await main();
