# Runs inside the sandbox: tries what must not work, and what must, and prints a JSON object of what came of each.
import ctypes, errno, json, os, platform, signal, socket, struct, subprocess, sys, threading

spec = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
arm = platform.machine() == "aarch64"
seen = {}


def attempt(name, action):
    try:
        value = action()
        seen[name] = "done" if value is None else value
    except OSError as error:
        seen[name] = errno.errorcode.get(error.errno, str(error.errno)) if error.errno else str(error)
    except Exception as error:  # noqa: BLE001
        seen[name] = type(error).__name__


def call(name, x64, arm64, *args):
    def action():
        number = arm64 if arm else x64
        if number is None:
            return "EPERM"
        values = [ctypes.c_char_p(a) if isinstance(a, bytes) else ctypes.c_long(a) if isinstance(a, int) else a for a in args]
        if libc.syscall(ctypes.c_long(number), *values) < 0:
            raise OSError(ctypes.get_errno(), "")

    attempt(name, action)


secret, outside, inside, parent = spec["secret"], spec["outside"], spec["inside"], spec["parent"]
mine = os.path.join(inside, "mine")
open(mine, "w").close()

# ---- files
attempt("read secret", lambda: open(secret).read())
os.symlink(secret, os.path.join(inside, "link"))
attempt("read through symlink", lambda: open(os.path.join(inside, "link")).read())
attempt("read through proc root", lambda: open("/proc/self/root" + secret).read())
attempt("read through proc 1", lambda: open("/proc/1/root" + secret).read())
attempt("list outside", lambda: os.listdir(outside))
attempt("hard link to secret", lambda: os.link(secret, os.path.join(inside, "hard")))
attempt("create outside", lambda: open(os.path.join(outside, "new"), "w").close())
attempt("truncate outside", lambda: os.truncate(secret, 0))
attempt("unlink outside", lambda: os.unlink(secret))
attempt("rename outside", lambda: os.rename(secret, secret + "2"))
attempt("rename out", lambda: os.rename(mine, os.path.join(outside, "mine")))
attempt("mkdir outside", lambda: os.mkdir(os.path.join(outside, "folder")))
attempt("chmod outside", lambda: os.chmod(secret, 0o777))
attempt("chown outside", lambda: os.chown(secret, os.getuid(), os.getgid()))
attempt("utime outside", lambda: os.utime(secret, (1, 1)))
attempt("xattr outside", lambda: os.setxattr(secret, "user.mark", b"x"))
attempt("chmod readable", lambda: os.chmod(spec["readable"], 0o777))
attempt("fchmod readable", lambda: os.fchmod(os.open(spec["readable"], os.O_RDONLY), 0o777))
attempt("futimes readable", lambda: os.utime(os.open(spec["readable"], os.O_RDONLY), (1, 1)))
attempt("write readable", lambda: open(spec["readable"], "w").close())
attempt("read readable", lambda: open(spec["readable"]).read())
attempt("chmod inside", lambda: os.chmod(mine, 0o755))
attempt("chmod by a link inside", lambda: (os.symlink(secret, mine + "-link"), os.chmod(mine + "-link", 0o777)))
attempt("chmod above the folder", lambda: os.chmod(os.path.join(spec["inside"], "..", "..", secret.lstrip("/")), 0o777))
attempt("chmod by a folder outside", lambda: os.chmod("secret", 0o777, dir_fd=os.open(spec["outside"], os.O_PATH)))
attempt("utime by a link inside", lambda: os.utime(mine + "-link", (1, 1)))


def exchange_while_chmod():
    """The name is a link outside at one moment and a file inside at the next."""
    name, over = mine + "-race", threading.Event()

    def exchange():
        while not over.is_set():
            os.symlink(secret, name + "-new")
            os.rename(name + "-new", name)
            open(name + "-new", "w").close()
            os.rename(name + "-new", name)

    open(name, "w").close()
    thread = threading.Thread(target=exchange)
    thread.start()
    for _ in range(300):
        try:
            os.chmod(name, 0o777)
        except OSError:
            pass
    over.set()
    thread.join()
    if os.stat(secret).st_mode & 0o777 != 0o777:
        raise PermissionError(errno.EPERM, "it stayed as it was")


attempt("chmod while the name is exchanged", exchange_while_chmod)
attempt("utime inside", lambda: os.utime(mine, (1, 1)))
attempt("setuid bit inside", lambda: os.chmod(mine, 0o4755))
attempt("setuid bit at creation", lambda: os.close(os.open(os.path.join(inside, "suid"), os.O_CREAT | os.O_WRONLY, 0o4755)))
attempt("device node", lambda: os.mknod(os.path.join(inside, "null"), 0o020666, os.makedev(1, 3)))
attempt("fifo inside", lambda: os.mkfifo(os.path.join(inside, "fifo")))
attempt("rename inside", lambda: os.rename(os.path.join(inside, "fifo"), os.path.join(inside, "fifo2")))
attempt("write sysctl", lambda: open("/proc/sys/kernel/hostname", "w").write("x"))
attempt("write proc of keeper", lambda: open("/proc/1/oom_score_adj", "w").write("0"))
attempt("environment of keeper", lambda: open("/proc/1/environ").read())
attempt("memory of keeper", lambda: open("/proc/1/mem", "rb").read(1))
attempt("own maps", lambda: "done" if open("/proc/self/maps").read() else "empty")
attempt("write null", lambda: open("/dev/null", "w").write("x") and None)
attempt("disk device", lambda: open("/dev/vda", "rb").read(1))
attempt("shared memory folder", lambda: open("/dev/shm/attack", "w").close())
attempt("descriptors", lambda: sorted(int(name) for name in os.listdir("/proc/self/fd"))[:4])
attempt("inherited listener", lambda: os.fstat(60) and "open")

