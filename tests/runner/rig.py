"""Plays `vitrine up`, the gateway and webui to a real vitrine-runner."""
import contextlib
import hashlib
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import wire  # noqa: E402

BUILD = os.path.abspath(os.environ.get("VITRINE_BUILD", os.path.join(wire.ROOT, "build")))
DEFAULTS = {"lifecycle.stop_grace": "1s", "lifecycle.backoff_first": "50ms", "lifecycle.backoff_max": "200ms",
            "log.level": "debug", "hardware.gpus": "none"}

HELLO = r'''
import http.server, os, sys, time
print("starting", flush=True)
class H(http.server.BaseHTTPRequestHandler):
    def log_message(self, *a): pass
    def do_GET(self):
        body = os.environ["SPACE_ID"].encode() + b" WHICH"
        if self.path == "/crash": os._exit(3)
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), H).serve_forever()
'''


PATIENCE = float(os.environ.get("TEST_PATIENCE", "1"))  # how much slower than usual the machine is: an emulated one


def until(what, seconds=10, step=0.01):
    end = time.monotonic() + seconds * PATIENCE
    while True:
        v = what()
        if v or time.monotonic() > end:
            return v
        time.sleep(step)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Peer:
    """One end of a SEQPACKET pair: what came is kept and can be waited for."""

    def __init__(self):
        self.sock, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.messages, self.lock = [], threading.Condition()
        self.on = {}
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while True:
            try:
                m = wire.receive(self.sock)
            except OSError:
                m = None
            with self.lock:
                self.messages.append(m)
                self.lock.notify_all()
            if m is None:
                return
            if m.type in self.on:
                self.on[m.type](m)

    def send(self, name, /, fds=(), **values):
        wire.send(self.sock, name, fds=fds, **values)

    def mark(self):
        with self.lock:
            return len(self.messages)

    def wait(self, name, /, seconds=10, since=0, **values):
        """The first message of that name and with these values after the mark `since`."""
        end = time.monotonic() + seconds * PATIENCE
        with self.lock:
            while True:
                for m in self.messages[since:]:
                    if m and m.type == name and all(getattr(m, k) == v for k, v in values.items()):
                        return m
                left = end - time.monotonic()
                assert left > 0 and self.lock.wait(left), f"no {name} {values} in {self.messages[since:]}"

    def close(self):
        """Descriptors that came stay open (a gateway goes on with a worker while the runner is away)."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.thread.join(5)
        self.sock.close()

    def drop(self):
        self.close()
        for m in filter(None, self.messages):
            m.close()


class Rig:
    def __init__(self, real=False, disk=None, image=None, **config):
        """`disk`: the data folder is a file system of its own, so large; `image`: one of that type with project quotas
        (as root; OSError where it cannot be)"""
        self.real, self.disk = real, disk or image
        self.folder = tempfile.mkdtemp(prefix="vitrine-runner-", dir="/var/tmp")
        os.chmod(self.folder, 0o755)
        self.data, self.bin = self.folder + "/data", self.folder + "/bin"
        if image:
            os.mkdir(self.data)
            self.mount_image(image)
        elif disk:
            os.mkdir(self.data)
            if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={disk},mode=700", "vitrine-test", self.data]).returncode:
                shutil.rmtree(self.folder)
                raise OSError("mounting is not allowed here")
        for d in ("run", "versions", "volumes", "logs"):
            os.makedirs(f"{self.data}/{d}", 0o700)
        os.mkdir(self.bin)
        for p in ("vitrine-runner", "vitrine-job", "vitrine-static"):
            if os.path.exists(f"{BUILD}/{p}"):
                shutil.copy2(f"{BUILD}/{p}", self.bin)
        if real:
            shutil.copy2(f"{BUILD}/vitrine-sandbox", self.bin)
        else:
            shutil.copy2(HERE + "/fake_sandbox.py", self.bin + "/vitrine-sandbox")
            os.chmod(self.bin + "/vitrine-sandbox", 0o755)
            open(self.bin + "/wire-path", "w").write(HERE)
        self.config = {"server.data": self.data, **DEFAULTS, **{k.replace("__", "."): v for k, v in config.items()}}
        self.site = self.make_site()
        self.stages, self.runner = {}, None
        self.gateway = self.webui = self.supervisor = None
        self.refs, self.past = {}, []

    def mount_image(self, kind):
        """In a file of the folder; it is unmounted as any other disk, and its loop device goes with it."""
        path, out = self.folder + "/image", None
        with open(path, "wb") as f:
            f.truncate(400 << 20)
        make = {"ext4": ["mkfs.ext4", "-q", "-O", "quota,project", "-E", "quotatype=prjquota"], "xfs": ["mkfs.xfs", "-q"]}[kind]
        try:
            out = subprocess.run([*make, path], capture_output=True, text=True, env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"})
            if not out.returncode:
                out = subprocess.run(["mount", "-o", "loop,prjquota", path, self.data], capture_output=True, text=True)
        except OSError as e:
            shutil.rmtree(self.folder)
            raise OSError(str(e))
        if out.returncode:
            shutil.rmtree(self.folder)
            raise OSError(out.stderr.strip().splitlines()[0])
        os.chmod(self.data, 0o700)

    def uid(self, index):
        """The host's uid of the Space that came as such, as root"""
        first = next((int(line.split(":")[1]) for line in open("/etc/subuid") if line.split(":")[0] in ("root", "vitrine")), 600200000)
        return first + 1 + index

    # ---- site.db, as webui writes it

    def make_site(self):
        schema = re.sub(r"/\*.*?\*/", "", open(wire.ROOT + "/common/schema.c").read(), flags=re.S)
        # the string literals between "schema_site[] = {" and "NULL"
        body = schema.split("schema_site[] = {")[1].split("};")[0]
        db = sqlite3.connect(self.data + "/site.db", isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA journal_mode = WAL")
        entries, parts = [], []
        i = 0
        while i < len(body):
            if body[i] == '"':
                j = i + 1
                while body[j] != '"':
                    j += 2 if body[j] == "\\" else 1
                parts.append(body[i + 1:j].encode().decode("unicode_escape"))
                i = j
            elif body[i] == "," and parts:
                entries.append("".join(parts))
                parts = []
            i += 1
        for sql in entries:
            db.executescript(sql)
        db.execute(f"PRAGMA user_version = {len(entries)}")
        return db

    def space(self, owner="demo", name="probe"):
        now = int(time.time() * 1000)
        return self.site.execute("INSERT INTO spaces (owner, name, label, created_ms, updated_ms) VALUES (?,?,?,?,?)",
                                 (owner, name, f"{owner}-{name}", now, now)).lastrowid

    def version(self, space, app=HELLO, sdk="python", app_file="app.py", port=None, which="one", timeout_ms=None):
        port = port or (7860 if self.real else free_port())
        sha = os.urandom(32).hex()
        tree = f"{self.data}/versions/{space}/{sha}"
        os.makedirs(tree, 0o755)
        with open(f"{tree}/{app_file}", "w") as f:
            f.write(app.replace("WHICH", which))
        os.chmod(f"{tree}/{app_file}", 0o755)
        if self.real:
            os.chmod(f"{self.data}/versions/{space}", 0o755)
        columns = {"space_id": space, "sha": sha, "title": "A title", "emoji": "x", "color_from": "", "color_to": "",
                   "short_description": "", "sdk": sdk, "app_file": app_file, "app_port": port, "base_path": "/",
                   "start_timeout_ms": timeout_ms, "card": "{}", "files": 1, "bytes": 1, "message": "",
                   "created_ms": 1}
        return self.site.execute(f"INSERT INTO versions ({','.join(columns)}) VALUES ({','.join('?' * len(columns))})",
                                 tuple(columns.values())).lastrowid

    def command(self, space, verb, version=None, nudge=True):
        if verb == "deploy":
            self.site.execute("UPDATE spaces SET version_id = ? WHERE id = ?", (version, space))
        n = self.site.execute("INSERT INTO commands (space_id, verb, version_id, created_ms) VALUES (?,?,?,?)",
                              (space, verb, version, int(time.time() * 1000))).lastrowid
        if nudge:
            self.webui.send("COMMAND_NUDGE")
        return n

    def do(self, space, verb, version=None):
        n = self.command(space, verb, version)
        m = self.webui.wait("COMMAND_DONE", 15, command_id=n)
        return m.code, m.message

    def deploy(self, space, version):
        assert self.do(space, "deploy", version) == (0, "")

    # ---- life.db, as webui reads it

    def life(self, sql, *args):
        db = sqlite3.connect(f"file:{self.data}/life.db?mode=ro", uri=True)
        try:
            return db.execute(sql, args).fetchall()
        finally:
            db.close()

    def stage(self, space):
        rows = self.life("SELECT stage FROM spaces WHERE space_id = ?", space)
        return rows[0][0] if rows else None

    def reason(self, space):
        return self.life("SELECT reason FROM spaces WHERE space_id = ?", space)[0][0]

    def stage_is(self, space, stage, seconds=10):
        assert until(lambda: self.stage(space) == stage, seconds), \
            (self.stage(space), stage, self.life("SELECT event, detail FROM events"), self.log())

    def events(self, name, space=None):
        return [d for e, s, d in self.life("SELECT event, space_id, detail FROM events ORDER BY id")
                if e == name and space in (None, s)]

    def live(self):
        return self.life("SELECT id, pid, state FROM workers WHERE ended_ms IS NULL")

    def fill(self):
        """Not a byte is left on the data folder's file system; free() takes that back."""
        with open(self.data + "/ballast", "wb", buffering=0) as f:
            for size in (65536, 1):
                try:
                    while True:
                        f.write(bytes(size))
                except OSError:
                    pass

    def free(self):
        os.unlink(self.data + "/ballast")

    # ---- the runner

    def log(self):
        return open(self.folder + "/log").read()[-6000:]

    def start(self, gateway=True):
        self.supervisor = Peer()
        memfd = os.memfd_create("conf")
        for k, v in self.config.items():
            os.write(memfd, f"{k}\0{v}\0".encode())
        theirs = self.supervisor.theirs

        def descriptors():
            a, b = os.dup(theirs.fileno()), os.dup(memfd)
            a, b = os.dup2(a, 60), os.dup2(b, 61)
            os.dup2(a, 3)
            os.dup2(b, 4)
            os.closerange(5, 62)

        self.runner = subprocess.Popen([self.bin + "/vitrine-runner"], preexec_fn=descriptors, close_fds=False,
                                       stderr=open(self.folder + "/log", "a"), stdin=subprocess.DEVNULL)
        os.close(memfd)
        theirs.close()
        try:
            self.supervisor.wait("SUP_READY", 10)
        except AssertionError:
            raise AssertionError(self.log())
        self.connect_webui()
        if gateway:
            self.connect_gateway()
        return self

    def connect_webui(self):
        self.webui = Peer()
        self.supervisor.send("SUP_PEER", fds=[self.webui.theirs.fileno()], role=wire.ENUM["ROLE_WEBUI"])
        self.webui.theirs.close()
        self.webui.send("COMMAND_NUDGE")

    def connect_gateway(self):
        """A gateway that lets go of whatever has no refs (self.refs[worker_id]) and was idle for long enough."""
        self.gateway = Peer()
        self.idle_ms = 0

        def asked(m):
            refs = self.refs.get(m.worker_id, 0)
            try:
                self.gateway.send("SLEEP_ANSWER", space_id=m.space_id, worker_id=m.worker_id, refs=refs,
                                  idle_ms=0 if refs else m.min_idle_ms, released=int(not refs))
            except OSError:
                pass
        self.gateway.on["SLEEP_ASK"] = asked
        self.supervisor.send("SUP_PEER", fds=[self.gateway.theirs.fileno()], role=wire.ENUM["ROLE_GATEWAY"])
        self.gateway.theirs.close()

    def wake(self, space):
        self.gateway.send("WAKE", space_id=space)

    def routed(self, space, seconds=15, since=0, **values):
        """A ROUTE with a worker."""
        end = time.monotonic() + seconds * PATIENCE
        while True:
            with self.gateway.lock:
                for m in self.gateway.messages[since:]:
                    if m and m.type == "ROUTE" and m.space_id == space and m.worker_id and \
                            all(getattr(m, k) == v for k, v in values.items()):
                        return m
                left = end - time.monotonic()
                assert left > 0, (self.gateway.messages[since:], self.log())
                self.gateway.lock.wait(left)

    def get(self, route, path="/"):
        """As a gateway does it: a socket from the worker, connected in there."""
        dial = socket.socket(fileno=os.dup(route.fds[0]))
        dial.settimeout(5 * PATIENCE)
        wire.send(dial, "DIAL", count=1)
        m = wire.receive(dial)
        s = socket.socket(fileno=m.fds[0])
        s.settimeout(5 * PATIENCE)
        s.connect(("127.0.0.1", route.port))
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        out = b""
        while True:
            try:
                d = s.recv(65536)
            except ConnectionResetError:
                break
            if not d:
                break
            out += d
        s.close()
        dial.close()
        return out.split(b"\r\n\r\n", 1)[-1].decode()

    def kill(self):
        """As if the runner was killed at any moment; its starter ends by itself."""
        self.runner.kill()
        self.runner.wait()
        for p in (self.gateway, self.webui, self.supervisor):
            if p:
                p.close()
                self.past.append(p)
        self.gateway = self.webui = self.supervisor = None

    def terminate(self, seconds=15):
        self.runner.send_signal(signal.SIGTERM)
        return self.runner.wait(seconds * PATIENCE)

    def mine(self):
        """Processes of this rig's runner: its programs, and every PID 1 (its starter names it so)."""
        out, instance = [], hashlib.sha256(os.path.realpath(self.data).encode()).hexdigest()[:16]
        for p in filter(str.isdigit, os.listdir("/proc")):
            try:
                cmd = open(f"/proc/{p}/cmdline").read()
                if instance in cmd or self.folder in cmd or self.folder in os.readlink(f"/proc/{p}/exe"):
                    if open(f"/proc/{p}/stat").read().rsplit(")", 1)[1].split()[0] != "Z":
                        out.append((int(p), cmd))
            except OSError:
                pass
        return out

    def kill_mine(self):
        """Some end before their turn comes: a PID 1 takes its demo with it, a starter ends without its runner."""
        for pid, _ in self.mine():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def starter(self):
        """The resident starter: the runner's one lasting child."""
        with open(f"/proc/{self.runner.pid}/task/{self.runner.pid}/children") as f:
            return int(f.read().split()[0])

    def end(self):
        errors = []
        if self.runner and self.runner.poll() is None:
            try:
                if self.terminate() != 0:
                    errors.append(f"exit status {self.runner.returncode}: {self.log()}")
            except subprocess.TimeoutExpired:
                self.runner.kill()
                self.runner.wait()
                errors.append(f"did not end after SIGTERM: {self.log()}")
        for p in (self.gateway, self.webui, self.supervisor, *self.past):
            if p:
                p.drop()
        left = until(lambda: not self.mine(), 3)
        if not left:
            errors.append(f"left running: {self.mine()} {self.log()}")
            self.kill_mine()
        if os.listdir(self.data + "/run/workers"):
            errors.append(f"left: {os.listdir(self.data + '/run/workers')}")
        if "AddressSanitizer" in self.log() or "runtime error" in self.log():
            errors.append(self.log())
        self.site.close()
        if self.disk:
            subprocess.run(["umount", "-l", self.data], check=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        assert not errors, "\n".join(errors)
