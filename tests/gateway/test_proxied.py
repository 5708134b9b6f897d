"""Proxies in front: the PROXY header, and whose word on a visitor is taken."""
import json
import socket
import struct

import pytest
from harness import Conn, echo_headers, host
from test_access import until

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
PROXIED = 1


def v2(source="192.0.2.1", command=1, tlvs=b""):
    if ":" in source:
        family, a = 0x21, socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, "::1")
    else:
        family, a = 0x11, socket.inet_aton(source) + socket.inet_aton("198.51.100.1")
    body = a + struct.pack("!HH", 4711, 80) + tlvs
    return SIGNATURE + bytes([0x20 | command, family]) + struct.pack("!H", len(body)) + body


class Front:
    """A gateway with a second listener, and connections to it from chosen addresses."""

    def __init__(self, gateway, flags=0, family=socket.AF_INET, path=None, **conf):
        self.g = gateway(**conf)
        self.g.space("demo-a", echo_headers)
        if family == socket.AF_UNIX:
            self.at = path
            self.l = socket.socket(family)
            self.l.bind(path)
            self.l.listen(64)
        else:
            self.l = socket.create_server(("127.0.0.1", 0), backlog=64)
            self.at = self.l.getsockname()
        self.family = family
        self.g.listen(self.l, 1, flags)
        self.l.close()

    def connect(self, source="127.0.0.1"):
        s = socket.socket(self.family)
        s.settimeout(10)
        if self.family == socket.AF_INET:
            s.bind((source, 0))
        s.connect(self.at)
        return Conn(s)

    def ask(self, headers="", source="127.0.0.1", before=b"", c=None):
        """What the demo sees: {name: [values]}."""
        c = c or self.connect(source)
        c.send(before + f"GET / HTTP/1.1\r\nHost: {host('demo-a')}\r\n{headers}\r\n".encode())
        r = c.response()
        assert r.status == 200, r.body
        f = {}
        for k, v in json.loads(r.body)[1]:
            f.setdefault(k.lower(), []).append(v)
        return f

    def address(self, *a, **kw):
        f = self.ask(*a, **kw)
        assert len(f["x-forwarded-for"]) == 1 and len(f["forwarded"]) == 1
        ip = f["x-forwarded-for"][0]
        assert f["forwarded"][0].startswith(f'for="[{ip}]"' if ":" in ip else f"for={ip};")
        return ip


@pytest.fixture
def front(gateway):
    return lambda **kw: Front(gateway, **kw)


def test_the_header_in_front(front):
    f = front(flags=PROXIED, server__trusted_proxies="127.0.0.1")
    assert f.address(before=v2("192.0.2.1")) == "192.0.2.1"
    assert f.address(before=v2("2001:db8::7")) == "2001:db8::7"
    assert f.address(before=v2("192.0.2.1", tlvs=b"\x04\0\1x")) == "192.0.2.1"
    assert f.address(before=b"PROXY TCP4 192.0.2.9 198.51.100.1 1 2\r\n") == "192.0.2.9"
    assert f.address(before=v2(command=0)) == "127.0.0.1"
    assert f.address(before=b"PROXY UNKNOWN\r\n") == "127.0.0.1"
    # what the visitor says of itself is nobody's word
    assert f.address("X-Forwarded-For: 6.6.6.6\r\n", before=v2("192.0.2.1")) == "192.0.2.1"
    # the one address for all of the connection
    c = f.connect()
    assert f.address(before=v2("192.0.2.1"), c=c) == "192.0.2.1"
    assert f.address("X-Forwarded-For: 6.6.6.6\r\n", c=c) == "192.0.2.1"


def test_the_header_byte_by_byte(front):
    f = front(flags=PROXIED, server__trusted_proxies="127.0.0.1")
    c = f.connect()
    c.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for b in v2("192.0.2.1"):
        c.send(bytes([b]))
    assert f.address(c=c) == "192.0.2.1"


@pytest.mark.parametrize("what", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", SIGNATURE + b"\x31\x11\0\x0c" + bytes(12), v2(tlvs=b"\x04"),
                                  SIGNATURE + b"\x21\x11\xff\xff", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 99999\r\n", b"PROXY " + b"x" * 200,
                                  b"\x16\x03\x01\0\0"])
