"""The counters that the runner is told: what came since it was told last, and what is under way."""
import struct
import time

from certs import Pair
from harness import hello, host, until

BUCKETS = 16
NUMBERS = 6 + 3 + 2 * BUCKETS + 2


class Sum:
    """All TALLY messages about one name, added up."""

    def __init__(self, g, space):
        self.g, self.space = g, space

    def read(self):
        mine = [f for n, f in list(self.g.runner.log) if n == "TALLY" and f["space"] == self.space]
        v = [sum(c) for c in zip(*(struct.unpack(f"<{NUMBERS}Q", f["counts"]) for f in mine))] or [0] * NUMBERS
        self.classes, (self.bytes_in, self.bytes_out, self.cold) = v[:6], v[6:9]
        self.duration, self.first_byte = v[9:9 + BUCKETS], v[9 + BUCKETS:9 + 2 * BUCKETS]
        self.duration_us, self.first_byte_us = v[-2:]
        self.now = tuple(self.g.runner.last("TALLY", k, space=self.space) for k in ("in_flight", "websockets", "streams"))
        return self

    def until(self, what, seconds=4):
        end = time.monotonic() + seconds
        while not what(self.read()):
            assert time.monotonic() < end, vars(self)
            time.sleep(0.02)
        return self


def demo(c):
    while r := c.request():
        path = r[0].split()[1]
        if path == "/ws":
            c.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            c.rest()
        elif path == "/events":
            c.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
            c.rest()
        elif path == "/slow":
            time.sleep(0.3)
            c.answer("late")
        elif path == "/gone":
            return
        else:
            c.answer("x" * 10, status=path[1:] + " Status")


def test_what_is_counted(gateway):
    g = gateway()
    g.space("demo-a", demo)
    for status in (200, 200, 204, 301, 404, 500):
        g.get("demo-a", f"/{status}", method="HEAD" if status == 204 else "GET")
    g.get("demo-a", "/200", method="POST", body=b"12345")
    assert g.get("demo-a", "/gone").status == 502
    g.get("demo-a", "/slow")
    s = Sum(g, "demo/demo-a").until(lambda s: sum(s.classes) == 9)
    assert s.classes == [0, 0, 5, 1, 1, 2] and s.bytes_in == 5 and s.bytes_out >= 60
    assert sum(s.duration) == sum(s.first_byte) == 9 and s.cold == 0
    assert sum(s.duration[8:]) >= 1 and sum(s.first_byte[8:]) >= 1 and s.duration_us >= s.first_byte_us >= 300_000  # the slow one
    s.until(lambda s: s.now == (0, 0, 0))


def test_of_no_space_and_of_the_site(gateway):
    g = gateway(site=hello)
    g.get("nobody")
    c = g.connect()
    c.send("nonsense\r\n\r\n")
    assert c.response().status == 400
    assert g.get("", "/site").status == 200
    Sum(g, "(none)").until(lambda s: s.classes == [0, 0, 0, 0, 2, 0])
    Sum(g, "(site)").until(lambda s: s.classes == [0, 0, 1, 0, 0, 0] and s.now == (0, 0, 0))


def test_a_redirect_to_https_is_the_spaces(gateway):
    g = gateway(tls=[Pair("localhost", "*.localhost")], site=hello)
    g.space("demo-a", demo)
    c = g.secure("localhost")
    c.send(f"GET /200 HTTP/1.1\r\nHost: {host('demo-a')}\r\n\r\n")
    assert c.response().status == 200
    assert g.get("demo-a", "/200").status == 308
    Sum(g, "demo/demo-a").until(lambda s: s.classes == [0, 0, 1, 1, 0, 0])
    assert sum(Sum(g, "(none)").read().classes) == 0
    c.close()


def test_streams(gateway):
    """They are counted while they last, and do not say how fast the Space is."""
    g = gateway()
    g.space("demo-a", demo)
    ws, ev = g.connect(), g.connect()
    ws.send(f"GET /ws HTTP/1.1\r\nHost: {host('demo-a')}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert "101" in ws.head()[0]
    ev.send(f"GET /events HTTP/1.1\r\nHost: {host('demo-a')}\r\n\r\n")
    ev.until(b"abc")
    s = Sum(g, "demo/demo-a").until(lambda s: s.now == (2, 1, 1))
    assert sum(s.classes) == 0
    ws.reset(), ev.reset()
    s.until(lambda s: s.now == (0, 0, 0))
    assert s.classes == [0, 1, 1, 0, 0, 0] and sum(s.duration) == 0 and sum(s.first_byte) == 2


def test_cold_starts(gateway):
    g = gateway()
    g.space("demo-a", stage="SLEEPING")
    cs = [g.connect() for _ in range(3)]
    for c in cs:
        c.send(f"GET /200 HTTP/1.1\r\nHost: {host('demo-a')}\r\n\r\n")
    g.runner.wait("WAKE")
    g.runner.route("demo-a", worker=g.worker(7, demo), stage="RUNNING")
    for c in cs:
        assert c.response().status == 200
    Sum(g, "demo/demo-a").until(lambda s: s.cold == 1 and s.classes[2] == 3)


def test_without_a_runner(gateway):
    """What it did not hear, the next one does; and who is still there."""
    g = gateway()
    g.space("demo-a", demo)
    ws = g.connect()
    ws.send(f"GET /ws HTTP/1.1\r\nHost: {host('demo-a')}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert "101" in ws.head()[0]
    c = g.connect()
    g.get("demo-a", "/200", on=c)
    Sum(g, "demo/demo-a").until(lambda s: s.classes[2] == 1 and s.now == (1, 1, 0))
    g.runner.close()
    g.get("demo-a", "/200", on=c)
    time.sleep(1.2)
    g.new_runner()
    Sum(g, "demo/demo-a").until(lambda s: s.classes[2] == 1 and s.now == (1, 1, 0))
    ws.close()


def test_what_is_unsaid_is_said_at_the_end(gateway):
    g = gateway()
    g.space("demo-a", demo)
    g.get("demo-a", "/200")
    g.process.terminate()
    assert g.process.wait(10) == 0
    Sum(g, "demo/demo-a").until(lambda s: s.classes[2] == 1)


def test_connections(gateway):
    g = gateway(gateway__max_per_address="3")
    g.space("demo-a", stage="SLEEPING")
    cs = [g.connect() for _ in range(3)]
    cs[0].send(f"GET / HTTP/1.1\r\nHost: {host('demo-a')}\r\n\r\n")
    g.runner.wait("WAKE")
    assert g.connect().response().status == 503

    def told():
        return [g.runner.last("GATEWAY_STAT", name) for name in ("connections", "held")]

    until(lambda: told() == [3, 1])
    for c in cs:
        c.reset()
    until(lambda: told() == [0, 0])
    all_ = [f for n, f in g.runner.log if n == "GATEWAY_STAT"]
    assert sum(f["accepted"] for f in all_) == 3 and sum(f["turned_away"] for f in all_) == 1
    said = len(all_)
    time.sleep(1.2)
    assert g.runner.count("GATEWAY_STAT") == said, "told again without a change"
