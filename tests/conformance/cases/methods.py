"""Methods, and what they and the status say of the answer's body"""
from case import answer, both, case, closes, either, get, passed, refused

NO_BODY = "RFC 9110 6.4.1", "answers to HEAD, and those with 1xx, 204, 304, have no content"
D = b"Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n"


def second_is_right(r):
    return None if len(r.answers) == 2 and r.answers[1].body == b"second" and not r.malformed else "the next answer is not right"


SECOND = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond"
AB = [("GET", "/a"), ("GET", "/b")]
HB = [("HEAD", "/a"), ("GET", "/b")]
for m in ("PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "PURGE", "get", "M-SEARCH", "A!#$%&'*+-.^_`|~9"):
    case(f"method-{'token' if '!' in m else m}", "RFC 9110 9.1", "the method is case-sensitive, and goes on as it is", get("/a", method=m), either(passed(lambda q, r, m=m: None if q.method == m else f"it became {q.method}"),
         lambda r: None if r.status in (400, 405, 501) and not r.seen else "not answered"), clear=[(m, "/a")], methods=(m,))
case("trace", "RFC 9110 9.3.8", "TRACE would show fields to who must not see them: it goes on as it is, or is refused", get("/a", "Cookie: a=b\r\n", method="TRACE"),
     either(lambda r: None if r.status in (405, 501) and not r.seen else "not refused", passed(lambda m, r: None)), clear=[("TRACE", "/a")])
CONNECT = "RFC 9110 9.3.6", "CONNECT asks for a tunnel: a server that makes none MUST NOT answer with 2xx, nor take what follows for tunnelled data"
case("connect", *CONNECT, get("HOST:443", method="CONNECT"), both(lambda r: None if r.status not in (200, 204) and r.answers else "a tunnel", lambda r: None if not r.seen else "it went on"))
case("connect-without-port", "RFC 9110 9.3.6", "MUST reject a CONNECT for an empty or invalid port", get("HOST", method="CONNECT"), refused)
case("connect-bad-port", "RFC 9110 9.3.6", "MUST reject a CONNECT for an empty or invalid port", get("HOST:x", method="CONNECT"), refused)
case("connect-origin-form", "RFC 9112 3.2.3", "CONNECT MUST have the authority form", get("/a", method="CONNECT"), refused)
case("connect-then-request", *CONNECT, [get("HOST:443", method="CONNECT"), get("/evil")], lambda r: None if r.status not in (200, 204) and not any(m.method == "CONNECT" for m in r.seen) else "a tunnel",
     clear=[("GET", "/evil")])

case("head", *NO_BODY, [get("/a", method="HEAD"), get("/b")], both(passed(lambda m, r: None, n=2), second_is_right, lambda r: None if r.answers[0].get("content-length") in ("5", None) else "another length"),
     answers=[b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", SECOND], methods=("HEAD", "GET"), n=2, clear=HB)
case("head-chunked", *NO_BODY, [get("/a", method="HEAD"), get("/b")], both(passed(lambda m, r: None, n=2), second_is_right),
     answers=[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", SECOND], methods=("HEAD", "GET"), n=2, clear=HB)
case("head-without-length", *NO_BODY, [get("/a", method="HEAD"), get("/b")], both(passed(lambda m, r: None, n=2), second_is_right),
     answers=[b"HTTP/1.1 200 OK\r\n\r\n", SECOND], methods=("HEAD", "GET"), n=2, clear=HB)
case("head-with-a-body", "RFC 9110 9.3.2", "an answer to HEAD MUST NOT have content: what a demo sends there is none", [get("/a", method="HEAD"), 0.1, get("/b")],
     lambda r: None if r.answers and not r.answers[0].body and not r.malformed and not any(m.body == b"evil!" for m in r.answers) else "it went on",
     answers=[b"HTTP/1.1 200 OK\r\nContent-Length: 35\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nevil!", SECOND], methods=("HEAD", "GET"), n=2, clear=HB)
case("head-huge-length", *NO_BODY, [get("/a", method="HEAD"), get("/b")], both(passed(lambda m, r: None, n=2), second_is_right),
     answers=[b"HTTP/1.1 200 OK\r\nContent-Length: 123456789012\r\n\r\n", SECOND], methods=("HEAD", "GET"), n=2, clear=HB)
for s in (204, 304):
    case(f"status-{s}", *NO_BODY, [get("/a"), get("/b")], both(passed(lambda m, r: None, n=2, statuses=[s, 200]), second_is_right), answers=[b"HTTP/1.1 %d X\r\n%s\r\n" % (s, D), SECOND], n=2, clear=AB)
    case(f"status-{s}-with-a-body", *NO_BODY, [get("/a"), 0.1, get("/b")], lambda r: None if not r.malformed and not any(m.body == b"evil!" for m in r.answers) else "it went on",
         answers=[b"HTTP/1.1 %d X\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nevil!" % s, SECOND], n=2, clear=AB)
case("status-204-with-length", "RFC 9110 8.6", "MUST NOT send Content-Length in a 204", [get("/a"), get("/b")], both(passed(lambda m, r: None, n=2, statuses=[204, 200]), second_is_right),
     answers=[b"HTTP/1.1 204 X\r\nContent-Length: 0\r\n\r\n", SECOND], n=2, clear=AB)
case("status-204-chunked", "RFC 9112 6.1", "MUST NOT send Transfer-Encoding in a 204", get("/a"), either(answer(status=204), answer(status=502)),
     answers=[b"HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"], clear=[("GET", "/a")])
case("status-304-with-length", "RFC 9110 8.6", "Content-Length of a 304 is that of the 200: it has no body for that", [get("/a", "If-None-Match: \"a\"\r\n"), get("/b")],
     both(passed(lambda m, r: None, n=2, statuses=[304, 200]), second_is_right), answers=[b"HTTP/1.1 304 X\r\nContent-Length: 5\r\nETag: \"a\"\r\n\r\n", SECOND], n=2, clear=AB)
case("status-205", "RFC 9110 15.3.6", "a 205 has no content, and its length is said", [get("/a"), get("/b")], both(passed(lambda m, r: None, n=2, statuses=[205, 200]), second_is_right),
     answers=[b"HTTP/1.1 205 X\r\nContent-Length: 0\r\n\r\n", SECOND], n=2, clear=AB)
for s in (299, 418, 499, 599):
    case(f"status-{s}", "RFC 9110 15", "an unknown status is one of its class: it goes on", get("/a"), answer(status=s), answers=[b"HTTP/1.1 %d Odd\r\nContent-Length: 0\r\n\r\n" % s], clear=[("GET", "/a")])
case("early-hints", "RFC 9110 15.2", "a proxy MUST forward 1xx answers", get("/a"), answer(interims=[103], status=200), answers=[b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], clear=[("GET", "/a")])
case("three-interims", "RFC 9110 15.2", "a proxy MUST forward 1xx answers", get("/a"), answer(interims=[102, 103, 102], status=200),
     answers=[b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], clear=[("GET", "/a")])
case("interim-to-1.0", "RFC 9110 15.2", "MUST NOT send a 1xx to an HTTP/1.0 client", get("/a", version="1.0"), both(answer(interims=[], status=200), closes),
     answers=[b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], clear=[("GET", "/a")])
case("interim-with-length", "RFC 9110 8.6", "MUST NOT send Content-Length in a 1xx", get("/a"), either(answer(status=200), answer(status=502)),
     answers=[b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], clear=[("GET", "/a")])
case("date-is-added", "RFC 9110 6.6.1", "a recipient with a clock MUST add a Date to an answer that has none, when it goes on", get("/a"), answer(lambda m, r: None if m.get("date") else "no Date"),
     answers=[b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], clear=[("GET", "/a")])
case("date-is-kept", "RFC 9110 6.6.1", "Date is the origin's", get("/a"), answer(lambda m, r: None if m.get("date") == "Mon, 01 Jan 2024 00:00:00 GMT" else f"Date became {m.get('date')}"),
     answers=[b"HTTP/1.1 200 OK\r\n" + D + b"Content-Length: 0\r\n\r\n"], clear=[("GET", "/a")], level="property")