def test_without_a_header_it_is_closed(front, what):
    f = front(flags=PROXIED, server__trusted_proxies="127.0.0.1")
    c = f.connect()
    c.send(what)
    assert c.closed()


def test_a_header_that_does_not_come_in_time(front):
    f = front(flags=PROXIED, server__trusted_proxies="127.0.0.1", gateway__header_timeout="300ms")
    c = f.connect()
    c.send(v2()[:20])
    assert c.closed(3)
    c = f.connect()
    assert c.closed(3)


def test_whoever_is_not_trusted_is_no_proxy(front):
    f = front(flags=PROXIED, server__trusted_proxies="127.0.0.1")
    c = f.connect("127.0.0.2")
    c.send(v2() + b"GET / HTTP/1.1\r\nHost: " + host("demo-a").encode() + b"\r\n\r\n")
    assert c.closed()
    until(lambda: b"127.0.0.2" in f.g.stderr and b"trusted_proxies" in f.g.stderr)
    # and where no header is expected, one is no request
    c = f.g.connect()
    c.send(v2())
    assert c.response().status == 400


def test_limits_count_visitors_behind_a_header(front):
    f = front(flags=PROXIED, server__trusted_proxies="127.0.0.1", gateway__max_per_address="2")
    kept = [f.connect() for _ in range(5)]
    for i, c in enumerate(kept):
        assert f.address(before=v2(f"192.0.2.{i // 2}"), c=c) == f"192.0.2.{i // 2}"
    c = f.connect()
    c.send(v2("192.0.2.0"))
    assert c.closed()


def test_the_rightmost_address_that_is_not_a_proxy(front):
    f = front(server__trusted_proxies="127.0.0.1, 10.0.0.0/8, 2001:db8::/32")
    said = "X-Forwarded-For: {}\r\n".format
    assert f.address(said("192.0.2.1")) == "192.0.2.1"
    assert f.address(said("6.6.6.6, 192.0.2.1")) == "192.0.2.1"
    assert f.address(said("6.6.6.6, 192.0.2.1, 10.1.1.1 ,10.2.2.2")) == "192.0.2.1"
    assert f.address(said("6.6.6.6, 192.0.2.1") + said("2001:db8::1")) == "192.0.2.1"
    assert f.address(said("10.3.3.3, 10.2.2.2")) == "10.3.3.3"  # a visitor from within
    assert f.address(said("192.0.2.1:4711")) == "192.0.2.1"
    assert f.address(said("[2001:db9::1]:4711, 10.2.2.2")) == "2001:db9::1"
    # beyond what is no address nothing is known
    assert f.address(said("192.0.2.1, unknown, 10.2.2.2")) == "10.2.2.2"
    assert f.address(said("192.0.2.1, , 10.2.2.2")) == "10.2.2.2"
    assert f.address(said("192.0.2.1, unknown")) == "127.0.0.1"
    assert f.address("") == "127.0.0.1"
    assert f.address(said("6.6.6.6, " * 500 + "192.0.2.1")) == "192.0.2.1"
    # a field of the other kind is the visitor's own
    assert f.address("Forwarded: for=6.6.6.6\r\n") == "127.0.0.1"
    # each request for itself
    c = f.connect()
    assert f.address(said("192.0.2.1"), c=c) == "192.0.2.1"
    assert f.address("", c=c) == "127.0.0.1"


def test_spoofing(front):
    """From anywhere else all of it is nothing."""
    f = front(server__trusted_proxies="127.0.0.1")
    got = f.ask("X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nForwarded: for=6.6.6.6\r\n"
                "X-Real-IP: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\n", source="127.0.0.2")
    assert got["x-forwarded-for"] == ["127.0.0.2"] and got["x-forwarded-proto"] == ["http"]
    assert got["x-forwarded-host"] == [host("demo-a")] and got["forwarded"][0].startswith("for=127.0.0.2;")
    assert "6.6.6.6" not in str(got) and "evil" not in str(got)


