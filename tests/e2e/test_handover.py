"""The gateway is replaced while visitors are there: none of them notices."""
import base64
import http.client
import json
import os
import signal
import socket
import sys
import threading
import time

import pytest

from vitrine import free_port, until

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "gateway"))
from frames import DATA, END_STREAM, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE, RST_STREAM, WINDOW_UPDATE, Frames, get  # noqa: E402
from harness import Conn, client_context  # noqa: E402

MORE = """
import http.server, time
def page_down(self, query):
    self.send_response(200)
    self.send_header("Content-Length", str(40 * 4096))
    self.end_headers()
    for i in range(40):
        self.wfile.write(bytes([i]) * 4096)
        time.sleep(0.01)
def page_ticks(self, query):
    self.send_response(200)
    self.send_header("Content-Type", "text/event-stream")
    self.end_headers()
    try:
        for i in range(100000):
            self.wfile.write(b"data: %d\\n\\n" % i)
            self.wfile.flush()
            time.sleep(0.05)
    except OSError:
        pass
    self.close_connection = True
"""


def demo_of(v):
    folder = v.probe()
    path = os.path.join(folder, "app.py")
    with open(path) as f:
        app = f.read()
    with open(path, "w") as f:
        f.write(app.replace("\n\nThreadingHTTPServer(", f"\n\n{MORE}\nHandler.page_down = page_down\n"
                            "Handler.page_ticks = page_ticks\nThreadingHTTPServer.request_queue_size = 256\n"
                            "ThreadingHTTPServer("))
    return folder


class Crowd:
    """Visitors without a pause. What is no good answer is kept; no request is tried twice."""

    def __init__(self, v, name, tls_port=None):
        """tls_port: by HTTPS, some of them by HTTP/2"""
        self.port, self.host, self.tls_port = tls_port or v.port, v.host(name), tls_port
        self.wrong, self.good = [], {}
        self.stop = threading.Event()
        kinds = [self.kept] * 3 + [self.fresh] * 2 + [self.upload, self.download, self.posts]
        if self.tls_port:
            kinds += [self.streams] * 2
        self.kinds = len(set(kinds))
        self.threads = [threading.Thread(target=self.run, args=(k,)) for k in kinds]

    def run(self, kind):
        self.c = None
        conn = None
        while not self.stop.is_set():
            try:
                conn = kind(conn)
                self.good[kind.__name__] = self.good.get(kind.__name__, 0) + 1
            except Exception as e:
                self.wrong.append((kind.__name__, repr(e)))
                conn = None
        if conn:
            conn.close()

    def ask(self, conn, method, path, body=None, want=None):
        """On the connection, or a new one; it goes on with the next request unless the answer says that it ends."""
        c = conn or (http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=client_context()) if self.tls_port
                     else http.client.HTTPConnection("127.0.0.1", self.port, timeout=30))
        c.auto_open = 1 if c.sock is None else 0
        c.request(method, path, body, {"Host": self.host})
        r = c.getresponse()
        data = r.read()
        assert r.status == 200 and (want is None or want(data)), (r.status, data[:200])
        if c.sock is None or r.will_close:
            c.close()
            return None
        return c

    def kept(self, conn):
        return self.ask(conn, "GET", "/version", want=lambda d: d == b'"1"')

    def fresh(self, conn):
        c = self.ask(None, "GET", "/version")
        if c:
            c.close()

    def posts(self, conn):
        return self.ask(conn, "POST", "/", b"x" * 100, lambda d: json.loads(d)[0] == 100)

    def upload(self, conn):
        s = socket.create_connection(("127.0.0.1", self.port), 30)
        if self.tls_port:
            s = client_context().wrap_socket(s, server_hostname=self.host.split(":")[0])
        s.sendall(f"POST / HTTP/1.1\r\nHost: {self.host}\r\nContent-Length: 200000\r\nConnection: close\r\n\r\n".encode())
        for _ in range(20):
            s.sendall(b"u" * 10000)
            time.sleep(0.01)
        data = b""
        while d := s.recv(65536):
            data += d
        s.close()
        assert data.startswith(b"HTTP/1.1 200") and b"[200000," in data, data[:300]

    def download(self, conn):
        return self.ask(conn, "GET", "/down", want=lambda d: d == b"".join(bytes([i]) * 4096 for i in range(40)))

    def streams(self, conn):
        """Four requests side by side on a connection of HTTP/2, until it is told to open no more"""
        c = conn
        if not c:
            c = Frames(self, first=[(INITIAL_WINDOW_SIZE, 1 << 20)])
            c.last, c.bodies, c.leaving = -1, {}, False
        ids = [c.last + 2 * i for i in range(1, 5)]
        c.last = ids[-1]
        for sid in ids:
            c.request(sid, fields=get(authority=self.host, path="/down" if sid == ids[0] else "/version"))
        done = {}
        while len(done) < 4:
            f = c.next()
            assert f, f"closed before {[i for i in ids if i not in done]} of {ids} were answered"
            if f[0] == RST_STREAM:
                raise AssertionError(f"stream {f[2]} of {ids} was reset")
            if f[0] == DATA:
                c.bodies[f[2]] = c.bodies.get(f[2], b"") + f[3]
                if f[3]:
                    c.send(WINDOW_UPDATE, 0, 0, len(f[3]).to_bytes(4, "big"))
            if f[0] in (HEADERS, DATA) and f[1] & END_STREAM:
                done[f[2]] = c.bodies.pop(f[2], b"")
            c.got.clear()
            if f[0] == GOAWAY:
                c.leaving = True
                assert int.from_bytes(f[3][:4], "big") >= ids[-1] and f[3][4:8] == bytes(4), f
        assert [done[i] for i in ids[1:]] == [b'"1"'] * 3 and len(done[ids[0]]) == 40 * 4096
        if not c.leaving:
            return c
        c.close()
        return None

    def connect(self, port):
        return Conn(socket.create_connection(("127.0.0.1", port), 30))

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for t in self.threads:
            t.join()


