"""Request line and version"""
from case import ANY_4XX, case, either, get, nothing_malformed, passed, refused, rejected, target_is
from visitor import SETTLE

GRAMMAR = "RFC 9110 2.2", "MUST NOT generate protocol elements that do not match the grammar: what is malformed goes to no demo as it is"
KEEP = "RFC 9110 7.7", "MUST NOT modify the absolute-path and query parts of the target URI when forwarding"

case("simple-get", "RFC 9112 2.1", "a message is a start line, fields, an empty line and perhaps a body", get("/a"), passed(target_is("/a")), clear=[("GET", "/a")])
for name, t in {"dots": "/a/../b/./c", "two-slashes": "//a//b", "escaped-slash": "/a%2Fb", "escaped-letter": "/%61%7e%7E", "escaped-dots": "/%2e%2e/%2E",
                "query": "/a?b=c&d=/e?f", "empty-query": "/a?", "semicolon": "/a;b=c/d;e", "percent-alone": "/100%/a%zz", "escaped-nul": "/a%00b",
                "escaped-crlf": "/a%0d%0aX:%20y", "colon-first": "/a:b@c", "long": "/" + "a" * 4000}.items():
    case(f"target-{name}", *KEEP, get(t), either(passed(target_is(t)), rejected(400)), clear=[("GET", t)])

for n in (9000, 70000):
    t = "/" + "a" * n
    case(f"target-of-{n}", "RFC 9112 3", "a target longer than it wishes to parse MUST be answered with 414", get(t),
         either(passed(target_is(t)), rejected(414)), clear=[("GET", t)])

REST = b" HTTP/1.1\r\nHost: HOST\r\n\r\n"
for name, line in {
    "two-blanks": b"GET  /a", "tab": b"GET\t/a", "leading-blank": b" GET /a", "blank-in-target": b"GET /a /b", "no-target": b"GET",
    "fragment": b"GET /a#b", "8-bit": b"GET /\xe4", "nul-in-target": b"GET /a\x00b", "control-in-target": b"GET /a\x01b", "del-in-target": b"GET /a\x7fb",
    "vt-for-blank": b"GET\x0b/a", "ff-for-blank": b"GET\x0c/a", "relative": b"GET a", "colon-in-method": b"GET: /a", "paren-in-method": b"G(T /a",
    "nul-in-method": b"G\x00T /a", "8-bit-method": b"G\xc9T /a", "star-with-get": b"GET *", "backslash": b"GET \\a", "quote": b"GET \"/a\"",
    "query-alone": b"GET ?a=b", "scheme-alone": b"GET http:", "scheme-and-slash": b"GET http:/a", "no-authority": b"GET http:///a",
}.items():
    # RFC 9112 3 lets a lenient server split the line at other white space
    lenient = name in ("two-blanks", "tab", "leading-blank", "vt-for-blank", "ff-for-blank")
    case(f"line-{name}", *GRAMMAR, line + REST, either(refused, nothing_malformed), clear=[("GET", "/a")] if lenient else [])

for name, line in {"cr-in-target": b"GET /a\rb HTTP/1.1", "cr-before-version": b"GET /a\rHTTP/1.1", "cr-in-method": b"G\rET /a HTTP/1.1",
                   "cr-behind": b"GET /a HTTP/1.1\r"}.items():
    case(f"line-{name}", "RFC 9112 2.2", "a bare CR MUST be invalid, or be replaced with SP", line + b"\r\nHost: HOST\r\n\r\n", refused)

for name, version in {"none": b"", "lower": b" http/1.1", "space": b" HTTP/ 1.1", "two-digits": b" HTTP/1.10", "zero-first": b" HTTP/01.1", "three": b" HTTP/1.1.1",
                      "no-minor": b" HTTP/1", "letters": b" HTTP/x.y", "other-name": b" HTTQ/1.1", "minus": b" HTTP/1.-1", "trailing-blank": b" HTTP/1.1 ",
                      "s": b" HTTPS/1.1", "comma": b" HTTP/1,1"}.items():
    case(f"version-{name}", "RFC 9112 2.3", "HTTP-version is \"HTTP/\" DIGIT \".\" DIGIT, with case: what has another is no request of HTTP/1.1",
         b"GET /a" + version + b"\r\nHost: HOST\r\n\r\n", either(refused, nothing_malformed), level="property", clear=[("GET", "/a")] if name in ("none", "trailing-blank") else [])
