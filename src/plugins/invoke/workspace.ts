// The folders a task stands in: one workspace per execution, one fresh work folder per attempt, both the execution's user's.
import { existsSync, lchownSync, lstatSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fail } from "../../base/index.ts";
import { resolveEntry } from "../../model/index.ts";
import type { GrantedEntries } from "./confine.ts";
import { findMissing } from "./granted-paths.ts";
import { realPath } from "./real-path.ts";
import { emptyTrash, type OnStuck, removeTree } from "./remove-tree.ts";
import { needsEngineUser, ownUser, type TaskUser } from "./task-user.ts";

/** A file in an execution's folder: sweeping leaves that folder alone. */
const keepMark = "keep";

/** `user`: who owns them and runs the tasks, null: the engine's own user. */
export type AttemptFolders = { workspace: string; workdir: string; user: TaskUser | null };

/** What decides about the execution's user, at its first task: whether one of its own is possible, and what the workflow and
 * the run were granted. `folder`: the workflow's. `plugins`: folders of the plugins that the task uses. */
export type UserChoice = { canOwnUser: boolean; granted: GrantedEntries; folder: string | null; plugins: readonly string[] };

/** Folder names come from ids that were checked: a UUID, a task id, a number. */
export class Workspaces {
  readonly #root: string;
  /** The workspaces made or found by this process: who removes and makes one again has another. */
  readonly #known = new Map<string, { dev: number; ino: number }>();

  readonly #onStuck: OnStuck;

  /** `root`: absolute, private to the engine. `onTrouble`: told of what cannot be removed. */
  constructor(root: string, onTrouble: (text: string) => void = () => undefined) {
    this.#root = root;
    this.#onStuck = (trash, left) => onTrouble(`Cannot remove ${left} entries of ${trash}: the next start tries again`);
  }

  /**
   * Folders for one attempt. The execution's user is decided with its first one and read from the folder's owner afterwards.
   * @throws TASK_INPUT_INVALID when an earlier task put something else in place of one
   */
  open(executionId: string, attempt: { task: string; itemIndex: number | null; attempt: number }, choice?: UserChoice): AttemptFolders {
    const base = join(this.#root, executionId);
    const workspace = join(base, "workspace");
    const workdir = join(base, "attempts", `${attempt.task}-${attempt.itemIndex ?? 0}-${attempt.attempt}`);
    mkdirSync(this.#root, { recursive: true, mode: 0o700 });
    makeFolder(base);
    const wasMade = makeFolder(workspace);
    const user = wasMade ? chooseUser(executionId, workspace, choice) : rememberedUser(executionId, workspace);
    this.#recognise(executionId, workspace, wasMade);
    makeFolder(join(base, "attempts"));
    removeTree(this.#root, workdir, this.#onStuck);
    mkdirSync(workdir, { mode: 0o700 });
    if (user !== null) giveTo(workdir, user);
    return { workspace, workdir, user };
  }

  #recognise(executionId: string, workspace: string, wasMade: boolean): void {
    const { dev, ino } = lstatSync(workspace);
    const known = wasMade ? undefined : this.#known.get(executionId);
    if (known !== undefined && (known.dev !== dev || known.ino !== ino)) throw replaced("another folder");
    this.#known.set(executionId, { dev, ino });
  }

  closeAttempt(folders: AttemptFolders): void {
    removeTree(this.#root, folders.workdir, this.#onStuck);
  }

  /** Removes the execution's folder, unless it is marked. */
  close(executionId: string): void {
    this.#known.delete(executionId);
    const base = join(this.#root, executionId);
    if (!existsSync(join(base, keepMark))) removeTree(this.#root, base, this.#onStuck);
  }

  /** Marks the execution's folder as one that stays, whichever process ends the execution. */
  keep(executionId: string): void {
    const base = join(this.#root, executionId);
    mkdirSync(base, { recursive: true, mode: 0o700 });
    writeFileSync(join(base, keepMark), "");
  }

  /** Executions that have a folder here which nobody asked to keep. What an earlier process did not finish removing is removed. */
  list(): string[] {
    if (!existsSync(this.#root)) return [];
    emptyTrash(this.#root, this.#onStuck);
    return readdirSync(this.#root).filter((id) => !id.startsWith(".") && !existsSync(join(this.#root, id, keepMark)));
  }
}

/** git refuses repositories of other users, which all granted ones are for a user of the execution's own: the grant has decided. */
const gitSettings = "[safe]\n\tdirectory = *\n";

function giveTo(workdir: string, user: TaskUser): void {
  const settings = join(workdir, ".gitconfig");
  writeFileSync(settings, gitSettings, { mode: 0o644 });
  for (const path of [settings, workdir]) lchownSync(path, user.uid, user.gid);
}

function chooseUser(executionId: string, workspace: string, choice: UserChoice | undefined): TaskUser | null {
  const engineUid = process.getuid?.() ?? -1;
  if (choice?.canOwnUser !== true || engineUid !== 0 || needsEngineUser(grantedPaths(choice), engineUid)) return null;
  const user = ownUser(executionId);
  if (user === null) return null;
  try {
    lchownSync(workspace, user.uid, user.gid);
    return user;
  } catch {
    return null; // a file system or a container that knows no other owners
  }
}

/** What of the grants is there; places are the execution's own folders. A path that is to be made counts as the folder it is made in:
 * whoever runs the next execution is to write it as well. */
function grantedPaths({ granted, folder, plugins }: UserChoice): { read: string[]; write: string[] } {
  const spelled = (entries: readonly string[]) => entries.flatMap((entry) => resolveEntry(entry, { folder }) ?? []);
  const write = spelled(granted.write);
  const trees = write.flatMap((path) => realPath(path) ?? []);
  return {
    read: [...spelled(granted.read).flatMap((path) => realPath(path) ?? []), ...plugins],
    write: write.flatMap((path) => realPath(path) ?? findMissing(path, trees)?.folder ?? []),
  };
}

function rememberedUser(executionId: string, workspace: string): TaskUser | null {
  const { uid } = lstatSync(workspace);
  if (uid === process.getuid?.()) return null;
  const user = ownUser(executionId);
  if (user?.uid !== uid) throw replaced("a folder of another user");
  return user;
}

/** Makes a folder that is missing, and says so; what is there must be a folder itself, since a link would lead the next task elsewhere. */
function makeFolder(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) mkdirSync(path, { mode: 0o700 });
  else if (!found.isDirectory()) throw replaced(found.isSymbolicLink() ? "a link" : "a file");
  return found === undefined;
}

function replaced(by: string) {
  const hint = "Write into $WORKSPACE, and leave the folder itself where it is.";
  return fail("TASK_INPUT_INVALID", `Cannot start in the workspace: an earlier task put ${by} in its place`, { hint });
}
