"""Bodies both ways, streams, upgrades, and connections that end where they should not."""
import base64
import hashlib
import os
import socket
import threading
import time

import pytest

from harness import hello, host, until

H = "Host: " + host("demo-a") + "\r\n"


def digest(c):
    """Answers with the size and the hash of what came."""
    while r := c.request():
        c.answer(f"{len(r[2])} {hashlib.sha256(r[2]).hexdigest()}")


def test_upload_with_length_and_chunked(gateway):
    g = gateway()
    g.space("demo-a", digest)
    blob = os.urandom(3_000_001)
    want = f"{len(blob)} {hashlib.sha256(blob).hexdigest()}".encode()
    assert g.get("demo-a", method="POST", body=blob).body == want
    c = g.connect()
    c.send(f"PUT / HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n")
    at = 0
    for n in (1, 2, 4095, 4096, 40000, 70000, 1_000_000, len(blob)):
        part = blob[at:at + n]
        at += len(part)
        c.send(b"%x\r\n%s\r\n" % (len(part), part))
    c.send("0\r\n\r\n")
    assert c.response().body == want


def test_chunks_begin_anew_with_each_request_of_a_connection(gateway):
    g = gateway()

    def demo(c):
        while r := c.request():
            body = b"=" + r[2]
            c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
    w = g.space("demo-a", demo)
    c = g.connect()
    for i in range(4):
        c.send(f"POST / HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n5\r\nbody{i}\r\n0\r\n\r\n")
        assert c.response().body == b"=body%d" % i
    assert w.demo.accepted == 1


@pytest.mark.parametrize("chunked", [False, True])
def test_download(gateway, chunked):
    g = gateway()
    blob = os.urandom(3_000_001)

    def demo(c):
        while c.request():
            if not chunked:
                c.answer(blob)
                continue
            c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n")
            for i in range(0, len(blob), 77777):
                part = blob[i:i + 77777]
                c.send(b"%X;ext=1\r\n%s\r\n" % (len(part), part))
            c.send("0\r\nX-Sum: 1\r\nContent-Length: 3\r\nX_Hf_Authorization: 1\r\n\r\n")

    w = g.space("demo-a", demo)
    for _ in range(2):
        r = g.get("demo-a")
        assert hashlib.sha256(r.body).digest() == hashlib.sha256(blob).digest()
        assert r.trailers == (["X-Sum: 1"] if chunked else [])
    assert w.demo.accepted == 1


def test_slow_reader_and_slow_demo_keep_memory_flat(gateway):
    g = gateway()
    size = 256 << 20
    block = b"x" * (1 << 20)

    def demo(c):
        line, fields = c.head()
        if line.startswith("GET"):
            c.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n")
            for _ in range(size >> 20):
                c.send(block)
        else:
            time.sleep(0.3)  # the visitor sends as much as anybody takes
            n = len(c.buf)
            while n < size:
                n += len(c.s.recv(1 << 20))
            c.answer(str(n))

    g.space("demo-a", demo)
    c = g.connect(60)
    c.send(f"GET / HTTP/1.1\r\n{H}\r\n")
    c.head()
    time.sleep(0.3)  # the demo sends as much as anybody takes
    n = len(c.buf)
    while n < size:
        n += len(c.s.recv(1 << 20))
    up = g.connect(60)
    up.send(f"POST / HTTP/1.1\r\n{H}Content-Length: {size}\r\n\r\n")
    for _ in range(size >> 20):
        up.send(block)
    assert up.response().body == str(size).encode()
    limit = 64 << 10 if "asan" not in os.environ.get("VITRINE_BUILD", "") else 512 << 10
    assert g.rss_kib() < limit


def test_sse_is_not_buffered(gateway):
    g = gateway()
    go = threading.Semaphore(0)

    def demo(c):
        c.request()
        c.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i in range(5):
            go.acquire()
            d = b"data: %d\n\n" % i
            c.send(b"%x\r\n%s\r\n" % (len(d), d))
        c.send("0\r\n\r\n")

    g.space("demo-a", demo)
    c = g.connect()
    c.send(f"GET / HTTP/1.1\r\n{H}\r\n")
    assert ("Content-Type", "text/event-stream") in c.head()[1]  # before any event
    for i in range(5):  # each comes before the next one is made
        go.release()
        assert c.chunk() == b"data: %d\n\n" % i
    assert c.chunk() == b""


