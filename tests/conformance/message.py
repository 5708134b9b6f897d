"""HTTP/1.1 messages by the letter of RFC 9112: what a demo, or a visitor, that is as strict as can be makes of bytes.
Whatever another reader could understand in another way is Malformed."""
import re

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
EXTENSION = rb"(?:[ \t]*;[ \t]*" + TOKEN + rb"(?:[ \t]*=[ \t]*(?:" + TOKEN + rb"|\"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*\"))?)*"
REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") ([\x21-\x7e]+) HTTP/1\.([01])")
STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9]) ([\t \x21-\x7e\x80-\xff]*)")
FIELD = re.compile(rb"(" + TOKEN + rb"):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*")
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})" + EXTENSION)


class Malformed(Exception):
    pass


class Message:
    def __init__(self):
        self.method = self.target = self.reason = ""
        self.minor, self.status = 1, 0
        self.fields, self.trailers, self.body = [], [], b""
        self.whole = False  # all of it came, framing included
        self.framing = "none"  # length, chunked, end

    def all(self, name):
        return [v for k, v in self.fields if k.lower() == name]

    def get(self, name):
        """The value of all lines of that name, None where there is none"""
        v = self.all(name)
        return ", ".join(v) if v else None

    def __repr__(self):
        return f"<{self.method} {self.target} {self.status} {self.fields} {self.body!r} {'whole' if self.whole else 'cut'}>"


def line(buf, at):
    """(a line without its CRLF, where the next begins), None where it is not there yet"""
    lf = buf.find(b"\n", at)
    text = buf[at:lf if lf >= 0 else len(buf)]
    if lf < 0:
        if b"\r" in text[:-1] or b"\0" in text:
            raise Malformed("a bare CR, or NUL")
        return None
    if not text.endswith(b"\r"):
        raise Malformed("a bare LF")
    if b"\r" in text[:-1]:
        raise Malformed("a bare CR")
    return text[:-1], lf + 1


def fields(buf, at):
    out = []
    while True:
        got = line(buf, at)
        if got is None:
            return None
        text, at = got
        if not text:
            return out, at
        m = FIELD.fullmatch(text)
        if not m:
            raise Malformed(f"no field line: {text[:60]!r}")
        out.append((m.group(1).decode(), m.group(2).decode("latin-1")))


def framing(m, request):
    lengths, codings = m.all("content-length"), m.all("transfer-encoding")
    if lengths and codings:
        raise Malformed("Content-Length beside Transfer-Encoding")
    if len(lengths) > 1 or len(codings) > 1:
        raise Malformed("framing fields twice")
    if codings:
        if codings[0].lower() != "chunked" or m.minor == 0:
            raise Malformed(f"Transfer-Encoding: {codings[0]}")
        return "chunked", 0
    if lengths:
        if not re.fullmatch("[0-9]{1,18}", lengths[0]):
            raise Malformed(f"Content-Length: {lengths[0]}")
        return "length", int(lengths[0])
    return ("none" if request else "end"), 0


def chunks(buf, at, m):
    """Where the message ends, None where it is not there yet; the body so far is kept in m."""
    while True:
        got = line(buf, at)
        if got is None:
            return None
        size = CHUNK_SIZE.fullmatch(got[0])
        if not size:
            raise Malformed(f"no chunk size: {got[0][:40]!r}")
        n, at = int(size.group(1), 16), got[1]
        if n == 0:
            break
        m.body += buf[at:at + n]
        if len(buf) < at + n + 2:
            if len(buf) > at + n and buf[at + n:at + n + 1] != b"\r":
                raise Malformed("no CRLF behind a chunk")
            return None
        if buf[at + n:at + n + 2] != b"\r\n":
            raise Malformed("no CRLF behind a chunk")
        at += n + 2
    got = fields(buf, at)
    if got is None:
        return None
    m.trailers, at = got
    return at


def body(m, buf, at, kind, n):
    m.framing = kind
    if kind == "chunked":
        end = chunks(buf, at, m)
    elif kind == "end":
        m.body, end = buf[at:], None
    else:
        m.body = buf[at:at + n]
        end = at + n if len(m.body) == n else None
    m.whole = end is not None
    return m, end


def request(buf):
    """(Message, its length), with None for the length of one that is not whole; None: not even its head is"""
    got = line(buf, 0)
    if got is None:
        return None
    text, at = got
    found = REQUEST_LINE.fullmatch(text)
    if not found:
        raise Malformed(f"no request line: {text[:60]!r}")
    m = Message()
    m.method, m.target, m.minor = found.group(1).decode(), found.group(2).decode(), int(found.group(3))
    got = fields(buf, at)
    if got is None:
        return None
    m.fields, at = got
    if len(m.all("host")) > 1 or (m.minor == 1 and not m.all("host")):
        raise Malformed("not one Host")
    return body(m, buf, at, *framing(m, True))


def response(buf, method):
    """As request(); the end of one that ends with the connection is for the caller to say."""
    got = line(buf, 0)
    if got is None:
        return None
    text, at = got
    found = STATUS_LINE.fullmatch(text)
    if not found:
        raise Malformed(f"no status line: {text[:60]!r}")
    m = Message()
    m.minor, m.status, m.reason = int(found.group(1)), int(found.group(2)), found.group(3).decode("latin-1")
    got = fields(buf, at)
    if got is None:
        return None
    m.fields, at = got
    if m.status < 200 or m.status == 204:
        if m.all("content-length") or m.all("transfer-encoding"):
            raise Malformed(f"{m.status} with a framing field")
    if m.status < 200 or m.status in (204, 304) or method == "HEAD":
        if m.all("content-length") and m.all("transfer-encoding"):
            raise Malformed("Content-Length beside Transfer-Encoding")
        return body(m, buf, at, "none", 0)
    return body(m, buf, at, *framing(m, False))
