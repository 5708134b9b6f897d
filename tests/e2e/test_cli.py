"""The command line by itself: new Spaces from templates, a folder run in a sandbox, what of it is sent, addresses
opened."""
import contextlib
import hashlib
import html
import io
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import tarfile
import threading
import time

import pytest

from vitrine import PROGRAM, until

SDKS = ["gradio", "streamlit", "static", "python", "command", "node"]


def vitrine_at(folder, *args, **kw):
    return subprocess.run([PROGRAM, *args], cwd=folder, capture_output=True, text=True, timeout=60, **kw)


class Terminal:
    """A program on a terminal of its own; stdout may be apart."""

    def __init__(self, *argv, **kw):
        self.primary, secondary = pty.openpty()
        self.seen = b""
        self.p = subprocess.Popen(argv, stdin=secondary, stderr=secondary, stdout=subprocess.PIPE, text=True, **kw)
        os.close(secondary)

    def read(self, seconds=0.1):
        with contextlib.suppress(OSError):
            if select.select([self.primary], [], [], seconds)[0]:
                data = os.read(self.primary, 65536)
                self.seen += data
                return data
        return b""

    def wait_for(self, text, seconds=20):
        end = time.monotonic() + seconds
        while text not in self.seen and time.monotonic() < end:
            if not self.read() and self.p.poll() is not None:
                break
        assert text in self.seen, self.seen

    def type(self, line):
        os.write(self.primary, line.encode() + b"\n")

    def finish(self):
        while self.read(0.05) or self.p.poll() is None:
            pass
        out = self.p.stdout.read()
        os.close(self.primary)
        return self.p.wait(), out


# --- init ---

@pytest.mark.parametrize("sdk", SDKS)
def test_init_makes_a_space(tmp_path, sdk):
    title = 'A "quoted" \\ & <b>${title}</b> 日本'
    r = vitrine_at(tmp_path, "init", "my-demo", "--sdk", sdk, "--title", title, "--yes", "--json")
    assert r.returncode == 0 and r.stderr == "", r.stderr
    got = json.loads(r.stdout)
    assert got["sdk"] == sdk and got["title"] == title
    folder = tmp_path / "my-demo"
    assert sorted(os.listdir(folder)) == sorted(got["files"])
    card = (folder / "README.md").read_text()
    assert f"\nsdk: {sdk}\n" in card and f"title: {json.dumps(title, ensure_ascii=False)}\n" in card
    app_file = re.search("app_file: (.*)", card)[1]
    assert os.path.exists(folder / app_file)
    assert os.access(folder / "run", os.X_OK) == (sdk == "command")
    text = (folder / app_file).read_text()
    assert "@TITLE" not in text and "@NAME" not in text


def test_init_writes_over_nothing(tmp_path):
    (tmp_path / "app.py").write_text("mine")
    r = vitrine_at(tmp_path, "init", ".", "--sdk", "python", "--yes")
    assert r.returncode == 1 and "app.py is there already" in r.stderr
    assert os.listdir(tmp_path) == ["app.py"] and (tmp_path / "app.py").read_text() == "mine"


def test_init_asks_on_a_terminal(tmp_path):
    t = Terminal(PROGRAM, "init", cwd=tmp_path)
    for question, answer in [(b"Name", "my-first_demo"), (b"SDK [gradio]", "static"), (b"Title [My first demo]", ""),
                             ("Emoji [🎨]".encode(), "🦜")]:
        t.wait_for(question)
        t.type(answer)
    assert t.finish() == (0, "my-first_demo\n")
    card = (tmp_path / "my-first_demo" / "README.md").read_text()
    assert 'title: "My first demo"\nemoji: "🦜"\n' in card


@pytest.mark.parametrize("args,word", [
    ((), "--yes"), (("--sdk", "cobol", "--yes"), "cobol"), (("a", "b", "--yes"), "one folder"),
    (("-x",), "-x"), (("--title", "a\nb", "--yes"), "one line"), (("a b", "--yes"), "name"),
])
def test_init_refuses(tmp_path, args, word):
    r = vitrine_at(tmp_path, "init", *args, stdin=subprocess.DEVNULL)
    assert r.returncode in (1, 2) and word in r.stderr and len(r.stderr.splitlines()) == 1
    assert os.listdir(tmp_path) == []


# --- dev ---

