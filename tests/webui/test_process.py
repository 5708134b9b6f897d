"""The program under its supervisor."""
import json

from platform_fake import events, until
from test_upload import half


def test_sigterm_ends_it_in_order_with_streams_open(site):
    site.deploy()
    s = site.socket()
    s.sendall(b"GET /api/spaces/alice/hello/events HTTP/1.1\r\nHost: x\r\n\r\n")
    stream = events(s)
    assert next(stream)
    idle = site.socket()
    coming = half(site, "Content-Length: 100\r\n", b"x")
    assert until(lambda: site.uploads()[1])
    assert site.stop() == 0
    assert list(stream) == []
    assert idle.recv(10) == b"" == coming.recv(10)


def test_ends_when_its_supervisor_is_gone(site):
    site.sup.close()
    assert site.process.wait(5) == 0


def test_killed_the_next_one_goes_on_with_the_same_listener(site):
    site.deploy()
    site.kill()
    waiting = site.socket()
    waiting.sendall(b"GET /api/spaces/alice/hello HTTP/1.1\r\nHost: x\r\n\r\n")
    site.start()
    data = waiting.recv(65536)
    assert data.startswith(b"HTTP/1.1 200") and b'"alice/hello"' in data


def test_a_visitor_who_leaves_a_stream_is_noticed(site):
    site.deploy()

    def threads():
        return int(open(f"/proc/{site.process.pid}/status").read().split("Threads:")[1].split()[0])
    socks = []
    for _ in range(20):
        s = site.socket()
        s.sendall(b"GET /api/spaces/alice/hello/events HTTP/1.1\r\nHost: x\r\n\r\n")
        assert json.loads(next(events(s)))
        socks.append(s)
    assert threads() >= 20
    for s in socks:
        s.close()
    assert until(lambda: threads() < 10, 4)


def test_connections_are_kept(site):
    s = site.socket()
    for _ in range(3):
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert s.recv(65536).endswith(b"ok")
    for path in (b"/nothing", b"/admin", b"/api/admin/events"):
        s.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n\r\n")
        assert s.recv(65536).split(b" ")[1] in (b"404", b"401")


def test_public_url(make):
    site = make(**{"server.public_url": "https://spaces.example.org", "server.demo_domain": "demos.example.net"})
    answer = site.deploy()
    assert answer["url"] == "https://alice-hello.demos.example.net" and answer["page"].startswith("https://spaces.example.org/spaces/")
