"""The plain way: a request to a running Space, and what the demo and the visitor see of it."""
import json

from harness import echo_headers, hello, host


def test_forward_and_reuse(gateway):
    g = gateway()
    w = g.space("demo-a", hello)
    c = g.connect()
    for i in range(20):
        c.send(f"GET /{i} HTTP/1.1\r\nHost: {host('demo-a')}\r\n\r\n")
        r = c.response()
        assert (r.status, r.body) == (200, b"/%d" % i)
        assert r.get("date") and not r.all("connection")
    assert w.demo.accepted == 1
    for i in range(5):  # other visitors use the same connection, or that of their loop
        assert g.get("demo-a", f"/v{i}").body == b"/v%d" % i
    assert w.demo.accepted <= g.threads
    assert g.runner.count("RESOLVE") == w.demo.accepted and g.runner.count("WAKE") == 0


def test_headers(gateway):
    g = gateway()
    g.space("demo-a", echo_headers)
    r = g.get("demo-a", "/x?y=1", "X-Forwarded-For: 6.6.6.6\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\nTE: trailers\r\n"
              "Forwarded: for=1.1.1.1\r\nX-Real-IP: 1.1.1.1\r\nX_Forwarded_For: 7.7.7.7\r\nx-hf-authorization: Bearer hf_x\r\n"
              "X_Hf_Authorization: Bearer hf_x\r\nProxy: evil\r\nKeep-Alive: 5\r\nProxy-Authorization: x\r\n"
              "Cookie: a=b\r\nAuthorization: Bearer keep\r\nX-Odd:value  \r\nX-Empty:\r\n")
    line, fields = json.loads(r.body)
    f = {}
    for k, v in fields:
        f.setdefault(k.lower(), []).append(v)
    assert line == "GET /x?y=1 HTTP/1.1"
    assert f["host"] == [host("demo-a")]
    assert f["x-forwarded-for"] == ["127.0.0.1"] and f["x-forwarded-host"] == [host("demo-a")]
    assert f["x-forwarded-proto"] == ["http"]
    assert f["forwarded"] == [f'for=127.0.0.1;host="{host("demo-a")}";proto=http']
    assert f["cookie"] == ["a=b"] and f["authorization"] == ["Bearer keep"]
    assert f["x-odd"] == ["value"] and f["x-empty"] == [""]
    assert f["via"] == ["1.1 vitrine"]
    for gone in ("x-hop", "connection", "te", "x-real-ip", "x_forwarded_for", "x-hf-authorization", "x_hf_authorization",
                 "proxy", "keep-alive", "proxy-authorization"):
        assert gone not in f, gone


def test_absolute_form_and_ports(gateway):
    g = gateway()
    g.space("demo-a", echo_headers)
    c = g.connect()
    c.send(f"GET http://{host('demo-a')}:8080/p HTTP/1.1\r\nHost: other\r\n\r\n")
    line, fields = json.loads(c.response().body)
    assert line == "GET /p HTTP/1.1"
    assert [v for k, v in fields if k.lower() == "host"] == [host("demo-a") + ":8080"]
    c.send("GET /q HTTP/1.1\r\nHost: DEMO-A.LocalHost.:99\r\n\r\n")
    line, fields = json.loads(c.response().body)
    assert ["Host", "DEMO-A.LocalHost.:99"] in fields


def test_answer_fields_of_a_demo(gateway):
    g = gateway()

    def demo(c):
        while c.request():
            c.answer("x", fields="Set-Cookie: a=1; Domain=localhost; Path=/; HttpOnly\r\nSet-Cookie: b=domain=x; domain = .x ;Secure\r\n"
                     "Strict-Transport-Security: max-age=1\r\nAlt-Svc: h3\r\nClear-Site-Data: *\r\nKeep-Alive: 3\r\nConnection: X-Own\r\n"
                     "X-Own: 1\r\nX-Kept: yes\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n")

    g.space("demo-a", demo)
    r = g.get("demo-a")
    assert r.all("set-cookie") == ["a=1; Path=/; HttpOnly", "b=domain=x;Secure"]
    assert r.all("x-kept") == ["yes"] and r.all("date") == ["Sun, 06 Nov 1994 08:49:37 GMT"]
    for gone in ("strict-transport-security", "alt-svc", "clear-site-data", "keep-alive", "x-own", "connection"):
        assert not r.all(gone), gone


def test_the_site(gateway):
    def site(c):
        while r := c.request():
            c.answer("site " + r[0].split()[1], fields="Set-Cookie: a=1; Domain=localhost\r\nStrict-Transport-Security: max-age=1\r\n")

    g = gateway(site=site)
    r = g.get("", "/healthz")
    assert r.body == b"site /healthz"
    assert r.all("set-cookie") == ["a=1; Domain=localhost"] and r.all("strict-transport-security") == ["max-age=1"]
    assert g.get("", "/2").body == b"site /2"


