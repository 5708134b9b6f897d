"""What RFC 9113 (HTTP/2) and RFC 7541 (HPACK) ask of a server, section by section, with frames written by hand.

The choice of cases follows h2spec's: each is named by the section that asks for it. Where it allows a stream error or a connection error, both are right."""
import pytest

from certs import Pair
from frames import (ACK, COMPRESSION_ERROR, CONTINUATION, DATA, ENABLE_CONNECT_PROTOCOL, ENABLE_PUSH, END_HEADERS, END_STREAM, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR,
                    GOAWAY, HEADER_TABLE_SIZE, HEADERS, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE, PADDED, PING, PREFACE, PRIORITIZED, PRIORITY, PROTOCOL_ERROR,
                    PUSH_PROMISE, REFUSED_STREAM, RST_STREAM, SETTINGS, STREAM_CLOSED, WINDOW_UPDATE, Frames, block, frame, get, literal, number, settings, string)
from harness import Gateway, host

CASES = []
TOP = 1 << 31


def case(section, what, first=None, preface=PREFACE):
    """first: the visitor's settings"""
    def take(f):
        CASES.append(pytest.param(f, first, preface, id=f"{section} {what}"))
        return f
    return take


@pytest.fixture(scope="module")
def server():
    def echo(c):
        while r := c.request():
            c.answer(r[2] or r[0].split()[1], fields="X-Fields: " + "|".join(f"{k}={v}" for k, v in r[1] if k.lower().startswith("x-")) + "\r\n")

    def wait(c):  # until the visitor has gone
        c.head()
        c.rest()

    g = Gateway(tls=[Pair("localhost", "*.localhost")])
    g.space("echo", echo)
    g.space("wait", wait)
    yield g
    g.close()


def test_there_are_all():
    assert len(CASES) >= 259


@pytest.mark.parametrize("f, first, preface", CASES)
def test_case(server, f, first, preface):
    v = Frames(server, first, preface)
    f(v)
    v.close()


# ---- 3.4, 4: the preface; frames ----

@case("3.4", "a preface and an empty SETTINGS")
def _(v):
    assert v.next()[0] == SETTINGS
    v.alive()


@case("3.4", "a preface that is none", preface=b"INVALID CONNECTION PREFACE\r\n\r\n")
def _(v):
    while v.next():
        assert v.got[-1][0] in (SETTINGS, GOAWAY, WINDOW_UPDATE)


@case("3.4", "the first frame is no SETTINGS", preface=PREFACE + frame(PING, payload=bytes(8)))
def _(v):
    v.connection_error(PROTOCOL_ERROR)


@case("3.4", "the server's first frame is its SETTINGS, and it acknowledges ours")
def _(v):
    kind, flags, sid, payload = v.next()
    assert (kind, flags, sid) == (SETTINGS, 0, 0) and len(payload) % 6 == 0
    v.until(lambda f: f[0] == SETTINGS and f[1] & ACK)


@case("3.4", "a request right behind the preface")
def _(v):
    v.request()
    assert v.answer(1) == (200, b"/")


@case("4.1", "a frame of an unknown type is ignored")
def _(v):
    v.send(22, 0, 0, b"\0" * 8)
    v.alive()


@case("4.1", "flags without a meaning are ignored")
def _(v):
    v.send(PING, 0x16, 0, b"h2 flags")
    assert v.until(lambda f: f[0] == PING)[3] == b"h2 flags"
    v.alive()


@case("4.1", "the reserved bit is ignored")
def _(v):
    v.send(PING, 0, TOP, b"reserved")
    v.until(lambda f: f[0] == PING and f[1] & ACK)
    v.alive()


@case("4.1", "the reserved bit of a request's stream is ignored")
def _(v):
    v.send(HEADERS, END_HEADERS | END_STREAM, TOP | 1, block(get()))
    assert v.answer(1) == (200, b"/")


@case("4.2", "DATA of 2^14 octets")
def _(v):
    v.request(end=False, method="POST")
    v.send(DATA, END_STREAM, 1, b"x" * 16384)
    assert v.answer(1) == (200, b"x" * 16384)


@case("4.2", "DATA larger than SETTINGS_MAX_FRAME_SIZE")
def _(v):
    v.request(end=False, method="POST")
    v.send(DATA, END_STREAM, 1, b"x" * 16385)
    v.stream_error(1, FRAME_SIZE_ERROR)


@case("4.2", "HEADERS larger than SETTINGS_MAX_FRAME_SIZE")
def _(v):
    v.send(HEADERS, END_HEADERS | END_STREAM, 1, block(get(extra=[(f"x-{i}", "y" * 4000) for i in range(5)])))
    v.connection_error(FRAME_SIZE_ERROR)


@case("4.2", "SETTINGS larger than SETTINGS_MAX_FRAME_SIZE")
def _(v):
    v.send(SETTINGS, 0, 0, settings(*[(99, 1)] * 2731))
    v.connection_error(FRAME_SIZE_ERROR)


@case("4.2", "a frame that says that it is the longest there could be")
def _(v):
    v.send(DATA, 0, 1, b"", length=(1 << 24) - 1)
    v.connection_error(FRAME_SIZE_ERROR)


@case("4.3", "a header block that is none")
def _(v):
    v.send(HEADERS, END_HEADERS | END_STREAM, 1, b"\x00\x0a\x41\x42\x43")
    v.connection_error(COMPRESSION_ERROR)


@case("4.3", "a header block that is none, of a stream that is refused", first=[])
def _(v):
    v.request(1, label="wait", end=False)
    v.send(HEADERS, END_HEADERS | END_STREAM, 1, b"\x80")  # trailers
    v.connection_error(COMPRESSION_ERROR)


@case("4.3", "PRIORITY within a header block")
def _(v):
    v.request(end=False, flags=0)
    v.send(PRIORITY, 0, 1, b"\0\0\0\0\xff")
    v.connection_error(PROTOCOL_ERROR)


@case("4.3", "HEADERS of another stream within a header block")
def _(v):
    v.request(1, flags=0)
    v.request(3)
    v.connection_error(PROTOCOL_ERROR)


# ---- 5: streams ----

def idle(what, code, *args):
    @case("5.1", f"idle: {what}")
    def _(v):
        v.send(*args)
        v.connection_error(code)


