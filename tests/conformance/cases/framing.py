"""Content-Length and Transfer-Encoding of requests"""
from case import ANY_4XX, body_is, both, case, closes, either, get, hasnt, passed, refused, rejected
from visitor import HALF

BAD_LENGTH = "RFC 9112 6.3", "an invalid Content-Length MUST be answered with 400, and the connection closed"
NOT_LAST = "RFC 9112 6.3", "a request whose final coding is not chunked MUST be answered with 400, and the connection closed"
BOTH = "RFC 9112 6.1", "with both, Content-Length MUST be removed before forwarding, and the connection closed after the answer; or it is rejected"


def post(fields, body="", version="1.1", target="/a"):
    return get(target, fields, method="POST", version=version) + body.encode("latin-1")


def length(value, body="abc"):
    return post(f"Content-Length: {value}\r\n", body)


case("length", "RFC 9112 6.3", "Content-Length is the length of the body", length("3"), passed(body_is(b"abc")), clear=[("POST", "/a", b"abc")])
case("length-zero", "RFC 9112 6.3", "Content-Length is the length of the body", length("0", ""), passed(body_is(b"")), clear=[("POST", "/a", b"")])
case("length-leading-zeros", "RFC 9110 8.6", "Content-Length is 1*DIGIT, of any number of digits", length("0003"), either(passed(body_is(b"abc")), rejected(400)), clear=[("POST", "/a", b"abc")])
case("length-between-blanks", "RFC 9112 5.1", "white space around a value is no part of it", length("\t 3 \t"), passed(body_is(b"abc")), clear=[("POST", "/a", b"abc")])
for name, v in {"sign": "+3", "negative": "-3", "hex": "0x3", "letters": "abc", "float": "3.0", "exponent": "3e0", "empty": "", "two-words": "3 3", "comma-other": "3, 4",
                "comma-alone": "3,", "quoted": "\"3\"", "semicolon": "3;a", "trailing-letter": "3a", "underscore": "1_0", "8-bit": "3\xa0", "vt": "\x0b3", "hex-letters": "c"}.items():
    case(f"length-{name}", *BAD_LENGTH, length(v), rejected(400, closes=True))
for name, v in {"2^63": 2**63, "2^64": 2**64, "2^64+3": 2**64 + 3, "10^30": 10**30, "10^400": 10**400}.items():
    case(f"length-{name}", "RFC 9110 8.6", "MUST anticipate large numerals, and prevent that they overflow", length(str(v)), either(rejected(400, 413, 431, closes=True)), starts=[("POST", "/a")])
case("length-2^32+3", "RFC 9110 8.6", "MUST anticipate large numerals, and prevent that they overflow", [length(str(2**32 + 3)), HALF],
     lambda r: None if not r.seen else "it was taken for 3", starts=[("POST", "/a")], ends=True)
case("lengths-differ", *BAD_LENGTH, post("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"), rejected(400, closes=True))
case("lengths-differ-apart", *BAD_LENGTH, post("Content-Length: 3\r\nX: y\r\ncontent-length: 0\r\n", "abc"), rejected(400, closes=True))
case("lengths-equal", "RFC 9110 8.6", "the same value twice: MUST reject, or replace with a single one", post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"),
     either(rejected(400), passed(body_is(b"abc"))), clear=[("POST", "/a", b"abc")])
case("lengths-equal-in-a-list", "RFC 9110 8.6", "the same value twice: MUST reject, or replace with a single one", length("3, 3"), either(rejected(400), passed(body_is(b"abc"))), clear=[("POST", "/a", b"abc")])
case("length-cut-short", "RFC 9112 8", "a message shorter than its Content-Length is incomplete: MUST NOT be taken for whole", [length("5"), HALF], lambda r: None if not r.seen else "the demo saw it whole",
     starts=[("POST", "/a")], ends=True)
case("no-length", "RFC 9112 6.3", "a request without both has a body of length zero", post(""), passed(body_is(b"")), clear=[("POST", "/a", b"")])
case("get-with-body", "RFC 9112 6", "the presence of a body is signalled by Content-Length or Transfer-Encoding, whatever the method", get("/a", body="abc"), passed(body_is(b"abc")), clear=[("GET", "/a", b"abc")])
case("length-in-1.0", "RFC 9112 6.3", "Content-Length is the length of the body", post("Content-Length: 3\r\n", "abc", "1.0"), passed(body_is(b"abc")), clear=[("POST", "/a", b"abc")])

