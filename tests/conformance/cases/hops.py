"""Connection, and what goes no further than one hop"""
from case import body_is, both, case, closes, either, get, has, hasnt, passed, refused, rejected

REMOVE = "RFC 9110 7.6.1", "MUST remove the fields that Connection names, and Connection itself, or replace it"
KNOWN = "RFC 9110 7.6.1", "SHOULD remove or replace fields known to require it: Proxy-Connection, Keep-Alive, TE, Upgrade, whether or not they are named"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"

for name, fields, gone in (
        ("one", "Connection: x-hop\r\nX-Hop: 1\r\nY: 2\r\n", "x-hop"), ("case", "CONNECTION: X-hOP\r\nx-HOP: 1\r\nY: 2\r\n", "x-hop"), ("list", "Connection: a, x-hop ,b\r\nX-Hop: 1\r\nY: 2\r\n", "x-hop"),
        ("two-lines", "Connection: a\r\nX-Hop: 1\r\nConnection: x-hop\r\nY: 2\r\n", "x-hop"), ("before", "X-Hop: 1\r\nY: 2\r\nConnection: x-hop\r\n", "x-hop"), ("twice", "X-Hop: 1\r\nX-Hop: 3\r\nConnection: close, x-hop\r\nY: 2\r\n", "x-hop"),
        ("empty-elements", "Connection: ,, x-hop,\r\nX-Hop: 1\r\nY: 2\r\n", "x-hop"), ("tabs", "Connection: a,\tx-hop\t,b\r\nX-Hop: 1\r\nY: 2\r\n", "x-hop"), ("end-to-end", "Connection: cookie\r\nCookie: a=b\r\nY: 2\r\n", "cookie"),
        ("authorization", "Connection: authorization\r\nAuthorization: a\r\nY: 2\r\n", "authorization")):
    case(f"named-{name}", *REMOVE, get("/a", fields), passed(hasnt(gone), has("y", "2"), lambda m, r: None if "x-hop" not in (m.get("connection") or "").lower() else "Connection went on"), clear=[("GET", "/a")])
for name, field in {"keep-alive": "Keep-Alive: timeout=5", "proxy-connection": "Proxy-Connection: keep-alive", "te": "TE: trailers, deflate", "upgrade": "Upgrade: h2c, foo", "proxy-authorization": "Proxy-Authorization: Basic YTpi"}.items():
    ref = KNOWN if name != "proxy-authorization" else ("RFC 9110 11.7.2", "Proxy-Authorization is for the first proxy that wants it")
    case(f"hop-{name}", *ref, get("/a", field + "\r\n"), passed(hasnt(name)), clear=[("GET", "/a")], level="SHOULD")
case("hop-connection-close", *REMOVE, get("/a", "Connection: close\r\n"), both(passed(lambda m, r: None), closes), clear=[("GET", "/a")])
case("hop-te-named", *REMOVE, get("/a", "Connection: TE\r\nTE: trailers\r\n"), passed(lambda m, r: None if m.get("te") is None or "te" in (m.get("connection") or "").lower() else "TE without Connection"), clear=[("GET", "/a")])
case("connection-names-host", "RFC 9112 3.2", "a request has its Host, whatever Connection names", get("/a", "Connection: host\r\n"), either(refused, passed(lambda m, r: None if m.get("host") else "it is gone")), clear=[("GET", "/a")])
case("connection-names-chunked", "RFC 9110 7.6.1", "framing is the proxy's own", get("/a", "Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n", method="POST") + b"3\r\nabc\r\n0\r\n\r\n",
     either(rejected(400), passed(body_is(b"abc"))), clear=[("POST", "/a", b"abc")])
case("connection-is-no-list", "RFC 9110 5.6.1", "a list has tokens between commas; what does not match MUST NOT be generated", get("/a", "Connection: a b\r\n"), either(refused, passed(lambda m, r: None if "a b" not in (m.get("connection") or "")
     else "it went on")), clear=[("GET", "/a")])

ANSWER = "RFC 9110 7.6.1", "MUST remove the fields that Connection names, of answers as well"
case("answer-named", *ANSWER, get("/a"), both(passed(lambda m, r: None), lambda r: None if r.answers[0].get("x-hop") is None and r.answers[0].get("y") == "2" else "it went on"),
     answers=[OK + b"Connection: x-hop\r\nX-Hop: 1\r\nY: 2\r\n\r\nok"], clear=[("GET", "/a")])