idle("DATA", PROTOCOL_ERROR, DATA, END_STREAM, 1, b"test")
idle("RST_STREAM", PROTOCOL_ERROR, RST_STREAM, 0, 1, b"\0\0\0\x08")
idle("WINDOW_UPDATE", PROTOCOL_ERROR, WINDOW_UPDATE, 0, 1, b"\0\0\0\x64")
idle("CONTINUATION", PROTOCOL_ERROR, CONTINUATION, END_HEADERS, 1, block(get()))
idle("DATA on a stream of the server's", PROTOCOL_ERROR, DATA, END_STREAM, 2, b"test")
idle("RST_STREAM on a stream of the server's", PROTOCOL_ERROR, RST_STREAM, 0, 2, b"\0\0\0\x08")
idle("WINDOW_UPDATE on a stream of the server's", PROTOCOL_ERROR, WINDOW_UPDATE, 0, 2, b"\0\0\0\x64")


@case("5.1", "idle: PRIORITY is ignored")
def _(v):
    v.send(PRIORITY, 0, 1, b"\0\0\0\0\xff")
    v.request()
    assert v.answer(1) == (200, b"/")


@case("5.1", "half-closed (remote): DATA")
def _(v):
    v.request(label="wait")
    v.send(DATA, END_STREAM, 1, b"test")
    v.stream_error(1, STREAM_CLOSED)


@case("5.1", "half-closed (remote): HEADERS")
def _(v):
    v.request(label="wait")
    v.request(label="wait")
    v.stream_error(1, STREAM_CLOSED)


@case("5.1", "half-closed (remote): CONTINUATION")
def _(v):
    v.request(label="wait")
    v.send(CONTINUATION, END_HEADERS, 1, block(get()))
    v.connection_error(STREAM_CLOSED, PROTOCOL_ERROR)


@case("5.1", "half-closed (remote): WINDOW_UPDATE, PRIORITY and RST_STREAM are taken")
def _(v):
    v.request(label="wait")
    v.send(WINDOW_UPDATE, 0, 1, b"\0\0\0\x64")
    v.send(PRIORITY, 0, 1, b"\0\0\0\0\xff")
    v.alive()
    v.send(RST_STREAM, 0, 1, b"\0\0\0\x08")
    v.alive()


def reset_then(what, flags, kind, payload, codes):
    @case("5.1", f"closed by a RST_STREAM of the visitor's: {what}")
    def _(v):
        v.request(label="wait", end=False, method="POST")
        v.send(RST_STREAM, 0, 1, b"\0\0\0\x08")
        v.send(kind, flags, 1, payload)
        v.stream_error(1, *codes)


def ended_then(what, flags, kind, payload, codes):
    @case("5.1", f"closed: {what}")
    def _(v):
        v.request()
        assert v.answer(1)[0] == 200
        v.send(kind, flags, 1, payload)
        v.stream_error(1, *codes)

    @case("5.1", f"closed: {what}, in pieces")
    def _(v):
        v.request()
        assert v.answer(1)[0] == 200
        for byte in frame(kind, flags, 1, payload):
            v.raw(bytes([byte]))
        v.stream_error(1, *codes)


for closed in reset_then, ended_then:
    closed("DATA", END_STREAM, DATA, b"test", [STREAM_CLOSED])
    closed("HEADERS", END_HEADERS | END_STREAM, HEADERS, block(get()), [STREAM_CLOSED])
    closed("CONTINUATION", END_HEADERS, CONTINUATION, block(get()), [STREAM_CLOSED, PROTOCOL_ERROR])


@case("5.1", "closed by the server: what was on its way does no harm")
def _(v):
    v.request(method="POST", label="nobody", end=False)
    v.until(lambda f: f[0] == RST_STREAM and f[2] == 1)
    v.send(DATA, 0, 1, b"test")
    v.send(HEADERS, END_HEADERS | END_STREAM, 1, block([("x-test", "ok")]))
    v.alive()


@case("5.1", "closed by the server, many streams ago")
def _(v):
    v.request(1, method="POST", label="nobody", end=False)
    v.until(lambda f: f[0] == RST_STREAM and f[2] == 1)
    for sid in range(3, 63, 2):
        v.request(sid)
        assert v.answer(sid)[0] == 200
    v.send(DATA, END_STREAM, 1, b"test")
    v.alive()
    v.send(DATA, END_STREAM, 3, b"test")
    v.connection_error(PROTOCOL_ERROR, STREAM_CLOSED)


@case("5.1", "closed by the server for a malformed request: its DATA does no harm")
def _(v):
    v.raw(frame(HEADERS, END_HEADERS, 1, block(get(extra=[("X", "y")]))) + frame(DATA, 0, 1, b"test"))
    v.until(lambda f: f[0] == RST_STREAM and f[2] == 1)
    v.send(DATA, END_STREAM, 1, b"test")
    v.alive()


@case("5.1", "closed: PRIORITY, and WINDOW_UPDATE and RST_STREAM that were on their way")
def _(v):
    v.request()
    assert v.answer(1)[0] == 200
    v.send(PRIORITY, 0, 1, b"\0\0\0\0\xff")
    v.send(WINDOW_UPDATE, 0, 1, b"\0\0\0\x64")
    v.send(RST_STREAM, 0, 1, b"\0\0\0\x08")
    v.alive()


@case("5.1.1", "a stream with an even number")
def _(v):
    v.request(2)
    v.connection_error(PROTOCOL_ERROR)


@case("5.1.1", "a number lower than one before")
def _(v):
    v.request(5)
    v.request(3)
    v.connection_error(PROTOCOL_ERROR, STREAM_CLOSED)


@case("5.1.1", "numbers that are left out")
def _(v):
    for sid in (7, 1001, TOP - 1):
        v.request(sid)
        assert v.answer(sid) == (200, b"/")


@case("5.1.2", "more streams than SETTINGS_MAX_CONCURRENT_STREAMS")
def _(v):
    payload = v.next()[3]
    most = {payload[i] << 8 | payload[i + 1]: int.from_bytes(payload[i + 2:i + 6], "big") for i in range(0, len(payload), 6)}[MAX_CONCURRENT_STREAMS]
    assert most >= 100
    v.until(lambda f: f[0] == SETTINGS and f[1] & ACK)
    for i in range(most + 1):
        v.request(2 * i + 1, label="wait")
    f = v.until(lambda f: f[0] in (GOAWAY, RST_STREAM) and f[2] in (0, 2 * most + 1))
    assert int.from_bytes(f[3][4:8] if f[0] == GOAWAY else f[3], "big") in (PROTOCOL_ERROR, REFUSED_STREAM)


