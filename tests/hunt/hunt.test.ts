// A workflow that prints, returns, throws and encodes secrets in every way, on a real server; then everything that it left behind is searched.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Home, type Server, until } from "../product/binary.ts";
import { encodings } from "./encodings.ts";
import { type Find, findBelow, findIn, findInProcesses, needlesOf } from "./hunt.ts";

const random = (count: number) => crypto.getRandomValues(new Uint8Array(count)).toHex();
const lines = Array.from({ length: 4 }, () => random(24));

/** Of every kind: plain, full of signs, of several lines, of digits, not ASCII, long, and a sensitive input. */
const secrets = {
  PLAIN: `tok_${random(16)}`,
  SIGNS: `p@"${random(4)}'<&>\\/ +=%${random(4)}$&\t;?#`,
  LINES: `-----BEGIN ${random(4)}-----\n${lines.join("\n")}\n-----END ${random(4)}-----`,
  DIGITS: String(100_000_000_000_000 + Math.floor(Math.random() * 899_999_999_999_999)),
  LETTERS: `pässwörd-${random(6)}-日本語`,
  LONG: random(1500),
};
const sensitive = `sensitive-${random(12)}`;
const all: Record<string, string> = { ...secrets, sensitive };
const needles = needlesOf(all);

const preamble = readFileSync(join(import.meta.dir, "encodings.ts"), "utf8");
const values = "const values = Object.entries(process.env).filter(([name]) => name.startsWith('S_')).map(([, value]) => value);\n";
const script = (body: string) => `${preamble}${values}${body}`;

const env = Object.fromEntries([
  ...Object.keys(secrets).map((name) => [`S_${name}`, `{{ secrets.${name} }}`]),
  ["S_sensitive", "{{ inputs.token }}"],
]);

const bun = (id: string, body: string, more: object = {}) => ({ id, shell: "bun", run: script(body), env, allowFailure: true, ...more });

const prints = `
for (const value of values) for (const [name, encode] of Object.entries(encodings)) {
  console.log(name + ": " + encode(value) + " .");
  console.error(JSON.stringify({ level: "info", message: name + " " + encode(value), [encode(value)]: [encode(value), { n: value }] }));
  console.log(JSON.stringify({ level: "warn", message: value }).replace(/[a-z]/g, (letter) => "\\\\u00" + letter.charCodeAt(0).toString(16)));
}`;
const cuts = `
const { writeSync } = require("node:fs");
for (const value of values) for (const encode of Object.values(encodings)) {
  const bytes = Buffer.from(encode(value) + "\\n");
  for (let at = 0; at < bytes.length; at += Math.max(1, Math.floor(bytes.length / 7))) {
    writeSync(1, bytes.subarray(at, at + Math.max(1, Math.floor(bytes.length / 7))));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
// A value across the border of a line's longest piece, and across that of what the output keeps.
for (const value of values) for (const shift of [3, 9, 20]) {
  writeSync(1, "x".repeat(65536 - shift) + value + "y".repeat(65536 - value.length) + "\\n");
  writeSync(2, "x".repeat(65536 - shift) + value + "\\n");
}
writeSync(1, "z".repeat(10) + values[0] + "y".repeat(65536 - 5) + "\\n");`;
const returns = `
const { writeFileSync, appendFileSync } = require("node:fs");
const out = {};
for (const value of values) for (const [name, encode] of Object.entries(encodings)) out[name + value] = [encode(value), { [encode(value)]: encode(value) }];
out.number = Number(values.find((value) => /^\\d+$/.test(value)));
writeFileSync(process.env.WORKFLOW_RESULT, JSON.stringify({ output: out }));
for (const value of values) appendFileSync(process.env.WORKFLOW_OUTPUT, JSON.stringify({ ["k" + value]: value }) + "\\n");`;
const fails = `
const head = "y".repeat(1990);
for (const value of values) console.error("Error: /nowhere/" + value + ": Permission denied");
console.error(head + values[0]);
process.exit(3);`;
const leaves = `
const { mkdirSync, writeFileSync } = require("node:fs");
mkdirSync(process.env.TMPDIR + "/out", { recursive: true });
for (const value of values) if (/^[\\w-]+$/.test(value) && value.length < 100) writeFileSync(process.env.TMPDIR + "/out/" + value + ".txt", "nothing");`;
const reaches = `
for (const value of values) {
  try { require("node:fs").readFileSync("/root/" + value); } catch (error) { console.log(String(error)); }
  const name = encodeURIComponent(value);
  try { await fetch("http://" + name.slice(0, 60) + ".invalid/" + name); } catch (error) { console.log(String(error)); }
}
require("node:fs").readFileSync("/etc/shadow-" + values[0]);`;

