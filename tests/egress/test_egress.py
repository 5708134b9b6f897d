"""The way out of builds: what is let through and what is not, in which words, and that logins stay outside."""
import http.client
import os
import re
import socket
import ssl
import threading
import time

import pytest

from rig import SECONDS, basic


def allow(port, *hosts):
    return "".join(f"allow {host} {port} inside\n" for host in hosts)


def test_tunnel(egress, origin, certificate):
    """TLS through CONNECT is the build's and the host's."""
    there = origin(tls=True, pages={"/a": ("text/plain", b"hello\n")})
    e = egress(allow(there.port, "a.localhost"))
    c = http.client.HTTPSConnection("127.0.0.1", e.port, timeout=SECONDS, context=ssl.create_default_context(cafile=certificate[0]))
    c.set_tunnel("a.localhost", there.port)
    c.request("GET", "/a")
    assert c.getresponse().read() == b"hello\n"
    c.close()
    e.wait_for("@count 1 ")
    assert e.lines() == []


def test_bulk_both_ways(egress):
    """Megabytes through a tunnel, each way, with a reader that is slow at first; its half-closes arrive."""
    server = socket.create_server(("127.0.0.1", 0))
    data = os.urandom(1 << 20) * 8
    got = []

    def serve():
        s, _ = server.accept()
        with s:
            while chunk := s.recv(65536):
                got.append(chunk)
            s.sendall(data)

    t = threading.Thread(target=serve, daemon=True)
    t.start()
    e = egress(allow(server.getsockname()[1], "a.localhost"))
    with e.tunnel("a.localhost", server.getsockname()[1]) as s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        back = b""
        while chunk := s.recv(1 << 20):
            back += chunk
    t.join(SECONDS)
    server.close()
    assert b"".join(got) == data and back == data


