"""vitrine-static by itself: what it serves, and that it serves nothing else."""
import contextlib
import email.utils
import http.client
import os
import random
import re
import socket
import subprocess
import threading

import pytest
from vitrine import BUILD, free_port, until

PROGRAM = os.path.join(BUILD, "vitrine-static")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    root = tmp_path_factory.mktemp("static")
    (root / "secret").write_text("secret")
    tree = root / "tree"
    (tree / "sub" / "deep").mkdir(parents=True)
    (tree / "index.html").write_text("top")
    (tree / "sub" / "index.html").write_text("sub")
    (tree / "sub" / "deep" / "x.json").write_text("{}")
    (tree / "Größe ü.txt").write_text("name")
    (tree / "empty.css").write_text("")
    (tree / "big.bin").write_bytes(random.Random(1).randbytes(3_000_000))
    (tree / "inside").symlink_to("sub/deep/x.json")
    (tree / "outside").symlink_to("../secret")
    (tree / "absolute").symlink_to("/etc/passwd")
    (tree / "up").symlink_to("..")
    os.mkfifo(tree / "fifo")
    port = free_port()
    p = subprocess.Popen([PROGRAM, "--port", str(port), tree], stdin=subprocess.DEVNULL)
    assert until(lambda: socket.create_connection(("127.0.0.1", port)).close() is None, 5, 0.002)
    yield Site(port, tree)
    p.kill()
    p.wait()


