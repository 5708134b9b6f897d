"""Persistence, pipelines, the end of connections"""
from case import both, case, closes, either, get, passed
from visitor import Answers

AB = [("GET", "/a"), ("GET", "/b")]
PIPE = "RFC 9112 9.3.2", "a server MUST send the answers of a pipeline in the order of its requests"


def in_order(*texts):
    def right(r):
        got = [m.body.decode("latin-1") for m in r.answers]
        return None if got == list(texts) and not r.malformed else f"the answers are {got}"
    return right


def stays(r):
    return None if not r.gone else "the connection was closed"


case("keep-alive", "RFC 9112 9.3", "HTTP/1.1 connections persist unless close is said", [get("/a"), Answers(1), get("/b")], both(in_order("GET /a", "GET /b"), stays), clear=AB, n=2)
case("pipeline", *PIPE, get("/a") + get("/b"), in_order("GET /a", "GET /b"), clear=AB, n=2)
case("pipeline-of-20", *PIPE, b"".join(get(f"/{i}") for i in range(20)), in_order(*[f"GET /{i}" for i in range(20)]), clear=[("GET", f"/{i}") for i in range(20)], n=20)
case("pipeline-slow-first", *PIPE, get("/a") + get("/b"), in_order("slow", "GET /b"), answers=[[0.1, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow"], None], clear=AB, n=2)
case("pipeline-with-bodies", *PIPE, get("/a", body="one", method="POST") + get("/b", body="two", method="PUT") + get("/c"), both(in_order("POST /a", "PUT /b", "GET /c"), lambda r: None if [m.body for m in r.seen] == [b"one", b"two", b""] else "other bodies"),
     clear=[("POST", "/a", b"one"), ("PUT", "/b", b"two"), ("GET", "/c")], n=3)
case("pipeline-with-chunks", *PIPE, get("/a", "Transfer-Encoding: chunked\r\n", method="POST") + b"3\r\none\r\n0\r\nX: y\r\n\r\n" + get("/b"), in_order("POST /a", "GET /b"), clear=[("POST", "/a", b"one"), ("GET", "/b")], n=2)
case("pipeline-with-head", *PIPE, get("/a", method="HEAD") + get("/b"), in_order("", "GET /b"), methods=("HEAD", "GET"), clear=[("HEAD", "/a"), ("GET", "/b")], n=2)
case("pipeline-then-bad", "RFC 9112 9.3", "what was right before is answered, what is malformed refused", get("/a") + b"G(T / HTTP/1.1\r\nHost: HOST\r\n\r\n", lambda r: None if r.answers and r.answers[0].body == b"GET /a" and len(r.seen) == 1 and r.gone else "not so",
     clear=[("GET", "/a")], n=2)
case("empty-line-between", "RFC 9112 2.2", "an empty line before a request SHOULD be ignored", get("/a") + b"\r\n" + get("/b"), in_order("GET /a", "GET /b"), clear=AB, n=2, level="SHOULD")
CLOSE = "RFC 9112 9.6", "with close, MUST close after the answer, and MUST NOT process further requests"
case("close", *CLOSE, get("/a", "Connection: close\r\n"), both(passed(lambda m, r: None), closes), clear=[("GET", "/a")])
case("close-in-a-list", *CLOSE, get("/a", "Connection: x, CLOSE\r\n"), both(passed(lambda m, r: None), closes), clear=[("GET", "/a")])
case("close-second-line", *CLOSE, get("/a", "Connection: keep-alive\r\nConnection: close\r\n"), both(passed(lambda m, r: None), closes), clear=[("GET", "/a")])
case("close-beats-keep-alive", *CLOSE, get("/a", "Connection: keep-alive, close\r\n"), both(passed(lambda m, r: None), closes), clear=[("GET", "/a")])
case("close-then-request", *CLOSE, get("/a", "Connection: close\r\n") + get("/b"), both(passed(lambda m, r: None), closes), clear=[("GET", "/a")])
case("close-is-said", "RFC 9112 9.6", "a server that does not persist says close (SHOULD)", get("/a", "Connection: close\r\n"), lambda r: None if r.answers and "close" in (r.answers[0].get("connection") or "").lower() else "not said", clear=[("GET", "/a")], level="SHOULD")
OLD = "RFC 9112 9.3", "HTTP/1.0 persists only where keep-alive is asked for, and a proxy MUST NOT persist with an HTTP/1.0 client"
case("1.0-closes", *OLD, get("/a", version="1.0"), both(passed(lambda m, r: None), closes), clear=[("GET", "/a")])
case("1.0-keep-alive", *OLD, get("/a", "Connection: keep-alive\r\n", version="1.0"), either(both(passed(lambda m, r: None), closes)), clear=[("GET", "/a")])
case("1.0-then-request", *OLD, get("/a", version="1.0") + get("/b", version="1.0"), both(passed(lambda m, r: None), closes), clear=[("GET", "/a")])
case("1.0-without-host", "RFC 9112 3.2", "only an HTTP/1.1 request MUST have a Host", get("/a", host=None, version="1.0"), lambda r: None if r.status and r.status != 400 else "refused as malformed", clear=[("GET", "/a")])
case("demo-closes-idle", "RFC 9110 9.2.2", "an idempotent request may be repeated on another connection", [get("/a"), Answers(1), 0.15, get("/b")], lambda r: None if r.statuses == [200, 200] else "it failed",
     answers=[[b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 0.05, "close"], None], clear=AB, n=2, level="property")
case("post-is-not-repeated", "RFC 9110 9.2.2", "a proxy MUST NOT automatically retry what is not idempotent", get("/a", method="POST", body="abc"), lambda r: None if len(r.seen) == 1 else f"the demo saw it {len(r.seen)} times",
     answers=[[0.02, "close"]], clear=[("POST", "/a")] * 3)
case("answer-before-body-keeps-order", "RFC 9112 9.3.2", "the next request is answered after the one before, or not at all", get("/a", body="abc", method="POST") + get("/b"), in_order("POST /a", "GET /b"), clear=[("POST", "/a", b"abc"), ("GET", "/b")], n=2)
