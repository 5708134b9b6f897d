"""HTTP/2: each stream is as strictly read, as bounded and as visibly cut as a request of HTTP/1.1."""
import hashlib
import json
import socket
import threading
import time

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import pytest

from certs import Pair
from harness import Endless, client_context, echo_headers, hello, host

SITE = Pair("localhost", "*.localhost")


class H2:
    """A visitor with one connection; what comes of each stream is gathered."""

    def __init__(self, g, lax=False, rcvbuf=None, hold=False):
        context = client_context()
        context.set_alpn_protocols(["h2", "http/1.1"])
        raw = g.connect(port=g.tls_port, rcvbuf=rcvbuf).s
        self.s = context.wrap_socket(raw, server_hostname="localhost", suppress_ragged_eofs=False)
        assert self.s.selected_alpn_protocol() == "h2"
        self.s.settimeout(10)
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8", validate_outbound_headers=not lax, normalize_outbound_headers=not lax)
        self.c = h2.connection.H2Connection(config)
        self.c.initiate_connection()
        if hold:
            self.c.increment_flow_control_window(1 << 24)  # of the connection, not of its streams
        self.flush()
        self.hold = hold  # windows of streams stay as they are
        self.answers, self.reset, self.gone, self.trailers, self.interim = {}, {}, None, {}, {}
        self.ended = set()
        self.eof = False

    def flush(self):
        self.s.sendall(self.c.data_to_send())

    def fill(self):
        d = self.s.recv(65536)
        if not d:
            self.eof = True
            return
        for e in self.c.receive_data(d):
            if isinstance(e, h2.events.ResponseReceived):
                self.answers[e.stream_id] = [dict(e.headers), b""]
            elif isinstance(e, h2.events.InformationalResponseReceived):
                self.interim[e.stream_id] = dict(e.headers)[":status"]
            elif isinstance(e, h2.events.DataReceived):
                self.answers[e.stream_id][1] += e.data
                if not self.hold and e.flow_controlled_length:
                    self.c.acknowledge_received_data(e.flow_controlled_length, e.stream_id)
            elif isinstance(e, h2.events.TrailersReceived):
                self.trailers[e.stream_id] = dict(e.headers)
            elif isinstance(e, h2.events.StreamEnded):
                self.ended.add(e.stream_id)
            elif isinstance(e, h2.events.StreamReset):
                self.reset[e.stream_id] = e.error_code
            elif isinstance(e, h2.events.ConnectionTerminated):
                self.gone = e.error_code
        if not self.gone:
            self.flush()

    def until(self, what, seconds=10):
        end = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < end and not self.eof, (self.answers, self.reset, self.gone)
            self.fill()

    def request(self, label, path="/", method="GET", headers=(), body=None, end=True, pseudo=None):
        sid = self.c.get_next_available_stream_id()
        h = pseudo or [(":method", method), (":scheme", "https"), (":authority", host(label)), (":path", path)]
        self.c.send_headers(sid, h + list(headers), end_stream=end and body is None)
        if body is not None:
            self.send(sid, body, end)
        self.flush()
        return sid

    def send(self, sid, body, end=True):
        while body:
            n = min(len(body), self.c.local_flow_control_window(sid), self.c.max_outbound_frame_size)
            if n == 0:
                self.flush()
                self.fill()
                continue
            self.c.send_data(sid, body[:n])
            body = body[n:]
            self.flush()
        if end:
            self.c.end_stream(sid)
        self.flush()

    def answer(self, sid, seconds=10):
        self.until(lambda: sid in self.ended or sid in self.reset, seconds)
        assert sid in self.ended and not self.reset.get(sid), self.reset
        headers, body = self.answers[sid]
        return int(headers[":status"]), headers, body

    def close(self):
        self.s.close()


