"""Submitting: what comes in, what is refused, what is said."""
import http.server
import io
import json
import os
import re
import pty
import pwd
import subprocess
import tarfile
import threading
import zipfile

import pytest

from hub import new_user
from vitrine import PROGRAM, until

CARD = "---\ntitle: T\nsdk: static\n---\n"


def one_line(r):
    assert r.returncode == 1 and r.stdout == "", (r.returncode, r.stdout, r.stderr)
    # A phase that takes its time is named beforehand: that is the machine's affair.
    lines = [line for line in r.stderr.strip().splitlines() if not re.fullmatch(r"[a-z]+: .*, \d+ s", line)]
    assert len(lines) == 1, r.stderr
    return lines[0]


def test_a_folder_becomes_an_address(up):
    folder = up.bundle("hello", card="title: Hello\nsdk: static", **{"index.html": "<p>hello</p>"})
    r = up.cli("deploy", folder, "demo/hello")
    assert r.returncode == 0 and r.stderr == ""
    url = r.stdout.strip()
    assert url == f"http://demo-hello.localhost:{up.port}"
    assert subprocess.run(["curl", "-sf", url], capture_output=True, text=True).stdout == "<p>hello</p>"
    found = [s for s in json.loads(up.cli("list", "--json").stdout) if s["id"] == "demo/hello"]
    assert found and found[0]["stage"] == "RUNNING" and found[0]["title"] == "Hello"


def test_the_json_of_a_deployment(up):
    got = up.deploy(up.bundle("j", card="title: J\nsdk: static", **{"index.html": "j"}), "demo/json")
    assert got["id"] == "demo/json" and got["stage"] == "RUNNING" and len(got["version"]) == 40
    assert got["url"] == f"http://demo-json.localhost:{up.port}"


def test_the_name_comes_from_user_and_folder(up):
    folder = up.bundle("by-name", card="title: N\nsdk: static", **{"index.html": "n"})
    r = up.cli("deploy", folder, "--json")
    assert json.loads(r.stdout)["id"] == f"{os.environ.get('USER') or user_name()}/by-name"


def test_a_token_says_whose_a_space_without_an_owner_is(up):
    folder = up.bundle("by-token", card="title: N\nsdk: static", **{"index.html": "n"})
    token = new_user(up, "ada")
    r = up.cli("deploy", folder, "--json", token=token)
    assert r.returncode == 0, r.stderr
    assert json.loads(r.stdout)["id"] == "ada/by-token"
    assert "ada/by-token" in up.cli("status", "by-token", token=token).stdout
    assert "Invalid credentials" in up.cli("deploy", folder, token="vt_none").stderr


def user_name():
    return pwd.getpwuid(os.getuid()).pw_name


def test_curl_put(up):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as z:
        z.writestr("README.md", CARD)
        z.writestr("index.html", "by curl")
    r = subprocess.run(
        ["curl", "-sS", "-T", "-", "-H", f"Authorization: Bearer {up.token}",
         f"http://localhost:{up.port}/api/spaces/demo/curl/bundle?filename=x.zip"],
        input=data.getvalue(), capture_output=True)
    assert json.loads(r.stdout)["id"] == "demo/curl", r
    assert until(lambda: up.demo("demo/curl").body == b"by curl", 20)


