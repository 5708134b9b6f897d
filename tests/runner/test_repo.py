"""Jobs that work on a Space's repository, with the real vitrine-job."""
import base64
import json
import os
import subprocess

import wire
from test_job import README, bundle, submit

KIND = wire.ENUM
GIT = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "PATH": os.environ["PATH"]}


class Jobs:
    def __init__(self, rig, space):
        self.r, self.space, self.n = rig, space, 100

    def __call__(self, kind, body=None, seconds=20, /, **args):
        """(JOB_RESULT, its JSON, what it streamed)"""
        self.n += 1
        fds = []
        if body is not None:
            path = f"{self.r.folder}/body{self.n}"
            with open(path, "wb") as f:
                f.write(body)
            fds = [os.open(path, os.O_RDONLY)]
        self.r.webui.send("JOB", fds=fds, job_id=self.n, kind=KIND["JOB_" + kind], space_id=self.space, space="demo/probe", name="",
                          args=b"".join(f"{k}={v}".encode() + b"\0" for k, v in args.items()))
        for fd in fds:
            os.close(fd)
        stream = b""
        if kind in ("READ", "SERVE", "RECEIVE"):
            m = self.r.webui.wait("JOB_STREAM", seconds, job_id=self.n)
            while chunk := os.read(m.fds[0], 65536):
                stream += chunk
        m = self.r.webui.wait("JOB_RESULT", seconds, job_id=self.n)
        return m, json.loads(os.pread(m.fds[0], 1 << 20, 0)) if m.fds else None, stream

    def read(self, what, body=None, **args):
        m, _, stream = self("READ", body, what=what, **args)
        assert (m.code, m.message) == (0, "")
        return json.loads(stream)

    def paths(self, rev="main"):
        return {i["path"]: i for i in self.read("tree", rev=rev, recursive=1)["items"]}


def lines(*objects):
    return b"".join(json.dumps(o).encode() + b"\n" for o in objects)


def header(summary="A change", **more):
    return {"key": "header", "value": {"summary": summary, "description": "", **more}}


def file(path, data):
    return {"key": "file", "value": {"content": base64.b64encode(data).decode(), "path": path, "encoding": "base64"}}


def git(r, space, *args):
    return subprocess.run(["git", f"--git-dir={r.data}/repos/{space}.git", "-c", "safe.directory=*", *args], env=GIT, check=True,
                          capture_output=True, text=True).stdout


def test_every_submission_is_a_commit(rig):
    r = rig()
    s = r.space()
    first = submit(r, s, bundle(README__md=README, index__html="one", data__txt="x"))
    jobs = Jobs(r, s)
    assert len(first.sha) == 40 and jobs.paths().keys() == {"README.md", "index.html", "data.txt"}
    m, record, _ = jobs("COMMIT", lines(header("Two", description="and why"), file("index.html", b"two"),
                                        {"key": "deletedFile", "value": {"path": "data.txt"}}), author="amy")
    assert (m.code, m.message) == (0, "") and m.sha == record["sha"] != first.sha
    tree = f"{r.data}/versions/{s}/{m.sha}"
    assert sorted(os.listdir(tree)) == ["README.md", "index.html"] and open(tree + "/index.html").read() == "two"
    log = jobs.read("log")["items"]
    assert [(i["title"], i["message"].strip(), i["authors"][0]["user"]) for i in log] == [("Two", "and why", "amy"), ("Upload of an archive", "", "unknown")]
    assert "+two" in jobs.read("diff", rev="main")["diff"]
    _, _, stream = jobs("SERVE", what="file", path="index.html", rev=first.sha[:8])
    head, content = stream.split(b"\n", 1)
    assert content == b"one" and json.loads(head)["size"] == 3
    if r.real:
        git(r, s, "fsck", "--strict")
        uids = {os.lstat(os.path.join(d, n)).st_uid for d, ds, fs in os.walk(f"{r.data}/repos/{s}.git") for n in ds + fs}
        assert len(uids) == 1 and 0 not in uids


def test_a_commit_for_another_state_is_refused(rig):
    r = rig()
    s = r.space()
    first = submit(r, s, bundle(README__md=README, index__html="one"))
    jobs = Jobs(r, s)
    m, _, _ = jobs("COMMIT", lines(header(parentCommit="1" * 40), file("index.html", b"two")))
    assert m.code == 116 and first.sha[:12] in m.message  # ESTALE
    assert jobs.read("resolve")["sha"] == first.sha
    m, record, _ = jobs("COMMIT", lines(header(parentCommit=first.sha), file("index.html", b"two")))
    assert m.code == 0


