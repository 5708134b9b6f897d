"""A real browser speaks HTTP/2 to the gateway, its WebSockets included (RFC 8441)."""
import base64
import hashlib
import json
import os
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "gateway"))
import harness  # noqa: E402
from certs import Pair  # noqa: E402

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def echo(c, fields):
    """A WebSocket that says again what it hears, in one frame each"""
    key = dict((k.lower(), v) for k, v in fields)["sec-websocket-key"]
    accept = base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()
    c.send(f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n")
    while True:
        head = c.exactly(2)
        n = head[1] & 0x7f
        n = int.from_bytes(c.exactly(2), "big") if n == 126 else n
        mask = c.exactly(4)
        data = bytes(b ^ mask[i % 4] for i, b in enumerate(c.exactly(n)))
        c.send(bytes([head[0]]) + (bytes([n]) if n < 126 else b"\x7e" + n.to_bytes(2, "big")) + data)


def demo(c):
    while True:
        line, fields = c.head()
        path = line.split()[1]
        if path == "/ws":
            echo(c, fields)
        elif path == "/events":
            c.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            for i in range(3):
                c.send(f"data: {i}\n\n")
                time.sleep(0.05)
            c.rest()
            return
        elif path == "/up":
            body, _ = c.body_of(fields)
            c.answer(hashlib.sha256(body).hexdigest())
        elif path == "/":
            c.answer("<title>demo</title>", fields="Content-Type: text/html\r\n")
        else:
            c.answer(path * 2000)


@pytest.fixture
def visit(chromium, tmp_path):
    g = harness.Gateway(tls=[Pair("localhost", "*.localhost")], log__access="json")
    context = chromium.new_context(ignore_https_errors=True)
    log = open(tmp_path / "log", "ab")
    try:
        g.sup.send("SUP_LOG", [log.fileno()])
        g.space("demo-a", demo)
        page = context.new_page()
        page.goto(f"https://demo-a.localhost:{g.tls_port}/")
        yield page, lambda: [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    finally:
        context.close()
        log.close()
        g.close()


def test_pages_uploads_and_events(visit):
    page, log = visit
    assert page.title() == "demo"
    assert page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol") == "h2"
    assert page.evaluate("""async () => {
        const all = [...Array(40).keys()].map((i) => fetch("/" + i).then((r) => r.text()));
        const texts = await Promise.all(all);
        return texts.every((t, i) => t === ("/" + i).repeat(2000));
    }""")
    data = bytes(range(256)) * 4096
    assert page.evaluate("""async () => {
        const b = new Uint8Array(1 << 20).map((_, i) => i);
        return (await fetch("/up", {method: "POST", body: b})).text();
    }""") == hashlib.sha256(data).hexdigest()
    assert page.evaluate("""() => new Promise((done) => {
        const got = [], s = new EventSource("/events");
        s.onmessage = (m) => { got.push(m.data); if (got.length === 3) { s.close(); done(got); } };
    })""") == ["0", "1", "2"]
    assert page.evaluate("performance.getEntriesByType('resource').every((e) => e.nextHopProtocol === 'h2')")


def test_a_websocket(visit):
    page, log = visit
    assert page.evaluate("""() => new Promise((done, failed) => {
        const got = [], words = ["stressed", "x".repeat(5000), "ä"], s = new WebSocket("wss://" + location.host + "/ws");
        s.onopen = () => s.send(words[0]);
        s.onmessage = (m) => {
            got.push(m.data);
            if (got.length < words.length) s.send(words[got.length]);
            else { s.close(); done(JSON.stringify(got) === JSON.stringify(words)); }
        };
        s.onerror = () => failed("error");
    })""")
    line = harness.until(lambda: [x for x in log() if x["target"] == "/ws"], 10)
    assert line[0]["version"] == "2.0"
