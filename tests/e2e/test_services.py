"""The platform's own sandboxes, as seen from outside while `vitrine up` serves."""
import os
import re
import subprocess
import sys

import pytest

import vitrine
from vitrine import cgroups, until

with open(os.path.join(os.path.dirname(vitrine.PROGRAM), "vitrine-gateway"), "rb") as program:
    SANITIZED = re.search(rb"__[at]san_init", program.read()) is not None


def fields(pid):
    with open(f"/proc/{pid}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


needs_no_sanitizer = pytest.mark.skipif(SANITIZED, reason="the sanitizers' runtime needs /proc and its pid: ARCHITECTURE.md")


def is_confined(up, name):
    """What gateway and webui have in common; the pid."""
    (pid,) = up.named(name)
    state, parent = fields(pid), fields(up.up.pid)
    for caps in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(state[caps], 16) == 0, caps
    assert state["NoNewPrivs"] == "1" and state["Seccomp"] == "2"
    assert state["Groups"].strip() == ""
    # a uid of its own, of the range, and the first process of its pid namespace
    assert len(set(state["Uid"].split())) == 1 and state["Uid"] != parent["Uid"]
    assert state["NSpid"].split()[-1] == "1" and len(state["NSpid"].split()) == len(parent["NSpid"].split()) + 1
    if os.geteuid() == 0:
        for space in ("user", "mnt", "net", "ipc", "uts", "cgroup", "pid"):
            assert os.stat(f"/proc/{pid}/ns/{space}").st_ino != os.stat(f"/proc/{up.up.pid}/ns/{space}").st_ino, space
    return pid, state


@needs_no_sanitizer
def test_the_gateway_is_confined(up):
    pid, state = is_confined(up, "vitrine-gateway")
    assert state["Threads"] == str(min(len(os.sched_getaffinity(0)), 8))
    for thread in os.listdir(f"/proc/{pid}/task"):  # the filter and all the rest holds for each
        each = fields(f"{pid}/task/{thread}")
        assert {k: each[k] for k in ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp", "Uid")} == \
            {k: state[k] for k in ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp", "Uid")}
    if os.geteuid() == 0:
        assert os.listdir(f"/proc/{pid}/root") == []


def tree(folder):
    return {os.path.join(d, n)[len(folder):] for d, folders, files in os.walk(folder) for n in folders + files}


@needs_no_sanitizer
def test_webui_is_confined(up):
    pid, state = is_confined(up, "vitrine-webui")
    (gateway,) = up.named("vitrine-gateway")
    assert state["Uid"] != fields(gateway)["Uid"]
    if os.geteuid() != 0:
        return
    parts = up.data.split("/")
    above = {"/".join(parts[:n]) for n in range(2, len(parts) + 1)}
    assert tree(f"/proc/{pid}/root") == above | {f"{up.data}/{n}" for n in ("life.db", "life.db-wal", "life.db-shm", "uploads")}
    with open(f"/proc/{pid}/mountinfo") as f:
        mounts = {line.split()[4]: line.split()[5].split(",") for line in f}
    writable = [where for where, options in mounts.items() if "ro" not in options]
    assert writable == [f"{up.data}/uploads"]
    assert all({"nosuid", "nodev", "noexec"} <= set(options) for options in mounts.values())


def test_the_files_stay_the_owner_s(up):
    """webui is given them by its group, and site.db by descriptors alone: an operator's backup, and the next start, find
    what is theirs."""
    us = os.stat(up.data).st_uid
    for name in ("site.db", "site.db-wal", "life.db", "life.db-wal", "life.db-shm", "uploads"):
        st = os.stat(f"{up.data}/{name}")
        assert st.st_uid == us and st.st_mode & 7 == 0, name
    assert os.stat(up.data + "/site.db").st_mode & 0o77 == 0
    for part in ("", "-wal", "-shm"):  # whoever of `up`, the runner and webui came first
        assert os.stat(f"{up.data}/life.db{part}").st_mode & 0o777 == 0o640, part
    assert os.stat(up.data + "/uploads").st_mode & 0o777 == 0o770


def groups_of(up, name):
    """{controller or "": folder} of the control groups of our own that the program is in."""
    (pid,) = up.named(name)
    with open(f"/proc/{pid}/cgroup") as f:
        paths = dict(line.rstrip("\n").split(":", 2)[1:] for line in f)
    found = {}
    for folder in cgroups(up.data):
        with open(folder + "/cgroup.procs") as f:
            if str(pid) in f.read().split():
                found[next(c for c, path in paths.items() if folder.endswith(path) and (f"/{c}/" in folder or not c))] = folder
    return found


def memory_of(folder):
    for name in ("memory.max", "memory.limit_in_bytes"):
        if os.path.exists(f"{folder}/{name}"):
            return open(f"{folder}/{name}").read().strip()
    return None


def with_memory_limits(up):
    groups = {name: groups_of(up, name) for name in ("vitrine-gateway", "vitrine-webui")}
    folders = {name: next((f for f in g.values() if memory_of(f)), None) for name, g in groups.items()}
    if not all(folders.values()):
        assert "up.group" in up.log
        pytest.skip("no control group with a memory limit is ours here")
    return folders


def test_their_memory_is_bounded(vitrine):
    up = vitrine("[sandbox]\nservices_memory = 200M\n")
    folders = with_memory_limits(up)
    assert folders["vitrine-gateway"] != folders["vitrine-webui"]
    assert {memory_of(f) for f in folders.values()} == {str(200 << 20)}
    assert groups_of(up, "vitrine-runner") == {}


HOG = """
import sys
with open(sys.argv[1], "w") as f:
    f.write("0")
x = b"x" * (40 << 20)
sys.stdin.read()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to enter the group and to choose whom the kernel kills")
def test_who_runs_out_of_memory_is_one_program(vitrine):
    """The gateway here; the others do not notice, and it is there again."""
    up = vitrine("[sandbox]\nservices_memory = 64M\n")
    group = with_memory_limits(up)["vitrine-gateway"]
    before = {name: up.named(name) for name in ("vitrine-gateway", "vitrine-webui", "vitrine-runner")}
    with open(f"/proc/{before['vitrine-gateway'][0]}/oom_score_adj", "w") as f:
        f.write("1000")
    # two, so that neither is larger than the gateway as it is scored now
    hogs = [subprocess.Popen([sys.executable, "-c", HOG, group + "/cgroup.procs"], stdin=subprocess.PIPE) for _ in range(2)]
    try:
        assert until(lambda: "up.memory" in up.log)
        assert until(lambda: up.get("/healthz").status == 200)
    finally:
        for hog in hogs:
            hog.kill()
            hog.communicate()
    after = {name: up.named(name) for name in before}
    assert before.pop("vitrine-gateway") != after.pop("vitrine-gateway") and before == after
    assert "vitrine-gateway ran out of its memory ([sandbox] services_memory)" in up.log
