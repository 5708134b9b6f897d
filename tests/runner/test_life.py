"""The life of a Space: deploy, wake, readiness, sleep, crash, stop; with a stand-in for the sandbox."""
import os
import signal
import time

import pytest
from rig import HELLO, until

stand_in = pytest.mark.stand_in

CRASHES = "import sys\nprint('about to fail')\nsys.exit(3)\n"
SILENT = "import time\ntime.sleep(1000)\n"
KILLED = "import os\nos.kill(os.getpid(), 11)\n"


def test_deploy_starts_and_routes(rig):
    r = rig()
    s = r.space()
    r.deploy(s, r.version(s))
    route = r.routed(s)
    assert (route.label, route.space, route.title) == ("demo-probe", "demo/probe", "A title")
    assert r.get(route) == "demo/probe one"
    r.stage_is(s, "RUNNING")
    # visitors come before the book: CHANGED says that it is in life.db
    assert r.webui.wait("CHANGED", space_id=s, worker_id=route.worker_id)
    assert r.events("worker.ready", s) and r.events("worker.start", s)


def test_resolve_tells_where_things_stand(rig):
    r = rig()
    r.gateway.send("RESOLVE", label="nobody-there")
    m = r.gateway.wait("ROUTE", label="nobody-there")
    assert (m.stage, m.wakes, m.worker_id) == (0, 0, 0)
    s = r.space()
    r.gateway.send("RESOLVE", label="demo-probe")
    m = r.gateway.wait("ROUTE", label="demo-probe")
    assert (m.space_id, m.wakes, m.worker_id) == (s, 0, 0)


def test_sleeps_only_when_let_go_and_wakes(rig):
    r = rig(lifecycle__sleep_after="300ms")
    s = r.space()
    r.deploy(s, r.version(s))
    first = r.routed(s)
    r.refs[first.worker_id] = 1
    r.gateway.wait("SLEEP_ASK", worker_id=first.worker_id, min_idle_ms=300)
    n = r.gateway.mark()
    r.gateway.wait("SLEEP_ASK", since=n, worker_id=first.worker_id)
    assert r.stage(s) == "RUNNING"
    r.refs.clear()
    r.stage_is(s, "SLEEPING")
    assert until(lambda: not r.live())
    n = r.gateway.mark()
    for _ in range(5):
        r.wake(s)  # a wake for all who wait
    second = r.routed(s, since=n)
    assert second.worker_id > first.worker_id and r.get(second) == "demo/probe one"
    assert len(r.life("SELECT id FROM workers")) == 2


def test_of_two_gateways_both_must_let_go(rig):
    r = rig(lifecycle__sleep_after="300ms")
    first = r.gateway
    r.connect_gateway()
    second = r.gateway

    def answers(peer, refs, pause=0.0, then=None):
        def asked(m):
            time.sleep(pause)
            peer.send("SLEEP_ANSWER", space_id=m.space_id, worker_id=m.worker_id, refs=refs,
                      idle_ms=0 if refs else m.min_idle_ms, released=int(not refs))
            if then:
                then()
        peer.on["SLEEP_ASK"] = asked

    answers(first, 1), answers(second, 0, 0.2)
    s = r.space()
    r.deploy(s, r.version(s))
    route = r.routed(s)
    assert first.wait("ROUTE", space_id=s, worker_id=route.worker_id)
    for peer in (first, second):  # asked again and again: the first one uses it
        n = peer.mark()
        peer.wait("SLEEP_ASK", since=n, worker_id=route.worker_id)
        n = peer.mark()
        peer.wait("SLEEP_ASK", since=n, worker_id=route.worker_id)
    assert r.stage(s) == "RUNNING"
    # it lets go, and is told of the worker again before the other one has answered
    n = first.mark()
    answers(first, 0, then=lambda: first.send("RESOLVE", label=route.label))
    first.wait("ROUTE", since=n, space_id=s, worker_id=route.worker_id)
    first.wait("SLEEP_ASK", since=first.mark(), worker_id=route.worker_id)
    assert r.stage(s) == "RUNNING"
    # what it had has ended with it
    answers(first, 1)
    first.wait("SLEEP_ASK", since=first.mark(), worker_id=route.worker_id)
    first.close()
    r.stage_is(s, "SLEEPING")


def test_without_an_answer_nothing_sleeps(rig):
    r = rig(lifecycle__sleep_after="200ms")
    s = r.space()
    r.deploy(s, r.version(s))
    first = r.routed(s)
    r.gateway.on.clear()  # a gateway that hangs
    r.gateway.wait("SLEEP_ASK", worker_id=first.worker_id)
    r.gateway.close()
    r.connect_gateway()  # the next one is asked again, and does not know the worker
    r.stage_is(s, "SLEEPING", 5)


