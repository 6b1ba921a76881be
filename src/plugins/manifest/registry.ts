// Which actions there are: the built-in ones, and those of the plugins that lie below the given paths. Nothing is read before
// an action outside core/ is looked up or a list is asked for, and what was read is looked at again before it is used.
import { lstatSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Clock, isCoded, limits, toErrorBody } from "../../base/index.ts";
import {
  type ActionDescription,
  type ActionProblem,
  type CallableAction,
  coreActions,
  type Diagnostic,
  findCoreAction,
  type InstalledPlugin,
  type PluginManifest,
} from "../../model/index.ts";
import { callableOf, describeAction } from "./callable.ts";
import { parseManifest } from "./parse-manifest.ts";
import type { FindSchemaProblem } from "./ports.ts";
import { hashTree, stampTree } from "./tree.ts";

export type RegistryDeps = {
  /** Absolute folders of `<namespace>/<name>/plugin.yaml`; a plugin that lies in several is taken from the first. */
  paths: readonly string[];
  /** Of this program, for `engines`. */
  version: string;
  clock: Clock;
  findSchemaProblem: FindSchemaProblem;
};

/** A plugin's folder and what became of reading it; `plugin` is null when an error is among the diagnostics. */
export type PluginEntry = { namespace: string; name: string; folder: string; plugin: InstalledPlugin | null; diagnostics: Diagnostic[] };

type Known = { entry: PluginEntry; manifestStamp: string; treeStamp: string; files: number; checkedAt: number };

/** A tree of so few files is looked at before every use; a larger one at most once in `largeTreeMs`. */
const smallTreeFiles = 300;
const largeTreeMs = 1000;
const namePattern = /^[a-z0-9-]{1,64}$/;

export class PluginRegistry {
  readonly #deps: RegistryDeps;
  readonly #known = new Map<string, Known>();

  constructor(deps: RegistryDeps) {
    this.#deps = deps;
  }

  /** The action of that name, ready to be called; null when this version cannot run it, or its plugin is not installed or broken. */
  find(action: string): CallableAction | null {
    const core = findCoreAction(action);
    if (core !== null) return core.available ? callableOf(core) : null;
    const found = this.#findAction(action);
    return found === null ? null : callableOf(describeAction(found.manifest, found.action), found.installed, found.action);
  }

  /** What the language and people need to know of an action; also for built-ins that this version cannot run yet. */
  describe(action: string): ActionDescription | null {
    const found = findCoreAction(action) ?? this.#findAction(action);
    if (found === null || !("installed" in found)) return found;
    return describeAction(found.manifest, found.action);
  }

  /** Why a task with that action would not run; null when it can be called, and for what is no plugin's. Approvals are the store's matter. */
  problemOf(action: string): ActionProblem | null {
    if (action.startsWith("core/") || !action.includes(".") || this.#findAction(action) !== null) return null;
    const entry = this.findPlugin(action.slice(0, action.indexOf(".")));
    if (entry === null) return { kind: "not-installed", known: this.list().flatMap(actionsOf) };
    if (entry.plugin !== null) return { kind: "no-such-action", known: actionsOf(entry) };
    const { folder, diagnostics } = entry;
    const first = diagnostics.find(({ severity }) => severity === "error");
    const problem = first === undefined ? "its manifest has errors" : `${first.file}:${first.line}:${first.column}: ${first.message}`;
    return { kind: "broken", folder, problem, diagnostics };
  }

  /** The plugin `namespace/name`, also a broken one; null when there is none. Built-ins are not among them. */
  findPlugin(id: string): PluginEntry | null {
    const [namespace = "", name = "", ...rest] = id.split("/");
    if (rest.length > 0 || !namePattern.test(namespace) || !namePattern.test(name)) return null;
    for (const path of this.#deps.paths) {
      const folder = join(path, namespace, name);
      const manifestStamp = stampOf(join(folder, "plugin.yaml"));
      if (manifestStamp !== null) return this.#look({ namespace, name, folder }, manifestStamp);
    }
    return null;
  }

  /** Every plugin below the paths by name, broken ones too. */
  list(): PluginEntry[] {
    const ids = new Set(this.#deps.paths.flatMap(idsBelow));
    return [...ids]
      .toSorted()
      .slice(0, limits.pluginsMax)
      .flatMap((id) => this.findPlugin(id) ?? []);
  }

  /** Names of the built-in plugins with their actions. */
  builtIns(): Map<string, ActionDescription[]> {
    return Map.groupBy(coreActions, ({ action }) => action.slice(0, action.indexOf(".")));
  }

  /** Forgets everything that was read. */
  reload(): void {
    this.#known.clear();
  }

  #findAction(action: string) {
    const dot = action.indexOf(".");
    const installed = dot < 0 || action.startsWith("core/") ? null : (this.findPlugin(action.slice(0, dot))?.plugin ?? null);
    const found = installed?.manifest.actions.find(({ name }) => name === action.slice(dot + 1));
    return installed === null || found === undefined ? null : { installed, manifest: installed.manifest, action: found };
  }

  #look(place: Pick<PluginEntry, "namespace" | "name" | "folder">, manifestStamp: string): PluginEntry {
    const known = this.#known.get(place.folder);
    const now = this.#deps.clock.now();
    const isLarge = known !== undefined && known.files > smallTreeFiles && now - known.checkedAt < largeTreeMs;
    if (known !== undefined && known.manifestStamp === manifestStamp && (isLarge || known.treeStamp === treeStampOf(place.folder).stamp)) {
      if (!isLarge) known.checkedAt = now;
      return known.entry;
    }
    // Stamped before it is read: a change meanwhile shows at the next look.
    const { stamp, files } = treeStampOf(place.folder);
    const entry = this.#read(place);
    this.#known.set(place.folder, { entry, manifestStamp, treeStamp: stamp, files, checkedAt: now });
    return entry;
  }

