// From what an unenforced run was seen doing to the least block of permissions with which it would run enforced.
import { posix } from "node:path";
import { anyVariable, copiedNames, limitKeys, type Permissions, type WorkflowDefinition, writePath } from "../../model/index.ts";
import { namesInExpressions, namesInScript } from "./environment-names.ts";
import type { LearnLog, WatchedAttempt } from "./learn-log.ts";
import { maskLearned } from "./masked.ts";
import { addFiles, type FileFacts, isScript, noFiles, type SeenFiles } from "./seen-files.ts";
import { seenNetwork } from "./seen-network.ts";
import { joinNeighbours, withoutInner } from "./trees.ts";

export type LearnFacts = FileFacts & {
  definition: WorkflowDefinition;
  /** The server's environment. */
  environment: Readonly<Record<string, string | undefined>>;
  home: string;
};

/** `notes`: what people should know about the block before they take it, a line each. */
export type Learned = { permissions: Permissions; notes: string[] };

/** Names that the engine gives a value of its own. */
const engineNames = /^(?:WORKSPACE|TMPDIR|HOME|PATH|LANG|PWD|(?:https?|all|no)_proxy|node_use_env_proxy)$/i;

/** On the way to every work folder: nobody learns anything from a look into them. */
const lookedIntoByAll = new Set(["/", "/tmp", "/var/tmp"]);

/** Looks at the disk once more: what is not there any more cannot be granted. */
export function leastPermissions(log: LearnLog, facts: LearnFacts): Learned {
  const files = noFiles();
  const network = new Set<string>();
  const listen = new Set<number>();
  const bare = new Set<string>();
  const env = namesInExpressions(JSON.stringify(facts.definition));
  for (const { attempt, notices } of log.attempts) {
    const addFile = addFiles(files, attempt, facts);
    for (const notice of notices.values()) addFile(notice);
    const seen = seenNetwork(attempt.task, notices.values());
    for (const entry of seen.network) network.add(entry);
    for (const port of seen.listen) listen.add(port);
    for (const note of seen.notes) files.notes.add(note);
    for (const name of wantedNames(attempt, facts.definition)) env.add(name);
    if (attempt.action.plugin === null && !isScript(attempt)) addAsked(files, network, attempt);
    if (usesBareInFolder(attempt)) bare.add(attempt.task);
  }
  const filesystem = leastTrees(files, facts);
  const names = copiedNames([...env], facts.environment).filter((name) => !engineNames.test(name));
  const permissions: Permissions = {
    ...(network.size === 0 ? {} : { network: [...network].toSorted() }),
    ...(filesystem === null ? {} : { filesystem }),
    ...(names.length === 0 ? {} : { env: names }),
    ...(listen.size === 0 ? {} : { listen: [...listen].toSorted((a, b) => a - b) }),
    ...keptBounds(facts.definition.permissions),
  };
  const notes = [...files.notes].toSorted();
  const listed = [...files.listed].filter((path) => !lookedIntoByAll.has(path)).toSorted();
  if (listed.length > 0) notes.push(`only looked into, not granted: ${listed.join(", ")}`);
  if (bare.size > 0 && files.usesWorkspace !== null)
    notes.push(`once $workspace is granted, bare paths start there: write ./ before those of ${[...bare].toSorted().join(", ")}`);
  if (log.isFull) notes.push("more was seen than is kept: this block may lack something");
  return maskLearned({ permissions, notes }, log);
}

/** What bounds the tasks and grants nothing stays as it is. */
function keptBounds(block: Permissions): Permissions {
  const kept: Permissions = {};
  if (block.run !== undefined) kept.run = block.run;
  for (const key of limitKeys) if (block[key] !== undefined) kept[key] = block[key];
  return kept;
}

/** Variables of the server that an attempt uses: a script by its text, a plugin by its manifest. */
function wantedNames(attempt: WatchedAttempt, { tasks, onFailure, finally: last }: WorkflowDefinition): string[] {
  if (!isScript(attempt)) return attempt.permissions.env.filter((name) => name !== anyVariable);
  const script = attempt.inputs["script"];
  const own = [...tasks, ...onFailure, ...last].find(({ id }) => id === attempt.task)?.env ?? {};
  return typeof script !== "string" ? [] : [...namesInScript(script)].filter((name) => !Object.hasOwn(own, name));
}

/** A built-in is refused when it may not do all that its inputs imply, so that is needed whatever was seen. */
function addAsked(files: SeenFiles, network: Set<string>, { permissions }: WatchedAttempt): void {
  for (const entry of permissions.network) network.add(entry);
  for (const access of ["read", "write"] as const) {
    for (const entry of permissions.filesystem[access]) {
      if (/^\$workspace(?:\/|$)/.test(entry)) files.usesWorkspace = access === "write" ? "write" : (files.usesWorkspace ?? "read");
      else if (!entry.startsWith("$")) files.asked[access].add(entry);
    }
  }
}

/** Whether it names files by bare paths, which were taken to lie in the workflow's folder. */
function usesBareInFolder({ action, inputs, permissions }: WatchedAttempt): boolean {
  if (action.plugin !== null || [...permissions.filesystem.read, ...permissions.filesystem.write].some((entry) => entry.startsWith("$workspace")))
    return false;
  return JSON.stringify(action.asks(inputs, ".")) !== JSON.stringify(action.asks(inputs, "$workspace"));
}

function leastTrees(files: SeenFiles, facts: LearnFacts): NonNullable<Permissions["filesystem"]> | null {
  const { folder, home } = facts;
  const absolute = (entries: Iterable<string>) => [...entries].map((entry) => (entry.startsWith("/") ? entry : posix.join(folder ?? "/", entry)));
  const isShared = (path: string) => posix.dirname(path) === "/" || path === "/" || posix.join(home, "/").startsWith(posix.join(path, "/"));
  const mayStand = (path: string) => !isShared(path);
  const write = joinNeighbours([...files.write, ...absolute(files.asked.write)], mayStand);
  const read = joinNeighbours(withoutInner([...files.read, ...absolute(files.asked.read)], write), mayStand);
  for (const path of [...read, ...write]) {
    if (path === home || isShared(path)) files.notes.add(`${path} is wide: name what the tasks really need in it`);
    if (path === folder && write.includes(path))
      files.notes.add("files were made beside the workflow's file: make a folder for them, and grant only that");
  }
  const shown = (paths: readonly string[], access: "read" | "write") => [
    ...(files.usesWorkspace === access ? ["$workspace"] : []),
    ...paths.map((path) => writePath(path, { folder })),
  ];
  const lists = { read: shown(read, "read"), write: shown(write, "write") };
  if (lists.read.length + lists.write.length === 0) return null;
  return { ...(lists.read.length === 0 ? {} : { read: lists.read }), ...(lists.write.length === 0 ? {} : { write: lists.write }) };
}
