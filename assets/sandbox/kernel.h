/* The kernel's interface as far as the launcher needs it: numbers, structures, and how a system call is made. */

typedef unsigned int u32;
typedef unsigned long u64;
typedef unsigned char u8;

#if defined(__x86_64__)
enum {
  SYS_read = 0, SYS_write = 1, SYS_close = 3, SYS_lseek = 8, SYS_mmap = 9, SYS_rt_sigaction = 13, SYS_rt_sigprocmask = 14,
  SYS_ioctl = 16, SYS_pwrite64 = 18, SYS_getpid = 39, SYS_socket = 41, SYS_socketpair = 53, SYS_setsockopt = 54, SYS_clone = 56,
  SYS_wait4 = 61, SYS_kill = 62, SYS_capset = 126, SYS_rt_sigtimedwait = 128, SYS_prctl = 157, SYS_getdents64 = 217,
  SYS_exit_group = 231, SYS_openat = 257, SYS_readlinkat = 267, SYS_faccessat = 269, SYS_ppoll = 271,
  SYS_process_vm_readv = 310, SYS_fcntl = 72, SYS_fchownat = 260, SYS_fchmodat = 268,
  SYS_utimensat = 280, SYS_statx = 332, O_NOFOLLOW = 0400000,
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

__asm__(".globl _start\n_start:\n  xor %ebp, %ebp\n  and $-16, %rsp\n  call launch\n  hlt\n");

#elif defined(__aarch64__)
enum {
  SYS_ioctl = 29, SYS_faccessat = 48, SYS_openat = 56, SYS_close = 57, SYS_getdents64 = 61, SYS_lseek = 62, SYS_read = 63,
  SYS_write = 64, SYS_pwrite64 = 68, SYS_ppoll = 73, SYS_readlinkat = 78, SYS_capset = 91, SYS_exit_group = 94,
  SYS_kill = 129, SYS_rt_sigaction = 134, SYS_rt_sigprocmask = 135, SYS_rt_sigtimedwait = 137, SYS_prctl = 167, SYS_getpid = 172,
  SYS_socket = 198, SYS_socketpair = 199, SYS_setsockopt = 208, SYS_clone = 220, SYS_mmap = 222, SYS_wait4 = 260,
  SYS_process_vm_readv = 270, SYS_fcntl = 25, SYS_fchmodat = 53, SYS_fchownat = 54,
  SYS_utimensat = 88, SYS_statx = 291, O_NOFOLLOW = 0100000,
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

__asm__(".globl _start\n_start:\n  mov x29, xzr\n  bl launch\n  brk #1\n");

#else
#error "the launcher knows x86-64 and arm64"
#endif

/* Numbers that both architectures share. */
enum { SYS_pidfd_send_signal = 424, SYS_pidfd_open = 434, SYS_close_range = 436, SYS_openat2 = 437, SYS_pidfd_getfd = 438 };

enum {
  EPERM = 1, ENOENT = 2, ESRCH = 3, EBADF = 9, EAGAIN = 11, EXDEV = 18, ENOSYS = 38, ELOOP = 40, EBADMSG = 74,
  SIGKILL = 9, SIGUSR1 = 10, SIGTERM = 15, SIGCHLD = 17, SIGCONT = 18, SIGNALS = 64,
  SIG_SETMASK = 2, SEEK_SET = 0, SEEK_END = 2, PROT_READ_WRITE = 3, MAP_PRIVATE = 2, O_CLOEXEC = 02000000, AT_FDCWD = -100,
  WNOHANG = 1, WAIT_ANY_KIND = 0x40000000 /* __WALL: also children that do not announce their end by SIGCHLD */,
  PR_SET_DUMPABLE = 4, CLOSE_RANGE_UNSHARE = 2, POLLIN = 1, POLLOUT = 4,
  AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10, SOCK_STREAM = 1, SOCK_SEQPACKET = 5, SOCK_KIND = 15, SOCK_CLOEXEC = 02000000,
  O_PATH = 010000000, O_ACCMODE = 3, F_GETFL = 3, F_DUPFD_CLOEXEC = 1030, PIDFD_THREAD = 0200, AT_SYMLINK_NOFOLLOW = 0x100, AT_EMPTY_PATH = 0x1000,
  RESOLVE_NO_MAGICLINKS = 2, RESOLVE_BENEATH = 8, STATX_TYPE = 1, S_IFMT = 0170000, S_IFREG = 0100000, PRIVILEGE_BITS = 06000,
  IPPROTO_TCP = 6, SOL_SOCKET = 1, SO_BINDTODEVICE = 25,
  SECCOMP_CONTINUE = 1, SECCOMP_ADDFD_SEND = 2,
};
#define SECCOMP_RECV 0xc0502100u
#define SECCOMP_SEND 0xc0182101u
#define SECCOMP_VALID 0x40082102u
#define SECCOMP_ADDFD 0x40182103u

struct timespec { long seconds, nanoseconds; };
struct sigaction { u64 handler, flags, restorer, mask; };
struct dirent { u64 inode; u64 offset; unsigned short length; u8 kind; char name[]; };
struct pollfd { int descriptor; short wanted, seen; };
struct iovec { u64 base, length; };
struct open_how { u64 flags, mode, resolve; };
struct status { u32 known[7]; unsigned short mode, more[113]; }; /* struct statx, 256 bytes */
struct notification { u64 id; u32 pid, flags; int number; u32 arch; u64 at; u64 arguments[6]; };
struct answer { u64 id; long value; int error; u32 flags; };
struct added { u64 id; u32 flags, source, target, target_flags; };

static long call(long number, long a, long b, long c) { return syscall6(number, a, b, c, 0, 0, 0); }

static void __attribute__((noreturn)) leave(int code) {
  for (;;) call(SYS_exit_group, code, 0, 0);
}

/* The compiler may call these two by name even where there is no C library. */
__attribute__((used)) void *memset(void *target, int value, u64 length) {
  for (u64 at = 0; at < length; at++) ((volatile u8 *)target)[at] = (u8)value;
  return target;
}

__attribute__((used)) void *memcpy(void *target, const void *source, u64 length) {
  for (u64 at = 0; at < length; at++) ((volatile u8 *)target)[at] = ((const u8 *)source)[at];
  return target;
}