  #read(place: Pick<PluginEntry, "namespace" | "name" | "folder">): PluginEntry {
    const { folder } = place;
    const file = join(folder, "plugin.yaml");
    const { version, findSchemaProblem } = this.#deps;
    try {
      if (statSync(file).size > limits.manifestBytesMax)
        return { ...place, plugin: null, diagnostics: [problemAt(file, `The manifest has more than ${limits.manifestBytesMax} bytes`)] };
      const text = readFileSync(file, "utf8");
      const { manifest, diagnostics } = parseManifest({ text, file, folder, isPlaced: true, version, findSchemaProblem });
      return { ...place, plugin: manifest === null ? null : installedOf(manifest, folder), diagnostics };
    } catch (thrown) {
      // A tree that cannot be hashed, or a file that cannot be read: this plugin's problem, and no other's.
      const message = isCoded(thrown) ? thrown.message : `The plugin cannot be read: ${toErrorBody(thrown).message.replace(/^Internal error: /, "")}`;
      return { ...place, plugin: null, diagnostics: [problemAt(file, message)] };
    }
  }
}

/** Full names. */
function actionsOf({ namespace, name, plugin }: PluginEntry): string[] {
  return plugin?.manifest.actions.map((action) => `${namespace}/${name}.${action.name}`) ?? [];
}

function installedOf(manifest: PluginManifest, folder: string): InstalledPlugin {
  return { manifest, folder, sha256: hashTree(folder) };
}

function problemAt(file: string, message: string): Diagnostic {
  return { severity: "error", code: "BAD_VALUE", path: "", message, file, line: 1, column: 1 };
}

function treeStampOf(folder: string): { stamp: string; files: number } {
  try {
    return stampTree(folder);
  } catch (thrown) {
    return { stamp: toErrorBody(thrown).message, files: 0 };
  }
}

/** Null when there is no such file. */
function stampOf(path: string): string | null {
  try {
    const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    return stat === undefined ? null : [stat.mtimeNs, stat.ctimeNs, stat.size, stat.ino].join(" ");
  } catch {
    return null;
  }
}

function idsBelow(path: string): string[] {
  return foldersIn(path).flatMap((namespace) =>
    foldersIn(join(path, namespace))
      .filter((name) => stampOf(join(path, namespace, name, "plugin.yaml")) !== null)
      .map((name) => `${namespace}/${name}`),
  );
}

function foldersIn(path: string): string[] {
  try {
    return readdirSync(path)
      .filter((name) => namePattern.test(name))
      .slice(0, limits.pluginsMax);
  } catch {
    // A path that is not there, or is no folder, holds no plugins.
    return [];
  }
}
