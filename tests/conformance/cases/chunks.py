"""The chunked coding of requests"""
from case import body_is, case, either, get, has, hasnt, passed, rejected
from visitor import HALF

PARSE = "RFC 9112 7.1", "MUST be able to parse and decode the chunked coding"
BROKEN = "RFC 9112 7.1", "chunks that do not match the grammar: a recipient MAY make sense of them (9110 2.4), another one perhaps another"
START = [("POST", "/a")]


def chunked(body, fields=""):
    return get("/a", "Transfer-Encoding: chunked\r\n" + fields, method="POST") + body.encode("latin-1")


def good(name, body, want, *checks, ref=PARSE, fields=""):
    case(f"chunk-{name}", *ref, chunked(body, fields), passed(body_is(want), *checks), clear=[("POST", "/a", want)])


good("two", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde")
good("upper-hex", "A\r\n0123456789\r\n0\r\n\r\n", b"0123456789")
good("lower-hex", "a\r\n0123456789\r\n0\r\n\r\n", b"0123456789")
good("leading-zeros", "0003\r\nabc\r\n000\r\n\r\n", b"abc")
good("none", "0\r\n\r\n", b"")
good("crlf-as-data", "4\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n")
good("zero-as-data", "5\r\n0\r\n\r\n\r\n0\r\n\r\n", b"0\r\n\r\n")
EXT = "RFC 9112 7.1.1", "a recipient MUST ignore chunk extensions that it does not know"
good("extension", "3;a\r\nabc\r\n0\r\n\r\n", b"abc", ref=EXT)
good("extension-with-value", "3;a=b;c=d\r\nabc\r\n0;e=f\r\n\r\n", b"abc", ref=EXT)
good("extension-quoted", "3;a=\"b;c\\\"d\"\r\nabc\r\n0\r\n\r\n", b"abc", ref=EXT)
good("extension-blanks", "3 ; a = b\r\nabc\r\n0\r\n\r\n", b"abc", ref=EXT)
TRAILER = "RFC 9110 6.5.1", "a trailer field MUST NOT be merged into the header section unless it is known to be safe"
good("trailer", "3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n", b"abc", hasnt("x-sum"), ref=TRAILER)
for name in ("Content-Length: 9", "Transfer-Encoding: chunked", "Host: other.example", "Authorization: a", "Content-Type: a/b", "Cookie: a=b"):
    key = name.split(":")[0].lower()
    good(f"trailer-{key}", f"3\r\nabc\r\n0\r\n{name}\r\n\r\n", b"abc",
         lambda m, r, key=key: None if not [1 for k, v in m.trailers if k.lower() == key] and (key in ("host", "transfer-encoding") or m.get(key) is None or (key == "content-length" and m.get(key) == "3"))
         else f"{key} went on", ref=("RFC 9110 6.5.1", "fields for framing, routing and authentication MUST NOT be sent as trailers"))

for name, body in {
    "no-digits": "\r\nabc\r\n0\r\n\r\n", "letters": "x\r\nabc\r\n0\r\n\r\n", "plus": "+3\r\nabc\r\n0\r\n\r\n", "minus": "-3\r\nabc\r\n0\r\n\r\n", "0x": "0x3\r\nabc\r\n0\r\n\r\n",
    "blank-first": " 3\r\nabc\r\n0\r\n\r\n", "blank-behind": "3 \r\nabc\r\n0\r\n\r\n", "tab-behind": "3\t\r\nabc\r\n0\r\n\r\n", "comma": "3,\r\nabc\r\n0\r\n\r\n", "underscore": "0_3\r\nabc\r\n0\r\n\r\n",
    "lf-behind-size": "3\nabc\r\n0\r\n\r\n", "cr-behind-size": "3\rabc\r\n0\r\n\r\n", "lf-behind-data": "3\r\nabc\n0\r\n\r\n", "nothing-behind-data": "3\r\nabc0\r\n\r\n", "cr-cr": "3\r\nabc\r\r0\r\n\r\n",
    "data-longer": "3\r\nabcd\r\n0\r\n\r\n", "xx-behind-data": "3\r\nabcXX0\r\n\r\n", "nul-in-size": "3\0\r\nabc\r\n0\r\n\r\n", "8-bit-size": "3\xa0\r\nabc\r\n0\r\n\r\n", "vt-in-size": "3\x0b\r\nabc\r\n0\r\n\r\n",
    "lf-in-extension": "3;a\nb\r\nabc\r\n0\r\n\r\n", "cr-in-extension": "3;a\rb\r\nabc\r\n0\r\n\r\n", "nul-in-extension": "3;a\0\r\nabc\r\n0\r\n\r\n", "open-quote": "3;a=\"b\r\nabc\r\n0\r\n\r\n",
    "extension-without-name": "3;\r\nabc\r\n0\r\n\r\n", "lf-at-the-end": "3\r\nabc\r\n0\n\n", "lf-last": "3\r\nabc\r\n0\r\n\n", "cr-last": "3\r\nabc\r\n0\r\n\rX", "fullwidth": "\xef\xbc\x93\r\nabc\r\n0\r\n\r\n",
    "trailer-without-colon": "3\r\nabc\r\n0\r\nAb\r\n\r\n", "trailer-folded": "3\r\nabc\r\n0\r\nA: b\r\n c\r\n\r\n", "trailer-blank-before-colon": "3\r\nabc\r\n0\r\nA : b\r\n\r\n",
    "trailer-nul": "3\r\nabc\r\n0\r\nA: \0\r\n\r\n", "trailer-lf": "3\r\nabc\r\n0\r\nA: b\n\r\n", "zero-with-x": "3\r\nabc\r\n0X\r\n\r\n",
}.items():
    case(f"chunk-{name}", *BROKEN, chunked(body), rejected(400), starts=START, level="property")
for name, size in {"2^64": "10000000000000000", "2^64+3": "10000000000000003", "2^63": "8000000000000003", "2^256": "1" + "0" * 64, "2^32-in-64": "ffffffff00000003"}.items():
    case(f"chunk-size-{name}", "RFC 9112 7.1", "MUST anticipate large hexadecimal numerals, and prevent that they overflow", chunked(size + "\r\nabc\r\n0\r\n\r\n"), rejected(400, 413), starts=START)
case("chunk-size-2^32+3", "RFC 9112 7.1", "MUST anticipate large hexadecimal numerals, and prevent that they overflow", [chunked("100000003\r\nabc\r\n0\r\n\r\n"), HALF],
     lambda r: None if not r.seen else "it was taken for 3", starts=START, ends=True)
case("chunk-many-zeros", "RFC 9112 7.1", "a size of many digits is a number still, or refused", chunked("0" * 300 + "3\r\nabc\r\n0\r\n\r\n"), either(rejected(400, 413), passed(body_is(b"abc"))), clear=[("POST", "/a", b"abc")])
case("chunk-long-extension", "RFC 9112 7.1.1", "the total length of extensions is limited, and what is beyond is answered with a 4xx", chunked("3;a=" + "b" * 70000 + "\r\nabc\r\n0\r\n\r\n"),
     either(rejected(400, 413, 431), passed(body_is(b"abc"))), clear=[("POST", "/a", b"abc")])
case("chunk-many-trailers", "RFC 9110 6.5", "trailers beyond what it wishes to process are refused, or discarded", chunked("3\r\nabc\r\n0\r\n" + "X: y\r\n" * 5000 + "\r\n"),
     either(rejected(400, 413, 431), passed(body_is(b"abc"))), clear=[("POST", "/a", b"abc")])
CUT = "RFC 9112 8", "a chunked message without its zero-sized chunk is incomplete: MUST NOT be taken for whole"
for name, body in {"in-size": "3", "in-data": "3\r\nab", "behind-data": "3\r\nabc\r\n", "in-last": "3\r\nabc\r\n0\r\n", "at-once": ""}.items():
    case(f"chunk-cut-{name}", *CUT, [chunked(body), HALF], lambda r: None if not r.seen else "the demo saw it whole", starts=START, ends=True)
case("chunk-in-pieces", *PARSE, [chunked("")] + [x for b in b"3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n" for x in (bytes([b]), 0.002)], passed(body_is(b"abc")), clear=[("POST", "/a", b"abc")])
case("chunk-keeps-fields", "RFC 9110 5.1", "fields go on", chunked("3\r\nabc\r\n0\r\n\r\n", "Content-Type: text/plain\r\n"), passed(has("content-type", "text/plain")), clear=[("POST", "/a", b"abc")])
