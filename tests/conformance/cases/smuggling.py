"""Requests that two readers would end in different places: the forms that public suites try (CL.TE, TE.CL, TE.TE, CL.0, H2-like
pseudo fields). A proxy may take such a request in one way, if what goes on can be read in that way alone."""
from case import both, case, closes, either, get, passed, refused, rejected

TWO = "RFC 9112 11.2", "request smuggling: a message whose framing is doubtful MUST NOT be forwarded as such (6.1, 6.3)"
EVIL = "GET /evil HTTP/1.1\r\nHost: HOST\r\n\r\n"


def one_reading(r):
    """Whatever was made of it, nothing of it is a request of its own, and it has one framing."""
    if r.garbage:
        return f"the demo got no request: {r.garbage[0]}"
    if any(m.target == "/evil" for m in r.seen + r.begun):
        return "the demo saw the smuggled request"
    return None


# How Transfer-Encoding is written so that one reader takes it for one and the next one does not.
MUTATIONS = {
    "plain": "Transfer-Encoding: chunked", "space-before-colon": "Transfer-Encoding : chunked", "tab-before-colon": "Transfer-Encoding\t: chunked", "no-space": "Transfer-Encoding:chunked",
    "tab-first": "Transfer-Encoding:\tchunked", "tab-behind": "Transfer-Encoding: chunked\t", "two-spaces": "Transfer-Encoding:  chunked", "vt-first": "Transfer-Encoding: \x0bchunked",
    "ff-first": "Transfer-Encoding: \x0cchunked", "vt-behind": "Transfer-Encoding: chunked\x0b", "nul-behind": "Transfer-Encoding: chunked\0", "nul-first": "Transfer-Encoding: \0chunked",
    "8-bit-space": "Transfer-Encoding: \xa0chunked", "8-bit-behind": "Transfer-Encoding: chunked\xff", "del": "Transfer-Encoding: chunked\x7f", "leading-space": " Transfer-Encoding: chunked",
    "leading-tab": "\tTransfer-Encoding: chunked", "folded": "Transfer-Encoding:\r\n chunked", "folded-name": "Transfer-Encoding\r\n : chunked", "lf-name": "Transfer-Encoding\n : chunked",
    "lf-hidden": "X: x\nTransfer-Encoding: chunked", "cr-hidden": "X: x\rTransfer-Encoding: chunked", "cr-lf-cr": "X: x\r\r\nTransfer-Encoding: chunked", "cr-behind": "Transfer-Encoding: chunked\r",
    "xchunked": "Transfer-Encoding: xchunked", "chunkedx": "Transfer-Encoding: chunkedx", "identity-second": "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "identity-first": "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", "cow-second": "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow", "cow-first": "Transfer-Encoding: cow\r\nTransfer-Encoding: chunked",
    "list-identity": "Transfer-Encoding: chunked, identity", "list-identity-first": "Transfer-Encoding: identity, chunked", "list-cow": "Transfer-Encoding: chunked, cow", "list-empty": "Transfer-Encoding: , chunked",
    "comma-behind": "Transfer-Encoding: chunked,", "quoted": "Transfer-Encoding: \"chunked\"", "single-quoted": "Transfer-Encoding: 'chunked'", "parameter": "Transfer-Encoding: chunked;q=1",
    "upper": "TRANSFER-ENCODING: CHUNKED", "mixed": "tRaNsFeR-eNcOdInG: cHuNkEd", "underscore": "Transfer_Encoding: chunked", "dot": "Transfer.Encoding: chunked", "blank-for-dash": "Transfer Encoding: chunked", "no-dash": "TransferEncoding: chunked",
    "nul-in-name": "Transfer-\0Encoding: chunked", "nul-behind-name": "Transfer-Encoding\0: chunked", "8-bit-behind-name": "Transfer-Encoding\xff: chunked", "control-in-name": "Transfer-Encoding\x01: chunked",
    "backslash": "Transfer\\-Encoding: chunked", "dotless-i": "Transfer-Encod\xc4\xb1ng: chunked", "kelvin": "Transfer-Encoding: chun\xe2\x84\xaaed", "equals": "Transfer-Encoding = chunked", "colon-first": ":Transfer-Encoding: chunked",
    "x-prefix": "X-Transfer-Encoding: chunked", "content-encoding": "Content-Encoding: chunked", "te": "TE: chunked", "empty": "Transfer-Encoding:", "named-by-connection": "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
}
TWO_FIELDS = ("plain", "no-space", "tab-first", "tab-behind", "two-spaces", "folded", "lf-hidden", "upper", "mixed", "named-by-connection")  # the RFC lets chunked count then
HARMLESS = ("underscore", "dot", "no-dash", "x-prefix", "content-encoding", "te")  # other fields: Content-Length alone counts

for name, te in MUTATIONS.items():
    body = "0\r\n\r\n" + EVIL
    # "HOST" grows to the case's own name: this one is written with a length that any reader of Content-Length ends in the right place
    evil = body.replace("HOST", "x")
    sent = get("/a", f"Content-Length: {len(evil)}\r\n{te}\r\n", method="POST") + evil.encode()
    case(f"cl.te-{name}", *TWO, sent, both(one_reading, either(refused, passed(lambda m, r: None))),
         clear=[("POST", "/a", evil.encode())] if name in HARMLESS else [("POST", "/a", b"")] if name in TWO_FIELDS else [], starts=[("POST", "/a")])

