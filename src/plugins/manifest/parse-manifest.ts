// plugin.yaml: text → values → checks → manifest. All findings at once, each with its place; unknown keys are warnings.
import { basename, dirname } from "node:path";
import { isObject, type JsonObject, limits, parseDuration } from "../../base/index.ts";
import { findSchemaProblems } from "../../config/index.ts";
import {
  type Diagnostic,
  findNetworkProblem,
  findPathProblem,
  hasErrors,
  isNeverCopied,
  limitKeys,
  type Permissions,
  type PluginAction,
  type PluginManifest,
} from "../../model/index.ts";
import { findEntrypointProblem } from "./entrypoint.ts";
import { exceedingEntries } from "./exceeding.ts";
import { ManifestForm, type ManifestValues } from "./manifest-schema.ts";
import { type ManifestFinding, readManifestSource } from "./manifest-source.ts";
import type { FindSchemaProblem } from "./ports.ts";

export type ManifestRequest = {
  text: string;
  /** Name of the manifest in findings. */
  file: string;
  /** Absolute path of the plugin's folder. */
  folder: string;
  /** Whether the folder's place counts: its name and its parent's must be the plugin's. */
  isPlaced: boolean;
  /** Of this program, for `engines`. */
  version: string;
  findSchemaProblem: FindSchemaProblem;
};

export type ParsedManifest = { manifest: PluginManifest | null; diagnostics: Diagnostic[] };

/** Checks a manifest. `manifest` is null exactly when a finding is an error. */
export function parseManifest(request: ManifestRequest): ParsedManifest {
  const { text, file } = request;
  const isTooLarge = text.length > limits.manifestBytesMax || Buffer.byteLength(text) > limits.manifestBytesMax;
  const source = readManifestSource(isTooLarge ? "" : text, file);
  if (isTooLarge) {
    const message = `The manifest has more than ${limits.manifestBytesMax} bytes`;
    return { manifest: null, diagnostics: [source.toDiagnostic({ code: "YAML_LIMIT", at: [], message })] };
  }
  if (source.values === null) return { manifest: null, diagnostics: source.findings.map((finding) => source.toDiagnostic(finding)) };
  const form = findFormProblems(source.values);
  // Each later check looks at values whose form is right, whatever is wrong elsewhere.
  const misfits = new Set(form.filter((finding) => finding.warning !== true).map(({ at }) => at.join("\0")));
  const isFit = (at: readonly string[]): boolean =>
    at.every((_, index) => !misfits.has(at.slice(0, index + 1).join("\0"))) &&
    ![...misfits].some((misfit) => misfit.startsWith(`${at.join("\0")}\0`));
  const findings = [...form, ...findMeaningProblems(source.values as unknown as Partial<ManifestValues>, isFit, request)];
  const diagnostics = findings
    .slice(0, limits.diagnosticsMax)
    .map((finding) => source.toDiagnostic(finding))
    .toSorted((a, b) => a.line - b.line || a.column - b.column);
  return { manifest: hasErrors(diagnostics) ? null : buildManifest(source.values as unknown as ManifestValues), diagnostics };
}

function findFormProblems(values: JsonObject): ManifestFinding[] {
  return findSchemaProblems(ManifestForm, values).map(({ code, at, message, hint }) => ({
    code,
    at,
    message,
    ...(hint === undefined ? {} : { hint }),
    ...(code === "UNKNOWN_KEY" ? { warning: true, onKey: true } : {}),
  }));
}

type IsFit = (at: readonly string[]) => boolean;

