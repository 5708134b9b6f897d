"""Forms of the request target, and Host"""
from case import case, either, get, has, passed, refused, rejected, target_is

ABSOLUTE = "RFC 9112 3.2.2", "a server MUST accept the absolute form; to an origin MUST be sent path and query alone (3.2.1)"
REPLACE = "RFC 9112 3.2.2", "MUST ignore the received Host and replace it with the host of the absolute form"
NO_HOST = "RFC 9112 3.2", "MUST answer 400 to a request that lacks Host, has two, or has one with an invalid value"

case("absolute", *ABSOLUTE, get("http://HOST/a?b"), passed(target_is("/a?b")), clear=[("GET", "/a?b")])
case("absolute-upper-case-scheme", *ABSOLUTE, get("HTTP://HOST/a"), passed(target_is("/a")), clear=[("GET", "/a")])
case("absolute-with-port", *ABSOLUTE, get("http://HOST:80/a"), passed(target_is("/a"), lambda m, r: None if m.get("host").endswith(":80") else "its port is lost"),
     clear=[("GET", "/a")], level="property")
case("absolute-without-path", "RFC 9112 3.2.1", "where the path is empty, \"/\" MUST be sent as the path of the origin form", get("http://HOST"), passed(target_is("/")),
     clear=[("GET", "/")])
case("absolute-with-query-only", "RFC 9112 3.2.1", "where the path is empty, \"/\" MUST be sent as the path of the origin form", get("http://HOST?a=b"),
     passed(target_is("/?a=b")), clear=[("GET", "/?a=b")])
case("absolute-options-without-path", "RFC 9112 3.2.4", "OPTIONS of a URI without path and query MUST go on as \"*\"", get("http://HOST", method="OPTIONS"),
     passed(target_is("*")), clear=[("OPTIONS", "*")])
case("absolute-with-another-host", *REPLACE, get("http://HOST/a", host="other.example"),
     passed(target_is("/a"), lambda m, r: None if "other" not in m.get("host") else "the demo got the Host that the absolute form overrides"), clear=[("GET", "/a")])
case("absolute-with-empty-host", *REPLACE, get("http://HOST/a", host=""),
     either(rejected(400), passed(target_is("/a"), lambda m, r: None if m.get("host") else "an empty Host went on")), clear=[("GET", "/a")])
case("absolute-without-host", *NO_HOST, get("http://HOST/a", host=None), rejected(400))
case("absolute-in-1.0", *ABSOLUTE, get("http://HOST/a", host=None, version="1.0"), passed(target_is("/a")), clear=[("GET", "/a")])
for name, t in {"userinfo": "http://u@HOST/a", "userinfo-as-host": "http://HOST:x@other.example/a", "bad-port": "http://HOST:8o/a", "empty-host": "http://:80/a",
                "bad-host": "http://a b/a", "open-bracket": "http://[::1/a"}.items():
    case(f"absolute-{name}", "RFC 9110 4.2", "a URI with an empty host MUST be rejected as invalid; userinfo SHOULD be", get(t), refused, level="SHOULD" if "userinfo" in name else "MUST")
case("authority-form-with-get", "RFC 9112 3.2.3", "the authority form is only used for CONNECT", get("HOST:80"), refused)
case("asterisk", "RFC 9112 3.2.4", "a client MUST send only \"*\" for OPTIONS of the server as a whole: it goes on as such", get("*", method="OPTIONS"),
     either(passed(target_is("*")), lambda r: None if r.status in (200, 204) and not r.seen else "not answered"), clear=[("OPTIONS", "*")], level="property")
case("asterisk-with-more", "RFC 9112 3.2.4", "the asterisk form is \"*\" alone", get("*a", method="OPTIONS"), refused, level="property")

case("no-host", *NO_HOST, get("/a", host=None), rejected(400))
case("two-hosts", *NO_HOST, get("/a", "Host: HOST\r\n"), rejected(400))
case("two-hosts-apart", *NO_HOST, get("/a", "X: y\r\nhost: other.example\r\n"), rejected(400))
case("two-hosts-one-empty", *NO_HOST, get("/a", "Host:\r\n"), rejected(400))
case("host-in-trailers-of-name", *NO_HOST, get("/a", "Host : other.example\r\n"), rejected(400))
for name, host in {"path": "HOST/x", "userinfo": "u@HOST", "blank": "HOST x", "tab": "HOST\tx", "comma": "HOST,other.example", "question": "HOST?", "hash": "HOST#x",
                   "port-of-letters": "HOST:8o", "port-minus": "HOST:-1", "two-ports": "HOST:80:80", "scheme": "http://HOST", "bracket": "[::1", "quote": "\"HOST\"",
                   "8-bit": "HOST\xe4", "backslash": "HOST\\x", "less": "<HOST>", "percent": "HOST%0"}.items():
    case(f"host-{name}", *NO_HOST, get("/a", host=host), rejected(400))
case("host-empty", "RFC 9110 4.2.1", "an http URI with an empty host MUST be rejected as invalid", get("/a", host=""), rejected(400))
case("host-of-300", "RFC 9112 3.2", "an invalid Host MUST be answered with 400: no name has more than 255 octets", get("/a", host="a" * 300 + ".HOST"), rejected(400, 404, 431), level="property")
case("host-upper-case", "RFC 9110 4.2.3", "scheme and host are case-insensitive", get("/a", host="UPPER"), passed(target_is("/a")), clear=[("GET", "/a")])
case("host-with-port", "RFC 9110 7.2", "Host goes on as it was sent", get("/a", host="HOST:8080"), passed(lambda m, r: None if m.get("host").endswith(":8080") else "its port is lost"), clear=[("GET", "/a")], level="property")
case("host-with-empty-port", "RFC 9110 4.2.3", "an empty port is that of the scheme", get("/a", host="HOST:"), either(passed(target_is("/a")), rejected(400)), clear=[("GET", "/a")])
case("host-without-blank", "RFC 9112 5.1", "white space around a value is optional", b"GET /a HTTP/1.1\r\nHost:HOST\r\n\r\n", passed(target_is("/a")), clear=[("GET", "/a")])
case("host-between-blanks", "RFC 9112 5.1", "white space around a value is no part of it", b"GET /a HTTP/1.1\r\nHost: \t HOST \t \r\n\r\n",
     passed(lambda m, r: None if m.get("host") == m.get("host").strip() else "it was kept"), clear=[("GET", "/a")])
case("host-last", "RFC 9110 5.3", "the order of fields of different names does not matter", get("/a", "A: b\r\n").replace(b"Host: HOST\r\nA: b\r\n", b"A: b\r\nHost: HOST\r\n"),
     passed(has("a", "b")), clear=[("GET", "/a")])
case("underscore-host", "RFC 9110 7.2", "what says the same as Host in another spelling is another field", get("/a", "X_Host: other.example\r\n"), passed(target_is("/a")), clear=[("GET", "/a")])
