"""The platform's own sandboxes, as seen from outside while `vitrine up` serves."""
import os

import pytest

import vitrine

with open(os.path.join(os.path.dirname(vitrine.PROGRAM), "vitrine-gateway"), "rb") as program:
    SANITIZED = b"__asan_init" in program.read()


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
    assert state["Threads"] == "1"
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
    assert os.stat(up.data + "/life.db").st_mode & 0o777 in (0o640, 0o600)
