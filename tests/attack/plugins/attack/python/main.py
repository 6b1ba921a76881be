import ctypes, json, os, signal, socket, sys, urllib.request

call = json.loads(sys.stdin.readline())
given, workdir = call["input"], call["context"]["workdir"]
path, host, port, pid = given.get("path", ""), given.get("host", ""), given.get("port", 0), given.get("pid", 0)


def raw(*args):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(*args) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def connect(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(3)
        s.connect(address)
    return {"connected": True}


def read_by_link():
    os.symlink(path, workdir + "/link")
    return open(workdir + "/link").read()


def write_by_link():
    os.symlink(path, workdir + "/link")
    open(workdir + "/link", "w").write("attacked")


def hard_link():
    os.link(path, workdir + "/hard")
    return open(workdir + "/hard").read()


def link_of(name):
    try:
        return os.readlink("/proc/self/fd/" + name)
    except OSError:
        return ""


attacks = {
    "read": lambda: open(path).read(),
    "write": lambda: open(path, "w").write("attacked"),
    "remove": lambda: os.remove(path),
    "chmod": lambda: os.chmod(path, 0o777),
    "list": lambda: os.listdir(path),
    "readByLink": read_by_link,
    "writeByLink": write_by_link,
    "hardLink": hard_link,
    "connect": lambda: connect(socket.AF_INET, (host, port)),
    "unix": lambda: connect(socket.AF_UNIX, path),
    "udp": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", (host, port)),
    "http": lambda: {"body": urllib.request.urlopen("http://%s:%d/" % (host, port), timeout=3).read().decode()},
    "ptrace": lambda: raw(101 if os.uname().machine == "x86_64" else 117, 16, pid, 0, 0),
    "signal": lambda: os.kill(pid, signal.SIGUSR2),
    "descriptors": lambda: {"open": [n + ":" + link_of(n) for n in os.listdir("/proc/self/fd")]},
    "environment": lambda: {"names": sorted(os.environ)},
}
got = attacks[given["attack"]]()
os.write(3, json.dumps({"output": got if isinstance(got, dict) else {"got": str(got)[:200]}}).encode() + b"\n")
