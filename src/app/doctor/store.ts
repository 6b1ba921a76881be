// What doctor says of the data folder and of the store: modes, the database file, its schema, the newest events.
import { accessSync, constants, existsSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LoadedConfig } from "../../config/index.ts";
import { inspectSqlite, openSqliteStore, type Store } from "../../storage/index.ts";
import { verifyStore } from "../../trace/index.ts";
import { systemClock } from "../system.ts";
import { type Check, failed, failedBy, passed, warned } from "./check.ts";
import { nearest } from "./machine.ts";
import { checkSecrets } from "./secrets.ts";

/** Enough to see a store that was cut or put back badly; `trace verify` looks at all. */
const newestEvents = 1000;
const wholeHint = "Restore a backup of the store; `workflow trace verify` tells what is wrong with the record.";

/** Writes a file and removes it again. A folder that is not there yet is not made. */
export function checkDataFolder({ dataDir }: LoadedConfig): Check {
  try {
    if (!existsSync(dataDir)) {
      accessSync(nearest(dataDir), constants.W_OK);
      return passed("data", `${dataDir} is not there yet, and can be made`);
    }
    const stat = statSync(dataDir);
    if (!stat.isDirectory()) return failed("data", `${dataDir} is no folder`, "Name another with --data.");
    const probe = join(dataDir, `.doctor-${process.pid}`);
    writeFileSync(probe, "", { flag: "wx", mode: 0o600 });
    rmSync(probe);
    const mode = modeText(stat.mode);
    if ((stat.mode & 0o022) !== 0) return failed("data", `others may write ${dataDir} (mode ${mode})`, `Run: chmod 700 "${dataDir}"`);
    if ((stat.mode & 0o077) !== 0) return warned("data", `others may look into ${dataDir} (mode ${mode})`, `Run: chmod 700 "${dataDir}"`);
    if (process.getuid !== undefined && stat.uid !== process.getuid())
      return warned("data", `${dataDir} belongs to uid ${stat.uid}, which is not who runs this`, "Run `workflow` as that user.");
    return passed("data", `${dataDir} is writable (mode ${mode})`);
  } catch (cause) {
    return { ...failedBy("data", cause), message: `${dataDir} cannot be written: ${causeText(cause)}`, hint: "Name another with --data." };
  }
}

/** The checks of the database file, and when its newest event was written. */
export async function checkStore(loaded: LoadedConfig): Promise<{ checks: Check[]; newestEventAt: number | null }> {
  const path = loaded.storePath;
  if (!existsSync(path))
    return { checks: [passed("database", `${path} is not there yet`), passed("secrets", "none stored yet")], newestEventAt: null };
  try {
    const bare = findBareFile(path);
    // Opening the store would mend its mode unseen, and looking at it make files of the same mode beside it.
    if (bare !== null) return only(failed("database", `others may read ${bare.file} (mode ${bare.mode})`, `Run: chmod 600 "${bare.file}"`));
    const { damage, missing, unknown } = inspectSqlite(path);
    if (unknown === null) return only(failed("database", `${path} is no store of this program`, "Name another with storage.path."));
    if (damage.length > 0) return only(failed("database", `${path} is damaged: ${damage.join("; ")}`, wholeHint));
    const database = passed("database", `${path} is whole`);
    if (unknown.length > 0) {
      const hint = "Use the version of `workflow` that wrote this store, or a newer one.";
      return only(database, failed("schema", `migrations that this version does not know: ${unknown.join(", ")}`, hint));
    }
    // Opening the store would run them, and doctor changes nothing.
    if (missing.length > 0) return only(database, warned("schema", `migrations to be run: ${missing.join(", ")}`, "The next start runs them."));
    return await checkLedger(loaded, [database, passed("schema", "as this version writes it")]);
  } catch (cause) {
    return only(failedBy("database", cause));
  }
}

function only(...checks: Check[]): { checks: Check[]; newestEventAt: null } {
  return { checks, newestEventAt: null };
}

function findBareFile(path: string): { file: string; mode: string } | null {
  const files = [path, `${path}-wal`, `${path}-shm`].filter((file) => existsSync(file));
  const file = files.find((one) => (statSync(one).mode & 0o077) !== 0);
  return file === undefined ? null : { file, mode: modeText(statSync(file).mode) };
}

async function checkLedger(loaded: LoadedConfig, before: Check[]): Promise<{ checks: Check[]; newestEventAt: number | null }> {
  const store = openSqliteStore({ path: loaded.storePath, durability: loaded.config.storage.durability, now: systemClock.now() });
  try {
    return { checks: [...before, await verifyNewest(store), await checkSecrets(loaded, store)], newestEventAt: await findNewest(store) };
  } catch (cause) {
    return only(...before, failedBy("ledger", cause));
  } finally {
    await store.close();
  }
}

async function verifyNewest(store: Store): Promise<Check> {
  const openFresh = () => openSqliteStore({ path: ":memory:", durability: "normal", now: systemClock.now() });
  const { problem, events } = await verifyStore(store, { traceId: null, state: false, newest: newestEvents }, openFresh);
  if (problem !== null) {
    const place = problem.seq === null ? "" : `at seq ${problem.seq}: `;
    return failed("ledger", `${place}${problem.message}`, "Run: workflow trace verify --state");
  }
  const last = await store.lastSeq();
  return passed("ledger", last === 0 ? "no events yet" : `head at seq ${last}; the newest ${events} events follow each other`);
}

async function findNewest(store: Store): Promise<number | null> {
  const [event] = await store.listEvents({ afterSeq: (await store.lastSeq()) - 1, limit: 1 });
  return event?.time ?? null;
}

export function modeText(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, "0");
}

function causeText(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
