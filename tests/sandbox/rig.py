"""What the tests of the sandbox stand on: `vitrine-sandbox run`, a small runner for the starter, leftovers."""
import os
import pwd
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "runner"))
import wire  # noqa: E402

BUILD = os.environ.get("VITRINE_BUILD", os.path.join(ROOT, "build"))
SANDBOX = os.path.join(BUILD, "vitrine-sandbox")
IS_ROOT = os.getuid() == 0
NEVER = 2**64 - 1
PATIENCE = float(os.environ.get("TEST_PATIENCE", "1"))  # how much slower than usual the machine is: an emulated one
PYTHON = "/usr/bin/python3"


def kernel():
    """(6, 1) of Linux 6.1.0-28-amd64"""
    return tuple(int(n) for n in os.uname().release.split("-")[0].split(".")[:2])


def run(*args, timeout=30, **kw):
    """`vitrine-sandbox run ARGS`, finished"""
    kw.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([SANDBOX, "run", *args], capture_output=True, text=True, timeout=timeout * PATIENCE, **kw)


def sh(script, *options, **kw):
    return run(*options, "--", "/bin/sh", "-c", script, **kw)


def python(script, *options, **kw):
    return run(*options, "--", PYTHON, "-c", script, **kw)


# ---- who is there afterwards

def sandboxed_processes():
    """live processes in a pid namespace that is not ours, and every vitrine-sandbox"""
    own, found = os.stat("/proc/self/ns/pid").st_ino, {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            state = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0]
            name = os.path.basename(open(f"/proc/{pid}/cmdline").read().split("\0")[0])
            if state == "Z":
                continue
            try:
                inside = os.stat(f"/proc/{pid}/ns/pid").st_ino != own
            except PermissionError:
                inside = os.stat(f"/proc/{pid}").st_uid in mapped_uids()
            if inside or name == "vitrine-sandbox":
                found[int(pid)] = name
        except OSError:
            pass
    return found


def is_running(pid):
    """There, and no zombie"""
    try:
        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def parent(pid):
    """None of one that has ended meanwhile"""
    try:
        return int(open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[1])
    except OSError:
        return None


def open_files(pid):
    """What its descriptors are; one that it closed meanwhile is none"""
    links = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            links.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except FileNotFoundError:
            pass
    return links


def cgroups(word="vitrine"):
    return {d for d, _, _ in os.walk("/sys/fs/cgroup") if word in d}


def sub_range(path="/etc/subuid"):
    """(first, count) of our subordinate ids"""
    name = "root" if IS_ROOT else pwd.getpwuid(os.getuid()).pw_name
    for line in open(path):
        who, first, count = line.strip().split(":")
        if who == name or (IS_ROOT and who == "vitrine"):
            return int(first), int(count)
    return (600200000, 65535) if IS_ROOT else None


def mapped_uids():
    first, count = sub_range()
    return range(first, first + count)


def until(what, seconds=5):
    end = time.monotonic() + seconds * PATIENCE
    while time.monotonic() < end:
        v = what()
        if v:
            return v
        time.sleep(0.01)
    return what()


# ---- files that belong to a Space's uid

def as_range_root(*argv):
    """Runs argv as someone who may give files to the ids of the range"""
    if IS_ROOT:
        return subprocess.run(argv, check=True)
    uids, gids = sub_range(), sub_range("/etc/subgid")
    return subprocess.run(["unshare", "-U", "-r", f"--map-users={uids[0]},1,{uids[1]}",
                           f"--map-groups={gids[0]},1,{gids[1]}", *argv], check=True)


def give(path, uid_index):
    first = sub_range()[0] if IS_ROOT else 1
    uid = first + 1 + uid_index
    as_range_root("chown", "-R", f"{uid}:{uid}", path)


def remove(path):
    if IS_ROOT:
        shutil.rmtree(path, ignore_errors=True)
    elif os.path.exists(path):
        as_range_root("rm", "-rf", path)


# ---- the starter, as the runner sees it

class Connection:
    def __init__(self, path, role):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(5 * PATIENCE)
        self.sock.connect(path)
        self.send("HELLO", role=role)

    def send(self, name, **values):
        wire.send(self.sock, name, **values)

    def receive(self, name=None):
        while True:
            m = wire.receive(self.sock)
            if m is None or name is None or m.type == name:
                return m
            m.close()

    def close(self):
        self.sock.close()


class Worker:
    def __init__(self, worker_id, folder):
        self.id, self.folder = worker_id, folder
        self.path = f"{folder}/{worker_id}.sock"
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(self.path)
        self.listener.listen(64)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self.log_fds = [os.open(f"{folder}/{worker_id}.{i}.log", flags, 0o600) for i in (0, 1)]
        self.exit_fd = os.open(f"{folder}/{worker_id}.exit", flags, 0o600)
        self.pidfd = -1
        self.pid = 0
        self.started = None

    def control(self):
        return Connection(self.path, wire.ENUM["HELLO_CONTROL"])

    def dial(self):
        return Connection(self.path, wire.ENUM["HELLO_DIAL"])

    def log(self):
        return b"".join(os.pread(fd, 1 << 26, 0) for fd in self.log_fds).decode(errors="replace")

    def last_word(self):
        return os.pread(self.exit_fd, 100, 0).decode()

    def wait(self, seconds=10):
        assert select.select([self.pidfd], [], [], seconds * PATIENCE)[0], f"worker {self.id} did not end"
        return self.last_word()

    def alive(self):
        return not select.select([self.pidfd], [], [], 0)[0]

    def close(self):
        for fd in (*self.log_fds, self.exit_fd, self.pidfd):
            if fd >= 0:
                os.close(fd)
        self.listener.close()


