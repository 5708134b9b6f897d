"""An answer's head is written where it came in, in front of its body, and both go out in one piece: whatever the head grows by,
however the demo cuts its bytes, and however slowly the visitor takes them."""
import json
import random
import threading

import pytest
from certs import Pair
from harness import host
from test_access import Log

# What is added: a blank after the colon of each line, Date, over TLS Strict-Transport-Security, and what a Space's card says:
CARD = {"flags": 2, "coep": 1, "coop": 1, "corp": 1}  # no embedding, and a value of each; some 200 bytes
# In front there is room for 256 bytes (CONN_FRONT).
FIELDS = [0, 30, 99]
SIZES = [1, 3700, 3809, 4064, 20000, 32736, 300000]


def body_of(n):
    return random.Random(n).randbytes(n)


def fields(n):
    return "".join(f"x{i}:{i}\r\n" for i in range(n))


def pieces(whole, head, how):
    cuts = {"whole": [], "head first": [head], "with a byte": [head + 1], "cut in the head": [head // 2, head + 3],
            "by the byte": list(range(1, head + 40))}[how]
    at = [0, *(c for c in cuts if c < len(whole)), len(whole)]
    return [whole[a:b] for a, b in zip(at, at[1:])]


class Cut:
    """A demo that sends what `/SIZE/FIELDS/HOW` asks for; piece by piece, each once the visitor may have the one before."""

    def __call__(self, c):
        while r := c.request():
            size, n, how = r[0].split(" ")[1].strip("/").replace("%20", " ").split("/")
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n{fields(int(n))}\r\n".encode()
            for piece in pieces(head + body_of(int(size)), len(head), how):
                c.send(piece)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("how", ["whole", "head first", "with a byte", "cut in the head", "by the byte"])
def test_heads_that_grow(gateway, tmp_path, how, secure):
    g = gateway(tls=[Pair("*.localhost")] if secure else None, tls__hsts="365d", log__access="json")
    log = Log(g, tmp_path / "a")
    g.space("demo-a", Cut(), **CARD)
    c = g.secure(host("demo-a")) if secure else g.connect()
    asked = []
    for n in FIELDS:
        for size in SIZES:
            path = f"/{size}/{n}/{how}".replace(" ", "%20")
            c.send(f"GET {path} HTTP/1.1\r\nHost: {host('demo-a')}\r\n\r\n")
            r = c.response()
            assert r.body == body_of(size) and r.get("date"), path
            assert [v for k, v in r.fields if k.startswith("x")] == [str(i) for i in range(n)], path
            assert bool(r.get("strict-transport-security")) == secure
            asked.append((path, size))
    lines = [json.loads(line) for line in log.lines(len(asked))]
    assert [(x["target"], x["bytes_out"]) for x in lines] == asked  # the body's bytes, not the head's


def test_each_growth(gateway):
    """With and without a card: up to what there is room for, and beyond."""
    g = gateway()
    g.space("demo-a", Cut())
    g.space("demo-b", Cut(), **CARD)
    grown = set()
    for n in range(100):
        for label in ("demo-a", "demo-b"):
            r = g.get(label, f"/10/{n}/whole")
            assert r.body == body_of(10) and [v for k, v in r.fields if k.startswith("x")] == [str(i) for i in range(n)]
            assert bool(r.get("cross-origin-opener-policy")) == (label == "demo-b")
            ours = sum(len(f"{k}: {v}") + 2 for k, v in r.fields) - len(fields(n)) - len("Content-Length: 10") - 2
            grown.add(ours)
    assert min(grown) < 50 and {254, 255, 256, 257, 258} <= grown, sorted(grown)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_whoever_takes_an_answer_slowly_gets_all_of_it(gateway, secure):
    g = gateway(tls=[Pair("*.localhost")] if secure else None)
    g.space("demo-a", Cut())
    path = f"/{1 << 21}/60/whole"
    c = g.secure(host("demo-a"), rcvbuf=4096) if secure else g.connect(rcvbuf=4096)
    c.send(f"GET {path} HTTP/1.1\r\nHost: {host('demo-a')}\r\n\r\nGET /1/0/whole HTTP/1.1\r\nHost: {host('demo-a')}\r\n\r\n")
    got = b""
    while len(got) < (1 << 21):
        got += c.s.recv(random.Random(len(got)).choice([1, 7, 500, 5000, 60000]))
    c.buf = got
    assert c.response().body == body_of(1 << 21) and c.response().body == body_of(1)


def test_an_answer_that_ends_before_its_length_is_seen_to(gateway):
    g = gateway()
    closed = threading.Event()

    def demo(c):
        c.request()
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123")
        c.close()
        closed.set()

    g.space("demo-a", demo)
    c = g.connect()
    c.send(f"GET / HTTP/1.1\r\nHost: {host('demo-a')}\r\n\r\n")
    line, f = c.head()
    assert line == "HTTP/1.1 200 OK" and dict(f)["Content-Length"] == "10"
    assert c.rest() == b"123" and closed.wait(5)


def test_what_comes_before_the_answer_goes_before_it(gateway):
    """A 1xx that the visitor has not taken yet waits, and the answer's head behind it."""
    g = gateway()

    def demo(c):
        while c.request():
            c.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
                   b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")

    g.space("demo-a", demo)
    c = g.connect()
    for _ in range(3):
        c.send(f"GET / HTTP/1.1\r\nHost: {host('demo-a')}\r\n\r\n")
        assert [c.response().status for _ in range(2)] == [103, 100]
        r = c.response()
        assert (r.status, r.body) == (200, b"abc")
