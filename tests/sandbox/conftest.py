import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rig  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left():
    """After all tests: no process, no control group, no mount of ours"""
    processes, groups = set(rig.sandboxed_processes()), rig.cgroups()
    mounts = open("/proc/self/mountinfo").read()
    yield
    left = rig.until(lambda: not rig.own(rig.sandboxed_processes(), processes)) or rig.own(rig.sandboxed_processes(), processes)
    assert left is True, left
    names = ("test-%d-" % os.getpid(), "vitrine-run-")
    assert rig.until(lambda: not [g for g in rig.cgroups() - groups if any(n in g for n in names) and rig.is_dead_run(g)])
    assert open("/proc/self/mountinfo").read() == mounts


@pytest.fixture
def starter():
    s = rig.Starter()
    yield s
    assert s.end() == 0
    assert not rig.cgroups(s.instance)


@pytest.fixture(scope="module")
def shared_starter():
    s = rig.Starter()
    yield s
    assert s.end() == 0
    assert not rig.cgroups(s.instance)


@pytest.fixture
def folder():
    """A folder that the sandbox's uids can reach; whatever they leave in it is removed"""
    import tempfile
    path = tempfile.mkdtemp(prefix="vitrine-sandbox-test.", dir="/var/tmp")
    os.chmod(path, 0o755)
    yield path
    rig.remove(path)


def checks():
    import json
    import subprocess
    out = subprocess.run([rig.SANDBOX, "check", "--json"], capture_output=True, text=True, timeout=60 * rig.PATIENCE)
    return {c["name"]: c for c in json.loads(out.stdout)["checks"]}


@pytest.fixture(scope="session")
def limited():
    """Which limits control groups really set here: a bomb runs only against one that was seen to hold"""
    found = checks()
    return {kind: found[f"{kind} limit"]["state"] == "ok" for kind in ("memory", "pids", "cpu")}


@pytest.fixture(scope="session")
def weighed():
    """Whether control groups and disks have weights of input and output here"""
    return checks()["io weight"]["detail"].startswith("control group")