def pattern(n):
    block = hashlib.sha256(b"h2").digest() * 1024
    return (block * (n // len(block) + 1))[:n]


def test_a_request(gateway):
    g = gateway(tls=[SITE])
    g.space("echo", echo_headers)
    v = H2(g)
    sid = v.request("echo", "/a?b", headers=[("cookie", "a=1"), ("cookie", "b=2"), ("x-one", "1"), ("x-forwarded-for", "6.6.6.6")])
    status, headers, body = v.answer(sid)
    assert status == 200 and "connection" not in headers and "transfer-encoding" not in headers
    line, fields = json.loads(body)
    assert line == "GET /a?b HTTP/1.1"
    f = {}
    for k, value in fields:
        f.setdefault(k.lower(), []).append(value)
    assert f["host"] == [host("echo")] and f["cookie"] == ["a=1; b=2"] and f["x-one"] == ["1"]
    assert f["x-forwarded-for"] == ["127.0.0.1"] and f["x-forwarded-proto"] == ["https"] and f["via"] == ["2 vitrine"]
    v.close()


def test_switched_off(gateway):
    g = gateway(tls=[SITE], tls__http2="false")
    context = client_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    c = g.secure("localhost", context=context)
    assert c.s.selected_alpn_protocol() == "http/1.1"
    c.close()


def test_the_access_log_has_the_version(gateway, tmp_path):
    g = gateway(tls=[SITE], log__access="json")
    g.space("echo", hello)
    with open(tmp_path / "log", "ab") as f:
        g.sup.send("SUP_LOG", [f.fileno()])
    v = H2(g)
    assert v.answer(v.request("echo", "/x"))[0] == 200
    end = time.monotonic() + 5
    while not (text := (tmp_path / "log").read_text()).endswith("\n") and time.monotonic() < end:
        time.sleep(0.02)
    line = json.loads(text)
    assert (line["version"], line["target"], line["status"]) == ("2.0", "/x", 200)
    v.close()


def test_many_streams_side_by_side(gateway):
    barrier = threading.Barrier(20)

    def together(c):
        r = c.request()
        barrier.wait(10)
        c.answer(r[0].split()[1] * 1000)
    g = gateway(tls=[SITE])
    g.space("all", together)
    v = H2(g)
    ids = {v.request("all", f"/{i}"): i for i in range(20)}
    for sid, i in ids.items():
        assert v.answer(sid)[2] == f"/{i}".encode() * 1000
    g.space("echo", hello)
    for i in range(200):
        assert v.answer(v.request("echo", f"/{i}"))[2] == f"/{i}".encode()
    v.close()


@pytest.mark.parametrize("length", [True, False])
def test_eight_mebibytes_both_ways(gateway, length):
    data = pattern(8 << 20)

    def echo(c):
        r = c.request()
        assert hashlib.sha256(r[2]).digest() == hashlib.sha256(data).digest()
        if length:
            c.answer(r[2])
        else:
            c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for i in range(0, len(data), 100001):
                part = data[i:i + 100001]
                c.send(b"%x\r\n" % len(part) + part + b"\r\n")
            c.send("0\r\nX-Sum: yes\r\n\r\n")
    g = gateway(tls=[SITE])
    g.space("echo", echo)
    before = g.rss_kib()
    v = H2(g)
    headers = [("content-length", str(len(data)))] if length else []
    sid = v.request("echo", method="POST", headers=headers, body=data)
    status, headers, body = v.answer(sid, 30)
    assert status == 200 and hashlib.sha256(body).digest() == hashlib.sha256(data).digest()
    if not length:
        assert v.trailers[sid] == {"x-sum": "yes"}
    assert g.grown_kib(before) < 2048
    v.close()


def test_trailers_of_a_request(gateway):
    seen = []

    def demo(c):
        fields = c.head()[1]
        seen.append(c.body_of(fields))
        c.answer("ok")
    g = gateway(tls=[SITE])
    g.space("t", demo)
    v = H2(g)
    sid = v.request("t", method="POST", body=b"abc", end=False)
    v.c.send_headers(sid, [("x-end", "1")], end_stream=True)
    v.flush()
    assert v.answer(sid)[0] == 200
    assert seen == [(b"abc", ["x-end: 1"])]
    v.close()


def test_a_visitor_who_takes_nothing_stops_the_demo_and_nobody_else(gateway):
    g = gateway(tls=[SITE])
    endless = Endless()
    g.space("endless", endless)
    g.space("echo", hello)
    v = H2(g, hold=True)
    v.request("endless")
    v.until(lambda: 1 in v.answers)
    assert endless.stalled() < 16 << 20
    assert v.answer(v.request("echo", "/x"))[2] == b"/x"
    v.close()


def test_a_demo_that_takes_nothing_stops_its_stream_and_no_other(gateway):
    go = threading.Event()

    def idle(c):
        c.head()
        go.wait(20)
    g = gateway(tls=[SITE])
    g.space("idle", idle)
    g.space("echo", hello)
    before = g.rss_kib()
    v = H2(g)
    sid = v.request("idle", method="POST", end=False, headers=[("content-length", str(100 << 20))])
    sent = 0
    v.s.settimeout(1)
    try:
        while True:
            n = min(v.c.local_flow_control_window(sid), 16384)
            if n:
                v.c.send_data(sid, bytes(n))
                v.flush()
                sent += n
            else:
                v.fill()
    except TimeoutError:
        pass
    assert sent < 16 << 20 and g.grown_kib(before) < 4096
    v.s.settimeout(10)
    assert v.answer(v.request("echo", "/x"))[2] == b"/x"
    go.set()
    v.close()


def test_early_answer_head_and_interim(gateway):
    def early(c):  # a connection each: a POST that comes when one just ends has no second try
        line = c.head()[0]
        if line.startswith("HEAD"):
            c.send("HTTP/1.1 200 OK\r\nContent-Length: 77\r\nConnection: close\r\n\r\n")
        elif "continue" in line:
            c.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        else:
            c.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
    g = gateway(tls=[SITE])
    g.space("early", early)
    v = H2(g)
    status, headers, body = v.answer(v.request("early", method="HEAD"))
    assert (status, headers["content-length"], body) == (200, "77", b"")
    sid = v.request("early", "/continue")
    assert v.answer(sid)[0] == 204 and v.interim[sid] == "103"
    sid = v.request("early", method="POST", end=False, headers=[("content-length", "1000000")])
    assert v.answer(sid)[::2] == (413, b"big")
    v.close()


@pytest.mark.parametrize("how", ["length", "chunked", "nothing"])
def test_a_truncated_answer_is_seen(gateway, how):
    def short(c):
        c.request()
        if how != "nothing":
            c.send({"length": "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf"}[how])
        time.sleep(0.1)
        c.reset()
    g = gateway(tls=[SITE])
    g.space("short", short)
    v = H2(g)
    sid = v.request("short")
    v.until(lambda: sid in v.ended or sid in v.reset)
    if how == "nothing":
        assert v.answer(sid)[0] == 502
    else:
        assert sid in v.reset and sid not in v.ended
    v.close()


def test_a_visitor_who_resets_takes_the_demo_along(gateway):
    left = threading.Event()

    def demo(c):
        c.request()
        c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
        try:
            c.rest()
        except ConnectionError:
            pass
        left.set()
    g = gateway(tls=[SITE])
    g.space("demo", demo)
    v = H2(g)
    sid = v.request("demo")
    v.until(lambda: sid in v.answers and v.answers[sid][1] == b"ok")
    v.c.reset_stream(sid)
    v.flush()
    assert left.wait(5)
    v.close()


def test_a_websocket(gateway):
    seen = []

    def ws(c):
        seen.append(c.head())
        c.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n")
        while True:
            c.fill()
            c.send(c.buf)
            c.buf = b""
    g = gateway(tls=[SITE])
    g.space("ws", ws)
    v = H2(g)
    v.until(lambda: v.c.remote_settings.get(h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL) == 1)
    sid = v.request("ws", end=False, headers=[("sec-websocket-version", "13")], pseudo=[
        (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https"), (":path", "/chat"), (":authority", host("ws"))])
    v.until(lambda: sid in v.answers)
    headers = v.answers[sid][0]
    assert headers[":status"] == "200" and "sec-websocket-accept" not in headers and "upgrade" not in headers
    line, fields = seen[0]
    f = {k.lower(): x for k, x in fields}
    assert line == "GET /chat HTTP/1.1" and f["upgrade"] == "websocket" and f["sec-websocket-version"] == "13" and len(f["sec-websocket-key"]) == 24
    for n in (1, 1000, 100000):
        v.answers[sid][1] = b""
        v.send(sid, pattern(n), end=False)
        v.until(lambda: len(v.answers[sid][1]) == n)
        assert v.answers[sid][1] == pattern(n)
    v.close()


def test_sse_and_the_waiting_page(gateway):
    go = threading.Event()

    def events(c):
        c.request()
        c.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i in range(3):
            c.send(b"9\r\ndata: %d\n\n\r\n" % i)
            assert go.wait(5)
            go.clear()
        c.send("0\r\n\r\n")
    g = gateway(tls=[SITE], gateway__wait_page_after="100ms")
    g.space("sse", events)
    g.space("asleep")
    v = H2(g)
    sid = v.request("sse")
    for i in range(3):
        v.until(lambda: sid in v.answers and v.answers[sid][1].endswith(b"data: %d\n\n" % i))
        go.set()
    assert v.answer(sid)[0] == 200
    page = v.request("asleep", headers=[("accept", "text/html"), ("sec-fetch-mode", "navigate")])
    assert v.answer(page)[0] == 503
    v.close()


@pytest.mark.parametrize("headers, pseudo", [
    ([("transfer-encoding", "chunked")], None), ([("connection", "close")], None), ([("X-Upper", "a")], None), ([("x", "a\r\nb: c")], None),
    ([("x y", "a")], None), ([("te", "gzip")], None), ([("content-length", "1"), ("content-length", "2")], None), ([("host", "other.localhost")], None),
    ([], {":path": "/a b"}), ([], {":path": "/a HTTP/1.1\r\nX: y"}), ([], {":path": "http://other.localhost/"}), ([], {":path": ""}), ([], {":method": "GE T"}),
    ([], {":method": "CONNECT"}), ([], {":authority": "a@b"}), ([], {":authority": ""}), ([], {":scheme": "ftp"}), ([], {":odd": "x"}), ([], {":path": "x"}), ([], {":protocol": "websocket"})])
def test_what_is_no_request_reaches_no_demo(gateway, headers, pseudo):
    seen = []

    def demo(c):
        while r := c.request():
            seen.append(r)
            c.answer("seen")
    g = gateway(tls=[SITE])
    g.space("demo", demo)
    v = H2(g, lax=True)
    p = {":method": "GET", ":scheme": "https", ":authority": host("demo"), ":path": "/", **(pseudo or {})}
    sid = v.c.get_next_available_stream_id()
    v.c.send_headers(sid, list(p.items()) + headers, end_stream=True)
    v.flush()
    v.until(lambda: sid in v.ended or sid in v.reset or v.gone is not None or v.eof)
    assert sid in v.reset or v.gone is not None or int(v.answers[sid][0][":status"]) in (400, 405, 404, 501), v.answers
    assert not seen
    v.close()
    w = H2(g)
    assert w.answer(w.request("demo"))[2] == b"seen"
    w.close()


def test_heads_that_are_too_large(gateway):
    g = gateway(tls=[SITE])
    g.space("echo", hello)
    for headers in ([("x", "a" * 8000), ("y", "b" * 9000)], [(f"x{i}", "a") for i in range(150)], [("a", "b" * 4000)] * 12):
        v = H2(g)
        sid = v.request("echo", headers=headers)
        v.until(lambda: sid in v.ended or sid in v.reset or v.gone is not None)
        assert sid in v.reset or v.gone is not None or v.answers[sid][0][":status"] == "431", v.answers
        v.close()


def is_closed(v, seconds=10):
    end = time.monotonic() + seconds
    try:
        while not v.eof and time.monotonic() < end:
            v.fill()
    except (OSError, h2.exceptions.ProtocolError):
        return True
    return v.eof


def test_rapid_reset(gateway):
    began = []

    def demo(c):
        began.append(1)
        c.request()
        time.sleep(5)
    g = gateway(tls=[SITE])
    g.space("demo", demo)
    v = H2(g)
    with pytest.raises((OSError, h2.exceptions.ProtocolError, AssertionError)):
        for _ in range(2000):
            sid = v.request("demo")
            v.c.reset_stream(sid)
            v.flush()
        assert not is_closed(v, 5)
    assert len(began) < 600


@pytest.mark.parametrize("kind", ["ping", "settings", "priority", "empty data"])
def test_floods(gateway, kind):
    g = gateway(tls=[SITE])
    g.space("echo", hello)
    v = H2(g)
    sid = v.request("echo", method="POST", end=False) if kind == "empty data" else None
    frame = {"ping": b"\0\0\x08\x06\0\0\0\0\0" + bytes(8), "settings": b"\0\0\0\x04\0\0\0\0\0", "priority": b"\0\0\x05\x02\0\0\0\0\x63\0\0\0\x01\x10",
             "empty data": b"\0\0\0\0\0" + (sid or 0).to_bytes(4, "big")}[kind]
    with pytest.raises(OSError):
        for _ in range(200):
            v.s.sendall(frame * 100)
        end = time.monotonic() + 5
        while time.monotonic() < end:
            v.s.sendall(frame)
            if not v.s.recv(65536):
                raise OSError("closed")
    w = H2(g)
    assert w.answer(w.request("echo", "/x"))[2] == b"/x"
    w.close()


def test_an_endless_header_block(gateway):
    g = gateway(tls=[SITE], gateway__header_timeout="1s")
    v = H2(g)
    with pytest.raises(OSError):
        v.s.sendall(b"\0\0\x01\x01\x01\0\0\0\x01\x82")  # HEADERS without END_HEADERS
        for _ in range(100000):
            v.s.sendall(b"\0\0\x04\x09\0\0\0\0\x01" + b"\x00\x01x\x00"[:4])
    slow = H2(g)
    slow.s.sendall(b"\0\0\x01\x01\x01\0\0\0\x01\x82")
    begin = time.monotonic()
    assert is_closed(slow) and time.monotonic() - begin < 5


def test_deadlines_of_a_connection(gateway):
    g = gateway(tls=[SITE], gateway__header_timeout="500ms", gateway__idle_timeout="700ms")
    g.space("echo", hello)
    never, once = H2(g), H2(g)
    assert once.answer(once.request("echo", "/x"))[0] == 200
    begin = time.monotonic()
    assert is_closed(never) and is_closed(once)
    assert once.gone == 0 and time.monotonic() - begin < 5


def test_no_more_streams_than_allowed(gateway):
    g = gateway(tls=[SITE], gateway__max_per_address="10")

    def demo(c):
        c.request()
        time.sleep(1)
        c.answer("ok")
    g.space("demo", demo)
    v = H2(g)
    ids = [v.request("demo") for _ in range(15)]
    v.until(lambda: all(i in v.ended or i in v.reset for i in ids))
    refused = [i for i in ids if v.reset.get(i) == 7]
    assert len(refused) == 6 and len([i for i in ids if i in v.ended]) == 9
    assert v.answer(v.request("demo"))[0] == 200
    v.close()


def test_the_end_is_announced(gateway):
    go = threading.Event()

    def demo(c):
        c.request()
        go.set()
        time.sleep(0.1)
        c.answer("whole")
    g = gateway(tls=[SITE])
    g.space("demo", demo)
    v = H2(g)
    sid = v.request("demo")
    assert go.wait(5)
    g.process.terminate()
    got = b""  # read by hand: the library takes nothing behind a GOAWAY
    while d := v.s.recv(65536):
        got += d
    frames = []
    while got:
        n = int.from_bytes(got[:3], "big")
        frames.append((got[3], int.from_bytes(got[5:9], "big"), got[9:9 + n]))
        got = got[9 + n:]
    assert (0, sid, b"whole") in frames
    goaway = next(f for f in frames if f[0] == 7)
    assert goaway[2] == sid.to_bytes(4, "big") + bytes(4)
    v.close()


def test_garbage(gateway):
    g = gateway(tls=[SITE])
    g.space("echo", hello)
    for data in (b"GET / HTTP/1.1\r\n\r\n", bytes(100), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 50, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x01\x05\0\0\0\x02"):
        context = client_context()
        context.set_alpn_protocols(["h2"])
        s = context.wrap_socket(socket.create_connection(("127.0.0.1", g.tls_port), 10), server_hostname="localhost")
        s.sendall(data)
        try:
            while s.recv(4096):
                pass
        except OSError:
            pass
        s.close()
    w = H2(g)
    assert w.answer(w.request("echo", "/x"))[2] == b"/x"
    w.close()


def test_a_replaced_gateway_finishes_its_streams(gateway):
    go = threading.Event()

    def slow(c):
        while c.request():
            c.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
            go.wait(20)
            c.send("def")

    g = gateway(tls=[SITE])
    g.space("a", slow)
    v = H2(g)
    sid = v.request("a")
    v.until(lambda: sid in v.answers)
    g.sup.send("SUP_DRAIN", timeout_ms=60000)
    assert g.sup.wait("SUP_LOAD")["connections"] == 2  # the carrier and the stream
    v.until(lambda: v.gone is not None)
    v.fill()  # the second word, a second later
    assert g.process.poll() is None
    v.c.state_machine.state = h2.connection.ConnectionState.CLIENT_OPEN  # the library takes a GOAWAY for the end
    go.set()
    assert v.answer(sid)[2] == b"abcdef"
    with pytest.raises(AssertionError):
        v.until(lambda: False, 5)
    assert v.eof and g.process.wait(5) == 0
    v.close()
