"""Several loops in one gateway: each has a thread, and what holds for one holds over all of them."""
import collections
import contextlib
import json
import os
import select
import signal
import socket
import struct
import threading
import time

import pytest
from certs import Pair
from harness import client_context, hello, host, until

SITE = Pair("localhost")


def who(c):
    """A demo that says by which of its connections it was asked"""
    name = os.urandom(4).hex()
    while c.request():
        c.answer(name)


def ask(g, label="a", path="/", headers="", c=None):
    c = c or g.connect()
    c.send(f"GET {path} HTTP/1.1\r\nHost: {host(label)}\r\n{headers}\r\n")
    return c


def loops_that_asked(g, label):
    return len({id(link) for link, asked in g.runner.asked if asked == label})


def threads_of(g):
    return os.listdir(f"/proc/{g.process.pid}/task")


def loops_of(g, n):
    """... but for the one that ThreadSanitizer has beside several"""
    return len(threads_of(g)) - (n > 1 and "thread" in os.environ.get("SANITIZER", ""))


@pytest.mark.parametrize("n", [1, 2, 4])
def test_connections_are_spread(gateway, n):
    """Each loop asks the runner for itself, has its own connection to the demo, and its share of the visitors."""
    g = gateway(threads=n)
    g.space("a", who)
    assert loops_of(g, n) == n
    conns = [g.connect() for _ in range(8 * n)]
    for c in conns:
        assert ask(g, c=c).response().status == 200
    assert loops_that_asked(g, "a") == n
    # one after the other: each loop reuses its one connection to the demo, which so tells the loops apart
    shares = collections.Counter()
    for c in conns:
        shares[ask(g, c=c).response().body] += 1
        assert ask(g, c=c).response().status == 200
    assert len(shares) == n and min(shares.values()) >= 4, shares


def test_all_of_them_are_in_the_sandbox(gateway):
    g = gateway(threads=3)
    for thread in threads_of(g):
        with open(f"/proc/{g.process.pid}/task/{thread}/status") as f:
            state = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
        if not os.environ.get("SANITIZER"):
            assert state["Seccomp"] == "2" and state["NoNewPrivs"] == "1" and int(state["CapEff"], 16) == 0


def test_limit_of_an_address_and_in_all(gateway):
    g = gateway(threads=2, gateway__max_per_address="10")
    g.space("a", hello)
    conns = [g.connect() for _ in range(10)]
    for c in conns:
        assert ask(g, c=c).response().status == 200
    assert loops_that_asked(g, "a") == 2
    for _ in range(4):
        assert g.connect().response().status == 503
    conns.pop().close()
    until(lambda: g.get("a").status == 200)


def test_connections_in_all(gateway):
    g = gateway(threads=2, gateway__max_connections="16")
    g.space("a", hello)
    conns = [g.connect() for _ in range(16)]
    for c in conns:
        assert ask(g, c=c).response().status == 200
    assert g.connect().response().status == 503


def test_requests_that_wait_for_a_space(gateway):
    """... are limited over all loops, and all are let go at once."""
    g = gateway(threads=2, gateway__waiting_per_space="6")
    g.space("a", stage="SLEEPING")
    for number in (7, 8):  # the second time: what they counted was given back
        conns = [ask(g) for _ in range(7)]
        first = select.select([c.s for c in conns], [], [], 5)[0]
        refused = [c for c in conns if c.s in first]
        assert [c.response().status for c in refused] == [503]
        assert ask(g, "b").response().status == 404
        w = g.worker(number, hello)
        g.runner.route("a", stage="RUNNING", worker=w)
        assert [c.response().status for c in conns if c not in refused] == [200] * 6
        assert loops_that_asked(g, "a") == 2
        g.runner.route("a", stage="SLEEPING", worker=None)
        until(lambda: all(p.eof.is_set() for p in w.peers))  # both know


def test_requests_to_the_site(gateway):
    go, there = threading.Event(), []

    def site(c):
        while request := c.request():
            there.append(request)
            go.wait(10)
            c.answer("site")

    g = gateway(threads=2, site=site, gateway__site_per_address="4")
    busy = [ask(g, "") for _ in range(4)]
    until(lambda: len(there) == 4)
    assert ask(g, "").response().status == 503
    go.set()
    assert [c.response().body for c in busy] == [b"site"] * 4


def version(name):
    def demo(c):
        while c.request():
            c.answer(name)
    return demo


