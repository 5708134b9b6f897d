"""/data of a Space for who may write: listed, downloaded, deleted; whatever a demo has put there."""
import json
import os
import urllib.parse

import pytest

from vitrine import Vitrine, until

EVIL = ["<script>alert(1)<", "a\nb", "ä ö.txt", "-rf", "%41", "..x", "q\"'&", "x" * 255]
SETUP = '''
import os
os.makedirs("/data/models/tiny", exist_ok=True)
open("/data/models/tiny/w.bin", "wb").write(bytes(range(256)) * 1000)
open("/data/page.html", "w").write("<script>alert(1)</script>")
for n in %r: open("/data/" + n, "w").write("evil")
open(b"/data/raw\\xff", "w").write("raw")
for n, to in (("link", "/etc/passwd"), ("up", "../../.."), ("dir", "/etc"), ("rel", "models")):
    if not os.path.islink("/data/" + n): os.symlink(to, "/data/" + n)
if not os.path.exists("/data/pipe"): os.mkfifo("/data/pipe")
''' % EVIL


@pytest.fixture(scope="module")
def v():
    v = Vitrine("[lifecycle]\nsleep_after = 10m\n")
    v.start()
    v.deploy(v.probe(more=SETUP), "demo/probe")
    until(lambda: v.ask("demo/probe", "/version"))
    yield v
    v.end()


def at(path, what="/data"):
    return f"/api/spaces/demo/probe{what}?path={urllib.parse.quote(path, safe='')}"


def listed(v, path=""):
    a = v.api("GET", at(path))
    assert a.status == 200, a.body
    return {e["name"]: e for e in a.json["entries"]}


def test_listed(v):
    top = listed(v)
    assert [e["type"] for e in top.values()][0] == "directory" and top["models"]["type"] == "directory"
    assert top["page.html"]["size"] == 25 and top["page.html"]["type"] == "file"
    assert {top[n]["type"] for n in ("link", "up", "dir", "rel")} == {"link"} and top["pipe"]["type"] == "other"
    for name in EVIL:
        assert name.replace("\n", "?") in top, name
    assert top["raw?"]["enc"] == "raw%FF"
    assert set(listed(v, "models/tiny")) == {"w.bin"} and set(listed(v, "/models/")) == {"tiny"}


def test_downloaded_as_an_attachment(v):
    a = v.api("GET", at("models/tiny/w.bin", "/data/file"))
    assert a.status == 200 and a.body == bytes(range(256)) * 1000
    for asked, status, got, said in [("bytes=10-19", 206, bytes(range(10, 20)), "bytes 10-19/256000"), ("bytes=-6", 206, bytes(range(250, 256)), "bytes 255994-255999/256000"),
                                     ("bytes=256000-", 416, b"", "bytes */256000")]:
        a = v.api("GET", at("models/tiny/w.bin", "/data/file"), headers={"Range": asked})
        assert (a.status, a.body, a.headers["content-range"]) == (status, got, said), asked
    a = v.api("GET", at("page.html", "/data/file"))
    assert a.headers["content-type"] == "application/octet-stream" and a.headers["x-content-type-options"] == "nosniff"
    assert a.headers["content-disposition"] == "attachment; filename*=UTF-8''page.html" and "sandbox" in a.headers["content-security-policy"]
    for name in EVIL:
        a = v.api("GET", at(name, "/data/file"))
        assert a.body == b"evil" and "\n" not in a.headers["content-disposition"] and '"' not in a.headers["content-disposition"], name
    assert v.api("GET", "/api/spaces/demo/probe/data/file?path=raw%FF").body == b"raw"


@pytest.mark.parametrize("path", ["link", "up", "dir", "dir/passwd", "rel/tiny/w.bin", "pipe", "..", "../..", "models/..", "models/../page.html", "./page.html", "models//tiny", "none", "models",
                                  "page.html/x", "a/" * 100 + "b"])
def test_nothing_but_files_of_its_own(v, path):
    a = v.api("GET", at(path, "/data/file"))
    assert a.status in (400, 404), (a.status, a.body[:200])
    assert b"root:" not in a.body


@pytest.mark.parametrize("path", ["dir", "up", "rel", "..", "none", "page.html"])
def test_no_folder_elsewhere(v, path):
    assert v.api("GET", at(path)).status in (400, 404)


def test_deleted(v):
    assert v.api("DELETE", at("")).status == 400 and v.api("DELETE", at("..")).status == 400
    assert v.api("DELETE", at("none")).status == 404
    assert v.api("DELETE", at("dir/passwd")).status == 404
    for name in ("dir", "rel", "pipe", "x" * 255, "models/tiny"):
        assert v.api("DELETE", at(name)).status == 200, name
    top = listed(v)
    assert not {"dir", "rel", "pipe"} & set(top) and listed(v, "models") == {} and os.path.exists("/etc/passwd")
    assert v.api("GET", at("models/tiny/w.bin", "/data/file")).status == 404


def test_the_page(v):
    html = {"Accept": "text/html"}
    page = v.api("GET", "/spaces/demo/probe/data", headers=html).body.decode()
    assert "&lt;script&gt;alert(1)&lt;" in page and "<script>alert(1)" not in page
    assert 'href="/spaces/demo/probe/data?path=models"' in page and "path=raw%FF" in page and "path=%2541" in page
    form = {**html, "Content-Type": "application/x-www-form-urlencoded"}
    a = v.api("POST", "/spaces/demo/probe/data", headers=form, body="path=" + urllib.parse.quote("%2541", safe=""))
    assert a.status == 303 and a.headers["location"] == "/spaces/demo/probe/data?path="
    assert "%41" not in listed(v)
    a = v.api("POST", "/spaces/demo/probe/data", headers=form, body="path=..")
    assert a.status == 400


def test_for_who_may_write_alone(v):
    assert v.cli("user", "add", "reader").returncode == 0
    token = v.cli("token", "new", "reader", "--role", "write").stdout.strip()
    for headers, status in (({}, 401), ({"Authorization": f"Bearer {token}"}, 403)):
        for method, path in (("GET", at("")), ("GET", at("page.html", "/data/file")), ("DELETE", at("page.html"))):
            assert v.http(method, path, headers=headers).status == status
    assert "page.html" in listed(v)


def test_while_it_sleeps_and_where_nothing_is_kept(v):
    assert v.cli("stop", "demo/probe").returncode == 0
    assert "page.html" in listed(v)
    v.deploy(v.bundle("static", card="title: S\nsdk: static", **{"index.html": "x"}), "demo/empty")
    a = v.api("GET", "/api/spaces/demo/empty/data")
    assert a.status == 200 and json.loads(a.body)["entries"] == []
