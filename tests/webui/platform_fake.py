"""What stands around vitrine-webui: `up` (descriptors 3 and 4, the listening socket) and a runner whose deeds a test
steers. The program under test is the real one."""
import fcntl
import hashlib
import http.client
import json
import os
import select
import signal
import socket
import sqlite3
import subprocess
import threading
import time

import wire

BUILD = os.environ.get("VITRINE_BUILD", os.path.join(wire.ROOT, "build"))
TOKEN = "0123456789abcdef" * 4
HOST = "localhost:8080"


def now_ms():
    return int(time.time() * 1000)


class Runner(threading.Thread):
    """Does commands and jobs as the real one tells of them; `refuse` maps a verb to (errno, message), `hold` keeps
    jobs or commands unanswered."""

    def __init__(self, data):
        super().__init__(daemon=True)
        self.data, self.sock, self.lock, self.ended = data, None, threading.RLock(), False
        self.wake_r, self.wake_w = os.pipe()
        self.jobs, self.done, self.refuse = [], [], {}
        self.asked, self.repository = [], {}  # jobs of the repository: (kind, args, body)
        self.hold_jobs, self.hold_commands, self.silent_done = threading.Event(), threading.Event(), False
        self.logs = {}  # kind -> [path, path], current
        self.stats, self.watched = {}, 0
        self.metrics = b"vitrine_workers 0\n"
        self.news = threading.Condition(self.lock)
        self.life = sqlite3.connect(data + "/life.db", check_same_thread=False, isolation_level=None)
        self.life.execute("PRAGMA journal_mode = WAL")
        have = self.life.execute("PRAGMA user_version").fetchone()[0]
        for i, sql in list(enumerate(wire.schema("life")))[have:]:
            self.life.executescript(sql)
            self.life.execute(f"PRAGMA user_version = {i + 1}")
        self.start()

    def connect(self, sock):
        with self.lock:
            self.sock = sock  # the thread lets go of the earlier one when it has noticed
        os.write(self.wake_w, b"x")

    def end(self):
        """Closes what it has: hundreds of tests run in one process."""
        if self.ended:
            return
        self.ended = True
        os.write(self.wake_w, b"x")
        self.join()
        self.life.close()
        for fd in [self.wake_r, self.wake_w, *(fd for _, fd in self.jobs)]:
            os.close(fd)
        if self.sock:
            self.sock.close()

    def site(self):
        return sqlite3.connect(f"file:{self.data}/site.db?mode=ro", uri=True)

    def run(self):
        while not self.ended:
            with self.lock:
                sock = self.sock
            ready = select.select([self.wake_r] + ([sock] if sock else []), [], [])[0]
            if self.wake_r in ready:
                os.read(self.wake_r, 100)
                continue
            try:
                message = wire.recv(sock)
            except OSError:
                message = None
            with self.lock:
                if message is None:
                    if self.sock is sock:
                        self.sock = None
                    continue
                getattr(self, "on_" + message[0].lower())(message[1], message[2])
                self.news.notify_all()

    def send(self, name, fds=(), **values):
        with self.lock:
            try:
                wire.send(self.sock, name, fds, **values)
            except OSError:
                pass  # it was killed meanwhile

    def await_(self, what, seconds=10):
        with self.lock:
            assert self.news.wait_for(what, seconds), "the runner waited in vain"

    # ---- commands
    def on_command_nudge(self, _fields, _fds):
        if not self.hold_commands.is_set():
            self.do_commands()

    def do_commands(self):
        with self.lock:
            known = {r[0] for r in self.life.execute("SELECT command_id FROM commands_done")}
            for cid, space_id, verb, version_id in self.site().execute("SELECT id, space_id, verb, version_id FROM commands ORDER BY id").fetchall():
                if cid not in known:
                    self.do(cid, space_id, verb, version_id)

    def do(self, cid, space_id, verb, version_id):
        code, message = self.refuse.get(verb, (0, ""))
        stage = {"deploy": "APP_STARTING", "start": "APP_STARTING", "restart": "APP_STARTING", "stop": "STOPPED", "pause": "PAUSED", "resume": "SLEEPING"}.get(verb)
        if not code and verb == "delete":
            self.life.execute("DELETE FROM spaces WHERE space_id = ?", (space_id,))
        elif not code and stage:
            self.set_stage(space_id, stage, version_id=version_id, tell=False)
        self.life.execute("INSERT INTO commands_done VALUES (?, ?, ?, ?)", (cid, code, message, now_ms()))
        self.done.append((verb, space_id))
        if not self.silent_done:
            self.send("COMMAND_DONE", command_id=cid, code=code, message=message)
        self.send("CHANGED", space_id=space_id)

    def set_stage(self, space_id, stage, reason="", worker_id=None, version_id=None, tell=True):
        with self.lock:
            self.life.execute("INSERT INTO spaces (space_id, uid_index, stage, reason, version_id, worker_id, updated_ms) VALUES (?1, ?1, ?2, ?3, ?4, ?5, ?6)"
                              " ON CONFLICT (space_id) DO UPDATE SET stage = ?2, reason = ?3, version_id = coalesce(?4, version_id), worker_id = ?5",
                              (space_id, stage, reason, version_id, worker_id, now_ms()))
            if tell:
                self.send("CHANGED", space_id=space_id)

    def add_worker(self, space_id, worker_id, version_id, state="ready", **stat):
        with self.lock:
            self.life.execute("INSERT INTO workers (id, space_id, version_id, state, boot_id, pid, port, restarts, created_ms, ready_ms, requests) VALUES (?, ?, ?, ?, 'b', 4242, 7860, 1, ?, ?, 5)",
                              (worker_id, space_id, version_id, state, now_ms() - 65000, now_ms() - 60000))
            self.stats[worker_id] = dict(space_id=space_id, worker_id=worker_id, **stat)

    def event(self, space_id, space, event, detail):
        with self.lock:
            self.life.execute("INSERT INTO events (at_ms, space_id, space, worker_id, event, detail) VALUES (?, ?, ?, 1, ?, ?)", (now_ms(), space_id, space, event, detail))

    # ---- jobs
    def on_job(self, fields, fds):
        if fields["kind"] != wire.CONST["JOB_UNPACK"]:
            return self.do_repository(fields, fds)
        self.jobs.append((fields, os.dup(fds[0])))
        os.close(fds[0])
        if not self.hold_jobs.is_set():
            self.do_job(*self.jobs[-1])

    def do_repository(self, fields, fds):
        """An empty repository, but for what the test put into self.repository: {what: answer}."""
        args = dict(a.split("=", 1) for a in fields["args"].decode().split("\0") if a)
        self.asked.append((fields["kind"], args, b"".join(os.pread(fd, 1 << 20, 0) for fd in fds)))
        for fd in fds:
            os.close(fd)
        if fields["kind"] == wire.CONST["JOB_READ"]:
            answer = self.repository.get(args["what"], {"sha": "", "items": [], "files": [], "more": False})
            reader, writer = os.pipe()
            os.write(writer, json.dumps(answer).encode())
            os.close(writer)
            self.send("JOB_STREAM", [reader], job_id=fields["job_id"])
            os.close(reader)
        memfd = os.memfd_create("result")
        of_none = fields["kind"] == wire.CONST["JOB_CARD"]
        os.write(memfd, json.dumps(self.repository.get("card", {"errors": [], "warnings": []}) if of_none else {"sha": "c" * 40}).encode())
        self.send("JOB_RESULT", [memfd], job_id=fields["job_id"])
        os.close(memfd)

    def do_job(self, fields, fd):
        os.lseek(fd, 0, os.SEEK_SET)
        body = os.read(fd, 1 << 20)
        if body.startswith(b"BAD"):
            self.send("JOB_RESULT", job_id=fields["job_id"], code=22, message="bundle.zip: this is no archive (zip, tar, tar.gz, tar.zst)")
            return
        sha = hashlib.sha256(body).hexdigest()
        record = {"sha": sha, "files": 2, "bytes": len(body), "title": "A title", "emoji": "🔮", "color_from": "indigo", "color_to": "pink",
                  "short_description": "What it is", "sdk": "python", "app_file": "app.py", "app_port": 7860, "base_path": "/",
                  "start_timeout_ms": None, "card": {"title": "A title", "odd_key": [1, 2]}, "warnings": [], "readme": "# Hello\n\n<script>alert(1)</script> **bold**\n"}
        if body.startswith(b"{"):
            record.update(json.loads(body))
        memfd = os.memfd_create("record")
        os.write(memfd, json.dumps(record).encode())
        self.send("JOB_RESULT", [memfd], job_id=fields["job_id"], sha=sha)
        os.close(memfd)

    # ---- logs and numbers
    def on_log_open(self, fields, _fds):
        paths, current, worker = self.logs.get(fields["kind"], ([], 0, 0))
        fds = [os.open(p, os.O_RDONLY) for p in paths]
        self.send("LOG_FILES", fds, request_id=fields["request_id"], worker_id=worker, count=len(fds), current=current)
        for fd in fds:
            os.close(fd)

    def on_metrics_ask(self, fields, _fds):
        fd = os.memfd_create("metrics")
        os.write(fd, self.metrics)
        os.lseek(fd, 0, os.SEEK_SET)
        self.send("METRICS", [fd] if self.metrics else [], request_id=fields["request_id"], code=0 if self.metrics else 5, message="")
        os.close(fd)

    def on_watch(self, _fields, _fds):
        self.watched += 1
        for stat in self.stats.values():
            self.send("WORKER_STAT", **stat)