def test_a_new_version_reaches_every_loop(gateway):
    """Kept connections of visitors in both loops: after the route has changed none of them is answered by the old one."""
    g = gateway(threads=2)
    g.space("a", version("v0"))
    conns = [g.connect() for _ in range(8)]
    for n in range(1, 20):
        for c in conns:
            assert ask(g, c=c).response().body == f"v{n - 1}".encode()
        old = g.spaces["a"]["worker"]
        g.runner.route("a", worker=g.worker(1000 + n, version(f"v{n}")))
        until(lambda: all(p.eof.is_set() for p in old.peers))  # both have let go of its dial socket
    for c in conns:
        assert ask(g, c=c).response().body == b"v19"
    g.runner.route("a", stage="NONE", worker=None, space_id=0, wakes=0)
    until(lambda: all(p.eof.is_set() for p in g.workers[-1].peers))
    for c in conns:
        assert ask(g, c=c).response().status == 404


def test_sleep_is_asked_of_each(gateway):
    g = gateway(threads=2)
    w = g.space("a", hello)
    conns = [g.connect() for _ in range(4)]
    for c in conns:
        assert ask(g, c=c).response().status == 200
    assert g.runner.sleep_ask(w.id)["released"]
    until(lambda: all(p.eof.is_set() for p in w.peers))


def test_streams_in_both_loops_get_what_comes(gateway):
    go = threading.Event()

    def demo(c):
        line, _, _ = c.request()
        if "/ws" in line:
            c.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            while True:
                c.send(c.exactly(4))
        c.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        go.wait(10)
        c.send("data: here\n\n")

    g = gateway(threads=2)
    g.space("a", demo)
    sockets = [ask(g, path="/ws", headers="Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n") for _ in range(10)]
    streams = [ask(g, path="/sse") for _ in range(10)]
    for c in sockets:
        assert c.head()[0].startswith("HTTP/1.1 101")
    for c in streams:
        assert c.head()[0] == "HTTP/1.1 200 OK"
    assert loops_that_asked(g, "a") == 2
    go.set()
    for c in streams:
        c.until(b"data: here\n\n")
    for c in sockets:
        c.send("ping")
        assert c.exactly(4) == b"ping"


def test_sessions_are_resumed_by_the_other_loop(gateway):
    g = gateway(threads=2, tls=[SITE])
    g.space("a", who)
    context, session = client_context(), None
    parked = [g.connect() for _ in range(2)]
    for c in parked:
        ask(g, c=c).response()
    names, again = set(), 0
    for _ in range(24):
        s = context.wrap_socket(socket.create_connection(("127.0.0.1", g.tls_port), 10), server_hostname="localhost", session=session)
        s.sendall(f"GET / HTTP/1.1\r\nHost: {host('a')}\r\n\r\n".encode())
        got = b""
        while b"\r\n\r\n" not in got or len(got.split(b"\r\n\r\n")[1]) < 8:
            got += s.recv(4096)
        names.add(got[-8:])
        again += s.session_reused
        session = s.session
        parked.append(s)  # it stays, so the next one goes to the other
    assert len(names) == 2 and again == 23


def test_counters_are_sums(gateway):
    g = gateway(threads=2)
    g.space("a", hello)
    conns = [g.connect() for _ in range(8)]
    for _ in range(5):
        for c in conns:
            assert ask(g, c=c).response().status == 200

    def counted():
        with contextlib.suppress(Exception):
            while True:
                g.runner.messages.get_nowait()
        accepted = sum(f["accepted"] for n, f in list(g.runner.log) if n == "GATEWAY_STAT")
        requests = sum(sum(struct.unpack("<6Q", bytes(f["counts"][:48]))) for n, f in list(g.runner.log)
                       if n == "TALLY" and f["space_id"] == 1)
        return (accepted, requests) == (8, 40)

    until(counted)


def lines_of(path):
    with open(path) as f:
        return [json.loads(line) for line in f]


