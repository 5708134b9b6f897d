"""Archives, packs and commits that mean harm: each is refused with words, or is as harmless as it looks; the Space is as
before, and nothing lies outside of where submissions belong."""
import gzip
import os
import subprocess

import pytest
from archives import (CHAR, DIR, FIFO, HARD, LINK, entry, good_tar, good_zip, lying_zip, raw_name_zip, wrong_sum_zip, zeros_tar_gz, zip_)
from gitclient import clone
from packs import NONE, README, Pack, copies, pkt, push, varint
from vitrine import Vitrine, until

NAME = "demo/target"
CONFIG = "[upload]\nmax_unpacked = 32M\nmax_files = 300\nmax_file = 8M\nmax_repository = 64M\njob_timeout = 40s\n[limits]\nmemory = 512M\n"


BUNDLES = []  # those that were tried and had no effect


@pytest.fixture(scope="module")
def v():
    v = Vitrine(CONFIG)
    v.start()
    v.deploy(v.bundle("t", card="title: Target\nsdk: static", **{"index.html": "good"}), NAME)
    with open(v.folder + "/secret", "w") as f:
        f.write("secret")
    yield v
    v.end()


def head(v):
    return v.api("GET", f"/api/spaces/{NAME}").json["version"]


def snapshot(v):
    """Everything in the data folder that a submission has no business with, and the refs of the Space."""
    out = set()
    for d, _, files in os.walk(v.data):
        rel = os.path.relpath(d, v.data)
        if rel.split("/")[0] not in ("logs", "run"):
            out |= {os.path.join(rel, f) for f in files if not f.startswith(("site.db", "life.db"))}
    refs = subprocess.run(["git", f"--git-dir={v.data}/repos/1.git", "-c", "safe.directory=*", "for-each-ref"], capture_output=True, text=True,
                          env={"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "HOME": "/nonexistent"}).stdout
    return out, refs


def unchanged(v, before, version):
    out, refs = snapshot(v)
    assert refs == before[1]
    assert out - before[0] == set(), "left behind"
    assert before[0] - out == set()
    assert head(v) == version and v.demo(NAME).body == b"good"
    assert open(v.folder + "/secret").read() == "secret" and sorted(os.listdir(v.folder)) == v.listing
    assert not os.path.exists("/tmp/vitrine-evil")


@pytest.fixture
def guard(v, request):
    """The state before, and what must hold after a refusal"""
    v.listing = sorted(os.listdir(v.folder))
    before, version = snapshot(v), head(v)
    yield before
    unchanged(v, before, version)
    BUNDLES.append(request.node.name)


# ---- archives

def many(n):
    return good_tar(*[entry(f"f{i}") for i in range(n)])


ARCHIVES = {
    "dotdot": (lambda: good_tar(entry("../evil", b"x")), '".."'),
    "dotdot inside": (lambda: good_zip(entry("a/../../evil", b"x")), '".."'),
    "absolute": (lambda: good_tar(entry("/tmp/vitrine-evil", b"x")), "absolute"),
    "backslash": (lambda: good_zip(entry("..\\evil", b"x")), "/"),
    "link out": (lambda: good_tar(entry("l", kind=LINK, to="../../../../etc/passwd")), "outside|not in the bundle"),
    "absolute link": (lambda: good_tar(entry("l", kind=LINK, to="/etc/passwd")), "absolute"),
    "write through link": (lambda: good_tar(entry("d", kind=LINK, to="."), entry("d/app.py", b"x")), "twice"),
    "link loop": (lambda: good_tar(entry("a", kind=LINK, to="b"), entry("b", kind=LINK, to="a")), "circle"),
    "hard link out": (lambda: good_tar(entry("h", kind=HARD, to="../../secret")), '".."'),
    "hard link to nothing": (lambda: good_tar(entry("h", kind=HARD, to="etc/passwd")), "hard link"),
    "device": (lambda: good_tar(entry("null", kind=CHAR)), "device"),
    "fifo": (lambda: good_tar(entry("pipe", kind=FIFO)), "pipe"),
    "twice": (lambda: good_tar(entry("app.py", b"other")), "twice"),
    "file and folder": (lambda: good_tar(entry("x", b"1"), entry("x/y", b"2")), "twice"),
    "zip bomb": (lambda: zip_([entry("app.py", bytes(40 << 20))]), "32 MiB"),
    "tar.gz bomb": (lambda: zeros_tar_gz("app.py", 64 << 20), "32 MiB"),
    "lying zip": (lambda: lying_zip(40 << 20), "longer than it says|32 MiB|damaged"),
    "too many files": (lambda: many(400), "300"),
    "too deep": (lambda: good_tar(entry("/".join("d" * 100) + "/f")), "64 folders"),
    "long name": (lambda: good_tar(entry("n" * 300)), "255"),
    "control characters": (lambda: raw_name_zip(b"a\x1b[2Jb"), "control"),
    "no UTF-8": (lambda: raw_name_zip(b"a\xff\xfeb"), "UTF-8"),
    "wrong sum": (wrong_sum_zip, "damaged"),
    "truncated": (lambda: good_tar()[:-1500], "truncated"),
    "git's short name": (lambda: good_tar(entry("git~1/config", b"[core]\n")), "git keeps for itself"),
    "git's name on a Mac": (lambda: good_tar(entry(".g\u200cit/config", b"[core]\n")), "git keeps for itself"),
    "git's name on Windows": (lambda: good_tar(entry(".git /config", b"[core]\n")), "git keeps for itself"),
    "a device by name": (lambda: good_tar(entry("d", kind=DIR), entry("d/z", kind=CHAR)), "device"),
}


def judge(answer, words):
    import re
    text = answer.json["error"] if answer.body.startswith(b"{") else answer.body.decode()
    assert 400 <= answer.status < 500, (answer.status, text)
    assert re.search(words, text), text
    assert len(text) < 600 and not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text) and "/work" not in text and "/var/tmp" not in text


@pytest.mark.parametrize("case", ARCHIVES)
def test_archive(v, guard, case):
    make, words = ARCHIVES[case]
    judge(v.api("PUT", f"/api/spaces/{NAME}/bundle?filename=x", body=make()), words)


# ---- packs

def with_entry(mode, name, content=b"x"):
    def make(p):
        return p.space((mode, name, p.blob(content)))
    return make


def with_folder(name, *inside):
    def make(p):
        return p.space(("40000", name, p.tree(*[(m, n, p.blob(c)) for m, n, c in inside] or [("100644", "config", p.blob())])))
    return make


def tree_bomb(p):
    tree = p.tree(("100644", "f", p.blob()))
    for _ in range(10):
        tree = p.tree(*[("40000", f"d{i}", tree) for i in range(10)])
    return p.space(("40000", "bomb", tree))


def zeros(p):
    return p.space(*[("100644", f"z{i}", p.blob(bytes((7 << 20) + i))) for i in range(6)])


def delta_bomb(p):
    """some KiB that become 700 MB, by one delta"""
    base = p.blob(bytes(60000))
    data = bytes(60000)
    import hashlib
    p.delta(base, copies(60000, 12000))
    h = hashlib.sha1(b"blob %d\0" % (60000 * 12000))
    for _ in range(12000):
        h.update(data)
    return p.space(("100644", "big", h.hexdigest()))


def bad_delta(p):
    base = p.blob(bytes(100))
    p.delta(base, varint(100) + varint(5000) + bytes([0x80 | 0x01 | 0x10, 90, 255]))  # beyond its base
    return p.space()


def lying_delta(p):
    base = p.blob(b"a" * 100)
    p.delta(base, varint(7) + varint(1 << 60) + bytes([1, 65]))
    return p.space()


def deep(p):
    tree = p.tree(("100644", "f", p.blob()))
    for _ in range(80):
        tree = p.tree(("40000", "d", tree))
    return p.space(("40000", "d", tree))


def alternates(p):
    return p.space(("40000", "objects", p.tree(("40000", "info", p.tree(("100644", "alternates", p.blob(b"/etc\n")))))))


TREES = {
    ".git": (with_folder(".git"), "git"),
    ".GIT": (with_folder(".GIT"), "git"),
    "git~1": (with_folder("git~1"), "git"),
    ".g{ZWNJ}it": (with_folder(".g\u200cit"), "git"),
    ".git with a space": (with_folder(".git "), "git"),
    ".git as a stream": (with_folder(".git::$INDEX_ALLOCATION"), "git"),
    "dot": (with_folder("."), "."),
    "dotdot": (with_folder("..", ("100644", "evil", b"x")), "."),
    "empty name": (with_entry("100644", ""), "."),
    "slash in a name": (with_entry("100644", "a/../../evil"), "."),
    "backslash in a name": (with_entry("100644", "..\\evil"), "/"),
    "control characters": (with_entry("100644", b"a\x1b[2Jb"), "control"),
    "newline": (with_entry("100644", b"a\nb"), "control"),
    "no UTF-8": (with_entry("100644", b"a\xff\xfe"), "UTF-8"),
    "long name": (with_entry("100644", "n" * 300), "255"),
    "link out": (with_entry("120000", "l", b"../../../../etc/passwd"), "outside|not in the bundle"),
    "absolute link": (with_entry("120000", "l", b"/etc/passwd"), "absolute"),
    "link with a NUL": (with_entry("120000", "l", b"README.md\0/../x"), "nothing|absolute"),
    "link loop": (lambda p: p.space(("120000", "a", p.blob(b"b")), ("120000", "b", p.blob(b"a"))), "circle"),
    "long link": (with_entry("120000", "l", b"a" * 5000), "1024"),
    "submodule": (lambda p: p.space(("160000", "sub", "1" * 40)), "submodule"),
    ".gitmodules with an option as url": (with_entry("100644", ".gitmodules", b'[submodule "x"]\n\tpath = x\n\turl = -u./payload\n'), "."),
    ".gitmodules with a command": (with_entry("100644", ".gitmodules", b'[submodule "x"]\n\tpath = x\n\turl = ok\n\tupdate = !touch /tmp/vitrine-evil\n'), "."),
    ".gitmodules as a link": (with_entry("120000", ".gitmodules", b"README.md"), "."),
    "a name twice": (lambda p: p.commit(p.tree(("100644", "README.md", p.blob(README)), ("120000", "d", p.blob(b"/tmp")), ("40000", "d", p.tree(("100644", "evil", p.blob()))))), "."),
    "unsorted": (lambda p: p.commit(p.tree(("100644", "z", p.blob()), ("100644", "README.md", p.blob(README)))), "."),
    "tree bomb": (tree_bomb, "300 files"),
    "zeros": (zeros, "32 MiB|8 MiB"),
    "a file over the limit": (with_entry("100644", "big", bytes(9 << 20)), "upload.max_file"),
    "too deep": (deep, "64 folders"),
    "delta bomb": (delta_bomb, "."),
    "bad delta": (bad_delta, "."),
    "lying delta": (lying_delta, "."),
    "no app file": (lambda p: p.commit(p.tree(("100644", "README.md", p.blob(README)))), "index.html"),
    "missing tree": (lambda p: p.commit("2" * 40), "."),
    "missing blob": (lambda p: p.space(("100644", "gone", "3" * 40)), "."),
    "broken author": (lambda p: p.commit(p.tree(("100644", "README.md", p.blob(README))), who=b"Eve\0<x>"), "."),
    "pointer without its object": (with_entry("100644", "m", b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4" * 64 + b"\nsize 9\n"), "not uploaded"),
}


def post(v, body, **headers):
    return v.api("POST", f"/spaces/{NAME}/git-receive-pack", body=body, headers={"Content-Type": "application/x-git-receive-pack-request", **headers}, timeout=90)


def refused_push(answer, words="."):
    """Either a status with words, or git's report with a reason for each ref"""
    import re
    text = re.sub(rb"[0-9a-f]{4}[\1\2]", b"", answer.body).decode(errors="replace")
    assert answer.status in (200, 400, 413), (answer.status, text)
    if answer.status == 200:
        assert re.search(r"ng \S+ .|unpack (?!ok)", text) and "ok refs/" not in text, text
    assert re.search(words, text), text
    assert "/work" not in text and "/var/tmp" not in text and "/job/" not in text, text


@pytest.mark.parametrize("case", TREES)
def test_pack(v, guard, case):
    make, words = TREES[case]
    p = Pack()
    commit = make(p)
    refused_push(post(v, push([(head(v), commit, "refs/heads/main")], p.bytes())), words)


def good_pack():
    p = Pack()
    return p.space(), p


PUSHES = {
    "truncated": lambda v: push([(head(v), good_pack()[0], "refs/heads/main")], good_pack()[1].bytes()[:-40]),
    "wrong trailer": lambda v: push([(head(v), good_pack()[0], "refs/heads/main")], good_pack()[1].bytes()[:-20] + bytes(20)),
    "no pack": lambda v: push([(head(v), "5" * 40, "refs/heads/main")], b"PACKnothing of that kind"),
    "4 billion objects": lambda v: push([(head(v), good_pack()[0], "refs/heads/main")], good_pack()[1].bytes(0xFFFFFFFF)),
    "an object that is not there": lambda v: push([(head(v), "6" * 40, "refs/heads/main")], Pack().bytes()),
    "a blob as main": lambda v: (lambda p: push([(head(v), p.blob(b"blob"), "refs/heads/main")], p.bytes()))(Pack()),
    "a ref outside": lambda v: push([(NONE, head(v), "refs/heads/../../../evil")], Pack().bytes()),
    "a ref that is a lock": lambda v: push([(NONE, head(v), "refs/heads/x.lock")], Pack().bytes()),
    "a ref with control characters": lambda v: push([(NONE, head(v), b"refs/heads/a\x1b[2J")], Pack().bytes()),
    "config as a ref": lambda v: push([(NONE, head(v), "config")], Pack().bytes()),
    "hooks as a ref": lambda v: push([(NONE, head(v), "hooks/pre-receive")], Pack().bytes()),
    "HEAD": lambda v: push([(NONE, head(v), "HEAD")], Pack().bytes()),
    "a replacement": lambda v: push([(NONE, head(v), "refs/replace/" + head(v))], Pack().bytes()),
    "2000 refs": lambda v: push([(NONE, head(v), f"refs/heads/b{i}") for i in range(2000)], Pack().bytes()),
    "a long ref": lambda v: push([(NONE, head(v), "refs/heads/" + "/".join(["n" * 100] * 5))], Pack().bytes()),
    "garbage": lambda v: os.urandom(5000),
    "a line that is longer than all": lambda v: b"fff0" + b"x" * 100,
    "a wrong length": lambda v: b"0003" + b"zzzz0000",
    "grafts": lambda v: pkt(f"shallow {head(v)}") + push([(head(v), good_pack()[0], "refs/heads/main")], good_pack()[1].bytes()[:-30]),
    "a certificate": lambda v: pkt("push-cert\0 report-status side-band-64k") + pkt("certificate version 0.1\n") + pkt("push-cert-end\n") + b"0000",
    "an old value that is wrong": lambda v: push([("7" * 40, good_pack()[0], "refs/heads/main")], good_pack()[1].bytes()),
}


@pytest.mark.parametrize("case", PUSHES)
def test_push(v, guard, case):
    answer = post(v, PUSHES[case](v))
    refused_push(answer)


def test_a_compressed_bomb(v, guard):
    refused_push(post(v, gzip.compress(bytes(200 << 20), 9), **{"Content-Encoding": "gzip"}))
    assert post(v, b"no gzip at all", **{"Content-Encoding": "gzip"}).status == 400


@pytest.mark.parametrize("path", ["objects/info/alternates", "objects/info/packs", "HEAD", "config", "info/refs", "info/refs?service=git-upload-archive", "../../admin.token"])
def test_the_repository_is_no_folder(v, guard, path):
    a = v.http("GET", f"/spaces/{NAME}.git/{path}")
    assert a.status in (403, 404) and b"ref:" not in a.body and b"[core]" not in a.body


HARMLESS = {
    "filters": lambda p: p.space(("100644", ".gitattributes", p.blob(b"* filter=evil diff=evil merge=evil text eol=crlf ident working-tree-encoding=UTF-16\n*.lfs filter=lfs\n")),
                                 ("100644", ".gitconfig", p.blob(b'[filter "evil"]\n\tsmudge = touch /tmp/vitrine-evil\n\tclean = touch /tmp/vitrine-evil\n\trequired = true\n')),
                                 ("100644", "x.txt", p.blob(b"$Id$\nline\n"))),
    "hooks": lambda p: p.space(("40000", "hooks", p.tree(*[("100755", h, p.blob(b"#!/bin/sh\ntouch /tmp/vitrine-evil\n")) for h in ("post-checkout", "pre-receive", "update")]))),
    "alternates": alternates,
}


@pytest.mark.parametrize("case", HARMLESS)
def test_what_only_looks_dangerous_is_files(v, case):
    good = head(v)
    p = Pack()
    commit = HARMLESS[case](p)
    answer = post(v, push([(good, commit, "refs/heads/main")], p.bytes()))
    assert answer.status == 200 and b"running at" in answer.body, answer.body
    if case == "filters":
        assert v.demo(NAME, "/x.txt").body == b"$Id$\nline\n"
        assert b"$Id$" in v.http("GET", f"/spaces/{NAME}/raw/x.txt").body and v.http("GET", f"/spaces/{NAME}/commit/{commit}").status == 200
    assert not os.path.exists("/tmp/vitrine-evil")
    g = clone(v, NAME, f"back-{case}")
    g("push", "-q", "-f", "origin", f"{commit}:refs/heads/kept")
    assert v.cli("rollback", NAME, good[:12]).returncode == 0
    assert until(lambda: v.demo(NAME).body == b"good")
    BUNDLES.append(case)


def test_how_many_there_were(request, capsys):
    """The sum of the others of this file, where all of them ran."""
    every = [i for i in request.session.items if i.fspath == request.node.fspath and i is not request.node]
    malicious = len(ARCHIVES) + len(TREES) + len(PUSHES) + len(HARMLESS)
    if len(every) < malicious:
        pytest.skip("only some were picked")
    with capsys.disabled():
        print(f"\n{len(BUNDLES)} malicious archives, packs and pushes: {len(every) - len(BUNDLES)} with an effect")
    assert malicious >= 60 and len(BUNDLES) == len(every)