class Dev:
    def __init__(self, tmp_path, folder, *args):
        self.log = tmp_path / "dev.log"
        self.tmp = tmp_path / "tmp"
        self.tmp.mkdir(exist_ok=True)
        with open(self.log, "wb") as log:
            self.p = subprocess.Popen([PROGRAM, "dev", str(folder), "--port", "0", *args], stdin=subprocess.DEVNULL, stdout=log,
                                      stderr=log, env={**os.environ, "TMPDIR": str(self.tmp), "XDG_CACHE_HOME": str(tmp_path / "cache")})

    def text(self):
        return self.log.read_text(errors="replace")

    def wait_for(self, text, count=1, seconds=30):
        assert until(lambda: self.text().count(text) >= count or self.p.poll() is not None, seconds) and self.p.poll() is None, self.text()

    def url(self):
        self.wait_for("ready: ")
        return re.search("ready: (http://localhost:[0-9]+)/", self.text())[1]

    def get(self, path="/"):
        r = subprocess.run(["curl", "-s", "-m", "20", "-w", "\n%{http_code}", self.url() + path], capture_output=True, text=True)
        body, status = r.stdout.rsplit("\n", 1)
        return int(status), body

    def end(self):
        self.p.send_signal(signal.SIGINT)
        assert self.p.wait(20) == 0
        assert os.listdir(self.tmp) == []


@contextlib.contextmanager
def devs(tmp_path):
    made = []

    def start(folder, *args):
        made.append(Dev(tmp_path, folder, *args))
        return made[-1]

    yield start
    for d in made:
        try:
            d.end()
        finally:
            d.p.kill()


@pytest.fixture
def dev(tmp_path):
    with devs(tmp_path) as start:
        yield start


def new_space(tmp_path, sdk):
    folder = tmp_path / "space"
    assert vitrine_at(tmp_path, "init", str(folder), "--sdk", sdk, "--yes").returncode == 0
    return folder


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_dev_starts_again_when_a_file_is_saved(tmp_path, dev):
    folder = new_space(tmp_path, "python")
    os.chmod(folder, 0o700)  # its owner's alone: the sandbox sees a copy
    d = dev(folder)
    assert d.get("/api/greet?name=x") == (200, '{"greeting": "Hello, x!"}')
    edit(folder / "app.py", "Hello", "Moin")
    d.wait_for("runs again")
    assert d.get("/api/greet?name=x") == (200, '{"greeting": "Moin, x!"}')
    assert "app.py changed" in d.text()
    (folder / "sub").mkdir()
    (folder / "sub" / "late.py").write_text("word = 'Ahoy'\n")
    edit(folder / "app.py", 'f"Moin,', '__import__("sub.late").late.word + f",')
    d.wait_for("runs again", 2)
    (folder / "sub" / "late.py").write_text("word = 'Servus'\n")  # in a folder that was not there at first
    assert until(lambda: d.get("/api/greet?name=x") == (200, '{"greeting": "Servus, x!"}'), 20), d.text()


def test_dev_says_what_is_wrong_and_goes_on(tmp_path, dev):
    folder = new_space(tmp_path, "python")
    good = (folder / "app.py").read_text()
    d = dev(folder)
    d.url()
    (folder / "app.py").write_text("raise SystemExit(3)\n")
    d.wait_for("ended with status 3")
    status, page = d.get()
    assert status == 503 and "does not run" in page
    edit(folder / "README.md", "app_file: app.py", "app_file: nosuch.py")
    d.wait_for("README.md:7: app_file: the bundle has no file")
    edit(folder / "README.md", "app_file: nosuch.py", "app_file: app.py")
    (folder / "app.py").write_text(good)
    assert until(lambda: d.get()[0] == 200, 20), d.text()


def test_dev_gives_what_a_space_has(tmp_path, dev):
    folder = new_space(tmp_path, "python")
    (folder / "app.py").write_text("""
import http.server, json, os
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        open("/data/kept", "a").write("x")
        body = json.dumps({"env": dict(os.environ), "kept": open("/data/kept").read(), "uid": os.getuid(), "cwd": os.getcwd(),
                           "files": sorted(os.listdir("."))}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), H).serve_forever()
""")
    (folder / ".git").mkdir()
    d = dev(folder, "--env", "COLOUR=blue", "--memory", "300M")
    got = json.loads(d.get()[1])
    assert got["env"]["COLOUR"] == "blue" and got["env"]["SPACE_HOST"] == d.url().split("//")[1] and got["env"]["HOME"] == "/home/user"
    assert got["uid"] == 1000 and got["cwd"] == "/home/user/app" and got["files"] == ["README.md", "app.py"]
    edit(folder / "app.py", "kept", "stays")  # what it keeps in /data outlives a new start
    d.wait_for("runs again")
    edit(folder / "app.py", "stays", "kept")
    d.wait_for("runs again", 2)
    assert len(json.loads(d.get()[1])["kept"]) >= 3


