"""The platform's own sandboxes, as seen from outside while `vitrine up` serves."""
import os

import pytest

import vitrine

with open(os.path.join(os.path.dirname(vitrine.PROGRAM), "vitrine-gateway"), "rb") as program:
    SANITIZED = b"__asan_init" in program.read()


def fields(pid):
    with open(f"/proc/{pid}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


@pytest.mark.skipif(SANITIZED, reason="the sanitizers' runtime needs /proc and its pid: ARCHITECTURE.md")
def test_the_gateway_is_confined(up):
    (pid,) = up.named("vitrine-gateway")
    state, parent = fields(pid), fields(up.up.pid)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(state[name], 16) == 0, name
    assert state["NoNewPrivs"] == "1" and state["Seccomp"] == "2"
    assert state["Groups"].strip() == ""
    assert state["Threads"] == "1"
    # a uid of its own, of the range, and the first process of its pid namespace
    assert len(set(state["Uid"].split())) == 1 and state["Uid"] != parent["Uid"]
    assert state["NSpid"].split()[-1] == "1" and len(state["NSpid"].split()) == len(parent["NSpid"].split()) + 1
    if os.geteuid() == 0:
        for name in ("user", "mnt", "net", "ipc", "uts", "cgroup", "pid"):
            assert os.stat(f"/proc/{pid}/ns/{name}").st_ino != os.stat(f"/proc/{up.up.pid}/ns/{name}").st_ino, name
        assert os.listdir(f"/proc/{pid}/root") == []
