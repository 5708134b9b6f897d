"""`vitrine-sandbox check` names every protection: there, partly or missing, and the remedy."""
import json
import os
import subprocess

import pytest

import rig

PROTECTIONS = {"kernel", "container", "user namespaces", "userns policy", "namespaces", "id range", "id tools", "overlay", "seccomp",
               "no_new_privs", "pidfd", "memory limit", "swap limit", "pids limit", "cpu limit", "short work first", "io weight", "freeze and kill", "core dumps",
               "landlock", "hidden processes", "yama", "inotify", "modprobe", "processor", "internet", "a sandbox", "gateway", "webui"}


def check(*args, before=()):
    return subprocess.run([*before, rig.SANDBOX, "check", *args], capture_output=True, text=True, timeout=60 * rig.PATIENCE)


def found(r):
    return {c["name"]: c for c in json.loads(r.stdout)["checks"]}


def test_every_protection_is_named():
    r = check("--json")
    assert PROTECTIONS <= set(found(r)) and r.returncode == 0, r
    assert json.loads(r.stdout)["workers_can_run"] is True
    for c in found(r).values():
        assert c["state"] in ("ok", "weak", "missing") and c["detail"], c
        assert c["remedy"] or c["state"] == "ok", c


def test_the_table_has_the_same_lines():
    table, listed = check(), found(check("--json"))
    words = {"ok": "there", "weak": "partly", "missing": "MISSING"}
    for name, c in listed.items():
        line = next(line for line in table.stdout.splitlines() if line.startswith(name.ljust(16) + " "))
        assert line.split(name, 1)[1].split()[0] == words[c["state"]], line
    assert table.stdout.endswith("workers can run here\n")


def test_where_namespaces_are_forbidden():
    """as in a container's default profile, or under a distribution's restriction: a sentence, and the status"""
    forbid = "echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --bounding-set -sys_resource,-sys_admin --inh-caps -sys_resource,-sys_admin "
    before = ["unshare", "-r", "-m", "sh", "-c", forbid + '"$@"', "sh"]
    r = check("--json", before=before)
    assert r.returncode == 1 and not json.loads(r.stdout)["workers_can_run"], r
    assert found(r)["user namespaces"]["state"] == "missing" and found(r)["user namespaces"]["remedy"]
    assert found(r)["a sandbox"]["state"] == "missing"


def with_file(path, text, *args):
    """check where a file of the kernel's says something else"""
    script = 'f=$(mktemp) && printf "%s\n" "$2" >$f && mount --bind $f "$1" && rm $f && shift 2 && exec "$@"'
    return check("--json", *args, before=["unshare", *([] if rig.IS_ROOT else ["-r"]), "-m", "sh", "-c", script, "sh", path, text])


@pytest.mark.parametrize("most, state", [(128, "weak"), (511, "weak"), (512, "ok"), (8192, "ok")])
def test_inotify_instances_for_many(most, state):
    c = found(with_file("/proc/sys/fs/inotify/max_user_instances", str(most)))["inotify"]
    assert c["state"] == state and f"enough for {most // 2} sandboxes" in c["detail"], c
    assert "fs.inotify.max_user_instances" in c["remedy"]


def test_what_the_kernel_starts_for_unknown_files():
    c = found(check("--json"))["modprobe"]
    path = "/proc/sys/kernel/modprobe"
    program = open(path).read().strip() if os.path.exists(path) else ""
    off = "/proc/sys/kernel/modules_disabled"
    starts = program and rig.kernel() < (6, 14) and not (os.path.exists(off) and open(off).read().strip() == "1")
    assert c["state"] == ("weak" if starts else "ok"), c
    if starts:
        assert program in c["detail"] and "kernel.modprobe=" in c["remedy"]
        assert found(with_file(path, ""))["modprobe"]["state"] == "ok"


def test_wrong_usage():
    assert check("--what").returncode == 2


def test_nothing_is_left_of_the_probes():
    before = open("/proc/self/mountinfo").read(), rig.cgroups("vitrine-run-%d" % os.getpid())
    check()
    assert (open("/proc/self/mountinfo").read(), rig.cgroups("vitrine-run-%d" % os.getpid())) == before
