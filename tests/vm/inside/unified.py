"""What both parts of the tests here stand on"""
import json
import subprocess

import rig

TOP = "/sys/fs/cgroup"
PATIENCE = rig.PATIENCE


def check(*before):
    out = subprocess.run([*before, rig.SANDBOX, "check", "--json"], capture_output=True, text=True, timeout=30 * PATIENCE)
    return {c["name"]: c for c in json.loads(out.stdout)["checks"]}


def group_of(pid):
    return TOP + open(f"/proc/{pid}/cgroup").read().strip().removeprefix("0::")
