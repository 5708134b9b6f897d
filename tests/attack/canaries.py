"""The canaries: everything that an attempt may aim at, set up for one run of the suite and taken away after it."""
import ctypes
import fcntl
import os
import platform
import secrets
import shutil
import socket
import stat
import struct
import subprocess
import tempfile
import threading

MARK = "vitrine-canary-"
libc = ctypes.CDLL(None, use_errno=True)
CALLS = {"x86_64": {"add_key": 248, "keyctl": 250}, "aarch64": {"add_key": 217, "keyctl": 219}}.get(platform.machine(), {})
IPC_CREAT, IPC_RMID, OFD_SETLK = 0o1000, 0, 37


class Canaries:
    def __init__(self, program):
        self.token = MARK + secrets.token_hex(16)
        self.dir = tempfile.mkdtemp(prefix="vitrine-attack.", dir="/var/tmp")
        os.chmod(self.dir, 0o755)
        self.env, self.open, self.sockets = {"CANARY_DIR": self.dir}, [], []
        self.tools, self.ro = os.path.join(self.dir, "tools"), os.path.join(self.dir, "ro")
        self.files()
        self.programs(program)
        self.listeners()
        self.objects()
        self.victim = None
        self.start_victim()

    def set(self, **names):
        self.env.update({f"CANARY_{k}": str(v) for k, v in names.items()})

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, mode, text=None):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(self.token if text is None else text)
        os.chmod(path, mode)
        return path

    def files(self):
        for name, mode in (("public", 0o644), ("private", 0o600), ("group", 0o640), ("other-uid", 0o600), ("writable", 0o666),
                           ("truncated", 0o666), ("chmodded", 0o644), ("open/unlinked", 0o666), ("open/renamed", 0o666),
                           ("data/site.db", 0o600), ("data/admin.token", 0o600), ("neighbour/volume", 0o600), ("neighbour/log", 0o600)):
            self.write(name, mode)
        self.write("stdin", 0o600, "input")
        for name, mode, text in (("ro/file", 0o666, "x"), ("ro/locked", 0o644, "x"), ("ro/hot", 0o644, "hot " * 10000),
                                 ("ro/cold", 0o644, "cold " * 10000)):
            self.write(name, mode, text)
        os.chmod(self.ro, 0o755)
        os.chmod(self.path("open"), 0o777)
        os.chmod(self.path("data"), 0o700)
        os.chmod(self.path("neighbour"), 0o700)
        if os.getuid() == 0:
            os.chown(self.path("other-uid"), 12345, 12345)
        with open(self.path("ro/cold"), "rb") as f:
            os.fsync(f.fileno())
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def programs(self, program):
        os.mkdir(self.tools, 0o755)
        for name in ("attempts", "attempts-setuid", "attempts-capable"):
            shutil.copy(program, os.path.join(self.tools, name))
            os.chmod(os.path.join(self.tools, name), 0o755)
        if os.getuid() == 0:
            os.chmod(os.path.join(self.tools, "attempts-setuid"), 0o4755)
            all_caps = struct.pack("<5I", 0x02000001, 0xFFFFFFFF, 0, 0x1FF, 0)
            os.setxattr(os.path.join(self.tools, "attempts-capable"), "security.capability", all_caps)
        self.program = os.path.join(self.tools, "attempts")

    # ---- whoever connects is given the token

    def serve(self, sock):
        self.sockets.append(sock)

        def loop():
            while True:
                try:
                    if sock.type == socket.SOCK_DGRAM:
                        _, peer = sock.recvfrom(64)
                        sock.sendto(self.token.encode(), peer)
                    else:
                        peer, _ = sock.accept()
                        peer.sendall(self.token.encode())
                        peer.close()
                except OSError:
                    if sock.fileno() < 0:
                        return

        threading.Thread(target=loop, daemon=True).start()

    def listen(self, family, kind, address):
        s = socket.socket(family, kind)
        if family == socket.AF_INET6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.bind(address)
        if kind != socket.SOCK_DGRAM:
            s.listen(64)
        self.serve(s)
        return s

    def listeners(self):
        unix, stream = socket.AF_UNIX, socket.SOCK_STREAM
        for name, kind in (("stream.sock", stream), ("packet.sock", socket.SOCK_SEQPACKET), ("data/worker.sock", stream)):
            self.listen(unix, kind, self.path(name))
            os.chmod(self.path(name), 0o777)
        abstract = "vitrine-attack-" + secrets.token_hex(6)
        self.listen(unix, stream, "\0" + abstract)
        port = self.listen(socket.AF_INET, stream, ("0.0.0.0", 0)).getsockname()[1]
        self.listen(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", port))
        if os.path.exists("/proc/sys/net/ipv6"):
            try:
                self.listen(socket.AF_INET6, stream, ("::1", port))
            except OSError:
                pass  # no ::1 on this machine: nothing to reach
        self.set(ABSTRACT=abstract, PORT=port, PORT_HEX=":%04X " % port, SOCKET_INODE=self.path("stream.sock"), HOSTNAME=socket.gethostname())
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it asks which address would be used
            self.set(ADDRESS=probe.getsockname()[0])
        except OSError:
            pass
        probe.close()
        os.mkfifo(self.path("fifo"))
        os.chmod(self.path("fifo"), 0o666)
        self.open.append(os.open(self.path("fifo"), os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))

    # ---- locks, keys, System V and POSIX objects, a handle

    def objects(self):
        for name, key in (("flocked", "LOCK_INODE"), ("ofd-locked", "OFD_INODE")):
            fd = os.open(self.write(name, 0o644), os.O_RDWR | os.O_CLOEXEC)
            self.open.append(fd)
            if key == "LOCK_INODE":
                fcntl.flock(fd, fcntl.LOCK_EX)
            else:
                fcntl.fcntl(fd, OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
            self.set(**{key: ":%d 0 EOF" % os.fstat(fd).st_ino})
        key = secrets.randbelow(1 << 30) + (1 << 29)
        self.set(SHM_KEY=key)
        token = self.token.encode()
        self.shm = libc.shmget(key, 4096, IPC_CREAT | 0o666)
        libc.shmat.restype = ctypes.c_void_p
        at = libc.shmat(self.shm, None, 0)
        ctypes.memmove(at, token, len(token))
        self.sem = libc.semget(key, 1, IPC_CREAT | 0o666)
        self.msg = libc.msgget(key, IPC_CREAT | 0o666)
        libc.msgsnd(self.msg, struct.pack("l", 1) + token, len(token), 0)
        name = "/vitrine-attack-" + secrets.token_hex(6)
        self.set(POSIX_NAME=name)
        self.posix = name
        with open("/dev/shm" + name, "w") as f:
            f.write(self.token)
        os.chmod("/dev/shm" + name, 0o666)
        queue = libc.mq_open(name.encode(), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666, None)
        if queue >= 0:
            self.open.append(queue)
        if CALLS:
            serial = libc.syscall(CALLS["add_key"], b"user", b"vitrine-attack", token, len(token), -4)
            if serial > 0:
                libc.syscall(CALLS["keyctl"], 5, serial, 0x3F3F3F3F)
                self.set(KEY=serial, KEY_HEX="%08x" % serial)
        handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
        mount = ctypes.c_int()
        if libc.name_to_handle_at(-100, self.path("public").encode(), handle, ctypes.byref(mount), 0) == 0:
            n, kind = struct.unpack_from("Ii", handle.raw)
            self.set(HANDLE="%d:%s" % (kind, handle.raw[8:8 + n].hex()))

    # ---- a process of the host

    def start_victim(self):
        self.victim = subprocess.Popen([self.program, "--victim", self.token], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       env={"SECRET": self.token}, start_new_session=True, text=True)
        self.victim.stdin.write(self.token + "\n")
        self.victim.stdin.flush()
        self.set(VICTIM_PID=self.victim.pid, VICTIM_ADDRESS=self.victim.stdout.readline().strip())

    def victim_hurt(self):
        if self.victim.poll() is not None:
            self.start_victim()
            return "the victim died"
        state = open(f"/proc/{self.victim.pid}/stat").read().rsplit(")", 1)[1].split()[0]
        if state in "Tt":
            os.kill(self.victim.pid, 18)
            return "the victim was stopped"
        return ""

    def hurt(self):
        """What has changed since it was set up, as a sentence; it is as before afterwards"""
        if self.victim_hurt():
            return "the victim was hurt"
        changed = ""
        for name, mode in (("writable", 0o666), ("truncated", 0o666), ("private", 0o600), ("chmodded", 0o644), ("open/unlinked", 0o666),
                           ("open/renamed", 0o666), ("neighbour/volume", 0o600), ("stdin", 0o600), ("ro/file", 0o666)):
            text = {"stdin": "input", "ro/file": "x"}.get(name, self.token)
            try:
                same = stat.S_IMODE(os.stat(self.path(name)).st_mode) == mode and open(self.path(name)).read() == text
            except OSError:
                same = False
            if not same:
                changed = name + " was changed"
                self.write(name, mode, text)
        if os.path.exists(self.path("open/created")):
            changed = "a file was made in a host's folder"
            os.unlink(self.path("open/created"))
        if os.path.exists(self.path("ro/new")):
            changed = "a file was made in a folder to read"
            os.unlink(self.path("ro/new"))
        return changed

    def close(self):
        self.victim.kill()
        self.victim.wait()
        for s in self.sockets:
            s.close()
        for fd in self.open:
            os.close(fd)
        libc.shmctl(self.shm, IPC_RMID, None)
        libc.semctl(self.sem, 0, IPC_RMID, 0)
        libc.msgctl(self.msg, IPC_RMID, None)
        libc.mq_unlink(self.posix.encode())
        os.unlink("/dev/shm" + self.posix)
        if self.env.get("CANARY_KEY"):
            libc.syscall(CALLS["keyctl"], 21, int(self.env["CANARY_KEY"]), 0)
        shutil.rmtree(self.dir, ignore_errors=True)