const tasks = [
  bun("prints", prints),
  bun("cuts", cuts),
  bun("returns", returns),
  bun("fails", fails),
  bun("leaves", leaves),
  bun("reaches", reaches),
  { id: "says", type: "core/log.write", inputs: { message: "{{ secrets.PLAIN }} {{ secrets.SIGNS }} {{ secrets.LINES }} {{ inputs.token }}" } },
  {
    id: "sets",
    type: "core/value.set",
    inputs: { a: "{{ secrets.SIGNS }}", b: ["{{ secrets.LINES }}", "{{ inputs.token }}"], c: "x{{ secrets.DIGITS }}" },
  },
  { id: "waits", type: "core/wait.for", inputs: { duration: "{{ secrets.PLAIN }}" }, allowFailure: true },
  { id: "wrong", type: "core/value.set", inputs: { a: "{{ int(secrets.PLAIN) }}" }, allowFailure: true },
  { id: "asks", type: "core/http.request", inputs: { url: "http://{{ secrets.PLAIN }}.invalid/{{ secrets.PLAIN }}" }, allowFailure: true },
  { id: "throws", type: "acme/leak.throw", inputs: { value: "{{ secrets.SIGNS }}", plain: "{{ secrets.PLAIN }}" }, allowFailure: true },
  { id: "crashes", type: "acme/leak.crash", inputs: { value: "{{ secrets.SIGNS }}", plain: "{{ secrets.PLAIN }}" }, allowFailure: true },
  { id: "misfits", type: "acme/leak.misfit", inputs: { value: "{{ secrets.SIGNS }}", plain: "{{ secrets.PLAIN }}" }, allowFailure: true },
  {
    id: "inputs",
    type: "acme/leak.throw",
    inputs: { value: "{{ secrets.SIGNS }}", plain: "{{ [secrets.PLAIN] }}", more: "{{ secrets.PLAIN }}" },
    allowFailure: true,
  },
  { id: "sleeps", run: 'sleep 2; printf %s "$T" > /dev/null', env: { T: "{{ secrets.PLAIN }}" } },
  {
    id: "reads",
    needs: ["sets", "returns"],
    run: 'test "$A" = "$B" && test "$C" = "$D" && echo the same',
    env: { A: "{{ secrets.SIGNS }}", B: "{{ tasks.sets.output.a }}", C: "{{ inputs.token }}", D: "{{ tasks.sets.output.b[1] }}" },
  },
];
const workflow = {
  id: "hunted",
  inputs: [
    { id: "token", type: "string", sensitive: true, required: true },
    { id: "open", type: "string", default: "" },
  ],
  secrets: Object.keys(secrets),
  tasks,
  finally: [{ id: "last", type: "core/log.write", inputs: { message: "{{ string(tasks.fails.error.message) }} {{ string(tasks.sets.output.a) }}" } }],
  outputs: { a: "{{ tasks.sets.output }}", b: "{{ tasks.returns.output }}" },
};

