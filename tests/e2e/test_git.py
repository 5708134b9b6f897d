"""git clone, push and LFS of a Space over HTTP, by Debian's own clients."""
import hashlib
import os
import re
import subprocess

import pytest
from gitclient import Git, clone

CARD = "---\ntitle: Pushed\nsdk: static\n---\n"


@pytest.fixture
def space(up):
    """A Space that is there, and its clone."""
    up.spaces = getattr(up, "spaces", 0) + 1
    name = f"git/s{up.spaces}"
    up.deploy(up.bundle("g", card="title: G\nsdk: static", **{"index.html": "one", "bin/run.sh": "#!/bin/sh\n"}), name)
    return name, clone(up, name, f"clone{up.spaces}")


def remote(r):
    return [line[8:].strip() for line in r.stderr.splitlines() if line.startswith("remote: ")]


def test_clone_push_and_what_the_server_says(up, space):
    name, g = space
    assert open(f"{g.folder}/index.html").read() == "one" and os.access(f"{g.folder}/bin/run.sh", os.X_OK)
    g.write("index.html", "two")
    sha = g.commit("Second")
    r = g.run("push", "origin", "HEAD")
    said = remote(r)
    assert said[0] == f"accepted {sha[:12]}" and said[-1] == f"running at http://{name.replace('/', '-')}.localhost:{up.port}", r.stderr
    assert up.demo(name).body == b"two" and up.status(name)["version"] == sha
    # the other doors go on from there
    up.deploy(up.bundle("g", card="title: G\nsdk: static", **{"index.html": "three"}), name)
    g("pull", "-q")
    assert open(f"{g.folder}/index.html").read() == "three" and not os.path.exists(f"{g.folder}/bin")
    assert g("log", "--format=%s").splitlines() == ["uploaded over the API", "Second", "uploaded over the API"]
    g.run("push", "origin", "HEAD")  # nothing to do
    assert clone(up, name + ".git", "dotgit" + name[-1])("rev-parse", "HEAD") == g("rev-parse", "HEAD")


def test_a_branch_deploys_nothing(up, space):
    name, g = space
    before = up.status(name)
    g.write("index.html", "aside")
    g.commit()
    r = g.run("push", "origin", "HEAD:side", "HEAD:refs/tags/v1")
    assert not [line for line in remote(r) if "running" in line]
    assert up.status(name)["version"] == before["version"] and up.demo(name).body == b"one"
    assert set(re.findall(r"refs/\S+", g("ls-remote"))) == {"refs/heads/main", "refs/heads/side", "refs/tags/v1"}


def refused(up, name, g, *push, words, token=None):
    before = up.status(name)
    r = g.run("push", *(push or ("origin", "HEAD:main")), ok=False)
    assert r.returncode and words in r.stderr, r.stderr
    after = up.status(name)
    assert (after["version"], after["stage"], after["versions_count"]) == (before["version"], before["stage"], before["versions_count"])
    return r


def test_refused_with_the_reason(up, space):
    name, g = space
    good = g("rev-parse", "HEAD")
    g.write("README.md", "---\ntitle: G\nsdk: nonsense\n---\n")
    g.commit()
    r = refused(up, name, g, words="README.md:3: sdk")
    assert re.search(r"remote: refused: README.md:3: sdk", r.stderr) and re.search(r"! \[remote rejected\].*README.md:3: sdk", r.stderr)
    g("reset", "-q", "--hard", good)
    g.write("other.html", "x")
    g.commit("one way")
    g.run("push", "origin", "HEAD:main")
    g("reset", "-q", "--hard", good)
    g.write("other.html", "y")
    g.commit("another way")
    refused(up, name, g, words="non-fast-forward")
    assert "running at" in g.run("push", "-f", "origin", "HEAD:main").stderr
    assert up.demo(name, "/other.html").body == b"y"
    refused(up, name, g, "origin", ":main", words="deletion of the current branch prohibited")
    refused(up, name, g, "origin", "HEAD:refs/replace/" + good, words="refs/replace")
    refused(up, name, g, "origin", "HEAD:refs/notes/x", words="only branches (refs/heads/) and tags (refs/tags/) are taken")


