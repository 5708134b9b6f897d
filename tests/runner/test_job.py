"""Unpack jobs for webui, with the real vitrine-job."""
import io
import json
import os
import zipfile

import wire
from rig import BUILD, until

README = "---\ntitle: Hello\nsdk: static\napp_file: index.html\n---\nHi.\n"


def bundle(**files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for name, text in files.items():
            z.writestr(name.replace("__", "."), text)
    return out.getvalue()


def submit(r, space, body, job_id=1, name="demo.zip"):
    path = r.folder + f"/body{job_id}"
    with open(path, "wb") as f:
        f.write(body)
    fd = os.open(path, os.O_RDONLY)
    r.webui.send("JOB", fds=[fd], job_id=job_id, kind=wire.ENUM["JOB_UNPACK"], space_id=space, space="demo/probe",
                 name=name)
    os.close(fd)
    return r.webui.wait("JOB_RESULT", 20, job_id=job_id)


def half_made(r, space):
    folder = f"{r.data}/versions/{space}"
    return [n for n in os.listdir(folder) if n.startswith(".new-")] if os.path.isdir(folder) else []


def owner_of_all(tree):
    return {os.lstat(os.path.join(d, n)).st_uid for d, ds, fs in os.walk(tree) for n in ds + fs}


def test_a_bundle_becomes_a_version(rig):
    assert os.path.exists(BUILD + "/vitrine-job")
    r = rig()
    s = r.space()
    m = submit(r, s, bundle(README__md=README, index__html="<p>hello</p>"))
    assert (m.code, m.message) == (0, "")
    record = json.loads(os.pread(m.fds[0], 1 << 20, 0))
    assert record["sha"] == m.sha and record["sdk"] == "static"
    tree = f"{r.data}/versions/{s}/{m.sha}"
    assert open(tree + "/index.html").read() == "<p>hello</p>" and not half_made(r, s)
    if r.real:
        assert len(owner_of_all(tree)) == 1 and 0 not in owner_of_all(tree)
    again = submit(r, s, bundle(README__md=README, index__html="<p>hello</p>"), 2)
    assert again.sha == m.sha and not half_made(r, s)  # the same content is the same version
    r.webui.send("LOG_OPEN", request_id=1, space_id=s, kind=2)
    log = r.webui.wait("LOG_FILES", request_id=1)
    assert log.count == 1 and b"unpacking demo.zip" in os.pread(log.fds[0], 4096, 0)


def test_a_bad_bundle_is_refused_with_the_reason(rig):
    r = rig()
    s = r.space()
    m = submit(r, s, os.urandom(1000), name="bad.zip")
    assert m.code == 22 and "bad.zip" in m.message and "\n" not in m.message and r.data not in m.message
    assert not half_made(r, s) and not m.fds
    m = submit(r, s, bundle(README__md=README), 2)
    assert m.code == 22 and "index.html" in m.message
    # webui takes its row back, as with every Space whose first upload failed
    r.site.execute("UPDATE spaces SET deleted_ms = 1 WHERE id = ?", (s,))
    assert r.do(s, "delete") == (0, "")
    assert not r.life("SELECT 1 FROM spaces") and not os.path.exists(f"{r.data}/versions/{s}")


def test_many_at_once_each_get_an_answer(rig):
    r = rig()
    spaces = [r.space(name=f"s{i}") for i in range(10)]
    fds = []
    for i, s in enumerate(spaces):
        path = r.folder + f"/body{i}"
        with open(path, "wb") as f:
            f.write(bundle(README__md=README, index__html=str(i)))
        fds.append(os.open(path, os.O_RDONLY))
        r.webui.send("JOB", fds=[fds[-1]], job_id=i, kind=1, space_id=s, space=f"demo/s{i}", name="x.zip")
    for i in range(10):
        assert r.webui.wait("JOB_RESULT", 30, job_id=i).code == 0
    for fd in fds:
        os.close(fd)
    assert len({r.life("SELECT uid_index FROM spaces WHERE space_id = ?", s)[0] for s in spaces}) == 10


def test_killed_while_it_unpacks(rig):
    r = rig()
    s = r.space()
    big = bundle(README__md=README, index__html="x", **{f"f{i}": os.urandom(1 << 16) for i in range(200)})
    path = r.folder + "/body"
    with open(path, "wb") as f:
        f.write(big)
    fd = os.open(path, os.O_RDONLY)
    r.webui.send("JOB", fds=[fd], job_id=5, kind=1, space_id=s, space="demo/probe", name="x.zip")
    os.close(fd)
    assert until(lambda: half_made(r, s), step=0.0005)
    r.kill()
    r.start()
    assert until(lambda: not half_made(r, s) and not os.listdir(r.data + "/run/workers"))
    assert submit(r, s, big, 6).code == 0  # webui sends it again
