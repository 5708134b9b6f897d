"""nghttp2's own clients, nghttp and h2load, as visitors: each option that changes what goes over the wire, and many streams at once."""
import hashlib
import re
import subprocess
import threading

import pytest

from certs import Pair
from harness import Gateway, host

BODY = hashlib.sha256(b"nghttp").digest() * 2000
SECONDS = 60


class Server:
    """A gateway before one demo: /NUMBER answers so many bytes, a body is answered by its hash; `seen` has (line, fields, trailers)"""

    def __init__(self):
        self.seen, self.lock = [], threading.Lock()
        self.gateway = Gateway(tls=[Pair("localhost", "*.localhost")], gateway__max_per_address="2000", tls__redirect="no")
        self.gateway.space("echo", self.demo)

    def demo(self, c):
        while True:
            try:
                line, fields = c.head()
            except EOFError:
                return
            names = {k.lower(): v for k, v in fields}
            if names.get("expect") == "100-continue":
                c.send("HTTP/1.1 100 Continue\r\n\r\n")
            body, trailers = c.body_of(fields)
            with self.lock:
                self.seen.append((line, names, trailers))
            method, path = line.split()[:2]
            c.answer(hashlib.sha256(body).hexdigest() if method == "POST" else BODY[:int(path[1:])])

    def url(self, path, scheme="https"):
        return f"{scheme}://{host('echo')}:{self.gateway.tls_port if scheme == 'https' else self.gateway.port}{path}"

    def close(self):
        self.gateway.close()


@pytest.fixture(scope="module")
def server():
    s = Server()
    yield s
    s.close()


def run(*argv):
    return subprocess.run(argv, capture_output=True, timeout=SECONDS)


def nghttp(*argv):
    p = run("nghttp", "-y", "-t", "20s", *argv)
    assert p.returncode == 0 and b"not processed" not in p.stderr, (p.stderr, p.stdout[-2000:])
    return p.stdout


def frames(*argv):
    """What nghttp says of each frame, in lines"""
    return nghttp("-nv", *argv).decode("latin-1").splitlines()


def statuses(lines):
    return [m.group(1) for x in lines if (m := re.search(r"recv \(stream_id=\d+\) :status: (\d+)", x))]


def no_errors(lines):
    assert not [x for x in lines if "recv RST_STREAM" in x or "recv GOAWAY" in x], lines


@pytest.mark.parametrize("options", [
    (), ("--padding=255",), ("--no-dep",), ("--no-rfc7540-pri",), ("--no-push",), ("--max-concurrent-streams=1",), ("-w", "10"), ("-w", "15", "-W", "16"), ("-w", "30", "-W", "30"),
    ("-c", "0"), ("-c", "0", "-c", "4K"), ("-c", "64K"), ("--encoder-header-table-size=0",), ("-p", "1"), ("-p", "256"), ("-H", "x-long: " + "v" * 7000)], ids=lambda o: " ".join(o)[:30])
def test_an_answer(server, options):
    assert nghttp(*options, server.url("/60000")) == BODY[:60000]


def test_a_window_of_one_octet(server):
    lines = frames("-w", "1", server.url("/40"))
    data = [int(m.group(1)) for x in lines if (m := re.search(r"recv DATA frame <length=(\d+)", x))]
    assert sum(data) == 40 and max(data) == 1
    no_errors(lines)


def test_streams_side_by_side(server):
    """Three with weights of their own, each twenty times: their answers come in whichever order, and all of them"""
    lines = frames("-m", "20", "-p", "1", "-p", "16", "-p", "256", *(server.url(f"/{n}") for n in (100, 3000, 50000)))
    assert statuses(lines) == ["200"] * 60
    assert sum(int(m.group(1)) for x in lines if (m := re.search(r"recv DATA frame <length=(\d+)", x))) == 20 * 53100
    no_errors(lines)


def test_few_at_a_time(server):
    """As if the server had allowed three"""
    lines = frames("-M", "3", "-m", "12", server.url("/10"))
    assert statuses(lines) == ["200"] * 12
    no_errors(lines)


