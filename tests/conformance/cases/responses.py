"""What a demo answers: broken, doubtful, cut off"""
from case import answer, both, case, either, get, passed, visibly_cut
from origin import CLOSE, RESET

GET = [("GET", "/a")]
AB = [("GET", "/a"), ("GET", "/b")]
OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = "RFC 9112 6.3", "an answer with an invalid Content-Length: a proxy MUST close, discard it, and send a 502"
GRAMMAR = "RFC 9110 2.2", "MUST NOT generate protocol elements that do not match the grammar: what is malformed goes to no visitor as it is"


def not_as_it_is(r):
    """A 502, or what went on is well-formed."""
    return f"the visitor got no HTTP: {r.malformed}" if r.malformed else None if r.answers or r.gone else "no answer"


for name, fields in {"letters": "Content-Length: abc", "negative": "Content-Length: -2", "sign": "Content-Length: +2", "hex": "Content-Length: 0x2", "two-differ": "Content-Length: 2\r\nContent-Length: 4",
                     "list-differs": "Content-Length: 2, 4", "float": "Content-Length: 2.0", "2^64": f"Content-Length: {2**64}", "2^64+2": f"Content-Length: {2**64 + 2}", "10^40": f"Content-Length: {10**40}", "empty": "Content-Length:",
                     "blank-within": "Content-Length: 2 2"}.items():
    case(f"answer-length-{name}", *LENGTH, get("/a"), answer(status=502), answers=[[OK + fields.encode() + b"\r\n\r\nok", CLOSE]], clear=GET)
for name, fields in {"equal": "Content-Length: 2\r\nContent-Length: 2", "list-equal": "Content-Length: 2, 2"}.items():
    case(f"answer-lengths-{name}", "RFC 9110 8.6", "the same value twice: MUST reject, or replace with a single one", get("/a"), either(answer(status=502), answer(lambda m, r: None if m.body == b"ok" and len(m.all("content-length")) <= 1
         else "twice")), answers=[[OK + fields.encode() + b"\r\n\r\nok", CLOSE]], clear=GET)
case("answer-length-and-coding", "RFC 9112 6.3", "with both, Transfer-Encoding overrides, and Content-Length MUST be removed when it goes on; or it is an error", get("/a"),
     either(answer(status=502), answer(lambda m, r: None if m.body == b"ok" else "another body")), answers=[OK + b"Content-Length: 40\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"], clear=GET)