CHUNKED = "3\r\nabc\r\n0\r\n\r\n"
case("chunked", "RFC 9112 7.1", "a recipient MUST be able to parse and decode the chunked coding", post("Transfer-Encoding: chunked\r\n", CHUNKED), passed(body_is(b"abc")), clear=[("POST", "/a", b"abc")])
case("chunked-upper-case", "RFC 9112 7", "names of codings are case-insensitive", post("TRANSFER-ENCODING: ChUnKeD\r\n", CHUNKED), passed(body_is(b"abc")), clear=[("POST", "/a", b"abc")])
case("chunked-get", "RFC 9112 6", "the presence of a body is signalled by Content-Length or Transfer-Encoding, whatever the method", get("/a", "Transfer-Encoding: chunked\r\n") + CHUNKED.encode(),
     passed(body_is(b"abc")), clear=[("GET", "/a", b"abc")])
for name, v in {"chunked-gzip": "chunked, gzip", "chunked-identity": "chunked, identity", "gzip": "gzip", "identity": "identity", "empty": "", "unknown": "cow",
                "chunked-x": "chunked, x", "xchunked": "xchunked", "chunkedx": "chunkedx", "chunk": "chunk", "quoted": "\"chunked\""}.items():
    case(f"coding-{name}", *NOT_LAST, post(f"Transfer-Encoding: {v}\r\n", CHUNKED), rejected(400, 501, closes=True))
case("coding-twice-chunked", "RFC 9112 7.1", "a sender MUST NOT apply chunked more than once: that is no valid framing", post("Transfer-Encoding: chunked, chunked\r\n", CHUNKED), rejected(400, 501))
case("coding-two-lines", "RFC 9112 7.1", "a sender MUST NOT apply chunked more than once: that is no valid framing", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", CHUNKED), rejected(400, 501))
case("coding-gzip-chunked", "RFC 9112 6.1", "a coding that it does not understand is answered with 501 (SHOULD), or goes on as it is", post("Transfer-Encoding: gzip, chunked\r\n", CHUNKED),
     either(rejected(*ANY_4XX), lambda r: None if r.garbage else "the coding is lost"), level="SHOULD")
case("coding-in-1.0", "RFC 9112 6.1", "Transfer-Encoding in HTTP/1.0: MUST treat as faulty, and close the connection", post("Transfer-Encoding: chunked\r\n", CHUNKED, "1.0"),
     either(rejected(400, closes=True), both(passed(body_is(b"abc")), closes)), clear=[("POST", "/a", b"abc")])
case("coding-in-1.0-keep-alive", "RFC 9112 6.1", "Transfer-Encoding in HTTP/1.0: MUST treat as faulty, and close the connection", post("Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n", CHUNKED, "1.0"),
     either(rejected(400, closes=True), both(passed(body_is(b"abc")), closes)), clear=[("POST", "/a", b"abc")])
case("length-and-coding", *BOTH, post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", CHUNKED), either(rejected(400, closes=True), both(passed(body_is(b"abc"), hasnt("content-length")), closes)), clear=[("POST", "/a", b"abc")])
case("coding-and-length", *BOTH, post("Transfer-Encoding: chunked\r\nContent-Length: 13\r\n", CHUNKED), either(rejected(400, closes=True), both(passed(body_is(b"abc"), hasnt("content-length")), closes)), clear=[("POST", "/a", b"abc")])
case("coding-and-bad-length", *BOTH, post("Transfer-Encoding: chunked\r\nContent-Length: x\r\n", CHUNKED), either(rejected(400, closes=True), both(passed(body_is(b"abc"), hasnt("content-length")), closes)), clear=[("POST", "/a", b"abc")])
case("cut-within-head", "RFC 9112 8", "an incomplete request is no request: it is not forwarded", [get("/a")[:-2], HALF], lambda r: None if not r.seen and not r.begun else "it went on", ends=True)
case("body-is-opaque", "RFC 9112 6", "a body is octets", length("26", "GET /evil HTTP/1.1\r\nA: b\r\n"), passed(body_is(b"GET /evil HTTP/1.1\r\nA: b\r\n")), clear=[("POST", "/a", b"GET /evil HTTP/1.1\r\nA: b\r\n")])
case("more-than-its-length", "RFC 9112 6.3", "what follows the body is the next request", length("3", "abcGARBAGE\r\n\r\n"), lambda r: None if len(r.seen) == 1 and r.seen[0].body == b"abc" and not r.garbage and
     (r.gone or len(r.answers) == 2) else "what followed was not refused", clear=[("POST", "/a", b"abc")], n=2)
case("tunnel-of-nothing", "RFC 9112 6.3", "no body can end with the connection in a request", [post("Connection: close\r\n"), b"abc", HALF], either(passed(body_is(b"")), refused), clear=[("POST", "/a", b"")])
