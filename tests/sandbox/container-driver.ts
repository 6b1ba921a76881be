// One process in the conditions of a container: runs small tasks whose streams all have to work, and says what it saw.

import { readFileSync } from "node:fs";
import { selfTest } from "../../src/plugins/runtimes/index.ts";
import { probeSandbox } from "../../src/plugins/sandbox/index.ts";
import { confine, runConfined, startConfined } from "./confined.ts";
import { waitForOutput } from "./task-tree.ts";

const runs = 20;
const atOnce = 4;
const script = 'read line; echo "out $line"; echo "err $line" >&2; echo "result $line" >&3';

async function runTiny(number: number): Promise<string> {
  const stdin = Buffer.from(`${number}\n`);
  const outcome = await runConfined(["sh", "-c", script], confine(), { stdin }).then(
    ({ exit, stdout, stderr, result }) => [exit.exitCode, stdout, stderr, Buffer.from(result).toString()],
    (error: { code: string; message: string }) => [error.code, error.message],
  );
  const expected = [0, `out ${number}\n`, `err ${number}\n`, `result ${number}\n`];
  return JSON.stringify(outcome) === JSON.stringify(expected) ? "right" : JSON.stringify(outcome);
}

/** The capabilities of the process that keeps a task. */
async function readKeeper(): Promise<string> {
  const task = startConfined(["sh", "-c", "echo ready; read line"], confine(), { stdin: "pipe" });
  await waitForOutput(task, "ready");
  const [keeper = ""] = readFileSync(`/proc/${task.pid}/task/${task.pid}/children`, "utf8").split(" ");
  const capabilities = /^CapEff:\s*(\w+)$/m.exec(readFileSync(`/proc/${keeper}/status`, "utf8"))?.[1] ?? "";
  task.stdin?.end();
  await task.exited;
  return capabilities;
}

const { state } = probeSandbox();
const outcomes: string[] = [];
for (let number = 0; number < runs; number += atOnce) {
  outcomes.push(...(await Promise.all(Array.from({ length: atOnce }, (_, index) => runTiny(number + index)))));
}
const isHeld = outcomes.every((outcome) => outcome === "right");
const keeper = isHeld ? await readKeeper() : "";
const attacks = isHeld ? await selfTest({ afresh: true }) : [];
const after = probeSandbox().state.level;
console.log(JSON.stringify({ state, outcomes, keeper, lost: attacks.filter(({ held }) => !held), attacks: attacks.length, after }));
