"""`vitrine up` alone: its programs are stand-ins that die, do not listen or leave children."""
import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from vitrine import PROGRAM, ROOT, free_port, until

PROTOCOL = int(re.search(r"#define PROTO_VERSION (\d+)", open(f"{ROOT}/common/proto.h").read()).group(1))

PROGRAMS = ("vitrine-gateway", "vitrine-webui", "vitrine-runner")


class Supervisor:
    def __init__(self, folder):
        self.folder = str(folder)
        self.port = free_port()
        shutil.copy(PROGRAM, self.folder)
        for name in PROGRAMS:
            shutil.copy(os.path.join(os.path.dirname(__file__), "fake_program.py"),
                        os.path.join(self.folder, name))
            os.chmod(os.path.join(self.folder, name), 0o755)
        for name in ("vitrine-sandbox", "vitrine-job", "vitrine-static", "vitrine-egress", "vitrine-preload"):
            shutil.copy("/bin/true", os.path.join(self.folder, name))
        open(os.path.join(self.folder, "events"), "w").close()
        self.up = None

    def start(self, **script):
        with open(os.path.join(self.folder, "script"), "w") as f:
            json.dump({"protocol": PROTOCOL, **{"vitrine-" + k: v for k, v in script.items()}}, f)
        with open(os.path.join(self.folder, "c.ini"), "w") as f:
            f.write("[lifecycle]\nstop_grace = 0s\n")
        self.up = subprocess.Popen(
            [os.path.join(self.folder, "vitrine"), "up", "--data", os.path.join(self.folder, "data"),
             "--listen", f"127.0.0.1:{self.port}", "--config", os.path.join(self.folder, "c.ini")],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return self

    def ready(self):
        for line in self.up.stdout:
            if line.startswith("ready:"):
                return bool(until(lambda: all(self.events(p[8:], "start") for p in PROGRAMS), 5))
        return False

    def events(self, program, event=None):
        with open(os.path.join(self.folder, "events")) as f:
            rows = [line.split(None, 3) for line in f]
        return [(float(r[0]), int(r[2]), r[3].strip()) for r in rows
                if r[1] == "vitrine-" + program and (event is None or r[3].strip() == event)]

    def pids(self):
        return {int(line.split()[2]) for line in open(os.path.join(self.folder, "events"))}


@pytest.fixture
def supervisor(tmp_path):
    s = Supervisor(tmp_path)
    yield s
    if s.up and s.up.poll() is None:
        s.up.terminate()
        s.up.wait(15)
    assert not [p for p in s.pids() if is_alive(p)]


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def end(s, sig=signal.SIGTERM, timeout=12):
    s.up.send_signal(sig)
    return s.up.wait(timeout)


def test_hands_over_and_ends_in_order(supervisor):
    s = supervisor.start()
    assert s.ready()
    # 2 is SUP_PEER, 3 is SUP_LISTENER; the roles are those of proto.h
    for program, due in {"gateway": {"message 3 5", "message 2 2", "message 2 4"},
                         "runner": {"message 2 1", "message 2 3"},
                         "webui": {"message 3 6", "message 2 2"}}.items():
        assert until(lambda p=program, d=due: {e for _, _, e in s.events(p)} >= d, 5)
    assert end(s) == 0
    runner, gateway = s.events("runner", "term"), s.events("gateway", "term")
    assert len(runner) == len(gateway) == 1 and runner[0][0] <= gateway[0][0]


def test_ctrl_c_is_for_up_alone(supervisor):
    s = supervisor.start()
    assert s.ready()
    assert end(s, signal.SIGINT) == 0
    assert len(s.events("webui", "term")) == 1


def test_a_killed_program_comes_back_and_its_peers_are_told(supervisor):
    s = supervisor.start()
    assert s.ready()
    first = s.events("runner", "start")[0][1]
    told = len(s.events("gateway", "message 2 2"))
    os.kill(first, signal.SIGKILL)
    assert until(lambda: len(s.events("runner", "start")) == 2, 3)
    assert until(lambda: len(s.events("gateway", "message 2 2")) == told + 1, 3)
    assert until(lambda: len(s.events("webui", "message 2 2")) == told + 1, 3)
    assert end(s) == 0


def test_one_that_dies_again_and_again_is_slowed_down_and_up_gives_in(supervisor):
    s = supervisor.start(gateway="die")
    assert not s.ready()
    assert s.up.wait(10) == 1
    last = s.up.stderr.read().strip().splitlines()[-1]
    assert last.startswith("vitrine up: vitrine-gateway does not start")
    starts = [at for at, _, _ in s.events("gateway", "start")]
    assert len(starts) == 6 and starts[1] - starts[0] < 1 and starts[-1] - starts[0] > 1.4


def test_one_that_does_not_end_is_ended(supervisor):
    s = supervisor.start(runner="deaf", webui="deaf")
    assert s.ready()
    began = time.monotonic()
    assert end(s) == 0
    assert time.monotonic() - began < 10


def test_orphans_are_ended_and_reaped(supervisor):
    s = supervisor.start(runner="orphan")
    assert s.ready()
    children = until(lambda: [p for p in children_of(s.up.pid) if is_orphan(p, s.folder)], 5)
    assert children
    assert end(s) == 0
    assert not [p for p in children if is_alive(p)]


def test_killed_itself_its_programs_end(supervisor):
    s = supervisor.start()
    assert s.ready()
    # each has said that it is ready, and reads: before that it would fail at saying so
    for program in ("gateway", "runner", "webui"):
        assert until(lambda p=program: any(e[2].startswith("message") for e in s.events(p)), 5)
    s.up.kill()
    s.up.wait()
    for program in ("gateway", "runner", "webui"):
        assert until(lambda p=program: s.events(p, "eof"), 5)
    s.start()
    assert s.ready()
    assert end(s) == 0


def children_of(parent):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as f:
                if int(f.read().rsplit(")", 1)[1].split()[1]) == parent:
                    found.append(int(pid))
        except OSError:
            pass
    return found


def is_orphan(pid, folder):
    """Its session's leader is gone."""
    with open(f"/proc/{pid}/stat") as f:
        session = int(f.read().rsplit(")", 1)[1].split()[3])
    with open(f"/proc/{pid}/cmdline") as f:
        return session != pid and folder in f.read() and not os.path.exists(f"/proc/{session}")


def say(s, **script):
    """What the programs do that are started from now on"""
    with open(os.path.join(s.folder, "script"), "w") as f:
        json.dump({"protocol": PROTOCOL, **{"vitrine-" + k: v for k, v in script.items()}}, f)


def restart(s):
    return subprocess.run([os.path.join(s.folder, "vitrine"), "gateway", "restart", "--data", os.path.join(s.folder, "data")],
                          capture_output=True, text=True)


def gateways(s):
    out = subprocess.run([os.path.join(s.folder, "vitrine"), "status", "--json", "--data", os.path.join(s.folder, "data")],
                         capture_output=True, text=True).stdout
    return [(p["pid"], p["state"]) for p in json.loads(out) if p["name"] == "vitrine-gateway"]


def test_a_new_gateway_that_dies_changes_nothing(supervisor):
    s = supervisor.start()
    assert s.ready()
    before = gateways(s)
    say(s, gateway="die")
    r = restart(s)
    assert r.returncode == 1 and "status 7" in r.stderr and "the old one goes on serving" in r.stderr
    assert gateways(s) == before and before[0][1] == "serving"
    say(s)
    assert restart(s).returncode == 0
    assert gateways(s)[0] != before[0] and (before[0][0], "draining") in gateways(s)
    assert end(s) == 0


def test_the_listening_socket_goes_to_one_that_is_ready(supervisor):
    s = supervisor.start()
    assert s.ready()
    say(s, gateway="mute")
    p = subprocess.Popen([os.path.join(s.folder, "vitrine"), "gateway", "restart", "--data", os.path.join(s.folder, "data")],
                         stderr=subprocess.PIPE, text=True)
    assert until(lambda: len(s.events("gateway", "message 2 2")) == 2, 5)  # it has its peers
    assert restart(s).returncode == 1  # one at a time
    first, second = [pid for _, pid, _ in s.events("gateway", "start")]
    assert {pid for _, pid, e in s.events("gateway") if e.startswith("message 3")} == {first}
    os.kill(second, signal.SIGKILL)
    assert p.wait(10) == 1 and "before it was ready" in p.stderr.read()
    p.stderr.close()
    assert end(s) == 0


def test_the_oldest_goes_where_too_many_drain(supervisor):
    s = supervisor.start()
    assert s.ready()
    for _ in range(10):  # stand-ins do not leave by themselves
        assert until(lambda: restart(s).returncode == 0, 10)
    assert len([1 for _, state in gateways(s) if state == "draining"]) <= 8
    starts = [pid for _, pid, _ in s.events("gateway", "start")]
    assert starts[0] in {pid for _, pid, _ in s.events("gateway", "term")}
    assert end(s) == 0
