"""What waits costs next to nothing, and gets what is said to it. In numbers that a test has time for; `make bench-gateway-parked`
has ten thousand of each."""
import os
import re
import selectors

import pytest

import harness

N = 300
SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
WS = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n"
UPGRADE = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
IDLE_KIB, WORKING_KIB = 2, 20
CONF = {"gateway__max_per_address": 2000, "log__level": "error"}


class Demo(harness.Demo):
    """All connections in one thread. /sse/N and /ws/N are streams, /half/N an answer whose second half waits, others short ones."""

    def __init__(self):
        self.streams = {}  # path -> socket
        self.halves = []
        super().__init__(None)

    def _accept(self):
        chosen = selectors.DefaultSelector()
        chosen.register(self.listener, selectors.EVENT_READ)
        while True:
            for key, _ in chosen.select():
                try:
                    if key.fileobj is self.listener:
                        chosen.register(self.listener.accept()[0], selectors.EVENT_READ, [b""])
                        continue
                except OSError:
                    return
                data = b""
                try:
                    data = key.fileobj.recv(65536)
                    if data:
                        self.take(key.fileobj, key.data, data)
                except OSError:
                    pass
                if not data:
                    chosen.unregister(key.fileobj)
                    key.fileobj.close()

    def take(self, s, seen, data):
        seen[0] += data
        path = re.match(rb"GET (\S+) ", seen[0])
        if not path or not seen[0].endswith(b"\r\n\r\n"):
            return
        seen[0] = b""
        path = path.group(1).decode()
        if path.startswith(("/sse/", "/ws/")):
            self.streams[path] = s  # first: who has its answer may have say() called
            s.sendall(WS if path.startswith("/ws/") else SSE)
        elif path.startswith("/half/"):
            self.halves.append(s)
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"x" * 1000)
        else:
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nshort")

    def say(self):
        for path, s in self.streams.items():
            s.sendall(message(path) if path.startswith("/ws/") else b"%x\r\n%s\r\n" % (len(message(path)), message(path)))


def message(path):
    return b"message of " + path.encode()


def memory_kib(g):
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{g.process.pid}/status").read()).group(1))


def request(path, fields=""):
    return f"GET {path} HTTP/1.1\r\nHost: {harness.host('demo-parked')}\r\n{fields}\r\n"


def space(g):
    demo = Demo()
    w = harness.Worker(7, demo)
    g.workers.append(w)
    g.spaces["demo-parked"] = {"space_id": 7, "space": "demo/parked", "stage": "RUNNING", "wakes": 1, "worker": w}
    return demo


def measured(g, what, limit, before):
    each = (memory_kib(g) - before) / N
    if not os.environ.get("SANITIZER"):  # which keep memory of their own
        assert each < limit, f"{what}: {each:.1f} KiB a connection"


@pytest.mark.parametrize("kind,fields,status", [("sse", "", 200), ("ws", UPGRADE, 101)])
def test_parked_streams_get_their_message(gateway, kind, fields, status):
    g = gateway(**CONF)
    demo = space(g)
    assert g.get("demo-parked", "/short").body == b"short"
    before, parked = memory_kib(g), {}
    for i in range(N):  # one after the other: what many heads at once take is kept for the next ones
        path = f"/{kind}/{i}"
        parked[path] = c = g.connect()
        c.send(request(path, fields))
        assert int(c.head()[0].split()[1]) == status
    measured(g, "parked", IDLE_KIB, before)
    demo.say()
    for path, c in parked.items():
        assert (c.chunk() if kind == "sse" else c.exactly(len(message(path)))) == message(path)
    measured(g, "spoken to", IDLE_KIB, before)
    for c in parked.values():
        c.close()


def test_memory_of_a_connection(gateway):
    g = gateway(**CONF)
    demo = space(g)
    assert g.get("demo-parked", "/short").body == b"short"
    before = memory_kib(g)
    conns = [g.connect() for _ in range(N)]
    for c in conns:
        c.send(request("/short"))
        assert c.response().body == b"short"
    measured(g, "between two requests", IDLE_KIB, before)

    for c in conns:
        c.send(request("/half/1"))
    for c in conns:
        c.until(b"\r\n\r\n")
        assert c.exactly(1000) == b"x" * 1000
    measured(g, "in the middle of an answer", WORKING_KIB, before)
    for s in demo.halves:
        s.sendall(b"y" * 1000)
    for c in conns:
        assert c.exactly(1000) == b"y" * 1000

    for c in conns:
        c.send(request("/short")[:-2])
    assert g.get("demo-parked", "/short").body == b"short"  # by now all of theirs were taken
    measured(g, "in the middle of a head", WORKING_KIB, before)
    for c in conns:
        c.close()
