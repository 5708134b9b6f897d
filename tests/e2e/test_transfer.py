"""Bytes through the gateway: large ones, visitors who leave, requests that are none."""
import hashlib
import http.client
import json
import select
import socket
import time

import pytest

from vitrine import until

GIB = 1 << 30
BLOCK = bytes(range(256)) * 4096  # 1 MiB


def memory_peak_mib(pid):
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return None


@pytest.fixture(scope="module")
def gateway(up):
    return lambda: up.named("vitrine-gateway")[0]


def test_1_gib_up(up, probe, gateway):
    digest = hashlib.sha256()
    c = http.client.HTTPConnection("127.0.0.1", up.port, timeout=120)
    c.putrequest("POST", "/upload", skip_host=True)
    c.putheader("Host", up.host(probe))
    c.putheader("Content-Length", str(GIB))
    c.endheaders()
    for _ in range(GIB // len(BLOCK)):
        c.send(BLOCK)
        digest.update(BLOCK)
    r = c.getresponse()
    assert json.loads(r.read()) == [GIB, digest.hexdigest()]
    assert memory_peak_mib(gateway()) < 64


def test_1_gib_down(up, probe, gateway):
    c = http.client.HTTPConnection("127.0.0.1", up.port, timeout=120)
    c.request("GET", f"/bytes?{GIB}", headers={"Host": up.host(probe)})
    r = c.getresponse()
    n, digest, expected = 0, hashlib.sha256(), hashlib.sha256()
    while True:
        data = r.read(1 << 20)
        if not data:
            break
        n += len(data)
        digest.update(data)
    for _ in range(GIB // len(BLOCK)):
        expected.update(BLOCK)
    assert n == GIB and digest.digest() == expected.digest()
    assert memory_peak_mib(gateway()) < 64


def test_a_slow_reader_holds_no_memory(up, probe, gateway):
    s = socket.create_connection(("127.0.0.1", up.port), 10)
    s.sendall(f"GET /bytes?{GIB} HTTP/1.1\r\nHost: {up.host(probe)}\r\n\r\n".encode())
    assert s.recv(1000).startswith(b"HTTP/1.1 200")
    for _ in range(20):
        assert up.demo(probe, "/version").status == 200
    assert memory_peak_mib(gateway()) < 64
    s.close()


def refs(up):
    a = up.api("GET", "/api/admin/workers")
    assert a.status == 200, (a.status, a.body, up.log[-1500:])
    workers = a.json["workers"]
    return sum(w["refs"] for w in workers)


def test_a_visitor_who_leaves_is_noticed(up, probe):
    leaving = []
    for path in ("/sse?1000", "/slow?1000", f"/bytes?{GIB}"):
        s = socket.create_connection(("127.0.0.1", up.port), 10)
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: {up.host(probe)}\r\n\r\n".encode())
        leaving.append(s)
    assert until(lambda: refs(up) >= 3, 10)
    for s in leaving:
        s.close()
    assert until(lambda: refs(up) == 0, 10), refs(up)
    assert up.demo(probe, "/version").status == 200


def test_a_visitor_who_leaves_in_the_middle_of_an_upload(up, probe):
    s = socket.create_connection(("127.0.0.1", up.port), 10)
    s.sendall(f"POST /up HTTP/1.1\r\nHost: {up.host(probe)}\r\nContent-Length: 1000000\r\n\r\nabc".encode())
    s.close()
    assert until(lambda: refs(up) == 0, 10)
    assert up.demo(probe, "/version").status == 200


def raw(up, text, wait=15):
    with socket.create_connection(("127.0.0.1", up.port), wait) as s:
        s.sendall(text.encode() if isinstance(text, str) else text)
        s.settimeout(wait)
        got = b""
        try:
            while True:
                data = s.recv(65536)
                if not data:
                    return got
                got += data
        except (TimeoutError, ConnectionResetError):
            return got


@pytest.mark.parametrize("host", ["nobody.localhost", "example.com", "a.b.localhost", "localhost.evil.example"])
def test_a_host_that_is_none(up, host):
    assert up.get("/", host).status in (404, 421)


@pytest.mark.parametrize("host", ["", "a b", "x/y", "[::1", "a:b:c"])
def test_a_host_that_is_no_name(up, host):
    assert raw(up, f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 400")


def test_headers_without_end(up, probe, gateway):
    """They are refused, and who goes on sending is cut off soon; the gateway keeps none of it."""
    with socket.create_connection(("127.0.0.1", up.port), 15) as s:
        s.sendall(f"GET / HTTP/1.1\r\nHost: {up.host(probe)}\r\n".encode())
        end = time.monotonic() + 10
        answer = b""
        with pytest.raises(OSError):
            while time.monotonic() < end:
                s.sendall(b"X-More: " + b"y" * 1000 + b"\r\n")
                if not answer and select.select([s], [], [], 0)[0]:
                    answer = s.recv(4096)
    assert answer.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400")), answer
    assert memory_peak_mib(gateway()) < 64
    assert up.demo(probe).status == 200