class Site:
    def __init__(self, port, tree):
        self.port, self.tree = port, tree

    def ask(self, path, method="GET", body=None, headers=None):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(c):
            c.putrequest(method, path, skip_host=True)
            for k, v in {"Host": "h", **(headers or {})}.items():
                c.putheader(k, v)
            c.endheaders(body)
            r = c.getresponse()
            return r.status, r.read(), {k.lower(): v for k, v in r.getheaders()}

    def raw(self, data, count=None):
        """Everything that comes back until the other side closes, or `count` bytes."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as s:
            s.sendall(data)
            got = b""
            while count is None or len(got) < count:
                part = s.recv(65536)
                if not part:
                    break
                got += part
            return got


@pytest.mark.parametrize("path,body,kind", [
    ("/", b"top", "text/html; charset=utf-8"), ("/sub/", b"sub", "text/html; charset=utf-8"),
    ("/sub/index.html?x=%zz", b"sub", "text/html; charset=utf-8"), ("//sub//deep///x.json", b"{}", "application/json"),
    ("/Gr%C3%B6%C3%9Fe%20%c3%bc.txt", b"name", "text/plain; charset=utf-8"), ("/empty.css", b"", "text/css; charset=utf-8"),
    ("/inside", b"{}", "application/octet-stream"), ("/sub/../index.html", b"top", "text/html; charset=utf-8"),
])
def test_served(site, path, body, kind):
    status, got, headers = site.ask(path)
    assert (status, got, headers["content-type"]) == (200, body, kind)
    assert headers["content-length"] == str(len(body))
    status, got, head = site.ask(path, "HEAD")
    assert (status, got, head["content-length"], head["etag"]) == (200, b"", str(len(body)), headers["etag"])


@pytest.mark.parametrize("path", ["/nothing", "/outside", "/absolute", "/up/secret", "/up/", "/../secret", "/%2e%2e/secret",
                                  "/..%2fsecret", "/sub/../../secret", "/sub/deep/", "/index.html/", "/fifo", "/" + "a" * 300,
                                  "/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/proc/self/environ"])
def test_not_served(site, path):
    status, got, headers = site.ask(path)
    assert status == 404 and b"secret" not in got and b"root:" not in got
    assert headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("path,to", [("/sub", "/sub/"), ("//sub", "/sub/"), ("/sub?a=b&c", "/sub/?a=b&c"), ("/sub/deep", "/sub/deep/")])
def test_folders_get_their_slash(site, path, to):
    status, _, headers = site.ask(path)
    assert (status, headers["location"]) == (308, to)


def test_not_changed(site):
    _, _, headers = site.ask("/")
    for name, value in [("If-None-Match", headers["etag"]), ("If-None-Match", "W/" + headers["etag"]), ("If-None-Match", "*"),
                        ("If-Modified-Since", headers["last-modified"])]:
        assert site.ask("/", headers={name: value})[:2] == (304, b"")
    before = email.utils.formatdate(1, usegmt=True)
    for name, value in [("If-None-Match", '"other"'), ("If-Modified-Since", before), ("If-Modified-Since", "yesterday")]:
        assert site.ask("/", headers={name: value})[:2] == (200, b"top")


def test_changed(site):
    path = site.tree / "changing.txt"
    path.write_text("one")
    etag = site.ask("/changing.txt")[2]["etag"]
    path.write_text("two")
    os.utime(path, ns=(1, 1))
    assert site.ask("/changing.txt", headers={"If-None-Match": etag})[:2] == (200, b"two")


def test_ranges(site):
    data = (site.tree / "big.bin").read_bytes()
    size = len(data)
    for text, first, last in [("0-0", 0, 0), ("100-199", 100, 199), ("2999999-", size - 1, size - 1), ("-5", size - 5, size - 1),
                              ("0-99999999", 0, size - 1)]:
        status, got, headers = site.ask("/big.bin", headers={"Range": "bytes=" + text})
        assert status == 206 and got == data[first:last + 1]
        assert headers["content-range"] == f"bytes {first}-{last}/{size}"
    status, _, headers = site.ask("/big.bin", headers={"Range": "bytes=3000000-"})
    assert (status, headers["content-range"]) == (416, f"bytes */{size}")
    assert site.ask("/big.bin", headers={"Range": "bytes=0-1,5-6"})[1] == data
    assert site.ask("/big.bin", headers={"Range": "bytes=0-1", "If-Range": '"other"'})[1] == data


def test_other_methods(site):
    status, _, headers = site.ask("/", "POST", b"x" * 100_000, {"Content-Length": "100000"})
    assert (status, headers["allow"], headers["connection"]) == (405, "GET, HEAD", "close")


@pytest.mark.parametrize("request_bytes,status", [
    (b"nonsense\r\n\r\n", b"400"), (b"GET /%00 HTTP/1.1\r\n\r\n", b"400"), (b"GET / HTTP/1.1\r\n folded\r\n\r\n", b"400"),
    (b"GET / HTTP/3.0\r\n\r\n", b"505"), (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n", b"414"),
    (b"GET / HTTP/1.1\r\nX: " + b"a" * 20000, b"431"),
])
def test_broken_requests(site, request_bytes, status):
    with socket.create_connection(("127.0.0.1", site.port), 10) as s:
        s.sendall(request_bytes)
        assert s.recv(65536).startswith(b"HTTP/1.1 " + status)


def test_several_requests_on_a_connection(site):
    one = b"GET /%s HTTP/1.1\r\nHost: h\r\n\r\n"
    got = site.raw(one % b"" + one % b"nothing" + one % b"sub/" + b"GET / HTTP/1.0\r\n\r\n")
    assert re.findall(rb"HTTP/1\.1 (\d+)", got) == [b"200", b"404", b"200", b"200"]
    assert got.endswith(b"\r\n\r\ntop")


def test_a_request_in_single_bytes(site):
    with socket.create_connection(("127.0.0.1", site.port), 10) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n":
            s.sendall(bytes([byte]))
        got = b""
        while part := s.recv(65536):
            got += part
    assert got.endswith(b"\r\n\r\ntop")


def test_many_slow_readers_and_one_who_is_not(site):
    data = (site.tree / "big.bin").read_bytes()
    slow = []
    for _ in range(50):
        s = socket.create_connection(("127.0.0.1", site.port), 10)
        s.sendall(b"GET /big.bin HTTP/1.1\r\nHost: h\r\n\r\n")
        slow.append(s)
    assert site.ask("/")[1] == b"top"
    for s in slow[25:]:
        s.close()
    bodies = []

    def read(s):
        got = b""
        while len(got) < len(data) + 100 and (part := s.recv(1 << 16)):
            got += part
            if got.endswith(data[-100:]):
                break
        bodies.append(got.split(b"\r\n\r\n", 1)[1])

    readers = [threading.Thread(target=read, args=(s,)) for s in slow[:25]]
    for t in readers:
        t.start()
    for t in readers:
        t.join(30)
    assert bodies == [data] * 25
    for s in slow[:25]:
        s.close()


def test_more_connections_than_it_keeps(site):
    idle = [socket.create_connection(("127.0.0.1", site.port), 10) for _ in range(1100)]
    assert site.ask("/")[1] == b"top"
    for s in idle:
        s.close()
    assert site.ask("/")[1] == b"top"


def test_own_index_and_own_missing_page(tmp_path):
    (tmp_path / "start.html").write_text("start")
    (tmp_path / "404.html").write_text("mine")
    port = free_port()
    p = subprocess.Popen([PROGRAM, "--port", str(port), "--index", "start.html", tmp_path])
    try:
        assert until(lambda: Site(port, None).ask("/")[1] == b"start", 5, 0.002)
        assert Site(port, None).ask("/x", headers={"Range": "bytes=0-1"})[:2] == (404, b"mine")
    finally:
        p.kill()
        p.wait()


@pytest.mark.parametrize("args", [[], ["--port", "0", "."], ["--port", "8x", "."], ["--port", "1", ".", "."], ["--port", "9", "--index", "a/b", "."]])
def test_wrong_usage(args):
    p = subprocess.run([PROGRAM, *args], capture_output=True, text=True, timeout=5)
    assert p.returncode == 2 and p.stderr.startswith("usage:")


def test_no_folder(tmp_path):
    p = subprocess.run([PROGRAM, "--port", str(free_port()), tmp_path / "none"], capture_output=True, text=True, timeout=5)
    assert p.returncode == 1 and "No such file" in p.stderr