def test_dev_touches_pages_alone(tmp_path, dev):
    """A script at the end of what a browser opens; everything else is as the program sent it."""
    folder = new_space(tmp_path, "python")
    (folder / "app.py").write_text("""
import http.server, os
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if self.path != "/json" else "application/json")
        self.send_header("X-Saw", self.headers.get("Connection", "") + "|" + self.headers.get("Accept-Encoding", "") + "|" + self.headers["Host"])
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in (b"<p>one", b"<p>two" * 3000):
            self.wfile.write(b"%x\\r\\n%s\\r\\n" % (len(part), part))
        self.wfile.write(b"0\\r\\n\\r\\n")
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), H).serve_forever()
""")
    d = dev(folder)
    whole = "<p>one" + "<p>two" * 3000

    def ask(path, *more):
        r = subprocess.run(["curl", "-s", "-i", "-m", "20", *more, d.url() + path], capture_output=True, text=True)
        head, body = r.stdout.replace("\r\n", "\n").split("\n\n", 1)
        return head.lower(), body
    browser = ("-H", "Accept: text/html,*/*;q=0.8", "-H", "Accept-Encoding: gzip", "-H", "Sec-Fetch-Dest: document")
    head, body = ask("/?q=a%20b", *browser)
    assert body.startswith(whole + '\n<script src="/.vitrine-dev.js" data-of="') and f"||{d.url().split('//')[1]}" in head and "chunked" not in head, head
    for more in ((), ("-H", "Accept: text/html", "-H", "Sec-Fetch-Dest: iframe"), ("-H", "Accept: application/json")):
        head, body = ask("/", *more)
        assert body == whole and "x-saw: close|" in head, head
    assert ask("/json", *browser)[1] == whole
    assert ask("/", "--data-binary", "x" * 100000)[1] == "x" * 100000
    assert "EventSource" in ask("/.vitrine-dev.js")[1]


def test_dev_of_static_files(tmp_path, dev):
    folder = new_space(tmp_path, "static")
    d = dev(folder)
    assert "<title>Space</title>" in d.get()[1]
    edit(folder / "index.html", "<title>Space", "<title>Other")
    assert until(lambda: "<title>Other" in d.get()[1], 20), d.text()


# --- what of a folder is sent ---

def test_what_is_left_out(up):
    folder = up.bundle("ignoring", card="title: I\nsdk: static", **{
        "index.html": "i", ".vitrineignore": "# litter\n*.log\n/top.txt\nbuild/\n!keep.log\nsub/**\ndocs/*.md\n",
        "a.log": "", "keep.log": "", "deep/er/b.log": "", "top.txt": "", "deep/top.txt": "", "build/x": "", "deep/build/x": "",
        "sub/x": "", "docs/a.md": "", "docs/a.txt": "", "deep/docs/a.md": "", ".git/config": "", "deep/.git/config": "",
        ".cache/huggingface/x": "", ".cache/kept": "", "__pycache__/x.pyc": "", "deep/__pycache__/x.pyc": "",
        "venv/pyvenv.cfg": "", "venv/lib/x.py": ""})
    up.deploy(folder, "demo/ignoring")
    there = ["keep.log", "deep/top.txt", "docs/a.txt", "deep/docs/a.md"]
    gone = ["a.log", "deep/er/b.log", "top.txt", "build/x", "deep/build/x", "sub/x", "docs/a.md", "__pycache__/x.pyc",
            "deep/__pycache__/x.pyc", "venv/lib/x.py"]
    assert [f for f in there if up.demo("demo/ignoring", "/" + f).status != 200] == []
    assert [f for f in gone if up.demo("demo/ignoring", "/" + f).status != 404] == []


def test_a_wrong_list_of_what_is_left_out(up):
    folder = up.bundle("wrong-list", card="title: I\nsdk: static", **{"index.html": "i", ".vitrineignore": "ok\na/**/b\n"})
    r = up.cli("deploy", folder, "demo/wrong-list")
    assert r.returncode == 1 and ".vitrineignore:2" in r.stderr


