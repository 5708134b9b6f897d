"""The access log: a line for each request, that nobody can forge, and that never costs a visitor's time."""
import fcntl
import json
import os
import re
import time

import pytest
from certs import Pair
from harness import echo_headers, hello, host, until


class Log:
    """A file that the gateway is handed, as `up` does."""

    def __init__(self, g, path, flags=0):
        self.g, self.path = g, str(path)
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | flags, 0o640)
        g.sup.send("SUP_LOG", [fd])
        os.close(fd)

    def lines(self, n):
        """The first n lines, once they are there: it must not take longer than a second."""
        end = time.monotonic() + 2
        while True:
            text = open(self.path, "rb").read()
            if text.count(b"\n") >= n:
                return text.decode().split("\n")[:-1]
            assert time.monotonic() < end, text
            time.sleep(0.02)


def test_json(gateway, tmp_path):
    g = gateway(log__access="json")
    log = Log(g, tmp_path / "a")
    g.space("demo-a", echo_headers)
    c = g.connect()  # lines of one loop are in order
    seen = json.loads(g.get("demo-a", "/x?q=1&__sign=abc&to=%2Fy%3Ftoken%3Dsecret", "User-Agent: me/1\r\n"
                            "Referer: http://s/?Api%5FKey=1&b=2\r\nX-Request-Id: mine\r\n", method="POST", body=b"12345", on=c).body)
    g.get("nobody", on=c)
    first, second = map(json.loads, log.lines(2))
    ids = [v for k, v in seen[1] if k.lower() == "x-request-id"]
    assert ids == [first["id"]] and first["id"] != second["id"]
    assert first["target"] == "/x?q=1&__sign=***&to=***" and first["referer"] == "http://s/?Api%5FKey=***&b=2"
    assert (first["method"], first["version"], first["status"]) == ("POST", "1.1", 200)
    assert (first["address"], first["host"], first["space"]) == ("127.0.0.1", host("demo-a"), "demo/demo-a")
    assert first["user_agent"] == "me/1" and first["bytes_in"] == 5 and first["bytes_out"] > 100
    assert 0 <= first["first_byte_ms"] <= first["duration_ms"] < 5000
    assert first["cold"] is False and first["cut"] is False
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["time"])
    assert second["status"] == 404 and not second.get("space")


def test_combined(gateway, tmp_path):
    g = gateway(log__access="combined")
    log = Log(g, tmp_path / "a")
    g.space("demo-a", hello)
    c = g.connect()
    g.get("demo-a", "/path", "User-Agent: a\"b\\c\r\n", on=c)
    c.send(b"no request\r\n\r\n")
    assert c.response().status == 400
    first, second = log.lines(2)
    assert re.fullmatch(r'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET /path HTTP/1\.1" 200 5 "-" '
                        r'"a\\x22b\\x5cc"', first), first
    assert re.search(r'\] "-" 400 \d+ "-" "-"$', second), second


@pytest.mark.parametrize("kind", ["json", "combined"])
def test_a_line_cannot_be_forged(gateway, tmp_path, kind):
    """Quotes, backslashes, bytes that are no UTF-8, and much of everything: one request, one line."""
    g = gateway(log__access=kind)
    log = Log(g, tmp_path / "a")
    g.space("demo-a", hello)
    evil = [b'"', b'\\', b'","status":500,"x":"', b'\xff\xfe', b'\xe2\x80\xa8', "ö".encode(), b'\t', b"'<>", b'"' * 3000, b"\x80" * 3000]
    for e in evil:
        c = g.connect()
        c.send(b"GET / HTTP/1.1\r\nHost: " + host("demo-a").encode() + b"\r\nUser-Agent: x" + e + b"y\r\nReferer: x" + e +
               b"y\r\n\r\n")
        assert c.response().status == 200
    g.get("demo-a", "/" + '"' * 7000)
    lines = log.lines(len(evil) + 1)
    assert len(lines) == len(evil) + 1
    for line in lines:
        assert not re.search("[\x00-\x1f\x7f]", line)
        if kind == "json":
            assert json.loads(line)["status"] == 200
        else:
            assert re.fullmatch(r'\S+ - - \[[^]]+\] "[^"]*" 200 \d+ "[^"]*" "[^"]*"', line), line


