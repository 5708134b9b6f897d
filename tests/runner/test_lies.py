"""A gateway, and a webui, that were taken over: they send what the protocol allows, and nothing of it is true."""
import os
import resource
import socket

import pytest

import wire
from rig import HELLO, until
from test_job import README, bundle, submit

# what the runner takes from each; the rest of the protocol is others'
GATEWAY = {"RESOLVE", "WAKE", "SLEEP_ANSWER", "GATEWAY_NOTE", "COUNTERS", "TALLY", "GATEWAY_STAT", "TOKEN_ASK"}
WEBUI = {"COMMAND_NUDGE", "JOB", "LOG_OPEN", "METRICS_ASK", "WATCH", "TOKEN_ANSWER"}
NOBODY = (0, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)


def running(rig, **config):
    r = rig(**config)
    s = r.space()
    r.deploy(s, r.version(s))
    return r, s, r.routed(s)


def fds(r):
    return len(os.listdir(f"/proc/{r.runner.pid}/fd"))


def works(r, route):
    """The runner has not noticed anything: the worker serves, and the site's commands are done."""
    assert r.get(route).startswith("demo/probe")
    assert r.runner.poll() is None
    other = r.space(name=f"other{os.urandom(4).hex()}")
    r.deploy(other, r.version(other))
    r.stage_is(other, "RUNNING")


def in_order(r, label="demo-probe"):
    """What was sent before this has been read."""
    mark = r.gateway.mark()
    r.gateway.send("RESOLVE", label=label)
    return r.gateway.wait("ROUTE", since=mark, label=label)


def test_about_who_does_not_exist(rig):
    r, s, route = running(rig)
    for n in NOBODY:
        r.gateway.send("WAKE", space_id=n)
        for space, worker in ((n, n), (s, n), (n, route.worker_id)):
            if worker != route.worker_id:
                r.gateway.send("SLEEP_ANSWER", space_id=space, worker_id=worker, released=1, idle_ms=n)
            r.gateway.send("COUNTERS", space_id=space, worker_id=worker, requests=n, bytes_in=n, bytes_out=n, refs=0xffffffff, status_5xx=n)
            r.gateway.send("GATEWAY_NOTE", space_id=space, worker_id=worker, text="a lie")
    for label in ("", "x" * 63, "../../etc", "' OR 1=1 --", "demo-probe.", "é", "%n%n"):
        assert in_order(r, label).space_id == 0
    assert in_order(r).worker_id == route.worker_id
    # what is said of a worker is written to its own Space, whichever was named
    assert {row[0] for row in r.life("SELECT space_id FROM events WHERE event = 'gateway.note'")} == {s}
    assert r.life("SELECT count(*) FROM spaces") == [(1,)]
    works(r, route)


def test_a_worker_is_not_let_go_by_who_was_not_asked(rig):
    r, s, route = running(rig)
    for _ in range(50):
        r.gateway.send("SLEEP_ANSWER", space_id=s, worker_id=route.worker_id, released=1, idle_ms=1 << 60)
    in_order(r)
    assert [w[0] for w in r.live()] == [route.worker_id]
    works(r, route)


@pytest.mark.parametrize("peer, own", [("gateway", GATEWAY), ("webui", WEBUI)])
def test_messages_of_another_role(rig, peer, own):
    """Each one of the protocol, with descriptors and with ids of what is there: none is taken."""
    r, s, route = running(rig)
    pending = r.command(s, "stop", nudge=False)
    sender = getattr(r, peer)
    null = os.open("/dev/null", os.O_RDONLY)
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    in_order(r)
    before = fds(r)
    foreign = [name for name in wire.ORDER if name not in own]
    for name in foreign:
        known = {"space_id": s, "worker_id": route.worker_id, "start_id": route.worker_id, "command_id": pending, "job_id": 1,
                 "request_id": 1, "role": wire.ENUM["ROLE_WEBUI"], "count": 1, "seconds": 60, "kind": 1, "label": "demo-probe"}
        values = {f: v for f, v in known.items() if f in [field for _, field in wire.FIELDS[name]]}
        sender.send(name, fds=[null, a.fileno()], **values)
    os.close(null)
    a.close()
    if peer == "webui":
        r.webui.send("LOG_OPEN", request_id=77, space_id=s, kind=1)
        r.webui.wait("LOG_FILES", request_id=77)
    else:
        in_order(r)
    log = open(r.folder + "/log").read()
    assert [n for n in foreign if f"{peer}.message: unexpected {n}" not in log] == []
    assert b.recv(10) == b""  # nobody kept the other end
    assert until(lambda: fds(r) <= before + 1), (before, fds(r))
    assert r.life("SELECT count(*) FROM commands_done WHERE command_id = ?", pending) == [(0,)]
    assert [w[0] for w in r.live()] == [route.worker_id] and r.stage(s) == "RUNNING"
    r.webui.send("COMMAND_NUDGE")
    assert r.webui.wait("COMMAND_DONE", 15, command_id=pending).code == 0
    assert r.stage(s) == "STOPPED"


def test_descriptors_that_nobody_asked_for(rig):
    r, s, route = running(rig)
    null = os.open("/dev/null", os.O_RDONLY)
    in_order(r)
    before = fds(r)
    for _ in range(300):
        r.gateway.send("WAKE", fds=[null] * 32, space_id=s)
        r.gateway.send("RESOLVE", fds=[null] * 32, label="nobody")
    os.close(null)
    in_order(r)
    assert until(lambda: fds(r) <= before + 1), (before, fds(r))
    works(r, route)


