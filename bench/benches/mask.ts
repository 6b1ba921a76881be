// What masking costs: lines of a task from its stdout to its log, and JSON that is shown.
import type { Json } from "../../src/base/index.ts";
import { AttemptLog } from "../../src/logs/index.ts";
import { TaskOutput } from "../../src/plugins/invoke/task-output.ts";
import { Masker } from "../../src/secrets/index.ts";
import { type BenchContext, rate, timed } from "../harness/bench.ts";
import { atLeast } from "../harness/row.ts";

const lines = 200_000;
/** The specification's own figure. */
const linesPerSecondMin = 300_000;
/** As a pipe gives them. */
const chunkBytes = 64 * 1024;
const outputBytes = 64 * 1024 * 1024;

/** An API key, a password, a token, a passphrase and a private key of 28 lines. */
const secrets = [
  "sk_live_4eC39HqLyjWDarjtT1zdp7dc",
  "p@ss w\u00f6rd/\"42'",
  "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
  "correct-horse-battery",
  ["-----BEGIN PRIVATE KEY-----", ...Array.from({ length: 26 }, (_, line) => textOf(line, 64)), "-----END PRIVATE KEY-----", ""].join("\n"),
];

export async function mask(context: BenchContext): Promise<void> {
  const plain = chunksOf(
    (line) => `2026-01-02T03:04:05.678Z request ${line} to /api/v1/items/${textOf(line, 12)} took ${line % 97} ms at worker ${line % 8}`,
  );
  const told = chunksOf(
    (line) => `2026-01-02T03:04:05.678Z request ${line} with ${line % 10 === 0 ? secrets[(line / 10) % 4] : textOf(line, 24)} took ${line % 97} ms`,
  );
  for (const [work, chunks] of [
    ["lines of 100 characters", plain],
    ["the same, a secret in one of ten", told],
  ] as const) {
    const floor = { floorName: "as specified", goal: atLeast(1), floor: () => linesPerSecondMin };
    await context.compare({ work: `${work}, stdout to log, 5 secrets`, unit: "/s", ours: () => ingest(chunks, secrets), ...floor });
  }
  await context.compare({
    work: "lines of 100 characters, stdout to log, 5 secrets",
    unit: "/s",
    floorName: "no secrets",
    goal: null,
    ours: () => ingest(plain, secrets),
    floor: () => ingest(plain, []),
  });
  const json = rowsOf(1024 * 1024);
  const masker = maskerOf(secrets);
  await context.compare({
    work: "JSON of 1 MiB, 5 secrets, none in it",
    unit: "ms",
    floorName: "JSON.stringify",
    goal: null,
    ours: () => timed(() => masker.json(json)),
    floor: () => timed(() => JSON.stringify(json)),
  });
}

async function ingest(chunks: readonly Uint8Array[], values: readonly string[]): Promise<number> {
  const log = new AttemptLog({ executionId: "bench", task: "bench", itemIndex: null, attempt: 1 });
  let taken = 0;
  const ms = await timed(async () => {
    const output = new TaskOutput(
      (line) => {
        log.add({ ...line, time: 0 });
        // As the engine does with a batch: nothing of it is kept here.
        if (log.pending >= 1000) taken += log.take().length;
      },
      { outputBytes, masker: maskerOf(values) },
    );
    await output.read(each(chunks), each([]));
  });
  taken += log.take().length;
  if (taken !== lines) throw new Error(`${taken} lines of ${lines} came to the log`);
  return rate(lines, ms);
}

async function* each(chunks: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  yield* chunks;
}

function maskerOf(values: readonly string[]): Masker {
  const masker = new Masker();
  masker.add(values);
  return masker;
}

function chunksOf(line: (number: number) => string): Uint8Array[] {
  const bytes = Buffer.from(Array.from({ length: lines }, (_, number) => `${line(number)}\n`).join(""));
  return Array.from({ length: Math.ceil(bytes.length / chunkBytes) }, (_, place) => bytes.subarray(place * chunkBytes, (place + 1) * chunkBytes));
}

function rowsOf(bytes: number): Json {
  const row = (id: number) => ({ id, name: textOf(id, 20), isActive: true, note: `${textOf(id, 40)} ${textOf(id + 1, 30)}` });
  const length = Math.ceil(bytes / JSON.stringify(row(1000)).length);
  return { rows: Array.from({ length }, (_, id) => row(id)) };
}

/** Letters and digits that look drawn at random, the same in each run. */
function textOf(seed: number, length: number): string {
  return Bun.SHA512_256.hash(`${seed}`, "base64").replaceAll(/[^\w]/g, "x").repeat(2).slice(0, length);
}
