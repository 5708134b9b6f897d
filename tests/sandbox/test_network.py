"""The way to the internet: what it reaches and what it does not, against hosts in network namespaces of the test's own"""
import json
import os
import shutil
import signal
import subprocess
import time

import hosts
import pytest
import rig

pytestmark = pytest.mark.skipif(not shutil.which("slirp4netns") or not os.access("/dev/net/tun", os.W_OK),
                                reason="no slirp4netns or no /dev/net/tun on this machine")

PATIENCE = rig.PATIENCE

# what a program tries: {"name": [how, address, port, ...]} -> {"name": what answered, or the error}
TRY = r"""
import concurrent.futures, errno, json, socket, struct, sys, time
def attempt(how, address, port, *rest):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET,
                      socket.SOCK_DGRAM if "udp" in how else socket.SOCK_STREAM)
    s.settimeout(3)
    if "device" in how:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"tap0")
    if "unicast" in how:
        s.setsockopt(socket.IPPROTO_IP, 50, struct.pack("!I", 2))  # IP_UNICAST_IF
    if "route" in how:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_DONTROUTE, 1)
    if "pktinfo" in how:
        info = struct.pack("@I4s4s", 2, b"\0" * 4, b"\0" * 4)
        s.sendmsg([b"x"], [(socket.IPPROTO_IP, 8, info)], 0, (address, port))
    else:
        s.connect((address, port))
    if "udp" in how and "pktinfo" not in how:
        s.send(b"x")
    return s.recv(100).decode()
deadline = time.monotonic() + 3  # until the advertisement of an IPv6 address is there
while " fd00" not in " " + open("/proc/net/if_inet6").read().replace("\n", "\n ") and time.monotonic() < deadline:
    time.sleep(0.01)
out = {}
def one(item):
    name, args = item
    t = time.monotonic()
    try:
        out[name] = attempt(*args)
    except OSError as e:
        out[name] = errno.errorcode.get(e.errno, type(e).__name__)
    out[name + " s"] = round(time.monotonic() - t, 2)
with concurrent.futures.ThreadPoolExecutor(40) as pool:
    list(pool.map(one, json.loads(sys.argv[1]).items()))
print(json.dumps(out))
""".replace("settimeout(3)", f"settimeout({3 * PATIENCE})")


@pytest.fixture(scope="module")
def net():
    options = []
    if not rig.IS_ROOT:
        uids, gids = rig.sub_range(), rig.sub_range("/etc/subgid")
        options = ["-U", "-r", f"--map-users={uids[0]},1,{uids[1]}", f"--map-groups={gids[0]},1,{gids[1]}"]
    h = hosts.Hosts(options)
    yield h
    h.close()


def run(net, *argv, options=(), timeout=60):
    return subprocess.run(net.inside(rig.SANDBOX, "run", "--net", "internet", *options, "--", *argv), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=timeout * PATIENCE)


def attempts(net, tries, *options):
    out = run(net, rig.PYTHON, "-c", TRY, json.dumps(tries), options=options)
    assert out.returncode == 0, out.stderr
    return json.loads(out.stdout)


def relays():
    return [p for p in filter(str.isdigit, os.listdir("/proc")) if _name(p) == "slirp4netns"]


def _name(pid):
    """Of a process that runs: in a container, nobody may collect those that have ended."""
    try:
        name, state = open(f"/proc/{pid}/stat").read().split("(")[1].rsplit(") ", 1)
    except OSError:
        return ""
    return "" if state[0] in "ZX" else name


def test_outside_is_reached(net):
    got = attempts(net, {"tcp": ["tcp", hosts.OUTSIDE, hosts.PORT], "udp": ["udp", hosts.OUTSIDE, hosts.PORT],
                         "tcp6": ["tcp", hosts.OUTSIDE6, hosts.PORT], "udp6": ["udp", hosts.OUTSIDE6, hosts.PORT]})
    assert {got[k] for k in ("tcp", "udp", "tcp6", "udp6")} == {"world"}, got


def test_names_are_resolved_by_a_resolver_on_the_hosts_loopback(net):
    got = attempts(net, {"name": ["tcp", "some.name.example", hosts.PORT]})
    assert got["name"] == "world"


