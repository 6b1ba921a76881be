// Random workflows, and what their attempts do: all of it follows from a seed.
import type { Json, JsonObject } from "../../src/base/index.ts";
import type { TaskAsk, TaskCall, TaskOutcome } from "../../src/engine/index.ts";
import type { Denial } from "../../src/model/index.ts";
import { type Random, seededRandom } from "../flow/fake-time.ts";
import { failing, type Preparing, type Script, unconfined } from "../flow/scripted-invoker.ts";

export type Scenario = {
  seed: number;
  workflows: JsonObject[];
  /** Which workflow, when, and at which of the two processes. */
  submissions: { workflow: number; atMs: number; process: number }[];
  /** Of which submission, when, and where. */
  cancels: { submission: number; atMs: number; process: number }[];
  pauses: { submission: number; atMs: number; forMs: number; process: number }[];
  limits: { executions: number; tasks: number };
};

export function pick<T>(random: Random, from: readonly T[]): T {
  const found = from[Math.floor(random() * from.length)];
  if (found === undefined) throw new Error("nothing to pick from");
  return found;
}

const between = (random: Random, low: number, high: number) => low + Math.floor(random() * (high - low + 1));
const chance = (random: Random, share: number) => random() < share;

export function randomScenario(seed: number): Scenario {
  const random = seededRandom(seed);
  const workflows = Array.from({ length: between(random, 1, 2) }, (_, index) => randomWorkflow(random, `w${index}`));
  const submissions = Array.from({ length: between(random, 1, 3) }, () => ({
    workflow: between(random, 0, workflows.length - 1),
    atMs: pick(random, [0, 0, between(random, 0, 1500)]),
    process: between(random, 0, 1),
  }));
  const cancels = chance(random, 0.4)
    ? Array.from({ length: between(random, 1, 2) }, () => ({
        submission: between(random, 0, submissions.length - 1),
        atMs: between(random, 0, 3000),
        process: between(random, 0, 1),
      }))
    : [];
  const pauses = chance(random, 0.25)
    ? [
        {
          submission: between(random, 0, submissions.length - 1),
          atMs: between(random, 0, 1500),
          forMs: between(random, 10, 3000),
          process: between(random, 0, 1),
        },
      ]
    : [];
  workflows.push(leaf);
  return { seed, workflows, submissions, cancels, pauses, limits: { executions: pick(random, [1, 2, 10]), tasks: pick(random, [1, 2, 5]) } };
}

/** What some tasks start as a child. */
const leaf: JsonObject = { id: "leaf", tasks: [{ id: "t0", run: "true", retry: { max: 3, delay: "10ms" } }] };

function randomWorkflow(random: Random, id: string): JsonObject {
  const count = pick(random, [1, 2, 3, 4, 5, 6, 8]);
  const tasks: JsonObject[] = [];
  for (let index = 0; index < count; index += 1)
    tasks.push(
      randomTask(
        random,
        `t${index}`,
        tasks.map((task) => String(task["id"])),
      ),
    );
  const workflow: JsonObject = { id, tasks, outputs: { first: "{{ tasks.t0.state }}" } };
  if (chance(random, 0.3)) workflow["timeout"] = `${between(random, 300, 6000)}ms`;
  if (chance(random, 0.35)) workflow["onFailure"] = handlers(random, "on");
  if (chance(random, 0.35)) workflow["finally"] = handlers(random, "fin");
  if (chance(random, 0.3)) {
    workflow["secrets"] = ["TOKEN"];
    for (const task of tasks) if (task["run"] !== undefined) task["env"] = secretEnv(random, task);
  }
  return workflow;
}

/** What every TOKEN is; no event may hold it. */
export const token = "simulated-token";

/** A secret, and what tasks before made of it. */
function secretEnv(random: Random, { needs = [] }: { needs?: Json }): JsonObject {
  const before = (needs as string[]).map((need): [string, Json] => [
    `P_${need}`,
    `{{ tasks.${need}.state == 'SUCCESS' && has(tasks.${need}.output.token) ? tasks.${need}.output.token : '' }}`,
  ]);
  return { ...(chance(random, 0.7) ? { T: "{{ secrets.TOKEN }}" } : {}), ...Object.fromEntries(before) };
}

function handlers(random: Random, name: string): JsonObject[] {
  const first = randomTask(random, `${name}0`, []);
  return chance(random, 0.5) ? [first] : [first, randomTask(random, `${name}1`, [`${name}0`])];
}

