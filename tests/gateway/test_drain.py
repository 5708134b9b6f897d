"""A gateway that was replaced: it accepts no more, finishes what it has, and ends."""
import hashlib
import socket
import threading
import time

import pytest

from harness import hello, host


def drain(g, timeout_ms=60000):
    g.sup.send("SUP_DRAIN", timeout_ms=timeout_ms)
    g.sup.wait("SUP_LOAD")


def ask(c, label, path="/", fields="", body=b""):
    c.send(f"GET {path} HTTP/1.1\r\nHost: {host(label)}\r\n{fields}\r\n".encode() + body)
    return c.response()


def test_it_ends_at_once_where_nobody_is_left(gateway):
    g = gateway()
    g.sup.send("SUP_DRAIN", timeout_ms=60000)
    assert g.process.wait(5) == 0


def test_it_accepts_no_more(gateway):
    g = gateway()
    g.space("a", hello)
    c = g.connect()
    assert ask(c, "a").status == 200
    drain(g)
    s = socket.create_connection(("127.0.0.1", g.port), 5)  # waits in the queue, for the next one
    s.sendall(f"GET / HTTP/1.1\r\nHost: {host('a')}\r\n\r\n".encode())
    s.settimeout(0.5)
    with pytest.raises(TimeoutError):
        s.recv(1)
    s.close()
    c.close()
    assert g.process.wait(5) == 0


def test_an_idle_connection_is_half_closed_after_a_moment(gateway):
    g = gateway()
    g.space("a", hello)
    c = g.connect()
    ask(c, "a")
    began = time.monotonic()
    drain(g)
    assert c.closed(5) and 0.5 < time.monotonic() - began < 4
    c.s.sendall(b"GET")  # still taken: a half close, no reset
    c.close()
    assert g.process.wait(5) == 0


def test_a_request_that_comes_just_then_is_answered(gateway):
    g = gateway()
    g.space("a", hello)
    c = g.connect()
    ask(c, "a")
    drain(g)
    time.sleep(0.3)
    r = ask(c, "a", "/late")
    assert r.status == 200 and r.body == b"/late" and r.get("connection") == "close"
    assert c.closed()
    assert g.process.wait(5) == 0


def test_one_that_has_sent_nothing_yet_is_answered(gateway):
    g = gateway()
    g.space("a", hello)
    c = g.connect()
    ask(g.connect(), "a")
    drain(g)
    time.sleep(1.5)  # a kept one would have been closed by now
    assert ask(c, "a").get("connection") == "close" and c.closed()


def test_half_a_head_becomes_a_request(gateway):
    g = gateway()
    g.space("a", hello)
    c = g.connect()
    c.send("GET /half HT")
    ask(g.connect(), "a")
    drain(g)
    time.sleep(1.5)
    c.send(f"TP/1.1\r\nHost: {host('a')}\r\n\r\n")
    assert c.response().body == b"/half"


def test_a_pipeline_is_answered_to_its_end(gateway):
    asked, release = threading.Event(), threading.Event()

    def slow(c):
        while r := c.request():
            if "/0" in r[0]:
                asked.set()
                release.wait(10)
            c.answer(r[0].split()[1])

    g = gateway()
    g.space("a", slow)
    c = g.connect()
    c.send(b"".join(f"GET /{i} HTTP/1.1\r\nHost: {host('a')}\r\n\r\n".encode() for i in range(3)))
    assert asked.wait(5)
    drain(g)
    release.set()
    answers = [c.response() for _ in range(3)]
    assert [a.body for a in answers] == [b"/0", b"/1", b"/2"]
    assert [a.get("connection") for a in answers] == [None, None, "close"] and c.closed()


def test_bodies_and_upgraded_connections_go_on(gateway):
    step = threading.Event()
    data = b"x" * 300000

    def demo(c):
        line, fields = c.head()
        if "/up" in line:
            c.answer(hashlib.sha256(c.body_of(fields)[0]).hexdigest())
        elif "/down" in line:
            c.send(f"HTTP/1.1 200 OK\r\nContent-Length: {2 * len(data)}\r\n\r\n")
            c.send(data)
            step.wait(20)
            c.send(data)
        else:
            c.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            while True:
                c.send(c.exactly(4))

    g = gateway()
    g.space("a", demo)
    up, down, ws = g.connect(), g.connect(), g.connect()
    up.send(f"POST /up HTTP/1.1\r\nHost: {host('a')}\r\nContent-Length: {2 * len(data)}\r\n\r\n".encode() + data)
    down.send(f"GET /down HTTP/1.1\r\nHost: {host('a')}\r\n\r\n")
    ws.send(f"GET /ws HTTP/1.1\r\nHost: {host('a')}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
    assert ws.head()[0].split()[1] == "101"
    down.head()
    g.sup.send("SUP_DRAIN", timeout_ms=60000)
    assert g.sup.wait("SUP_LOAD")["connections"] == 3
    ws.send("ping")
    assert ws.exactly(4) == b"ping"
    up.send(data)
    assert up.response().body.decode() == hashlib.sha256(data * 2).hexdigest()
    step.set()
    assert down.exactly(2 * len(data)) == data * 2 and down.closed()
    ws.send("pong")
    assert ws.exactly(4) == b"pong"
    assert g.process.poll() is None
    ws.close()
    assert g.process.wait(5) == 0


def test_whoever_is_held_gets_the_worker(gateway):
    g = gateway()
    g.space("a")
    c = g.connect()
    c.send(f"GET /held HTTP/1.1\r\nHost: {host('a')}\r\nAccept: application/json\r\n\r\n")
    g.runner.wait("WAKE")
    drain(g)
    g.runner.route("a", stage="RUNNING", worker=g.worker(7, hello))
    r = c.response()
    assert r.body == b"/held" and r.get("connection") == "close" and c.closed()
    assert g.process.wait(5) == 0


def test_at_the_deadline_what_is_left_is_visibly_cut(gateway):
    def endless(c):
        line, _ = c.head()
        c.send("HTTP/1.1 200 OK\r\n" + ("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n" if "chunked" in line else "\r\nabc"))
        c.until(b"never")

    g = gateway()
    g.space("a", endless)
    chunked, to_eof = g.connect(), g.connect()
    chunked.send(f"GET /chunked HTTP/1.1\r\nHost: {host('a')}\r\n\r\n")
    to_eof.send(f"GET /eof HTTP/1.0\r\nHost: {host('a')}\r\n\r\n")
    chunked.head(), to_eof.head()
    assert chunked.chunk() == to_eof.exactly(3) == b"abc"
    began = time.monotonic()
    drain(g, 700)
    assert chunked.rest() == b""  # without a last chunk
    with pytest.raises(ConnectionResetError):
        to_eof.rest()
    assert g.process.wait(5) == 0 and time.monotonic() - began < 4
    assert b"2 connections are cut off" in g.stderr


def test_routes_and_sleep_go_on_meanwhile(gateway):
    g = gateway()
    w = g.space("a", lambda c: (c.head(), c.send("HTTP/1.1 200 OK\r\n\r\n"), c.until(b"never")))
    c = g.connect()
    c.send(f"GET / HTTP/1.1\r\nHost: {host('a')}\r\n\r\n")
    c.head()
    drain(g)
    g.runner.send("SLEEP_ASK", space_id=1, worker_id=w.id, min_idle_ms=0)
    assert g.runner.wait("SLEEP_ANSWER", refs=1)["released"] == 0  # others have nobody left, and may have ended
    c.close()
    assert g.process.wait(5) == 0