def test_crash_comes_back_and_is_given_up_in_the_end(rig):
    r = rig(lifecycle__crash_limit="3")
    s = r.space()
    r.deploy(s, r.version(s))
    for i in range(3):
        route = r.routed(s)
        n = r.gateway.mark()
        r.get(route, "/crash")
        if i < 2:
            back = r.gateway.wait("ROUTE", since=n, space_id=s, worker_id=0)
            assert back.wakes == 1
            again = r.routed(s, since=n)
            assert again.worker_id != route.worker_id
            r.gateway.messages = r.gateway.messages[n:]
    r.stage_is(s, "RUNTIME_ERROR")
    assert r.reason(s) == "exited with status 3"
    assert r.gateway.wait("ROUTE", since=n, space_id=s, wakes=0).message == "exited with status 3"
    assert len(r.events("worker.crashed", s)) == 3
    assert r.do(s, "start") == (0, "")
    r.stage_is(s, "RUNNING")


def test_a_start_that_fails_is_tried_again_and_keeps_its_last_lines(rig):
    r = rig(lifecycle__start_tries="2")
    s = r.space()
    r.deploy(s, r.version(s, CRASHES))
    r.stage_is(s, "RUNTIME_ERROR")
    assert r.reason(s) == "exited with status 3"
    failures = r.events("worker.failed", s)
    assert len(failures) == 2 and "about to fail" in failures[0]
    n = r.gateway.mark()
    r.wake(s)  # a visitor does not wake it
    assert r.gateway.wait("ROUTE", since=n, space_id=s).wakes == 0
    assert len(r.life("SELECT id FROM workers")) == 2


def test_reasons_have_names(rig):
    r = rig(lifecycle__start_tries="1")
    for number, words in ("11", ["killed by SIGSEGV"]), ("31", ["killed by SIGSYS", "vitrine-sandbox trace"]):
        s = r.space("signal" + number)
        r.deploy(s, r.version(s, KILLED.replace("11", number)))
        r.stage_is(s, "RUNTIME_ERROR")
        assert all(w in r.reason(s) for w in words), r.reason(s)


def test_out_of_memory_has_a_name(rig):
    r = rig(lifecycle__start_tries="1", limits__memory="64M")
    s = r.space()
    if r.real:
        app = "x = bytearray()\nwhile len(x) < 1 << 28: x += b'x' * 1000000\nimport time\ntime.sleep(100)"
    else:
        app = KILLED.replace("11", "9")
        open(r.bin + "/oom", "w").close()
    r.deploy(s, r.version(s, app))
    r.stage_is(s, "RUNTIME_ERROR")
    if "no control group" in r.log():  # an rlimit then, which Python meets as an error of its own
        assert r.reason(s) == "exited with status 1"
    else:
        assert r.reason(s) == "out of memory: 64 MiB; load less, or ask the operator for more (vitrine limits)"


def test_a_space_has_limits_of_its_own(rig):
    r = rig(lifecycle__start_tries="1")
    s, other = r.space(), r.space(name="other")
    r.site.execute("INSERT INTO space_limits VALUES (?, 'memory', ?), (?, 'open_files', 99)", (s, 96 << 20, s))
    say = "import os, resource\nos.write(1, b'has %s %d\\n' % (os.environb[b'MEMORY'], resource.getrlimit(resource.RLIMIT_NOFILE)[0]))\nos._exit(3)"
    for space, memory, files in ((s, "96Mi", 99), (other, "1Gi", 4096)):
        r.deploy(space, r.version(space, say))
        r.stage_is(space, "RUNTIME_ERROR")
        told = r.events("worker.failed", space)[0]
        assert f"has {memory} " in told
        if r.real:  # the stand-in for the sandbox sets none
            assert f"has {memory} {files}" in told


def test_a_space_has_a_way_out_of_its_own(rig):
    r = rig(lifecycle__start_tries="1")
    s, other = r.space(), r.space(name="other")
    if not r.real:
        return  # the stand-in has no network of its own
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        pytest.skip("no /dev/net/tun that we may open on this machine")
    r.site.execute("INSERT INTO space_limits VALUES (?, 'network', 1)", (s,))
    say = "import os\nos.write(1, b'devices %d' % (len(open('/proc/net/dev').readlines()) - 2))\nos._exit(3)"
    for space, devices in ((other, "devices 1"), (s, "devices 2")):
        r.deploy(space, r.version(space, say))
        r.stage_is(space, "RUNTIME_ERROR")
        assert devices in r.events("worker.failed", space)[0]