def test_nothing_else_is_reached_and_refusal_is_quick(net):
    tries = {}
    here = (hosts.HERE, "172.20.0.1", "198.19.240.2", "198.19.240.3")
    for a in (*hosts.PRIVATE, *hosts.PRIVATE6, hosts.HERE6, "fe80::2", "::ffff:10.9.8.7", "fd00::2", "fd00::3", *here):
        for how in ("tcp", "udp", "tcp device", "udp device"):
            tries[f"{how} {a}"] = [how, a, hosts.PORT]
    for a in (*hosts.PRIVATE, *here):
        for how in ("tcp unicast", "udp unicast", "tcp route device", "udp pktinfo"):
            tries[f"{how} {a}"] = [how, a, hosts.PORT]
    for how in ("tcp", "udp", "tcp device", "udp device", "udp pktinfo"):
        for a in ("127.0.0.1", "127.0.0.53"):
            tries[f"{how} {a}"] = [how, a, hosts.PORT]
    got = attempts(net, tries, "--net-new-connections", "0")
    reached = {k: v for k, v in got.items() if v in ("world", "here")}
    assert not reached
    # IPv6 hears of it when it asks again, after a second; a socket that is bound to the device does not at all
    slow = {k: v for k, v in got.items() if k.endswith(" s") and k.startswith("tcp ") and "device" not in k and v > 2 * PATIENCE}
    assert not slow


def test_the_operators_lists(net):
    tries = {"mirror": ["tcp", hosts.MIRROR, hosts.PORT], "other port": ["tcp", hosts.MIRROR, 8001],
             "denied": ["tcp", hosts.DENIED, hosts.PORT]}
    got = attempts(net, tries, "--net-allow", f"{hosts.MIRROR}:{hosts.PORT}", "--net-deny", "11.99.0.0/16")
    assert got["mirror"] == "world" and got["other port"] == "EHOSTUNREACH" and got["denied"] == "EHOSTUNREACH"


def test_connections_made_up_over_the_loopback_open_nothing(net):
    script = """
import socket
def make(bind, to):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IPV6, 78, 1)  # IPV6_FREEBIND
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
    s.bind(bind); s.connect(to); s.send(b"x")
    return s
for i in range(3):
    for a, b in ((("::1", 4000), ("fd12::7", 8000)), (("fd12::7", 8000), ("::1", 4000))):
        try: make(a, b).close()
        except OSError as e: print(e)
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.settimeout(1)
s.setsockopt(socket.IPPROTO_IPV6, 78, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"tap0")
try:
    s.bind(("::1", 4000)); s.connect(("fd12::7", 8000)); s.send(b"x"); print("GOT", s.recv(10))
except OSError as e: print(e)
"""
    out = run(net, rig.PYTHON, "-c", script)
    assert out.returncode == 0 and "GOT" not in out.stdout, out.stdout + out.stderr


def test_raw_and_packet_sockets_and_the_tun_device_are_not_there(net):
    script = """
import os, socket
for f, t, p in ((socket.AF_INET, socket.SOCK_RAW, 255), (socket.AF_INET6, socket.SOCK_RAW, 58), (socket.AF_PACKET, socket.SOCK_RAW, 3),
                (socket.AF_PACKET, socket.SOCK_DGRAM, 3), (socket.AF_NETLINK, socket.SOCK_RAW, 12)):
    try: socket.socket(f, t, p); print("MADE", f, t)
    except OSError: pass
print(os.path.exists("/dev/net/tun"), sorted(n for _, n in socket.if_nameindex()))
"""
    out = run(net, rig.PYTHON, "-c", script)
    assert out.stdout.strip() == "False ['lo', 'tap0']", out.stdout + out.stderr


def test_connections_at_the_same_time_are_limited(net):
    script = f"""
import socket
held = []
for i in range(30):
    s = socket.socket(); s.settimeout(3)
    try: s.connect(("{hosts.OUTSIDE}", {hosts.PORT})); held.append(s)
    except OSError: break
print(len(held))
"""
    out = run(net, rig.PYTHON, "-c", script, options=["--net-connections", "12", "--net-new-connections", "0"])
    assert out.stdout.strip() == "12", out.stdout + out.stderr


