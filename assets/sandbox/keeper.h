/*
 * The keeper of a confined task: its parent, and process 1 of its pid namespace where it has one. It takes in orphans,
 * answers what the task's system-call filter asks, and writes what was denied or seen to the notice pipe.
 *
 * What it answers stands in a table of the plan: for each system call an action and the arguments that hold a path, a
 * descriptor or flags. An answer never lets through what the task can change after it was looked at, unless another
 * layer holds it too (ports of connect: Landlock, and the loopback binding of every socket).
 *
 * Where neither a read-only tree nor another user keeps the task from changing what lies outside of its folders, it may
 * change modes, owners and times only through the keeper. The keeper opens the file itself: a path from the descriptor
 * of a tree that the task may write, which the kernel then does not let it leave; an open file only when it is a regular
 * one that the task has open for writing, which Landlock allowed. It has no rights that the task lacks, and what it has
 * opened the task cannot exchange any more.
 */

enum action {
  ACTION_DENY = 1,    /* the errno, reported; with a path argument the path is reported */
  ACTION_SOCKET = 2,  /* TCP: a socket that reaches loopback only; a Unix stream: one that leads nowhere; else as DENY */
  ACTION_CONNECT = 3, /* passes to loopback ports of the list, else as DENY with the address */
  ACTION_BIND = 4,    /* the same with the ports to listen on */
  ACTION_FIRST = 5,   /* passes once, for the task's own first process, then as DENY */
  ACTION_SEE = 6,     /* passes and is reported, with its path */
  ACTION_SEE_ADDRESS = 7,
  ACTION_CHMOD = 8,   /* done here for the trees that the task may write, else as DENY; `value` is the mode's argument */
  ACTION_CHOWN = 9,   /* the same; `value` is the user's argument, the group's comes next */
  ACTION_TIMES = 10,  /* the same; `value` is the argument that points to the two times */
};

enum { NO_ARGUMENT = 255, NO_FOLLOW = 254, OPEN_TRIES = 8, TEXT_MAX = 4096, RECORD_HEAD = 32, ADDRESS_MAX = 128, SEEN = 4096, KEEPER_HEAD = 64 };
enum { KEEPER_PATIENT = 1, KEEPER_TELLS_PID = 2, KEEPER_OWN_PROC = 4, KEEPER_OTHER_USER = 8 };

/* `flags`: the argument with AT_ flags, or NO_FOLLOW. */
struct rule { u32 number; u8 action, folder, path, value, flags, zero[3]; int error; };

/* In the plan's blob: this head, the rules, the two lists of ports, then the roots: the trees that the task may write. */
struct keeper {
  u32 rules, connects, listens, flags;
  int listener, notices;
  u32 capability_head[2], capabilities[6], roots, roots_at;
  struct rule rule[];
};

/* A descriptor of the tree and its path with a null byte, padded to 4 bytes; the path of / is empty. */
struct root { int descriptor; u32 length; char path[]; };

struct record { u32 bytes, rule; int error; u32 lost; u64 value; u32 found, zero; char text[TEXT_MAX - RECORD_HEAD]; };

static struct record record;
static u32 record_lost;
static u64 seen[SEEN];
static char text[TEXT_MAX + 1], joined[2 * TEXT_MAX + 2];

/* ---- looking into the task ------------------------------------------------------------------------------------- */

static long read_memory(u32 pid, u64 address, char *target, u64 length) {
  struct iovec local = {(u64)target, length}, remote = {address, length};
  return syscall6(SYS_process_vm_readv, pid, (long)&local, 1, (long)&remote, 1, 0);
}

/* A C string of the task in `text`, its length, or -1. Read page by page, since the next page may not be there. */
static long read_text(u32 pid, u64 address) {
  long length = 0;
  while (length < TEXT_MAX) {
    long part = 4096 - (long)((address + (u64)length) & 4095);
    if (part > TEXT_MAX - length) part = TEXT_MAX - length;
    long got = read_memory(pid, address + (u64)length, text + length, (u64)part);
    if (got <= 0) return -1;
    for (long end = length + got; length < end; length++) if (text[length] == 0) return length;
  }
  return -1;
}

