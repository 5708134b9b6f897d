"""What the virtual machine alone can show: the unified hierarchy of control groups, delegated by systemd."""
import http.client
import os
import re
import select
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
    """But for two settings of the whole machine that a stock Debian 12 has as they are, and that only its operator may change."""
    checks = check()
    weak = {n: c["detail"] for n, c in checks.items() if c["state"] != "ok"}
    assert set(weak) == {"inotify", "modprobe"} and all(checks[n]["state"] == "weak" for n in weak), weak
    assert [checks[f"{kind} limit"]["detail"] for kind in ("memory", "pids", "cpu")] == ["control group v2"] * 3


@pytest.fixture
def sleeper():
    p = subprocess.Popen([rig.SANDBOX, "run", "--memory", "64M", "--pids", "20", "--cpu", "0.5", "--io-weight", "250", "--", "/bin/sh", "-c", "echo there; sleep 100"],
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
    service = group_of("self").removesuffix("/vitrine-main")
    assert re.fullmatch(TOP + "/system.slice/.*/vm-(root|user)@.*\\.service", service)
    assert inside and all(group_of(pid).startswith(f"{service}/vitrine-run-") for pid in inside)


def test_each_worker_has_its_weight_in_input_and_output(sleeper):
    inside = [pid for pid in rig.own(rig.sandboxed_processes(), {sleeper.pid}) if pid != sleeper.pid]
    assert {open(f"{group_of(pid)}/io.weight").read() for pid in inside} == {"default 250\n"}


def test_who_takes_too_much_dies_alone():
    """no memory.oom.group: a server lives on where one of its children was too large, and the reason is said"""
    r = rig.python("import os\n"
                   "print(open('/proc/self/oom_score_adj').read().strip())\n"
                   "if os.fork() == 0:\n"
                   "    b = []\n"
                   "    while True: b.append(bytearray(1 << 20))\n"
                   "print(os.WTERMSIG(os.wait()[1]))", "--memory", "64M", timeout=60)
    assert r.returncode == 0 and r.stdout.split()[1] == "9" and "out of memory: 64 MiB" in r.stderr, r
    assert int(r.stdout.split()[0]) > 0, "PID 1 is not the one that the kernel takes"


@pytest.fixture
def starter():
    s = rig.Starter()
    yield s
    assert s.end() == 0
    assert not rig.cgroups(s.instance)


def test_a_frozen_worker_can_be_ended(starter):
    """with all that it has started, by cgroup.kill: no signal is delivered to what is frozen"""
    w = starter.sh("for i in 1 2 3 4 5; do sleep 600 & done; echo up; wait", memory_bytes=96 << 20, pids=30, cpu_milli=500)
    assert rig.until(lambda: "up" in w.log())
    group = group_of(w.pid)
    read = lambda name: open(f"{group}/{name}").read().strip()  # noqa: E731
    assert [read("memory.max"), read("memory.swap.max"), read("memory.oom.group"), read("pids.max"), read("cpu.max")] == \
        [str(96 << 20), "0", "0", "30", "50000 100000"]
    with open(f"{group}/cgroup.freeze", "w") as f:
        f.write("1")
    assert rig.until(lambda: "frozen 1" in read("cgroup.events"))
    assert int(read("pids.current")) == 7
    c = w.control()
    assert not select.select([c.sock], [], [], 0.3)[0], "PID 1 is frozen as well"
    starter.group(w, kill=True)
    w.wait()
    assert rig.until(lambda: "populated 0" in read("cgroup.events"))
    c.close()


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