const conditions = ["{{ failure() }}", "{{ always() }}", "{{ success() }}", "{{ 1 > 2 }}", "{{ execution.revision == 1 }}"];

function randomTask(random: Random, id: string, before: readonly string[]): JsonObject {
  const task: JsonObject = { id, ...randomAction(random) };
  const needs = before.filter(() => chance(random, 1.5 / Math.max(2, before.length)));
  if (needs.length > 0) task["needs"] = [...needs];
  if (chance(random, 0.25)) task["if"] = pick(random, conditions);
  if (chance(random, 0.2)) task["allowFailure"] = true;
  if (chance(random, 0.35)) task["retry"] = randomRetry(random);
  if (task["run"] !== undefined && chance(random, 0.25)) task["timeout"] = `${between(random, 50, 600)}ms`;
  if (task["run"] !== undefined && chance(random, 0.4)) task["onLost"] = pick(random, ["retry", "retry", "fail", "ask"]);
  if (chance(random, 0.15)) {
    task["forEach"] = Array.from({ length: between(random, 0, 3) }, (_, index) => index);
    if (chance(random, 0.5)) task["concurrency"] = between(random, 1, 2);
    if (chance(random, 0.2)) task["if"] = "{{ index != 1 }}";
  }
  return task;
}

function randomAction(random: Random): JsonObject {
  const roll = random();
  if (roll < 0.65) return { run: "true" };
  if (roll < 0.78) return { type: "core/value.set", inputs: { n: between(random, 0, 9) } };
  if (roll < 0.83) return { type: "core/log.write", inputs: { message: "here" } };
  if (roll < 0.88) return { type: "core/workflow.run", inputs: { workflow: "leaf", wait: chance(random, 0.8) } };
  return { type: "core/wait.for", inputs: { duration: `${between(random, 10, 2000)}ms` } };
}

function randomRetry(random: Random): Json {
  const backoff = pick(random, ["constant", "linear", "exponential"]);
  return { max: between(random, 2, 3), backoff, delay: `${between(random, 10, 800)}ms`, maxDelay: "1s", jitter: chance(random, 0.5) };
}

/** What an attempt does: the same for equal seeds, whoever asks and in whatever order. */
export function scriptFor(seed: number, submission: number, call: Pick<TaskCall, "task" | "itemIndex" | "attempt" | "env">): Script {
  const random = seededRandom(seed ^ hash(`${submission} ${call.task} ${call.itemIndex} ${call.attempt}`));
  const ms = pick(random, [0, 1, 20, 100, 100, 400, 900]);
  const { T } = call.env;
  const lines = chance(random, 0.3) ? [`line of ${call.task} ${T ?? ""}`, "another"] : [];
  const roll = random();
  const success: TaskOutcome = { ok: true, output: { task: call.task, ...(T === undefined ? {} : { token: T }) }, artifacts: [] };
  const outcome = roll < 0.68 ? success : failing("PLUGIN_EXIT", roll < 0.93);
  const ignoresTerm = chance(random, 0.15);
  if (!chance(random, 0.15)) return { ms, outcome, lines, ignoresTerm };
  const denials = [denialOf("a.example:443"), denialOf("a.example:443"), denialOf("b.example:443")];
  return { ms, outcome: outcome.ok ? outcome : failing("PERMISSION_DENIED", false), lines, denials, ignoresTerm };
}

function denialOf(target: string): Denial {
  return { kind: "network", target, rule: "network", grant: `network: ["${target}"]` };
}

/** What preparing a task takes and gives, likewise. */
export function preparingFor(seed: number, submission: number, ask: Pick<TaskAsk, "task">): Preparing {
  const random = seededRandom(seed ^ hash(`${submission} ${ask.task} prepare`));
  const roll = random();
  if (roll < 0.05) {
    const target = "c.example:443";
    const refusal = failing("PERMISSION_DENIED", false);
    const prepared = { ...unconfined, refusal: refusal.ok ? null : refusal.error, denials: [denialOf(target)] };
    return { ms: chance(random, 0.5) ? null : 30, prepared };
  }
  return { ms: roll < 0.2 ? pick(random, [0, 1, 50, 700]) : null, prepared: unconfined };
}

function hash(text: string): number {
  let value = 2166136261;
  for (let index = 0; index < text.length; index += 1) value = Math.imul(value ^ text.charCodeAt(index), 16777619);
  return value >>> 0;
}