def test_who_may(up, space):
    name, g = space
    g.write("x", "x")
    g.commit()
    nobody = Git(up, g.folder)
    nobody.token = ""
    assert "could not read Username" in refused(up, name, g, nobody.url(name), "HEAD:main", words="").stderr
    assert "Authentication failed" in refused(up, name, g, g.url(name).replace(up.token, "0" * 64), "HEAD:main", words="").stderr
    up.cli("user", "add", "eve")
    token = up.cli("token", "new", "eve", "--role", "write").stdout.strip()
    assert token
    refused(up, name, g, g.url(name).replace(up.token, token), "HEAD:main", words="403")
    assert subprocess.run(["git", "ls-remote", nobody.url(name)], env=g.env, capture_output=True).returncode == 0  # public
    assert "not found" in g.run("ls-remote", g.url("git/nothing"), ok=False).stderr
    assert up.api("PUT", f"/api/spaces/{name}/settings", body=b'{"visibility": "private"}', headers={"Content-Type": "application/json"}).status == 200
    assert "could not read Username" in g.run("ls-remote", nobody.url(name), ok=False).stderr
    assert g("ls-remote", g.url(name))


def test_limits(vitrine):
    v = vitrine("[upload]\nmax_file = 100K\nmax_repository = 2M\n")
    v.deploy(v.bundle("g", card="title: G\nsdk: static", **{"index.html": "one"}), "git/limits")
    g = clone(v, "git/limits")
    good = g("rev-parse", "HEAD")
    g.write("model.bin", os.urandom(200 * 1024))
    g.commit()
    r = refused(v, "git/limits", g, words='"model.bin": it has 200 KiB, and 100 KiB is the most for a file here (upload.max_file): keep it in Git LFS')
    assert "remote: refused:" in r.stderr
    g("reset", "-q", "--hard", good)
    for i in range(30):
        g.write(f"{i}.bin", os.urandom(90 * 1024))
    g.commit()
    refused(v, "git/limits", g, words="2 MiB is the most here (upload.max_repository)")
    usage = int(subprocess.run(["du", "-sk", v.data + "/repos"], capture_output=True, text=True).stdout.split()[0])
    assert usage < 1000  # nothing of it was kept
    g("reset", "-q", "--hard", good)
    g.write("index.html", "two")
    g.commit()
    assert "running at" in g.run("push", "origin", "HEAD").stderr