def test_new_connections_in_a_second_are_limited(net):
    script = f"""
import socket, time
made, began = 0, time.monotonic()
for i in range(200):
    s = socket.socket(); s.settimeout(3)
    try: s.connect(("{hosts.OUTSIDE}", {hosts.PORT})); made += 1
    except OSError: pass
print(made, time.monotonic() - began)
"""
    out = run(net, rig.PYTHON, "-c", script, options=["--net-new-connections", "5"])
    made, seconds = map(float, out.stdout.split())
    assert 5 <= made <= 5 * seconds + 12 and made < 200, out.stdout + out.stderr  # a second's worth, and what may come at once


def test_the_relay_ends_with_its_sandbox(net):
    before = set(relays())
    p = subprocess.Popen(net.inside(rig.SANDBOX, "run", "--net", "internet", "--", "/bin/sh", "-c", "echo up; sleep 60"),
                         stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    assert p.stdout.readline() == "up\n"
    own = set(relays()) - before
    assert len(own) == 1
    p.kill()  # not even a moment to clean up
    p.wait()
    p.stdout.close()
    assert rig.until(lambda: not [r for r in own if r in relays()])


def test_the_end_of_the_relay_is_noticed(net):
    before = set(relays())
    p = subprocess.Popen(net.inside(rig.SANDBOX, "run", "--net", "internet", "--", "/bin/sh", "-c", "echo up; exec sleep 60"),
                         stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    assert p.stdout.readline() == "up\n"
    own = set(relays()) - before
    assert len(own) == 1
    t = time.monotonic()
    subprocess.run(net.inside("kill", "-KILL", own.pop()), check=True)
    assert p.wait(10 * PATIENCE) == 128 + signal.SIGTERM and time.monotonic() - t < 8 * PATIENCE
    p.stdout.close()


def test_without_a_way_out_there_is_none(net):
    out = subprocess.run(net.inside(rig.SANDBOX, "run", "--", rig.PYTHON, "-c", TRY,
                                    json.dumps({"tcp": ["tcp", hosts.OUTSIDE, hosts.PORT]})),
                         capture_output=True, text=True, timeout=30 * PATIENCE)
    assert json.loads(out.stdout)["tcp"] == "ENETUNREACH"


def test_what_is_refused_would_have_answered(net):
    """The rules are what keeps the private hosts away, and not that the test's own do not answer"""
    tries = {a: ["tcp", a, hosts.PORT] for a in (*hosts.PRIVATE, *hosts.PRIVATE6, hosts.HERE) if a not in ("198.18.0.9",)}
    got = attempts(net, {**tries, "v6": ["tcp", hosts.OUTSIDE6, hosts.PORT]}, "--net-allow", "0.0.0.0/0", "--net-allow", "::/0")
    assert [a for a in (*tries, "v6") if got[a] not in ("world", "here")] == [], got


RATE, BYTES = 2 << 20, 4 << 20


def test_bandwidth_is_limited_both_ways(net):
    """4 MiB at 2 MiB/s: no sooner than the limit and its burst allow, and not several times slower"""
    script = f"""
import socket, sys, time
for port in (9001, 9002):
    t = time.monotonic()  # from before the connection: what is sent to us may be on its way when we come to look
    s = socket.create_connection(("{hosts.OUTSIDE}", port), {30 * PATIENCE})
    if port == 9001:
        s.sendall(b"x" * {BYTES}); s.shutdown(socket.SHUT_WR); s.recv(1)
    else:
        n = 0
        while n < {BYTES}: n += len(s.recv(65536))
    print(round(time.monotonic() - t, 2))
"""
    out = run(net, rig.PYTHON, "-c", script, options=["--net-bandwidth", "2M"])
    assert out.returncode == 0, out.stderr
    for seconds in map(float, out.stdout.split()):
        assert (BYTES - RATE // 2) / RATE < seconds < 12 * PATIENCE, out.stdout
