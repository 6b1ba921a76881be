/*
 * The launcher: the only native code of the product. It starts one task and stays as its supervisor.
 *
 * It decides nothing. The engine compiles a plan (src/plugins/sandbox/plan.ts): a list of system calls with their
 * arguments, and the bytes those point to. The launcher maps the plan from descriptor 4, carries the steps out one by
 * one and stops at the first that fails. One step forks: the child goes on with the plan, which ends in execve; the
 * parent supervises. No C library, no allocation, no threads: what is not in this file does not run.
 *
 * The plan, little endian:
 *
 *     0  u32 magic, u32 steps, u32 offset of the blob, u32 zero
 *    16  report, written here and read by the engine when this process has ended:
 *        u32 failed, u32 step, u32 errno     a step failed (written by whoever ran it)
 *        u32 pid                             the task's first process, or its keeper, once there is one
 *        u32 ended, u32 status               that one's wait status, written when the whole tree is gone
 *        u32 task ended, u32 task status     written by a keeper: the wait status of the task's first process
 *    64-byte records from 48 on, then the blob.
 *
 * The task cannot touch the report: descriptor 4 is closed by its execve, and the supervisor is not dumpable, which
 * shuts /proc/<supervisor>/fd and ptrace to processes of the same user.
 */

#include "kernel.h"

/* ---- the plan and its report ----------------------------------------------------------------------------------- */

enum { PLAN_FD = 4, MAGIC = 0x314b4150, HEADER_BYTES = 48, REPORT_FAILED = 16, REPORT_PID = 28, REPORT_ENDED = 32, REPORT_TASK = 40 };

/* How the launcher itself ends when it could not do its work; the report says why. */
enum { EXIT_STEP_FAILED = 125 };

enum step_kind {
  STEP_SYSCALL = 0,  /* call number with six arguments */
  STEP_POINTERS = 1, /* turn argument 1 many blob offsets, starting at blob offset argument 0, into addresses */
  STEP_EXPECT = 2,   /* fail with ESRCH unless argument 0 equals argument 1 */
  STEP_FORK = 3,     /* clone with the flags in argument 0; the parent supervises, argument 1 is its open /proc, and
                        closes the descriptors whose bits are set in argument 2 */
  STEP_STORE = 4,    /* write argument 1 as u32 to argument 0 */
  STEP_KEEP = 5,     /* clone with the flags in argument 0; the parent keeps: struct keeper, descriptor of its signals,
                        descriptor that tells when the filter is in place */
};

/* Bits of a step's flags: 0-5 argument i is an offset into the blob, 8-13 argument i is the number of a slot,
   16 a failure is no reason to stop, 24-31 the slot that keeps the result. */
enum { FLAG_BLOB = 0, FLAG_SLOT = 8, FLAG_MAY_FAIL = 1 << 16, FLAG_RESULT = 24, SLOTS = 256 };

struct header { u32 magic, steps, blob, zero; };
struct step { u32 kind, flags; u64 number, arguments[6]; };

static void report(const u32 *words, long count, long offset) {
  syscall6(SYS_pwrite64, PLAN_FD, (long)words, count * 4, offset, 0, 0);
}

static void __attribute__((noreturn)) fail_step(u32 step, long result) {
  u32 words[3] = {1, step, (u32)-result};
  report(words, 3, REPORT_FAILED);
  leave(EXIT_STEP_FAILED);
}

#include "keeper.h"

/* ---- finding descendants --------------------------------------------------------------------------------------- */

/*
 * As child subreaper the supervisor becomes the parent of every orphan below it, so nothing can leave its tree by
 * double forking or setsid. Descendants are found by the parent field of /proc/<pid>/stat, which is there on every
 * kernel and does not depend on sessions or groups. The set of a round is a bitmap over the largest pid space Linux
 * has; it lies in zeroed memory of which only the touched pages exist.
 */
enum { PID_MAX = 1 << 22 };
static u32 tree[PID_MAX / 32];
static long tree_low = PID_MAX, tree_high = 0;

static void tree_clear(void) {
  for (long word = tree_low / 32; word <= tree_high / 32 && word < PID_MAX / 32; word++) tree[word] = 0;
  tree_low = PID_MAX;
  tree_high = 0;
}

static void tree_add(long pid) {
  tree[pid / 32] |= 1u << (pid % 32);
  if (pid < tree_low) tree_low = pid;
  if (pid > tree_high) tree_high = pid;
}

static int tree_has(long pid) { return pid > 0 && pid < PID_MAX && (tree[pid / 32] >> (pid % 32) & 1); }

/* The number that a name in /proc spells, 0 for names that are not processes. */
static long parse_pid(const char *name) {
  long pid = 0;
  for (; *name; name++) {
    if (*name < '0' || *name > '9') return 0;
    pid = pid * 10 + (*name - '0');
    if (pid >= PID_MAX) return 0;
  }
  return pid;
}

