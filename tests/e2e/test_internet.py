"""`[network] policy`: what a demo reaches through a whole system, against hosts in network namespaces of the test's own.
What the sandbox refuses one by one is in tests/sandbox/test_network.py."""
import json
import os
import pwd
import shutil
import subprocess
import sys

import pytest

from vitrine import ROOT, Answer, Vitrine, processes, until

sys.path.insert(0, os.path.join(ROOT, "tests", "sandbox"))
import hosts  # noqa: E402

pytestmark = pytest.mark.skipif(not shutil.which("slirp4netns") or not os.access("/dev/net/tun", os.R_OK | os.W_OK),
                                reason="no slirp4netns, or no /dev/net/tun that we may open, on this machine")


class Inside(Vitrine):
    """A system in the network namespace "here" of these hosts, and its visitors with it"""

    def __init__(self, net, config):
        super().__init__(config)
        self.net = net

    def popen(self, *args, **kw):
        return self._inside(subprocess.Popen, args, **kw)

    def cli(self, *args, timeout=120, token=None, **kw):
        return self._inside(subprocess.run, args, capture_output=True, timeout=timeout, **kw)

    def _inside(self, start, args, **kw):
        return start(self.net.inside(os.path.join(os.environ.get("VITRINE_BUILD", os.path.join(ROOT, "build")), "vitrine"), *args),
                     cwd=self.folder, env=self._env(), text=True, **kw)

    def http(self, method, path, host=None, body=None, headers=None, timeout=60):
        r = subprocess.run(self.net.inside("curl", "-sS", "-m", str(timeout), "-w", "%{stderr}%{http_code}", "-H", f"Host: {host or self.site}",
                                           f"http://127.0.0.1:{self.port}{path}"), capture_output=True, timeout=timeout + 10)
        if r.returncode:
            raise ConnectionError(r.stderr)
        return Answer(int(r.stderr), {}, r.stdout)

    def reached(self, name, *places):
        """{place: what answered there, or the error} as the Space sees it"""
        got = self.ask(name, "/reach?" + ",".join(places))
        return dict(zip(places, got))


@pytest.fixture(scope="module")
def net():
    options = []
    if os.getuid() != 0:
        name = pwd.getpwuid(os.getuid()).pw_name
        for kind, file in (("users", "subuid"), ("groups", "subgid")):
            first, count = next(line.split(":")[1:] for line in open(f"/etc/{file}") if line.startswith(name + ":"))
            options.append(f"--map-{kind}={first},1,{count.strip()}")
        options = ["-U", "-r", *options]
    h = hosts.Hosts(options)
    yield h
    h.close()


@pytest.fixture
def system(net):
    made = []

    def make(config):
        made.append(Inside(net, config))
        return made[-1].start()

    yield make
    for v in made:
        v.end()


def parents(pid):
    while pid > 1:
        yield pid
        try:
            with open(f"/proc/{pid}/stat") as f:
                pid = int(f.read().rsplit(")", 1)[1].split()[1])
        except OSError:
            return


def relays(v):
    """The programs that carry the connections of this system's Spaces: others may be on the machine as well"""
    return [pid for (pid, _), name in processes().items() if name == "slirp4netns" and v.up.pid in parents(pid)]


def are_gone(pids):
    return not {pid for pid, _ in processes()} & set(pids)


PATIENCE = float(os.environ.get("TEST_PATIENCE", "1"))
OUTSIDE = [f"{a}:{hosts.PORT}" for a in (hosts.OUTSIDE, f"[{hosts.OUTSIDE6}]", "some.name.example")]


def test_public_addresses_and_no_others(system):
    v = system("[network]\npolicy = internet\n")
    v.deploy(v.probe(), "demo/out")
    # this machine by each of its addresses, and by those that stand for it and for the resolver in there
    own = [f"{a}:{port}" for a in (hosts.HERE, "172.20.0.1", "198.19.240.2", "198.19.240.3") for port in (hosts.PORT, v.port)]
    own += [f"[{a}]:{hosts.PORT}" for a in (hosts.HERE6, *hosts.PRIVATE6)]
    refused = own + [f"{a}:{hosts.PORT}" for a in (*hosts.PRIVATE, hosts.MIRROR)]
    got = v.reached("demo/out", *OUTSIDE, *refused)
    assert {got[a] for a in OUTSIDE} == {"world"}, got
    assert [a for a in refused if got[a] in ("world", "here") or got[a].startswith("HTTP")] == [], got


def test_the_operators_lists_are_the_systems(system):
    v = system(f"[network]\npolicy = internet\nallow = {hosts.MIRROR}:{hosts.PORT}\ndeny = 11.99.0.0/16\n")
    v.deploy(v.probe(), "demo/out")
    mirror, other, denied = f"{hosts.MIRROR}:{hosts.PORT}", f"{hosts.MIRROR}:8001", f"{hosts.DENIED}:{hosts.PORT}"
    got = v.reached("demo/out", mirror, other, denied)
    assert got[mirror] == "world" and got[other] == got[denied] == "EHOSTUNREACH", got


def test_none_by_default_and_one_space_has_another(system):
    v = system("")
    v.deploy(v.probe(), "demo/none")
    v.deploy(v.probe(), "demo/out")
    r = v.cli("limits", "demo/out", "network=internet")
    assert r.returncode == 0, r.stderr
    assert v.cli("restart", "demo/out").returncode == 0
    place = OUTSIDE[0]
    assert until(lambda: v.reached("demo/out", place)[place] == "world", 30 * PATIENCE), v.log
    assert v.reached("demo/none", place) == {place: "ENETUNREACH"}
    assert len(relays(v)) == 1


def test_the_relay_goes_to_sleep_with_the_space_and_comes_again(system):
    v = system("[network]\npolicy = internet\n[lifecycle]\nsleep_after = 5s\n")
    v.deploy(v.probe(), "demo/out")
    first = relays(v)
    assert until(lambda: v.stage("demo/out") == "SLEEPING", 30 * PATIENCE)
    assert until(lambda: not relays(v) and are_gone(first), 10 * PATIENCE)
    place = OUTSIDE[0]
    assert v.reached("demo/out", place) == {place: "world"}
    assert json.loads(v.cli("status", "demo/out", "--json").stdout)["stage"] == "RUNNING"
    second = relays(v)
    assert len(second) == 1
    v.stop()
    assert until(lambda: are_gone(second), 10 * PATIENCE)
