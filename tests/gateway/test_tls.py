"""HTTPS: certificates by name, versions, tickets, what is sent there, and that a TLS connection streams, waits and ends
as a plain one does."""
import contextlib
import hashlib
import json
import os
import socket
import ssl
import threading
import time

import pytest

from certs import Pair
from harness import LISTENER_TLS, Endless, client_context, echo_headers, hello, host, until

SITE = Pair("localhost")
WILD = Pair("*.localhost", "*.example.org")
EXACT = Pair("exact.localhost", "exact.example.org")


def certificate(conn):
    return conn.s.getpeercert(binary_form=True)


def ask(conn, label, path="/", headers="", method="GET", body=b""):
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    conn.send(f"{method} {path} HTTP/1.1\r\nHost: {host(label)}\r\n{headers}{length}\r\n".encode() + body)
    return conn.response(method)


@pytest.mark.parametrize("name, pair", [
    (None, SITE), ("localhost", SITE), ("a.localhost", WILD), ("EXACT.LocalHost", EXACT), ("exact.localhost", EXACT),
    ("a.b.localhost", SITE), ("b.example.org", WILD), ("exact.example.org", EXACT), ("example.org", SITE), ("nowhere.test", SITE)])
def test_a_certificate_is_chosen_by_name(gateway, name, pair):
    c = gateway(tls=[SITE, WILD, EXACT]).secure(name)
    assert certificate(c) == pair.der
    c.close()


def test_a_request_over_tls(gateway):
    g = gateway(tls=[SITE, WILD])
    g.space("echo", echo_headers)
    c = g.secure("echo.localhost")
    assert c.s.version() == "TLSv1.3"
    for path in ("/1", "/2?x"):
        line, fields = json.loads(ask(c, "echo", path, "X-Forwarded-Proto: http\r\n").body)
        assert line == f"GET {path} HTTP/1.1"
        f = [(k, v) for k, v in fields if k in ("X-Forwarded-Proto", "Forwarded")]
        assert ("X-Forwarded-Proto", "https") in f and len(f) == 2, f
        assert "proto=https" in dict(f)["Forwarded"]
    c.close()


def versions(low, high):
    context = client_context()
    context.minimum_version, context.maximum_version = low, high
    return context


V = ssl.TLSVersion


def test_versions(gateway):
    g = gateway(tls=[SITE])
    for version, name in ((V.TLSv1_2, "TLSv1.2"), (V.TLSv1_3, "TLSv1.3")):
        c = g.secure("localhost", context=versions(version, version))
        assert c.s.version() == name
        c.close()
    old = versions(V.TLSv1, V.TLSv1_1)
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
        g.secure("localhost", context=old)
    new = gateway(tls=[SITE], tls__min_version="1.3")
    with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
        new.secure("localhost", context=versions(V.TLSv1_2, V.TLSv1_2))