/* The parent of a process, or -1 when it is gone. The command in parentheses may hold anything, so the fields are
   counted from the last closing one: state, then parent. */
static long parent_of(int proc, const char *name) {
  char path[32], text[512];
  long at = 0;
  while (name[at] && at < 16) { path[at] = name[at]; at++; }
  for (const char *tail = "/stat"; *tail; tail++) path[at++] = *tail;
  path[at] = 0;

  long file = syscall6(SYS_openat, proc, (long)path, O_CLOEXEC, 0, 0, 0);
  if (file < 0) return -1;
  long length = call(SYS_read, file, (long)text, sizeof text - 1);
  call(SYS_close, file, 0, 0);
  if (length <= 0) return -1;
  text[length] = 0;

  long end = length - 1;
  while (end > 0 && text[end] != ')') end--;
  if (end == 0 || end + 4 >= length) return -1;
  long parent = 0;
  for (const char *digit = text + end + 4; *digit >= '0' && *digit <= '9'; digit++) parent = parent * 10 + (*digit - '0');
  return parent;
}

/* Signals one descendant, never a stranger. A child of ours keeps its pid until we reap it, which happens between
   rounds only. Any other pid might be reaped by its own parent and used again at any time, so it is pinned first and
   its parent looked up a second time. */
static void deliver(int proc, const char *name, long pid, long parent, long self, int signal) {
  if (parent == self) {
    call(SYS_kill, pid, signal, 0);
    return;
  }
  long handle = call(SYS_pidfd_open, pid, 0, 0);
  if (handle == -ENOSYS) {
    call(SYS_kill, pid, signal, 0);
    return;
  }
  if (handle < 0) return;
  if (tree_has(parent_of(proc, name))) syscall6(SYS_pidfd_send_signal, handle, signal, 0, 0, 0, 0);
  call(SYS_close, handle, 0, 0);
}

/* One pass over /proc, which lists pids in ascending order: parents mostly come before their children. Signals what
   was not yet in the tree, at once and not after the pass, so that a process that keeps forking gets no more time
   than needed; for the same reason the names are fetched a few at a time, since a list would be stale before its end.
   Returns how many it found. */
static long sweep(int proc, long self, int signal) {
  char entries[256] __attribute__((aligned(8)));
  long found = 0, length;
  call(SYS_lseek, proc, 0, SEEK_SET);
  while ((length = call(SYS_getdents64, proc, (long)entries, sizeof entries)) > 0) {
    for (long at = 0; at < length; at += ((struct dirent *)(entries + at))->length) {
      const char *name = ((struct dirent *)(entries + at))->name;
      long pid = parse_pid(name);
      if (pid == 0 || tree_has(pid)) continue;
      long parent = parent_of(proc, name);
      if (!tree_has(parent)) continue;
      tree_add(pid);
      found++;
      deliver(proc, name, pid, parent, self, signal);
    }
  }
  return found;
}

/* ---- the supervisor -------------------------------------------------------------------------------------------- */

struct task {
  long pid;
  int proc;
  int ended;
  u32 status;
};

/* Takes in every child that has ended, orphans included. False when no child is left. */
static int reap(struct task *task) {
  for (;;) {
    int status = 0;
    long pid = syscall6(SYS_wait4, -1, (long)&status, WNOHANG | WAIT_ANY_KIND, 0, 0, 0);
    if (pid == 0) return 1;
    if (pid < 0) return 0;
    if (pid == task->pid) {
      task->ended = 1;
      task->status = (u32)status;
    }
  }
}

static long wait_signal(u64 set, const struct timespec *timeout) {
  return syscall6(SYS_rt_sigtimedwait, (long)&set, 0, (long)timeout, 8, 0, 0);
}

static u64 bit(int signal) { return 1ul << (signal - 1); }

/* Asks the whole tree to end. A stopped process is woken, since otherwise it could not hear the question. */
static void ask_to_end(struct task *task, long self) {
  const int signals[2] = {SIGTERM, SIGCONT};
  for (int i = 0; i < 2; i++) {
    tree_clear();
    tree_add(self);
    for (int pass = 0; pass < 4 && sweep(task->proc, self, signals[i]) > 0; pass++) {}
  }
}

/* Kills in rounds until no child is left: a killed process cannot fork any more, its children become ours, and what
   was born behind the back of one round is met by the next. Only the end of the tree ends the loop; a process that
   takes long to die costs one round every 64 ms. */
static void kill_tree(struct task *task, long self) {
  long wait_ms = 1;
  while (reap(task)) {
    tree_clear();
    tree_add(self);
    sweep(task->proc, self, SIGKILL);
    struct timespec timeout = {0, wait_ms * 1000000};
    if (wait_signal(bit(SIGCHLD), &timeout) < 0 && wait_ms < 64) wait_ms *= 2;
  }
}