@case("5.3.1", "HEADERS that depend on their own stream")
def _(v):  # RFC 9113 deprecates priorities: an error (RFC 7540) and ignoring it are right
    v.send(HEADERS, END_HEADERS | END_STREAM | PRIORITIZED, 1, b"\0\0\0\x01\xff" + block(get()))
    f = v.until(lambda f: f[0] in (GOAWAY, RST_STREAM, HEADERS))
    assert f[0] == HEADERS or int.from_bytes(f[3][-4:], "big") == PROTOCOL_ERROR or f[3][4:8] == b"\0\0\0\x01"


@case("5.3.1", "PRIORITY that depends on its own stream")
def _(v):
    v.send(PRIORITY, 0, 1, b"\0\0\0\x01\xff")
    v.send(PING, payload=bytes(8))
    f = v.until(lambda f: f[0] in (GOAWAY, RST_STREAM, PING))
    assert f[0] == PING or f[3][4:8] == b"\0\0\0\x01" or f[3] == b"\0\0\0\x01"


@case("5.4.1", "a connection error ends in a GOAWAY and the end")
def _(v):
    v.send(PING, 0, 3, bytes(8))
    v.connection_error(PROTOCOL_ERROR)
    assert v.eof


@case("5.4.1", "GOAWAY names the last stream that was seen")
def _(v):
    v.request(1)
    assert v.answer(1)[0] == 200
    v.request(3, label="wait")
    v.send(PING, 0, 3, bytes(8))
    assert v.until(lambda f: f[0] == GOAWAY)[3][:4] in (b"\0\0\0\x01", b"\0\0\0\x03")


@case("5.4.2", "no RST_STREAM is answered by one")
def _(v):
    v.request(label="wait")
    v.send(RST_STREAM, 0, 1, b"\0\0\0\x08")
    v.send(RST_STREAM, 0, 1, b"\0\0\0\x08")
    v.alive()
    assert not [f for f in v.got if f[0] == RST_STREAM]


@case("5.5", "a frame of an unknown type, with any flags, on a stream")
def _(v):
    v.request(label="echo", end=False, method="POST")
    v.send(0xff, 0xff, 1, b"extension")
    v.send(DATA, END_STREAM, 1, b"body")
    assert v.answer(1) == (200, b"body")


@case("5.5", "a frame of an unknown type within a header block")
def _(v):
    v.request(flags=0)
    v.send(0xff, 0, 1, b"")
    v.connection_error(PROTOCOL_ERROR)


@case("5.5", "PRIORITY_UPDATE, ALTSVC and ORIGIN of a visitor's are ignored")
def _(v):
    v.send(0x10, 0, 0, b"\0\0\0\x01u=1")
    v.send(0x0a, 0, 0, b"\0\0")
    v.send(0x0c, 0, 0, b"")
    v.alive()


# ---- 6: each type of frame ----

@case("6.1", "DATA of a request, in one frame")
def _(v):
    v.request(end=False, method="POST")
    v.send(DATA, END_STREAM, 1, b"test")
    assert v.answer(1) == (200, b"test")


@case("6.1", "DATA of a request, in several frames")
def _(v):
    v.request(end=False, method="POST")
    v.send(DATA, 0, 1, b"te")
    v.send(DATA, 0, 1, b"")
    v.send(DATA, END_STREAM, 1, b"st")
    assert v.answer(1) == (200, b"test")


@case("6.1", "DATA with padding, none of which reaches the demo")
def _(v):
    v.request(end=False, method="POST")
    v.send(DATA, PADDED, 1, b"\x06te" + bytes(6))
    v.send(DATA, PADDED | END_STREAM, 1, b"\x00st")
    assert v.answer(1) == (200, b"test")


@case("6.1", "padding counts for flow control, and its window is given back")
def _(v):
    v.request(end=False, method="POST")
    for _ in range(40):
        v.send(DATA, PADDED, 1, b"\xff" + bytes(255))
        v.send(DATA, 0, 1, bytes(16000))
        v.send(PING, payload=bytes(8))
        v.until(lambda f: f[0] == PING)
    v.send(DATA, END_STREAM, 1, b"")
    body = v.answer(1)[1] if sum(len(f[3]) for f in v.got if f[0] == DATA) else None
    assert body is None or len(body) <= 40 * 16000


@case("6.1", "DATA of stream 0")
def _(v):
    v.send(DATA, END_STREAM, 0, b"test")
    v.connection_error(PROTOCOL_ERROR)


@case("6.1", "DATA of a stream that is neither open nor half-closed (local)")
def _(v):
    v.request(label="wait")
    v.send(DATA, 0, 1, b"test")
    v.stream_error(1, STREAM_CLOSED)


@case("6.1", "DATA with padding as long as the frame")
def _(v):
    v.request(end=False, method="POST")
    v.send(DATA, PADDED | END_STREAM, 1, b"\x05test")
    v.connection_error(PROTOCOL_ERROR)


@case("6.1", "DATA with padding and no room for its length")
def _(v):
    v.request(end=False, method="POST")
    v.send(DATA, PADDED | END_STREAM, 1, b"")
    v.connection_error(PROTOCOL_ERROR, FRAME_SIZE_ERROR)


@case("6.2", "HEADERS")
def _(v):
    v.request(path="/a")
    assert v.answer(1) == (200, b"/a")


@case("6.2", "HEADERS with padding")
def _(v):
    v.send(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, b"\x09" + block(get()) + bytes(9))
    assert v.answer(1) == (200, b"/")


@case("6.2", "HEADERS with a priority")
def _(v):
    v.send(HEADERS, END_HEADERS | END_STREAM | PRIORITIZED, 1, b"\0\0\0\0\x10" + block(get()))
    assert v.answer(1) == (200, b"/")


@case("6.2", "HEADERS with padding and a priority")
def _(v):
    v.send(HEADERS, END_HEADERS | END_STREAM | PADDED | PRIORITIZED, 1, b"\x02\x80\0\0\0\x10" + block(get()) + bytes(2))
    assert v.answer(1) == (200, b"/")


@case("6.2", "HEADERS without END_HEADERS, then PRIORITY")
def _(v):
    v.request(flags=0)
    v.send(PRIORITY, 0, 1, b"\0\0\0\0\xff")
    v.connection_error(PROTOCOL_ERROR)


@case("6.2", "HEADERS without END_HEADERS, then another's DATA")
def _(v):
    v.request(1, end=False, method="POST")
    v.request(3, flags=0)
    v.send(DATA, 0, 1, b"x")
    v.connection_error(PROTOCOL_ERROR)