@pytest.mark.parametrize("cipher", ["AES256-SHA", "ECDHE-ECDSA-AES256-SHA384", "AES128-GCM-SHA256"])
def test_no_old_cipher(gateway, cipher):
    context = versions(V.TLSv1_2, V.TLSv1_2)
    context.set_ciphers(cipher + ":@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        gateway(tls=[SITE]).secure("localhost", context=context)


def test_alpn(gateway):
    g = gateway(tls=[SITE])
    for offered, chosen in ((["http/1.1"], "http/1.1"), (["spdy/3", "http/1.1"], "http/1.1")):
        context = client_context()
        context.set_alpn_protocols(offered)
        c = g.secure("localhost", context=context)
        assert c.s.selected_alpn_protocol() == chosen
        c.close()
    context = client_context()
    context.set_alpn_protocols(["acme-tls/1"])
    with pytest.raises(ssl.SSLError, match="(?i)application.protocol"):
        g.secure("localhost", context=context)


def resumed(g, context, session):
    s = context.wrap_socket(socket.create_connection(("127.0.0.1", g.tls_port), 10), server_hostname="localhost", session=session)
    s.sendall(b"GET / HTTP/1.1\r\nHost: nobody\r\nConnection: close\r\n\r\n")
    while s.recv(4096):
        pass
    return s.session_reused, s.session


@pytest.mark.parametrize("version", [V.TLSv1_2, V.TLSv1_3])
def test_sessions_are_resumed_also_by_another_gateway(gateway, version):
    g = gateway(tls=[SITE])
    context = versions(version, version)
    again, session = resumed(g, context, None)
    assert not again and session.has_ticket
    assert resumed(g, context, session)[0]

    g.tickets = [b"\0" * 16 + g.tickets[1][16:], g.tickets[0]]  # turned on: the one before is still taken
    g.certificates([SITE])
    again, session = resumed(g, context, session)
    assert again
    other = gateway(tls=[SITE])
    other.tickets = g.tickets
    other.certificates([SITE])
    end = time.monotonic() + 5
    while not resumed(other, context, session)[0]:  # each loop gets them by itself
        assert time.monotonic() < end
    stranger = gateway(tls=[SITE])
    assert not resumed(stranger, context, session)[0]


def test_new_certificates_cut_no_connection(gateway):
    g = gateway(tls=[SITE])
    g.space("echo", hello)
    old = g.secure("localhost")
    assert ask(old, "echo", "/a").body == b"/a"
    renewed = Pair("localhost")
    g.certificates([renewed, WILD])
    new = g.secure("localhost")
    assert certificate(new) == renewed.der and certificate(old) == SITE.der
    assert ask(old, "echo", "/b").body == b"/b" and ask(new, "echo", "/c").body == b"/c"
    other = g.secure("a.localhost")
    assert certificate(other) == WILD.der

    broken = Pair("localhost")
    broken.key = SITE.key  # does not fit: what there was stays
    g.certificates([broken])
    last = g.secure("localhost")
    assert certificate(last) == renewed.der
    for c in (old, new, other, last):
        c.close()


def test_plain_http_is_sent_to_https(gateway):
    g = gateway(tls=[SITE], site=hello)
    g.space("echo", hello)
    for label, path, method in (("echo", "/a?b=%20c", "GET"), (None, "/x", "POST"), ("echo", "/", "HEAD")):
        r = g.get(label, path, method=method, body=b"x" if method == "POST" else b"")
        assert r.status == 308
        assert r.get("location") == f"https://{host(label)}:{g.tls_port}{path}"
    assert g.get("a.b").status == 404
    stays = gateway(tls=[SITE], tls__redirect="false")
    stays.space("echo", hello)
    assert stays.get("echo", "/p").body == b"/p"
    usual = gateway(tls=[SITE], server__public_url="https://localhost")
    assert usual.get("echo", "/p").get("location") == "https://echo.localhost/p"


def test_hsts(gateway):
    g = gateway(tls=[SITE], tls__hsts="365d", site=hello, tls__redirect="false")

    def loose(c):
        c.request()
        c.answer(fields="Strict-Transport-Security: max-age=1; preload\r\n")
    g.space("echo", loose)
    c = g.secure("localhost")
    for label in (None, "echo", "a.b"):
        assert ask(c, label).all("strict-transport-security") == ["max-age=31536000"], label
    c.close()
    assert not g.get(None).all("strict-transport-security")


# ---- challenges of certificate authorities ----


def test_challenges_are_answered_by_up(gateway):
    g = gateway(tls=[SITE], tls__challenges="/srv/acme")
    seen = []

    def demo(c):
        while r := c.request():
            seen.append(r)
            c.answer("of the demo")
    g.space("echo", demo)

    def up():
        for _ in range(3):
            ask = g.sup.wait("SUP_CHALLENGE_ASK")
            known = ask["token"] == "tok_EN-1"
            g.sup.send("SUP_CHALLENGE", ask_id=ask["ask_id"], found=int(known), answer="tok_EN-1.thumb" if known else "")
    t = threading.Thread(target=up)
    t.start()
    place = "/.well-known/acme-challenge/"
    r = g.get("echo", place + "tok_EN-1")
    assert (r.status, r.body) == (200, b"tok_EN-1.thumb")  # and is not sent to HTTPS
    assert g.get(None, place + "other").status == 404
    c = g.secure("localhost")
    assert ask(c, None, place + "tok_EN-1").body == b"tok_EN-1.thumb"
    t.join()
    for bad in ("", "..", "a/b", "a%2fb", "a?b", "a.b", "x" * 129):
        assert g.get("echo", place + bad).status == 404, bad
    assert not seen
    c.close()


def test_without_challenges_no_demo_answers_one(gateway):
    g = gateway()
    g.space("echo", hello)
    assert g.get("echo", "/.well-known/acme-challenge/abc").status == 404
    assert g.get("echo", "/.well-known/other").body == b"/.well-known/other"


# ---- the connection ----


def test_plain_http_on_the_tls_port(gateway):
    g = gateway(tls=[SITE])
    c = g.connect(port=g.tls_port)
    c.send(f"GET / HTTP/1.1\r\nHost: {host('echo')}\r\nAccept: */*\r\n\r\n")
    r = c.response()
    assert r.status == 400 and b"https" in r.body
    assert c.closed()


@pytest.mark.parametrize("bytes_", ids=["record", "zeros", "long", "ssh", "ssl2"], argvalues=[b"\x16\x03\x01\x00\x05hello", b"\x00" * 100, b"\x16\x03\x01\xff\xff" + b"\x01" * 300, b"SSH-2.0-x\r\n",
                                    b"\x80\x2e\x01\x00\x02"])
def test_bad_handshakes_end_the_connection_alone(gateway, bytes_):
    g = gateway(tls=[SITE])
    g.space("echo", hello)
    c = g.connect(port=g.tls_port)
    c.send(bytes_)
    c.half_close()
    with contextlib.suppress(ConnectionError):
        c.rest()
    ok = g.secure("localhost")
    assert ask(ok, "echo", "/x").body == b"/x"
    ok.close()


def test_a_handshake_has_the_time_of_a_header(gateway):
    g = gateway(tls=[SITE], gateway__header_timeout="500ms")
    hello_bytes = client_hello()
    silent, slow = g.connect(port=g.tls_port), g.connect(port=g.tls_port)
    begin = time.monotonic()

    def drip():
        with contextlib.suppress(OSError):
            for b in hello_bytes:
                slow.send(bytes([b]))
                time.sleep(0.05)
    threading.Thread(target=drip, daemon=True).start()
    assert silent.closed(3) and slow.closed(3)
    assert time.monotonic() - begin < 2


def client_hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        client_context().wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


def test_a_part_of_a_record_does_not_keep_a_connection(gateway):
    g = gateway(tls=[SITE], gateway__header_timeout="500ms")
    c = g.secure("localhost")
    raw = c.s.detach()
    s = socket.socket(fileno=raw)
    s.settimeout(5)
    s.sendall(b"\x17\x03\x03\x00\x40")
    begin = time.monotonic()
    with contextlib.suppress(ConnectionError):
        while s.recv(4096):
            pass
    assert time.monotonic() - begin < 3
    s.close()


def test_a_hello_in_single_bytes(gateway):
    g = gateway(tls=[SITE])
    g.space("echo", hello)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    o = client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    s = g.connect(port=g.tls_port).s

    def pump(step):
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                for b in outgoing.read():
                    s.sendall(bytes([b]))
                incoming.write(s.recv(4096))
    pump(o.do_handshake)
    o.write(f"GET /bytes HTTP/1.1\r\nHost: {host('echo')}\r\n\r\n".encode())
    assert b"/bytes" in pump(lambda: o.read(4096))
    s.close()


def pattern(n):
    block = hashlib.sha256(b"tls").digest() * 1024
    return (block * (n // len(block) + 1))[:n]


def test_eight_mebibytes_both_ways_with_slow_ends(gateway):
    data = pattern(8 << 20)

    def echo(c):
        fields = c.head()[1]
        length = int(dict(fields)["Content-Length"])
        got = b""
        while len(got) < length:
            if len(got) % (1 << 20) < 65536:
                time.sleep(0.02)
            got += c.exactly(min(65536, length - len(got)))
        c.answer(got)
    g = gateway(tls=[SITE])
    g.space("echo", echo)
    before = g.rss_kib()
    c = g.secure("localhost", timeout=30, rcvbuf=16384)

    def send():
        c.send(f"POST / HTTP/1.1\r\nHost: {host('echo')}\r\nContent-Length: {len(data)}\r\n\r\n".encode())
        c.send(data)
    send()
    got, n = hashlib.sha256(), 0
    c.head()
    got.update(c.buf)
    n += len(c.buf)
    while n < len(data):
        if n % (1 << 20) < 16384:
            time.sleep(0.02)
        d = c.s.recv(16384)
        assert d
        got.update(d)
        n += len(d)
    assert got.digest() == hashlib.sha256(data).digest()
    c.close()
    assert g.grown_kib(before) < 1024 * g.threads


def test_a_reader_that_stops_stops_the_demo(gateway):
    g = gateway(tls=[SITE])
    endless = Endless()
    g.space("endless", endless)
    c = g.secure("localhost", rcvbuf=8192)
    c.send(f"GET / HTTP/1.1\r\nHost: {host('endless')}\r\n\r\n")
    c.head()
    assert endless.stalled() < 32 << 20
    c.close()


def test_chunks_of_every_size(gateway):
    sizes = [1, 2, 100, 4063, 4064, 4065, 16383, 16384, 16385, 32735, 32736, 32737, 70000]
    parts = [pattern(n) for n in sizes]

    def chunky(c):
        while r := c.request():
            assert r[2] == b"".join(parts)
            c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for p in parts:
                c.send(b"%x\r\n" % len(p) + p + b"\r\n")
            c.send("0\r\nX-End: yes\r\n\r\n")
    g = gateway(tls=[SITE])
    g.space("chunky", chunky)
    c = g.secure("localhost")
    for _ in range(3):
        c.send(f"POST / HTTP/1.1\r\nHost: {host('chunky')}\r\nTransfer-Encoding: chunked\r\n\r\n")
        for p in parts:
            c.send(b"%x\r\n" % len(p) + p + b"\r\n")
        c.send("0\r\n\r\n")
        r = c.response()
        assert r.body == b"".join(parts) and r.trailers == ["X-End: yes"]
    c.close()


def test_a_pipeline(gateway):
    g = gateway(tls=[SITE])
    g.space("echo", hello)
    c = g.secure("localhost")
    c.send("".join(f"GET /{i} HTTP/1.1\r\nHost: {host('echo')}\r\n\r\n" for i in range(300)))
    for i in range(300):
        assert c.response().body == f"/{i}".encode()
    c.close()


def test_sse_goes_on_at_once(gateway):
    go = threading.Event()

    def events(c):
        c.request()
        c.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i in range(3):
            c.send(b"9\r\ndata: %d\n\n\r\n" % i)
            assert go.wait(5)
            go.clear()
        c.send("0\r\n\r\n")
    g = gateway(tls=[SITE])
    g.space("sse", events)
    c = g.secure("localhost")
    c.send(f"GET / HTTP/1.1\r\nHost: {host('sse')}\r\n\r\n")
    c.head()
    for i in range(3):
        assert c.chunk() == b"data: %d\n\n" % i
        go.set()
    assert c.chunk() == b""
    c.close()


WEBSOCKET = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n"


def upgraded(g, demo):
    def begin(c):
        c.head()
        c.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        demo(c)
    g.space("ws", begin)
    c = g.secure("localhost")
    c.send(f"GET / HTTP/1.1\r\nHost: {host('ws')}\r\n{WEBSOCKET}\r\n")
    line, _ = c.head()
    assert line.startswith("HTTP/1.1 101")
    return c


def test_a_websocket(gateway):
    def echo(c):
        while True:
            c.fill()
            c.send(c.buf)
            c.buf = b""
    c = upgraded(gateway(tls=[SITE]), echo)
    for n in (1, 125, 20000, 100000):
        data = pattern(n)
        c.send(data)  # from this thread: Python's TLS objects are not for two, and the sockets between hold that much
        assert c.exactly(n) == data
    c.close()


def test_a_websocket_ends_with_close_notify(gateway):
    got = []

    def demo(c):
        got.append(c.exactly(3))
        c.send("bye")
        c.half_close()
        got.append(c.rest())
    c = upgraded(gateway(tls=[SITE]), demo)
    c.send("abc")
    assert c.exactly(3) == b"bye"
    assert c.s.recv(1) == b""  # close_notify: without one this raises
    c.send("more")
    c.s.unwrap()
    c.close()
    end = time.monotonic() + 5
    while len(got) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    assert got == [b"abc", b"more"]


@pytest.mark.parametrize("how", ["length", "chunked", "to the end"])
def test_a_truncated_answer_is_seen(gateway, how):
    def short(c):
        c.request()
        c.send({"length": "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf",
                "to the end": "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf"}[how])
        time.sleep(0.1)
        c.reset()
    g = gateway(tls=[SITE])
    g.space("short", short)
    c = g.secure("localhost")
    version = "1.0" if how == "to the end" else "1.1"
    c.send(f"GET / HTTP/{version}\r\nHost: {host('short')}\r\n\r\n")
    with pytest.raises((EOFError, OSError)):  # no close_notify: ssl.SSLEOFError, or a reset
        c.response()
        if how == "to the end":
            pytest.fail("it looked like a clean end")
    c.close()


def test_a_whole_answer_ends_with_close_notify(gateway):
    def whole(c):
        c.request()
        c.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + "x" * 100000)
    g = gateway(tls=[SITE])
    g.space("whole", whole)
    c = g.secure("localhost")
    c.send(f"GET / HTTP/1.0\r\nHost: {host('whole')}\r\n\r\n")
    assert len(c.response().body) == 100000  # reads to the end, which must be a clean one
    c.close()


def test_an_upload_that_is_cut_is_not_taken_for_whole(gateway):
    ended, begun = [], threading.Event()

    def demo(c):
        fields = c.head()[1]
        begun.set()
        try:
            ended.append(c.body_of(fields))
        except (EOFError, ConnectionError) as e:
            ended.append(e)
    g = gateway(tls=[SITE])
    g.space("up", demo)
    c = g.secure("localhost")
    c.send(f"POST / HTTP/1.1\r\nHost: {host('up')}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n")
    assert begun.wait(10)
    c.close()
    assert isinstance(until(lambda: ended)[0], (EOFError, ConnectionError))


def test_idle_connections_are_small(gateway):
    def current(g):
        return int(open(f"/proc/{g.process.pid}/smaps_rollup").read().split("Private_Dirty:")[1].split()[0])
    g = gateway(tls=[SITE], gateway__max_per_address="2000")
    g.space("echo", hello)
    context = client_context()

    def more(n):
        out = []
        for _ in range(n):
            c = g.secure("localhost", context=context)
            assert ask(c, "echo", "/x").status == 200
            out.append(c)
        return out
    conns = more(50)
    before = current(g)
    conns += more(300)
    each = (current(g) - before) / 300
    print(f"{each:.1f} KiB a connection")
    for c in conns:
        c.close()
    if not os.environ.get("SANITIZER"):
        assert each < 24


def test_a_proxy_header_comes_before_the_handshake(gateway):
    g = gateway(tls=[SITE], server__trusted_proxies="127.0.0.1")
    g.space("echo", echo_headers)
    s = socket.create_server(("127.0.0.1", 0))
    g.listen(s, 2, LISTENER_TLS | 1)
    raw = socket.create_connection(s.getsockname(), 10)
    raw.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.1 1000 443\r\n")
    with client_context().wrap_socket(raw, server_hostname="localhost") as c:
        c.sendall(f"GET / HTTP/1.1\r\nHost: {host('echo')}\r\nConnection: close\r\n\r\n".encode())
        got = b""
        while d := c.recv(65536):
            got += d
    assert b'["X-Forwarded-For", "192.0.2.7"]' in got and b'["X-Forwarded-Proto", "https"]' in got
    s.close()


def test_who_came_to_a_trusted_proxy_by_https_is_not_sent_there(gateway):
    g = gateway(tls=[SITE], server__trusted_proxies="127.0.0.1")
    g.space("echo", hello)
    assert g.get("echo", "/x", "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n").body == b"/x"
    assert g.get("echo", "/x", "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\n").status == 308