case("answer-keep-alive", *KNOWN, get("/a"), both(passed(lambda m, r: None), lambda r: None if "timeout=77" not in (r.answers[0].get("keep-alive") or "") else "it went on"),
     answers=[OK + b"Keep-Alive: timeout=77\r\n\r\nok"], clear=[("GET", "/a")], level="SHOULD")
case("answer-proxy-connection", *KNOWN, get("/a"), both(passed(lambda m, r: None), lambda r: None if r.answers[0].get("proxy-connection") is None else "it went on"),
     answers=[OK + b"Proxy-Connection: keep-alive\r\n\r\nok"], clear=[("GET", "/a")], level="SHOULD")
case("answer-upgrade", "RFC 9110 7.8", "a sender of Upgrade MUST also send it in Connection", get("/a"), both(passed(lambda m, r: None), lambda r: None if r.answers[0].get("upgrade") is None or "upgrade" in (r.answers[0].get("connection") or "").lower() else "Upgrade without Connection"),
     answers=[OK + b"Upgrade: h2c\r\n\r\nok"], clear=[("GET", "/a")])
case("answer-close-is-the-demos", *ANSWER, [get("/a"), get("/b")], passed(lambda m, r: None, n=2), answers=[[OK + b"Connection: close\r\n\r\nok", "close"]], clear=[("GET", "/a"), ("GET", "/b")], n=2, level="property")
case("answer-unknown-fields", "RFC 9110 5.1", "a proxy MUST forward fields it does not know", get("/a"), both(passed(lambda m, r: None), lambda r: None if r.answers[0].get("x-never-heard") == "of it" else "it is gone"),
     answers=[OK + b"X-Never-Heard: of it\r\n\r\nok"], clear=[("GET", "/a")])

VIA = "RFC 9110 7.6.3", "a gateway MUST send a Via with the received protocol's version in each inbound request"


def via(want):
    return lambda m, r: None if (m.get("via") or "").split(", ")[-1].split(" ")[0] in (want, "HTTP/" + want) else f"Via is {m.get('via')}"


case("via", *VIA, get("/a"), passed(via("1.1")), clear=[("GET", "/a")])
case("via-of-1.0", *VIA, get("/a", version="1.0"), passed(via("1.0")), clear=[("GET", "/a")])
case("via-is-extended", "RFC 9110 7.6.3", "each recipient appends itself: MUST NOT replace or reorder what is there", get("/a", "Via: 1.0 first, 1.1 second\r\n"),
     passed(via("1.1"), lambda m, r: None if (m.get("via") or "").startswith("1.0 first, 1.1 second, ") else f"Via is {m.get('via')}"), clear=[("GET", "/a")])

MAX = "RFC 9110 7.6.2", "MUST check and update Max-Forwards of OPTIONS and TRACE before forwarding"
case("max-forwards-0", "RFC 9110 7.6.2", "at zero MUST NOT forward the request, MUST answer as the final recipient", get("/a", "Max-Forwards: 0\r\n", method="OPTIONS"),
     lambda r: None if r.status in (200, 204) and not r.seen else "not answered here", methods=("OPTIONS",), clear=[("OPTIONS", "/a")])
case("max-forwards-0-of-all", "RFC 9110 7.6.2", "at zero MUST NOT forward the request, MUST answer as the final recipient", get("*", "Max-Forwards: 0\r\n", method="OPTIONS"),
     lambda r: None if r.status in (200, 204) and not r.seen else "not answered here", clear=[("OPTIONS", "*")])
case("max-forwards-3", *MAX, get("/a", "Max-Forwards: 3\r\n", method="OPTIONS"), passed(has("max-forwards", "2")), clear=[("OPTIONS", "/a")])
case("max-forwards-10", *MAX, get("/a", "Max-Forwards: 10\r\n", method="OPTIONS"), passed(has("max-forwards", "9")), clear=[("OPTIONS", "/a")])
case("max-forwards-of-trace-0", "RFC 9110 7.6.2", "at zero MUST NOT forward the request", get("/a", "Max-Forwards: 0\r\n", method="TRACE"), lambda r: None if r.answers and not r.seen else "it went on", clear=[("TRACE", "/a")])
case("max-forwards-of-get", "RFC 9110 7.6.2", "Max-Forwards MAY be ignored for all other methods", get("/a", "Max-Forwards: 0\r\n"), passed(lambda m, r: None), clear=[("GET", "/a")], level="property")