/* Waits for the task's first process, for SIGTERM (ask the tree to end, go on waiting) or for SIGUSR1, which also
   comes when the engine dies (kill the tree). Ends when nothing of the tree is left. */
static void __attribute__((noreturn)) supervise(struct task *task, u64 closed) {
  long self = call(SYS_getpid, 0, 0, 0);
  call(SYS_prctl, PR_SET_DUMPABLE, 0, 0);
  u32 pid = (u32)task->pid;
  report(&pid, 1, REPORT_PID);
  /* The engine sees the end of these pipes when the task closes them, and only then. */
  for (int descriptor = 0; closed >> descriptor; descriptor++) if (closed >> descriptor & 1) call(SYS_close, descriptor, 0, 0);

  for (;;) {
    long signal = wait_signal(bit(SIGCHLD) | bit(SIGTERM) | bit(SIGUSR1), 0);
    if (signal == SIGUSR1) break;
    if (signal == SIGTERM) ask_to_end(task, self);
    reap(task);
    if (task->ended) break;
  }
  kill_tree(task, self);

  u32 words[2] = {1, task->status};
  report(words, 2, REPORT_ENDED);
  u32 by_signal = task->status & 127;
  leave(by_signal ? 128 + by_signal : task->status >> 8 & 255);
}

/* ---- carrying out the plan ------------------------------------------------------------------------------------- */

/* Signals are blocked from here on, so that none is lost before the supervisor listens; what the engine ignored is
   reset, since ignoring survives execve. */
static void take_over_signals(void) {
  u64 all = ~0ul;
  syscall6(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, 0, 8, 0, 0);
  struct sigaction as_default = {0, 0, 0, 0};
  for (int signal = 1; signal <= SIGNALS; signal++) syscall6(SYS_rt_sigaction, signal, (long)&as_default, 0, 8, 0, 0);
}

static long fork_here(u64 flags, int proc, u64 closed) {
  long pid = call(SYS_clone, (long)flags, 0, 0);
  if (pid > 0) {
    struct task task = {pid, proc, 0, 0};
    supervise(&task, closed & 0xff);
  }
  return pid;
}

static long keep_here(u64 flags, const struct keeper *keeper, u32 step, int signals, int ready) {
  long pid = call(SYS_clone, (long)flags, 0, 0);
  if (pid > 0) keep(keeper, step, (u32)pid, signals, ready);
  return pid;
}

static long run_step(const struct step *step, u32 number, u8 *blob, long *slots) {
  long a[6];
  for (int i = 0; i < 6; i++) {
    a[i] = (long)step->arguments[i];
    if (step->flags >> (FLAG_BLOB + i) & 1) a[i] += (long)blob;
    if (step->flags >> (FLAG_SLOT + i) & 1) a[i] = slots[a[i] & (SLOTS - 1)];
  }
  switch (step->kind) {
    case STEP_SYSCALL: return syscall6((long)step->number, a[0], a[1], a[2], a[3], a[4], a[5]);
    case STEP_POINTERS: {
      u64 *table = (u64 *)a[0];
      for (long i = 0; i < a[1]; i++) table[i] += (u64)blob;
      return 0;
    }
    case STEP_EXPECT: return a[0] == a[1] ? 0 : -ESRCH;
    case STEP_FORK: return fork_here((u64)a[0], (int)a[1], (u64)a[2]);
    case STEP_STORE: *(u32 *)a[0] = (u32)a[1]; return 0;
    case STEP_KEEP: return keep_here((u64)a[0], (const struct keeper *)a[1], number, (int)a[2], (int)a[3]);
  }
  return -ENOSYS;
}

__attribute__((used, noreturn)) void launch(void) {
  take_over_signals();
  long size = call(SYS_lseek, PLAN_FD, 0, SEEK_END);
  if (size < HEADER_BYTES) leave(EXIT_STEP_FAILED);
  /* Private: pointers are filled in here without showing in the engine's file. */
  long map = syscall6(SYS_mmap, 0, size, PROT_READ_WRITE, MAP_PRIVATE, PLAN_FD, 0);
  if (map < 0 && map > -4096) leave(EXIT_STEP_FAILED);

  const struct header *header = (const struct header *)map;
  const struct step *steps = (const struct step *)(map + HEADER_BYTES);
  if (header->magic != MAGIC || header->blob > (u64)size || HEADER_BYTES + header->steps * sizeof *steps > header->blob)
    fail_step(0, -EBADMSG);

  long slots[SLOTS] = {0};
  for (u32 at = 0; at < header->steps; at++) {
    long result = run_step(&steps[at], at, (u8 *)map + header->blob, slots);
    slots[steps[at].flags >> FLAG_RESULT & (SLOTS - 1)] = result;
    if (result < 0 && result > -4096 && !(steps[at].flags & FLAG_MAY_FAIL)) fail_step(at, result);
  }
  /* A plan ends in execve, which does not come back. */
  fail_step(header->steps, -EBADMSG);
}