@case("6.2", "HEADERS of stream 0")
def _(v):
    v.request(0)
    v.connection_error(PROTOCOL_ERROR)


@case("6.2", "HEADERS with padding longer than the frame")
def _(v):
    b = block(get())
    v.send(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, bytes([255]) + b[:100])
    v.connection_error(PROTOCOL_ERROR)


@case("6.2", "HEADERS with padding as long as the frame")
def _(v):
    b = block(get())
    v.send(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, bytes([len(b) + 1]) + b)
    v.connection_error(PROTOCOL_ERROR)


@case("6.2", "HEADERS with a priority and no room for it")
def _(v):
    v.send(HEADERS, END_HEADERS | END_STREAM | PRIORITIZED, 1, b"\0\0\0")
    v.connection_error(PROTOCOL_ERROR, FRAME_SIZE_ERROR)


def priority(what, payload):
    @case("6.3", f"PRIORITY {what}")
    def _(v):
        v.send(PRIORITY, 0, 1, payload)
        v.request()
        assert v.answer(1) == (200, b"/")


priority("of weight 1", b"\0\0\0\0\0")
priority("of weight 256", b"\0\0\0\0\xff")
priority("on a stream that is not there", b"\0\0\0\x09\x10")
priority("that is exclusive", b"\x80\0\0\0\x10")


@case("6.3", "PRIORITY of an idle stream, then HEADERS of a lower number")
def _(v):
    v.send(PRIORITY, 0, 9, b"\0\0\0\0\xff")
    v.request(1)
    assert v.answer(1) == (200, b"/")


@case("6.3", "PRIORITY of stream 0")
def _(v):
    v.send(PRIORITY, 0, 0, b"\0\0\0\x02\xff")
    v.connection_error(PROTOCOL_ERROR)


@case("6.3", "PRIORITY of another length than 5")
def _(v):
    v.request(1, label="wait", end=False)
    v.send(PRIORITY, 0, 1, b"\0\0\0\0")
    v.stream_error(1, FRAME_SIZE_ERROR)


@case("6.4", "RST_STREAM takes the demo along")
def _(v):
    v.request(label="wait", end=False)
    v.send(RST_STREAM, 0, 1, b"\0\0\0\x08")
    v.alive()


@case("6.4", "RST_STREAM of stream 0")
def _(v):
    v.send(RST_STREAM, 0, 0, b"\0\0\0\x08")
    v.connection_error(PROTOCOL_ERROR)


@case("6.4", "RST_STREAM of an idle stream")
def _(v):
    v.send(RST_STREAM, 0, 7, b"\0\0\0\x08")
    v.connection_error(PROTOCOL_ERROR)


@case("6.4", "RST_STREAM of another length than 4")
def _(v):
    v.request(label="wait", end=False)
    v.send(RST_STREAM, 0, 1, b"\0\0\0")
    v.connection_error(FRAME_SIZE_ERROR)


@case("6.5", "SETTINGS are acknowledged")
def _(v):
    v.until(lambda f: f[0] == SETTINGS and f[1] & ACK)
    v.send(SETTINGS)
    v.until(lambda f: f[0] == SETTINGS and f[1] & ACK)


@case("6.5", "an acknowledgement with a payload")
def _(v):
    v.send(SETTINGS, ACK, 0, b"\0")
    v.connection_error(FRAME_SIZE_ERROR)


@case("6.5", "SETTINGS of a stream")
def _(v):
    v.send(SETTINGS, 0, 1, settings((MAX_CONCURRENT_STREAMS, 100)))
    v.connection_error(PROTOCOL_ERROR)


@case("6.5", "SETTINGS whose length is no multiple of 6")
def _(v):
    v.send(SETTINGS, 0, 0, b"\0\x03\0")
    v.connection_error(FRAME_SIZE_ERROR)


def setting(what, key, value, code):
    @case("6.5.2", what)
    def _(v):
        v.send(SETTINGS, 0, 0, settings((key, value)))
        v.connection_error(code)


setting("ENABLE_PUSH neither 0 nor 1", ENABLE_PUSH, 2, PROTOCOL_ERROR)
setting("INITIAL_WINDOW_SIZE above the most", INITIAL_WINDOW_SIZE, TOP, FLOW_CONTROL_ERROR)
setting("MAX_FRAME_SIZE below the least", MAX_FRAME_SIZE, 16383, PROTOCOL_ERROR)
setting("MAX_FRAME_SIZE above the most", MAX_FRAME_SIZE, 1 << 24, PROTOCOL_ERROR)
setting("ENABLE_CONNECT_PROTOCOL neither 0 nor 1 (RFC 8441, 3)", ENABLE_CONNECT_PROTOCOL, 2, PROTOCOL_ERROR)


@case("6.5.2", "an unknown setting is ignored")
def _(v):
    v.send(SETTINGS, 0, 0, settings((0xff, 1), (0, 0), (0xffff, 0xffffffff)))
    v.alive()


@case("6.5.2", "ENABLE_PUSH of 0 and 1", first=[(ENABLE_PUSH, 0)])
def _(v):
    v.send(SETTINGS, 0, 0, settings((ENABLE_PUSH, 1)))
    v.alive()


@case("6.5.2", "HEADER_TABLE_SIZE of 0: the server's fields need no table", first=[(HEADER_TABLE_SIZE, 0)])
def _(v):
    v.decoder.max_allowed_table_size = 0
    v.request()
    assert v.answer(1) == (200, b"/")
    v.request(3)
    assert v.answer(3) == (200, b"/")


@case("6.5.2", "MAX_CONCURRENT_STREAMS of 0 binds the server alone", first=[(MAX_CONCURRENT_STREAMS, 0)])
def _(v):
    v.alive()


@case("6.5.2", "MAX_FRAME_SIZE: frames of the server keep to it", first=[(INITIAL_WINDOW_SIZE, 1 << 20)])
def _(v):
    v.request(end=False, method="POST")
    v.send(DATA, 0, 1, b"x" * 16384)
    v.send(DATA, END_STREAM, 1, b"x" * 16384)
    assert len(v.answer(1)[1]) == 32768
    assert max(len(f[3]) for f in v.got) <= 16384


@case("6.5.3", "the last of several values counts", first=[(INITIAL_WINDOW_SIZE, 100), (INITIAL_WINDOW_SIZE, 1)])
def _(v):
    v.request(path="/abc")
    assert len(v.until(lambda f: f[0] == DATA)[3]) == 1