const plugin = `
import { definePlugin } from "autokestra/sdk";
type Input = { value: string; plain: string };
export default definePlugin({
  actions: {
    throw: ({ value, plain }: Input, ctx) => {
      ctx.log.info(value, { [value]: plain });
      throw Object.assign(ctx.fail(plain, "no " + value, { details: { [value]: [plain, value] } }), { cause: new Error(value) });
    },
    crash: ({ value, plain }: Input) => {
      console.error("panic: " + value);
      throw new Error("x".repeat(15990) + plain);
    },
    misfit: ({ value, plain }: Input) => ({ n: value, [plain]: value }),
  },
});`;
const manifest = `
namespace: acme
name: leak
version: 1.0.0
runtime: bun
entrypoint: main.ts
permissions: {}
actions:
  - { name: throw, input: { type: object, properties: { plain: { type: string }, value: { type: string } } } }
  - { name: crash, input: { type: object } }
  - { name: misfit, input: { type: object }, output: { type: object, properties: { n: { type: integer } } } }
`;

/** Deliveries are signed with one of the secrets, and hold all of them. */
const hooked = {
  id: "hooked",
  secrets: Object.keys(secrets),
  inputs: [
    { id: "day", type: "string", sensitive: true, pattern: "^sensitive" },
    { id: "all", type: "object" },
  ],
  triggers: [{ id: "push", type: "webhook", path: "day", secret: "PLAIN", inputs: { day: "{{ trigger.body.day }}", all: "{{ trigger.body }}" } }],
  tasks: [
    {
      id: "says",
      type: "core/log.write",
      inputs: { message: "{{ string(trigger.body.text) }} {{ trigger.headers['x-note'] }} {{ trigger.query }}" },
    },
  ],
};
/** Signatures that were sent. */
const proofs: ReturnType<typeof needlesOf> = [];
const proofOf = (body: string) => createHmac("sha256", secrets.PLAIN).update(body).digest("hex");

async function deliver(path: string, body: string, headers: Record<string, string>): Promise<{ status: number; text: string }> {
  const all = { "content-type": "application/json", "x-hub-signature-256": `sha256=${proofOf(body)}`, ...headers };
  if (all["x-hub-signature-256"] === "") Reflect.deleteProperty(all, "x-hub-signature-256");
  const answer = await fetch(`${server.url}/hooks/${path}`, { method: "POST", body, headers: all });
  return { status: answer.status, text: await answer.text() };
}

const home = new Home();
let server: Server;
let streamed = "";
const finds: Find[] = [];
const id = Bun.randomUUIDv7();

beforeAll(async () => {
  const folder = join(home.data, "plugins/acme/leak");
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "plugin.yaml"), manifest);
  writeFileSync(join(folder, "main.ts"), plugin);
  Bun.spawnSync(["chmod", "-R", "go-rwx", home.data]);
  for (const [name, value] of Object.entries(secrets)) {
    const set = await home.run(["secrets", "set", name], { stdin: value });
    expect([name, set.code, set.stderr]).toEqual([name, 0, expect.any(String)]);
  }
  server = await home.startServer();
  await server.apply("hunted", JSON.stringify(workflow));
  const stream = new AbortController();
  const reading = readStream(`${server.url}/v1/traces/stream?since_seq=0`, stream.signal);
  const started = await server.call("POST", "/api/v1/workflows/hunted/executions", {
    inputs: { token: sensitive, open: secrets.PLAIN },
    executionId: id,
  });
  expect([started.status, started.text]).toEqual([202, expect.any(String)]);
  const logs = readStream(`${server.url}/api/v1/executions/${id}/logs/stream`, stream.signal);
  await until(async () => {
    finds.push(...findInProcesses(needles, isTask));
    const { body } = await server.call("GET", `/api/v1/executions/${id}`);
    return (body as { execution: { endedAt: string | null } }).execution.endedAt;
  }, 90_000);
  stream.abort();
  await Promise.all([reading, logs]);
}, 120_000);
afterAll(() => server?.stop());

/** What runs a task has the task's variables; what leads to it has not. */
function isTask(command: string): boolean {
  return !command.includes("server\0start");
}

async function readStream(url: string, signal: AbortSignal): Promise<void> {
  const response = await fetch(url, { signal, headers: { authorization: `Bearer ${server.key}` } });
  try {
    for await (const chunk of response.body ?? []) streamed += new TextDecoder().decode(chunk);
  } catch {
    // Ended by the test.
  }
}