def archive(path, names):
    """names: {path: content}"""
    if path.endswith(".zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
            for name, content in names.items():
                z.writestr(name, content)
    else:
        mode = {"gz": "w:gz", "tgz": "w:gz", "tar": "w"}.get(path.rsplit(".", 1)[1], "w")
        with tarfile.open(path, mode) as t:
            for name, content in names.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                t.addfile(info, io.BytesIO(content.encode()))
    return path


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tgz", "tar.zst"])
def test_archives(up, kind):
    path = os.path.join(up.folder, "a." + kind)
    plain = path[:-4] if kind == "tar.zst" else path
    archive(plain, {"top/README.md": CARD, "top/index.html": "from " + kind})
    if kind == "tar.zst":
        subprocess.run(["zstd", "-qf", plain, "-o", path], check=True)
    name = "demo/of-" + kind.replace(".", "-")
    up.deploy(path, name)
    assert up.demo(name).body == b"from " + kind.encode()


def test_unchanged_is_not_sent_again(up):
    folder = up.bundle("same", card="title: S\nsdk: static",
                       **{"index.html": "s", "sub/x.txt": "x", "sub-a": "a", "run.sh": "#!/bin/sh\n"})
    os.symlink("sub/x.txt", os.path.join(folder, "link"))
    os.mkdir(os.path.join(folder, "empty"))
    os.makedirs(os.path.join(folder, ".git", "objects"))
    first = up.deploy(folder, "demo/same")
    count = up.status("demo/same")["versions_count"]
    again = up.deploy(folder, "demo/same", "--if-changed")
    assert again["version"] == first["version"]
    assert up.status("demo/same")["versions_count"] == count
    with open(os.path.join(folder, "index.html"), "w") as f:
        f.write("changed")
    changed = up.deploy(folder, "demo/same", "--if-changed")
    assert changed["version"] != first["version"]
    assert up.demo("demo/same").body == b"changed"


def test_no_wait(up):
    folder = up.probe("slow", more="import time; time.sleep(3)")
    got = up.deploy(folder, "demo/slow", "--no-wait")
    assert got["stage"] in ("APP_STARTING", "BUILDING")
    assert until(lambda: up.stage("demo/slow") == "RUNNING", 20)


def refuse(up, path, name="demo/refused"):
    said = one_line(up.cli("deploy", path, name))
    assert up.cli("status", name).returncode == 1, "a refused bundle must not make a Space"
    return said


def test_no_archive(up):
    path = os.path.join(up.folder, "noise.zip")
    with open(path, "wb") as f:
        f.write(os.urandom(1000))
    assert "archive" in refuse(up, path)


def test_truncated(up):
    whole = archive(os.path.join(up.folder, "whole.tar.gz"), {"README.md": CARD, "index.html": "x" * 9999})
    path = os.path.join(up.folder, "cut.tar.gz")
    with open(whole, "rb") as f, open(path, "wb") as out:
        out.write(f.read()[:-20])
    refuse(up, path)


@pytest.mark.parametrize("name", ["../out", "/etc/out", "a/../../out"])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_paths_that_lead_out(up, name, kind):
    path = archive(os.path.join(up.folder, "out." + kind),
                   {"README.md": CARD, "index.html": "x", name: "out"})
    assert "out" in refuse(up, path)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../etc/passwd", "nowhere"])
def test_links_that_lead_out(up, target):
    folder = up.bundle("links", card="title: L\nsdk: static", **{"index.html": "x"})
    os.symlink(target, os.path.join(folder, "link"))
    assert "link" in refuse(up, folder)


def test_devices(up):
    path = os.path.join(up.folder, "dev.tar")
    with tarfile.open(path, "w") as t:
        for name, kind in (("README.md", tarfile.REGTYPE), ("null", tarfile.CHRTYPE)):
            info = tarfile.TarInfo(name)
            info.type = kind
            data = CARD.encode() if kind == tarfile.REGTYPE else b""
            info.size, info.devmajor, info.devminor = len(data), 1, 3
            t.addfile(info, io.BytesIO(data))
    assert "null" in refuse(up, path)


def test_a_pipe_in_the_folder(up):
    folder = up.bundle("pipe", card="title: P\nsdk: static", **{"index.html": "x"})
    os.mkfifo(os.path.join(folder, "fifo"))
    assert "fifo" in refuse(up, folder)


@pytest.mark.parametrize("files, word", [
    ({"card": "title: T\nsdk: python\napp_file: nosuch.py"}, "nosuch.py"),
    ({"card": "title: [", "app.py": ""}, "README.md"),
    ({"card": "title: T\nsdk: cobol", "app.py": ""}, "cobol"),
    ({"card": "title: T\nsdk: python\napp_port: 99999", "app.py": ""}, "app_port"),
    ({"card": "title: T\nsdk: docker", "Dockerfile": ""}, "docker"),
])
def test_wrong_cards(up, files, word):
    assert word in refuse(up, up.bundle("wrong", **files))


@pytest.mark.parametrize("name", ["demo/" + "x" * 97, "demo/a..b", "demo/-a", "demo/a b", "de mo/x",
                                  "demo/", "/x", "demo/x.git", "demo/ä"])
def test_names_that_are_none(up, name):
    folder = up.bundle("named", card="title: N\nsdk: static", **{"index.html": "n"})
    one_line(up.cli("deploy", folder, name))


def test_two_names_with_one_label(up):
    folder = up.bundle("twins", card="title: N\nsdk: static", **{"index.html": "n"})
    one, two = up.deploy(folder, "a-b/c"), up.deploy(folder, "a/b-c")
    assert one["url"] != two["url"]
    for got in (one, two):
        host = got["url"].split("//")[1].rstrip("/")
        assert up.get("/", host).body == b"n"


def test_limits_of_an_upload(vitrine):
    v = vitrine("[upload]\nmax_archive = 1M\nmax_unpacked = 4M\nmax_files = 50\n")
    bomb = archive(os.path.join(v.folder, "bomb.zip"), {"README.md": CARD, "index.html": "0" * (6 << 20)})
    assert os.path.getsize(bomb) < 100_000
    assert "4 MiB" in refuse(v, bomb)
    many = archive(os.path.join(v.folder, "many.tar.gz"),
                   {"README.md": CARD, **{f"f{i}": "" for i in range(60)}})
    assert "50" in refuse(v, many)
    big = os.path.join(v.folder, "big.tar")
    with open(big, "wb") as f:
        f.write(os.urandom(2 << 20))
    assert "1 MiB" in refuse(v, big)
    folder = v.bundle("fine", card="title: F\nsdk: static", **{"index.html": "fine"})
    v.deploy(folder, "demo/fine")
    assert not [n for _, _, names in os.walk(os.path.join(v.data, "uploads")) for n in names]


def test_with_a_wrong_token(up):
    folder = up.bundle("anon", card="title: A\nsdk: static", **{"index.html": "n"})
    r = up.cli("deploy", folder, "demo/anon", token="0" * 64)
    assert "VITRINE_TOKEN" in one_line(r)


def test_the_local_token_is_found_and_stays_here(up):
    """Without VITRINE_TOKEN it comes from ./data/admin.token, for a server on this machine only."""
    env = {k: v for k, v in os.environ.items() if k != "VITRINE_TOKEN"}
    heard = []

    class Listener(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            heard.append(self.headers.get("Authorization"))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"[]")

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        for host in ("localhost", "ip6-localhost.example"):
            subprocess.run([PROGRAM, "list"], cwd=up.folder, capture_output=True, timeout=30,
                           env={**env, "VITRINE_URL": f"http://{host}:{port}",
                                "http_proxy": f"http://127.0.0.1:{port}"})
        server.shutdown()
    assert heard == [f"Bearer {up.token}", None]


def test_a_failed_start_is_explained(up):
    folder = up.bundle("fails", **{"app.py": "print('reading the model')\nraise SystemExit('no weights')\n"})
    r = up.cli("deploy", folder, "demo/fails")
    said = one_line(r)
    assert "no weights" in said and "RUNTIME_ERROR" in said
    assert up.stage("demo/fails") == "RUNTIME_ERROR"
    page = up.demo("demo/fails", headers={"Accept": "text/html"})
    assert page.status >= 500 and b"no weights" not in page.body


def test_progress_on_a_terminal(up):
    folder = up.bundle("tty", card="title: T\nsdk: static", **{"index.html": "t"})
    primary, secondary = pty.openpty()
    env = {**os.environ, "VITRINE_URL": f"http://{up.site}", "VITRINE_TOKEN": up.token}
    p = subprocess.Popen([PROGRAM, "deploy", folder, "demo/tty"], stdout=subprocess.PIPE,
                         stderr=secondary, env=env)
    os.close(secondary)
    seen = b""
    while True:
        try:
            data = os.read(primary, 4096)
        except OSError:
            break
        if not data:
            break
        seen += data
    os.close(primary)
    assert p.wait() == 0
    for phase in (b"pack", b"upload", b"start", b"0:0"):
        assert phase in seen, seen
    assert seen.endswith(b"\r\n")
