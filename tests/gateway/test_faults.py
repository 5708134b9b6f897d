"""What goes wrong between visitors, demos and the runner stays where it went wrong: nobody waits for ever, nobody
gets what is another's, nothing is used after it is gone."""
import contextlib
import json
import os
import socket
import threading
import time

import codec
import pytest

from harness import Demo, Worker, hello, host, until

H = "Host: " + host("demo-a") + "\r\n"
WAIT = f"GET /.vitrine/wait HTTP/1.1\r\n{H}\r\n"


def ask(g, label="demo-a", path="/", timeout=10, c=None):
    """On a new connection, or on this one, which stays with its loop"""
    c = c or g.connect(timeout)
    c.send(f"GET {path} HTTP/1.1\r\nHost: {host(label)}\r\n\r\n")
    return c


# ---- routes

def test_a_request_behind_another_may_take_the_room_of_its_route(gateway):
    """The cache is full of names that nobody has; the answer to the last of them lets its visitor ask for one more."""
    g = gateway(auto=False, gateway__route_cache="16")
    c = g.connect()
    for i in range(15):
        c.send(f"GET / HTTP/1.1\r\nHost: {host(f'nobody-{i}')}\r\n\r\n")
        g.runner.wait("RESOLVE")
        g.runner.route(f"nobody-{i}")
        assert c.response().status == 404
    c.send(f"GET / HTTP/1.1\r\nHost: {host('one')}\r\n\r\nGET / HTTP/1.1\r\nHost: {host('two')}\r\n\r\n")
    g.runner.wait("RESOLVE", label="one")
    g.runner.route("one")
    assert c.response().status == 404
    assert g.runner.wait("RESOLVE")["label"] == "two"
    g.runner.route("two")
    assert c.response().status == 404
    assert g.process.poll() is None


def test_a_question_that_nobody_waited_for_is_asked_by_the_next(gateway):
    """The worker is lost right after it was asked for: the next question is put off, and its visitor leaves."""
    g = gateway(auto=False, gateway__hold="3s")
    w = g.worker(7, hello)
    w.demo.close()
    g.spaces["demo-a"] = {"space_id": 1, "space": "x/a", "stage": "RUNNING", "wakes": 1, "worker": w}
    c = ask(g)
    g.runner.wait("RESOLVE")
    g.runner.route("demo-a")
    until(lambda: b"gateway.lost" in g.stderr)
    c.reset()
    time.sleep(0.2)  # the pause is over, with nobody there
    g.spaces["demo-a"]["worker"] = g.worker(8, hello)
    g.runner.auto = True
    assert ask(g, path="/again", timeout=8).response().body == b"/again"


def test_one_worker_under_two_names(gateway):
    """A Space was renamed: the old name's route must not keep a worker that is another's."""
    g = gateway()
    w = g.space("old", hello)
    c = ask(g, "old")
    assert c.response().status == 200
    g.spaces["new"] = dict(g.spaces["old"])
    assert ask(g, "new", "/1", c=c).response().body == b"/1"
    g.runner.route("new", stage="SLEEPING", worker=None, wakes=0)
    until(lambda: all(p.eof.is_set() for p in w.peers))
    g.spaces["old"] = {"stage": "NONE", "worker": None, "space_id": 0}
    assert ask(g, "old", c=c).response().status == 404
    assert ask(g, "new", c=c).response().status == 503


def test_a_worker_of_another_space_is_refused(gateway):
    g = gateway()
    c = g.connect()
    w = g.space("demo-a", hello)
    assert g.get("demo-a", on=c).status == 200
    g.space("demo-b", stage="RUNNING", wakes=0)
    g.spaces["demo-b"]["worker"] = w
    assert g.get("demo-b", on=c).status == 503
    assert g.get("demo-a", on=c).status == 200


# ---- connections to a demo