def socket_to(v, name, path, fields=""):
    s = socket.create_connection(("127.0.0.1", v.port), 20)
    s.sendall(f"GET {path} HTTP/1.1\r\nHost: {v.host(name)}\r\n{fields}\r\n".encode())
    f = s.makefile("rb")
    status = f.readline().split()[1]
    while f.readline() != b"\r\n":
        pass
    return s, f, status


def websocket(v, name):
    key = base64.b64encode(os.urandom(16)).decode()
    return socket_to(v, name, "/ws", f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: {key}\r\n"
                     "Sec-WebSocket-Version: 13\r\n")


def leave(visit):
    visit[1].close()
    visit[0].close()


def echo(ws, text):
    s, f, _ = ws
    s.sendall(bytes([0x81, 0x80 | len(text)]) + b"\0\0\0\0" + text)
    assert f.read(2 + len(text))[2:] == text


def tick(sse):
    """The next event's number"""
    while True:
        line = sse[1].readline()
        assert line, "the stream has ended"
        if line.startswith(b"data: "):
            return int(line[6:])


def restart(v):
    r = v.cli("gateway", "restart", "--data", v.data)
    assert r.returncode == 0, r.stderr + v.log[-3000:]


def gateways(v):
    return [p for p in json.loads(v.cli("status", "--data", v.data, "--json").stdout) if p["name"] == "vitrine-gateway"]


def test_ten_restarts_under_load_lose_nothing(vitrine):
    v = vitrine("[gateway]\ndrain_timeout = 30s\n")
    v.deploy(demo_of(v), "demo/probe")
    ws, sse = websocket(v, "demo/probe"), socket_to(v, "demo/probe", "/ticks")
    assert ws[2] == b"101" and sse[2] == b"200"
    serving = {gateways(v)[0]["pid"]}
    with Crowd(v, "demo/probe") as crowd:
        for i in range(10):
            until(lambda: len(crowd.good) == crowd.kinds, 20)
            crowd.good.clear()
            restart(v)
            echo(ws, b"round %d" % i)
            first = tick(sse)
            assert tick(sse) == first + 1
            serving |= {p["pid"] for p in gateways(v) if p["state"] == "serving"}
    assert not crowd.wrong, (crowd.wrong[:5], len(crowd.wrong), v.log[-3000:])
    assert len(serving) == 11
    # what is left is the first one, for its two streams
    left = until(lambda: [p for p in gateways(v) if p["state"] == "draining" and p["connections"] == 2]
                 if len(gateways(v)) == 2 else None, 15)
    assert left and 0 < left[0]["seconds_left"] < 30, gateways(v)
    assert "2 connections are left" in v.cli("status", "--data", v.data).stdout
    echo(ws, b"still")
    tick(sse)
    leave(ws), leave(sse)
    assert until(lambda: len(gateways(v)) == 1, 10)