static long append(char *target, long at, const char *words) {
  while (*words) target[at++] = *words++;
  return at;
}

static long append_number(char *target, long at, u32 number) {
  char digits[12];
  long count = 0;
  do { digits[count++] = (char)('0' + number % 10); number /= 10; } while (number > 0);
  while (count > 0) target[at++] = digits[--count];
  return at;
}

/* The absolute path that a call means, in `joined`; its length, 0 when it cannot be told. */
static long read_path(const struct rule *rule, const struct notification *call_, u32 flags) {
  u64 address = call_->arguments[rule->path];
  long length = address == 0 ? 0 : read_text(call_->pid, address);
  if (length < 0) return 0;
  text[length] = 0;
  if (text[0] == '/' && length > 0) { memcpy(joined, text, (u64)length + 1); return length; }
  long base = 0;
  if (flags & KEEPER_OWN_PROC) {
    char link[48];
    int folder = rule->folder == NO_ARGUMENT ? AT_FDCWD : (int)call_->arguments[rule->folder];
    long at = append_number(link, append(link, 0, "/proc/"), call_->pid);
    at = folder == AT_FDCWD ? append(link, at, "/cwd") : append_number(link, append(link, at, "/fd/"), (u32)folder);
    link[at] = 0;
    base = syscall6(SYS_readlinkat, AT_FDCWD, (long)link, (long)joined, TEXT_MAX, 0, 0);
    if (base < 0) base = 0;
  }
  if (length > 0 && base > 0) joined[base++] = '/';
  memcpy(joined + base, text, (u64)length);
  joined[base + length] = 0;
  return base + length;
}

/* The name of a file that the task has open, in `joined`; its length, 0 when it cannot be told. */
static long name_descriptor(const struct keeper *keeper, u32 pid, u64 descriptor) {
  char link[48];
  if (!(keeper->flags & KEEPER_OWN_PROC)) return 0;
  long at = append_number(link, append(link, append_number(link, append(link, 0, "/proc/"), pid), "/fd/"), (u32)descriptor);
  link[at] = 0;
  long length = syscall6(SYS_readlinkat, AT_FDCWD, (long)link, (long)joined, TEXT_MAX, 0, 0);
  if (length < 0) length = 0;
  joined[length] = 0;
  return length;
}

/* ---- telling the engine ---------------------------------------------------------------------------------------- */

/* Whether the same was told before; a direct-mapped memory that forgets what it has no room for. */
static int is_repeated(const struct record *told) {
  u64 hash = 14695981039346656037ul;
  for (u32 at = 4; at < told->bytes; at++) {
    if (at >= 12 && at < 16) continue; /* the count of lost records */
    hash = (hash ^ ((const u8 *)told)[at]) * 1099511628211ul;
  }
  u64 *place = &seen[hash % SEEN];
  if (*place == hash) return 1;
  *place = hash;
  return 0;
}

/* One write of at most 4096 bytes is never split or mixed. A full pipe loses the record and counts it, but for a keeper
   that is told to be patient: then the task waits for the engine. */
static void tell(const struct keeper *keeper, u32 length) {
  record.bytes = RECORD_HEAD + length;
  if (is_repeated(&record)) return;
  record.lost = record_lost;
  for (;;) {
    long written = call(SYS_write, keeper->notices, (long)&record, record.bytes);
    if (written == -EAGAIN && (keeper->flags & KEEPER_PATIENT)) {
      struct pollfd pipe = {keeper->notices, POLLOUT, 0};
      syscall6(SYS_ppoll, (long)&pipe, 1, 0, 0, 8, 0);
      continue;
    }
    if (written < 0) record_lost++;
    return;
  }
}

static void start_record(const struct keeper *keeper, const struct rule *rule, const struct notification *call_) {
  record.rule = (u32)(rule - keeper->rule);
  record.error = rule->error;
  if (call_->number == SYS_socket) record.value = call_->arguments[0] << 32 | (call_->arguments[1] & 0xffffffff);
  else record.value = rule->value == NO_ARGUMENT ? 0 : call_->arguments[rule->value];
  record.found = 0;
}