case("answer-coding-and-length", "RFC 9112 6.3", "with both, Transfer-Encoding overrides, and Content-Length MUST be removed when it goes on; or it is an error", get("/a"),
     either(answer(status=502), answer(lambda m, r: None if m.body == b"ok" else "another body")), answers=[OK + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n2\r\nok\r\n0\r\n\r\n"], clear=GET)

COLON = "RFC 9112 5.1", "MUST remove white space before the colon of an answer's field before forwarding"
for name, field in {"blank": b"A : b", "tab": b"A\t: b", "length": b"Content-Length : 2", "coding": b"Transfer-Encoding : chunked"}.items():
    case(f"answer-colon-{name}", *COLON, get("/a"), not_as_it_is, answers=[[OK + field + b"\r\n\r\nok", CLOSE]], clear=GET)
FOLD = "RFC 9112 5.2", "obs-fold in an answer: MUST discard it and send 502, or replace it with SP"
for name, field in {"blank": b"A: b\r\n c", "tab": b"A: b\r\n\tc", "coding": b"Transfer-Encoding:\r\n chunked"}.items():
    case(f"answer-fold-{name}", *FOLD, get("/a"), not_as_it_is, answers=[[OK + field + b"\r\nContent-Length: 2\r\n\r\nok", CLOSE]], clear=GET)
for name, byte in {"nul": b"\0", "cr": b"\r", "lf": b"\n"}.items():
    case(f"answer-value-{name}", "RFC 9110 5.5", "CR, LF or NUL in a value: MUST reject, or replace each with SP", get("/a"), both(not_as_it_is, lambda r, name=name: None if r.status in (502, 500) or (r.answers and (r.answers[0].get("x-evil") is None or name == "lf"))
         else "a field was injected"), answers=[[OK + b"A: b" + byte + b"X-Evil: c\r\nContent-Length: 2\r\n\r\nok", CLOSE]], clear=GET)

for name, head in {"no-status": b"HTTP/1.1\r\n", "letters": b"HTTP/1.1 2x0 OK\r\n", "four-digits": b"HTTP/1.1 2000 OK\r\n", "two-digits": b"HTTP/1.1 20 OK\r\n", "negative": b"HTTP/1.1 -20 OK\r\n", "0.9": b"<html>hello\r\n",
                   "no-http": b"ICY 200 OK\r\n", "lower": b"http/1.1 200 OK\r\n", "2.0": b"HTTP/2.0 200 OK\r\n", "tab": b"HTTP/1.1\t200 OK\r\n", "two-blanks": b"HTTP/1.1  200 OK\r\n", "bare-lf": b"HTTP/1.1 200 OK\n", "nul-in-reason": b"HTTP/1.1 200 O\0K\r\n",
                   "cr-in-reason": b"HTTP/1.1 200 O\rK\r\n"}.items():
    case(f"answer-line-{name}", *GRAMMAR, get("/a"), not_as_it_is, answers=[[head + b"Content-Length: 2\r\n\r\nok", CLOSE]], clear=GET)
case("answer-field-without-colon", *GRAMMAR, get("/a"), not_as_it_is, answers=[[OK + b"Ab\r\nContent-Length: 2\r\n\r\nok", CLOSE]], clear=GET)
case("answer-field-without-name", *GRAMMAR, get("/a"), not_as_it_is, answers=[[OK + b": b\r\nContent-Length: 2\r\n\r\nok", CLOSE]], clear=GET)
case("answer-no-reason", "RFC 9112 4", "the reason may be empty, its blank MUST be there", get("/a"), answer(), answers=[b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"], clear=GET)
case("answer-8-bit-reason", "RFC 9112 4", "the reason is text that nobody needs", get("/a"), answer(), answers=[b"HTTP/1.1 200 \xc3\xa4\r\nContent-Length: 0\r\n\r\n"], clear=GET)
case("answer-of-1.0", "RFC 9112 2.3", "an intermediary MUST send its own version", get("/a"), answer(lambda m, r: None if m.minor == 1 else "HTTP/1.0 went on"), answers=[[b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", CLOSE]], clear=GET)
case("answer-of-1.0-to-the-end", "RFC 9112 6.3", "without both the body ends with the connection", get("/a"), answer(lambda m, r: None if m.body == b"hello" else "another body"),
     answers=[[b"HTTP/1.0 200 OK\r\n\r\nhello", CLOSE]], clear=GET, n=2, ends=False)
case("answer-coding-in-1.0", "RFC 9112 6.1", "Transfer-Encoding in HTTP/1.0 MUST be treated as faulty framing", get("/a"), either(answer(status=502), visibly_cut, answer(lambda m, r: None if m.body in (b"ok", b"2\r\nok\r\n0\r\n\r\n") else "another body")),
     answers=[[b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", CLOSE]], clear=GET)
case("set-cookie-stays-apart", "RFC 9110 5.3", "Set-Cookie is not a list: its lines are not combined", get("/a"), answer(lambda m, r: None if m.all("set-cookie") == ["a=b", "c=d"] else "they were"),
     answers=[OK + b"Set-Cookie: a=b\r\nSet-Cookie: c=d\r\nContent-Length: 0\r\n\r\n"], clear=GET)
case("answer-order-of-lines", "RFC 9110 5.3", "MUST NOT change the order of field lines of the same name", get("/a"), answer(lambda m, r: None if m.get("a") == "1, 2, 3" else f"they became {m.get('a')}"),
     answers=[OK + b"A: 1\r\nB: x\r\na: 2\r\nA: 3\r\nContent-Length: 0\r\n\r\n"], clear=GET)

CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
case("answer-chunked", "RFC 9112 7.1", "MUST be able to parse and decode the chunked coding", get("/a"), answer(lambda m, r: None if m.body == b"hello" else "another body"), answers=[CHUNKED + b"3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"], clear=GET)
case("answer-chunked-to-1.0", "RFC 9112 6.1", "MUST NOT send Transfer-Encoding to a client of HTTP/1.0", get("/a", version="1.0"), lambda r: None if r.answers and r.answers[0].body == b"hello" and r.answers[0].get("transfer-encoding") is None
     else "not as 1.0 wants it", answers=[CHUNKED + b"5\r\nhello\r\n0\r\n\r\n"], clear=GET, n=2)
case("answer-trailers", "RFC 9110 6.5.1", "MUST NOT merge a trailer into the header section", get("/a"), answer(lambda m, r: None if m.get("x-sum") is None else "it was"), answers=[CHUNKED + b"2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"], clear=GET)
for name, body in {"size": b"x\r\nok\r\n0\r\n\r\n", "sign": b"+2\r\nok\r\n0\r\n\r\n", "0x": b"0x2\r\nok\r\n0\r\n\r\n", "longer": b"2\r\nokok\r\n0\r\n\r\n", "lf": b"2\nok\n0\n\n", "2^64+2": b"10000000000000002\r\nok\r\n0\r\n\r\n", "trailer": b"2\r\nok\r\n0\r\nAb\r\n\r\n",
                   "lf-behind-data": b"2\r\nok\n0\r\n\r\n", "cr-in-extension": b"2;a\rb\r\nok\r\n0\r\n\r\n"}.items():
    case(f"answer-chunk-{name}", "RFC 9112 8", "a chunked answer without a valid end is incomplete: it MUST NOT look whole", get("/a"), visibly_cut, answers=[[CHUNKED + body, CLOSE]], clear=GET, level="property" if name in ("lf", "trailer", "lf-behind-data", "cr-in-extension") else "MUST")
for name, step in {"closed": CLOSE, "reset": RESET}.items():
    case(f"answer-length-{name}", "RFC 9112 8", "an answer shorter than its length is incomplete: it MUST NOT look whole", get("/a"), visibly_cut, answers=[[OK + b"Content-Length: 10\r\n\r\nhello", 0.05, step]], clear=GET, n=2)
    case(f"answer-chunked-{name}", "RFC 9112 8", "a chunked answer without its zero-sized chunk is incomplete: it MUST NOT look whole", get("/a"), visibly_cut, answers=[[CHUNKED + b"5\r\nhello\r\n", 0.05, step]], clear=GET, n=2)
    case(f"answer-head-{name}", "RFC 9112 8", "an answer that ends within its head is none", get("/a"), either(answer(status=502), visibly_cut), answers=[[OK + b"Content-Le", 0.05, step]], clear=GET)
case("answer-to-the-end-reset", "RFC 9112 8", "an end that is a fault MUST NOT look like an end", get("/a"), visibly_cut, answers=[[OK + b"\r\nhello", 0.05, RESET]], clear=GET, n=2)
case("answer-nothing", "RFC 9110 15.6.3", "a gateway that gets no valid answer says so with 502", get("/a", method="POST", body="x"), answer(status=502), answers=[[CLOSE]], clear=[("POST", "/a")])
case("answer-with-more", "RFC 9112 6.3", "MUST NOT process, cache or forward what follows an answer as another one", [get("/a"), 0.15, get("/b")], lambda r: None if not r.malformed and not any(b"evil" in m.body for m in r.answers) and r.answers[0].body == b"ok" else "it went on",
     answers=[OK + b"Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond"], clear=AB, n=2)
case("answer-with-more-chunked", "RFC 9112 6.3", "MUST NOT process, cache or forward what follows an answer as another one", [get("/a"), 0.15, get("/b")], lambda r: None if not r.malformed and not any(b"evil" in m.body for m in r.answers) else "it went on",
     answers=[CHUNKED + b"2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond"], clear=AB, n=2)
case("answer-unasked-later", "RFC 9112 6.3", "MUST NOT forward what comes on an idle connection as an answer", [get("/a"), 0.3, get("/b")], lambda r: None if not r.malformed and not any(b"evil" in m.body for m in r.answers) else "it went on",
     answers=[[OK + b"Content-Length: 2\r\n\r\nok", 0.1, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"], b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond"], clear=AB, n=2)
case("answer-too-long-a-head", "RFC 9110 5.4", "fields beyond what it wishes to process: a gateway says 502, or passes them whole", get("/a"), either(answer(status=502), answer(lambda m, r: None if len(m.get("a")) == 60000 else "cut")),
     answers=[OK + b"A: " + b"b" * 60000 + b"\r\nContent-Length: 0\r\n\r\n"], clear=GET)
case("answer-101-unasked", "RFC 9110 7.8", "MUST NOT switch to a protocol that the client did not ask for", get("/a"), lambda r: None if r.status != 101 else "it went on", answers=[[b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", 0.2, CLOSE]],
     clear=GET)
case("answer-coding-gzip", "RFC 9112 6.1", "a coding that the visitor did not ask for by TE MUST NOT go on but for chunked", get("/a"), either(answer(status=502), visibly_cut), answers=[[OK + b"Transfer-Encoding: gzip\r\n\r\nxx", CLOSE]], clear=GET)
case("answer-twice-chunked", "RFC 9112 7.1", "MUST NOT apply chunked more than once", get("/a"), either(answer(status=502), visibly_cut, passed(lambda m, r: None if r.answers[0].all("transfer-encoding") in ([], ["chunked"]) else "it went on")),
     answers=[[OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", CLOSE]], clear=GET)