def test_a_refused_commit_leaves_nothing(rig):
    r = rig(**{"upload.max_file": "200K", "upload.max_files": "50"})
    s = r.space()
    first = submit(r, s, bundle(README__md=README, index__html="one"))
    jobs = Jobs(r, s)
    before = git(r, s, "count-objects", "-v")
    raw = b'{"key":"file","value":{"content":%s,"path":"x","encoding":"base64"}}\n'
    for body, words in [(lines(header(), file("README.md", b"---\nsdk: nonsense\n---\n")), "README.md:2: sdk"),
                        (lines(header(), file("../x", b"")), '".."'),
                        (lines(header(), file("/etc/evil", b"")), "absolute"),
                        (lines(header(), file("a\\..\\b", b"")), "written with"),
                        (lines(header(), file("a/.git/config", b"")), "keeps for itself"),
                        (lines(header(), file("a/GIT~1/config", b"")), "keeps for itself"),
                        (lines(header(), file(".g\u200cit/config", b"")), "keeps for itself"),
                        (lines(header(), file("big", bytes(300000))), "upload.max_file"),
                        (lines(header(), *[file(f"f{i}", b"") for i in range(60)]), "50"),
                        (lines(header()) + raw % b'"%%%%"', "base64"),
                        (lines(header()) + raw % b'"QQ==QQ=="', "base64"),
                        (lines(header()) + raw % b'"QQ==","content":"QQ=="', "two contents"),
                        (lines(header()) + b'{"key":"file","value":{"content":"QUFB', "cut off"),
                        (lines(header()) + b'{"key":"' + b"a" * 100000 + b'"}\n', "64 KiB"),
                        (lines(header()) + b"[" * 50000 + b"\n", "JSON"),
                        (lines(header(), {"key": "deletedFile", "value": {"path": "nope"}}), "not there"),
                        (lines(header(), {"key": "nonsense", "value": {}}), "not known"),
                        (lines(file("x", b"")), "header"),
                        (lines(header(), header()), "header"),
                        (lines(header(), {"key": "lfsFile", "value": {"path": "m", "algo": "sha256", "oid": "0" * 64, "size": 3}}), "not uploaded"),
                        (lines(header(), {"key": "lfsFile", "value": {"path": "m", "algo": "sha256", "oid": "../../../../../etc/passwd", "size": 1}}), "SHA-256"),
                        (b"{", "no JSON")]:
        m, _, _ = jobs("COMMIT", body)
        assert m.code and words in m.message, (words, m.message)
    assert jobs.read("resolve")["sha"] == first.sha and git(r, s, "count-objects", "-v") == before
    assert sorted(os.listdir(f"{r.data}/versions/{s}")) == [first.sha]


def test_branches_tags_and_going_back(rig):
    r = rig()
    s = r.space()
    first = submit(r, s, bundle(README__md=README, index__html="one"))
    jobs = Jobs(r, s)
    assert jobs("REF", do="create", kind="branch", name="side")[0].code == 0
    assert jobs("REF", do="create", kind="branch", name="side")[0].code == 17
    assert jobs("REF", do="create", kind="tag", name="v1", message="first")[0].code == 0
    assert jobs("REF", do="create", kind="tag", name="a..b")[0].code == 22
    assert jobs("REF", do="delete", kind="branch", name="main")[0].code == 22
    m, record, _ = jobs("COMMIT", lines(header(), file("index.html", b"aside")), branch="side")
    assert m.code == 0 and record.keys() == {"sha"} and not os.path.exists(f"{r.data}/versions/{s}/{record['sha']}")
    refs = jobs.read("refs")
    assert {b["name"]: b["targetCommit"] for b in refs["branches"]} == {"main": first.sha, "side": record["sha"]}
    assert [(t["name"], t["targetCommit"]) for t in refs["tags"]] == [("v1", first.sha)]
    submit(r, s, bundle(README__md=README, index__html="two"), 2)
    m, record, _ = jobs("VERSION", rev=first.sha, again=1, message="Back")
    assert m.code == 0 and open(f"{r.data}/versions/{s}/{m.sha}/index.html").read() == "one"
    assert [i["title"] for i in jobs.read("log")["items"]][0] == "Back" and len(jobs.read("log")["items"]) == 3
    assert jobs("READ", what="resolve", rev="nope")[0].code == 6  # ENXIO


