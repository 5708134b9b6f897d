"""vitrine-egress as the runner starts it, and servers of the test's own that stand for the outside: names below
localhost, which the host's own resolver knows."""
import base64
import http.client
import http.server
import os
import select
import socket
import ssl
import subprocess
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("VITRINE_BUILD", os.path.join(ROOT, "build")))
SECONDS = 20


def make_certificate(folder):
    cert, key = str(folder / "cert.pem"), str(folder / "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=test", "-addext", "subjectAltName=DNS:a.localhost", "-keyout", key, "-out", cert],
                   check=True, stderr=subprocess.DEVNULL)
    return cert, key


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Origin:
    """A server outside. `pages` maps paths to (content type, bytes) or to a function of the request; `login` is the
    Authorization that it wants. What it was asked is in `asked`, as (method, path, headers)."""

    def __init__(self, certificate, tls=False, pages=None, login=None):
        self.pages, self.login, self.asked = pages or {}, login, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.asked.append((self.command, self.path, self.headers))
                if outer.login and self.headers.get("Authorization") != outer.login:
                    self.answer(401, "text/plain", b"log in\n", {"WWW-Authenticate": "Basic realm=x"})
                    return
                page = outer.pages.get(self.path.partition("?")[0])
                if page is None:
                    self.answer(404, "text/plain", b"nothing here\n")
                elif callable(page):
                    page(self)
                else:
                    self.answer(200, *page)

            do_HEAD = do_GET

            def answer(self, status, kind, body, more=None):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                for name, value in (more or {}).items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Egress:
    def __init__(self, policy, listener=None, fine=False):
        self.listener = listener or socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.say, theirs = socket.socketpair()
        conf = os.memfd_create("policy")
        os.write(conf, policy.encode())
        # far from 3 to 5, so that none is overwritten before it is moved
        high = [os.dup2(fd, 200 + i, inheritable=False) for i, fd in enumerate((theirs.fileno(), conf, self.listener.fileno()))]
        actions = [(os.POSIX_SPAWN_DUP2, fd, 3 + i) for i, fd in enumerate(high)]
        self.errors = os.memfd_create("errors")
        actions.append((os.POSIX_SPAWN_DUP2, self.errors, 2))
        program = BUILD + "/vitrine-egress"
        self.pid = os.posix_spawn(program, ["vitrine-egress", "0"] + (["unconfined-is-fine"] if fine else []), {"PATH": "/usr/bin:/bin", **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}},
                                  file_actions=actions)
        for fd in high + [conf]:
            os.close(fd)
        theirs.close()
        self.text, self.status = "", None
        if not fine:
            self.wait_for("@ready")

    def read(self, seconds=0):
        """Takes what it said; False at its end."""
        if not select.select([self.say], [], [], seconds)[0]:
            return True
        data = self.say.recv(65536).decode()
        self.text += data
        return bool(data)

    def wait_for(self, text):
        end = time.monotonic() + SECONDS
        while text not in self.text:
            left = end - time.monotonic()
            if left < 0 or not self.read(left):
                raise AssertionError(f"never said {text!r}:\n{self.text}\n{self.complaints()}")

    def complaints(self):
        return os.pread(self.errors, 100000, 0).decode()

    def lines(self):
        while self.read(0) and select.select([self.say], [], [], 0)[0]:
            pass
        return [line for line in self.text.splitlines() if not line.startswith("@")]

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS)

    def ask(self, head):
        """The whole answer to these bytes."""
        with self.connect() as s:
            s.sendall(head.encode() if isinstance(head, str) else head)
            data = b""
            while chunk := s.recv(65536):
                data += chunk
        return data

    def get(self, url, method="GET", headers=None):
        """(status, headers, body) of a whole URL"""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            c.request(method, url, headers=headers or {})
            r = c.getresponse()
            return r.status, r.headers, r.read()
        finally:
            c.close()

    def tunnel(self, host, port):
        """A socket that is through."""
        s = self.connect()
        s.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = s.recv(1)
            if not byte:
                break
            head += byte
        assert head.startswith(b"HTTP/1.1 200"), head
        return s

    def wait(self):
        if self.status is None:
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def close(self):
        self.say.shutdown(socket.SHUT_RDWR)
        status = self.wait()
        self.say.close()
        self.listener.close()
        complaints = self.complaints()
        os.close(self.errors)
        assert status == 0, f"vitrine-egress ended with {status}: {complaints}"