class Starter:
    """Starts `vitrine-sandbox starter` and speaks for the runner"""
    serial = 0

    def __init__(self, instance=None):
        self.folder = tempfile.mkdtemp(prefix="vitrine-sandbox-test.", dir="/var/tmp")
        Starter.serial += 1
        self.instance = instance or f"test-{os.getpid()}-{Starter.serial}"
        self.workers = {}
        self.next_id = 0
        self.spawn()

    def spawn(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # enough room for several of the largest messages at once
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        ours.settimeout(20 * PATIENCE)
        self.sock = ours
        fd = theirs.fileno()
        self.process = subprocess.Popen([SANDBOX, "starter", "--instance", self.instance], stdin=subprocess.DEVNULL,
                                        start_new_session=True, pass_fds=[3], preexec_fn=lambda: os.dup2(fd, 3, True))
        theirs.close()

    def ask(self, name, fds=(), **values):
        wire.send(self.sock, name, fds, **values)

    def receive(self, name):
        m = wire.receive(self.sock)
        assert m and m.type == name, m
        return m

    def begin(self, argv, **values):
        """Sends START; the worker, of which STARTED is still to come"""
        w, send = self.prepare(argv, **values)
        send()
        return w

    def prepare(self, argv, worker_id=None, stdio=None, mounts=(), env=(), **values):
        """A worker that is not started yet, and the function that sends its START"""
        self.next_id += 1
        w = Worker(worker_id or self.next_id, self.folder)
        self.workers[w.id] = w
        blob = lambda strings: b"".join(s.encode() + b"\0" for s in strings)  # noqa: E731
        given = dict(start_id=w.id + 1000, worker_id=w.id, flags=wire.ENUM["START_JOB"] if stdio else 0, uid_index=w.id % 1000,
                     port=7860, hostname="worker", root="host", app="", cwd="/home/user", argv=blob(argv),
                     env=blob(["PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/home/user", *env]), mounts=blob(mounts),
                     memory_bytes=256 << 20, cpu_milli=1000, pids=64, open_files=1024, file_size_bytes=64 << 20,
                     tmp_bytes=16 << 20, home_bytes=16 << 20, root_bytes=0, log_bytes=1 << 20, log_rate=1 << 20, lease_ms=NEVER)
        given.update(values)
        message = wire.pack("START", [w.listener.fileno(), *w.log_fds, w.exit_fd, *(stdio or [])], **given)
        return w, lambda: self.sock.sendmsg(*message)

    def finish(self, w):
        m = self.receive("STARTED")
        assert m.start_id == w.id + 1000
        w.started = m
        if m.code == 0:
            assert len(m.fds) == 1
            w.pidfd, w.pid = m.fds[0], m.pid
        return w

    def start(self, argv, **values):
        return self.finish(self.begin(argv, **values))

    def python(self, script, **values):
        return self.start([PYTHON, "-c", script], **values)

    def sh(self, script, **values):
        return self.start(["/bin/sh", "-c", script], **values)

    def group(self, w, remove=0, kill=False):
        if kill:
            self.ask("GROUP_KILL", worker_id=w.id)
        else:
            self.ask("GROUP_ASK", worker_id=w.id, remove=remove)
        return self.receive("GROUP_STAT")

    def end(self):
        """Ends every worker, and the starter"""
        if self.process.poll() is not None:
            self.spawn()
        for w in self.workers.values():
            if w.pidfd >= 0:
                self.group(w, kill=True)
                w.wait()
            self.group(w, remove=1)
            w.close()
        self.sock.close()
        status = self.process.wait(10 * PATIENCE)
        remove(self.folder)
        return status

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.sock.close()


def dialed_sockets(m):
    return [socket.socket(fileno=fd) for fd in m.fds]


def limit_bit(name):
    """Of a limit among those that were met, by its place in common/space_limits.h"""
    text = open(os.path.join(ROOT, "common", "space_limits.h")).read()
    return 1 << re.findall(r"X\(\w+, (\w+)\)", text).index(name)


def connect(w, port, seconds=5):
    """A connection to the worker's program, by a socket of its own network namespace"""
    d = w.dial()

    def attempt():
        d.send("DIAL", count=1)
        m = d.receive("DIALED")
        s = dialed_sockets(m)[0]
        s.setblocking(True)
        try:
            s.connect(("127.0.0.1", port))
            return s
        except ConnectionRefusedError:
            s.close()
            return None

    s = until(attempt, seconds)
    d.close()
    return s




def descends_from_us(pid):
    try:
        while pid > 1:
            if pid == os.getpid():
                return True
            pid = int(open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[1])
    except OSError:
        pass
    return False


def own(found, before):
    """Of these processes the new ones that nobody else's tests on this machine have started"""
    return {p: n for p, n in found.items() if p not in before and descends_from_us(p)}


def is_dead_run(group):
    """Whether a control group of `vitrine-sandbox run` belongs to a process that is gone. Another user's are nobody's of ours:
    whoever made them takes them away."""
    try:
        if os.stat(group).st_uid != os.getuid():
            return False
    except FileNotFoundError:
        return False
    name = [part for part in group.split("/") if part.startswith("vitrine-")][0]
    if not name.startswith("vitrine-run-"):
        return True
    pid, namespace = name.split("-")[2:4]
    return int(namespace) == os.stat("/proc/self/ns/pid").st_ino and not os.path.exists(f"/proc/{pid}")