for v in ("0.9", "2.0", "3.0", "9.9"):
    case(f"version-{v}", "RFC 9110 2.5", "MUST NOT send a version to which it does not conform: the demo never sees that of the visitor", get("/a", version=v),
         either(refused, passed(target_is("/a"))), clear=[("GET", "/a")])
case("version-1.2", "RFC 9110 2.5", "an intermediary MUST send its own version in forwarded messages", get("/a", version="1.2"),
     either(refused, passed(lambda m, r: None if m.minor <= 1 else "1.2 went on")), clear=[("GET", "/a")])
case("version-1.0-is-ours", "RFC 9112 2.3", "MUST send its own HTTP-version in forwarded messages", get("/a", version="1.0"),
     passed(lambda m, r: None if r.answers[0].minor in (0, 1) else "no version"), clear=[("GET", "/a")])
case("http-0.9", "RFC 9112 2.2", "a line without a version is no HTTP/1.1: MUST NOT be forwarded as if it were", b"GET /a\r\n\r\n", either(refused, nothing_malformed), clear=[("GET", "/a")], level="property")
case("http-2-preface", "RFC 9113 3.4", "an HTTP/1.1 server takes the preface for a request it cannot serve: nothing goes on",
     b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0", lambda r: "it went on" if r.seen or r.garbage else None)
case("tls-hello", *GRAMMAR, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 32 + b"\r\n\r\n", refused)

case("empty-line-first", "RFC 9112 2.2", "at least one empty line before the request line SHOULD be ignored", b"\r\n" + get("/a"), passed(target_is("/a")),
     clear=[("GET", "/a")], level="SHOULD")
case("blank-line-of-field-first", "RFC 9112 2.2", "white space between start line and first field: MUST reject, or consume such lines",
     b"GET /a HTTP/1.1\r\n X: y\r\nHost: HOST\r\n\r\n", either(refused, passed(lambda m, r: None if m.get("x") is None else "it was taken for a field")),
     clear=[("GET", "/a")])
case("tab-line-of-te-first", "RFC 9112 2.2", "white space between start line and first field: MUST reject, or consume such lines",
     b"POST /a HTTP/1.1\r\n\tTransfer-Encoding: chunked\r\nHost: HOST\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
     either(refused, passed(lambda m, r: None if m.body == b"0\r\n\r\n" else "it was taken for a field")), clear=[("POST", "/a", b"0\r\n\r\n")])
case("bare-lf", "RFC 9112 2.2", "a recipient MAY take a single LF for a line end; what goes on MUST have CRLF", b"GET /a HTTP/1.1\nHost: HOST\n\n",
     either(refused, passed(target_is("/a"))), clear=[("GET", "/a")])
case("bare-lf-in-fields", "RFC 9112 2.2", "a recipient MAY take a single LF for a line end; what goes on MUST have CRLF",
     b"GET /a HTTP/1.1\r\nHost: HOST\r\nA: b\nC: d\r\n\r\n", either(refused, passed(target_is("/a"))), clear=[("GET", "/a")])
case("lf-cr", "RFC 9112 2.2", "a bare CR MUST be invalid, or be replaced with SP", b"GET /a HTTP/1.1\n\rHost: HOST\n\r\n\r", refused, settle=2 * SETTLE)
case("too-many-fields", "RFC 9110 5.4", "fields larger than it wishes to process MUST be answered with a 4xx",
     get("/a", "".join(f"X-{i}: y\r\n" for i in range(2000))), either(rejected(*ANY_4XX), passed(target_is("/a"))), clear=[("GET", "/a")])
case("too-long-a-field", "RFC 9110 5.4", "fields larger than it wishes to process MUST be answered with a 4xx", get("/a", "X: " + "y" * 100000 + "\r\n"),
     either(rejected(*ANY_4XX), passed(target_is("/a"))), clear=[("GET", "/a")])
case("byte-by-byte", "RFC 9112 2.2", "a message is parsed as octets, however they arrive", [get("/a")[:9], 0.01, get("/a")[9:20], 0.01, get("/a")[20:]], passed(target_is("/a")), clear=[("GET", "/a")])
