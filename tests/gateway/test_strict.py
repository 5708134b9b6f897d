"""What is ambiguous is refused, and never reaches a demo."""
import pytest

from harness import host

H = "Host: " + host("demo-a") + "\r\n"
BAD = {
    "CL and TE": f"POST / HTTP/1.1\r\n{H}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
    "TE and CL": f"POST / HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
    "two lengths": f"POST / HTTP/1.1\r\n{H}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": f"POST / HTTP/1.1\r\n{H}Content-Length: 3, 3\r\n\r\nabc",
    "a length with a sign": f"POST / HTTP/1.1\r\n{H}Content-Length: +3\r\n\r\nabc",
    "a hex length": f"POST / HTTP/1.1\r\n{H}Content-Length: 0x3\r\n\r\nabc",
    "no length": f"POST / HTTP/1.1\r\n{H}Content-Length: \r\n\r\nabc",
    "a length too large": f"POST / HTTP/1.1\r\n{H}Content-Length: 9223372036854775808\r\n\r\nabc",
    "two codings": f"POST / HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding gzip": f"POST / HTTP/1.1\r\n{H}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "coding identity": f"POST / HTTP/1.1\r\n{H}Transfer-Encoding: identity\r\n\r\nabc",
    "coding with VT": f"POST / HTTP/1.1\r\n{H}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "coding in 1.0": f"POST / HTTP/1.0\r\n{H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "folded": f"GET / HTTP/1.1\r\n{H}A: b\r\n c\r\n\r\n",
    "folded first": f"GET / HTTP/1.1\r\n A: b\r\n{H}\r\n",
    "space before colon": f"GET / HTTP/1.1\r\n{H}A : b\r\n\r\n",
    "space in name": f"GET / HTTP/1.1\r\n{H}A B: b\r\n\r\n",
    "no name": f"GET / HTTP/1.1\r\n{H}: b\r\n\r\n",
    "no colon": f"GET / HTTP/1.1\r\n{H}Ab\r\n\r\n",
    "NUL in a value": f"GET / HTTP/1.1\r\n{H}A: b\x00c\r\n\r\n",
    "control in a value": f"GET / HTTP/1.1\r\n{H}A: b\x01c\r\n\r\n",
    "DEL in a value": f"GET / HTTP/1.1\r\n{H}A: b\x7fc\r\n\r\n",
    "bare CR in a value": f"GET / HTTP/1.1\r\n{H}A: b\rc\r\n\r\n",
    "bare LF line end": f"GET / HTTP/1.1\r\n{H}A: b\n\r\n",
    "bare LF everywhere": "GET / HTTP/1.1\nHost: " + host("demo-a") + "\n\n",
    "bare LF after request line": f"GET / HTTP/1.1\n{H}\r\n",
    "two hosts": f"GET / HTTP/1.1\r\n{H}{H}\r\n",
    "no host": "GET / HTTP/1.1\r\n\r\n",
    "an empty host": "GET / HTTP/1.1\r\nHost: \r\n\r\n",
    "a host with a path": "GET / HTTP/1.1\r\nHost: demo-a.localhost/x\r\n\r\n",
    "a host with user": "GET / HTTP/1.1\r\nHost: a@demo-a.localhost\r\n\r\n",
    "a host with blanks": "GET / HTTP/1.1\r\nHost: demo-a.localhost x\r\n\r\n",
    "a host with a bad port": "GET / HTTP/1.1\r\nHost: demo-a.localhost:8o\r\n\r\n",
    "two blanks": f"GET  / HTTP/1.1\r\n{H}\r\n",
    "a blank in the target": f"GET /a b HTTP/1.1\r\n{H}\r\n",
    "a fragment": f"GET /a#b HTTP/1.1\r\n{H}\r\n",
    "no target": f"GET HTTP/1.1\r\n{H}\r\n",
    "a relative target": f"GET a HTTP/1.1\r\n{H}\r\n",
    "a star": f"GET * HTTP/1.1\r\n{H}\r\n",
    "8 bits in the target": f"GET /\xff HTTP/1.1\r\n{H}\r\n",
    "a bad method": f"G(T / HTTP/1.1\r\n{H}\r\n",
    "no version": f"GET /\r\n{H}\r\n",
    "lower case version": f"GET / http/1.1\r\n{H}\r\n",
    "version with blanks": f"GET / HTTP/1.1 \r\n{H}\r\n",
    "a TLS hello": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2 preface": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "Connection is no list": f"GET / HTTP/1.1\r\n{H}Connection: a b\r\n\r\n",
}


@pytest.fixture(scope="module")
def shared():
    from harness import Gateway
    g = Gateway()
    g.seen = []

    def demo(c):
        while r := c.request():
            g.seen.append(r)
            c.answer(r[2] or "ok")

    g.space("demo-a", demo)
    yield g
    g.close()


@pytest.mark.parametrize("name", BAD)
def test_refused(shared, name):
    c = shared.connect()
    c.send(BAD[name].encode("latin-1"))
    r = c.response()
    assert r.status == 505 if name == "HTTP/2 preface" else r.status == 400, (r.status, r.body)
    assert r.all("connection") == ["close"]
    assert c.closed()
    assert not shared.seen


@pytest.mark.parametrize("name", ["CL and TE", "folded", "bare LF line end", "two hosts", "no colon"])
def test_refused_byte_by_byte(shared, name):
    c = shared.connect()
    try:
        for b in BAD[name].encode("latin-1"):
            c.send(bytes([b]))
    except OSError:
        pass
    assert c.response().status == 400 and not shared.seen


CHUNKS = {
    "no digits": "x\r\nabc\r\n0\r\n\r\n",
    "a sign": "+3\r\nabc\r\n0\r\n\r\n",
    "0x": "0x3\r\nabc\r\n0\r\n\r\n",
    "a leading blank": " 3\r\nabc\r\n0\r\n\r\n",
    "a trailing blank": "3 \r\nabc\r\n0\r\n\r\n",
    "bare LF after size": "3\nabc\r\n0\r\n\r\n",
    "bare CR after size": "3\rXabc\r\n0\r\n\r\n",
    "bare LF after data": "3\r\nabc\n0\r\n\r\n",
    "data longer": "3\r\nabcd\r\n0\r\n\r\n",
    "data shorter": "3\r\nab\r\n0\r\n\r\n\r\n",
    "too many digits": "00000000000000003\r\nabc\r\n0\r\n\r\n",
    "overflow": "8000000000000000\r\nabc\r\n0\r\n\r\n",
    "extension without a name": "3;\r\nabc\r\n0\r\n\r\n",
    "extension with LF": "3;a=b\nabc\r\n0\r\n\r\n",
    "extension with a bare CR": "3;a\rb\r\nabc\r\n0\r\n\r\n",
    "extension of a kilobyte": "3;a=" + "b" * 1024 + "\r\nabc\r\n0\r\n\r\n",
    "extension with an open quote": "3;a=\"b\r\nabc\r\n0\r\n\r\n",
    "trailer that is folded": "3\r\nabc\r\n0\r\nA: b\r\n c\r\n\r\n",
    "trailer without a colon": "3\r\nabc\r\n0\r\nAb\r\n\r\n",
    "trailer with LF": "3\r\nabc\r\n0\r\nA: b\n\r\n",
}


@pytest.mark.parametrize("name", CHUNKS)
def test_bad_chunks(shared, name):
    c = shared.connect()
    c.send(f"POST / HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n{CHUNKS[name]}")
    r = c.response()
    assert r.status == 400 and c.closed(), (r.status, r.body)
    assert not shared.seen, "the demo saw the request end"


@pytest.mark.parametrize("coded,body", [
    ("3\r\nabc\r\n0\r\n\r\n", b"abc"), ("0003\r\nabc\r\n00\r\n\r\n", b"abc"), ("3;a\r\nabc\r\n0\r\n\r\n", b"abc"),
    ("3 ; a = b ;c=\"d\\\" ;\"\r\nabc\r\n0;z\r\n\r\n", b"abc"), ("A\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\nX: y\r\n\r\n", b"01234567890123456789a"),
])
def test_good_chunks_in_pieces(shared, coded, body):
    shared.seen.clear()
    for step in (1, 2, 1000):
        c = shared.connect()
        c.send(f"POST / HTTP/1.1\r\n{H}Transfer-Encoding: chunked\r\n\r\n")
        for i in range(0, len(coded), step):
            c.send(coded[i:i + step])
        assert c.response().body == body
    shared.seen.clear()


def test_too_long(shared):
    for head, status in ((f"GET /{'a' * 9000} HTTP/1.1\r\n{H}\r\n", 414), (f"GET / HTTP/1.1\r\n{H}A: {'a' * 17000}\r\n\r\n", 431),
                         (f"GET / HTTP/1.1\r\n{H}" + "A: b\r\n" * 101 + "\r\n", 431), (f"GET /{'a' * 40000}", 414)):
        c = shared.connect()
        c.send(head)
        r = c.response()
        assert r.status == status, head[:20]


def test_a_large_head_passes(shared):
    shared.seen.clear()
    c = shared.connect()
    c.send(f"GET /{'p' * 8000} HTTP/1.1\r\n{H}" + "".join(f"X-{i}: {'v' * 70}\r\n" for i in range(90)) + "\r\n")
    assert c.response().status == 200
    line, fields, _ = shared.seen.pop()
    assert len(line) > 8000 and ("X-89", "v" * 70) in fields


def test_one_empty_line_is_forgiven(shared):
    shared.seen.clear()
    c = shared.connect()
    c.send(f"\r\nGET / HTTP/1.1\r\n{H}\r\n")
    assert c.response().status == 200
    shared.seen.clear()


def test_trace_and_connect(shared):
    c = shared.connect()
    c.send(f"TRACE / HTTP/1.1\r\n{H}\r\n")
    r = c.response()
    assert r.status == 405 and r.get("allow")
    c.send(f"CONNECT {host('demo-a')}:80 HTTP/1.1\r\n{H}\r\n")
    assert c.response().status == 501 and not shared.seen


RESPONSES = {
    "no status line": "hello\r\n\r\n",
    "HTTP/0.9": "<html>",
    "bare LF": "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "CL and TE": "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "coding gzip": "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nabc",
    "folded": "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    "space before colon": "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
    "status 99": "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
    "status 999": "HTTP/1.1 999 OK\r\nContent-Length: 0\r\n\r\n",
    "status abc": "HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/2.0": "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "101 unasked": "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "NUL": "HTTP/1.1 200 OK\r\nA: \x00\r\nContent-Length: 0\r\n\r\n",
    "too long": "HTTP/1.1 200 OK\r\nA: " + "a" * 17000 + "\r\n\r\n",
    "endless 1xx": "HTTP/1.1 102 Processing\r\n\r\n" * 50 + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("name", RESPONSES)
def test_broken_answers_are_a_502_and_a_note(gateway, name):
    g = gateway()

    def demo(c):
        c.request()
        c.send(RESPONSES[name])
        c.rest()

    w = g.space("demo-a", demo)
    c = g.connect()
    c.send(f"GET / HTTP/1.0\r\n{H}\r\n")  # 1.0: to whom no 1xx is passed on
    r = c.response()
    assert r.status == 502 and b"path" not in r.body
    note = g.runner.wait("GATEWAY_NOTE", worker_id=w.id)
    assert note["text"].startswith("response head: ") and note["space_id"] == 1


def test_extra_bytes_behind_an_answer_are_nobodys(gateway):
    g = gateway()
    n = []

    def demo(c):
        while c.request():
            n.append(1)
            c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")

    g.space("demo-a", demo)
    for _ in range(5):
        assert g.get("demo-a").body == b"ok"


def test_an_idle_connection_that_speaks_is_closed(gateway):
    import time
    g = gateway()

    def demo(c):
        while c.request():
            c.answer("ok")
            time.sleep(0.05)
            c.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")

    g.space("demo-a", demo)
    for _ in range(3):
        assert g.get("demo-a").body == b"ok"
        time.sleep(0.1)
