// Which processes there are at this moment, by ps, and which of them belong to a task.

export type ProcessRow = {
  pid: number;
  parent: number;
  group: number;
  memoryBytes: number;
  /** Tells one process from a later one of the same number. */
  startedAt: string;
};

const row = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(\S.*?)\s*$/;
const timeoutMs = 5000;

/** All processes but those that have ended and wait for their parent. Takes about ten milliseconds, in which this process waits. */
export function readProcessTable(ps: string): ProcessRow[] {
  const { stdout } = Bun.spawnSync([ps, "-axo", "pid=,ppid=,pgid=,rss=,stat=,lstart="], {
    env: { LC_ALL: "C" },
    stdio: ["ignore", "pipe", "ignore"],
    timeout: timeoutMs,
  });
  return parseProcessTable(stdout.toString());
}

export function parseProcessTable(text: string): ProcessRow[] {
  return text.split("\n").flatMap((line) => {
    const [, pid, parent, group, kilobytes, state, startedAt] = row.exec(line) ?? [];
    if (pid === undefined || startedAt === undefined || state?.startsWith("Z") === true) return [];
    return [{ pid: Number(pid), parent: Number(parent), group: Number(group), memoryBytes: Number(kilobytes) * 1024, startedAt }];
  });
}

export type Membership = {
  /** The first process of the task, which leads a group. */
  leader: number;
  /** From then on the leader's number may be somebody else's. */
  hasEnded: boolean;
  /** Members that were seen before: when they were started, by number. */
  known: ReadonlyMap<number, string>;
};

/** Rows of the first process, of its descendants and those of earlier members, and of all groups that any of them led. */
export function membersOf(rows: readonly ProcessRow[], { leader, hasEnded, known }: Membership): ProcessRow[] {
  const members = new Map<number, ProcessRow>();
  const groups = new Set<number>([leader, ...known.keys()]);
  const living = new Set(rows.map(({ pid }) => pid));
  // A group keeps its number to itself as long as it has members: with a leader that is none of ours it is a later one.
  const isOurs = (group: number) => groups.has(group) && (members.has(group) || !living.has(group));
  const isMember = ({ pid, parent, group, startedAt }: ProcessRow) =>
    (pid === leader && !hasEnded) || known.get(pid) === startedAt || members.has(parent) || isOurs(group);
  for (let before = -1; before < members.size; ) {
    before = members.size;
    for (const one of rows) {
      if (members.has(one.pid) || !isMember(one)) continue;
      members.set(one.pid, one);
      groups.add(one.pid);
    }
  }
  return [...members.values()];
}

/** For callers that look often: the table is kept so long. */
const freshMs = 250;
let latest: ProcessRow[] | null = null;

/** What the watchdog measures: the first process and its descendants, no more than `max`. */
export function listMacTree(pid: number, max: number, ps: string): number[] {
  if (pid <= 0) return []; // never started: number 0 is the kernel, whose descendants are all there are
  return membersOf(recentTable(ps), { leader: pid, hasEnded: false, known: new Map() })
    .slice(0, max)
    .map((one) => one.pid);
}

/** Resident bytes; what several of them share is counted for each. */
export function measureMacMemory(pids: readonly number[], ps: string): number {
  const wanted = new Set(pids);
  return recentTable(ps).reduce((sum, one) => sum + (wanted.has(one.pid) ? one.memoryBytes : 0), 0);
}

function recentTable(ps: string): ProcessRow[] {
  if (latest !== null) return latest;
  setTimeout(() => (latest = null), freshMs).unref();
  latest = readProcessTable(ps);
  return latest;
}