def test_a_space_from_before_repositories_keeps_its_tree(rig):
    """Versions were named by the hash over their tree, and there was no repository."""
    r = rig()
    s = r.space()
    first = submit(r, s, bundle(README__md=README, index__html="old"))
    old = "ab" * 32
    os.rename(f"{r.data}/versions/{s}/{first.sha}", f"{r.data}/versions/{s}/{old}")
    subprocess.run(["rm", "-rf", f"{r.data}/repos/{s}.git"], check=True)
    r.site.execute("INSERT INTO versions (space_id, sha, title, emoji, color_from, color_to, short_description, sdk, app_file, app_port, base_path, card, files,"
                   " bytes, message, created_ms) VALUES (?, ?, '', '', '', '', '', 'static', 'index.html', 7860, '/', '{}', 2, 3, '', 1)", (s, old))
    version = r.site.execute("SELECT max(id) FROM versions").fetchone()[0]
    r.site.execute("UPDATE spaces SET version_id = ? WHERE id = ?", (version, s))
    jobs = Jobs(r, s)
    assert jobs.paths().keys() == {"README.md", "index.html"}  # a question is enough
    submit(r, s, bundle(README__md=README, index__html="new"), 3)
    assert len(jobs.read("log")["items"]) == 2
    m, _, _ = jobs("VERSION", before=old, again=1)
    assert m.code == 0 and open(f"{r.data}/versions/{s}/{m.sha}/index.html").read() == "old"


def test_lfs_objects_take_the_place_of_their_pointers(rig):
    r = rig()
    s = r.space()
    jobs = Jobs(r, s)
    data = os.urandom(200000)
    import hashlib
    oid = hashlib.sha256(data).hexdigest()
    assert jobs("LFS", data, oid="1" * 64, size=len(data))[0].code == 22
    assert jobs("LFS", data, oid=oid, size=len(data))[0].code == 0
    m, _, _ = jobs("COMMIT", lines(header(), file("README.md", README.encode()), file("index.html", b"x"),
                                   {"key": "lfsFile", "value": {"path": "model.bin", "algo": "sha256", "oid": oid, "size": len(data)}}))
    assert (m.code, m.message) == (0, "")
    assert open(f"{r.data}/versions/{s}/{m.sha}/model.bin", "rb").read() == data
    item = jobs.paths()["model.bin"]
    assert item["size"] == len(data) and item["lfs"]["oid"] == oid
    _, _, stream = jobs("SERVE", what="file", path="model.bin", offset=100, length=50)
    assert stream.split(b"\n", 1)[1] == data[100:150]


def test_a_killed_writer_is_swept_up(rig):
    r = rig()
    s = r.space()
    submit(r, s, bundle(README__md=README, index__html="one"))
    repo = f"{r.data}/repos/{s}.git"
    for name in ("refs/heads/main.lock", "HEAD.lock", "objects/pack/tmp_pack_x", "lfs/.tmp-x"):
        with open(f"{repo}/{name}", "w"):
            pass
    os.mkdir(f"{repo}/objects/tmp_quarantine")
    assert submit(r, s, bundle(README__md=README, index__html="two"), 2).code == 0
    left = [n for _, ds, fs in os.walk(repo) for n in ds + fs if n.endswith(".lock") or "tmp" in n]
    assert not left


def test_who_downloads_slowly_holds_up_no_other_space(rig):
    r = rig()
    slow, other = r.space(), r.space(name="other")
    for n, space in enumerate((slow, other)):
        assert submit(r, space, bundle(README__md=README, index__html="one", big__txt="line\n" * 100000), job_id=n + 1).code == 0
    for n in range(40):  # none of whose answers is read
        asked = ("SERVE", b"what=file\0rev=main\0path=big.txt\0") if n % 2 else ("READ", b"what=diff\0rev=main\0")
        r.webui.send("JOB", job_id=1000 + n, kind=KIND["JOB_" + asked[0]], space_id=slow, space="demo/probe", name="", args=asked[1])
    r.webui.wait("JOB_STREAM", 20, job_id=1001)
    jobs = Jobs(r, other)
    assert jobs.read("resolve", rev="main")["sha"] and len(jobs("SERVE", what="file", rev="main", path="big.txt")[2]) > 500000
    assert submit(r, slow, bundle(README__md=README, index__html="two"), job_id=3).code == 0
