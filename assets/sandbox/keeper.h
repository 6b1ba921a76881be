/*
 * The keeper of a confined task: its parent, and process 1 of its pid namespace where it has one. It takes in orphans,
 * answers what the task's system-call filter asks, and writes what was denied or seen to the notice pipe.
 *
 * What it answers stands in a table of the plan: for each system call an action and the arguments that hold a path, a
 * descriptor or flags. An answer never lets through what the task can change after it was looked at, unless another
 * layer holds it too (ports of connect: Landlock, and the loopback binding of every socket).
 */

enum action {
  ACTION_DENY = 1,    /* the errno, reported; with a path argument the path is reported */
  ACTION_SOCKET = 2,  /* TCP: a socket that reaches loopback only; a Unix stream: one that leads nowhere; else as DENY */
  ACTION_CONNECT = 3, /* passes to loopback ports of the list, else as DENY with the address */
  ACTION_BIND = 4,    /* the same with the ports to listen on */
  ACTION_FIRST = 5,   /* passes once, for the task's own first process, then as DENY */
  ACTION_SEE = 6,     /* passes and is reported, with its path */
  ACTION_SEE_ADDRESS = 7,
};

enum { NO_ARGUMENT = 255, TEXT_MAX = 4096, RECORD_HEAD = 32, ADDRESS_MAX = 128, SEEN = 4096, KEEPER_HEAD = 64 };
enum { KEEPER_PATIENT = 1, KEEPER_TELLS_PID = 2, KEEPER_OWN_PROC = 4 };

struct rule { u32 number; u8 action, folder, path, value; int error; };

/* In the plan's blob: this head, the rules, then the two lists of ports. */
struct keeper {
  u32 rules, connects, listens, flags;
  int listener, notices;
  u32 capability_head[2], capabilities[6], zero[2];
  struct rule rule[];
};

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
  record.value = rule->value == NO_ARGUMENT ? 0 : call_->arguments[rule->value];
  record.found = 0;
}

static void tell_path(const struct keeper *keeper, const struct rule *rule, const struct notification *call_) {
  start_record(keeper, rule, call_);
  long length = rule->path == NO_ARGUMENT ? 0 : read_path(rule, call_, keeper->flags);
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
 * Keeps the task until its first process ends. Both share one table of descriptors until the filter is in place: its
 * listener reaches the keeper by that, under a number that the plan names, and `ready` tells that it is there. From
 * then on the keeper has a table of its own, without the pipes, whose ends the engine would never see otherwise.
 */
static void __attribute__((noreturn)) keep(const struct keeper *keeper, u32 task, int signals, int ready) {
  call(SYS_prctl, PR_SET_DUMPABLE, 0, 0);
  call(SYS_capset, (long)keeper->capability_head, (long)keeper->capabilities, 0);
  if (keeper->flags & KEEPER_TELLS_PID) report(&task, 1, REPORT_PID);
  struct kept kept = {task, 0};
  struct pollfd wanted[2] = {{signals, POLLIN, 0}, {ready, POLLIN, 0}};
  for (int shared = 1;;) {
    if (syscall6(SYS_ppoll, (long)wanted, 2, 0, 0, 8, 0) < 0) continue;
    if (wanted[1].seen && shared) {
      shared = 0;
      call(SYS_unshare, CLONE_FILES, 0, 0);
      for (int descriptor = 0; descriptor < PLAN_FD; descriptor++) call(SYS_close, descriptor, 0, 0);
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
