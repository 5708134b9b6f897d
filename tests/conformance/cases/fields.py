"""Field lines"""
from case import case, either, get, has, passed, refused, rejected, target_is

COLON = "RFC 9112 5.1", "white space between field name and colon MUST be answered with 400"
FOLD = "RFC 9112 5.2", "obs-fold in a request MUST be answered with 400, or be replaced with SP"
INVALID = "RFC 9110 5.5", "CR, LF or NUL in a value: MUST reject, or replace each with SP"
NAME = "RFC 9110 5.1", "a field name is a token; a sender MUST NOT generate what does not match the grammar (2.2)"

for name, field in {"blank": "A : b", "tab": "A\t: b", "two-blanks": "A  : b", "cl": "Content-Length : 0", "te": "Transfer-Encoding : chunked", "host": "X-Host : a"}.items():
    case(f"colon-after-{name}", *COLON, get("/a", field + "\r\n"), rejected(400))

for name, field in {"blank": "A: b\r\n c", "tab": "A: b\r\n\tc", "many": "A: b\r\n c\r\n d\r\n\t e", "empty": "A: b\r\n ", "first-empty": "A:\r\n b",
                    "framing": "A: b\r\n Transfer-Encoding: chunked", "cl": "Content-Length:\r\n 0", "te": "Transfer-Encoding:\r\n chunked", "te-in-two": "Transfer-Encoding: chun\r\n ked"}.items():
    case(f"fold-{name}", *FOLD, get("/a", field + "\r\n"), either(rejected(400), passed(target_is("/a"))), clear=[("GET", "/a")] if name in ("blank", "tab", "many", "empty", "first-empty", "framing") else ())

for name, byte in {"nul": "\0", "cr": "\r", "cr-first": "\r"}.items():
    text = byte + "b" if name == "cr-first" else "b" + byte + "c"
    case(f"value-{name}", *INVALID, get("/a", f"A: {text}\r\n"), either(refused, passed(lambda m, r: None if m.get("a").strip() in ("b c", "b") else "it was kept")), clear=[("GET", "/a")])
for name, byte in {"soh": "\x01", "vt": "\x0b", "esc": "\x1b", "del": "\x7f", "bs": "\b"}.items():
    case(f"value-{name}", "RFC 9110 5.5", "other control characters are invalid, too; a recipient MAY retain them", get("/a", f"A: b{byte}c\r\n"),
         either(refused, passed(target_is("/a"))), clear=[("GET", "/a")], level="property")
case("value-tab", "RFC 9110 5.5", "HTAB within a value is part of it", get("/a", "A: b\tc\r\n"), passed(has("a", "b\tc")), clear=[("GET", "/a")])
case("value-8-bit", "RFC 9110 5.5", "other octets of a value are opaque data", get("/a", "A: \xe4\xff\x80\r\n"), passed(has("a", "\xe4\xff\x80")), clear=[("GET", "/a")])
case("value-empty", "RFC 9110 5.5", "a value may be empty", get("/a", "A:\r\nB: \t\r\n"), passed(has("a", ""), has("b", "")), clear=[("GET", "/a")])
case("value-blanks-around", "RFC 9112 5.1", "white space around a value is no part of it", get("/a", "A: \t b c\t \r\n"), passed(has("a", "b c")), clear=[("GET", "/a")])
case("value-colons", "RFC 9112 5", "the name ends with the first colon", get("/a", "A: b: c:\r\n"), passed(has("a", "b: c:")), clear=[("GET", "/a")])
case("value-of-8000", "RFC 9110 5.4", "fields within what it wishes to process go on whole", get("/a", "A: " + "b" * 6000 + "\r\n"), passed(has("a", "b" * 6000)), clear=[("GET", "/a")])

for name, field in {"none": ": b", "no-colon": "Ab", "blank-within": "A B: c", "paren": "A(: c", "quote": "\"A\": c", "8-bit": "\xe4: c", "nul": "A\0: c", "slash": "A/b: c",
                    "at": "A@b: c", "comma": "A,b: c", "control": "A\x01: c", "cr": "A\r: c", "bracket": "[A]: c", "cl-with-nul": "Content-Length\0: 3", "equals": "A=b: c"}.items():
    case(f"name-{name}", *NAME, get("/a", field + "\r\n"), either(refused, passed(lambda m, r: None if not any("c" == v for k, v in m.fields if k != "c") else "it went on")), clear=[("GET", "/a")])
case("name-of-all-token-characters", "RFC 9110 5.1", "a proxy MUST forward fields it does not know", get("/a", "A!#$%&'*+-.^`|~9: b\r\n"), passed(has("a!#$%&'*+-.^`|~9", "b")), clear=[("GET", "/a")])
case("name-with-underscore", "RFC 9110 5.1", "a proxy MUST forward fields it does not know", get("/a", "A_b: c\r\n"), passed(has("a_b", "c")), clear=[("GET", "/a")])
case("unknown-fields", "RFC 9110 5.1", "a proxy MUST forward fields it does not know", get("/a", "X-Never-Heard: of it\r\n"), passed(has("x-never-heard", "of it")), clear=[("GET", "/a")])
case("same-name-keeps-order", "RFC 9110 5.3", "MUST NOT change the order of field lines of the same name", get("/a", "A: 1\r\nB: x\r\na: 2\r\nA: 3\r\n"), passed(has("a", "1, 2, 3")), clear=[("GET", "/a")])
case("case-of-names", "RFC 9110 5.1", "field names are case-insensitive", b"POST /a HTTP/1.1\r\nhOsT: HOST\r\ncOnTeNt-LeNgTh: 3\r\n\r\nabc", passed(lambda m, r: None if m.body == b"abc" else "its body is lost"),
     clear=[("POST", "/a", b"abc")])
case("singleton-twice", "RFC 9110 5.3", "lines of a name are not merged or dropped where they have no list", get("/a", "Authorization: a\r\nAuthorization: b\r\n"),
     either(rejected(400), passed(lambda m, r: None if m.all("authorization") == ["a", "b"] else f"they became {m.all('authorization')}")), clear=[("GET", "/a")])
case("cookie", "RFC 9110 5.1", "fields go on", get("/a", "Cookie: a=b; c=\"d\"\r\n"), passed(has("cookie", "a=b; c=\"d\"")), clear=[("GET", "/a")])
case("bare-lf-hides-a-field", "RFC 9112 2.2", "a line that ends with LF alone is one line for all, or none", get("/a", "A: b\nTransfer-Encoding: chunked\r\n"),
     either(refused, lambda r: None if not r.seen else "it was taken for no field"), starts=[("GET", "/a")], level="property")
case("bare-cr-hides-a-field", *INVALID, get("/a", "A: b\rTransfer-Encoding: chunked\r\n"), either(refused, passed(target_is("/a"))), clear=[("GET", "/a")])
