// backup and restore: one file out of the store of this machine, and a store out of one file.
import { resolve } from "node:path";
import type { BackupReport, BackupStep, OnBackupProgress, RestoreReport } from "../../app/index.ts";
import { fail, isCoded } from "../../base/index.ts";
import { ensureDataDir, type LoadedConfig, readServerFile } from "../../config/index.ts";
import { findNamedServer, openStore } from "../connect.ts";
import type { CliContext } from "../context.ts";
import type { SignalName } from "../io.ts";
import { countOf } from "../render/count.ts";
import { visibleLine } from "../render/visible.ts";
import { lockDataDir } from "../server-process/data-lock.ts";
import { signalExits } from "../signals.ts";

type BackupValues = { file: string; force: boolean; withKeys: boolean };

export async function createBackup(context: CliContext, { file, force, withKeys }: BackupValues): Promise<number> {
  await requireHere(context, "back up");
  const path = pathOf(context, file);
  return await untilSignal(context, async (signal) => {
    const app = await openStore(context, "command");
    const done = await app.backups.create({ file: path, force, withKeys, signal, onProgress: progressOn(context) });
    printBackup(context, done);
  });
}

function printBackup(context: CliContext, done: BackupReport): void {
  for (const line of keyRemarks(done)) context.remark(line);
  const { file, bytes, events, executions, blobs, keyId, sha256, lastSeq } = done;
  if (context.common.json) return context.printJson({ file, bytes, events, executions, blobs, keyId, sha256, lastSeq });
  context.print(`${visibleLine(file)}  ${countOf(bytes, "byte")}, ${contentsOf(done)}\nsha256  ${sha256}\n`);
}

function keyRemarks({ keyId, isKeyGiven, keyFiles, keysLeftOut }: BackupReport): string[] {
  const lines: string[] = [];
  if (keyFiles > 0) lines.push("Key files are in it: who has it can read every secret that is encrypted with them. Keep it as safe as the keys.");
  if (keyId === null) return lines;
  if (isKeyGiven) lines.push("Secrets in it are encrypted. The key is AUTOKESTRA_SECRET_KEY; it is not in the file, keep it apart.");
  else if (keysLeftOut !== null)
    lines.push(`Secrets in it are encrypted, and their keys are not in it. Keep a copy of this folder apart: ${visibleLine(keysLeftOut)}`);
  return lines;
}

export async function restoreBackup(context: CliContext, { file, force }: { file: string; force: boolean }): Promise<number> {
  const loaded = await requireHere(context, "restore");
  const path = pathOf(context, file);
  return await untilSignal(context, async (signal) => {
    const { restoreStore } = await import("../../app/index.ts");
    const lock = await lockForRestore(loaded);
    try {
      printRestored(context, await restoreStore({ loaded, file: path, force, signal, onProgress: progressOn(context) }));
    } finally {
      lock.release();
    }
  });
}

/** As a server takes it, so that none starts meanwhile. */
async function lockForRestore(loaded: LoadedConfig): Promise<{ release(): void }> {
  const isRunning = (details: Record<string, unknown>, cause?: unknown) =>
    fail("SERVER_RUNNING", `Cannot restore: a server runs on "${loaded.dataDir}"`, {
      details,
      hint: "Stop it with: workflow server stop",
      ...(cause === undefined ? {} : { cause }),
    });
  const server = readServerFile(loaded.dataDir);
  if (server !== null) throw isRunning({ pid: server.pid, url: server.url });
  ensureDataDir(loaded);
  try {
    return await lockDataDir(loaded.dataDir);
  } catch (cause) {
    throw isCoded(cause, "SERVER_RUNNING") ? isRunning({}, cause) : cause;
  }
}

function printRestored(context: CliContext, done: RestoreReport): void {
  for (const path of done.setAside) context.note(`What was there before is kept: ${visibleLine(path)}`);
  if (done.keyProblem !== null) {
    const advice = done.keyHint ?? `Put the key there that they were encrypted with, ${done.keyId}`;
    context.remark(`The secrets in it cannot be read here yet: ${visibleLine(done.keyProblem)}. ${visibleLine(advice)}`);
  }
  if (context.common.json) return context.printJson(done);
  const { file, createdAt } = done;
  context.print(`restored  ${visibleLine(file)} of ${visibleLine(createdAt)}: ${contentsOf(done)}\n`);
}

function contentsOf({ events, executions, blobs }: { events: number; executions: number; blobs: number }): string {
  return [countOf(events, "event"), countOf(executions, "execution"), countOf(blobs, "blob")].join(", ");
}

/** Both work on files, which are here: a server elsewhere has its own. */
async function requireHere(context: CliContext, what: string): Promise<LoadedConfig> {
  const loaded = await context.loadConfig();
  const named = findNamedServer(context, loaded);
  if (named === null || named.isOwn) return loaded;
  throw fail("USAGE", `Cannot ${what} the store of ${named.url}: this works on the files of this machine`, {
    hint: "Run it where the store is, with --data, and without --server and AUTOKESTRA_SERVER_URL.",
  });
}

function pathOf(context: CliContext, file: string): string {
  if (file === "-") throw fail("USAGE", "Cannot use stdin or stdout here: name a file");
  return resolve(context.io.cwd, file);
}

/** A signal ends the work, which then cleans up after itself. */
async function untilSignal(context: CliContext, work: (signal: AbortSignal) => Promise<void>): Promise<number> {
  const ended = new AbortController();
  let exit = 0;
  const release = context.io.onSignal((name: SignalName) => {
    exit = signalExits[name];
    ended.abort();
  });
  try {
    await work(ended.signal);
    return 0;
  } catch (thrown) {
    if (exit === 0 || isCoded(thrown)) throw thrown;
    return exit;
  } finally {
    release();
  }
}

const stepTexts: Readonly<Record<BackupStep, string>> = {
  copy: "Copying the database",
  pack: "Packing",
  check: "Checking the file",
  unpack: "Unpacking",
  verify: "Proving the record",
};
/** A line every so often: enough to see that it goes on. */
const progressEveryMs = 2000;

function progressOn(context: CliContext): OnBackupProgress {
  const startedAt = context.io.now();
  let toldAt = startedAt;
  return (step, done, total) => {
    const now = context.io.now();
    // What is over at once needs no telling; steps that cannot tell where they are say that they began.
    if (total === 0) return context.detail(`${stepTexts[step]} …`);
    if (now - toldAt < progressEveryMs) return;
    toldAt = now;
    context.note(`${stepTexts[step]}: ${Math.floor((done / total) * 100)} % of ${Math.ceil(total / 1_000_000)} MB`);
  };
}