def test_lfs(up, space):
    name, g = space
    data = os.urandom(300000)
    g("lfs", "install", "--local")
    g("lfs", "track", "*.bin")
    g.write("model.bin", data)
    g.write("same.bin", data)
    g.commit("With a model")
    r = g.run("push", "origin", "HEAD")
    assert "running at" in r.stderr, r.stderr
    assert up.demo(name, "/model.bin").body == data == up.demo(name, "/same.bin").body
    other = Git(up, g.folder + "-lfs")
    other.run("clone", "-q", other.url(name), other.folder, cwd=up.folder,
              env={"GIT_CONFIG_COUNT": "3", "GIT_CONFIG_KEY_0": "filter.lfs.smudge", "GIT_CONFIG_VALUE_0": "git-lfs smudge -- %f",
                   "GIT_CONFIG_KEY_1": "filter.lfs.process", "GIT_CONFIG_VALUE_1": "git-lfs filter-process",
                   "GIT_CONFIG_KEY_2": "filter.lfs.required", "GIT_CONFIG_VALUE_2": "true"})
    assert open(other.folder + "/model.bin", "rb").read() == data
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'1' * 64}\nsize 5\n"
    bare = Git(up, g.folder + "-bare")
    bare.run("clone", "-q", bare.url(name), bare.folder, cwd=up.folder)
    bare.write("ghost.bin", pointer)
    bare.commit()
    r = refused(up, name, bare, words="its LFS object 111111111111... was not uploaded")
    oid = hashlib.sha256(data).hexdigest()
    assert up.http("GET", f"/spaces/{name}.git/info/lfs/objects/{oid}").body == data
    for asked, status, got, said in [("bytes=10-", 206, data[10:], f"bytes 10-{len(data) - 1}/{len(data)}"), ("bytes=0-4", 206, data[:5], f"bytes 0-4/{len(data)}"),
                                     ("bytes=-3", 206, data[-3:], f"bytes {len(data) - 3}-{len(data) - 1}/{len(data)}"),
                                     (f"bytes={len(data)}-", 416, b"", f"bytes */{len(data)}"), ("bytes=99999999999-", 416, b"", f"bytes */{len(data)}")]:
        a = up.http("GET", f"/spaces/{name}.git/info/lfs/objects/{oid}", headers={"Range": asked})
        assert (a.status, a.body, a.headers["content-range"]) == (status, got, said), asked
    wrong = up.http("PUT", f"/spaces/{name}.git/info/lfs/objects/{'2' * 64}", body=b"abc")
    assert wrong.status == 401
    wrong = up.api("PUT", f"/spaces/{name}.git/info/lfs/objects/{'2' * 64}", body=b"abc")
    assert wrong.status == 400 and b"are not those of" in wrong.body


def test_a_large_clone_and_compressed_bodies(up, space):
    name, g = space
    for i in range(300):  # many refs to negotiate about: git compresses that
        g("tag", f"t{i}")
    g.write("big.bin", os.urandom(6 << 20))
    g.commit()
    g.run("push", "-q", "origin", "HEAD", "--tags")
    for i in range(40):
        g("commit", "-q", "--allow-empty", "-m", f"c{i}")
    g.run("push", "-q", "origin", "HEAD")
    g2 = clone(up, name, g.folder + "-2")
    g2("fsck", "--strict")
    assert open(g2.folder + "/big.bin", "rb").read() == open(g.folder + "/big.bin", "rb").read()
    for version in ("0", "1", "2"):
        assert len(g("-c", f"protocol.version={version}", "ls-remote", "--tags", "origin").splitlines()) == 300
    shallow = Git(up, g.folder + "-3")
    shallow.run("clone", "-q", "--depth", "1", shallow.url(name), shallow.folder, cwd=up.folder)
    assert len(shallow("log", "--format=%H").splitlines()) == 1


def test_a_program_that_does_not_start_is_said(up, space):
    name, g = space
    g.write("README.md", "---\nsdk: python\napp_file: app.py\n---\n")
    g.write("app.py", "raise SystemExit('no such luck')\n")
    g.commit()
    r = g.run("push", "origin", "HEAD")
    assert re.search(r"remote: RU\w+: .*", r.stderr) and "running at" not in r.stderr, r.stderr
    assert up.demo(name).body == b"one"  # the one before goes on


def test_versions_and_going_back(up, space):
    name, g = space
    up.deploy(up.bundle("g", card="title: G\nsdk: static", **{"index.html": "two"}), name)
    rows = [line.split() for line in up.cli("versions", name).stdout.splitlines()]
    assert [r[0] for r in rows] == ["*", "1"] and rows[0][1] == "2"
    r = up.cli("rollback", name, "1")
    assert r.returncode == 0 and f"{name} is at " in r.stdout, r.stderr
    assert up.demo(name).body == b"one"
    g("pull", "-q")
    assert g("log", "-1", "--format=%s %an").startswith("Back to ") and len(g("log", "--format=%H").splitlines()) == 3
    first = g("rev-parse", "HEAD~2")
    assert g("diff", "HEAD", first) == ""
    assert up.cli("rollback", name, first[:10]).returncode == 0
    missing = up.cli("rollback", name, "77")
    assert missing.returncode == 1 and "no version 77" in missing.stderr