def test_a_file_that_changes_while_it_is_read(up):
    """A writer that never pauses: the deploy says so, and sends nothing that is half of this and half of that."""
    folder = up.bundle("changing", card="title: C\nsdk: static", **{"index.html": "c", "big.bin": bytes(60 << 20)})
    writer = subprocess.Popen(["sh", "-c", "while :; do printf x >> big.bin; done"], cwd=folder)
    try:
        r = up.cli("deploy", folder, "demo/changing")
    finally:
        writer.kill()
        writer.wait()
    assert r.returncode == 1 and "big.bin changed while it was read; try again" in r.stderr
    assert up.cli("status", "demo/changing").returncode == 1


# --- seen while deploying ---

def test_a_bar_for_each_phase(up):
    folder = up.bundle("bars", card="title: B\nsdk: static", **{"index.html": "b", "noise": os.urandom(3 << 20)})
    t = Terminal(PROGRAM, "deploy", folder, "demo/bars", env=up._env())
    code, out = t.finish()
    assert code == 0 and out.strip() == f"http://demo-bars.localhost:{up.port}"
    lines = [re.split(r"\r\x1b\[K", line)[-1] for line in t.seen.decode().replace("\r\n", "\n").strip("\n").split("\n")]
    assert [line.split()[0].split("[")[0] for line in lines] == ["scan", "pack", "upload", "check", "start"]
    assert all(re.search(r"\[#{24}\] 0:\d\d", line) for line in lines), lines
    assert "3 MiB" in lines[1] and "3 MiB" in lines[2]


def test_no_bar_without_a_terminal(up):
    folder = up.bundle("plain", card="title: P\nsdk: static", **{"index.html": "p"})
    r = up.cli("deploy", folder, "demo/plain")
    assert r.returncode == 0 and r.stderr == ""


# --- open, completion ---

