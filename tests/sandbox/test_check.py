"""`vitrine-sandbox check` names every protection: there, partly or missing, and the remedy."""
import json
import os
import subprocess

import rig

PROTECTIONS = {"kernel", "container", "user namespaces", "userns policy", "namespaces", "id range", "id tools", "overlay", "seccomp",
               "no_new_privs", "pidfd", "memory limit", "swap limit", "pids limit", "cpu limit", "short work first", "io weight", "freeze and kill", "core dumps",
               "landlock", "hidden processes", "yama", "processor", "internet", "a sandbox", "gateway", "webui"}


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


def test_wrong_usage():
    assert check("--what").returncode == 2


def test_nothing_is_left_of_the_probes():
    before = open("/proc/self/mountinfo").read(), rig.cgroups("vitrine-run-%d" % os.getpid())
    check()
    assert (open("/proc/self/mountinfo").read(), rig.cgroups("vitrine-run-%d" % os.getpid())) == before
