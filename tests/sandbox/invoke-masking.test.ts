// Secrets in what real tasks print, claim and are denied; and what of them could come to lie on a disk or in a list of processes.
import { afterAll, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { JsonObject } from "../../src/base/index.ts";
import { Masker } from "../../src/secrets/index.ts";
import { until } from "../product/binary.ts";
import { errorOf, granting, outputOf } from "./invoke-world.ts";
import { WarmWorld } from "./warm-world.ts";

const world = new WarmWorld();
afterAll(() => world.closeAll());

const value = "hush-7f3a/Secret+Value=";
const half = "hush-7f3a";

function maskerOf(...values: string[]): Masker {
  const masker = new Masker();
  masker.add(values);
  return masker;
}

test("[WF-09] a script that prints its secret in pieces, in many forms, and fails: lines and error are masked", async () => {
  const text = `printf '%s' "$S" | dd bs=1 2>/dev/null; echo
printf %s "$S" | base64; echo "$S" >&2; printf '{"level":"warn","message":"m","s":"%s"}\\n' "$S"
exit 3`;
  const done = await world.sh(text, { env: { S: value }, masker: maskerOf(value) });
  expect(done.lines.filter(({ source }) => source === "stdout")).toEqual([
    { source: "stdout", level: "INFO", message: "***", metadata: null },
    { source: "stdout", level: "INFO", message: "***", metadata: null },
    { source: "stdout", level: "WARN", message: "m", metadata: { s: "***" } },
  ]);
  expect(errorOf(done)).toMatchObject({ code: "PLUGIN_EXIT", details: { exitCode: 3, stderr: "***" } });
  expect(JSON.stringify(done)).not.toContain(half);
});

test("[WF-09] the output of a script is what it printed: masking it is the engine's, which keeps the true one sealed", async () => {
  const done = await world.sh('echo "a $S"; echo "k=$S" >> "$WORKFLOW_OUTPUT"', { env: { S: value }, masker: maskerOf(value) });
  expect(outputOf(done)).toEqual({ exitCode: 0, stdout: `a ${value}`, k: value });
  expect(done.lines.map(({ message }) => message)).toEqual(["a ***"]);
});

test("[WF-09] what a plugin throws is masked in all its parts, cold and warm, and a warm worker masks by the call that it serves", async () => {
  const body = `console.log("got " + input.s);
    if (input.fail) ctx.fail("NO_" + input.s, "cannot " + input.s + "!", { retryable: false, details: { [input.s]: [input.s] } });
    return { id, count, s: input.s };`;
  const cold = await world.call({ ...world.warm(body, 0) }, { s: value, fail: true }, { masker: maskerOf(value) });
  const action = world.warm(body);
  const other = "another-Secret-8812";
  const first = await world.call(action, { s: value }, { masker: maskerOf(value), executionId: "one" });
  const second = await world.call(action, { s: other }, { masker: maskerOf(other), executionId: "two" });
  const warm = await world.call(action, { s: value, fail: true }, { masker: maskerOf(value) });
  expect([outputOf(first), outputOf(second)]).toMatchObject([
    { s: value, count: 1 },
    { s: other, count: 2 },
  ]);
  for (const { lines } of [first, second, cold, warm]) expect(lines.map(({ message }) => message)).toContain("got ***");
  for (const done of [cold, warm]) {
    expect(errorOf(done)).toMatchObject({ code: "TASK_FAILED", message: "cannot ***!", details: { claimedCode: "NO_***" } });
    expect(JSON.stringify(done)).not.toContain(half);
  }
});

test("[WF-09] a warm worker whose mark holds a value ends its calls all the same", async () => {
  const action = world.warm("process.stdout.write('no end'); return { id, count };");
  // Every mark has all sixteen digits in it, more or less: none of them may be taken for a value.
  const masker = maskerOf(...[..."0123456789abcdef"].map((digit) => digit.repeat(4)), "\nold");
  const counts = [];
  for (let call = 0; call < 3; call += 1) {
    const done = await world.call(action, {}, { masker });
    counts.push((outputOf(done) as JsonObject)["count"]);
    expect(done.lines.map(({ message }) => message)).toEqual(["no end"]);
  }
  expect(counts).toEqual([1, 2, 3]);
});

test("[WF-09] a mark that a worker prints into the middle of a value does not part it", async () => {
  const action = world.python(`
s = input["s"]
os.write(1, ("a " + s[:12] + mark + "\\n" + s[12:] + " b\\n").encode())
os.write(2, (mark + "\\n").encode())
os.write(3, (mark + " " + json.dumps({"output": {}}) + "\\n").encode())`);
  const done = await world.call(action, { s: value }, { masker: maskerOf(value) });
  expect(done.lines.map(({ message }) => message)).toEqual(["a *** b"]);
});

test("[WF-09] a value that a task was killed in is masked in its log", async () => {
  for (const end of ["kill -9 $$", "kill -SEGV $$", "exit 1"]) {
    const done = await world.sh(`printf 'token=%s' "\${S%?}"; printf 'E %s' "\${S%????}" >&2; ${end}`, {
      env: { S: value },
      masker: maskerOf(value),
    });
    expect(done.lines.map(({ message }) => message).toSorted()).toEqual(["E ***", "token=***"]);
    expect(errorOf(done).details).toMatchObject({ stderr: "E ***" });
  }
});

test("[WF-09] denials do not tell a value, neither as a path nor as a grant", async () => {
  const name = "hush-name-55";
  const done = await world.sh(`cat "${world.write("denied", { [`${name}.txt`]: "x" })}/$S.txt"`, { env: { S: name }, masker: maskerOf(name) });
  expect(errorOf(done).code).toMatch(/^(?:PERMISSION_DENIED|PLUGIN_EXIT)$/);
  expect(JSON.stringify(done)).not.toContain(name);
  const host = await world.sh("curl -sS --max-time 5 http://$S.example.com/", {
    env: { S: name },
    masker: maskerOf(name),
    ...granting({ network: ["other.example.com:443"], run: true }),
  });
  expect(host.denials.map(({ target }) => target)).toContain("***.example.com:80");
  expect(JSON.stringify([host.denials, host.lines])).not.toContain(name);
});

test("[WF-09] a name that is no artifact is told masked", async () => {
  const done = await world.sh('mkdir "$HOME/out" && mkfifo "$HOME/out/$S"', { env: { S: half }, masker: maskerOf(half) });
  expect(done.lines.filter(({ source }) => source === "engine").map(({ metadata }) => (metadata as JsonObject)["name"])).toEqual(["***"]);
});

// Limits and lists of processes are read from /proc.
const onLinux = process.platform === "linux";

test.skipIf(!onLinux)("no task may leave a core dump, in no mode", async () => {
  for (const sandbox of ["enforce", "observe", "off"] as const) {
    const done = await world.sh("ulimit -S -c; ulimit -H -c", { sandbox });
    expect(outputOf(done)).toMatchObject({ stdout: "0\n0" });
  }
});

test.skipIf(!onLinux)("[WF-09] inputs and env of a task stand in no list of processes", async () => {
  const file = join(world.folder, "ready");
  const hold = `require("node:fs").writeFileSync(${JSON.stringify(file)}, "x"); await new Promise((done) => setTimeout(done, 60_000));`;
  const action = world.plugin({
    "main.ts": `import { definePlugin } from "autokestra/sdk";
export default definePlugin({ actions: { run: async () => { ${hold} return {}; } } });`,
  });
  const permissions = granting({ filesystem: { read: [], write: [world.folder] } });
  const { run, finish } = world.start(action, { s: value }, { env: { S: value }, masker: maskerOf(value), sandbox: "off", ...permissions });
  await until(() => (readdirSync(world.folder).includes("ready") ? true : null));
  const lists = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8");
      } catch {
        return ""; // it has ended meanwhile
      }
    });
  run.kill();
  await finish();
  expect(lists.some((list) => list.includes("main.ts"))).toBe(true);
  expect(lists.filter((list) => list.includes(half))).toEqual([]);
});

test.skipIf(!onLinux)("the engine forbids core dumps to itself and all that it starts", () => {
  const source = new URL("../../src/plugins/runtimes/core-dumps.ts", import.meta.url).pathname;
  const script = `import { disableCoreDumps } from ${JSON.stringify(source)};
    const before = performance.now(); const done = disableCoreDumps(); const ms = performance.now() - before;
    const child = Bun.spawnSync(["sh", "-c", "ulimit -H -c"]).stdout.toString().trim();
    const limits = await Bun.file("/proc/self/limits").text();
    console.log(JSON.stringify({ done, child, ms, own: limits.match(/^Max core file size +(\\S+) +(\\S+)/m).slice(1) }));`;
  const ended = Bun.spawnSync(["sh", "-c", 'ulimit -S -c unlimited 2>/dev/null; exec "$0" -e "$1"', process.execPath, script]);
  const { ms, ...told } = JSON.parse(ended.stdout.toString()) as { ms: number };
  expect(told as unknown).toEqual({ done: true, child: "0", own: ["0", "0"] });
  expect(ms).toBeLessThan(50); // about half a millisecond, on a machine that does nothing else
});
