"""Of the unified hierarchy what takes root to try; left out for the user."""
import http.client
import json
import os
import pathlib
import re
import subprocess

import rig
import vitrine
from unified import PATIENCE, TOP, check


def test_a_user_without_delegation_is_told_the_remedy():
    checks = check("setpriv", "--reuid", "tester", "--regid", "tester", "--init-groups", "--")
    for kind in ("memory", "pids", "cpu"):
        one = checks[f"{kind} limit"]
        assert one["state"] != "ok"
        assert "systemd-run --user --scope -p Delegate=yes" in json.dumps(one)


def test_the_top_of_a_container_s_namespace_is_its_own():
    """as a container engine gives it: a group of its own as the top of what is seen, and everybody in it"""
    group = f"{TOP}/vm-container"
    os.mkdir(group)
    try:
        script = (f"echo $$ >{group}/cgroup.procs; exec unshare -C -m sh -c 'umount {TOP}; mount -t cgroup2 none {TOP} && "
                  f"cat /proc/self/cgroup >&2; exec {rig.SANDBOX} check --json'")
        out = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=30 * PATIENCE)
        assert out.stderr == "0::/\n"
        states = {c["name"]: c["state"] for c in json.loads(out.stdout)["checks"]}
        assert [states[f"{kind} limit"] for kind in ("memory", "pids", "cpu")] == ["ok"] * 3
    finally:
        for folder, _, _ in os.walk(group, topdown=False):
            os.rmdir(folder)


def handed_down(group):
    """Whether the starter's group below it can limit what workers take"""
    control = [open(f"{d}/cgroup.subtree_control").read().split() for d, _, _ in os.walk(group)
               if os.path.basename(d).startswith("vitrine-") and not d.endswith("-main")]
    return control and all({"memory", "pids", "cpu"} <= set(c) for c in control)


def test_the_unit_that_comes_with_it():
    text = pathlib.Path(rig.ROOT, "share/vitrine.service").read_text()
    port = vitrine.free_port()
    text = re.sub("^User=.*", "User=tester", text, flags=re.M)
    text = re.sub("^ExecStart=.*", f"ExecStart={vitrine.PROGRAM} up --data /var/lib/vitrine --listen 127.0.0.1:{port}", text, flags=re.M)
    text = text.replace("[Unit]", "[Unit]\nDefaultDependencies=no", 1)  # the machine boots to less than they ask for
    pathlib.Path("/etc/systemd/system/vitrine.service").write_text(text)
    subprocess.run(["systemctl", "daemon-reload"], check=True, timeout=60 * PATIENCE)
    subprocess.run(["systemctl", "start", "vitrine"], check=True, timeout=60 * PATIENCE)
    group = f"{TOP}/system.slice/vitrine.service"
    try:
        def answers():
            c = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            c.request("GET", "/", headers={"Host": f"localhost:{port}"})
            return c.getresponse().status == 200

        assert vitrine.until(answers, 30 * PATIENCE)
        assert vitrine.until(lambda: handed_down(group), 30 * PATIENCE), [d for d, _, _ in os.walk(group)]
    finally:
        subprocess.run(["systemctl", "stop", "vitrine"], check=True, timeout=60 * PATIENCE)
    assert not os.path.exists(group) or not open(f"{group}/cgroup.events").read().startswith("populated 1")