function findMeaningProblems(values: Partial<ManifestValues>, isFit: IsFit, request: ManifestRequest): ManifestFinding[] {
  const { folder, version } = request;
  const found: ManifestFinding[] = [];
  const bad = (at: readonly string[], message: string, hint?: string): void =>
    void found.push({ code: "BAD_VALUE", at, message, ...(hint === undefined ? {} : { hint }) });
  if (values.namespace === "core") bad(["namespace"], 'The namespace "core" is that of the built-in actions');
  if (request.isPlaced) found.push(...findPlaceProblems(values, isFit, folder));
  const { runtime, entrypoint, engines } = values;
  if (runtime !== undefined && entrypoint !== undefined && isFit(["runtime"]) && isFit(["entrypoint"])) {
    const problem = findEntrypointProblem(runtime, entrypoint, folder);
    if (problem !== null) bad(["entrypoint"], `"entrypoint" ${problem}`);
  }
  if (engines !== undefined && isFit(["engines"])) {
    if (!isRange(engines.workflow)) bad(["engines", "workflow"], '"engines.workflow" must be a range of versions such as ">=0.1.0"');
    else if (!Bun.semver.satisfies(version, engines.workflow))
      bad(["engines", "workflow"], `The plugin needs workflow ${engines.workflow}; this is ${version}`);
  }
  found.push(...findPermissionProblems(values.permissions as Permissions | undefined, ["permissions"]));
  if (Array.isArray(values.actions)) found.push(...findActionProblems(values, isFit, request.findSchemaProblem));
  return found;
}

function findPlaceProblems(values: Partial<ManifestValues>, isFit: IsFit, folder: string): ManifestFinding[] {
  const wanted = { namespace: basename(dirname(folder)), name: basename(folder) };
  return (["namespace", "name"] as const).flatMap((key): ManifestFinding[] => {
    if (values[key] === undefined || !isFit([key]) || values[key] === wanted[key]) return [];
    const message = `The ${key} is "${values[key]}", but the folder that it lies in is "${wanted[key]}"`;
    // A folder that cannot be a namespace is not the plugin's place yet.
    const warning = key === "namespace" && !/^[a-z0-9-]{1,64}$/.test(wanted.namespace);
    return [{ code: "BAD_VALUE", at: [key], message, hint: "A plugin lies in <namespace>/<name>.", warning }];
  });
}

const comparator = /^(?:\*|[xX]|(?:[<>]=?|=|~|\^)?\s?v?(?:\d+|[xX*])(?:\.(?:\d+|[xX*])){0,2}(?:-[\dA-Za-z.-]+)?(?:\+[\dA-Za-z.-]+)?)$/;

/** What the range matcher takes for a range without ever saying that it is none. */
function isRange(text: string): boolean {
  return text.split("||").every((part) => {
    const trimmed = part.trim();
    const ends = trimmed.split(/\s+-\s+/);
    const words = ends.length === 2 ? ends : trimmed.replace(/([<>=~^])\s+/g, "$1").split(/\s+/);
    return words.every((word) => comparator.test(word));
  });
}

/** The texts of a list that may be anything, with their places: what is wrong with its form was found before. */
function textsOf(list: unknown): [index: number, text: string][] {
  return Array.isArray(list) ? [...list.entries()].filter((one): one is [number, string] => typeof one[1] === "string") : [];
}

function findPermissionProblems(block: Permissions | undefined, at: readonly string[]): ManifestFinding[] {
  const found: ManifestFinding[] = [];
  const bad = (path: readonly string[], message: string): void => void found.push({ code: "BAD_VALUE", at: path, message });
  const unused = (path: readonly string[], message: string): void => void found.push({ code: "GRANT_UNUSED", at: path, message, warning: true });
  for (const [index, entry] of textsOf(block?.network)) {
    const problem = findNetworkProblem(entry);
    if (problem !== null) bad([...at, "network", String(index)], `The entry "${entry}" ${problem}`);
  }
  for (const kind of ["read", "write"] as const) {
    for (const [index, entry] of textsOf(block?.filesystem?.[kind])) {
      const path = [...at, "filesystem", kind, String(index)];
      const { problem } = findPathProblem(entry);
      if (problem !== null) bad(path, `The entry "${entry}" ${problem}`);
      else if (kind === "write" && /^\$(?:plugin|input)(?:\/|$)/.test(entry))
        unused(path, `The entry "${entry}" can never match: it is never writable`);
    }
  }
  for (const [index, name] of textsOf(block?.env))
    if (isNeverCopied(name)) unused([...at, "env", String(index)], `The entry "${name}" can never match: it is never copied into a task`);
  return found;
}