def test_unknown_hosts(gateway):
    g = gateway()
    for h in ("no-such.localhost", "example.com", "a.b.localhost", "localhost.evil", "127.0.0.1", "[::1]:80"):
        c = g.connect()
        c.send(f"GET / HTTP/1.1\r\nHost: {h}\r\nAccept: */*\r\n\r\n")
        r = c.response()
        assert r.status == 404 and json.loads(r.body)["error"], h
    r = g.get("no-such", headers="Accept: text/html\r\n")
    assert r.status == 404 and r.get("content-type").startswith("text/html") and b"<html" in r.body


def test_head_204_304(gateway):
    g = gateway()

    def demo(c):
        while r := c.request():
            what = r[0].split()
            if what[0] == "HEAD":
                c.send("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n")
            elif what[1] == "/204":
                c.send("HTTP/1.1 204 No Content\r\n\r\n")
            elif what[1] == "/304":
                c.send("HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\nETag: \"x\"\r\n\r\n")
            else:
                c.answer("ok")

    w = g.space("demo-a", demo)
    c = g.connect()
    for method, path, status, length in (("HEAD", "/", 200, "1234"), ("GET", "/204", 204, None), ("GET", "/304", 304, "77"),
                                         ("GET", "/", 200, "2")):
        c.send(f"{method} {path} HTTP/1.1\r\nHost: {host('demo-a')}\r\n\r\n")
        r = c.response(method)
        assert (r.status, r.get("content-length")) == (status, length)
    assert w.demo.accepted == 1


def test_http_1_0(gateway):
    g = gateway()

    def demo(c):
        c.request()
        c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")

    g.space("demo-a", demo)
    c = g.connect()
    c.send(f"GET / HTTP/1.0\r\nHost: {host('demo-a')}\r\n\r\n")
    r = c.response()
    assert r.body == b"abc" and not r.all("transfer-encoding") and r.all("connection") == ["close"]


def test_answer_to_the_end_becomes_chunks(gateway):
    g = gateway()

    def demo(c):
        c.request()
        c.send("HTTP/1.0 200 OK\r\n\r\nall of it")

    g.space("demo-a", demo)
    c = g.connect()
    for _ in range(2):  # the visitor's connection lives on
        c.send(f"GET / HTTP/1.1\r\nHost: {host('demo-a')}\r\n\r\n")
        r = c.response()
        assert r.body == b"all of it" and r.get("transfer-encoding") == "chunked"


def test_pipelining(gateway):
    g = gateway()
    g.space("demo-a", hello)
    c = g.connect()
    n = 200
    c.send("".join(f"GET /{i} HTTP/1.1\r\nHost: {host('demo-a')}\r\n\r\n" for i in range(n)))
    for i in range(n):
        assert c.response().body == b"/%d" % i


def test_pipelined_bodies_and_hosts(gateway):
    g = gateway()

    def demo(c):
        while r := c.request():
            c.answer(r[2] or b"none")

    g.space("demo-a", demo)
    g.space("demo-b", hello)
    c = g.connect()
    a, b = host("demo-a"), host("demo-b")
    c.send(f"POST / HTTP/1.1\r\nHost: {a}\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nHost: {b}\r\n\r\n"
           f"POST / HTTP/1.1\r\nHost: {a}\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nde\r\n1\r\nf\r\n0\r\n\r\n"
           f"GET /none HTTP/1.1\r\nHost: no.localhost\r\n\r\nGET /c HTTP/1.1\r\nHost: {b}\r\n\r\n")
    assert [(r.status, r.body[:4]) for r in (c.response() for _ in range(5))] == [
        (200, b"abc"), (200, b"/b"), (200, b"def"), (404, b'{"er'), (200, b"/c")]


def test_half_closed_visitor_gets_its_answer(gateway):
    g = gateway()
    g.space("demo-a", hello)
    c = g.connect()
    c.send(f"GET /1 HTTP/1.1\r\nHost: {host('demo-a')}\r\n\r\nGET /2 HTTP/1.1\r\nHost: {host('demo-a')}\r\n\r\n")
    c.half_close()
    assert c.response().body == b"/1" and c.response().body == b"/2"
    assert c.closed()


def test_connection_close_is_heeded(gateway):
    g = gateway()
    g.space("demo-a", hello)
    c = g.connect()
    c.send(f"GET /1 HTTP/1.1\r\nHost: {host('demo-a')}\r\nConnection: close\r\n\r\n")
    r = c.response()
    assert r.body == b"/1" and r.all("connection") == ["close"] and c.closed()