def test_restarts_under_load_over_https_and_http2(vitrine):
    port = free_port()
    v = vitrine(f"[gateway]\ndrain_timeout = 30s\n[tls]\nlisten = 127.0.0.1:{port}\nredirect = false\n[server]\npublic_url = http://localhost\n")
    v.deploy(demo_of(v), "demo/probe")
    with Crowd(v, "demo/probe", port) as crowd:
        for _ in range(4):
            until(lambda: len(crowd.good) == crowd.kinds, 30)
            crowd.good.clear()
            restart(v)
        until(lambda: len(crowd.good) == crowd.kinds, 30)
    assert not crowd.wrong, (crowd.wrong[:5], len(crowd.wrong), v.log[-3000:])
    assert until(lambda: len(gateways(v)) == 1, 15)


def test_the_deadline_ends_what_is_left(vitrine):
    v = vitrine("[gateway]\ndrain_timeout = 2s\n")
    v.deploy(v.probe(), "demo/probe")
    ws = websocket(v, "demo/probe")
    began = time.monotonic()
    restart(v)
    echo(ws, b"here")
    try:
        assert ws[1].read(1) == b""
    except ConnectionResetError:
        pass
    assert 1.5 < time.monotonic() - began < 8
    assert until(lambda: len(gateways(v)) == 1, 5)
    assert v.demo("demo/probe", "/version").status == 200


def test_a_worker_sleeps_only_when_both_let_go(vitrine):
    v = vitrine("[lifecycle]\nsleep_after = 1s\n")
    v.deploy(v.probe(), "demo/probe")
    ws = websocket(v, "demo/probe")
    restart(v)
    born = v.ask("demo/probe", "/start")
    time.sleep(3)  # the new gateway has long let go
    assert v.stage("demo/probe") == "RUNNING"
    echo(ws, b"here")
    assert v.ask("demo/probe", "/start") == born
    leave(ws)
    assert until(lambda: v.stage("demo/probe") == "SLEEPING", 10)


def test_whoever_waits_for_a_wake_gets_it(vitrine):
    v = vitrine("[lifecycle]\nsleep_after = 1s\n")
    v.deploy(v.probe(more="import time; time.sleep(2)"), "demo/probe")
    assert until(lambda: v.stage("demo/probe") == "SLEEPING", 15)
    answers = []
    t = threading.Thread(target=lambda: answers.append(v.demo("demo/probe", "/version")))
    t.start()
    assert until(lambda: v.stage("demo/probe") == "APP_STARTING", 5)
    restart(v)
    t.join()
    assert answers[0].status == 200


@pytest.mark.parametrize("how", ["killed", "runner"])
def test_the_others_may_die_meanwhile(vitrine, how):
    v = vitrine()
    v.deploy(v.probe(), "demo/probe")
    ws = websocket(v, "demo/probe")
    old = gateways(v)[0]["pid"]
    restart(v)
    if how == "killed":  # the one that serves: only its own streams break
        os.kill(next(p["pid"] for p in gateways(v) if p["state"] == "serving"), signal.SIGKILL)
    else:
        runner = v.named("vitrine-runner")
        os.kill(runner[0], signal.SIGKILL)
        assert until(lambda: v.named("vitrine-runner") and v.named("vitrine-runner") != runner, 10)
    echo(ws, b"here")
    assert until(lambda: v.demo("demo/probe", "/version").status == 200, 10)
    assert [p["pid"] for p in gateways(v) if p["state"] == "draining"] == [old]


def test_nothing_runs_there(tmp_path):
    import subprocess

    from vitrine import PROGRAM
    r = subprocess.run([PROGRAM, "gateway", "restart", "--data", str(tmp_path)], capture_output=True, text=True)
    assert r.returncode == 1 and "--data" in r.stderr, r
