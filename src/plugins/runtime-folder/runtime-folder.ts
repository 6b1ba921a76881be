// `<data>/runtime/<version>-<sha256>/`: what plugins run with, written at first use and checked once by each process that uses it.
import { chmodSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { sha256Hex, version } from "../../base/index.ts";
import { openPack, type Pack, packedFiles } from "./pack.ts";

const folderMode = 0o755;
const readOnlyFile = 0o444;
const readOnlyFolder = 0o555;

/** The SDK below `node_modules`, the built-in actions below `actions`. */
export class RuntimeFolder {
  readonly #root: string;
  #ready: Promise<string> | null = null;

  constructor(dataDir: string) {
    this.#root = join(dataDir, "runtime");
  }

  /** The folder's path, when all in it is as it was built. @throws INTERNAL when there was no build; what the file system says */
  path(): Promise<string> {
    this.#ready ??= prepare(this.#root).catch((cause: unknown) => {
      this.#ready = null;
      throw cause;
    });
    return this.#ready;
  }
}

async function prepare(root: string): Promise<string> {
  const pack = await openPack();
  const folder = join(root, `${version}-${pack.sha256}`);
  if (isWhole(folder, pack)) return folder;
  mkdirSync(root, { recursive: true, mode: 0o700 });
  const draft = mkdtempSync(join(root, ".draft-"));
  try {
    write(draft, pack);
    install(draft, folder, pack);
  } finally {
    remove(draft);
  }
  return folder;
}

/** Exactly the packed files with exactly their bytes: an added one could be found by an import as well. */
function isWhole(folder: string, { files }: Pack): boolean {
  if (lstatSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) return false;
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const found = entries.filter((entry) => !entry.isDirectory());
  return found.length === files.length && files.every((file) => isSame(join(folder, file.path), file.sha256));
}

function isSame(path: string, sha256: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isFile() === true && sha256Hex(readFileSync(path)) === sha256;
}

function write(draft: string, pack: Pack): void {
  for (const { path, bytes } of packedFiles(pack)) {
    const file = join(draft, path);
    mkdirSync(dirname(file), { recursive: true, mode: folderMode });
    writeFileSync(file, bytes, { mode: readOnlyFile });
  }
  for (const entry of readdirSync(draft, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) chmodSync(join(entry.parentPath, entry.name), readOnlyFolder);
  }
  // The folder itself has to stay writable for its owner until it is renamed.
  chmodSync(draft, folderMode);
}

/** Another process may do the same at this moment: whichever comes first, the folder is whole. */
function install(draft: string, folder: string, pack: Pack): void {
  for (let tries = 0; ; tries += 1) {
    try {
      renameSync(draft, folder);
      chmodSync(folder, readOnlyFolder);
      return;
    } catch (cause) {
      if (isWhole(folder, pack)) return;
      if (tries > 2) throw cause;
      // Tampered with, or cut short: out of the way first, so that nobody runs a half-removed one.
      remove(setAside(folder));
    }
  }
}

function setAside(folder: string): string {
  const aside = `${mkdtempSync(join(dirname(folder), ".old-"))}/runtime`;
  try {
    renameSync(folder, aside);
  } catch {
    // somebody else was faster
  }
  return dirname(aside);
}

/** Folders without write permission keep what is in them from everybody but root. */
function remove(folder: string): void {
  if (lstatSync(folder, { throwIfNoEntry: false }) === undefined) return;
  chmodSync(folder, 0o700);
  for (const entry of readdirSync(folder, { withFileTypes: true })) if (entry.isDirectory()) remove(join(folder, entry.name));
  rmSync(folder, { recursive: true, force: true });
}