TE_CL = get("/a", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", method="POST") + b"24\r\nGET /evil HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n\r\n0\r\n\r\n"
case("te.cl", *TWO, TE_CL, both(one_reading, either(rejected(400, closes=True), both(passed(lambda m, r: None), closes))),
     clear=[("POST", "/a", b"GET /evil HTTP/1.1\r\nHost: x\r\nA: b\r\n")], starts=[("POST", "/a")])
case("te.cl-pipelined", "RFC 9112 6.1", "with both fields the connection MUST be closed after the answer: what follows is not read",
     get("/a", "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", method="POST") + b"0\r\n\r\n" + EVIL.encode(), both(one_reading, closes), clear=[("POST", "/a", b"")], starts=[("POST", "/a")])
case("cl.cl", "RFC 9112 6.3", "two lengths: MUST be answered with 400, and the connection closed", get("/a", "Content-Length: 0\r\nContent-Length: 38\r\n", method="POST") + EVIL.encode(),
     both(one_reading, rejected(400, closes=True)), starts=[("POST", "/a")])
case("cl.0", "RFC 9112 6.3", "Content-Length is heeded whatever the target and the method are", get("/a", "Content-Length: 34\r\n", method="POST") + b"GET /evil HTTP/1.1\r\nHost: xxxx\r\n\r\n\r\n",
     both(one_reading, passed(lambda m, r: None if len(m.body) == 34 else "its body was cut")), clear=[("POST", "/a", b"GET /evil HTTP/1.1\r\nHost: xxxx\r\n\r\n\r\n"[:34])])
case("cl-underscore", *TWO, get("/a", "Content_Length: 34\r\n", method="POST"), either(refused, passed(lambda m, r: None if not m.body else "it was heeded")), clear=[("POST", "/a", b"")])
case("cl-plus-in-name", *TWO, get("/a", "Content-Length+: 34\r\n", method="POST"), either(refused, passed(lambda m, r: None)), clear=[("POST", "/a", b"")], level="property")
case("pseudo-fields", "RFC 9110 5.1", "a field name is a token: that of a pseudo field is none", get("/a", ":method: POST\r\n:path: /evil\r\n"), both(one_reading, refused))
case("crlf-in-target", *TWO, b"GET /a%20HTTP/1.1%0d%0aHost:%20x%0d%0a%0d%0aGET%20/evil HTTP/1.1\r\nHost: HOST\r\n\r\n", one_reading,
     clear=[("GET", "/a%20HTTP/1.1%0d%0aHost:%20x%0d%0a%0d%0aGET%20/evil")])
case("head-with-body", "RFC 9112 6", "the presence of a body is signalled by its fields, whatever the method", get("/a", "Content-Length: 31\r\n", method="HEAD") + b"GET /evil HTTP/1.1\r\nHost: x\r\n\r\n",
     both(one_reading, either(refused, passed(lambda m, r: None if len(m.body) == 31 else "its body was cut"))), methods=("HEAD",),
     clear=[("HEAD", "/a", b"GET /evil HTTP/1.1\r\nHost: x\r\n\r\n")])
case("options-with-body", "RFC 9112 6", "the presence of a body is signalled by its fields, whatever the method", get("*", "Content-Length: 31\r\n", method="OPTIONS") + b"GET /evil HTTP/1.1\r\nHost: x\r\n\r\n",
     both(one_reading, lambda r: None if r.answers else "no answer"), clear=[("OPTIONS", "*", b"GET /evil HTTP/1.1\r\nHost: x\r\n\r\n")])
case("chunked-tail-is-no-request", "RFC 9112 7.1", "the body ends with its last chunk and trailers",
     get("/a", "Transfer-Encoding: chunked\r\n", method="POST") + b"1\r\na\r\n0\r\nX: GET /evil HTTP/1.1\r\n\r\n", both(one_reading, passed(lambda m, r: None)), clear=[("POST", "/a", b"a")])
case("connection-names-length", "RFC 9110 7.6.1", "a sender MUST NOT name framing in Connection: the body keeps its end", get("/a", "Connection: Content-Length\r\nContent-Length: 31\r\n", method="POST") +
     b"GET /evil HTTP/1.1\r\nHost: x\r\n\r\n", both(one_reading, either(refused, passed(lambda m, r: None if len(m.body) == 31 else "its body was cut"))), clear=[("POST", "/a", b"GET /evil HTTP/1.1\r\nHost: x\r\n\r\n")])
case("upgrade-then-request", "RFC 9110 7.8", "without a 101 the connection is HTTP still", [get("/a", "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 777\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), get("/b")],
     both(one_reading, passed(lambda m, r: None, n=2)), clear=[("GET", "/a"), ("GET", "/b")], n=2)
case("early-answer-then-body", "RFC 9112 9.3", "a server reads the body whole or closes: what is left of it is no request",
     [get("/a", "Content-Length: 31\r\n", method="POST"), 0.15, b"GET /evil HTTP/1.1\r\nHost: x\r\n\r\n"], one_reading, answers=[[b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n", "body"]],
     clear=[("POST", "/a", b"GET /evil HTTP/1.1\r\nHost: x\r\n\r\n")], starts=[("POST", "/a")])
