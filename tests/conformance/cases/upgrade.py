"""Upgrade and WebSocket: both ends see the same bytes as without a proxy between"""
import base64
import hashlib

from case import ANY_4XX, both, case, either, get, has, hasnt, passed
from origin import CLOSE, ECHO
from visitor import Answers

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = base64.b64encode(hashlib.sha1((KEY + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
HANDSHAKE = get("/ws", f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n")
SWITCH = f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n".encode()
CLEAR = [("GET", "/ws")]
SAME = "RFC 9110 7.8", "after a 101 the connection is the new protocol's: both ends see the bytes as they were sent"


def frame(opcode, data=b"", fin=True, mask=b"\x37\xfa\x21\x3d", rsv=0):
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if mask else 0
    n = len(data)
    head += bytes([bit | n]) if n < 126 else bytes([bit | 126]) + n.to_bytes(2, "big") if n < 65536 else bytes([bit | 127]) + n.to_bytes(8, "big")
    return head + (mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)) if mask else data)


def same(sent):
    def right(r):
        if r.status != 101:
            return "no upgrade"
        if r.origin_behind != sent:
            return f"the demo got {len(r.origin_behind)} bytes, not the {len(sent)} that were sent"
        return None if r.behind == sent else f"the visitor got {len(r.behind)} bytes, not the {len(sent)} that were sent"
    return right


def echoed(name, *frames, steps=None, must=SAME):
    sent = b"".join(frames)
    case(f"ws-{name}", *must, [HANDSHAKE, Answers(1)] + (steps or list(frames)), same(sent), answers=[[SWITCH, ECHO]], clear=CLEAR, behind=len(sent), direct=True)


echoed("text", frame(1, b"hello"))
echoed("unmasked", frame(1, b"hello", mask=b""))
echoed("binary-126", frame(2, b"x" * 126))
echoed("binary-65536", frame(2, bytes(range(256)) * 256))
echoed("binary-300000", frame(2, b"x" * 300000))
echoed("fragments", frame(1, b"he", fin=False), frame(0, b"l", fin=False), frame(0, b"lo"))
echoed("ping-within-fragments", frame(1, b"he", fin=False), frame(9, b"p"), frame(0, b"llo"))
echoed("ping-pong", frame(9, b"a" * 125), frame(10, b"a" * 125))
echoed("close", frame(8, b"\x03\xe8bye"))
echoed("close-then-more", frame(8, b"\x03\xe8"), frame(1, b"late"))
echoed("reserved-bits", frame(1, b"hello", rsv=7))
echoed("unknown-opcode", frame(11, b"hello"))
echoed("bad-utf8", frame(1, b"\xff\xfe"))
echoed("long-control", frame(9, b"a" * 200))
echoed("looks-like-http", b"GET /evil HTTP/1.1\r\nHost: x\r\n\r\n", must=("RFC 9110 7.8", "what follows a 101 is no HTTP, whatever it looks like"))
echoed("looks-like-an-end", b"0\r\n\r\n", b"\r\n\r\n")
echoed("byte-by-byte", frame(1, b"hello"), steps=[x for b in frame(1, b"hello") for x in (bytes([b]), 0.004)])
echoed("1000-small", *[frame(1, b"%d" % i) for i in range(1000)])
echoed("zeros", b"\0" * 5000)
case("ws-frames-with-the-handshake", *SAME, HANDSHAKE + frame(1, b"early"), either(same(frame(1, b"early")), lambda r: None if r.status in ANY_4XX else "not so"), answers=[[SWITCH, ECHO]], clear=CLEAR, behind=len(frame(1, b"early")), direct=True)
case("ws-demo-speaks-first", *SAME, HANDSHAKE, lambda r: None if r.behind == frame(1, b"welcome", mask=b"") else f"the visitor got {r.behind!r}", answers=[[SWITCH + frame(1, b"welcome", mask=b""), ECHO]], clear=CLEAR, behind=9, direct=True)
case("ws-demo-ends", *SAME, [HANDSHAKE, Answers(1)], lambda r: None if r.behind == b"bye" and r.gone else "the end did not come", answers=[[SWITCH + b"bye", 0.05, CLOSE]], clear=CLEAR, behind=3, ends=True, direct=True)
case("ws-visitor-leaves", *SAME, [HANDSHAKE, Answers(1), frame(1, b"a"), 0.1], same(frame(1, b"a")), answers=[[SWITCH, ECHO]], clear=CLEAR, behind=7, leaves=True, direct=True)
case("ws-fields", "RFC 6455 4.2.2", "Sec-WebSocket-* are between client and server: they go on, and so does the key's answer", get("/ws", f"Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n"
     "Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nOrigin: http://x\r\n"),
     both(lambda r: None if r.status == 101 and r.answers[0].get("sec-websocket-accept") == ACCEPT and r.answers[0].get("sec-websocket-protocol") == "chat" else "not so",
          lambda r: next((w for w in (f(r.seen[0], r) for f in (has("sec-websocket-key", KEY), has("sec-websocket-protocol", "chat, superchat"), has("origin", "http://x"))) if w), None)),
     answers=[[SWITCH[:-2] + b"Sec-WebSocket-Protocol: chat\r\n\r\n", ECHO]], clear=CLEAR)
case("ws-connection-upgrade", "RFC 9110 7.8", "a sender of Upgrade MUST also send it in Connection", HANDSHAKE, lambda r: None if r.seen and "upgrade" in (r.seen[0].get("connection") or "").lower() and r.answers and "upgrade" in (r.answers[0].get("connection") or "").lower()
     and (r.seen[0].get("upgrade") or "").lower() == "websocket" else "not so", answers=[[SWITCH, ECHO]], clear=CLEAR)
case("ws-case", "RFC 6455 4.2.1", "\"websocket\" and \"Upgrade\" are compared without case", get("/ws", f"uPGRADE: WebSocket\r\ncONNECTION: uPGRADE\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n"), lambda r: None if r.status == 101 else "no upgrade",
     answers=[[SWITCH, ECHO]], clear=CLEAR)
case("ws-refused", "RFC 6455 4.2.2", "a server that will not upgrade answers in HTTP, and that goes to the visitor", [HANDSHAKE, get("/b")], passed(lambda m, r: None, n=2, statuses=[403, 200]), answers=[b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno", None],
     clear=CLEAR + [("GET", "/b")], n=2)
case("ws-426", "RFC 6455 4.2.2", "another version: 426 with Sec-WebSocket-Version goes to the visitor", HANDSHAKE.replace(b"Version: 13", b"Version: 25"), lambda r: None if r.status == 426 and r.answers[0].get("sec-websocket-version") == "13" else "not so",
     answers=[b"HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nUpgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n"], clear=CLEAR)
case("ws-in-1.0", "RFC 9110 7.8", "MUST ignore Upgrade in an HTTP/1.0 request", HANDSHAKE.replace(b"HTTP/1.1", b"HTTP/1.0"), lambda r: None if r.status != 101 and not any(m.get("upgrade") for m in r.seen) else "it was heeded", clear=CLEAR)
case("ws-not-named", "RFC 9110 7.8", "Upgrade without Connection: upgrade is not for the next hop", HANDSHAKE.replace(b"Connection: Upgrade\r\n", b""), passed(lambda m, r: None if m.get("upgrade") is None else "it went on"), clear=CLEAR, level="property")
case("upgrade-of-something-else", "RFC 9110 7.6.1", "Upgrade stops here unless the proxy takes part in it", get("/a", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"),
     passed(hasnt("http2-settings"), lambda m, r: None if m.get("upgrade") is None else "h2c went on"), clear=[("GET", "/a")])
case("upgrade-to-another-protocol", "RFC 9110 7.8", "MUST NOT switch to a protocol that the client did not ask for", HANDSHAKE, lambda r: None if r.status != 101 else "it went on", answers=[[SWITCH.replace(b"Upgrade: websocket", b"Upgrade: foo"), 0.1, CLOSE]], clear=CLEAR)
case("upgrade-with-post", "RFC 6455 4.1", "the method of the handshake MUST be GET", HANDSHAKE.replace(b"GET", b"POST"), lambda r: None if r.status != 101 else "it was heeded", answers=[[SWITCH, 0.1, CLOSE]], clear=[("POST", "/ws")], level="property")