static void tell_path(const struct keeper *keeper, const struct rule *rule, const struct notification *call_) {
  start_record(keeper, rule, call_);
  long length = 0;
  if (rule->path != NO_ARGUMENT) length = read_path(rule, call_, keeper->flags);
  else if (rule->action >= ACTION_CHMOD) length = name_descriptor(keeper, call_->pid, call_->arguments[0]);
  if (length > TEXT_MAX - RECORD_HEAD) length = TEXT_MAX - RECORD_HEAD;
  if (length > 0 && (keeper->flags & KEEPER_PATIENT)) record.found = syscall6(SYS_faccessat, AT_FDCWD, (long)joined, 0, 0, 0, 0) == 0;
  memcpy(record.text, joined, (u64)length);
  tell(keeper, (u32)length);
}

/* ---- answers --------------------------------------------------------------------------------------------------- */

/* Gives the task a socket of the keeper's making. The loopback binding holds: undoing it needs a capability. */
static int give_socket(int listener, const struct notification *call_, struct answer *answer) {
  u32 domain = (u32)call_->arguments[0], type = (u32)call_->arguments[1], protocol = (u32)call_->arguments[2];
  long made;
  if (domain == AF_UNIX) {
    int pair[2];
    made = syscall6(SYS_socketpair, AF_UNIX, type | SOCK_CLOEXEC, 0, (long)pair, 0, 0);
    if (made == 0) {
      made = pair[0];
      call(SYS_close, pair[1], 0, 0);
    }
  } else {
    made = call(SYS_socket, domain, type | SOCK_CLOEXEC, protocol);
    if (made >= 0) {
      long bound = syscall6(SYS_setsockopt, made, SOL_SOCKET, SO_BINDTODEVICE, (long)"lo", 3, 0);
      if (bound < 0) {
        call(SYS_close, made, 0, 0);
        made = bound;
      }
    }
  }
  if (made < 0) {
    answer->error = (int)made;
    return 0;
  }
  struct added added = {call_->id, SECCOMP_ADDFD_SEND, (u32)made, 0, type & SOCK_CLOEXEC};
  long given = call(SYS_ioctl, listener, SECCOMP_ADDFD, (long)&added);
  call(SYS_close, made, 0, 0);
  if (given >= 0) return 1;
  answer->error = (int)given;
  return 0;
}

static int is_socket_known(const struct notification *call_) {
  u32 domain = (u32)call_->arguments[0], kind = (u32)call_->arguments[1] & SOCK_KIND, protocol = (u32)call_->arguments[2];
  if (domain == AF_UNIX) return kind == SOCK_STREAM || kind == SOCK_SEQPACKET;
  return (domain == AF_INET || domain == AF_INET6) && kind == SOCK_STREAM && (protocol == 0 || protocol == IPPROTO_TCP);
}

/* Whether a loopback address with one of the ports; the address is left in the record's text, its length in `length`. */
static int is_port_listed(const struct notification *call_, const u32 *ports, u32 count, u32 *length) {
  const u8 *address = (const u8 *)record.text;
  u64 bytes = call_->arguments[2] & 0xffffffff;
  if (bytes > ADDRESS_MAX) bytes = ADDRESS_MAX;
  long got = read_memory(call_->pid, call_->arguments[1], record.text, bytes);
  *length = got < 0 ? 0 : (u32)got;
  if (got < 8) return 0;
  u32 family = address[0] | (u32)address[1] << 8, port = (u32)address[2] << 8 | address[3];
  if (family == AF_INET) {
    if (address[4] != 127) return 0;
  } else if (family == AF_INET6 && got >= 24) {
    const u8 *in = address + 8;
    u32 zeros = 0;
    while (zeros < 15 && in[zeros] == 0) zeros++;
    int own = zeros == 15 && in[15] == 1;
    int mapped = zeros == 10 && in[10] == 255 && in[11] == 255 && in[12] == 127;
    if (!own && !mapped) return 0;
  } else {
    return 0;
  }
  for (u32 at = 0; at < count; at++) if (ports[at] == port) return 1;
  return 0;
}

/* ---- changing files for the task --------------------------------------------------------------------------------- */