def test_one_that_asks_and_does_not_read(rig):
    """Every answer to the first question carries a descriptor; the second one's are many. Others still get theirs."""
    r, s, route = running(rig)
    r.gateway.close()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    r.supervisor.send("SUP_PEER", fds=[theirs.fileno()], role=wire.ENUM["ROLE_GATEWAY"])
    theirs.close()
    assert until(lambda: "gateway.gone" in r.log())
    before = fds(r)
    # more than a socket holds: an ordinary user has no more descriptors on their way than it may have open
    limit = before + 600
    resource.prlimit(r.runner.pid, resource.RLIMIT_NOFILE, (limit, limit))
    for i in range(3000):
        wire.send(ours, "RESOLVE", label="demo-probe")
        wire.send(ours, "RESOLVE", label=f"nobody-{i}")
        wire.send(ours, "WAKE", space_id=s)
    held = fds(r)
    assert held < limit - 40, (before, held, limit)
    assert submit(r, s, bundle(README__md=README, index__html="hi")).code == 0
    ours.close()
    assert until(lambda: fds(r) <= before + 2), (before, fds(r))
    r.connect_gateway()
    works(r, in_order(r))


@pytest.mark.parametrize("sha", ["", ".", "..", "../../../keys", "a" * 63, "A" * 64, "/" * 64, "0" * 63 + "/"])
def test_a_version_whose_tree_lies_elsewhere(rig, sha):
    """site.db is webui's to write: what becomes a path is looked at."""
    r = rig()
    s = r.space()
    v = r.version(s)
    r.site.execute("UPDATE versions SET sha = ? WHERE id = ?", (sha, v))
    code, message = r.do(s, "deploy", v)
    assert code == 2 and r.data not in message
    r.wake(s)
    in_order(r)
    assert not r.live() and not r.life("SELECT 1 FROM workers")


def test_limits_that_nobody_could_have_set(rig):
    """0 would be none at all: the configuration's hold."""
    r = rig(limits__memory="96M", limits__pids=33)
    s = r.space()
    for name, value in (("memory", 0), ("pids", 0), ("cpu", -1), ("open_files", 1 << 40), ("network", 7), ("log_rate", 0), ("no_limit", 1)):
        r.site.execute("INSERT INTO space_limits (space_id, name, value) VALUES (?, ?, ?)", (s, name, value))
    r.deploy(s, r.version(s, app=HELLO.replace('b" WHICH"', 'os.environ["MEMORY"].encode()')))
    assert r.get(r.routed(s)).endswith("96Mi")


def ask_job(r, n, kind, args=b"", space=1):
    r.webui.send("JOB", job_id=n, kind=kind, space_id=space, space="demo/probe", name="", args=args)


def test_jobs_with_arguments_of_their_own(rig):
    """What webui says of a job are values for it, and no options; nor do they name a place."""
    r, s, route = running(rig)
    assert submit(r, s, bundle(README__md=README, index__html="one"), job_id=1).code == 0
    kind = wire.ENUM
    away = b"../" * 12
    for n, (what, args) in enumerate([
            ("JOB_READ", b"what=refs"), ("JOB_READ", b"what=refs\0" * 65), ("JOB_READ", b"\0\0\0"), ("JOB_READ", b"what=tree\0path=" + away + b"etc\0"),
            ("JOB_READ", b"what=log\0rev=--output=/job/repo/config\0"), ("JOB_READ", b"what=diff\0rev=-O/etc/passwd\0"),
            ("JOB_SERVE", b"what=file\0path=/etc/passwd\0"), ("JOB_SERVE", b"what=lfs\0oid=" + away + b"etc/passwd\0"),
            ("JOB_SERVE", b"what=advertise\0service=git-shell\0"), ("JOB_VERSION", b"again=1\0before=" + away + b"etc\0"),
            ("JOB_REF", b"do=create\0kind=branch\0name=" + away + b"config\0"), ("JOB_LFS", b"oid=" + away + b"x\0size=1\0")], 100):
        ask_job(r, n, kind[what], args, s)
        assert r.webui.wait("JOB_RESULT", 20, job_id=n).code != 0, (what, args)
    for n, what in enumerate((0, 99, 0xffffffff), 200):
        ask_job(r, n, what, b"", s)
        assert r.webui.wait("JOB_RESULT", 20, job_id=n).code != 0
    ask_job(r, 300, kind["JOB_READ"], b"--repo=/\0--before=/\0what=refs\0", s)
    assert r.webui.wait("JOB_RESULT", 20, job_id=300).code == 0 and r.webui.wait("JOB_STREAM", job_id=300)
    works(r, route)


def test_more_jobs_than_anybody_has(rig):
    r, s, route = running(rig)
    assert submit(r, s, bundle(README__md=README, index__html="one"), job_id=1).code == 0
    for n in range(4300):
        ask_job(r, 1000 + n, wire.ENUM["JOB_READ"], b"what=nothing\0", s)
    m = r.webui.wait("JOB_RESULT", 20, code=11)
    assert "too much to do" in m.message
    works(r, route)