def test_sse_to_the_end_of_the_connection(gateway):
    g = gateway()
    go = threading.Semaphore(0)

    def demo(c):
        c.request()
        c.send("HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for i in range(3):
            go.acquire()
            c.send(b"data: %d\n\n" % i)

    g.space("demo-a", demo)
    c = g.connect()
    c.send(f"GET / HTTP/1.1\r\n{H}\r\n")
    c.head()
    for i in range(3):
        go.release()
        assert c.chunk() == b"data: %d\n\n" % i
    assert c.chunk() == b""


def websocket(c):
    line, fields, _ = c.request()
    f = {k.lower(): v for k, v in fields}
    assert f["upgrade"] == "websocket" and f["connection"] == "Upgrade" and f["sec-websocket-protocol"] == "chat"
    key = base64.b64encode(hashlib.sha1((f["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
    # the first bytes behind the head come with it
    c.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + key +
           b"\r\nSec-WebSocket-Protocol: chat\r\n\r\nfirst")
    while True:
        try:
            if not c.buf:
                c.fill()
        except EOFError:
            break
        d, c.buf = c.buf, b""
        c.send(d)
    c.send("bye")


UPGRADE = f"GET /ws HTTP/1.1\r\n{H}Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" \
          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\n\r\n"


def test_websocket(gateway):
    g = gateway(gateway__body_idle_timeout="100ms", gateway__idle_timeout="100ms")
    w = g.space("demo-a", websocket)
    c = g.connect()
    c.send(UPGRADE + "early")
    line, fields = c.head()
    assert line.startswith("HTTP/1.1 101") and ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") in fields
    assert c.exactly(10) == b"firstearly"
    time.sleep(0.5)  # no timeout of silence
    c.send("ping")
    assert c.exactly(4) == b"ping"
    big = os.urandom(1 << 20)
    threading.Thread(target=c.send, args=(big,)).start()
    assert c.exactly(len(big)) == big
    a = g.runner.sleep_ask(w.id)
    assert (a["refs"], a["released"]) == (1, 0)
    c.half_close()  # goes through, and so does what the demo says then
    assert c.rest() == b"bye"
    until(lambda: g.runner.sleep_ask(w.id)["released"])


def test_other_upgrades_are_not_passed_on(gateway):
    g = gateway()

    def demo(c):
        while r := c.request():
            f = {k.lower(): v for k, v in r[1]}
            c.answer(f"{'upgrade' in f} {'connection' in f} {'http2-settings' in f}")

    g.space("demo-a", demo)
    assert g.get("demo-a", headers="Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n").body == b"False False False"
    assert g.get("demo-a", headers="Upgrade: websocket\r\n").body == b"False False False"


def test_upgrade_refused(gateway):
    g = gateway()

    def demo(c):
        while c.request():
            c.answer("no", status="403 Forbidden")

    g.space("demo-a", demo)
    c = g.connect()
    for _ in range(2):
        c.send(UPGRADE)
        assert c.response().status == 403


def test_expect_100_continue(gateway):
    g = gateway()

    def demo(c):
        line, fields = c.head()
        assert ("Expect", "100-continue") in fields
        c.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
        c.answer(c.exactly(5))
        c.rest()

    g.space("demo-a", demo)
    c = g.connect()
    c.send(f"POST / HTTP/1.1\r\n{H}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    assert c.head() == ("HTTP/1.1 103 Early Hints", [("Link", "</a>")])
    assert c.head()[0] == "HTTP/1.1 100 Continue"
    c.send("hello")
    assert c.response().body == b"hello"


def test_expect_and_a_final_answer(gateway):
    g = gateway()

    def demo(c):
        c.head()
        c.answer("too large", status="413 Content Too Large", fields="Connection: close\r\n")

    g.space("demo-a", demo)
    c = g.connect()
    c.send(f"POST / HTTP/1.1\r\n{H}Content-Length: 500000000\r\nExpect: 100-continue\r\n\r\n")
    r = c.response()
    assert (r.status, r.body) == (413, b"too large") and r.all("connection") == ["close"] and c.closed()


def test_early_answer_while_uploading(gateway):
    g = gateway()

    def demo(c):
        c.head()
        c.answer("too large", status="413 Content Too Large", fields="Connection: close\r\n")
        time.sleep(0.2)  # then it closes with bytes unread: a reset

    g.space("demo-a", demo)
    c = g.connect()
    c.send(f"POST / HTTP/1.1\r\n{H}Content-Length: 50000000\r\n\r\n")
    c.s.setblocking(False)
    answer, sent, end = b"", 0, time.monotonic() + 10
    while b"too large" not in answer and time.monotonic() < end:
        try:
            sent += c.s.send(b"x" * 65536)
        except BlockingIOError:
            time.sleep(0.005)
        try:
            answer += c.s.recv(65536)
        except BlockingIOError:
            pass
    assert answer.startswith(b"HTTP/1.1 413") and answer.endswith(b"too large")


def test_bidirectional(gateway):
    """An answer that begins before the request has ended, and follows it."""
    g = gateway()

    def demo(c):
        c.head()
        c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while d := c.chunk():
            c.send(b"%x\r\n%s\r\n" % (len(d), d))
        c.send("0\r\n\r\n")

    g.space("demo-a", demo)
    c = g.connect()
    c.send(f"POST / HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n")
    c.head()
    for i in range(10):
        c.send(f"1\r\n{i}\r\n")
        assert c.chunk() == str(i).encode()
    c.send("0\r\n\r\n")
    assert c.chunk() == b""


def closed_soon(event, what, timeout=5):
    assert event.wait(timeout), what


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("when", ["before the answer", "in a stream"])
def test_a_visitor_who_leaves_frees_the_demo(gateway, how, when):
    g = gateway()
    there, gone = threading.Event(), threading.Event()

    def demo(c):
        c.request()
        if when == "in a stream":
            c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
        there.set()
        try:
            c.rest()
        finally:
            gone.set()

    w = g.space("demo-a", demo)
    c = g.connect()
    c.send(f"GET / HTTP/1.1\r\n{H}\r\n")
    if when == "in a stream":
        c.head(), c.chunk()
    assert there.wait(5)
    getattr(c, how)()
    closed_soon(gone, "the demo's connection stays open", 4 if how == "close" else 1)
    a = g.runner.sleep_ask(w.id)
    assert (a["refs"], a["released"]) == (0, 1)


def test_a_visitor_who_leaves_in_its_body(gateway):
    g = gateway()
    got = []
    gone = threading.Event()

    def demo(c):
        try:
            got.append(c.request())
        finally:
            gone.set()

    g.space("demo-a", demo)
    for head in ("Content-Length: 10\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"):
        gone.clear()
        c = g.connect()
        c.send(f"POST / HTTP/1.1\r\n{H}{head}")
        c.close()
        closed_soon(gone, "the demo still waits")
    assert not got, "the demo took a part for the whole"


@pytest.mark.parametrize("framing", ["Content-Length: 10", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_demo_that_dies_in_its_answer_is_seen(gateway, framing, how):
    g = gateway()
    read = threading.Event()

    def demo(c):
        c.request()
        c.send(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n" + ("abc" if "Length" in framing else "3\r\nabc\r\n"))
        read.wait(5)
        getattr(c, how)()

    g.space("demo-a", demo)
    c = g.connect()
    c.send(f"GET / HTTP/1.1\r\n{H}\r\n")
    c.head()
    assert (c.exactly(3) if "Length" in framing else c.chunk()) == b"abc"
    read.set()
    assert c.closed() and c.buf == b"", "no last chunk, no more bytes"


def test_a_demo_reset_in_a_body_to_the_end_is_no_clean_end(gateway):
    g = gateway()
    read = threading.Event()

    def demo(c):
        c.request()
        c.send("HTTP/1.0 200 OK\r\n\r\nabc")
        read.wait(5)
        c.reset()

    g.space("demo-a", demo)
    for version in ("1.1", "1.0"):
        read.clear()
        c = g.connect()
        c.send(f"GET / HTTP/{version}\r\n{H}\r\n")
        c.head()
        assert (c.chunk() if version == "1.1" else c.exactly(3)) == b"abc"
        read.set()
        if version == "1.1":
            assert c.closed()
        else:
            with pytest.raises(ConnectionResetError):
                c.s.recv(1)


def test_malformed_answer_chunks_are_a_truncation(gateway):
    g = gateway()

    def demo(c):
        c.request()
        c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n")
        c.rest()

    g.space("demo-a", demo)
    c = g.connect()
    c.send(f"GET / HTTP/1.1\r\n{H}\r\n")
    c.head()
    assert c.chunk() == b"abc" and c.closed()
    assert "chunks" in g.runner.wait("GATEWAY_NOTE")["text"]


def test_retry_on_a_stale_connection(gateway):
    """A kept connection that the demo closes when the next request is on its way."""
    g = gateway()
    first = threading.Event()
    n = []

    def demo(c):
        n.append(1)
        if len(n) == 1:
            c.request()
            c.answer("one")
            c.head()  # the second request comes here
            first.set()
            return
        hello(c)

    g.space("demo-a", demo)
    c = g.connect()
    c.send(f"GET / HTTP/1.1\r\n{H}\r\n")
    assert c.response().body == b"one"
    c.send(f"GET /two HTTP/1.1\r\n{H}\r\n")
    assert c.response().body == b"/two"
    assert first.is_set() and len(n) == 2


def test_all_idle_connections_end_as_the_next_request_comes(gateway):
    """The gateway has the request before it knows of any end."""
    g = gateway(threads=1)
    g.space("demo-a", demo := Ending())
    conns = [g.connect() for _ in range(4)]
    for c in conns:
        c.send(f"GET /together HTTP/1.1\r\n{H}\r\n")
    assert {c.response().body for c in conns} == {b"1"}
    with g.stopped():
        conns[0].send(f"GET /next HTTP/1.1\r\n{H}\r\n")
        demo.end.set()
        for t in demo.threads:
            t.join(10)
    r = conns[0].response()
    assert r.status == 200 and r.body == b"2"


class Ending:
    """A demo with four connections that it ends at once, each after one answer; others go on."""

    def __init__(self):
        self.end, self.threads, self.together = threading.Event(), [], threading.Barrier(4)

    def __call__(self, c):
        while r := c.request():
            if r[0].split()[1] == "/together":
                self.threads.append(threading.current_thread())
                self.together.wait(10)
                c.answer("1")
                self.end.wait(10)
                return
            c.answer("2")


def test_no_second_try_for_a_post(gateway):
    g = gateway()
    n = []

    def demo(c):
        n.append(1)
        while r := c.request():
            if r[0].startswith("POST"):
                return
            c.answer("one")

    g.space("demo-a", demo)
    c = g.connect()
    c.send(f"GET / HTTP/1.1\r\n{H}\r\n")
    assert c.response().body == b"one"
    c.send(f"POST / HTTP/1.1\r\n{H}Content-Length: 1\r\n\r\nx")
    assert c.response().status == 502
    assert len(n) == 1
    assert "before a response" in g.runner.wait("GATEWAY_NOTE")["text"]


def test_no_second_try_on_a_new_connection(gateway):
    g = gateway()
    n = []

    def demo(c):
        n.append(1)
        c.request()

    g.space("demo-a", demo)
    r = g.get("demo-a", headers="Accept: text/html\r\n")
    assert r.status == 502 and b"<html" in r.body and len(n) == 1


def test_many_at_once(gateway):
    g = gateway()

    def demo(c):
        while r := c.request():
            time.sleep(0.05)
            c.answer(r[0].split()[1])

    w = g.space("demo-a", demo)
    conns = [g.connect() for _ in range(60)]
    for i, c in enumerate(conns):
        c.send(f"GET /{i} HTTP/1.1\r\n{H}\r\n")
    assert [c.response().body for c in conns] == [b"/%d" % i for i in range(60)]
    assert 1 < w.demo.accepted <= 60
    for i, c in enumerate(conns):
        c.send(f"GET /{i} HTTP/1.1\r\n{H}\r\n")
    assert [c.response().body for c in conns] == [b"/%d" % i for i in range(60)]
    assert w.demo.accepted <= 60


def test_counters(gateway):
    g = gateway()

    def demo(c):
        while r := c.request():
            c.answer(r[2], status="500 Oops" if "bad" in r[0] else "200 OK")

    w = g.space("demo-a", demo)
    c = g.connect()
    c.send(f"POST / HTTP/1.1\r\n{H}Content-Length: 5\r\n\r\n12345POST /bad HTTP/1.1\r\n{H}Content-Length: 3\r\n\r\n123")
    assert [c.response().body for _ in range(2)] == [b"12345", b"123"]
    m = g.runner.wait("COUNTERS", worker_id=w.id)
    assert (m["requests"], m["bytes_in"], m["bytes_out"], m["status_5xx"], m["refs"]) == (2, 8, 8, 1, 0)
    g.runner.none("COUNTERS", 1.2)


def test_limits_of_time(gateway):
    g = gateway(gateway__header_timeout="300ms", gateway__idle_timeout="400ms", gateway__body_idle_timeout="300ms")
    g.space("demo-a", digest)
    c = g.connect()
    c.send("GET / HT")
    assert c.response().status == 408 and c.closed()
    c = g.connect()  # a byte now and then does not help
    t = time.monotonic()
    with pytest.raises((OSError, EOFError)):
        for ch in f"GET / HTTP/1.1\r\n{H}" * 100:
            c.send(ch)
            time.sleep(0.02)
    assert time.monotonic() - t < 4  # what comes after the 408 is thrown away for a moment
    c = g.connect()
    c.send(f"GET / HTTP/1.1\r\n{H}\r\n")
    c.response()
    assert c.closed(2)
    c = g.connect()
    c.send(f"POST / HTTP/1.1\r\n{H}Content-Length: 9\r\n\r\nabc")
    assert c.response().status == 408


def test_a_thinking_demo_is_not_hurried(gateway):
    g = gateway(gateway__header_timeout="200ms", gateway__idle_timeout="200ms", gateway__body_idle_timeout="200ms")

    def demo(c):
        while c.request():
            time.sleep(0.8)
            c.answer("at last")

    g.space("demo-a", demo)
    assert g.get("demo-a").body == b"at last"


def test_connections_of_one_address(gateway):
    g = gateway(gateway__max_per_address="3")
    g.space("demo-a", hello)
    conns = [g.connect() for _ in range(3)]
    for c in conns:
        c.send(f"GET / HTTP/1.1\r\n{H}\r\n")
        assert c.response().status == 200
    assert g.connect().response().status == 503
    conns[0].close()
    end = time.monotonic() + 5
    while time.monotonic() < end:
        c = g.connect()
        c.send(f"GET / HTTP/1.1\r\n{H}\r\n")
        try:
            if c.response().status == 200:
                return
        except OSError:
            pass
    assert False, "the place of one that left is not given to another"


def test_hostile_sockets_are_refused(gateway):
    g = gateway(gateway__connect_timeout="1s")
    made = []

    def make():
        made.append(1)
        k = len(made) % 4
        if k == 0:
            return open("/dev/null")
        return socket.socket((socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)[k - 1],
                             socket.SOCK_DGRAM if k == 2 else socket.SOCK_STREAM)

    w = g.worker(500, hello, make)
    g.spaces["demo-a"] = {"space_id": 1, "space": "demo/a", "stage": "RUNNING", "wakes": 1, "worker": w}
    assert g.get("demo-a").status in (503, 504)
    assert w.demo.accepted == 0
    w.make = lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    assert g.get("demo-a").body == b"/"
