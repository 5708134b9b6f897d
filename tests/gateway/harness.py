"""The gateway alone, between fakes of all that it talks to: `up`, the runner, workers, the site.

A worker's dial socket hands out plain TCP sockets of the host's network, and its demo is a listening
socket on 127.0.0.1 whose connections a test's function serves."""
import contextlib
import fcntl
import os
import queue
import re
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time

import codec

BUILD = os.environ.get("VITRINE_BUILD", os.path.join(codec.ROOT, "build"))
DOMAIN = "localhost"
LISTENER_TLS = 2


# How many loops the gateway has where a test does not say.
THREADS = int(os.environ.get("VITRINE_TEST_THREADS", "1"))


def until(what, seconds=5):
    end = time.monotonic() + seconds
    while not (got := what()):
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.01)
    return got


def free_ports(n):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


def free_port():
    return free_ports(1)[0]


def until_open(port):
    end = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < end, "it does not listen"
            time.sleep(0.02)


class Peer:
    """One end of a SEQPACKET socket: what comes goes to on_message(name, fields) in a thread. With several links, one for
    each loop, it is sent to all of them, and what comes from any of them comes here."""

    def __init__(self, on_message=None, links=1):
        self.links = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(links)]
        self.ours, self.theirs = self.links[0]
        self.on_message = on_message
        self.messages = queue.Queue()
        self.eof = threading.Event()
        self.lock = threading.Lock()
        for ours, _ in self.links:
            threading.Thread(target=self._read, args=(ours,), daemon=True).start()

    def _read(self, ours):
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(ours, 1 << 18, 32)
            except OSError:
                data = b""
            if not data:
                self.eof.set()
                return
            name, fields = codec.decode(data)
            self.messages.put((name, fields))
            self.got(ours, name, fields)
            for fd in fds:
                os.close(fd)

    def got(self, ours, name, fields):
        if self.on_message:
            self.on_message(name, fields)

    def send(self, name, fds=(), to=None, **fields):
        """To all loops, some of which may have ended, while others go on; or to that one"""
        for ours in [to] if to else [ours for ours, _ in self.links]:
            with self.lock, contextlib.suppress(BrokenPipeError) if len(self.links) > 1 else contextlib.nullcontext():
                socket.send_fds(ours, [codec.encode(name, **fields)], list(fds))

    def their_ends(self):
        return [theirs.fileno() for _, theirs in self.links]

    def handed_over(self):
        for _, theirs in self.links:
            theirs.close()

    def wait(self, name, timeout=5, **want):
        """The next message of that name (others are dropped) whose fields are as wanted."""
        end = time.monotonic() + timeout
        while True:
            got, fields = self.messages.get(timeout=max(0.001, end - time.monotonic()))
            if got == name and all(fields[k] == v for k, v in want.items()):
                return fields

    def none(self, name, seconds):
        """No such message for a while."""
        end = time.monotonic() + seconds
        while True:
            try:
                got, fields = self.messages.get(timeout=max(0.001, end - time.monotonic()))
            except queue.Empty:
                return
            assert got != name, fields

    def close(self):
        for ours, _ in self.links:
            with contextlib.suppress(OSError):
                ours.shutdown(socket.SHUT_RDWR)
            ours.close()


