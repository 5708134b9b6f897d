"""What the virtual machine alone can show: the unified hierarchy of control groups, delegated by systemd."""
import http.client
import os
import subprocess

import pytest
import rig
import vitrine
from unified import PATIENCE, TOP, check, group_of


def test_the_machine_is_what_it_should_be():
    assert os.uname().release.startswith("6.1.")
    assert open("/proc/self/cgroup").read().startswith("0::/"), "no hierarchy of v1"
    assert open("/proc/1/comm").read() == "systemd\n"


def test_nothing_is_missing():
    checks = check()
    assert {n: c["detail"] for n, c in checks.items() if c["state"] != "ok"} == {}
    assert [checks[f"{kind} limit"]["detail"] for kind in ("memory", "pids", "cpu")] == ["control group v2"] * 3


@pytest.fixture
def sleeper():
    p = subprocess.Popen([rig.SANDBOX, "run", "--memory", "64M", "--pids", "20", "--cpu", "0.5", "--", "/bin/sh", "-c", "echo there; sleep 100"],
                         stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    assert p.stdout.readline() == "there\n"
    yield p
    p.kill()
    p.wait()
    p.stdout.close()
    rig.run("--", "true")  # takes away the control group of the killed one


def test_limits_are_set_before_the_program_runs(sleeper):
    inside = [pid for pid in rig.own(rig.sandboxed_processes(), {sleeper.pid}) if pid != sleeper.pid]
    groups = {group_of(pid) for pid in inside}
    assert len(groups) == 1, groups
    group, = groups
    read = lambda name: open(f"{group}/{name}").read().strip()  # noqa: E731
    assert read("memory.max") == str(64 << 20)
    assert read("memory.swap.max") == "0"
    assert read("pids.max") == "20"
    quota, period = map(int, read("cpu.max").split())
    assert quota * 2 == period


def test_groups_lie_in_what_was_delegated(sleeper):
    inside = [pid for pid in rig.own(rig.sandboxed_processes(), {sleeper.pid}) if pid != sleeper.pid]
    service = "vm-tests" if rig.IS_ROOT else "vm-user"
    assert all(group_of(pid).startswith(f"{TOP}/system.slice/{service}.service/") for pid in inside)


def test_first_light(tmp_path):
    """`vitrine up` and a static Space, which runs in a group with its limits"""
    (tmp_path / "index.html").write_text("<h1>first light</h1>")
    port = vitrine.free_port()
    p = subprocess.Popen([vitrine.PROGRAM, "up", "--data", str(tmp_path / "data"), "--listen", f"127.0.0.1:{port}"],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = []
    try:
        for line in p.stdout:
            said.append(line)
            if line.startswith("ready: "):
                break
        site = tmp_path / "site"
        site.mkdir()
        (tmp_path / "index.html").rename(site / "index.html")
        token = (tmp_path / "data/admin.token").read_text().strip()
        out = subprocess.run([vitrine.PROGRAM, "deploy", str(site), "me/hello"], capture_output=True, text=True, timeout=60 * PATIENCE,
                             env={**os.environ, "VITRINE_URL": f"http://localhost:{port}", "VITRINE_TOKEN": token})
        assert out.returncode == 0, (out.stderr, said)
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=30 * PATIENCE)
        c.request("GET", "/", headers={"Host": f"me-hello.localhost:{port}"})
        assert b"first light" in c.getresponse().read()
        workers = [pid for pid, name in rig.sandboxed_processes().items() if name == "vitrine-static"]
        assert workers
        for pid in workers:
            assert int(open(f"{group_of(pid)}/memory.max").read()) > 0
            assert open(f"{group_of(pid)}/memory.swap.max").read() == "0\n"
    finally:
        p.terminate()
        p.communicate(timeout=30 * PATIENCE)
    assert p.returncode == 0
