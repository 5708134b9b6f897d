"""A data folder whose disk is full: nothing is lost, and it is said."""
import os
import subprocess

import pytest

from vitrine import Vitrine, until


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 24 MiB, as root."""
    if os.getuid() != 0:
        pytest.skip("mounting a small file system needs root")
    where = tmp_path / "disk"
    where.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=755", "vitrine-test", where]).returncode:
        pytest.skip("mounting is not allowed here")
    yield str(where)
    subprocess.run(["umount", "-l", where], check=True)


def fill(folder):
    with open(os.path.join(folder, "ballast"), "wb", buffering=0) as f:
        try:
            while True:
                f.write(bytes(65536))
        except OSError:
            pass
        try:
            while True:
                f.write(b"x")
        except OSError:
            pass


def test_full_while_running(small_disk):
    v = Vitrine(data=os.path.join(small_disk, "data"))
    try:
        v.start()
        v.deploy(v.probe(version="1"), "demo/probe")
        fill(small_disk)
        r = v.cli("deploy", v.probe("two", version="2"), "demo/two")
        assert r.returncode == 1 and len(r.stderr.strip().splitlines()) == 1, r
        assert "disk" in r.stderr.lower() or "space" in r.stderr.lower(), r.stderr
        # who visits is served, and what was there is there
        assert v.demo("demo/probe", "/version").json == "1"
        assert "demo/probe" in v.cli("list").stdout
        os.unlink(os.path.join(small_disk, "ballast"))
        assert until(lambda: v.cli("deploy", v.probe("two", version="2"), "demo/two").returncode == 0, 20)
        assert v.demo("demo/two", "/version").json == "2"
        assert v.stop() == 0
        v.start()
        assert v.demo("demo/probe", "/version").json == "1"
    finally:
        v.end()


def test_full_at_the_start(small_disk):
    fill(small_disk)
    v = Vitrine(data=os.path.join(small_disk, "data"))
    try:
        p = v.popen("up", "--data", v.data, "--listen", f"127.0.0.1:{v.port}", stdout=-1, stderr=-1)
        out, err = p.communicate(timeout=90)
        assert p.returncode == 1 and "ready" not in out
        assert "disk" in err.lower() or "space" in err.lower(), err
    finally:
        v.end()
