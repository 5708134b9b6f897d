"""100-continue, and answers that come before the request is whole"""
from case import answer, body_is, both, case, get, passed
from origin import BODY
from visitor import HALF, Answers, Begun, Interims

EXPECT = "RFC 9110 10.1.1", "MUST send 100 or a final status, or forward the expectation; and MUST NOT wait for the body before"
HEAD = get("/a", "Expect: 100-continue\r\nContent-Length: 3\r\n", method="POST")
CLEAR = [("POST", "/a", b"abc")]
START = [("POST", "/a")]
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

case("expect", *EXPECT, [HEAD, Interims(1), b"abc"], both(passed(body_is(b"abc")), lambda r: None if [m.status for m in r.interims][:1] == [100] else "no 100"), answers=[[CONTINUE, BODY, OK]], clear=CLEAR, starts=START)
case("expect-upper-case", "RFC 9110 10.1.1", "the expectation is case-insensitive", [HEAD.replace(b"100-continue", b"100-CONTINUE"), Interims(1), b"abc"], both(passed(body_is(b"abc")), lambda r: None if r.interims else "no 100"), answers=[[CONTINUE, BODY, OK]],
     clear=CLEAR, starts=START)
case("expect-chunked", *EXPECT, [get("/a", "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", method="POST"), Interims(1), b"3\r\nabc\r\n0\r\n\r\n"], both(passed(body_is(b"abc")), lambda r: None if r.interims else "no 100"),
     answers=[[CONTINUE, BODY, OK]], clear=CLEAR, starts=START)
case("expect-not-waited-for", "RFC 9110 10.1.1", "a client need not wait: the body follows at once", HEAD + b"abc", passed(body_is(b"abc")), answers=[[CONTINUE, BODY, OK]], clear=CLEAR, starts=START)
case("expect-demo-knows-nothing", "RFC 9110 10.1.1", "a server MAY omit 100 where the body has begun to come", [HEAD, 0.1, b"abc"], passed(body_is(b"abc")), answers=[[BODY, OK]], clear=CLEAR, starts=START)
case("expect-refused", *EXPECT, [HEAD, Answers(1)], lambda r: None if r.status == 417 and not r.seen else "the refusal did not come", answers=[[b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n", BODY]], clear=CLEAR, starts=START)
case("expect-in-1.0", "RFC 9110 10.1.1", "MUST ignore the expectation in HTTP/1.0, and send it no 1xx", get("/a", "Expect: 100-continue\r\nContent-Length: 3\r\n", method="POST", version="1.0") + b"abc",
     both(passed(body_is(b"abc")), lambda r: None if not r.interims else "a 100"), answers=[[CONTINUE, BODY, OK]], clear=CLEAR, starts=START)
case("expect-without-body", "RFC 9110 10.1.1", "without a body the expectation says nothing", get("/a", "Expect: 100-continue\r\n"), passed(lambda m, r: None), clear=[("GET", "/a")])
case("expect-unknown", "RFC 9110 10.1.1", "an expectation that it does not know MAY be answered with 417", get("/a", "Expect: a-cake\r\n"), lambda r: None if r.status in (200, 417) else "neither", clear=[("GET", "/a")], level="property")
case("two-continues", "RFC 9110 15.2", "a proxy MUST forward 1xx answers; a client takes more than one", [HEAD, Interims(1), b"abc"], both(passed(body_is(b"abc")), lambda r: None if r.interims else "no 100"), answers=[[CONTINUE + CONTINUE, BODY, OK]], clear=CLEAR, starts=START)
case("early-413", "RFC 9112 9.3", "a server may answer early; the answer gets to the visitor", [get("/a", "Content-Length: 1000000\r\n", method="POST"), b"a" * 1000, Begun(), Answers(1)], lambda r: None if r.status == 413 else "it did not",
     answers=[[b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n", BODY]], starts=START)
case("early-200-whole-upload", "RFC 9112 9.3", "an early answer and the rest of the upload do not harm one another", [get("/a", "Content-Length: 3000\r\n", method="POST"), b"a" * 1000, Begun(), 0.1, b"a" * 2000], answer(), answers=[[OK, BODY]],
     clear=[("POST", "/a", b"a" * 3000)], starts=START)
case("half-closed-visitor", "RFC 9112 9.6", "a client may half-close and still get its answer", [get("/a"), HALF], passed(lambda m, r: None), answers=[[0.1, OK]], clear=[("GET", "/a")], level="property")
case("half-closed-upload", "RFC 9112 9.6", "a client may half-close and still get its answer", [get("/a", body="abc", method="POST"), HALF], passed(body_is(b"abc")), answers=[[0.1, OK]], clear=CLEAR, level="property")