class Platform:
    def __init__(self, data, **options):
        self.data = str(data)
        for folder in ("run", "uploads"):
            os.makedirs(f"{self.data}/{folder}", exist_ok=True)
        with open(self.data + "/admin.token", "w") as f:
            f.write(TOKEN + "\n")
        self.path = self.data + "/run/webui.sock"
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        folder = os.open(self.data + "/run", os.O_PATH)  # paths of sockets are short
        self.listener.bind(f"/proc/self/fd/{folder}/webui.sock")
        self.folder, self.address = folder, f"/proc/self/fd/{folder}/webui.sock"
        self.listener.listen(128)
        self.options = {"server.data": self.data, "server.listen": "127.0.0.1:8080", **options}
        self.runner = Runner(self.data)
        self.log = open(self.data + "/webui.log", "ab")
        self.start()

    def start(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        conf = os.memfd_create("conf")
        os.write(conf, b"".join(k.encode() + b"\0" + str(v).encode() + b"\0" for k, v in self.options.items()))

        def child():
            high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for fd in (theirs.fileno(), conf)]  # of ours, some are there
            os.dup2(high[0], 3, inheritable=True)
            os.dup2(high[1], 4, inheritable=True)

        self.process = subprocess.Popen(["vitrine-webui"], executable=BUILD + "/vitrine-webui", stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        close_fds=False, preexec_fn=child)
        theirs.close()
        os.close(conf)
        self.sup = ours
        self.new_peer()
        wire.send(ours, "SUP_LISTENER", [self.listener.fileno()], role=wire.CONST["ROLE_SITE"])
        ours.settimeout(20)
        assert wire.recv(ours)[0] == "SUP_READY"

    def new_peer(self):
        """A new pair of sockets to the runner, as after the restart of either side."""
        a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.runner.connect(a)
        wire.send(self.sup, "SUP_PEER", [b.fileno()], role=wire.CONST["ROLE_RUNNER"])
        b.close()

    def stop(self):
        """In order; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(20)
        self.sup.close()
        return status

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.sup.close()

    def close(self):
        """What is left when the program has ended."""
        self.runner.end()
        self.sup.close()
        self.listener.close()
        self.log.close()
        os.close(self.folder)

    # ---- a client
    def socket(self, timeout=20):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        s.settimeout(timeout)
        s.connect(self.address)
        return s

    def ask(self, method, path, body=None, headers=None, token=None, timeout=20):
        """(status, body, headers) of one request on its own connection."""
        c = http.client.HTTPConnection("localhost", timeout=timeout)
        c.sock = self.socket(timeout)
        try:
            c.request(method, path, body, {"Host": HOST, **({"Authorization": f"Bearer {token}"} if token else {}), **(headers or {})})
        except BrokenPipeError:
            c._HTTPConnection__state = "Request-sent"  # refused in the middle of the body: the answer is there
        r = c.getresponse()
        out = r.status, r.read(), r.headers
        c.close()
        return out

    def api(self, method, path, body=None, headers=None, token=TOKEN):
        status, text, _ = self.ask(method, path, body, headers, token)
        return status, json.loads(text)

    def deploy(self, space="alice/hello", body=b"PK bundle"):
        status, answer = self.api("PUT", f"/api/spaces/{space}/bundle?filename=x.zip", body)
        assert status == 200, answer
        return answer

    def space_id(self, space="alice/hello"):
        owner, name = space.split("/")
        row = self.runner.site().execute("SELECT id FROM spaces WHERE owner = ? AND name = ?", (owner, name)).fetchone()
        return row and row[0]

    def uploads(self):
        """Names left below uploads/ and nameless files that the program still holds."""
        held = []
        for fd in os.listdir(f"/proc/{self.process.pid}/fd"):
            try:
                link = os.readlink(f"/proc/{self.process.pid}/fd/{fd}")
            except OSError:
                continue
            if "/uploads/" in link:
                held.append(link)
        return os.listdir(self.data + "/uploads"), held


def until(what, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = what()
        if value:
            return value
        time.sleep(0.02)
    return what()


def events(sock):
    """The `data:` of each server-sent event on a connection whose request was sent."""
    f = sock.makefile("rb")
    while f.readline().strip():
        pass
    while True:
        size = f.readline().strip()
        if not size or int(size, 16) == 0:
            return
        chunk = f.read(int(size, 16))
        f.readline()
        for line in chunk.decode().split("\n"):
            if line.startswith("data:"):
                yield line[5:].strip()
