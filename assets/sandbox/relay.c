/*
 * The relay: entry point of every container that the engine starts (src/plugins/runtimes/docker). As process 1 it
 * starts the command, reaps orphans, passes signals on, and carries connections from loopback ports, which exist in the
 * container only, to the Unix sockets that the engine mounted: the container itself has no network.
 *
 *     relay [--cwd FOLDER] [--env FILE] [--stdin FILE] [--lifeline] [--listen PORT=SOCKET]... -- COMMAND [ARGUMENT]...
 *
 *     --cwd FOLDER   where the command starts; an engine would make a folder that is missing
 *     --env FILE     the command's whole environment, NAME=VALUE strings that end in a zero byte; default none
 *     --stdin FILE   the command's standard input; default /dev/null
 *     --lifeline     descriptor 0 is held open by the engine: when it ends, so does the container
 *     --listen       at most 256; each connection is one to the socket
 *
 * Ends with the command's exit code, 128 + n after signal n, 126 or 127 when the command cannot be executed, 125 when
 * the relay itself cannot work. The kernel kills whatever is left when process 1 ends. No C library, no allocation, no
 * threads.
 */

typedef unsigned int u32;
typedef unsigned long u64;
typedef unsigned short u16;
typedef unsigned char u8;

/* ---- the kernel's interface ------------------------------------------------------------------------------------ */

#if defined(__x86_64__)
enum {
  SYS_read = 0, SYS_write = 1, SYS_close = 3, SYS_lseek = 8, SYS_mmap = 9, SYS_rt_sigaction = 13, SYS_rt_sigprocmask = 14,
  SYS_getpid = 39, SYS_socket = 41, SYS_connect = 42, SYS_shutdown = 48, SYS_bind = 49, SYS_listen = 50,
  SYS_setsockopt = 54, SYS_clone = 56, SYS_execve = 59, SYS_wait4 = 61, SYS_kill = 62, SYS_chdir = 80, SYS_exit_group = 231,
  SYS_openat = 257, SYS_ppoll = 271, SYS_accept4 = 288, SYS_signalfd4 = 289, SYS_dup3 = 292,
};

