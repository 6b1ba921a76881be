// Control groups, where this program may make them: the kernel then counts a whole tree's memory and processes itself.
import { accessSync, constants, existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Where groups can be made. Version 1 has a hierarchy for each of the two, version 2 one for both. */
export type CgroupPlace = { version: 1 | 2; memory: string; pids: string };
export type CgroupProbe = { place: CgroupPlace } | { place: null; why: string };

export type CgroupLimits = { memoryBytes: number | null; processes: number | null };
export type Cgroup = {
  /** Files to which the tree's first process writes "0" to join, before it starts another. */
  joinFiles: string[];
  /** Puts a running process in, not what it has started already. */
  add(pid: number): void;
  /** Whether the kernel killed something in it for want of memory. */
  wasOverMemory(): boolean;
  /** When its processes are gone. */
  close(): void;
};

/** The kernel's own bookkeeping for a group, and pages of files that are being written. */
const memorySlackBytes = 16 * 1024 * 1024;
const prefix = "workflow-";
const closeTries = 20;
const closeRetryMs = 50;

/** Finds a place by making a group there with both limits, and removing it. */
export function probeCgroup(): CgroupProbe {
  const places = [...findVersion2(), ...findVersion1()];
  if (places.length === 0) return { place: null, why: "no memory and pids controllers are mounted" };
  let why = "";
  for (const place of places) {
    try {
      removeLeftovers(place);
      makeGroup(place, `${prefix}${process.pid}-probe`, { memoryBytes: memorySlackBytes, processes: 8 }).close();
      return { place };
    } catch (cause) {
      why = cause instanceof Error ? cause.message : String(cause);
    }
  }
  return { place: null, why };
}

/** Groups for the trees of this process: looked for at the first question. Null where none can be made. */
export class Cgroups {
  #place: CgroupPlace | null | undefined;

  /** Whether there is a place for groups. */
  get isAvailable(): boolean {
    return this.#findPlace() !== null;
  }

  open(limits: CgroupLimits): Cgroup | null {
    const place = this.#findPlace();
    return place === null ? null : openCgroup(place, limits);
  }

  #findPlace(): CgroupPlace | null {
    if (this.#place === undefined) this.#place = probeCgroup().place;
    return this.#place;
  }
}

let made = 0;

/** A group for one tree, null when it cannot be made any more. */
export function openCgroup(place: CgroupPlace, limits: CgroupLimits): Cgroup | null {
  made += 1;
  try {
    return makeGroup(place, `${prefix}${process.pid}-${made}`, limits);
  } catch {
    return null;
  }
}

function makeGroup(place: CgroupPlace, name: string, limits: CgroupLimits): Cgroup {
  const memory = join(place.memory, name);
  const pids = join(place.pids, name);
  const folders = [...new Set([memory, pids])];
  const remove = () => removeFolders(folders);
  try {
    for (const folder of folders) mkdirSync(folder);
    if (limits.memoryBytes !== null) limitMemory(place.version, memory, limits.memoryBytes + memorySlackBytes);
    if (limits.processes !== null) writeFileSync(join(pids, "pids.max"), String(limits.processes));
  } catch (cause) {
    remove();
    throw cause;
  }
  const joinFiles = folders.map((folder) => join(folder, "cgroup.procs"));
  const events = join(memory, place.version === 1 ? "memory.oom_control" : "memory.events");
  let killed: boolean | null = null;
  const wasOverMemory = () => killed ?? /^oom_kill [1-9]/m.test(readText(events));
  return {
    joinFiles,
    add: (pid) => joinFiles.forEach((file) => writeFileSync(file, String(pid))),
    wasOverMemory,
    close() {
      killed = wasOverMemory();
      remove();
    },
  };
}

function limitMemory(version: 1 | 2, folder: string, bytes: number): void {
  writeFileSync(join(folder, version === 1 ? "memory.limit_in_bytes" : "memory.max"), String(bytes));
  const swap = join(folder, version === 1 ? "memory.memsw.limit_in_bytes" : "memory.swap.max");
  // Version 1 limits the sum of both, version 2 swap alone. Kernels without swap have neither.
  if (existsSync(swap)) writeFileSync(swap, version === 1 ? String(bytes) : "0");
}

/** The last processes may need a moment to be gone. */
function removeFolders(folders: readonly string[], tries = closeTries): void {
  const left = folders.filter((folder) => {
    try {
      rmdirSync(folder);
      return false;
    } catch {
      return existsSync(folder);
    }
  });
  if (left.length > 0 && tries > 1) setTimeout(() => removeFolders(left, tries - 1), closeRetryMs).unref();
}

/** Groups of programs that are gone, as long as they are empty. */
function removeLeftovers(place: CgroupPlace): void {
  for (const parent of new Set([place.memory, place.pids])) {
    for (const name of readdirSync(parent)) {
      const owner = /^workflow-(\d+)-/.exec(name)?.[1];
      if (owner !== undefined && !existsSync(`/proc/${owner}`)) removeFolders([join(parent, name)], 1);
    }
  }
}

type Mount = { root: string; folder: string; type: string; options: string[] };

/** cgroup mounts, by proc_pid_mountinfo(5): root and folder before the dash, type and options after it. */
function listMounts(): Mount[] {
  return readText("/proc/self/mountinfo")
    .split("\n")
    .map((line) => {
      const [before = "", after = ""] = line.split(" - ");
      const [, , , root = "", folder = ""] = before.split(" ");
      const [type = "", , options = ""] = after.split(" ");
      return { root, folder, type, options: options.split(",") };
    })
    .filter(({ type }) => type === "cgroup" || type === "cgroup2");
}

/** Our own group in a hierarchy: `id:controllers:path`, of version 2 with id 0 and no controllers. */
function ownPath(controller: string | null): string {
  const lines = readText("/proc/self/cgroup").split("\n");
  const own = lines.find((line) => (controller === null ? line.startsWith("0::") : line.split(":")[1]?.split(",").includes(controller)));
  return own?.split(":").slice(2).join(":") ?? "/";
}

/** The folder of our own group in a mount; the mount itself when that is not to be seen there, as in containers. */
function ownFolder(mount: Mount, path: string): string {
  const inside = mount.root === "/" ? path : path.startsWith(`${mount.root}/`) ? path.slice(mount.root.length) : "/";
  const folder = join(mount.folder, inside);
  return existsSync(folder) ? folder : mount.folder;
}

function findVersion1(): CgroupPlace[] {
  const [memory, pids] = ["memory", "pids"].map((controller) => {
    const mount = listMounts().find(({ type, options }) => type === "cgroup" && options.includes(controller));
    return mount === undefined ? undefined : ownFolder(mount, ownPath(controller));
  });
  return memory === undefined || pids === undefined ? [] : [{ version: 1, memory, pids }];
}

/** A group with processes gives its children no controllers: tasks go beside us, below a parent that was delegated with us.
 * Moving a process needs the right to write the group above both. */
function findVersion2(): CgroupPlace[] {
  const mount = listMounts().find(({ type }) => type === "cgroup2");
  if (mount === undefined) return [];
  const own = ownFolder(mount, ownPath(null));
  const parents = [own, ...(own === mount.folder ? [] : [dirname(own)])].filter((folder) => {
    const given = readText(join(folder, "cgroup.subtree_control")).split(/\s+/);
    return given.includes("memory") && given.includes("pids") && isWritable(join(folder, "cgroup.procs"));
  });
  return parents.map((folder) => ({ version: 2, memory: folder, pids: folder }));
}

function isWritable(file: string): boolean {
  try {
    accessSync(file, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