def test_streams_and_those_who_leave(gateway, tmp_path):
    g = gateway(log__access="json")
    log = Log(g, tmp_path / "a")

    def demo(c):
        r = c.request()
        if "upgrade" in str(r[1]).lower():
            c.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            c.send(c.exactly(3) * 2)
        else:
            c.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
            c.rest()

    g.space("demo-a", demo)
    c = g.connect()
    c.send(f"GET /ws HTTP/1.1\r\nHost: {host('demo-a')}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert c.head()[0].startswith("HTTP/1.1 101")
    c.send("123")
    assert c.exactly(6) == b"123123"
    c.close()
    first = json.loads(log.lines(1)[0])
    assert (first["status"], first["bytes_in"], first["bytes_out"], first["cut"]) == (101, 3, 6, False)
    c = g.connect()
    c.send(f"GET /cut HTTP/1.1\r\nHost: {host('demo-a')}\r\n\r\n")
    c.until(b"abc")
    c.reset()
    second = json.loads(log.lines(2)[1])
    assert (second["status"], second["bytes_out"], second["cut"]) == (200, 3, True)


def test_cold(gateway, tmp_path):
    g = gateway(log__access="json")
    log = Log(g, tmp_path / "a")
    g.space("demo-a", stage="SLEEPING")
    c = g.connect()
    c.send(f"GET / HTTP/1.1\r\nHost: {host('demo-a')}\r\n\r\n")
    g.runner.wait("WAKE")
    g.runner.route("demo-a", worker=g.worker(7, hello), stage="RUNNING")
    assert c.response().status == 200
    assert json.loads(log.lines(1)[0])["cold"] is True


def test_another_file(gateway, tmp_path):
    """What was moved away gets no line any more that begins after the new one came."""
    g = gateway(log__access="json")
    g.space("demo-a", hello)
    log = Log(g, tmp_path / "a")
    g.get("demo-a", "/1")
    log.lines(1)
    os.rename(tmp_path / "a", tmp_path / "a.1")
    new = Log(g, tmp_path / "a")
    g.get("demo-a", "/2")
    assert json.loads(new.lines(1)[0])["target"] == "/2"
    assert open(tmp_path / "a.1").read().count("\n") == 1


def test_a_file_that_takes_nothing(gateway, tmp_path):
    """A full disk, and then a pipe that nobody reads: visitors are served, lines are lost, it is said."""
    g = gateway(log__access="json")
    g.space("demo-a", hello)
    Log(g, "/dev/full")
    r, w = os.pipe()
    fcntl.fcntl(w, 1031, 4096)  # F_SETPIPE_SZ
    c = g.connect()

    def ask(n):
        for i in range(n):
            c.send(f"GET /{'x' * 3000} HTTP/1.1\r\nHost: {host('demo-a')}\r\n\r\n")
            assert c.response().status == 200

    ask(40)  # more than its buffer holds
    until(lambda: b"lines of the access log were lost" in g.stderr)
    os.set_blocking(w, False)
    g.sup.send("SUP_LOG", [w])
    os.close(w)
    ask(60)
    os.close(r)
    ask(20)
    good = Log(g, tmp_path / "a")
    ask(1)
    for line in good.lines(2):
        json.loads(line)


def test_off(gateway, tmp_path):
    """A file that comes nevertheless is let go of."""
    g = gateway()
    log = Log(g, tmp_path / "a")
    g.space("demo-a", echo_headers)
    line, fields = json.loads(g.get("demo-a", headers="X-Request-Id: mine\r\n").body)
    assert ["X-Request-Id", "mine"] in fields
    assert open(log.path).read() == ""


def test_a_redirect_is_logged_with_the_status_that_it_had(gateway, tmp_path):
    g = gateway(tls=[Pair("localhost")], log__access="json")
    log = Log(g, tmp_path / "a")
    g.space("echo", hello)
    assert g.get("echo", "/").status == 308
    assert json.loads(log.lines(1)[0])["status"] == 308
