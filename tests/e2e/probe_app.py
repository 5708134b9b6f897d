"""The demo of the tests: standard library only, a page a question."""
import base64
import concurrent.futures
import errno
import hashlib
import json
import os
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = "0"  # Vitrine.probe puts the one of the bundle here
START = time.time()
BLOCK = bytes(range(256)) * 256


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, body, kind="application/json"):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        path, _, query = self.path.partition("?")
        page = getattr(self, "page_" + path.strip("/").replace("-", "_"), None)
        if page:
            return page(query)
        self.answer(b"hello from version " + VERSION.encode() + b"\n", "text/plain")

    def page_start(self, _):
        self.answer(START)

    def page_version(self, _):
        self.answer(VERSION)

    def page_env(self, _):
        self.answer(dict(os.environ))

    def page_dev(self, _):
        self.answer(sorted(os.listdir("/dev")))

    def page_headers(self, _):
        self.answer(list(self.headers.items()))

    def page_keep(self, _):
        with open("/data/kept", "a") as f:
            f.write("x")
        self.answer(os.path.getsize("/data/kept"))

    def page_crash(self, _):
        os._exit(3)

    def page_print(self, query):
        print(query, flush=True)
        self.answer(query)

    def page_slow(self, query):
        time.sleep(float(query or 1))
        self.answer(VERSION)

    def page_bytes(self, query):
        left = int(query)
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(left))
        self.end_headers()
        while left:
            n = min(left, len(BLOCK))
            self.wfile.write(BLOCK[:n])
            left -= n

    def page_flood(self, query):
        """Prints so many MiB."""
        line = b"x" * 1023 + b"\n"
        for _ in range(int(query) * 1024):
            sys.stdout.buffer.write(line)
        sys.stdout.flush()
        self.answer("done")

    def page_forks(self, query):
        """Starts children that stay until no more can be started, at most so many; then ends them."""
        children = []
        why = "all"
        try:
            for _ in range(int(query)):
                pid = os.fork()
                if pid == 0:
                    time.sleep(60)
                    os._exit(0)
                children.append(pid)
        except OSError as e:
            why = e.strerror
        for pid in children:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
        self.answer([len(children), why])

    def page_eat(self, query):
        """Takes so many MiB of memory and touches it."""
        hold = []
        for _ in range(int(query)):
            hold.append(bytearray(os.urandom(4096) * 256))
        self.answer(len(hold))

    def page_fill(self, query):
        """Writes in the folder until it is full, at most so many MiB: how much went in."""
        folder, mib = query.split(",")
        n = 0
        try:
            with open(folder + "/filling", "wb") as f:
                for _ in range(int(mib)):
                    n += f.write(bytes(1 << 20))
                    f.flush()
            why = "all"
        except OSError as e:
            why = e.strerror
        os.unlink(folder + "/filling")
        self.answer([n >> 20, why])

    def page_hold(self, query):
        """Writes so many MiB into a file of the folder, which stays."""
        folder, mib = query.split(",")
        try:
            with open(folder + "/held", "wb") as f:
                for _ in range(int(mib)):
                    f.write(bytes(1 << 20))
                f.flush()
                os.fsync(f.fileno())
            self.answer("done")
        except OSError as e:
            self.answer(e.strerror)

    def page_reach(self, query):
        """Connects to each ADDRESS:PORT at the same time: what it said first, or why not."""
        def one(place):
            host, port = place.rsplit(":", 1)
            try:
                with socket.create_connection((host.strip("[]"), int(port)), 5) as s:
                    return s.recv(100).decode()
            except OSError as e:
                return errno.errorcode.get(e.errno, type(e).__name__)

        with concurrent.futures.ThreadPoolExecutor(40) as pool:
            self.answer(list(pool.map(one, query.split(","))))

    def page_sse(self, query):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for i in range(int(query or 3)):
            self.wfile.write(b"data: %d\n\n" % i)
            self.wfile.flush()
            time.sleep(0.3)
        self.close_connection = True

    def page_ws(self, _):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.wfile.write(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                          f"Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n").encode())
        while True:
            head = self.rfile.read(2)
            if len(head) < 2 or head[0] & 15 == 8:
                break
            mask = self.rfile.read(4)
            data = bytes(b ^ mask[i & 3] for i, b in enumerate(self.rfile.read(head[1] & 127)))
            self.wfile.write(bytes([0x81, len(data)]) + data)
            self.wfile.flush()
        self.close_connection = True

    def do_POST(self):
        digest, n, left = hashlib.sha256(), 0, int(self.headers.get("Content-Length", 0))
        while left:
            data = self.rfile.read(min(1 << 20, left))
            if not data:
                return
            digest.update(data)
            n += len(data)
            left -= len(data)
        self.answer([n, digest.hexdigest()])


ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