def test_a_file_that_is_too_large_is_named(rig):
    r = rig(limits__file_size="1M", lifecycle__start_tries="1")
    s = r.space()
    bomb = "open('/tmp/x', 'wb').write(b'x' * (2 << 20))" if r.real else "os.kill(os.getpid(), signal.SIGXFSZ)"
    r.deploy(s, r.version(s, f"import os, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n{bomb}\nos._exit(0)"))
    r.stage_is(s, "RUNTIME_ERROR")
    assert r.reason(s) == "a file grew beyond the limit: 1 MiB; write smaller ones, or ask the operator for more (vitrine limits)"


def test_a_start_that_never_answers(rig):
    r = rig(lifecycle__start_tries="1")
    s = r.space()
    v = r.version(s, SILENT, timeout_ms=1000)
    r.deploy(s, v)
    r.stage_is(s, "RUNTIME_ERROR")
    assert r.reason(s).startswith("did not answer HTTP on port ") and r.reason(s).endswith(" within 1 s")
    assert until(lambda: not r.live())


def test_a_start_that_answers_with_errors_only(rig):
    r = rig(lifecycle__start_tries="1")
    s = r.space()
    v = r.version(s, HELLO.replace("send_response(200)", "send_response(503)"), timeout_ms=1000)
    r.deploy(s, v)
    r.stage_is(s, "RUNTIME_ERROR")
    assert r.reason(s).startswith("answered HTTP with status 503 only, on port ") and r.reason(s).endswith(" for 1 s")


@stand_in
def test_a_sandbox_that_cannot_be_made(rig):
    r = rig(lifecycle__start_tries="2")
    open(r.bin + "/fail-start", "w").write("mounts: no such thing")
    s = r.space()
    r.deploy(s, r.version(s))
    r.stage_is(s, "RUNTIME_ERROR")
    assert r.reason(s) == "mounts: no such thing"
    os.unlink(r.bin + "/fail-start")
    assert r.do(s, "start")[0] == 0
    r.stage_is(s, "RUNNING")


def test_deploy_on_a_running_one_switches_and_drains(rig):
    r = rig()
    s = r.space()
    r.deploy(s, r.version(s))
    first = r.routed(s)
    r.refs[first.worker_id] = 1
    n = r.gateway.mark()
    r.deploy(s, r.version(s, which="two"))
    assert r.gateway.wait("ROUTE", since=n, space_id=s).worker_id == first.worker_id  # goes on meanwhile
    second = r.routed(s, since=n, stage=6)
    assert second.worker_id != first.worker_id and r.get(second) == "demo/probe two"
    r.gateway.wait("SLEEP_ASK", since=n, worker_id=first.worker_id, min_idle_ms=0)
    assert r.get(first) == "demo/probe one" and len(r.live()) == 2  # its streams go on
    r.refs.clear()
    assert until(lambda: len(r.live()) == 1)
    r.stage_is(s, "RUNNING")


def test_a_new_version_that_fails_leaves_the_old_one(rig):
    r = rig()
    s = r.space()
    old = r.version(s)
    r.deploy(s, old)
    first = r.routed(s)
    r.deploy(s, r.version(s, CRASHES))
    assert until(lambda: r.reason(s)), r.log()
    assert r.reason(s) == "the new version did not start: exited with status 3; the one before goes on"
    r.stage_is(s, "RUNNING")
    assert r.get(first) == "demo/probe one"
    assert r.life("SELECT version_id, worker_id FROM spaces") == [(old, first.worker_id)]


def test_stop_start_pause_resume_restart(rig):
    r = rig()
    s = r.space()
    assert r.do(s, "start") == (1, "nothing was deployed yet; deploy it first")
    r.deploy(s, r.version(s))
    first = r.routed(s)
    assert r.do(s, "stop") == (0, "")
    assert not r.live() and r.stage(s) == "STOPPED"
    n = r.gateway.mark()
    r.wake(s)
    assert r.gateway.wait("ROUTE", since=n, space_id=s).wakes == 0
    assert r.do(s, "resume")[0] == 1
    assert r.do(s, "start") == (0, "")
    second = r.routed(s, since=n)
    assert second.worker_id != first.worker_id
    n = r.gateway.mark()
    assert r.do(s, "restart") == (0, "")
    third = r.routed(s, since=n)
    assert third.worker_id != second.worker_id
    assert r.do(s, "pause") == (0, "")
    assert r.stage(s) == "PAUSED" and not r.live()
    n = r.gateway.mark()
    r.deploy(s, r.version(s, which="two"))
    assert r.stage(s) == "PAUSED"
    assert r.do(s, "resume") == (0, "")
    assert r.get(r.routed(s, since=n)) == "demo/probe two"