function findActionProblems(values: Partial<ManifestValues>, isFit: IsFit, findSchemaProblem: FindSchemaProblem): ManifestFinding[] {
  const found: ManifestFinding[] = [];
  const first = new Map<string, number>();
  for (const [index, action] of (values.actions ?? []).entries()) {
    const at = ["actions", String(index)];
    if (!isObject(action)) continue;
    if (typeof action.name === "string") {
      if (first.has(action.name)) found.push({ code: "DUPLICATE_ID", at: [...at, "name"], message: `The action "${action.name}" stands twice` });
      first.set(action.name, index);
    }
    for (const key of ["input", "output"] as const) {
      const schema = action[key];
      if (schema === undefined || !isFit([...at, key])) continue;
      const problem = findSchemaProblem(schema as JsonObject);
      if (problem !== null) found.push({ code: "BAD_VALUE", at: [...at, key], message: `"${key}" is no JSON Schema: ${problem}` });
    }
    if (action.timeout !== undefined && isFit([...at, "timeout"])) {
      const ms = parseDuration(action.timeout) ?? 0;
      if (ms < 1 || ms > limits.durationMsMax)
        found.push({ code: "BAD_DURATION", at: [...at, "timeout"], message: '"timeout" must be longer than nothing and at most 366 days' });
    }
    const block = action.permissions as Permissions | undefined;
    found.push(...findPermissionProblems(block, [...at, "permissions"]));
    if (block !== undefined && isFit([...at, "permissions"]) && isFit(["permissions"]))
      found.push(...findWidenings(block, (values.permissions ?? {}) as Permissions, [...at, "permissions"]));
  }
  return found;
}

function findWidenings(action: Permissions, plugin: Permissions, at: readonly string[]): ManifestFinding[] {
  const found: ManifestFinding[] = [];
  for (const { kind, entry, index } of exceedingEntries(action, plugin)) {
    const place = kind === "run" ? ["run"] : [...kind.split("."), String(index)];
    found.push({ code: "BAD_VALUE", at: [...at, ...place], message: `The entry "${entry}" is wider than the plugin's own permissions` });
  }
  for (const key of limitKeys) {
    const wide = plugin[key];
    const asked = action[key];
    if (wide !== undefined && asked !== undefined && asked > wide)
      found.push({ code: "BAD_VALUE", at: [...at, key], message: `"${key}" is more than the plugin's own ${wide}` });
  }
  return found;
}

const anyObject: JsonObject = { type: "object" };

function buildManifest(values: ManifestValues): PluginManifest {
  return {
    namespace: values.namespace,
    name: values.name,
    version: values.version,
    description: values.description ?? "",
    author: values.author ?? null,
    license: values.license ?? null,
    homepage: values.homepage ?? null,
    runtime: values.runtime,
    entrypoint: typeof values.entrypoint === "string" ? [values.entrypoint] : values.entrypoint,
    engines: values.engines === undefined ? null : { workflow: values.engines.workflow },
    permissions: knownPermissions(values.permissions),
    keepWarm: values.keepWarm ?? 0,
    actions: values.actions.map(
      (action): PluginAction => ({
        name: action.name,
        description: action.description ?? "",
        input: (action.input as JsonObject | undefined) ?? anyObject,
        output: (action.output as JsonObject | undefined) ?? anyObject,
        idempotent: action.idempotent ?? false,
        timeoutMs: action.timeout === undefined ? null : parseDuration(action.timeout),
        ...(action.permissions === undefined ? {} : { permissions: knownPermissions(action.permissions) }),
      }),
    ),
  };
}

/** Without the unknown keys, which were only warned of. */
function knownPermissions(values: ManifestValues["permissions"]): Permissions {
  const { network, filesystem, env, run, listen, ...rest } = values ?? {};
  const known: Permissions = {};
  if (network !== undefined) known.network = network;
  if (filesystem !== undefined) {
    const { read, write } = filesystem;
    known.filesystem = { ...(read === undefined ? {} : { read }), ...(write === undefined ? {} : { write }) };
  }
  if (env !== undefined) known.env = env;
  if (run !== undefined) known.run = run;
  if (listen !== undefined) known.listen = listen;
  for (const key of limitKeys) if (rest[key] !== undefined) known[key] = rest[key];
  return known;
}