@case("6.5.3", "a SETTINGS with all that there are is acknowledged once")
def _(v):
    v.until(lambda f: f[0] == SETTINGS and f[1] & ACK)
    v.send(SETTINGS, 0, 0, settings((HEADER_TABLE_SIZE, 100), (ENABLE_PUSH, 0), (MAX_CONCURRENT_STREAMS, 5), (INITIAL_WINDOW_SIZE, 100), (MAX_FRAME_SIZE, 20000), (6, 1 << 20)))
    v.send(PING, payload=bytes(8))
    v.until(lambda f: f[0] == PING)
    assert sum(1 for f in v.got if f[0] == SETTINGS and f[1] & ACK) == 2


@case("6.6", "PUSH_PROMISE of a visitor's")
def _(v):
    v.request(label="wait", end=False)
    v.send(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\x02" + block(get()))
    v.connection_error(PROTOCOL_ERROR)


@case("6.6", "PUSH_PROMISE of stream 0")
def _(v):
    v.send(PUSH_PROMISE, END_HEADERS, 0, b"\0\0\0\x02" + block(get()))
    v.connection_error(PROTOCOL_ERROR)


@case("6.7", "PING is answered by what it had")
def _(v):
    v.send(PING, 0, 0, b"h2 frame")
    assert v.until(lambda f: f[0] == PING) == (PING, ACK, 0, b"h2 frame")


@case("6.7", "an answer to a PING is not answered")
def _(v):
    v.send(PING, ACK, 0, b"answered")
    v.send(PING, 0, 0, b"not that")
    assert v.until(lambda f: f[0] == PING) == (PING, ACK, 0, b"not that")


@case("6.7", "PING of a stream")
def _(v):
    v.send(PING, 0, 1, bytes(8))
    v.connection_error(PROTOCOL_ERROR)


@case("6.7", "PING of another length than 8")
def _(v):
    v.send(PING, 0, 0, bytes(6))
    v.connection_error(FRAME_SIZE_ERROR)


@case("6.8", "GOAWAY of a stream")
def _(v):
    v.send(GOAWAY, 0, 1, bytes(8))
    v.connection_error(PROTOCOL_ERROR)


@case("6.8", "GOAWAY too short")
def _(v):
    v.send(GOAWAY, 0, 0, bytes(7))
    v.connection_error(FRAME_SIZE_ERROR, PROTOCOL_ERROR)


@case("6.8", "GOAWAY: what is under way is finished")
def _(v):
    v.request(end=False, method="POST")
    v.send(GOAWAY, 0, 0, bytes(8) + b"bye")
    v.send(DATA, END_STREAM, 1, b"last")
    assert v.answer(1) == (200, b"last")


@case("6.9", "WINDOW_UPDATE of 0 for the connection")
def _(v):
    v.send(WINDOW_UPDATE, 0, 0, bytes(4))
    v.connection_error(PROTOCOL_ERROR)


@case("6.9", "WINDOW_UPDATE of 0 for a stream")
def _(v):
    v.request(label="wait", end=False)
    v.send(WINDOW_UPDATE, 0, 1, bytes(4))
    v.stream_error(1, PROTOCOL_ERROR)


@case("6.9", "WINDOW_UPDATE of another length than 4")
def _(v):
    v.send(WINDOW_UPDATE, 0, 0, b"\0\0\x01")
    v.connection_error(FRAME_SIZE_ERROR)


@case("6.9", "WINDOW_UPDATE of stream 1 and of the connection, with the reserved bit", first=[(INITIAL_WINDOW_SIZE, 0)])
def _(v):
    v.request(path="/abc")
    v.send(WINDOW_UPDATE, 0, 0, b"\x80\0\0\x01")
    v.send(WINDOW_UPDATE, 0, 1, b"\x80\0\0\x04")
    assert v.answer(1) == (200, b"/abc")


@case("6.9.1", "a window of one octet", first=[(INITIAL_WINDOW_SIZE, 1)])
def _(v):
    v.request(path="/abc")
    assert v.until(lambda f: f[0] == DATA)[3] == b"/"
    v.send(PING, payload=bytes(8))
    assert v.next()[0] == PING  # no more of it came
    v.send(WINDOW_UPDATE, 0, 1, b"\0\0\0\x64")
    assert v.answer(1)[1] == b"abc"


@case("6.9.1", "the connection's window beyond the most")
def _(v):
    for _ in range(2):
        v.send(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff")
    v.connection_error(FLOW_CONTROL_ERROR)


@case("6.9.1", "a stream's window beyond the most")
def _(v):
    v.request(label="wait", end=False)
    for _ in range(2):
        v.send(WINDOW_UPDATE, 0, 1, b"\x7f\xff\xff\xff")
    v.stream_error(1, FLOW_CONTROL_ERROR)


@case("6.9.1", "a visitor who sends more than its window")
def _(v):
    v.request(label="wait", end=False, method="POST")
    for _ in range(80):
        v.send(DATA, 0, 1, bytes(16384))
    v.stream_error(1, FLOW_CONTROL_ERROR)


@case("6.9.2", "INITIAL_WINDOW_SIZE changes after HEADERS", first=[(INITIAL_WINDOW_SIZE, 0)])
def _(v):
    v.request(path="/abc")
    v.until(lambda f: f[0] == HEADERS)
    v.send(SETTINGS, 0, 0, settings((INITIAL_WINDOW_SIZE, 1)))
    assert v.until(lambda f: f[0] == DATA)[3] == b"/"


@case("6.9.2", "a window that becomes negative", first=[(INITIAL_WINDOW_SIZE, 3)])
def _(v):
    v.request(path="/abcdef")
    assert v.until(lambda f: f[0] == DATA)[3] == b"/ab"
    v.send(SETTINGS, 0, 0, settings((INITIAL_WINDOW_SIZE, 2)))
    v.send(WINDOW_UPDATE, 0, 1, b"\0\0\0\x01")  # 0 now
    v.send(PING, payload=bytes(8))
    v.until(lambda f: f[0] == PING)
    assert sum(1 for f in v.got if f[0] == DATA) == 1
    v.send(WINDOW_UPDATE, 0, 1, b"\0\0\0\x01")
    assert v.until(lambda f: f[0] == DATA)[3] == b"c"


@case("6.9.2", "INITIAL_WINDOW_SIZE that carries a stream's window beyond the most")
def _(v):
    v.request(label="wait", end=False)
    v.send(WINDOW_UPDATE, 0, 1, b"\x7f\xff\0\0")
    v.send(SETTINGS, 0, 0, settings((INITIAL_WINDOW_SIZE, TOP - 1)))
    v.stream_error(1, FLOW_CONTROL_ERROR)


def continued(what, parts, codes):
    """HEADERS whose block comes in that many parts, then what is wrong"""
    @case("6.10", what)
    def _(v):
        b = block(get())
        step = len(b) // parts + 1
        v.send(HEADERS, END_STREAM, 1, b[:step])
        for i in range(1, parts):
            v.send(CONTINUATION, END_HEADERS if i == parts - 1 else 0, 1, b[i * step:(i + 1) * step])
        if codes:
            v.send(CONTINUATION, END_HEADERS, 1, literal("x", "y"))
            v.connection_error(*codes)
        else:
            assert v.answer(1) == (200, b"/")


continued("one CONTINUATION", 2, [])
continued("five CONTINUATIONs", 6, [])
continued("CONTINUATION behind a CONTINUATION with END_HEADERS", 3, [PROTOCOL_ERROR, STREAM_CLOSED])


@case("6.10", "an empty CONTINUATION")
def _(v):
    v.send(HEADERS, END_STREAM, 1, block(get()))
    v.send(CONTINUATION, 0, 1, b"")
    v.send(CONTINUATION, END_HEADERS, 1, b"")
    assert v.answer(1) == (200, b"/")


@case("6.10", "END_STREAM of a HEADERS holds behind its CONTINUATION")
def _(v):
    v.send(HEADERS, END_STREAM, 1, block(get(label="wait")))
    v.send(CONTINUATION, END_HEADERS, 1, b"")
    v.send(DATA, END_STREAM, 1, b"x")
    v.stream_error(1, STREAM_CLOSED)


def within(what, data):
    @case("6.10", f"between HEADERS and CONTINUATION: {what}")
    def _(v):
        v.request(1, flags=0)
        v.raw(data)
        v.connection_error(PROTOCOL_ERROR)


within("DATA", frame(DATA, END_STREAM, 1, b"test"))
within("a PING", frame(PING, 0, 0, bytes(8)))
within("CONTINUATION of another stream", frame(CONTINUATION, END_HEADERS, 3, literal("x", "y")))
within("a SETTINGS", frame(SETTINGS))
within("a WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\x01"))
within("a RST_STREAM", frame(RST_STREAM, 0, 1, b"\0\0\0\x08"))


@case("6.10", "CONTINUATION of stream 0")
def _(v):
    v.request(1, flags=0)
    v.send(CONTINUATION, END_HEADERS, 0, literal("x", "y"))
    v.connection_error(PROTOCOL_ERROR)


@case("6.10", "CONTINUATION behind HEADERS with END_HEADERS")
def _(v):
    v.request(1, end=False, label="wait")
    v.send(CONTINUATION, END_HEADERS, 1, literal("x", "y"))
    v.connection_error(PROTOCOL_ERROR)


@case("6.10", "CONTINUATION behind DATA")
def _(v):
    v.request(1, end=False, method="POST", label="wait")
    v.send(DATA, 0, 1, b"test")
    v.send(CONTINUATION, END_HEADERS, 1, literal("x", "y"))
    v.connection_error(PROTOCOL_ERROR)


# ---- 7: codes ----

@case("7", "GOAWAY with an unknown code")
def _(v):
    v.send(GOAWAY, 0, 0, b"\0\0\0\0\0\0\0\xff")
    v.send(PING, payload=bytes(8))
    while v.next():  # answered, or closed: both are right
        if v.got[-1][0] == PING:
            break
    assert not [f for f in v.got if f[0] == GOAWAY and f[3][4:8] != bytes(4)]


@case("7", "RST_STREAM with an unknown code")
def _(v):
    v.request(label="wait", end=False)
    v.send(RST_STREAM, 0, 1, b"\0\0\0\xff")
    v.alive()


# ---- 8: messages ----

def message(section, what, status=200, body=b"/", **kw):
    @case(section, what)
    def _(v):
        v.request(**kw)
        assert v.answer(1) == (status, body)


message("8.1", "GET", path="/")
message("8.1", "HEAD", method="HEAD", body=b"")
message("8.1", "OPTIONS of everything", method="OPTIONS", path="*", body=b"*")
message("8.1", "POST without a body", method="POST")
message("8.3.1", ":authority alone names the Space", extra=[("accept", "*/*")])
message("8.3.1", "a Host that is the same as :authority", extra=[("host", host("echo"))])
message("8.3.1", "a Host without an :authority", without=["authority"], extra=[("host", host("echo"))])
message("8.2.2", "te: trailers", extra=[("te", "trailers")])


@case("8.1", "POST with a body and trailers")
def _(v):
    v.request(end=False, method="POST")
    v.send(DATA, 0, 1, b"test")
    v.send(HEADERS, END_HEADERS | END_STREAM, 1, block([("x-test", "ok")]))
    assert v.answer(1) == (200, b"test")


@case("8.1", "a second HEADERS without END_STREAM")
def _(v):
    v.request(end=False, method="POST")
    v.send(HEADERS, END_HEADERS, 1, block([("x-test", "ok")]))
    v.send(DATA, END_STREAM, 1, b"test")
    v.stream_error(1, PROTOCOL_ERROR)


def malformed(section, what, **kw):
    """A request that is malformed: a stream error of type PROTOCOL_ERROR (RFC 9113, 8.1.1)"""
    @case(section, what)
    def _(v):
        v.request(**kw)
        v.stream_error(1, PROTOCOL_ERROR)


malformed("8.2.1", "an upper-case name", extra=[("X-TEST", "ok")])
malformed("8.2.1", "a blank in a name", extra=[("x test", "ok")])
malformed("8.2.1", "a colon in a name", extra=[("x:test", "ok")])
malformed("8.2.1", "an empty name", extra=[("", "ok")])
malformed("8.2.1", "a name with a control", extra=[("x\x01", "ok")])
malformed("8.2.1", "a name with DEL", extra=[("x\x7f", "ok")])
malformed("8.2.1", "a name beyond ASCII", extra=[("x\u00e4", "ok")])
for text, label in ((b"a\0b", "NUL"), (b"a\rb", "CR"), (b"a\nb", "LF"), (b"a\r\nx-b: c", "CR LF"), (b"\ra", "CR before"), (b"a\r", "CR behind"), (b"\na", "LF before"), (b"a\n", "LF behind"), (b" a", "a blank before"), (b"a ", "a blank behind"), (b"\ta", "a tab before"), (b"a\t", "a tab behind")):
    malformed("8.2.1", f"a value with {label}", extra=[("x-test", text)])
for name, value in (("connection", "keep-alive"), ("connection", "x-test"), ("keep-alive", "timeout=5"), ("proxy-connection", "keep-alive"), ("transfer-encoding", "chunked"), ("upgrade", "websocket")):
    malformed("8.2.2", f"{name}: {value}", extra=[(name, value)])
malformed("8.2.2", "TE other than trailers", extra=[("te", "trailers, deflate;q=0.5")])
malformed("8.3", "an unknown pseudo-header", extra=[(":test", "ok")])
malformed("8.3", "a pseudo-header of answers", extra=[(":status", "200")])
malformed("8.3", "a pseudo-header behind a field", fields=[("x-test", "ok")] + get())
malformed("8.3", "a pseudo-header behind a field, in the middle", fields=get()[:2] + [("x-test", "ok")] + get()[2:])
malformed("8.3.1", "an empty :path", path="")
malformed("8.3.1", "an empty :method", method="")
malformed("8.3.1", "a :path that does not begin with a slash", path="x")
malformed("8.3.1", "an asterisk for GET", path="*")
malformed("8.3.1", "a blank in :path", path="/a b")
malformed("8.3.1", "a Host that says something else", extra=[("host", host("wait"))])
malformed("8.3.1", "two Hosts", extra=[("host", host("echo"))] * 2)
malformed("8.3.1", "neither :authority nor Host", without=["authority"])
for gone in ("method", "scheme", "path"):
    malformed("8.3.1", f"no :{gone}", without=[gone])
for k, twice in get()[:4]:
    malformed("8.3.1", f"two {k}", fields=get() + [(k, twice)])
    malformed("8.3.1", f"two {k} that differ", fields=get() + [(k, {":method": "POST", ":scheme": "http", ":path": "/other", ":authority": host("wait")}[k])])
malformed("8.5", "CONNECT with :scheme and :path", method="CONNECT")
malformed("8.5", "CONNECT with :scheme", method="CONNECT", without=["path"])
malformed("8.5", "CONNECT with :path", method="CONNECT", without=["scheme"])
malformed("8.5", "CONNECT without :authority", method="CONNECT", without=["scheme", "path", "authority"])
malformed("RFC 8441, 4", ":protocol of a GET", protocol="websocket")
malformed("RFC 8441, 4", "extended CONNECT without :scheme", method="CONNECT", without=["scheme"], protocol="websocket")
malformed("RFC 8441, 4", "extended CONNECT without :path", method="CONNECT", without=["path"], protocol="websocket")


@case("8.3.1", "an :authority with a user")
def _(v):
    v.request(authority="a@" + host("echo"))
    assert v.answer(1)[0] == 400
    v.alive()


@case("8.5", "CONNECT, which this is no server for")
def _(v):
    v.request(method="CONNECT", without=["scheme", "path"], end=False)
    assert v.answer(1)[0] == 501
    v.alive()


@case("8.3", "a pseudo-header in trailers")
def _(v):
    v.request(end=False, method="POST")
    v.send(DATA, 0, 1, b"test")
    v.send(HEADERS, END_HEADERS | END_STREAM, 1, block([(":method", "POST")]))
    v.stream_error(1, PROTOCOL_ERROR)


@case("8.2.2", "a field of the connection in trailers")
def _(v):
    v.request(end=False, method="POST", label="wait")
    v.send(DATA, 0, 1, b"test")
    v.send(HEADERS, END_HEADERS | END_STREAM, 1, block([("transfer-encoding", "chunked")]))
    v.stream_error(1, PROTOCOL_ERROR)


@case("8.2.1", "an upper-case name in trailers")
def _(v):
    v.request(end=False, method="POST", label="wait")
    v.send(DATA, 0, 1, b"test")
    v.send(HEADERS, END_HEADERS | END_STREAM, 1, block([("X-Test", "ok")]))
    v.stream_error(1, PROTOCOL_ERROR)


def length(what, value, parts):
    @case("8.1.1", f"content-length {what}")
    def _(v):
        v.request(end=not parts, method="POST", label="wait", extra=[("content-length", value)])
        for i, part in enumerate(parts):
            v.send(DATA, END_STREAM if i == len(parts) - 1 else 0, 1, part)
        v.stream_error(1, PROTOCOL_ERROR)


length("that is less than DATA", "1", [b"test"])
length("that is more than DATA", "9", [b"test"])
length("that is less than DATA of two frames", "1", [b"test", b"test"])
length("that is more than DATA of two frames", "9", [b"test", b"test"])
length("of a request without DATA", "1", [])
length("that is no number", "4a", [b"test"])
length("with a sign", "+4", [b"test"])
length("that is empty", "", [b"test"])
length("that overflows", "18446744073709551617", [b"t"])


@case("8.1.1", "two content-length")
def _(v):
    v.request(end=False, method="POST", label="wait", extra=[("content-length", "4"), ("content-length", "4")])
    v.stream_error(1, PROTOCOL_ERROR)


@case("8.1.1", "a malformed request does no harm to the streams beside it")
def _(v):
    v.request(1, end=False, method="POST")
    v.request(3, extra=[("X", "y")])
    v.send(DATA, END_STREAM, 1, b"test")
    v.until(lambda f: f[0] in (RST_STREAM, GOAWAY) and f[2] in (0, 3))
    assert v.got[-1][0] == RST_STREAM
    assert v.answer(1) == (200, b"test")


@case("8.2.3", "cookies in pieces")
def _(v):
    v.request(extra=[("cookie", "a=b"), ("cookie", "c=d")])
    assert v.answer(1)[0] == 200


@case("8.4", "PUSH_PROMISE with an even stream")
def _(v):
    v.send(PUSH_PROMISE, END_HEADERS, 2, b"\0\0\0\x04" + block(get()))
    v.connection_error(PROTOCOL_ERROR)


@case("RFC 8441, 3", "SETTINGS_ENABLE_CONNECT_PROTOCOL is announced")
def _(v):
    payload = v.next()[3]
    assert settings((ENABLE_CONNECT_PROTOCOL, 1)) in [payload[i:i + 6] for i in range(0, len(payload), 6)]


@case("RFC 8441, 4", "a :protocol that there is not")
def _(v):
    v.request(method="CONNECT", protocol="telnet", end=False)
    assert v.answer(1)[0] == 501
    v.alive()


# ---- RFC 7541: HPACK ----

PSEUDO = b"\x82\x87\x84"  # GET, https, /


def coded(section, what, data, wanted=None):
    """A header block behind pseudo-headers of the static table; what the demo sees of it"""
    @case(f"RFC 7541, {section}", what)
    def _(v):
        blocks = data if isinstance(data, list) else [data]
        for i, b in enumerate(blocks):
            v.send(HEADERS, END_HEADERS | END_STREAM, 2 * i + 1, PSEUDO + b"\x01" + string(host("echo")) + b)
            assert v.answer(2 * i + 1) == (200, b"/")
            seen = v.fields.get("x-fields", "") or ""
            if wanted:
                assert (wanted[i] if isinstance(data, list) else wanted) in seen.split("|"), seen


def broken(section, what, data, codes=(COMPRESSION_ERROR,)):
    @case(f"RFC 7541, {section}", what)
    def _(v):
        v.send(HEADERS, END_HEADERS | END_STREAM, 1, data)
        v.connection_error(*codes)


ALL = PSEUDO + b"\x01" + string(host("echo"))
coded("6.1", "an indexed field", b"\x90")  # accept-encoding: gzip, deflate
coded("6.2.1", "a literal with a name of the table, kept", b"\x53" + string("*/*"))
coded("6.2.1", "a literal with a new name, kept, then by its index", [b"\x40" + string("x-a") + string("one"), b"\xbe"], ["x-a=one"] * 2)
coded("6.2.2", "a literal not kept, with a new name", b"\x00" + string("x-a") + string("two"), "x-a=two")
coded("6.2.2", "a literal not kept, with a name of the table", b"\x0f\x04" + string("*/*"))
coded("6.2.3", "a literal never kept, with a new name", b"\x10" + string("x-a") + string("three"), "x-a=three")
coded("6.2.3", "a literal never kept, with a name of the table", b"\x1f\x04" + string("*/*"))
for first, way in ((0x40, "kept"), (0x00, "not kept"), (0x10, "never kept")):
    # x-a: 1111001 010110 00011; v: 1110111; */*: 11111001 011000 11111001; ones behind (appendix B)
    coded("5.2", f"Huffman's code for a name and a value, {way}", bytes([first]) + b"\x83\xf2\xb0\xff\x81\xef", "x-a=v")
    coded("5.2", f"Huffman's code for a value, the name as it is, {way}", bytes([first]) + string("x-a") + b"\x81\xef", "x-a=v")
    # accept is the table's 19th name, which fits only where the literal is kept: 6 bits of number, not 4
    coded("5.2", f"Huffman's code for a value, the name from the table, {way}", number(19, 6 if first == 0x40 else 4, first) + b"\x83\xf9\x63\xe7")
coded("5.2", "an empty value", b"\x00" + string("x-a") + string(""), "x-a=")
coded("5.1", "a length of several octets", b"\x00" + string("x-a") + string("v" * 300), "x-a=" + "v" * 300)
coded("4.3", "what is put out of the table is forgotten", [b"\x40" + string("x-a") + string("v" * 3000), b"\x40" + string("x-b") + string("v" * 3000), b"\xbe"], [
    "x-a=" + "v" * 3000, "x-b=" + "v" * 3000, "x-b=" + "v" * 3000])
coded("4.4", "a field larger than the table empties it", [b"\x40" + string("x-a") + string("v" * 5000)], ["x-a=" + "v" * 5000])


@case("RFC 7541, 6.3", "a size update at the beginning of a block")
def _(v):
    v.send(HEADERS, END_HEADERS | END_STREAM, 1, b"\x20" + ALL)
    assert v.answer(1) == (200, b"/")


@case("RFC 7541, 4.2", "two size updates at the beginning of a block")
def _(v):
    v.send(HEADERS, END_HEADERS | END_STREAM, 1, b"\x20" + number(4096, 5, 0x20) + ALL)
    assert v.answer(1) == (200, b"/")


broken("2.3.3", "an index beyond both tables", PSEUDO + number(70, 7, 0x80))
broken("2.3.3", "a literal with a name beyond both tables", PSEUDO + number(70, 6, 0x40) + string("x"))
broken("2.3.3", "an index far beyond", PSEUDO + b"\xff\xff\xff\xff\x07")
broken("4.2", "a size update at the end of a block", ALL + b"\x20")
broken("4.2", "a size update between fields", PSEUDO + b"\x20\x01" + string(host("echo")))
broken("5.1", "a number that overflows", PSEUDO + b"\xff" + b"\xff" * 12)
broken("5.1", "a number that is cut", PSEUDO + b"\xff\xff")
broken("5.2", "a string longer than the block", PSEUDO + b"\x00\x05ab")
broken("5.2", "Huffman's code with more than 7 bits of padding", ALL + b"\x00\x01x\x82\x1f\xff"[:4] + b"\x83\x1f\xff\xff")
broken("5.2", "Huffman's code padded by zeros", ALL + b"\x00\x01x\x81\x18")
broken("5.2", "Huffman's code with the end of the string", ALL + b"\x00\x01x\x84\xff\xff\xff\xfc")
broken("6.1", "index 0", PSEUDO + b"\x80")
broken("6.3", "a size update above SETTINGS_HEADER_TABLE_SIZE", number(4097, 5, 0x20) + ALL)


@case("RFC 7541, 4.3", "an index that was put out of the table")
def _(v):
    v.send(HEADERS, END_HEADERS | END_STREAM, 1, ALL + b"\x40" + string("x-a") + string("one"))
    assert v.answer(1)[0] == 200
    v.send(HEADERS, END_HEADERS | END_STREAM, 3, b"\x20" + ALL + b"\xbe")
    v.connection_error(COMPRESSION_ERROR)


@case("RFC 7541, 2.2", "the table is kept in step by a request that is refused")
def _(v):
    v.send(HEADERS, END_HEADERS | END_STREAM, 1, ALL + b"\x40" + string("X-UPPER") + string("no") + b"\x40" + string("x-a") + string("one"))
    v.until(lambda f: f[0] in (RST_STREAM, GOAWAY))
    assert v.got[-1][0] == RST_STREAM
    v.send(HEADERS, END_HEADERS | END_STREAM, 3, ALL + b"\xbe")
    assert v.answer(3)[0] == 200 and "x-a=one" in v.fields["x-fields"]