class Demo:
    """A listening socket whose connections handler(Conn) serves, each in a thread."""

    def __init__(self, handler):
        self.handler = handler
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.accepted = 0
        self.served = 0  # counted by handlers that want to
        self.errors = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def serve(self, s):
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1) if s.family == socket.AF_INET else None
        c = Conn(s)
        try:
            self.handler(c)
        except (OSError, EOFError):
            pass
        except Exception as e:  # shown by the test that uses it
            self.errors.append(e)
        finally:
            s.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Worker:
    """PID 1 of a sandbox as the gateway sees it: a dial socket that hands out TCP sockets."""

    def __init__(self, worker_id, demo, make=None):
        self.id, self.demo = worker_id, demo
        self.make = make or (lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        self.peers = []
        self.dialed = 0

    def dial_fd(self):
        p = Peer()
        p.on_message = lambda name, fields: self._dial(p, fields["count"])
        self.peers.append(p)
        return p

    def _dial(self, peer, count):
        socks = [self.make() for _ in range(count)]
        self.dialed += count
        with contextlib.suppress(OSError):  # it let go of the worker meanwhile
            peer.send("DIALED", [s.fileno() for s in socks], count=len(socks))
        for s in socks:
            s.close()

    def close(self):
        for p in self.peers:
            p.close()


class Runner(Peer):
    """Answers RESOLVE from `spaces`: {label: dict of ROUTE's fields, with worker= a Worker or None}."""

    def __init__(self, spaces, auto=True, links=1):
        self.spaces, self.auto = spaces, auto
        self.log = []
        self.asked = []  # (link, label) of each RESOLVE
        self.allowed = {}  # space_id -> what TOKEN_ASK is answered
        self.state = threading.RLock()  # what a ROUTE says is so when it is sent
        super().__init__(links=links)

    def got(self, ours, name, fields):
        self.log.append((name, {**fields, "link": ours}))
        if name == "RESOLVE":
            self.asked.append((ours, fields["label"]))
            if self.auto:
                with self.state:
                    self._route(ours, fields["label"], {})
        elif name == "TOKEN_ASK" and fields["space_id"] in self.allowed:
            self.send("TOKEN_ANSWER", to=ours, ask_id=fields["ask_id"], allowed=self.allowed[fields["space_id"]])

    def last(self, name, field, **want):
        """... of all loops together, as each said it last"""
        said = {f["link"]: f[field] for n, f in list(self.log) if n == name and all(f[k] == v for k, v in want.items())}
        return sum(said.values())

    def sleep_ask(self, worker_id, min_idle_ms=0):
        """What all loops say together: each may have requests for it, and it sleeps when all have let go"""
        self.send("SLEEP_ASK", space_id=1, worker_id=worker_id, min_idle_ms=min_idle_ms)
        said = [self.wait("SLEEP_ANSWER", worker_id=worker_id) for _ in self.links]
        return {"refs": sum(a["refs"] for a in said), "idle_ms": max(a["idle_ms"] for a in said), "released": min(a["released"] for a in said)}

    def route(self, label, **changes):
        """Says to every loop what is so from now on"""
        with self.state:
            for ours, _ in self.links:
                self._route(ours, label, changes)

    def _route(self, ours, label, changes):
        space = self.spaces.setdefault(label, {}) if changes else self.spaces.get(label, {})
        space.update(changes)
        w = space.get("worker")
        fields = {"space_id": 0, "stage": "NONE", "wakes": 0, "title": "", "emoji": "", "message": "",
                  "space": "", **{k: v for k, v in space.items() if k != "worker"}}
        fields["stage"] = codec.ENUM["STAGE_" + fields["stage"]]
        fds, dial = [], None
        if w:
            dial = w.dial_fd()
            fds = [dial.theirs.fileno()]
            fields.update(worker_id=w.id, port=fields.get("port", w.demo.port))
        self.send("ROUTE", fds, to=ours, label=label, **fields)
        if dial:
            dial.theirs.close()

    def count(self, name):
        return sum(1 for n, _ in self.log if n == name)


class Gateway:
    def __init__(self, spaces=None, site=None, auto=True, runner=True, tls=None, threads=None, **conf):
        """tls: certificates (certs.Pair), the first of which is the default; then there is `tls_port`. threads: how many
        loops, as `up` has it in the configuration"""
        self.threads = threads or THREADS
        self.spaces = spaces or {}
        self.sup = Peer()
        listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.listener = listener
        self.port = listener.getsockname()[1]
        self.tls_listener = self.tls_port = None
        if tls is not None:
            self.tls_listener = socket.create_server(("127.0.0.1", 0), backlog=512)
            self.tls_port = self.tls_listener.getsockname()[1]
            conf = {"tls__listen": f"127.0.0.1:{self.tls_port}", "server__public_url": f"https://{DOMAIN}:{self.tls_port}", **conf}
        conf_fd = os.memfd_create("conf")
        options = {"server.domain": DOMAIN, "log.level": "info", "gateway.threads": str(self.threads), **{k.replace("__", "."): v for k, v in conf.items()}}
        os.write(conf_fd, b"".join(f"{k}\0{v}\0".encode() for k, v in options.items()))
        sup_fd = self.sup.theirs.fileno()

        def place():  # 3 and 4 may be in use for one another
            a, b = (fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in (sup_fd, conf_fd))
            os.dup2(a, 3), os.dup2(b, 4)
            os.close(a), os.close(b)

        self.log_path = os.path.join("/tmp", f"vitrine-gateway-test-{os.getpid()}.log")
        self.process = subprocess.Popen([os.path.join(BUILD, "vitrine-gateway")], close_fds=False, preexec_fn=place,
                                        stderr=subprocess.PIPE)
        self.stderr = b""
        threading.Thread(target=self._read_stderr, daemon=True).start()
        os.close(conf_fd)
        self.sup.theirs.close()
        self.runner = None
        self.workers = []
        self.site = None
        if runner:
            self.new_runner(auto)
        if site:
            self.set_site(site)
        if tls is not None:
            self.tickets = [os.urandom(80), os.urandom(80)]
            self.certificates(tls)
            self.listen(self.tls_listener, 1, LISTENER_TLS)
        self.sup.send("SUP_LISTENER", [listener.fileno()], role=codec.ENUM["ROLE_PUBLIC"])
        self.sup.wait("SUP_READY")

    def listen(self, sock, number=1, flags=0):
        """One more listening socket, which the test keeps."""
        self.sup.send("SUP_LISTENER", [sock.fileno()], role=codec.ENUM["ROLE_PUBLIC"], number=number, flags=flags)
        return sock

    def certificates(self, pairs):
        """As common/tlsbundle.h has them"""
        fd = os.memfd_create("tls")
        parts = [b"".join(self.tickets)] + [part for p in pairs for part in (p.chain, p.key)]
        os.write(fd, b"vittls1\0" + b"".join(struct.pack("=I", len(p)) + p for p in parts))
        os.lseek(fd, 0, os.SEEK_SET)
        self.sup.send("SUP_TLS", [fd])
        os.close(fd)

    def _read_stderr(self):
        for line in self.process.stderr:
            self.stderr += line

    def new_runner(self, auto=True):
        self.runner = Runner(self.spaces, auto, self.threads)
        self.sup.send("SUP_PEER", self.runner.their_ends(), role=codec.ENUM["ROLE_RUNNER"])
        self.runner.handed_over()

    def set_site(self, handler):
        demo = Demo(handler)

        def make():
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            threading.Thread(target=demo.serve, args=(ours,), daemon=True).start()
            return theirs

        self.site = Worker(0, demo, make)
        self.workers.append(self.site)
        dials = [self.site.dial_fd() for _ in range(self.threads)]
        self.sup.send("SUP_PEER", [d.theirs.fileno() for d in dials], role=codec.ENUM["ROLE_SITE_DIAL"])
        for d in dials:
            d.theirs.close()

    def space(self, label, handler=None, worker_id=None, **fields):
        """A Space with that label; with a handler it runs. Its Worker, or None."""
        w = None
        number = len(self.spaces) + 1
        if handler:
            w = self.worker(worker_id or 100 + number, handler)
        self.spaces[label] = {"space_id": number, "space": f"demo/{label}", "title": label.title(), "emoji": "🔭",
                              "stage": "RUNNING" if w else "SLEEPING", "wakes": 1, "worker": w, **fields}
        return w

    def worker(self, worker_id, handler, make=None):
        w = Worker(worker_id, Demo(handler), make)
        self.workers.append(w)
        return w

    def connect(self, timeout=10, rcvbuf=None, port=None):
        s = socket.socket()
        if rcvbuf:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        s.settimeout(timeout)
        s.connect(("127.0.0.1", port or self.port))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Conn(s)

    def secure(self, name=None, timeout=10, context=None, **kw):
        """A TLS connection that asks for this name"""
        s = self.connect(timeout, port=self.tls_port, **kw).s
        context = context or client_context()
        return Conn(context.wrap_socket(s, server_hostname=name, suppress_ragged_eofs=False))

    @contextlib.contextmanager
    def stopped(self):
        """It does not run meanwhile, and learns of all that happens at once. Only then: a signal that it has not taken yet
        would let it hear of the first thing alone."""
        def states():
            for task in os.listdir(f"/proc/{self.process.pid}/task"):
                with open(f"/proc/{self.process.pid}/task/{task}/stat") as f:
                    yield f.read().rsplit(")", 1)[1].split()[0]
        self.process.send_signal(signal.SIGSTOP)
        try:
            until(lambda: set(states()) == {"T"})
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def get(self, label, path="/", headers="", method="GET", body=b"", timeout=10, on=None):
        """... on a connection of its own, or on that one, which stays with its loop"""
        c = on or self.connect(timeout)
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        c.send(f"{method} {path} HTTP/1.1\r\nHost: {host(label)}\r\n{headers}{length}\r\n".encode() + body)
        r = c.response(method)
        if not on:
            c.close()
        return r

    def rss_kib(self):
        text = open(f"/proc/{self.process.pid}/status").read()
        return int(re.search(r"VmHWM:\s+(\d+)", text).group(1))

    def grown_kib(self, before):
        """... since then; sanitizers keep what was freed, so there it says nothing."""
        return 0 if os.environ.get("SANITIZER") else self.rss_kib() - before

    def close(self):
        try:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
                assert self.process.wait(10) == 0, self.stderr.decode()
            assert b"Sanitizer" not in self.stderr, self.stderr.decode()
            for w in self.workers:
                assert not w.demo.errors, w.demo.errors
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            for w in self.workers:
                w.close()
                w.demo.close()
            for p in (self.sup, self.runner):
                if p:
                    p.close()
            self.listener.close()
            if self.tls_listener:
                self.tls_listener.close()


def client_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def host(label):
    return f"{label}.{DOMAIN}" if label else DOMAIN


class Response:
    def __init__(self, status, reason, fields, body, trailers=()):
        self.status, self.reason, self.fields, self.body, self.trailers = status, reason, fields, body, trailers

    def all(self, name):
        return [v for k, v in self.fields if k.lower() == name]

    def get(self, name):
        v = self.all(name)
        return v[0] if v else None


class Conn:
    """A socket with a buffer; reads HTTP/1.1 by the letter."""

    def __init__(self, s):
        self.s, self.buf = s, b""

    def send(self, data):
        self.s.sendall(data if isinstance(data, bytes) else data.encode())

    def fill(self):
        d = self.s.recv(1 << 16)
        if not d:
            raise EOFError("closed")
        self.buf += d

    def until(self, mark):
        while mark not in self.buf:
            self.fill()
        out, self.buf = self.buf.split(mark, 1)
        return out + mark

    def exactly(self, n):
        while len(self.buf) < n:
            self.fill()
        out, self.buf = self.buf[:n], self.buf[n:]
        return out

    def rest(self):
        """Everything up to the end of the connection."""
        with contextlib.suppress(EOFError):
            while True:
                self.fill()
        out, self.buf = self.buf, b""
        return out

    def closed(self, timeout=5):
        """Does the peer close (or reset) within that time, without sending anything?"""
        self.s.settimeout(timeout)
        try:
            return self.buf == b"" and self.s.recv(1) == b""
        except ConnectionError:
            return True
        except socket.timeout:
            return False

    def head(self):
        lines = self.until(b"\r\n\r\n").decode("latin-1")[:-4].split("\r\n")
        return lines[0], [tuple(x.split(": ", 1)) if ": " in x else (x.rstrip(":"), "") for x in lines[1:]]

    def chunk(self):
        n = int(self.until(b"\r\n"), 16)
        if n == 0:
            return b""
        data = self.exactly(n)
        assert self.exactly(2) == b"\r\n"
        return data

    def chunks(self):
        body = b""
        while d := self.chunk():
            body += d
        trailers = []
        while (line := self.until(b"\r\n")) != b"\r\n":
            trailers.append(line[:-2].decode())
        return body, trailers

    def body_of(self, fields):
        f = {k.lower(): v for k, v in fields}
        if f.get("transfer-encoding") == "chunked":
            return self.chunks()
        return (self.exactly(int(f["content-length"])) if "content-length" in f else b""), []

    def response(self, method="GET"):
        line, fields = self.head()
        version, status, reason = (line.split(" ", 2) + [""])[:3]
        assert version == "HTTP/1.1", line
        status = int(status)
        f = {k.lower(): v for k, v in fields}
        body, trailers = b"", []
        if method != "HEAD" and status >= 200 and status not in (204, 304):
            if "content-length" in f or "transfer-encoding" in f:
                body, trailers = self.body_of(fields)
            else:
                body = self.rest()
        return Response(status, reason, fields, body, trailers)

    def request(self):
        """The demo's side: (request line, fields, body), None at the end."""
        try:
            line, fields = self.head()
        except EOFError:
            return None
        return line, fields, self.body_of(fields)[0]

    def answer(self, body=b"", status="200 OK", fields=""):
        body = body if isinstance(body, bytes) else body.encode()
        self.send(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{fields}\r\n".encode() + body)

    def half_close(self):
        self.s.shutdown(socket.SHUT_WR)

    def close(self):
        self.s.close()

    def reset(self):
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.s.close()


class Endless:
    """A demo whose answer has no end; `sent` counts what it could send of it."""
    sent = 0

    def __call__(self, c):
        c.request()
        c.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            c.send(bytes(65536))
            self.sent += 65536

    def stalled(self):
        """How much went until no more goes"""
        last = -1
        while last != self.sent:
            last = self.sent
            time.sleep(0.3)
        return last


def hello(c):
    """A demo that answers every request with its path."""
    while r := c.request():
        c.answer(r[0].split()[1])


def echo_headers(c):
    import json
    while r := c.request():
        c.answer(json.dumps([r[0], r[1]]))