# ---- sockets
def tcp(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as made:
        made.settimeout(2)
        made.connect(address)


def fast_open():
    with socket.socket() as made:
        made.sendto(b"x", 0x20000000, ("127.0.0.1", spec["port"]))


def unix(address):
    with socket.socket(socket.AF_UNIX) as made:
        made.connect(address)


attempt("tcp denied port", lambda: tcp(socket.AF_INET, ("127.0.0.1", spec["port"])))
attempt("tcp v6", lambda: tcp(socket.AF_INET6, ("::1", spec["port"])))
attempt("tcp mapped", lambda: tcp(socket.AF_INET6, ("::ffff:127.0.0.1", spec["port"])))
attempt("tcp far", lambda: tcp(socket.AF_INET, ("192.0.2.1", 80)))
attempt("fast open", fast_open)
attempt("udp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 53)) and None)
attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close())
attempt("ping", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 1).close())
attempt("mptcp", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262).close())
attempt("sctp", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132).close())
attempt("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close())
attempt("packet", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close())
attempt("vsock", lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM, 0).close())
attempt("crypto socket", lambda: socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET, 0).close())
attempt("unix socket", lambda: unix(spec["socket"]))
attempt("abstract unix socket", lambda: unix("\0" + spec["abstract"]))
attempt("unix datagram", lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"x", spec["socket"]) and None)
attempt("datagram pair", lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) and None)
attempt("stream pair", lambda: socket.socketpair() and None)
attempt("bind", lambda: socket.socket().bind(("127.0.0.1", 0)))
attempt("listen", lambda: socket.socket().listen())
attempt("unix bind", lambda: socket.socket(socket.AF_UNIX).bind(os.path.join(inside, "socket")))


def rebind():
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"\0")


attempt("leave loopback", rebind)

# ---- processes and the kernel
attempt("signal to parent", lambda: os.kill(parent, 0))
attempt("signal to stranger", lambda: os.kill(spec["stranger"], signal.SIGURG))
call("limits of stranger", 302, 261, spec["stranger"], 7, struct.pack("QQ", 1, 1), 0)
attempt("priority of user", lambda: os.setpriority(os.PRIO_USER, 0, 19))
call("ptrace", 101, 117, 16, parent, 0, 0)
call("process_vm_readv", 310, 270, parent, 0, 0, 0, 0, 0)
call("pidfd_getfd", 438, 438, 0, 0, 0)
call("mount", 165, 40, b"none", b"/tmp", b"tmpfs", 0, 0)
call("mount_setattr", 442, 442, -100, b"/", 0x8000, struct.pack("QQQQ", 0, 1, 0, 0), 32)
call("unshare user", 272, 97, 0x10000000)
call("clone user", 56, 220, 0x10000000 | 17, 0, 0, 0, 0)
call("setns", 308, 268, 0, 0)
call("chroot", 161, 51, b"/")
call("pivot_root", 155, 41, b"/", b"/")
call("io_uring", 425, 425, 1, 0)
call("keyring", 250, 219, 0, -3, 1)
call("bpf", 321, 280, 0, 0, 0)
call("userfaultfd", 323, 282, 0)
call("perf", 298, 241, 0, 0, -1, -1, 0)
call("shared memory", 29, 194, 0, 4096, 0o1600)
call("message queue", 240, 180, b"/q", 0o102, 0o600, 0)
call("handle of file", 304, 265, 0, 0, 0)
call("inotify", 254, 27, 0, secret.encode(), 2)
call("clone3", 435, 435, 0, 0)
call("openat2", 437, 437, -100, b"/", 0, 0)
call("too new", 500, 500)
call("reboot", 169, 142, 0, 0, 0)
call("kexec", 246, 104, 0, 0, 0, 0)
attempt("terminal trick", lambda: __import__("fcntl").ioctl(0, 0x5412, b"x") and None)
attempt("setuid", lambda: os.setuid(0 if os.getuid() else 1))
attempt("new privileges", lambda: open("/proc/self/status").read().split("NoNewPrivs:\t")[1][0])
attempt("capabilities", lambda: sorted({line.split()[1] for line in open("/proc/self/status") if line.startswith("Cap") and not line.startswith("CapBnd")}))
attempt("subprocess", lambda: subprocess.run(["/bin/sh", "-c", "exit 3"], check=False).returncode)
attempt("thread", lambda: threading.Thread(target=lambda: None).start())
attempt("run a script of the folder", lambda: (open(mine, "w").write("#!/bin/sh\nexit 4\n"), os.chmod(mine, 0o755), subprocess.run([mine], check=False).returncode)[2])
attempt("core size", lambda: __import__("resource").getrlimit(__import__("resource").RLIMIT_CORE)[1])
print(json.dumps(seen))