def test_open(up):
    up.deploy(up.bundle("opened", card="title: O\nsdk: static", **{"index.html": "o"}), "demo/opened")
    url = f"http://demo-opened.localhost:{up.port}"
    tools = os.path.join(up.folder, "tools")
    os.mkdir(tools)
    with open(os.path.join(tools, "xdg-open"), "w") as f:
        f.write('#!/bin/sh\necho "$1" >>"$(dirname "$0")/opened"\necho noise\n')
    os.chmod(os.path.join(tools, "xdg-open"), 0o755)
    opened = os.path.join(tools, "opened")
    env = {**up._env(), "PATH": tools + ":" + os.environ["PATH"]}
    without = {k: v for k, v in env.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    for args, e in [((), without), (("--print",), {**env, "DISPLAY": ":9"})]:
        r = subprocess.run([PROGRAM, "open", "demo/opened", *args], env=e, capture_output=True, text=True, timeout=30)
        assert (r.returncode, r.stdout) == (0, url + "\n") and not os.path.exists(opened)
    r = subprocess.run([PROGRAM, "open", "demo/opened"], env={**without, "DISPLAY": ":9"}, capture_output=True, text=True, timeout=30)
    assert (r.returncode, r.stdout) == (0, url + "\n")
    with open(opened) as f:
        assert f.read() == url + "\n"
    r = up.cli("open", "demo/nothing")
    assert r.returncode == 1 and "demo/nothing" in r.stderr
    os.unlink(opened)


def test_completion(up):
    r = vitrine_at(up.folder, "completion", "bash")
    assert r.returncode == 0
    ask = r.stdout + '\ncomplete_for() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _vitrine; echo "${COMPREPLY[@]}"; }\n'

    def complete(*words):
        out = subprocess.run(["bash", "-c", ask + 'complete_for "$@"', "bash", *words], capture_output=True, text=True,
                             env={**up._env(), "PATH": os.path.dirname(PROGRAM) + ":" + os.environ["PATH"]})
        assert out.stderr == "" or "compopt" in out.stderr
        return out.stdout.split()

    up.deploy(up.bundle("complete", card="title: C\nsdk: static", **{"index.html": "c"}), "demo/complete")
    assert complete("vitrine", "com") == ["completion"]
    assert complete("vitrine", "deploy", "--") == ["--no-wait", "--if-changed", "--json"]
    assert complete("vitrine", "logs", "demo/comp") == ["demo/complete"]
    assert complete("vitrine", "completion", "") == ["bash", "zsh"]
    assert vitrine_at(up.folder, "completion", "fish").returncode == 2


# --- an upload that breaks off ---

class Breaking:
    """A way to the server that ends each connection once so many bytes of a large body have gone over it."""

    def __init__(self, port, after, pause=0):
        self.port, self.after, self.pause = port, after, pause
        self.sent, self.broken = 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://localhost:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                a, _ = self.listener.accept()
            except OSError:
                return
            b = socket.create_connection(("127.0.0.1", self.port))
            threading.Thread(target=self.carry, args=(a, b, True), daemon=True).start()
            threading.Thread(target=self.carry, args=(b, a, False), daemon=True).start()

    def carry(self, a, b, up):
        n = 0
        with contextlib.suppress(OSError):
            while data := a.recv(65536):
                b.sendall(data)
                n += len(data)
                self.sent += len(data) if up else 0
                if up and n > 200000:
                    time.sleep(self.pause)
                if up and self.after and n > self.after:
                    self.broken += 1
                    break
        for s in (a, b):
            with contextlib.suppress(OSError):
                if up and self.after and n > self.after:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # it breaks, it does not end
                s.shutdown(socket.SHUT_RDWR)
                s.close()


def served(up, name, path):
    return hashlib.sha256(up.demo(name, path).body).hexdigest()


def test_an_upload_goes_on_where_it_broke_off(up):
    noise = os.urandom(12 << 20)
    folder = up.bundle("resumed", card="title: R\nsdk: static", **{"index.html": "r", "noise.bin": noise})
    way = Breaking(up.port, after=3 << 20)
    r = subprocess.run([PROGRAM, "deploy", folder, "demo/resumed"], env={**up._env(), "VITRINE_URL": way.url}, capture_output=True, text=True,
                       timeout=60)
    assert r.returncode == 0, r.stderr
    assert way.broken >= 3 and way.sent < 22 << 20  # what came over was not sent again, but for what was on its way
    assert served(up, "demo/resumed", "/noise.bin") == hashlib.sha256(noise).hexdigest()


def test_a_deploy_that_was_ended_goes_on_in_the_next_one(up):
    noise = os.urandom(12 << 20)
    folder = up.bundle("again", card="title: A\nsdk: static", **{"index.html": "a", "noise.bin": noise})
    way = Breaking(up.port, after=0, pause=0.02)
    env = {**up._env(), "VITRINE_URL": way.url}
    p = subprocess.Popen([PROGRAM, "deploy", folder, "demo/again"], env=env, stdout=subprocess.DEVNULL)
    assert until(lambda: way.sent > 6 << 20, 30)
    p.kill()
    p.wait()
    before, way.pause = way.sent, 0
    r = subprocess.run([PROGRAM, "deploy", folder, "demo/again"], env=env, capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stderr
    assert way.sent - before < 11 << 20
    assert served(up, "demo/again", "/noise.bin") == hashlib.sha256(noise).hexdigest()


# --- only what has changed ---

def blob(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def partial(path, files):
    """An archive of {name: content, or the name of a blob that is left out}."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as t:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.pax_headers = {"SCHILY.xattr.user.vitrine.kept": content}
            else:
                info.size = len(content)
            t.addfile(info, None if isinstance(content, str) else io.BytesIO(content))
    return path


def test_what_an_archive_leaves_out_comes_from_the_repository(up):
    card, one, two = b"---\ntitle: K\nsdk: static\n---\n", os.urandom(70000), b"second"
    folder = up.bundle("kept", card="title: K\nsdk: static", **{"index.html": one, "sub/two": two, "gone": "x"})
    up.deploy(folder, "demo/kept")
    path = os.path.join(up.folder, "kept.tar")
    files = {"README.md": card, "index.html": blob(one), "sub/moved": blob(two), "new": b"third"}
    up.deploy(partial(path, files), "demo/kept")
    assert [up.demo("demo/kept", p).body for p in ("/", "/sub/moved", "/new")] == [one, two, b"third"]
    assert [up.demo("demo/kept", p).status for p in ("/gone", "/sub/two")] == [404, 404]
    # The same content has the same name, however it came.
    whole = up.bundle("kept", card="title: K\nsdk: static", **{"index.html": one, "sub/moved": two, "new": "third"})
    with open(os.path.join(whole, "README.md"), "wb") as f:
        f.write(card)
    count = up.status("demo/kept")["versions_count"]
    up.deploy(whole, "demo/kept", "--if-changed")
    assert up.status("demo/kept")["versions_count"] == count


@pytest.mark.parametrize("name", ["demo/kept-not", "demo/kept-nowhere"])
@pytest.mark.parametrize("oid", ["0" * 40, "f" * 64, "HEAD", "", "-x", "a" * 300])
def test_what_nobody_has_cannot_be_left_out(up, name, oid):
    if name == "demo/kept-not" and up.cli("status", name).returncode:
        up.deploy(up.bundle("kept-not", card="title: K\nsdk: static", **{"index.html": "k"}), name)
    before = up.status(name).get("version")
    path = partial(os.path.join(up.folder, "not.tar"), {"README.md": b"---\nsdk: static\n---\n", "index.html": oid})
    r = up.cli("deploy", path, name)
    assert r.returncode == 1 and "index.html" in r.stderr, r.stderr
    assert up.status(name).get("version") == before


def test_a_deploy_sends_only_what_has_changed(up):
    noise = os.urandom(3 << 20)
    folder = up.bundle("changed", card="title: C\nsdk: static", **{"index.html": "one", "noise.bin": noise, "run.sh": "#!/bin/sh\n" * 100})
    way = Breaking(up.port, after=0)
    env = {**up._env(), "VITRINE_URL": way.url}

    def deploy():
        before = way.sent
        r = subprocess.run([PROGRAM, "deploy", folder, "demo/changed"], env=env, capture_output=True, text=True, timeout=60)
        assert r.returncode == 0, r.stderr
        return way.sent - before

    assert deploy() > 3 << 20
    with open(os.path.join(folder, "index.html"), "w") as f:
        f.write("two")
    os.rename(os.path.join(folder, "run.sh"), os.path.join(folder, "other.sh"))
    assert deploy() < 200_000
    assert up.demo("demo/changed").body == b"two" and served(up, "demo/changed", "/noise.bin") == hashlib.sha256(noise).hexdigest()
    assert [up.demo("demo/changed", p).status for p in ("/run.sh", "/other.sh")] == [404, 200]
    # A file of the same length is told from the one that is there.
    with open(os.path.join(folder, "noise.bin"), "r+b") as f:
        f.write(b"changed")
    assert deploy() > 3 << 20
    assert up.demo("demo/changed", "/noise.bin").body == b"changed" + noise[7:]
    # A Space that is not there any more gets everything.
    assert up.cli("delete", "demo/changed").returncode == 0
    assert deploy() > 3 << 20


# --- what templates make, and logs that are followed ---

@pytest.mark.parametrize("sdk,word", [("static", b"<canvas"), ("node", b"Visits:"), ("python", b"Your name"), ("command", b"Started at")])
def test_what_init_makes_can_be_deployed(up, sdk, word):
    name = f"new-{sdk}"
    assert vitrine_at(up.folder, "init", name, "--sdk", sdk, "--title", 'It\'s "new"', "--yes").returncode == 0
    up.deploy(os.path.join(up.folder, name), f"demo/{name}")
    page = up.demo(f"demo/{name}").body
    assert word in page and 'It\'s "new"' in html.unescape(page.decode())
    assert up.status(f"demo/{name}")["title"] == 'It\'s "new"'


def test_logs_are_followed_from_worker_to_worker(up):
    """Through a restart, a stop, and a visit that wakes it: each worker's lines come in the same stream."""
    up.deploy(up.probe("followed", version="1"), "demo/followed")
    with open(os.path.join(up.folder, "followed.log"), "wb") as out:
        p = up.popen("logs", "demo/followed", "-f", stdout=out, stderr=subprocess.STDOUT)

    def printed():
        with open(out.name) as f:
            return f.read()

    def say(word):
        assert until(lambda: up.demo("demo/followed", "/print?" + word).status == 200, 20)
        assert until(lambda: word in printed(), 20), printed()

    try:
        say("first-worker")
        assert up.cli("restart", "demo/followed").returncode == 0
        say("second-worker")
        assert up.cli("stop", "demo/followed").returncode == 0
        assert up.cli("start", "demo/followed").returncode == 0
        say("third-worker")
        up.deploy(up.probe("followed", version="2"), "demo/followed")
        say("fourth-worker")
        assert p.poll() is None and printed().count("first-worker") == 1
    finally:
        p.kill()
        p.wait()