@pytest.mark.parametrize("number", range(5))
def test_a_kept_connection_that_was_reset_is_replaced(gateway, number):
    """The reset is seen when the next request is written, or before; the request goes out on a new connection."""
    g = gateway()
    go, reset = threading.Event(), threading.Event()

    def demo(c):
        first = w.demo.accepted == 1
        while r := c.request():
            c.answer(r[0].split()[1])
            if first:
                go.wait(5)
                c.reset()
                reset.set()
                return

    w = g.space("demo-a", demo)
    c = ask(g, path="/1", timeout=5)
    assert c.response().body == b"/1"
    with g.stopped():
        c.send(f"GET /2 HTTP/1.1\r\n{H}\r\n")
        go.set()
        assert reset.wait(5)
    assert c.response().body == b"/2" and w.demo.accepted == 2


@pytest.mark.parametrize("size", [4064, 32736, 1000])
def test_bytes_behind_an_answer_are_nobodys(gateway, size):
    """Also where they lie unread behind an answer that fills the buffer, or come together with the next request."""
    g = gateway()

    def demo(c):
        while r := c.request():
            if r[0].startswith("GET /evil"):
                head = b"HTTP/1.1 200 OK\r\nContent-Length: %05d\r\n\r\n"
                body = size - len(head % 0)
                c.send(head % body + b"x" * body + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nSTALE!")
            else:
                c.answer("fresh")

    g.space("demo-a", demo)
    g.get("demo-a")
    for _ in range(10):
        assert set(g.get("demo-a", "/evil").body) == {ord("x")}
        assert g.get("demo-a", "/victim").body == b"fresh"


def test_bytes_that_come_just_before_the_next_request_are_nobodys(gateway):
    g = gateway()
    conns = []

    def demo(c):
        conns.append(c)
        while c.request():
            c.answer("fresh")

    g.space("demo-a", demo)
    c = ask(g)
    assert c.response().body == b"fresh"
    with g.stopped():
        c.send(f"GET / HTTP/1.1\r\n{H}\r\n")  # its event comes first
        conns[0].send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nSTALE!")
    assert c.response().body == b"fresh"


def test_bytes_are_counted_once(gateway):
    """The 502 after an answer on the same connection is not counted with the answer's bytes."""
    g = gateway()

    def demo(c):
        while r := c.request():
            if r[0].startswith("GET /bad"):
                c.request()  # never answered
                return
            c.answer(b"x" * 1000)

    g.space("demo-a", demo)
    c = ask(g)
    assert len(c.response().body) == 1000
    c.send(f"GET /bad HTTP/1.1\r\n{H}\r\n")
    until(lambda: g.runner.count("COUNTERS") > 0, 3)
    c.reset()  # it leaves before an answer
    until(lambda: g.runner.count("COUNTERS") > 1, 3)
    assert [f["bytes_out"] for n, f in g.runner.log if n == "COUNTERS"][-1] == 1000


def test_pending_requests_of_a_lost_worker_are_answered(gateway):
    """More of them than may be held: those get their 503 now, not a reset later."""
    g = gateway(threads=1, gateway__waiting_per_space="1", gateway__connect_timeout="20s")  # who was first is held: in one loop it is known

    class Mute(Worker):
        def _dial(self, peer, count):
            pass

    w = Mute(7, Demo(hello))
    g.workers.append(w)
    g.spaces["demo-a"] = {"space_id": 1, "space": "x/a", "stage": "RUNNING", "wakes": 1, "worker": w}
    conns = [ask(g)]
    until(lambda: w.peers)
    for _ in range(2):
        conns.append(ask(g))
        g.get("nobody")  # what was sent before it was read before it
    g.spaces["demo-a"].update(stage="SLEEPING", worker=None)
    w.close()
    for c in conns[1:]:
        assert c.response().status == 503
    g.runner.route("demo-a", stage="RUNNING", worker=g.worker(8, hello))
    assert conns[0].response().body == b"/"


def test_a_new_version_takes_over_those_who_wait_for_a_socket(gateway):
    g = gateway(gateway__waiting_per_space="10")

    class Mute(Worker):
        def _dial(self, peer, count):
            pass

    w = Mute(7, Demo(hello))
    g.workers.append(w)
    g.spaces["demo-a"] = {"space_id": 1, "space": "x/a", "stage": "RUNNING", "wakes": 1, "worker": w}
    conns = [ask(g, path=f"/{i}") for i in range(3)]
    until(lambda: w.peers)
    g.get("nobody")
    g.runner.route("demo-a", worker=g.worker(8, hello))
    assert [c.response().body for c in conns] == [b"/0", b"/1", b"/2"]
    assert g.runner.count("WAKE") == 0


# ---- the waiting page

def test_there_is_nothing_to_wait_for(gateway):
    """Watchers of names that nobody has keep no room from others, and are told."""
    g = gateway(gateway__route_cache="128")
    g.space("demo-a", hello)
    first = [ask(g, f"nobody-{i}", "/.vitrine/wait") for i in range(130)]
    for c in first:
        assert c.response().status in (404, 503)
    assert g.get("demo-a").status == 200
    assert g.get("nobody-0", "/.vitrine/wait").status == 404


@pytest.mark.parametrize("end", [{"stage": "RUNTIME_ERROR", "wakes": 0, "message": "it exited"}, {"stage": "RUNNING"}])
def test_the_last_event_ends_the_stream(gateway, end):
    g = gateway()
    g.space("demo-a")
    c = g.connect()
    c.send(WAIT)
    c.until(b'"SLEEPING"')
    c.until(b"\n\n")
    if end["stage"] == "RUNNING":
        end = {**end, "worker": g.worker(7, hello)}
    g.runner.route("demo-a", **end)
    rest = c.rest()
    assert rest.count(b"event: stage") == 1 and b'"waiting":false}\n\n' in rest and end["stage"].encode() in rest


def test_many_routes_in_use_leave_room(gateway):
    """Those in use are all where room is looked for first."""
    g = gateway(gateway__route_cache="200")
    for i in range(100):
        g.space(f"s-{i}", stage="BUILDING")
    for i in range(200):
        assert g.get(f"nobody-{i}").status == 404
    watching = [ask(g, f"s-{i}", "/.vitrine/wait") for i in range(100)]
    for c in watching:
        c.until(b"BUILDING")
    for i in range(200):
        assert g.get(f"nobody-{i}").status == 404


@pytest.mark.parametrize("line", ["x", '"\\' * 200, "a line of a log as long as most of them are, more or less: 80"],
                         ids=["short", "escaped", "usual"])
def test_a_new_watcher_is_told_the_stage_and_the_last_lines(gateway, line):
    g = gateway()
    g.space("demo-a", stage="BUILDING")
    first = g.connect()
    first.send(WAIT)
    first.until(b"BUILDING")
    for i in range(2100):
        g.runner.send("WAIT_LINE", space_id=1, text=line)
    g.runner.send("WAIT_LINE", space_id=1, text="the last")
    first.until(b'"the last"')
    c = g.connect()
    c.send(WAIT)
    text = c.until(b'"the last"\n\n')
    head, events = text.split(b"\r\n\r\n", 1)
    events = events.split(b"\n\n")[:-1]
    assert events[0].startswith(b"event: stage\n") and json.loads(events[0].split(b"data: ")[1])["stage"] == "BUILDING"
    lines = [json.loads(e.split(b"data: ")[1]) for e in events[1:]]
    assert lines[-1] == "the last" and set(lines[:-1]) == {line} and len(text) < 16 << 10
    assert len(lines) >= 9


# ---- those who do not keep up

def test_vanished_visitors_are_noticed(gateway):
    """The kernel asks whether the visitor's end is still there."""
    g = gateway()
    g.space("demo-a", hello)
    assert ask(g).response().status == 200  # by now it has its socket
    c = ask(g)
    assert c.response().status == 200
    port = c.s.getsockname()[1]
    fields = [line.split() for line in open("/proc/net/tcp")]
    timer = [f[5] for f in fields if f[2].endswith(":%04X" % port) and f[3] == "01"]
    assert len(timer) == 1 and timer[0].startswith("02"), "no keepalive timer"


def test_an_upload_by_single_bytes_is_ended(gateway):
    g = gateway(gateway__body_idle_timeout="400ms")
    g.space("demo-a", hello)
    for framing, piece in (("Content-Length: 1000", "x"), ("Transfer-Encoding: chunked", "1\r\nx\r\n")):
        c = g.connect()
        c.send(f"POST / HTTP/1.1\r\n{H}{framing}\r\n\r\n")
        c.s.settimeout(0.1)
        t = time.monotonic()
        while True:
            assert time.monotonic() - t < 4, "a byte now and then keeps it open"
            try:
                c.send(piece)
                c.fill()
                break
            except socket.timeout:
                pass
        c.s.settimeout(5)
        assert c.response().status == 408 and time.monotonic() - t < 1.5


def test_a_slow_but_steady_upload_is_taken(gateway):
    g = gateway(gateway__body_idle_timeout="300ms")

    def demo(c):
        while r := c.request():
            c.answer(str(len(r[2])))

    g.space("demo-a", demo)
    c = g.connect()
    c.send(f"POST / HTTP/1.1\r\n{H}Content-Length: 4000\r\n\r\n")
    for _ in range(20):
        c.send("x" * 200)
        time.sleep(0.05)
    assert c.response().body == b"4000"


def test_a_demo_that_does_not_take_the_body_is_not_the_visitors_fault(gateway):
    g = gateway(gateway__body_idle_timeout="200ms")
    size = 16 << 20
    read = threading.Event()

    def demo(c):
        c.head()
        read.wait(10)
        n = len(c.buf)
        while n < size:
            n += len(c.s.recv(1 << 20))
        c.answer(str(n))

    g.space("demo-a", demo)
    c = g.connect()
    c.send(f"POST / HTTP/1.1\r\n{H}Content-Length: {size}\r\n\r\n")
    sender = threading.Thread(target=c.send, args=(b"x" * size,), daemon=True)
    sender.start()
    time.sleep(0.8)
    read.set()
    assert c.response().body == str(size).encode()


@pytest.mark.parametrize("upgraded", [False, True])
def test_a_visitor_that_reads_nothing_is_ended(gateway, upgraded):
    g = gateway(gateway__body_idle_timeout="300ms")
    gone = threading.Event()

    def demo(c):
        c.head()
        c.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" if upgraded
               else "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        try:
            while True:
                c.send(b"x" * 65536)
        except OSError:
            gone.set()

    w = g.space("demo-a", demo)
    c = g.connect(rcvbuf=4096)
    c.send(f"GET / HTTP/1.1\r\n{H}" + ("Connection: Upgrade\r\nUpgrade: websocket\r\n" if upgraded else "") + "\r\n")
    end = time.monotonic() + 5
    while not gone.is_set() and time.monotonic() < end:
        if upgraded:  # what it sends itself does not make it a reader
            try:
                c.s.send(b"p")
            except OSError:
                pass
        gone.wait(0.05)
    assert gone.is_set()
    assert g.runner.sleep_ask(w.id)["released"] == 1


def test_a_slow_reader_is_served(gateway):
    """It takes some all the time, little at once: what the kernel has sent on counts, not what it takes from us."""
    g = gateway(gateway__body_idle_timeout="300ms")
    size = 1 << 20

    def demo(c):
        while c.request():
            c.answer(b"x" * size)

    g.space("demo-a", demo)
    c = g.connect(rcvbuf=16384)
    c.send(f"GET / HTTP/1.1\r\n{H}\r\n")
    c.head()
    n = len(c.buf)
    while n < size:
        n += len(c.s.recv(8192))
        time.sleep(0.01)
    assert n == size


# ---- the site

def test_nobody_has_all_of_the_site(gateway):
    go = threading.Event()

    def site(c):
        while c.request():
            g.site.demo.served += 1
            go.wait(5)
            c.answer("site")

    g = gateway(site=site, gateway__site_per_address="3")
    g.space("demo-a", hello)
    busy = [ask(g, "") for _ in range(3)]
    until(lambda: g.site.demo.served == 3)
    r = ask(g, "").response()
    assert r.status == 503 and r.get("retry-after")
    assert g.get("demo-a").status == 200, "demos are none of the site"
    go.set()
    assert [c.response().body for c in busy] == [b"site"] * 3
    for _ in range(10):  # kept connections and those that are over do not count
        assert g.get("").body == b"site"
        assert busy[0].send(f"GET / HTTP/1.1\r\nHost: {host('')}\r\n\r\n") is None and busy[0].response().status == 200


def test_the_site_has_a_limit_in_all(gateway):
    go = threading.Event()

    def site(c):
        while c.request():
            g.site.demo.served += 1
            go.wait(5)
            c.answer("site")

    # behind a proxy every visitor has its address
    g = gateway(site=site, gateway__site_per_address="1", gateway__max_per_address="1", gateway__site_connections="2",
                server__public_url="https://vitrine.example/")
    busy = [ask(g, "") for _ in range(2)]
    until(lambda: g.site.demo.served == 2)
    assert ask(g, "").response().status == 503
    go.set()
    assert [c.response().body for c in busy] == [b"site"] * 2


# ---- the runner and the owner

def raw_runner(g):
    """A runner that reads only when the test does, behind a small buffer."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    g.sup.send("SUP_PEER", [theirs.fileno()], role=codec.ENUM["ROLE_RUNNER"])
    theirs.close()
    ours.settimeout(5)
    return ours


def test_no_decision_without_room_for_its_answer(gateway):
    """A runner that asks much and reads nothing meanwhile: each question is answered, once."""
    g = gateway(runner=False)
    r = raw_runner(g)
    n = 300

    def send():
        for i in range(n):
            r.send(codec.encode("SLEEP_ASK", space_id=1, worker_id=1000 + i, min_idle_ms=0))

    t = threading.Thread(target=send, daemon=True)
    t.start()
    time.sleep(0.3)
    seen = []
    while len(seen) < n:
        name, fields = codec.decode(r.recv(1 << 18))
        if name == "SLEEP_ANSWER":
            seen.append(fields["worker_id"])
    assert seen == [1000 + i for i in range(n)]
    r.close()


def test_notes_are_few(gateway):
    """A demo that answers nonsense, and a visitor that asks for more of it."""
    g = gateway()

    def demo(c):
        c.request()
        c.send("nonsense\r\n\r\n")

    g.space("demo-a", demo)
    t = time.monotonic()
    c = g.connect()
    for _ in range(200):
        assert ask(g, c=c).response().status == 502
    ask(g, "nobody", c=c).response()
    seconds = time.monotonic() - t
    assert 1 <= g.runner.count("GATEWAY_NOTE") <= 2 + seconds
    assert g.stderr.count(b"gateway.note") <= 2 + seconds
    time.sleep(1.05)
    for _ in range(3):  # the first is told, the other two are counted
        ask(g, c=c).response()
    time.sleep(1.05)
    ask(g, c=c).response()
    until(lambda: any("(and 2 more like it)" in f["text"] for n, f in g.runner.log if n == "GATEWAY_NOTE"))


def test_a_flooding_dial_socket_does_not_hold_up_others(gateway):
    """A peer behind a dial socket that hands out sockets all the time: others are served meanwhile."""
    g = gateway()
    stop = threading.Event()
    fds = [socket.socket().detach() for _ in range(32)]

    class Flood(Worker):
        threads = ()

        def _dial(self, peer, count):
            if not self.threads:
                self.threads = [threading.Thread(target=self.flood, args=(peer,), daemon=True) for _ in range(2)]
                for t in self.threads:
                    t.start()

        def flood(self, peer):
            data = codec.encode("DIALED", count=32, error=0)
            with contextlib.suppress(OSError):
                while not stop.is_set():
                    socket.send_fds(peer.ours, [data], fds)

    w = Flood(7, Demo(hello))
    g.workers.append(w)
    g.spaces["flood"] = {"space_id": 9, "space": "x/f", "stage": "RUNNING", "wakes": 1, "worker": w}
    g.space("demo-a", hello)
    g.get("demo-a")
    ask(g, "flood").response()
    until(lambda: w.threads)
    try:
        for _ in range(20):
            assert g.get("demo-a", timeout=2).status == 200
        assert all(t.is_alive() for t in w.threads), "no flood"
    finally:
        stop.set()
        for fd in fds:
            os.close(fd)