def test_delete_leaves_nothing(rig):
    r = rig()
    s = r.space()
    r.deploy(s, r.version(s))
    r.routed(s)
    assert os.path.isdir(f"{r.data}/volumes/{s}")
    n = r.gateway.mark()
    r.site.execute("UPDATE spaces SET deleted_ms = 1 WHERE id = ?", (s,))
    assert r.do(s, "delete") == (0, "")
    for d in ("versions", "volumes", "logs"):
        assert not os.path.exists(f"{r.data}/{d}/{s}")
    assert r.gateway.wait("ROUTE", since=n, label="demo-probe", stage=0).wakes == 0
    assert not r.life("SELECT 1 FROM spaces") and not r.life("SELECT 1 FROM workers")
    assert r.events("worker.ready", s)  # events stay
    assert r.do(s, "delete") == (0, "")  # of what is not there


def test_without_places_nothing_is_started(rig):
    r = rig(lifecycle__max_workers="0")
    s = r.space()
    r.deploy(s, r.version(s))
    r.stage_is(s, "STOPPED")
    assert "max_workers is 0" in r.reason(s) and r.live() == []


def test_max_workers_waits_for_its_turn(rig):
    r = rig(lifecycle__max_workers="1", lifecycle__sleep_after="1h")
    a, b = r.space(name="a"), r.space(name="b")
    r.deploy(a, r.version(a))
    first = r.routed(a)
    r.refs[first.worker_id] = 1
    r.deploy(b, r.version(b))
    r.stage_is(b, "APP_STARTING")
    assert r.reason(b) == "all 1 places for workers are taken; it starts as soon as one is free"
    assert len(r.live()) == 1
    r.refs.clear()
    r.stage_is(b, "RUNNING")
    r.stage_is(a, "SLEEPING")


def test_a_deploy_needs_no_second_place_if_the_old_one_is_idle(rig):
    r = rig(lifecycle__max_workers="1", lifecycle__sleep_after="1h")
    s = r.space()
    r.deploy(s, r.version(s))
    r.routed(s)
    n = r.gateway.mark()
    r.deploy(s, r.version(s, which="two"))
    assert r.get(r.routed(s, since=n, stage=6)) == "demo/probe two"


def test_lines_for_those_who_wait(rig):
    r = rig()
    s = r.space()
    slow = "import time\nprint('loading', flush=True)\ntime.sleep(1)\n" + HELLO
    r.deploy(s, r.version(s, slow))
    r.wake(s)
    assert r.gateway.wait("WAIT_LINE", space_id=s).text == "loading"
    r.routed(s)


def test_logs_and_stats_for_webui(rig):
    r = rig()
    s = r.space()
    r.deploy(s, r.version(s))
    route = r.routed(s)
    r.webui.send("LOG_OPEN", request_id=9, space_id=s, kind=1)
    m = r.webui.wait("LOG_FILES", request_id=9)
    assert (m.code, m.count, m.worker_id) == (0, 2, route.worker_id)
    assert until(lambda: b"starting" in os.pread(m.fds[m.current], 1000, 0))
    r.webui.send("LOG_OPEN", request_id=10, space_id=s, kind=2)
    assert r.webui.wait("LOG_FILES", request_id=10).count == 0
    r.gateway.send("COUNTERS", space_id=s, worker_id=route.worker_id, requests=7, refs=1)
    r.webui.send("WATCH", seconds=2)
    n = r.webui.wait("WORKER_STAT", worker_id=route.worker_id)
    assert n.requests == 7 and n.memory_limit_bytes == 1 << 30
    assert n.memory_bytes > 1 << 20 and n.cpu_us > 1000 if r.real else n.memory_bytes == 4096


def test_old_run_logs_are_pruned(rig):
    r = rig(limits__logs_kept="2")
    s = r.space()
    r.deploy(s, r.version(s))
    for _ in range(4):
        n = r.gateway.mark()
        assert r.do(s, "restart") == (0, "")
        r.routed(s, since=n)
    r.stage_is(s, "RUNNING")
    assert until(lambda: len(os.listdir(f"{r.data}/logs/{s}")) <= 6), os.listdir(f"{r.data}/logs/{s}")


def test_the_starter_comes_back(rig):
    r = rig()
    s = r.space()
    r.deploy(s, r.version(s))
    first = r.routed(s)
    os.kill(r.starter(), signal.SIGKILL)
    assert r.get(first) == "demo/probe one"
    assert until(lambda: "starter.exit" in r.log())
    t = r.space(name="other")
    r.deploy(t, r.version(t))
    assert r.get(r.routed(t)) == "demo/other one"


def test_reasons_show_no_path_of_the_server(rig):
    r = rig(lifecycle__start_tries="1")
    s = r.space()
    v = r.version(s)
    os.rename(f"{r.data}/run/workers", f"{r.data}/run/away")
    r.deploy(s, v)
    assert until(lambda: r.reason(s) == "the server could not do it; the server's log says why"), r.reason(s)
    assert r.data in r.events("worker.held-up", s)[0]
    os.rename(f"{r.data}/run/away", f"{r.data}/run/workers")
    r.stage_is(s, "RUNNING")