@pytest.mark.parametrize("options", [
    (), ("--padding=255",), ("--no-content-length",), ("--trailer", "x-end: reached"), ("--no-content-length", "--trailer", "x-end: reached", "--padding=16"),
    ("--expect-continue",), ("--expect-continue", "--no-content-length")], ids=" ".join)
def test_an_upload(server, tmp_path, options):
    data = BODY * 8 + b"end"
    (tmp_path / "data").write_bytes(data)
    del server.seen[:]
    assert nghttp("-d", str(tmp_path / "data"), *options, server.url("/up")).decode() == hashlib.sha256(data).hexdigest()
    (line, fields, trailers), = server.seen
    assert line == "POST /up HTTP/1.1"
    counted = "--no-content-length" not in options and "--trailer" not in options
    assert (fields.get("content-length"), fields.get("transfer-encoding")) == ((str(len(data)), None) if counted else (None, "chunked")) or \
        "--trailer" in options and fields.get("content-length") == str(len(data))
    assert trailers == (["x-end: reached"] if "--trailer" in options and "chunked" in fields.values() else [])


def test_uploads_side_by_side(server, tmp_path):
    (tmp_path / "data").write_bytes(BODY)
    out = nghttp("-d", str(tmp_path / "data"), "-m", "10", "--padding=64", server.url("/up")).decode()
    assert out == hashlib.sha256(BODY).hexdigest() * 10


def test_a_head_that_needs_continuation(server):
    """More than a frame holds (which nghttp counts as one), and more than a head may have: this stream alone is told"""
    lines = frames("--continuation", server.url("/10"))
    sent, = [int(m.group(1)) for x in lines if (m := re.search(r"send HEADERS frame <length=(\d+)", x))]
    assert sent > 16384
    assert statuses(lines) == ["431"]
    assert not [x for x in lines if "recv GOAWAY" in x]


@pytest.mark.parametrize("how", [(), ("-u",)])
def test_without_tls_there_is_none(server, how):
    """Neither from the first byte on, nor by an Upgrade, of which no demo hears"""
    del server.seen[:]
    p = run("nghttp", "-t", "5s", *how, server.url("/10", "http"))
    assert b"processed=0" in p.stderr and BODY[:10] not in p.stdout
    assert len(server.seen) == len(how) and not any({"upgrade", "http2-settings"} & set(f) for _, f, _ in server.seen), server.seen


def h2load(*argv):
    """The numbers of its sum"""
    p = run("h2load", *argv)
    out = p.stdout.decode()
    assert p.returncode == 0, out[-2000:]
    sums = re.search(r"^requests: (.*)$", out, re.M), re.search(r"^status codes: (.*)$", out, re.M)
    return {k: int(n) for s in sums for n, k in re.findall(r"(\d+) (\w+)", s.group(1))}, out


@pytest.mark.parametrize("n, clients, streams, path, options", [
    (200, 1, 1, "/100", ()), (600, 6, 20, "/100", ()), (400, 4, 100, "/1000", ()), (60, 3, 10, "/60000", ("-w", "12", "-W", "14")), (60, 3, 10, "/60000", ("-f", "64K")),
    (200, 4, 10, "/100", ("--header-table-size=0", "--encoder-header-table-size=0")), (200, 4, 10, "/100", ("-t", "2")), (40, 40, 1, "/0", ()),
    (60, 3, 10, "/up", ("-d",)), (60, 3, 10, "/up", ("-d", "-w", "8", "-W", "10")), (200, 4, 10, "/100", ("--h1",))])
def test_load(server, tmp_path, n, clients, streams, path, options):
    if "-d" in options:
        (tmp_path / "data").write_bytes(BODY)
        options = ("-d", str(tmp_path / "data"), *options[1:])
    del server.seen[:]
    got, out = h2load("-n", str(n), "-c", str(clients), "-m", str(streams), *options, server.url(path))
    assert got == {"total": n, "started": n, "done": n, "succeeded": n, "failed": 0, "errored": 0, "timeout": 0, "2xx": n, "3xx": 0, "4xx": 0, "5xx": 0}, out
    assert f"Application protocol: {'http/1.1' if '--h1' in options else 'h2'}" in out
    assert len(server.seen) == n
