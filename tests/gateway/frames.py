"""A visitor of HTTP/2 who writes each frame by hand, right ones and wrong ones; what comes is read by hand as well."""
import contextlib
import struct
import time

import hpack

from harness import client_context, host

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITIZED = 1, 1, 4, 8, 0x20
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, \
    CONNECT_ERROR, ENHANCE_YOUR_CALM = range(12)
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = range(1, 7)
ENABLE_CONNECT_PROTOCOL = 8
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
NAMES = {v: k for k, v in list(globals().items()) if k.endswith("_ERROR") or k in ("STREAM_CLOSED", "REFUSED_STREAM", "CANCEL")}


def frame(kind, flags=0, sid=0, payload=b"", length=None):
    n = len(payload) if length is None else length
    return struct.pack(">I", n)[1:] + struct.pack(">BBI", kind, flags, sid) + payload


def settings(*pairs):
    return b"".join(struct.pack(">HI", k, v) for k, v in pairs)


def number(value, prefix, first=0):
    """RFC 7541, 5.1"""
    most = (1 << prefix) - 1
    if value < most:
        return bytes([first | value])
    out, value = [first | most], value - most
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes(out + [value])


def string(s):
    s = s if isinstance(s, bytes) else s.encode()
    return number(len(s), 7) + s


def literal(name, value):
    """Without indexing and without Huffman's code (RFC 7541, 6.2.2)"""
    return b"\x00" + string(name) + string(value)


def block(fields):
    return b"".join(literal(k, v) for k, v in fields)


def get(label="echo", path="/", method="GET", without=(), extra=(), **pseudo):
    """Fields of a request: pseudo-headers by their names, `without` some, with others behind"""
    p = {"method": method, "scheme": "https", "path": path, "authority": host(label), **pseudo}
    return [(":" + k, v) for k, v in p.items() if k not in without] + list(extra)


class Frames:
    def __init__(self, g, first=None, preface=PREFACE):
        context = client_context()
        context.set_alpn_protocols(["h2"])
        self.s = context.wrap_socket(g.connect(port=g.tls_port).s, server_hostname="localhost", suppress_ragged_eofs=False)
        self.buf, self.got, self.eof = b"", [], False
        self.decoder = hpack.Decoder()
        self.s.sendall(preface + frame(SETTINGS, payload=settings(*(first or []))))

    # ---- writing ----

    def raw(self, data):
        """False where the peer has closed already: what it said of it is read later"""
        with contextlib.suppress(OSError):
            self.s.sendall(data)

    def send(self, kind, flags=0, sid=0, payload=b"", **kw):
        self.raw(frame(kind, flags, sid, payload, **kw))

    def request(self, sid=1, fields=None, end=True, flags=END_HEADERS, **kw):
        self.send(HEADERS, flags | (END_STREAM if end else 0), sid, block(get(**kw) if fields is None else fields))

    # ---- reading ----

    def next(self):
        """The next frame (kind, flags, stream, payload); None at the end"""
        try:
            while len(self.buf) < 9 or len(self.buf) < 9 + int.from_bytes(self.buf[:3], "big"):
                d = self.s.recv(65536)
                if not d:
                    self.eof = True
                    return None
                self.buf += d
        except OSError as e:
            assert not isinstance(e, TimeoutError), f"nothing came behind {self.got[-5:]}"
            self.eof = True
            return None
        n = int.from_bytes(self.buf[:3], "big")
        f = (self.buf[3], self.buf[4], int.from_bytes(self.buf[5:9], "big"), self.buf[9:9 + n])
        self.buf = self.buf[9 + n:]
        self.got.append(f)
        if f[0] == SETTINGS and not f[1] & ACK:
            self.send(SETTINGS, ACK)
        if f[0] == HEADERS:
            self.fields = dict(self.decoder.decode(f[3]))
        return f

    def until(self, what, seconds=10):
        end = time.monotonic() + seconds
        while f := self.next():
            if what(f):
                return f
            assert time.monotonic() < end
        raise AssertionError(f"closed; before: {[g for g in self.got if g[0] != SETTINGS]}")

    def answer(self, sid):
        """(status, body) of a stream that ends as it should"""
        status, body = None, b""
        while True:
            f = self.until(lambda f: f[2] == sid and f[0] in (DATA, HEADERS, RST_STREAM))
            assert f[0] != RST_STREAM, f"reset: {f[3]}"
            if f[0] == HEADERS:
                status = int(self.fields[":status"])
            else:
                body += f[3]
            if f[1] & END_STREAM:
                return status, body

    # ---- what is expected ----

    def alive(self):
        """The connection serves on: a PING is answered, and so is a new request."""
        self.send(PING, payload=b"are you?")
        self.until(lambda f: f[0] == PING and f[1] & ACK and f[3] == b"are you?")
        sid = max([1] + [f[2] for f in self.got]) + 100 | 1
        self.request(sid, path="/alive")
        assert self.answer(sid) == (200, b"/alive")

    def connection_error(self, *codes):
        """A GOAWAY with one of them, then the end"""
        f = self.until(lambda f: f[0] == GOAWAY)
        code = int.from_bytes(f[3][4:8], "big")
        assert code in codes, f"GOAWAY with {NAMES.get(code, code)}"
        while self.next():
            pass

    def stream_error(self, sid, *codes, or_connection=True):
        """RST_STREAM with one of them, and the connection serves on; or a connection error (RFC 9113, 5.4.2 lets one choose)"""
        f = self.until(lambda f: f[0] == GOAWAY or (f[0] in (RST_STREAM, HEADERS, DATA) and f[2] == sid))
        assert f[0] in (RST_STREAM, GOAWAY), f"answered: {f}"
        code = int.from_bytes(f[3][-4:] if f[0] == RST_STREAM else f[3][4:8], "big")
        assert code in codes and (f[0] == RST_STREAM or or_connection), f"{'GOAWAY' if f[0] == GOAWAY else 'RST_STREAM'} with {NAMES.get(code, code)}"
        if f[0] == RST_STREAM:
            self.alive()

    def close(self):
        self.s.close()
