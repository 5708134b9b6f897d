"""Repositories are packed while nobody writes to them, and what nothing leads to goes."""
import hashlib
import os
import re
import subprocess
import time

import pytest
from rig import until
from test_job import README, bundle, submit
from test_repo import Jobs, file, git, header, lines

pytestmark = pytest.mark.real  # the stand-in leaves the children of what it ends


def objects(r, s):
    return {k: int(v) for k, v in re.findall(r"([\w-]+): (\d+)", git(r, s, "count-objects", "-v"))}


def is_packed(r, s, least):
    return objects(r, s)["in-pack"] > least and not os.path.exists(f"{r.data}/repos/{s}.git/gc.pid")


def lfs_path(r, s, oid):
    return f"{r.data}/repos/{s}.git/lfs/objects/{oid[:2]}/{oid[2:4]}/{oid}"


def test_many_loose_objects_are_packed(rig):
    r = rig(**{"upload.pack_after": "200ms"})
    s = r.space()
    jobs = Jobs(r, s)
    submit(r, s, bundle(README__md=README, index__html="one"))
    m, _, _ = jobs("COMMIT", lines(header(), *[file(f"f/{i}", b"%d" % i) for i in range(1200)]))
    assert m.code == 0
    assert until(lambda: is_packed(r, s, 1200), 60)
    assert until(lambda: objects(r, s)["count"] == 0, 60)
    assert len(jobs.paths()) > 1200 and jobs.read("resolve")["sha"] == m.sha
    submit(r, s, bundle(README__md=README, index__html="two"), 2)
    git(r, s, "fsck", "--strict")


def test_who_writes_or_reads_is_not_held_up_by_packing(rig):
    r = rig(**{"upload.pack_after": "100ms"})
    s = r.space()
    jobs = Jobs(r, s)
    submit(r, s, bundle(README__md=README, index__html="one"))
    assert jobs("REF", do="create", kind="branch", name="side")[0].code == 0  # which nothing is made of
    data = [b"".join(hashlib.sha256(b"%d %d" % (i, k)).hexdigest().encode() + b"\n" for k in range(100)) for i in range(1100)]
    assert jobs("COMMIT", lines(header(), *[file(f"f/{i}", d) for i, d in enumerate(data)]), 60, branch="side")[0].code == 0
    for n in range(8):  # at different moments of it
        time.sleep(n * 0.07)
        m, _, _ = jobs("COMMIT", lines(header(), file("index.html", b"%d" % n)), 60, branch="side")
        assert (m.code, m.message) == (0, "")
        assert jobs("SERVE", what="file", rev="side", path=f"f/{n}")[2].split(b"\n", 1)[1] == data[n]
    assert until(lambda: is_packed(r, s, 1100), 60)
    p = subprocess.run(["git", f"--git-dir={r.data}/repos/{s}.git", "-c", "safe.directory=*", "fsck", "--strict"], capture_output=True, text=True)
    assert p.returncode == 0, (p, os.listdir(f"{r.data}/repos/{s}.git/objects/pack"))
    assert len(jobs.read("log", rev="side", limit=50)["items"]) == 10


def test_a_killed_runner_leaves_a_repository_that_can_be_packed(rig):
    r = rig(**{"upload.pack_after": "100ms"})
    s = r.space()
    jobs = Jobs(r, s)
    submit(r, s, bundle(README__md=README, index__html="one"))
    assert jobs("COMMIT", lines(header(), *[file(f"f/{i}", b"%d" % i) for i in range(1200)]))[0].code == 0
    if r.real:
        repo = f"{r.data}/repos/{s}.git"
        with open(f"{repo}/gc.pid", "w") as f:  # of a job that was killed
            f.write("1 job")
        with open(f"{repo}/objects/pack/.tmp-1-pack-x", "w") as f:
            f.write("half a pack")
        st = os.stat(repo)
        for name in ("gc.pid", "objects/pack/.tmp-1-pack-x"):
            os.chown(f"{repo}/{name}", st.st_uid, st.st_gid)
    r.kill()
    r.start()  # nothing tells it of the Space: its round finds it
    assert until(lambda: is_packed(r, s, 1200), 60)
    assert not [f for f in os.listdir(f"{r.data}/repos/{s}.git/objects/pack") if "tmp" in f]
    git(r, s, "fsck", "--strict")


def test_what_nothing_leads_to_goes_after_its_time(rig):
    r = rig(**{"upload.pack_after": "200ms", "upload.keep_unreachable": "3s"})
    s = r.space()
    jobs = Jobs(r, s)
    submit(r, s, bundle(README__md=README, index__html="one"))
    oids = {}
    for name in ("kept", "branch", "alone"):
        data = name.encode() * 1000
        oids[name] = hashlib.sha256(data).hexdigest()
        assert jobs("LFS", data, oid=oids[name], size=len(data))[0].code == 0
    pointer = lambda name: {"key": "lfsFile", "value": {"path": f"{name}.bin", "algo": "sha256", "oid": oids[name], "size": 1000 * len(name)}}
    assert jobs("COMMIT", lines(header(), pointer("kept")))[0].code == 0
    assert jobs("REF", do="create", kind="branch", name="side")[0].code == 0
    m, record, _ = jobs("COMMIT", lines(header(), pointer("branch")), branch="side")
    assert m.code == 0 and all(os.path.exists(lfs_path(r, s, o)) for o in oids.values())
    assert jobs("REF", do="delete", kind="branch", name="side")[0].code == 0

    def gone(name):
        # each write has it looked at again
        jobs("REF", do="create", kind="branch", name="x")
        jobs("REF", do="delete", kind="branch", name="x")
        time.sleep(0.4)
        return not os.path.exists(lfs_path(r, s, oids[name]))

    assert until(lambda: gone("alone"), 60)
    assert until(lambda: gone("branch"), 60)
    assert os.path.exists(lfs_path(r, s, oids["kept"])) and jobs("READ", what="log", rev=record["sha"])[0].code
    assert jobs("SERVE", what="file", rev="main", path="kept.bin")[2].endswith(b"kept" * 1000)
    git(r, s, "fsck", "--strict")