@pytest.mark.parametrize("ask, status, words", [
    ("CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\nUser-Agent: pip/23.0 {x}\r\n\r\n", 403,
     "pip asked for evil.example:443, which [build] hosts does not allow"),
    ("CONNECT a.localhost:22 HTTP/1.1\r\nHost: a.localhost:22\r\n\r\n", 403,
     "the build asked for a.localhost:22, which [build] hosts does not allow at that port"),
    ("GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\nUser-Agent: uv/0.4\r\n\r\n", 403,
     "uv asked for evil.example:80, which [build] hosts does not allow"),
    ("GET http://a.localhost.evil.example/ HTTP/1.1\r\nHost: a.localhost\r\n\r\n", 403,
     "the build asked for a.localhost.evil.example:80, which [build] hosts does not allow"),
    ("GET http://xb.test/ HTTP/1.1\r\nHost: a.localhost\r\n\r\n", 403, "the build asked for xb.test:80, which [build] hosts does not allow"),
    ("CONNECT 127.0.0.1:443 HTTP/1.1\r\nHost: a\r\n\r\n", 403, "the build asked for 127.0.0.1:443, which [build] hosts does not allow"),
    ("CONNECT [::1]:443 HTTP/1.1\r\nHost: a\r\n\r\n", 403, "the build asked for [::1]:443, which [build] hosts does not allow"),
    ("CONNECT p.localhost:443 HTTP/1.1\r\nHost: a\r\n\r\n", 403, "p.localhost has an address that is not public"),
    ("GET http://p.localhost/ HTTP/1.1\r\nHost: a\r\n\r\n", 403, "p.localhost has an address that is not public"),
    ("CONNECT none.invalid:443 HTTP/1.1\r\nHost: a\r\n\r\n", 502, "none.invalid: "),
    ("POST http://a.localhost/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", 405, None),
    ("GET http://a.localhost/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", 405, None),
    ("GET / HTTP/1.1\r\nHost: a.localhost\r\n\r\n", 400, None),
    ("CONNECT a.localhost HTTP/1.1\r\nHost: a\r\n\r\n", 400, None),
    ("CONNECT a.localhost: HTTP/1.1\r\nHost: a\r\n\r\n", 400, None),
    ("CONNECT a.localhost:443 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", 400, None),
    ("CONNECT a.localhost:99999 HTTP/1.1\r\nHost: a\r\n\r\n", 400, None),
    ("CONNECT http://a.localhost/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, None),
    ("GET http://u:p@a.localhost/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, None),
    ("GET ftp://a.localhost/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, None),
    ("GET http://a.localhost/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, None),
    ("GET http://a.localhost/ HTTP/1.1\nHost: a\n\n", 400, None),
])
def test_refused(egress, ask, status, words):
    e = egress("allow a.localhost 443,80 inside\nallow p.localhost 443,80\nallow none.invalid 443\nallow *.b.test 80\n")
    answer = e.ask(ask)
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    lines = e.lines()
    if words is None:
        assert lines == []
    else:
        assert len(lines) == 1 and lines[0].startswith(words), lines
        # once is enough
        assert e.ask(ask).startswith(b"HTTP/1.1 %d " % status)
        assert e.lines() == lines


def test_suffix(egress, origin):
    there = origin(pages={"/": ("text/plain", b"x")})
    e = egress(f"allow *.localhost {there.port} inside\n")
    assert e.get(f"http://deep.er.localhost:{there.port}/")[0] == 200
    assert e.get(f"http://DEEP.localhost.:{there.port}/")[0] == 200
    assert e.get(f"http://localhost:{there.port}/")[0] == 403


def test_get_streams_and_rewrites_nothing(egress, origin):
    body = os.urandom(3 << 20)

    def without_length(h):
        h.send_response(200)
        h.send_header("Transfer-Encoding", "chunked")
        h.send_header("X-Mark", "https://a.localhost/")
        h.end_headers()
        for i in range(0, len(body), 70000):
            piece = body[i:i + 70000]
            h.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        h.wfile.write(b"0\r\n\r\n")

    there = origin(pages={"/file": ("application/octet-stream", body), "/chunked": without_length})
    e = egress(allow(there.port, "a.localhost"))
    at = f"http://a.localhost:{there.port}"
    status, headers, got = e.get(at + "/file?x=%2e%2e/..", headers={"Authorization": "Basic mine", "Proxy-Authorization": "no", "Accept": "a/b"})
    assert (status, got) == (200, body) and headers["Content-Length"] == str(len(body))
    method, path, sent = there.asked[0]
    assert path == "/file?x=%2e%2e/.." and sent["Authorization"] == "Basic mine" and sent["Accept"] == "a/b"
    assert sent["Proxy-Authorization"] is None and sent["Host"] == f"a.localhost:{there.port}"
    status, headers, got = e.get(at + "/chunked")
    assert (status, got) == (200, body) and headers["X-Mark"] == "https://a.localhost/"
    status, headers, got = e.get(at + "/file", method="HEAD")
    assert (status, got) == (200, b"") and headers["Content-Length"] == str(len(body))
    assert e.get(at + "/nothing")[0] == 404
    # HTTP/1.0 knows no chunks
    answer = e.ask(f"GET {at}/chunked HTTP/1.0\r\n\r\n")
    assert b"ransfer-" not in answer.partition(b"\r\n\r\n")[0] and answer.partition(b"\r\n\r\n")[2] == body


def test_broken_answers(egress, origin):
    def cut(h):
        h.send_response(200)
        h.send_header("Content-Length", "1000")
        h.end_headers()
        h.wfile.write(b"x" * 10)
        h.close_connection = True

    def both(h):
        h.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")

    there = origin(pages={"/cut": cut, "/both": both})
    e = egress(allow(there.port, "a.localhost"))
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        e.get(f"http://a.localhost:{there.port}/cut")
    assert e.get(f"http://a.localhost:{there.port}/both")[0] == 502
    assert e.get("http://a.localhost:1/")[0] == 403


def test_login(egress, origin):
    """The build asks by http and without a password; links lead it back here, and it never sees what goes out."""
    secret = basic("reader", "s3cret-of-the-house")
    there = origin(tls=True, login=secret)
    name = f"a.localhost:{there.port}"
    page = (f'<a href="https://{name}/f/x.whl">x</a> <a href="HTTPS://A.localhost:{there.port}/g">y</a> '
            f'<a href="../rel">z</a> https://{name}0/ https://a.localhost/ {{"tarball":"https:\\/\\/{name}\\/t"}} '
            f'https://{name}').encode()
    there.pages = {
        "/simple/": ("text/html", page),
        "/f/x.whl": ("application/octet-stream", page),
        "/moved": lambda h: h.answer(302, "text/plain", b"", {"Location": f"https://{name}/simple/"}),
        "/away": lambda h: h.answer(302, "text/plain", b"", {"Location": "https://elsewhere.example/x"}),
    }
    e = egress(f"allow a.localhost {there.port} inside\nlogin https a.localhost {there.port} {secret}\n")
    status, headers, got = e.get(f"http://{name}/simple/", headers={"Accept-Encoding": "gzip"})
    assert status == 200
    assert got.decode() == (page.decode().replace(f"https://{name}/", f"http://{name}/").replace(f"HTTPS://A.localhost:{there.port}", f"http://{name}")
                            .replace(f"https:\\/\\/{name}\\/", f"http://{name}\\/")[:-len(f"https://{name}")] + f"http://{name}")
    assert there.asked[0][2]["Authorization"] == secret
    assert e.get(f"http://{name}/f/x.whl")[2] == page
    assert e.get(f"http://{name}/moved")[1]["Location"] == f"http://{name}/simple/"
    assert e.get(f"http://{name}/away")[1]["Location"] == "https://elsewhere.example/x"
    # its own Authorization does not go out in its place
    assert e.get(f"http://{name}/simple/", headers={"Authorization": "Basic mine"})[0] == 200
    there.login = "another one"
    assert e.get(f"http://{name}/simple/")[0] == 401
    lines = e.lines()
    assert lines == ["a.localhost refuses the login that the server has for it (401)"]
    assert "s3cret" not in e.text and secret.split()[1] not in e.text + e.complaints()


def test_links_across_pieces(egress, origin):
    """Wherever the pieces of a page end, its links are found."""
    secret = basic("u", "p")
    there = origin(login=secret)
    name = f"a.localhost:{there.port}"
    link = f"[http://{name}/x]".encode()

    def slowly(h):
        h.send_response(200)
        h.send_header("Content-Type", "text/html")
        h.send_header("Content-Length", str(len(link) * 40))
        h.end_headers()
        for i in range(0, len(link) * 40, 7):
            h.wfile.write((link * 40)[i:i + 7])
            h.wfile.flush()

    there.pages = {"/": slowly}
    e = egress(f"allow a.localhost {there.port} inside\nlogin http a.localhost {there.port} {secret}\n")
    assert e.get(f"http://{name}/")[2] == link * 40


def test_operators_proxy(egress, origin):
    """Through another of us, as a proxy with a password would be; not for what no_proxy names."""
    there = origin(pages={"/": ("text/plain", b"x")})
    heads = []

    def serve(front, back):
        while True:
            try:
                s, _ = front.accept()
            except OSError:
                return
            threading.Thread(target=relay, args=(s, back), daemon=True).start()

    def relay(s, back):
        head = b""
        while b"\r\n\r\n" not in head:
            head += s.recv(65536)
        heads.append(head.decode())
        up = socket.create_connection(("127.0.0.1", back))
        if head.startswith(b"CONNECT"):
            s.sendall(b"HTTP/1.1 200 yes\r\n\r\n")
        else:
            up.sendall(head.replace(b" http://far.example:%d/" % back, b" /"))
        for a, b in ((s, up), (up, s)):
            threading.Thread(target=lambda a=a, b=b: [b.sendall(x) for x in iter(lambda: a.recv(65536), b"")] and b.shutdown(1), daemon=True).start()

    front = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(front, there.port), daemon=True).start()
    port = front.getsockname()[1]
    e = egress(allow(there.port, "*.localhost", "far.example") + f"proxy http proxy.localhost {port} {basic('u', 'pw')}\n"
               f"proxy https proxy.localhost {port} {basic('u', 'pw')}\nno_proxy near.localhost,.other\n")
    assert e.get(f"http://far.example:{there.port}/")[0] == 200
    assert f"GET http://far.example:{there.port}/ HTTP/1.1" in heads[0] and basic("u", "pw") in heads[0]
    with e.tunnel("far.example", there.port) as s:
        s.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert s.recv(100).startswith(b"HTTP/1.1 200")
    assert heads[1].startswith(f"CONNECT far.example:{there.port} HTTP/1.1\r\n") and basic("u", "pw") in heads[1]
    assert e.get(f"http://near.localhost:{there.port}/")[0] == 200
    assert len(heads) == 2
    front.close()


def test_bounds(egress, origin):
    there = origin(pages={"/": ("application/x", b"x" * 300000)})
    e = egress(allow(there.port, "a.localhost") + "bytes 500000\n")
    at = f"http://a.localhost:{there.port}/"
    assert e.get(at)[0] == 200
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        e.get(at)
    assert e.get(at)[0] == 403
    assert any("max_transfer" in line for line in e.lines())


def test_idle_and_slow(egress, origin):
    server = socket.create_server(("127.0.0.1", 0))
    e = egress(allow(server.getsockname()[1], "a.localhost") + "idle_ms 300\n")
    with e.tunnel("a.localhost", server.getsockname()[1]) as s:
        begun = time.monotonic()
        with pytest.raises(ConnectionResetError):
            s.recv(1)
        assert 0.25 < time.monotonic() - begun < 5
    server.close()


def test_more_than_it_takes_wait(egress, origin):
    there = origin(pages={"/": ("text/plain", b"x")})
    e = egress(allow(there.port, "a.localhost") + "connections 2\n")
    held = [e.connect() for _ in range(2)]
    late = e.connect()
    late.sendall(f"GET http://a.localhost:{there.port}/ HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    late.settimeout(0.3)
    with pytest.raises(TimeoutError):
        late.recv(1)
    held[0].close()
    late.settimeout(SECONDS)
    assert late.recv(12) == b"HTTP/1.1 200"
    late.close()
    held[1].close()


def test_ends_with_the_runner(egress):
    e = egress("")
    e.say.close()
    assert e.wait() == 0
    e.say = socket.socketpair()[0]


@pytest.mark.parametrize("policy, words", [
    ("allow", "line 2"), ("allow a 0", "line 2"), ("allow a 80 outside", "line 2"), ("allow a/b 80", "line 2"), ("what is this", "no such directive"),
    ("login https a 443 ", "line 2"), ("login ftp a 443 x", "line 2"), ("bytes x", "no number"), ("proxy http a", "line 2"),
])
def test_wrong_policy(egress, policy, words):
    e = egress(policy, fine=True)
    assert e.wait() == 1
    assert words in e.complaints() and re.match("vitrine-egress: ", e.complaints())
    e.status = 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sees how another uid's process is confined")
def test_confined(egress):
    e = egress("")
    with open(f"/proc/{e.pid}/status") as f:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
    assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1" and int(status["CapEff"], 16) == 0
    assert int(status["Uid"].split()[0]) != 0
    assert os.listdir(f"/proc/{e.pid}/root/") == (["proc"] if os.environ.get("SANITIZER") else [])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root reads another uid's memory")
def test_resolver_has_no_credentials(egress):
    """What looks names up has the host's files, and is not confined as the proxy is."""
    mark = b"c3VwcGxpZWQ6dGhlLXByb3h5J3M"
    e = egress(f"login https a.localhost 443 Basic {mark.decode()}\n")
    with open(f"/proc/{e.pid}/task/{e.pid}/children") as f:
        helper, = f.read().split()

    def memory(pid):
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
            for begin, end in re.findall(r"^(\w+)-(\w+) rw", maps.read(), re.M):
                size = int(end, 16) - int(begin, 16)
                if size <= 64 << 20:  # more is a sanitizer's own
                    mem.seek(int(begin, 16))
                    yield mem.read(size)

    assert any(mark in part for part in memory(e.pid))
    assert not any(mark in part for part in memory(helper))


def test_heads_count_as_well(egress, origin):
    there = origin(pages={"/": ("text/plain", b"")})
    e = egress(allow(there.port, "a.localhost") + "bytes 50000\n")
    at = f"http://a.localhost:{there.port}/?" + "x" * 7000
    for i in range(20):
        try:
            status = e.get(at, "HEAD")[0]
        except ConnectionError:  # in the middle of one it is over
            continue
        assert status == 200 or i >= 5
        if status == 403:
            break
    assert status == 403 and 5 < len(there.asked) < 9


def test_own_login_of_a_build_passes(egress, origin):
    there = origin(pages={"/": ("text/plain", b"x")}, login=basic("build", "own"))
    e = egress(allow(there.port, "a.localhost"))
    assert e.get(f"http://a.localhost:{there.port}/", headers={"Authorization": basic("build", "own"), "Cookie": "a=b"})[0] == 200
    assert there.asked[0][2]["Cookie"] == "a=b"
