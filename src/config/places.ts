// Where things are: the configuration file and the data folder (cli.md, Config and Data folder).
import { existsSync, mkdirSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { fail } from "../base/index.ts";
import type { LoadedConfig } from "./config.ts";
import { type Environment, variable } from "./environment.ts";

const fileName = "autokestra.yaml";
const localDataFolder = ".autokestra";

export type PlaceRequest = {
  /** The value of `--config` or of `--data`. */
  named: string | undefined;
  env: Environment;
  cwd: string;
};

/**
 * Absolute path of the configuration file; null when there is none.
 * @throws CONFIG_MISSING when one was named that does not exist
 */
export function findConfigFile({ named, env, cwd }: PlaceRequest): string | null {
  const wanted = named ?? variable(env, "AUTOKESTRA_CONFIG");
  if (wanted !== null) {
    const path = resolve(cwd, wanted);
    if (isFile(path)) return path;
    throw fail("CONFIG_MISSING", `Cannot read the configuration "${wanted}": no such file`, { hint: "`workflow init` writes one." });
  }
  const candidates = [join(cwd, fileName), join(userFolder(env, "XDG_CONFIG_HOME", ".config"), "autokestra", fileName)];
  return candidates.find(isFile) ?? null;
}

/** Absolute path of the data folder, which may not exist yet. */
export function resolveDataDir({ named, env, cwd }: PlaceRequest): string {
  const wanted = named ?? variable(env, "AUTOKESTRA_HOME");
  if (wanted !== null) return resolve(cwd, wanted);
  const local = join(cwd, localDataFolder);
  if (isFolder(local)) return local;
  return join(userFolder(env, "XDG_DATA_HOME", join(".local", "share")), "autokestra");
}

/** Makes the data folder, for its owner only, where it does not exist yet. @throws STORE_UNAVAILABLE */
export function ensureDataDir(loaded: LoadedConfig): void {
  try {
    mkdirSync(loaded.dataDir, { recursive: true, mode: 0o700 });
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw fail("STORE_UNAVAILABLE", `Cannot make the data folder "${loaded.dataDir}": ${text}`, { hint: "Name another with --data.", cause });
  }
}

// The XDG base directory rules: a variable that holds a relative path is to be ignored.
function userFolder(env: Environment, name: string, fallback: string): string {
  const named = variable(env, name);
  return named !== null && isAbsolute(named) ? named : join(variable(env, "HOME") ?? homedir(), fallback);
}

function isFile(path: string): boolean {
  return existsSync(path) && !statSync(path).isDirectory();
}

function isFolder(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory();
}