@pytest.mark.parametrize("kind", ["file", "fifo"])
def test_lines_of_the_log_are_whole(gateway, tmp_path, kind):
    """Long ones, from both loops at once, into one file or pipe."""
    path = str(tmp_path / "log")
    got = []
    if kind == "fifo":
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | (os.O_CREAT if kind == "file" else 0))
    if kind == "fifo":
        os.set_blocking(reader, True)

        def read():
            while data := os.read(reader, 1 << 16):
                got.append(data)

        thread = threading.Thread(target=read)
        thread.start()
    g = gateway(threads=2, log__access="json")
    g.sup.send("SUP_LOG", [fd])
    os.close(fd)
    g.space("a", hello)
    conns = [g.connect() for _ in range(8)]
    for i in range(60):
        for n, c in enumerate(conns):
            ask(g, c=c, path=f"/{n}-{i}?" + "x" * 1500)
        for c in conns:
            assert c.response().status == 200
    g.process.send_signal(signal.SIGTERM)
    assert g.process.wait(5) == 0
    if kind == "fifo":
        thread.join(5)
        os.close(reader)
        lines = [json.loads(line) for line in b"".join(got).splitlines()]
    else:
        lines = lines_of(path)
    assert sorted(x["target"].split("?")[0] for x in lines) == sorted(f"/{n}-{i}" for n in range(8) for i in range(60))
    assert len({x["id"] for x in lines}) == len(lines)


def drain(g, ms=20000):
    g.sup.send("SUP_DRAIN", timeout_ms=ms)


def test_handover_loses_nothing(gateway):
    """Visitors with a connection for each request, and some that keep theirs, while one gateway after another takes the
    socket: every request is answered."""
    g = gateway(threads=2)
    g.space("a", hello)
    stop, failed, done = threading.Event(), [], []

    def visitor(n):
        i, c = 0, None
        while not stop.is_set():
            i += 1
            try:
                c = c or g.connect()
                r = ask(g, path=f"/{n}-{i}", c=c).response()
                (done if (r.status, r.body) == (200, f"/{n}-{i}".encode()) else failed).append((r.status, r.body))
                if n % 2 or r.get("connection") == "close":
                    c.close()
                    c = None
            except Exception as e:
                failed.append(e)
                c = None

    visitors = [threading.Thread(target=visitor, args=(n,)) for n in range(6)]
    for t in visitors:
        t.start()
    serving, old = g, []

    def more(n):
        enough = len(done) + n
        until(lambda: len(done) >= enough or failed)

    for _ in range(4):
        more(60)
        other = gateway(threads=2, spaces=g.spaces)
        other.listen(g.listener, number=0)
        drain(serving)
        old.append(serving)
        serving = other
    more(60)
    stop.set()
    for t in visitors:
        t.join(10)
    assert not failed, failed[:3]
    for each in old:
        assert each.process.wait(10) == 0, each.stderr


def test_the_last_of_all_loops_ends_a_drain(gateway):
    g = gateway(threads=2)
    ended = threading.Event()

    def demo(c):
        c.request()
        c.send("HTTP/1.1 200 OK\r\n\r\n")
        ended.wait(10)

    g.space("a", demo)
    conns = [ask(g) for _ in range(4)]
    for c in conns:
        c.head()
    assert loops_that_asked(g, "a") == 2
    drain(g)
    assert g.sup.wait("SUP_LOAD")["connections"] == 4
    g.sup.wait("SUP_LOAD", connections=4)
    for c in conns[:-1]:
        c.reset()
    g.sup.wait("SUP_LOAD", connections=1)
    assert g.process.poll() is None
    ended.set()
    conns[-1].rest()
    conns[-1].close()
    assert g.process.wait(5) == 0


def test_challenges_come_back_to_who_asked(gateway):
    g = gateway(threads=2, tls__challenges="/somewhere")
    answered = threading.Event()

    def answer():
        for _ in range(6):
            m = g.sup.wait("SUP_CHALLENGE_ASK")
            g.sup.send("SUP_CHALLENGE", ask_id=m["ask_id"], found=1, answer="it is " + m["token"])
        answered.set()

    threading.Thread(target=answer, daemon=True).start()
    conns = [g.connect() for _ in range(6)]
    for n, c in enumerate(conns):
        c.send(f"GET /.well-known/acme-challenge/t{n} HTTP/1.1\r\nHost: {host('a')}\r\n\r\n")
    for n, c in enumerate(conns):
        assert c.response().body == f"it is t{n}".encode()
    assert answered.wait(5)


def test_sigterm_and_the_end_of_up(gateway):
    g = gateway(threads=3)
    g.space("a", hello)
    conns = [ask(g) for _ in range(6)]
    for c in conns:
        assert c.response().status == 200
    began = time.monotonic()
    g.process.send_signal(signal.SIGTERM)
    assert g.process.wait(5) == 0 and time.monotonic() - began < 2
    assert all(c.closed() for c in conns)

    g = gateway(threads=3)
    g.sup.close()
    assert g.process.wait(5) == 0