const routes = [
  `/api/v1/executions/${id}?include=inputs,timeline,trace`,
  `/api/v1/executions/${id}/tasks`,
  `/api/v1/executions/${id}/artifacts`,
  "/api/v1/executions",
  "/api/v1/workflows",
  "/api/v1/workflows/hunted",
  "/api/v1/workflows/hunted/revisions/1",
  "/api/v1/secrets",
  "/api/v1/status",
  "/v1/traces",
  "/metrics",
];

async function pages(path: string, items: string, cursor: string): Promise<string> {
  let text = "";
  for (let next: string | null = ""; next !== null; ) {
    const answer = await server.call("GET", `${path}${next === "" ? "" : `&${cursor}=${next}`}`);
    expect([path, answer.status]).toEqual([path, 200]);
    text += answer.text;
    const body = answer.body as Record<string, unknown> & { nextCursor?: string | null; has_more?: boolean };
    const events = (body[items] as { sequence?: number }[]) ?? [];
    next = body.nextCursor ?? (body.has_more === true ? String(events.at(-1)?.sequence) : null);
  }
  return text;
}

describe("[WF-09] the hunt", () => {
  test("the run itself was a good one: it did print, fail and end, and true values reached the next task", async () => {
    const { body } = await server.call("GET", `/api/v1/executions/${id}/tasks?limit=500`);
    const ends = (body as { tasks: { taskId: string; state: string; error: { code: string; message: string } | null; output: unknown }[] }).tasks;
    const states = Object.fromEntries(ends.map((task) => [task.taskId, task.error === null ? task.state : `${task.state} ${task.error.code}`]));
    expect(states).toMatchObject({
      prints: "SUCCESS",
      cuts: "SUCCESS",
      returns: "SUCCESS",
      leaves: "SUCCESS",
      says: "SUCCESS",
      sets: "SUCCESS",
      reads: "SUCCESS",
      waits: "FAILED TASK_INPUT_INVALID",
      wrong: "FAILED EXPRESSION_ERROR",
    });
    expect(ends.find((task) => task.taskId === "sets")?.output).toEqual({ a: "***", b: ["***", "***"], c: "x***" });
    for (const name of ["fails", "reaches", "asks", "throws", "crashes", "misfits", "inputs"])
      expect([name, states[name]]).toEqual([name, expect.stringMatching(/^FAILED/)]);
    expect(streamed.length).toBeGreaterThan(100_000);
    expect(Object.keys(encodings).length).toBeGreaterThan(20);
    expect(needles.length).toBeGreaterThan(100);
  });

  test("nothing in answers of the API, of any page", async () => {
    for (const path of routes) {
      const answer = await server.call("GET", path);
      expect([path, answer.status]).toEqual([path, 200]);
      finds.push(...findIn(path, answer.text, needles));
    }
    finds.push(...findIn("logs", await pages(`/api/v1/executions/${id}/logs?limit=500`, "items", "cursor"), needles));
    finds.push(...findIn("events", await pages(`/v1/traces/${id}/events?limit=500`, "events", "since_sequence"), needles));
    finds.push(...findIn("streams", streamed, needles));
    expect(finds).toEqual([]);
  });

  test("nothing on the screen of the CLI", async () => {
    for (const line of [
      `execution inspect ${id}`,
      `execution inspect ${id} --json`,
      `execution logs ${id} --limit 500`,
      `trace tail --trace-id ${id}`,
      "describe hunted",
      "secrets list",
    ]) {
      const shown = await home.run(line.split(" "));
      expect([line, shown.code]).toEqual([line, 0]);
      finds.push(...findIn(line, shown.stdout + shown.stderr, needles));
    }
    const source = home.path("hunted.json");
    writeFileSync(source, JSON.stringify({ ...workflow, id: "hunted-once" }));
    const run = await home.run(["run", source, "--inputs", "-"], { stdin: JSON.stringify({ token: sensitive }) });
    expect(run.stderr).toContain("prints");
    finds.push(...findIn("run", run.stdout + run.stderr, needles));
    const plan = await home.run(["plan", source, "--inputs", "-"], { stdin: JSON.stringify({ token: sensitive }) });
    finds.push(...findIn("plan", plan.stdout + plan.stderr, needles));
    expect(finds).toEqual([]);
  }, 60_000);

  test("nothing in refusals that quote what they were given", async () => {
    const wrong = [
      await server.call("POST", "/api/v1/workflows/hunted/executions", { inputs: { token: [sensitive] } }),
      await server.call("POST", "/api/v1/workflows/hunted/executions", { inputs: { token: { a: sensitive } } }),
      await server.call("PUT", "/api/v1/secrets/X", { value: [secrets.PLAIN] }),
      await server.call("PUT", "/api/v1/secrets/X", { value: secrets.PLAIN, more: secrets.PLAIN }),
      await server.call("PUT", "/api/v1/secrets/X", `{"value": "${secrets.PLAIN}`, { "content-type": "application/json" }),
    ];
    for (const answer of wrong) expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(wrong.flatMap((answer) => findIn("refusal", answer.text, needles))).toEqual([]);
  });

  test("nothing in a webhook's replies and refusals, nor in what a delivery leaves behind, its proof neither", async () => {
    await server.apply("hooked", JSON.stringify(hooked));
    await server.apply("lacking", JSON.stringify({ ...hooked, id: "lacking", secrets: [...hooked.secrets, "ABSENT"] }));
    const sent = {
      day: sensitive,
      text: `see ${secrets.SIGNS}`,
      [secrets.PLAIN]: [secrets.LINES, { n: Number(secrets.DIGITS) }],
      long: secrets.LONG,
    };
    const good = JSON.stringify(sent);
    proofs.push(...needlesOf({ proof: proofOf(good) }));
    const answers = [
      await deliver("hooked/day?q=" + encodeURIComponent(secrets.SIGNS), good, { "x-github-delivery": "hunt-1", "x-note": secrets.PLAIN }),
      await deliver("hooked/day", good, { "x-github-delivery": "hunt-1" }),
      await deliver("lacking/day", good, {}),
      await deliver("hooked/day", JSON.stringify({ ...sent, day: secrets.PLAIN }), {}),
      await deliver("hooked/day", JSON.stringify({ ...sent, day: [secrets.SIGNS] }), {}),
      await deliver("hooked/day", `{"${secrets.PLAIN}": ${secrets.DIGITS}`, {}),
      await deliver("hooked/day", good, { "webhook-id": `${secrets.PLAIN} x` }),
      await deliver("hooked/day", good, { "x-hub-signature-256": `sha256=${secrets.PLAIN}` }),
      await deliver("hooked/day", good, { "x-hub-signature-256": "", authorization: `Bearer ${sensitive}` }),
      await deliver(`hooked/nothing`, good, {}),
    ];
    expect(answers.map(({ status }) => status)).toEqual([202, 202, 202, 422, 422, 400, 400, 401, 401, 404]);
    for (const { text } of answers) finds.push(...findIn("webhook's reply", text, needles), ...findIn("webhook's reply", text, proofs));
    for (const { text } of [answers[0], answers[2]] as { text: string }[]) {
      const { execution_id: started } = JSON.parse(text) as { execution_id: string };
      const shown = await until(async () => {
        const answer = await server.call("GET", `/api/v1/executions/${started}?include=inputs,timeline,trace`);
        return (answer.body as { execution: { endedAt: string | null } }).execution.endedAt === null ? null : answer.text;
      });
      expect(shown).toContain("trigger_data");
      finds.push(...findIn("hooked execution", shown, [...needles, ...proofs]));
    }
    expect(finds).toEqual([]);
  }, 60_000);

  test("nothing in the database, its WAL, blobs, work folders and logs, while the server runs and after", async () => {
    expect(proofs.length).toBeGreaterThan(0);
    finds.push(...findBelow(home.data, [...needles, ...proofs]));
    expect(finds).toEqual([]);
    const ended = await server.stop();
    finds.push(...findIn("server's output", ended.stdout + ended.stderr, needles), ...findBelow(home.data, needles));
    expect(finds).toEqual([]);
  }, 60_000);
});