static inline long syscall6(long number, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

__asm__(".globl _start\n_start:\n  xor %ebp, %ebp\n  mov %rsp, %rdi\n  and $-16, %rsp\n  call relay\n  hlt\n");

#elif defined(__aarch64__)
enum {
  SYS_dup3 = 24, SYS_chdir = 49, SYS_openat = 56, SYS_close = 57, SYS_lseek = 62, SYS_read = 63, SYS_write = 64, SYS_ppoll = 73,
  SYS_signalfd4 = 74, SYS_exit_group = 94, SYS_kill = 129, SYS_rt_sigaction = 134, SYS_rt_sigprocmask = 135,
  SYS_getpid = 172, SYS_socket = 198, SYS_bind = 200, SYS_listen = 201, SYS_connect = 203, SYS_setsockopt = 208,
  SYS_shutdown = 210, SYS_clone = 220, SYS_execve = 221, SYS_mmap = 222, SYS_accept4 = 242, SYS_wait4 = 260,
};

static inline long syscall6(long number, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}

__asm__(".globl _start\n_start:\n  mov x29, xzr\n  mov x0, sp\n  bl relay\n  brk #1\n");

#else
#error "the relay knows x86-64 and arm64"
#endif

enum {
  ENOENT = 2, EINTR = 4, EAGAIN = 11, EACCES = 13, ENOTDIR = 20,
  SIGHUP = 1, SIGINT = 2, SIGQUIT = 3, SIGKILL = 9, SIGUSR1 = 10, SIGUSR2 = 12, SIGTERM = 15, SIGCHLD = 17, SIGCONT = 18,
  SIGNALS = 64, SIG_SETMASK = 2, WNOHANG = 1, WAIT_ANY_KIND = 0x40000000,
  AT_FDCWD = -100, O_CLOEXEC = 02000000, O_NONBLOCK = 04000, SEEK_END = 2, PROT_READ_WRITE = 3, MAP_PRIVATE = 2,
  AF_UNIX = 1, AF_INET = 2, SOCK_STREAM = 1, SOL_SOCKET = 1, SO_REUSEADDR = 2, SHUT_WR = 1,
  POLLIN = 1, POLLOUT = 4,
};

struct pollfd { int fd; short events, revents; };
struct timespec { long seconds, nanoseconds; };
struct sigaction { u64 handler, flags, restorer, mask; };
struct address_in { u16 family, port; u32 address; u8 zero[8]; };
struct address_un { u16 family; char path[108]; };

static long call(long number, long a, long b, long c) { return syscall6(number, a, b, c, 0, 0, 0); }
static void close_fd(long fd) { call(SYS_close, fd, 0, 0); }

static void __attribute__((noreturn)) leave(int code) {
  for (;;) call(SYS_exit_group, code, 0, 0);
}

/* The compiler may call these by name even where there is no C library. */
__attribute__((used)) void *memset(void *target, int value, u64 length) {
  for (u64 at = 0; at < length; at++) ((volatile u8 *)target)[at] = (u8)value;
  return target;
}
__attribute__((used)) void *memcpy(void *target, const void *source, u64 length) {
  for (u64 at = 0; at < length; at++) ((volatile u8 *)target)[at] = ((const u8 *)source)[at];
  return target;
}

static u64 length_of(const char *text) {
  u64 length = 0;
  while (text[length]) length++;
  return length;
}

static int is_same(const char *a, const char *b) {
  while (*a && *a == *b) { a++; b++; }
  return *a == *b;
}

static void say(const char *text) { call(SYS_write, 2, (long)text, (long)length_of(text)); }

static void __attribute__((noreturn)) refuse(const char *what, const char *name) {
  say("relay: ");
  say(what);
  if (name) { say(" \""); say(name); say("\""); }
  say("\n");
  leave(125);
}

/* ---- what the command line says -------------------------------------------------------------------------------- */

enum { LISTENERS_MAX = 256, VARIABLES_MAX = 8192 };

struct listener { long fd; struct address_un target; };

static struct listener listeners[LISTENERS_MAX];
static int listener_count;
static char *variables[VARIABLES_MAX + 1];
static const char *stdin_path = "/dev/null";
static int has_lifeline;

/* Maps the file: its strings become the command's environment where they are. */
static void read_environment(const char *path) {
  long fd = syscall6(SYS_openat, AT_FDCWD, (long)path, O_CLOEXEC, 0, 0, 0);
  if (fd < 0) refuse("cannot read the environment", path);
  long size = call(SYS_lseek, fd, 0, SEEK_END);
  if (size > 0) {
    long map = syscall6(SYS_mmap, 0, size, PROT_READ_WRITE, MAP_PRIVATE, fd, 0);
    if (map < 0 && map > -4096) refuse("cannot read the environment", path);
    char *text = (char *)map;
    if (text[size - 1] != 0) refuse("the environment has no end", path);
    int count = 0;
    for (long at = 0; at < size; at += (long)length_of(text + at) + 1) {
      if (count == VARIABLES_MAX) refuse("too many variables", path);
      variables[count++] = text + at;
    }
  }
  close_fd(fd);
}

/* PORT=SOCKET */
static void add_listener(const char *text) {
  u32 port = 0;
  const char *at = text;
  for (; *at >= '0' && *at <= '9' && port < 65536; at++) port = port * 10 + (u32)(*at - '0');
  u64 length = *at == '=' ? length_of(at + 1) : 0;
  if (port == 0 || port > 65535 || length == 0 || length >= sizeof listeners[0].target.path) refuse("bad --listen", text);
  if (listener_count == LISTENERS_MAX) refuse("too many --listen", 0);

  struct listener *listener = &listeners[listener_count++];
  listener->target.family = AF_UNIX;
  memcpy(listener->target.path, at + 1, length);
  struct address_in address = {AF_INET, (u16)(port << 8 | port >> 8), 0x0100007f, {0}};
  int yes = 1;
  listener->fd = call(SYS_socket, AF_INET, SOCK_STREAM | O_CLOEXEC | O_NONBLOCK, 0);
  if (listener->fd < 0) refuse("no sockets here, wanted", text);
  syscall6(SYS_setsockopt, listener->fd, SOL_SOCKET, SO_REUSEADDR, (long)&yes, sizeof yes, 0);
  if (call(SYS_bind, listener->fd, (long)&address, sizeof address) < 0 || call(SYS_listen, listener->fd, 128, 0) < 0)
    refuse("cannot listen", text);
}

/* The command: what follows the two dashes. */
static char **read_options(char **argv) {
  for (char **at = argv + 1; *at; at++) {
    if (is_same(*at, "--") && at[1]) return at + 1;
    if (is_same(*at, "--lifeline")) { has_lifeline = 1; continue; }
    if (!at[1]) break;
    if (is_same(*at, "--cwd")) {
      if (call(SYS_chdir, (long)*++at, 0, 0) < 0) refuse("cannot enter the folder", *at);
    } else if (is_same(*at, "--env")) read_environment(*++at);
    else if (is_same(*at, "--stdin")) stdin_path = *++at;
    else if (is_same(*at, "--listen")) add_listener(*++at);
    else refuse("unknown option", *at);
  }
  refuse("no command", 0);
}

/* ---- the command ----------------------------------------------------------------------------------------------- */

static const char *search_path(void) {
  for (char **at = variables; *at; at++) {
    const char *text = *at;
    if (text[0] == 'P' && text[1] == 'A' && text[2] == 'T' && text[3] == 'H' && text[4] == '=') return text + 5;
  }
  return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

/* Tries every folder of PATH; gives the error of the first file that is there and cannot be executed. */
static long execute(char **command) {
  const char *name = command[0];
  for (const char *at = name; *at; at++) {
    if (*at == '/') return call(SYS_execve, (long)name, (long)command, (long)variables);
  }
  long error = -ENOENT;
  static char path[4096];
  u64 name_length = length_of(name);
  for (const char *from = search_path(); name_length > 0;) {
    u64 length = 0;
    while (from[length] && from[length] != ':') length++;
    if (length > 0 && length + name_length + 2 <= sizeof path) {
      memcpy(path, from, length);
      path[length] = '/';
      memcpy(path + length + 1, name, name_length + 1);
      long result = call(SYS_execve, (long)path, (long)command, (long)variables);
      if (result != -ENOENT && result != -ENOTDIR && (error == -ENOENT || error == -EACCES)) error = result;
    }
    if (!from[length]) break;
    from += length + 1;
  }
  return error;
}

static void __attribute__((noreturn)) become_command(char **command) {
  long input = syscall6(SYS_openat, AT_FDCWD, (long)stdin_path, O_CLOEXEC, 0, 0, 0);
  if (input < 0) refuse("cannot open the input", stdin_path);
  /* Never ours: that one is the lifeline. When the runtime left 0 closed, the file is there already. */
  if (input != 0) call(SYS_dup3, input, 0, 0);
  u64 none = 0;
  syscall6(SYS_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, 8, 0, 0);
  long error = execute(command);
  say("Cannot execute \"");
  say(command[0]);
  say(error == -ENOENT || error == -ENOTDIR ? "\": no such program in the image\n" : error == -EACCES ? "\": permission denied\n" : "\"\n");
  leave(error == -ENOENT || error == -ENOTDIR ? 127 : 126);
}

/* ---- connections ----------------------------------------------------------------------------------------------- */

enum { CONNECTIONS_MAX = 128, BUFFER_BYTES = 16384 };

/* One direction: what was read from its source and not yet written to the other side. */
struct flow { u32 from, to; int has_ended, is_shut; u8 bytes[BUFFER_BYTES]; };
/* fd[0] came in, fd[1] leads to the socket; flow[i] is read from fd[i]. */
struct connection { int is_open; long fd[2]; struct flow flow[2]; };

static struct connection connections[CONNECTIONS_MAX];

static void drop(struct connection *connection) {
  close_fd(connection->fd[0]);
  close_fd(connection->fd[1]);
  connection->is_open = 0;
}

static struct connection *free_connection(void) {
  for (int at = 0; at < CONNECTIONS_MAX; at++) {
    if (!connections[at].is_open) return &connections[at];
  }
  return 0;
}

/* Takes one waiting connection. The way to the socket is made first, so that a client whose turn has not come stays in
   the queue. False when it has to be tried again: the socket's own queue is full, or too many files are open. */
static int take(struct listener *listener, struct connection *connection) {
  long target = call(SYS_socket, AF_UNIX, SOCK_STREAM | O_CLOEXEC | O_NONBLOCK, 0);
  if (target < 0) return 0;
  long result = call(SYS_connect, target, (long)&listener->target, sizeof listener->target);
  if (result == -EAGAIN) { close_fd(target); return 0; }
  long client = syscall6(SYS_accept4, listener->fd, 0, 0, O_CLOEXEC | O_NONBLOCK, 0, 0);
  if (client < 0 || result < 0) {
    close_fd(target);
    if (client >= 0) close_fd(client);
    return client >= 0;
  }
  connection->is_open = 1;
  connection->fd[0] = client;
  connection->fd[1] = target;
  for (int side = 0; side < 2; side++) {
    struct flow *flow = &connection->flow[side];
    flow->from = flow->to = 0;
    flow->has_ended = flow->is_shut = 0;
  }
  return 1;
}

/* Reads when there is nothing to write, writes when there is. False when the connection is broken. */
static int move(struct connection *connection, int side) {
  struct flow *flow = &connection->flow[side];
  if (flow->from == flow->to && !flow->has_ended) {
    long count = call(SYS_read, connection->fd[side], (long)flow->bytes, BUFFER_BYTES);
    if (count < 0) return count == -EAGAIN || count == -EINTR;
    flow->from = 0;
    flow->to = (u32)count;
    if (count == 0) flow->has_ended = 1;
  }
  if (flow->from < flow->to) {
    long count = call(SYS_write, connection->fd[!side], (long)(flow->bytes + flow->from), flow->to - flow->from);
    if (count < 0) return count == -EAGAIN || count == -EINTR;
    flow->from += (u32)count;
  }
  if (flow->has_ended && !flow->is_shut) {
    call(SYS_shutdown, connection->fd[!side], SHUT_WR, 0);
    flow->is_shut = 1;
  }
  return 1;
}

static void serve(struct connection *connection) {
  if (!move(connection, 0) || !move(connection, 1) || (connection->flow[0].is_shut && connection->flow[1].is_shut)) drop(connection);
}

/* What side `side` of a connection is waited for. */
static short interest(const struct connection *connection, int side) {
  const struct flow *in = &connection->flow[side], *out = &connection->flow[!side];
  return (short)((in->from == in->to && !in->has_ended ? POLLIN : 0) | (out->from < out->to ? POLLOUT : 0));
}

/* ---- process 1 ------------------------------------------------------------------------------------------------- */

static const int passed_on[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

static u64 bit(int signal) { return 1ul << (signal - 1); }

/* Ends with the command: 0 as long as it runs. */
static void reap(long command) {
  for (;;) {
    int status = 0;
    long pid = syscall6(SYS_wait4, -1, (long)&status, WNOHANG | WAIT_ANY_KIND, 0, 0, 0);
    if (pid <= 0) return;
    if (pid == command) leave(status & 127 ? 128 + (status & 127) : status >> 8 & 255);
  }
}

/* All that wait, to every process but this one. A stopped process is woken, since otherwise it could not hear. */
static void take_signals(long signals, long command) {
  u8 info[128];
  while (call(SYS_read, signals, (long)info, sizeof info) == sizeof info) {
    u32 signal;
    memcpy(&signal, info, sizeof signal);
    if (signal == (u32)SIGCHLD) continue;
    call(SYS_kill, -1, (long)signal, 0);
    call(SYS_kill, -1, SIGCONT, 0);
  }
  reap(command);
}

static void hold_lifeline(void) {
  u8 ignored[512];
  long count = call(SYS_read, 0, (long)ignored, sizeof ignored);
  if (count > 0 || count == -EAGAIN || count == -EINTR) return;
  leave(128 + SIGKILL);
}

/* What is waited for. The kernel refuses a list that is longer than the limit of open files, so only what is wanted is
   in it: a side of a connection that nothing is wanted of would also report its hang-up without end. */
static struct pollfd polled[2 + LISTENERS_MAX + 2 * CONNECTIONS_MAX];
static u32 polled_count;

/* The place in the list, -1 when nothing is wanted. */
static int want(long fd, short events) {
  if (events == 0) return -1;
  polled[polled_count] = (struct pollfd){(int)fd, events, 0};
  return (int)polled_count++;
}

static int is_ready(int place) { return place >= 0 && polled[place].revents != 0; }

static void __attribute__((noreturn)) keep(long command, long signals) {
  static int listener_places[LISTENERS_MAX], side_places[CONNECTIONS_MAX][2];
  const struct timespec soon = {0, 20000000};
  int is_busy = 0;
  for (;;) {
    short accepts = !is_busy && free_connection() ? POLLIN : 0;
    polled_count = 0;
    int signal_place = want(signals, POLLIN);
    int lifeline_place = want(0, has_lifeline ? POLLIN : 0);
    for (int at = 0; at < listener_count; at++) listener_places[at] = want(listeners[at].fd, accepts);
    for (int at = 0; at < CONNECTIONS_MAX; at++) {
      const struct connection *connection = &connections[at];
      for (int side = 0; side < 2; side++)
        side_places[at][side] = want(connection->fd[side], connection->is_open ? interest(connection, side) : 0);
    }

    long count = syscall6(SYS_ppoll, (long)polled, polled_count, is_busy ? (long)&soon : 0, 0, 8, 0);
    if (count < 0 && count != -EINTR) refuse("cannot wait", 0);
    is_busy = 0;
    if (count <= 0) continue;
    if (is_ready(signal_place)) take_signals(signals, command);
    if (is_ready(lifeline_place)) hold_lifeline();
    for (int at = 0; at < CONNECTIONS_MAX; at++) {
      if (connections[at].is_open && (is_ready(side_places[at][0]) || is_ready(side_places[at][1]))) serve(&connections[at]);
    }
    for (int at = 0; at < listener_count; at++) {
      struct connection *connection = is_ready(listener_places[at]) ? free_connection() : 0;
      if (connection && !take(&listeners[at], connection)) is_busy = 1;
    }
  }
}

__attribute__((used, noreturn)) void relay(long *stack) {
  char **argv = (char **)(stack + 1);
  /* It signals every process that it can see. */
  if (call(SYS_getpid, 0, 0, 0) != 1) refuse("is for process 1 of a container", 0);
  char **command = read_options(argv);

  u64 all = ~0ul, wanted = bit(SIGCHLD);
  for (u32 at = 0; at < sizeof passed_on / sizeof passed_on[0]; at++) wanted |= bit(passed_on[at]);
  syscall6(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, 0, 8, 0, 0);
  struct sigaction as_default = {0, 0, 0, 0};
  for (int signal = 1; signal <= SIGNALS; signal++) syscall6(SYS_rt_sigaction, signal, (long)&as_default, 0, 8, 0, 0);
  long signals = syscall6(SYS_signalfd4, -1, (long)&wanted, 8, O_CLOEXEC | O_NONBLOCK, 0, 0);
  if (signals < 0) refuse("cannot wait for signals", 0);

  long pid = call(SYS_clone, SIGCHLD, 0, 0);
  if (pid < 0) refuse("cannot start the command", 0);
  if (pid == 0) become_command(command);
  keep(pid, signals);
}
