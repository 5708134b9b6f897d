#!/usr/bin/python3
"""Stands in for the three programs under `up`, to test the supervisor alone. What each does is in the
file `script`, beside it: {"protocol": PROTO_VERSION, "vitrine-runner": "serve" | "die" | "deaf" | "orphan" | "mute" (never ready)}."""
import json
import os
import select
import signal
import socket
import struct
import sys
import time

name = os.path.basename(sys.argv[0])
here = os.path.dirname(os.path.abspath(sys.argv[0]))
with open(os.path.join(here, "script")) as f:
    script = json.load(f)
what = script.get(name, "serve")
sup = socket.socket(fileno=3)
sup.setblocking(True)
READY, LISTENER, ROLE_PUBLIC = 1, 3, 5


def tell(event):
    with open(os.path.join(here, "events"), "a") as f:
        # its pid as the test sees it: the gateway is the first of a pid namespace of its own
        f.write(f"{time.monotonic():.3f} {name} {os.readlink('/proc/self')} {event}\n")


def on_term(*_):
    tell("term")
    if what != "deaf":
        os._exit(0)


tell("start")
if what == "die":
    sys.exit(7)
signal.signal(signal.SIGTERM, on_term)
if what == "orphan":
    between = os.fork()
    if between == 0:
        os.setsid()
        if os.fork() == 0:  # its parent ends: it becomes a child of the subreaper
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.close(3)
            time.sleep(600)
        os._exit(0)
    os.waitpid(between, 0)
if what != "mute":
    sup.send(struct.pack("<HHI", script["protocol"], READY, 0))
public = None
while True:
    ready, _, _ = select.select([s for s in (sup, public) if s], [], [])
    if sup in ready:
        data, fds, _, _ = socket.recv_fds(sup, 1 << 16, 8)
        if not data:
            tell("eof")
            os._exit(0)
        kind = struct.unpack_from("<HH", data)[1]
        tell(f"message {kind} {struct.unpack_from('<I', data, 8)[0]}")
        if kind == LISTENER and struct.unpack_from("<I", data, 8)[0] == ROLE_PUBLIC:
            public = socket.socket(fileno=fds[0])
    elif public in ready:
        c, _ = public.accept()
        c.setblocking(True)
        c.recv(65536)
        body = b'{"url": "http://localhost/login?link=x"}'
        c.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        c.close()