static int starts_with(const char *words, const char *start, u32 length) {
  for (u32 at = 0; at < length; at++) if (words[at] != start[at]) return 0;
  return words[length] == 0 || words[length] == '/';
}

/* What the absolute path in `joined` names, opened from the root above it: a descriptor, -EPERM when it lies outside of
   them all or a link in it leads there. */
static long open_below(const struct keeper *keeper, u64 follow) {
  const struct root *root = (const struct root *)((const u8 *)keeper + keeper->roots_at);
  if (joined[0] != '/') return -EPERM;
  for (u32 at = 0; at < keeper->roots; at++) {
    if (starts_with(joined, root->path, root->length)) {
      const char *rest = joined + root->length;
      while (*rest == '/') rest++;
      struct open_how how = {O_PATH | O_CLOEXEC | follow, 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
      long opened = -EAGAIN;
      /* A granted file is a root without anything below it. */
      if (*rest == 0) return call(SYS_fcntl, root->descriptor, F_DUPFD_CLOEXEC, 0);
      for (int try = 0; try < OPEN_TRIES && opened == -EAGAIN; try++)
        opened = syscall6(SYS_openat2, root->descriptor, (long)rest, (long)&how, sizeof how, 0, 0);
      return opened == -EXDEV || opened == -ELOOP || opened == -EAGAIN ? -EPERM : opened;
    }
    root = (const struct root *)(root->path + ((root->length + 4) & ~3u));
  }
  return -EPERM;
}

/* The C library changes a link's own mode by /proc/self/fd/N of a file that it has opened: that number, -1 for any other
   path in `joined`. */
static long opened_number(void) {
  const char *start = "/proc/self/fd/";
  long at = 0, number = 0, digits = 0;
  for (; start[at]; at++) if (joined[at] != start[at]) return -1;
  for (; joined[at] >= '0' && joined[at] <= '9' && digits < 9; digits++) number = number * 10 + (joined[at++] - '0');
  return digits > 0 && joined[at] == 0 ? number : -1;
}

/* By its name, which was found out by following all links. */
static long open_named(const struct keeper *keeper, const struct notification *call_, u64 descriptor) {
  return name_descriptor(keeper, call_->pid, descriptor) > 0 ? open_below(keeper, O_NOFOLLOW) : -EPERM;
}

/* A file that the task has open, when that shows that it may write it. */
static long take_written(u32 pid, u64 descriptor) {
  long handle = call(SYS_pidfd_open, pid, PIDFD_THREAD, 0);
  if (handle < 0) handle = call(SYS_pidfd_open, pid, 0, 0);
  if (handle < 0) return -EPERM;
  long file = call(SYS_pidfd_getfd, handle, (long)descriptor, 0);
  call(SYS_close, handle, 0, 0);
  /* A container's own filter may forbid it: then the name has to do. */
  if (file < 0) return file == -EBADF ? file : -EPERM;
  struct status status;
  memset(&status, 0, sizeof status);
  long flags = call(SYS_fcntl, file, F_GETFL, 0);
  long got = syscall6(SYS_statx, file, (long)"", AT_EMPTY_PATH, STATX_TYPE, (long)&status, 0);
  if (flags >= 0 && (flags & O_ACCMODE) != 0 && (flags & O_PATH) == 0 && got == 0 && (status.mode & S_IFMT) == S_IFREG) return file;
  call(SYS_close, file, 0, 0);
  return -EPERM;
}

/* Opens what a call wants to change, by its arguments. */
static long open_changed(const struct keeper *keeper, const struct rule *rule, const struct notification *call_) {
  if (rule->path == NO_ARGUMENT) {
    long file = take_written(call_->pid, call_->arguments[0]);
    return file == -EPERM ? open_named(keeper, call_, call_->arguments[0]) : file;
  }
  u64 flags = rule->flags == NO_FOLLOW ? AT_SYMLINK_NOFOLLOW : rule->flags == NO_ARGUMENT ? 0 : call_->arguments[rule->flags];
  if (flags & ~(u64)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) return -EPERM;
  long length = read_path(rule, call_, keeper->flags);
  if (length == 0) return -EPERM;
  if (text[0] == 0 && !(flags & AT_EMPTY_PATH)) return -ENOENT;
  long number = opened_number();
  if (number >= 0) return open_named(keeper, call_, (u64)number);
  return open_below(keeper, flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0);
}

/* Does the call on the opened file; what the kernel says to it. */
static long change(const struct rule *rule, const struct notification *call_, long file, const struct timespec *times) {
  u64 value = call_->arguments[rule->value];
  char link[32];
  link[append_number(link, append(link, 0, "/proc/self/fd/"), (u32)file)] = 0;
  switch (rule->action) {
    case ACTION_CHMOD:
      return call(SYS_fchmodat, AT_FDCWD, (long)link, (long)value);
    case ACTION_CHOWN:
      return syscall6(SYS_fchownat, AT_FDCWD, (long)link, (long)value, (long)call_->arguments[rule->value + 1], 0, 0);
    default:
      return syscall6(SYS_utimensat, AT_FDCWD, (long)link, (long)times, 0, 0, 0);
  }
}

/* Changes a file for the task; false when it has to be denied. */
static int change_file(const struct keeper *keeper, const struct rule *rule, const struct notification *call_, struct answer *answer) {
  struct timespec times[2];
  u64 value = call_->arguments[rule->value];
  int has_times = rule->action == ACTION_TIMES && value != 0;
  if (rule->action == ACTION_CHMOD && (value & PRIVILEGE_BITS)) return 0;
  if (has_times && read_memory(call_->pid, value, (char *)times, sizeof times) != sizeof times) return 0;
  long file = open_changed(keeper, rule, call_);
  if (file == -EPERM) return 0;
  /* What was read was the task's that asked, not one that came to its number since. */
  u64 id = call_->id;
  long done = file < 0 ? file : call(SYS_ioctl, keeper->listener, SECCOMP_VALID, (long)&id) < 0 ? -ESRCH : change(rule, call_, file, has_times ? times : 0);
  if (file >= 0) call(SYS_close, file, 0, 0);
  answer->error = (int)done;
  return 1;
}

struct kept { u32 task; int started; };

/* Fills in the answer of one rule; true when the kernel has been answered already. */
static int follow(const struct keeper *keeper, const struct rule *rule, const struct notification *call_, struct answer *answer, struct kept *kept) {
  const u32 *ports = (const u32 *)(keeper->rule + keeper->rules);
  u32 length = 0;
  int passes = 0;
  switch (rule->action) {
    case ACTION_SOCKET:
      if (is_socket_known(call_)) return give_socket(keeper->listener, call_, answer);
      break;
    case ACTION_CONNECT:
    case ACTION_BIND:
    case ACTION_SEE_ADDRESS:
      start_record(keeper, rule, call_);
      if (rule->action == ACTION_BIND) passes = is_port_listed(call_, ports + keeper->connects, keeper->listens, &length);
      else passes = is_port_listed(call_, ports, keeper->connects, &length);
      if (rule->action == ACTION_SEE_ADDRESS) passes = 1;
      if (!passes || rule->action == ACTION_SEE_ADDRESS) tell(keeper, length);
      if (passes) answer->flags = SECCOMP_CONTINUE;
      else answer->error = -rule->error;
      return 0;
    case ACTION_FIRST:
      if (!kept->started && call_->pid == kept->task) {
        kept->started = 1;
        answer->flags = SECCOMP_CONTINUE;
        return 0;
      }
      break;
    case ACTION_SEE:
      tell_path(keeper, rule, call_);
      answer->flags = SECCOMP_CONTINUE;
      return 0;
    case ACTION_CHMOD:
    case ACTION_CHOWN:
    case ACTION_TIMES:
      if (change_file(keeper, rule, call_, answer)) return 0;
      break;
  }
  tell_path(keeper, rule, call_);
  answer->error = -rule->error;
  return 0;
}

/* Answers one question of the filter. What no rule of the table speaks of is denied. */
static void answer_call(const struct keeper *keeper, struct kept *kept) {
  struct notification asked;
  memset(&asked, 0, sizeof asked);
  if (call(SYS_ioctl, keeper->listener, SECCOMP_RECV, (long)&asked) < 0) return;
  struct answer answer = {asked.id, 0, -EPERM, 0};
  for (u32 at = 0; at < keeper->rules; at++) {
    if (keeper->rule[at].number != (u32)asked.number) continue;
    answer.error = 0;
    if (follow(keeper, &keeper->rule[at], &asked, &answer, kept)) return;
    if (answer.error != 0) break;
  }
  call(SYS_ioctl, keeper->listener, SECCOMP_SEND, (long)&answer);
}

/* Reads what the signal descriptor has, and takes in the ended; true when the task's first process is among them. */
static int take_in(int signals, u32 task, u32 *status) {
  char information[128];
  call(SYS_read, signals, (long)information, sizeof information);
  int ended = 0;
  for (;;) {
    int one = 0;
    long pid = syscall6(SYS_wait4, -1, (long)&one, WNOHANG | WAIT_ANY_KIND, 0, 0, 0);
    if (pid <= 0) return ended;
    if (pid == (long)task) {
      ended = 1;
      *status = (u32)one;
    }
  }
}

/*
 * The keeper keeps one right at most, to look into a task of another user; it does not start without it. Where the user
 * is the same it can do without, as in a container that has no such right to give. A task that is only observed may
 * have all rights of the engine, and then its keeper has to have them too.
 */
static void give_up_rights(const struct keeper *keeper, u32 step) {
  static const u32 nothing[6];
  long done = call(SYS_capset, (long)keeper->capability_head, (long)keeper->capabilities, 0);
  if (keeper->flags & KEEPER_PATIENT) return;
  if (done < 0 && !(keeper->flags & KEEPER_OTHER_USER)) done = call(SYS_capset, (long)keeper->capability_head, (long)nothing, 0);
  if (done < 0) fail_step(step, done);
}

/*
 * Keeps the task until its first process ends. Both share one table of descriptors until the filter is in place: its
 * listener reaches the keeper by that, under a number that the plan names, and `ready` tells that it is there. From
 * then on the keeper has a table of its own, without the pipes, whose ends the engine would never see otherwise. One
 * call does both, closing nothing where it cannot part the tables; containers forbid unshare, but not this one. The task
 * never has the listener: its execve parts the tables too, and closes what is not passed on.
 */
/* A question that came before there was a task to hear it lies with the keeper: it is passed on, and heard once the task runs. */
static void pass_question_on(u32 task) {
  u64 asked = 1ul << (SIGTERM - 1);
  const struct timespec now = {0, 0};
  if (syscall6(SYS_rt_sigtimedwait, (long)&asked, 0, (long)&now, 8, 0, 0) == SIGTERM) call(SYS_kill, (long)task, SIGTERM, 0);
}

static void __attribute__((noreturn)) keep(const struct keeper *keeper, u32 step, u32 task, int signals, int ready) {
  pass_question_on(task);
  long hidden = call(SYS_prctl, PR_SET_DUMPABLE, 0, 0);
  if (hidden < 0) fail_step(step, hidden);
  give_up_rights(keeper, step);
  if (keeper->flags & KEEPER_TELLS_PID) report(&task, 1, REPORT_PID);
  struct kept kept = {task, 0};
  struct pollfd wanted[2] = {{signals, POLLIN, 0}, {ready, POLLIN, 0}};
  for (int shared = 1;;) {
    if (syscall6(SYS_ppoll, (long)wanted, 2, 0, 0, 8, 0) < 0) continue;
    if (wanted[1].seen && shared) {
      shared = 0;
      long parted = call(SYS_close_range, 0, PLAN_FD - 1, CLOSE_RANGE_UNSHARE);
      if (parted < 0) fail_step(step, parted);
      wanted[1].descriptor = keeper->listener;
    } else if (wanted[1].seen & POLLIN) {
      answer_call(keeper, &kept);
    } else if (wanted[1].seen) {
      wanted[1].descriptor = -1;
    }
    u32 words[2] = {1, 0};
    if (wanted[0].seen && take_in(signals, task, &words[1])) {
      report(words, 2, REPORT_TASK);
      leave(0);
    }
  }
}