def test_scheme_and_host(front):
    f = front(server__trusted_proxies="127.0.0.1, 10.0.0.0/8")
    got = f.ask("X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shown.example:8443\r\n")
    assert got["x-forwarded-proto"] == ["https"] and got["x-forwarded-host"] == ["shown.example:8443"]
    assert got["forwarded"] == ['for=192.0.2.1;host="shown.example:8443";proto=https'] and got["host"] == [host("demo-a")]
    got = f.ask("X-Forwarded-For: 192.0.2.1, 10.1.1.1\r\nX-Forwarded-Proto: http, https, http\r\n")
    assert got["x-forwarded-proto"] == ["https"]
    for bad in ("ftp", 'https";x="', ""):
        assert f.ask(f"X-Forwarded-Proto: {bad}\r\n")["x-forwarded-proto"] == ["http"]
    for bad in ('a"b', "a b", "x" * 300):
        assert f.ask(f"X-Forwarded-Host: {bad}\r\n")["x-forwarded-host"] == [host("demo-a")]


def test_forwarded(front):
    f = front(server__trusted_proxies="127.0.0.1, 10.0.0.0/8", server__proxy_header="forwarded")
    got = f.ask('Forwarded: for=6.6.6.6;proto=http, for=192.0.2.1;proto=https;host="shown.example", for="10.1.1.1:80"\r\n')
    assert got["x-forwarded-for"] == ["192.0.2.1"] and got["x-forwarded-proto"] == ["https"]
    assert got["x-forwarded-host"] == ["shown.example"]
    assert f.address('Forwarded: for="[2001:db9::1]:4711"\r\n') == "2001:db9::1"
    assert f.address("Forwarded: for=6.6.6.6\r\nForwarded: for=192.0.2.1\r\n") == "192.0.2.1"
    assert f.address("Forwarded: for=6.6.6.6, for=_hidden\r\n") == "127.0.0.1"
    assert f.address('Forwarded: for=192.0.2.1, for="\r\n') == "127.0.0.1"
    assert f.address('Forwarded: for="192.0.2.1\r\nForwarded: for=192.0.2.2\r\n') == "192.0.2.2"
    assert f.address("X-Forwarded-For: 6.6.6.6\r\n") == "127.0.0.1"


def test_limits_count_visitors_whom_a_proxy_names(front):
    f = front(server__trusted_proxies="127.0.0.1", gateway__max_per_address="1")

    def slow(c):
        c.request()
        c.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na")
        c.rest()

    f.g.space("demo-slow", slow)
    held = f.connect()
    held.send(f"GET / HTTP/1.1\r\nHost: {host('demo-slow')}\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")
    held.until(b"\r\n\r\na")
    c = f.connect()
    c.send(f"GET / HTTP/1.1\r\nHost: {host('demo-a')}\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n")
    r = c.response()
    assert r.status == 503 and r.get("retry-after")
    assert f.address("X-Forwarded-For: 192.0.2.2\r\n", c=c) == "192.0.2.2"
    held.reset()
    f.g.runner.none("WAKE", 0.2)
    assert f.address("X-Forwarded-For: 192.0.2.1\r\n", c=c) == "192.0.2.1"


def test_a_unix_socket(front, tmp_path):
    """Whoever may connect to it is a proxy of ours."""
    f = front(family=socket.AF_UNIX, path=str(tmp_path / "s"))
    assert f.address("X-Forwarded-For: 192.0.2.1\r\n") == "192.0.2.1"
    assert f.ask("")["x-forwarded-for"] == ["unknown"]


def test_a_unix_socket_with_headers_in_front(front, tmp_path):
    f = front(family=socket.AF_UNIX, path=str(tmp_path / "s"), flags=PROXIED)
    assert f.address("X-Forwarded-For: 6.6.6.6\r\n", before=v2("192.0.2.1")) == "192.0.2.1"


def test_ipv6(gateway):
    g = gateway()
    g.space("demo-a", echo_headers)
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as six:
        g.listen(six)
        s = socket.create_connection(six.getsockname()[:2], 5)
        c = Conn(s)
        c.send(f"GET / HTTP/1.1\r\nHost: {host('demo-a')}\r\n\r\n")
        fields = dict(json.loads(c.response().body)[1])
        assert fields["X-Forwarded-For"] == "::1" and fields["Forwarded"].startswith('for="[::1]";')
        c.close()
