"""The platform's own trouble, and demos and jobs that make trouble: nobody else pays for it."""
import os
import re
import resource
import time

import pytest

from rig import until
from test_job import bundle, submit, README


def put(r, name, text=""):
    with open(f"{r.bin}/{name}", "w") as f:
        f.write(text)


def asleep(rig, **config):
    """A rig with a Space that was ready and sleeps."""
    r = rig(lifecycle__sleep_after="100ms", **config)
    s = r.space()
    r.deploy(s, r.version(s))
    r.routed(s)
    r.stage_is(s, "SLEEPING")
    assert until(lambda: not r.live()), r.live()
    return r, s


def with_disk(rig, **config):
    try:
        return asleep(rig, disk="8m", **config)
    except OSError as e:
        pytest.skip(str(e))


@pytest.mark.stand_in
@pytest.mark.parametrize("code", [28, 24, 95])
def test_a_start_that_the_platform_cannot_try_is_no_failure(rig, code):
    r = rig(lifecycle__start_tries=2, lifecycle__crash_limit=2)
    put(r, "fail-start", "make a pipe: no luck")
    put(r, "fail-code", str(code))
    s = r.space()
    r.deploy(s, r.version(s))
    assert until(lambda: len(r.events("worker.held-up")) >= 5), r.life("SELECT event, detail FROM events")
    assert until(lambda: r.reason(s)) and r.stage(s) == "APP_STARTING"
    os.unlink(r.bin + "/fail-start")
    r.routed(s)
    r.stage_is(s, "RUNNING")


def test_a_full_disk_is_no_failure_of_those_who_are_visited(rig):
    r, s = with_disk(rig, lifecycle__start_tries=2, lifecycle__crash_limit=2)
    r.fill()
    mark = r.gateway.mark()
    r.wake(s)
    m = r.gateway.wait("ROUTE", since=mark, message="there is no space left on the server's disk")
    assert m.wakes and not m.worker_id
    assert until(lambda: len(re.findall("worker.held-up", r.log())) >= 5), r.log()
    assert not r.live()
    r.free()
    r.routed(s, since=mark)
    r.stage_is(s, "RUNNING")


def test_descriptors_run_out(rig):
    """Whatever the one is that cannot be had: the Space starts once there are some, and nothing is lost."""
    r, s = asleep(rig, lifecycle__crash_limit=2)
    pid = r.runner.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    for more in range(0, 12):
        open_now = set(map(int, os.listdir(f"/proc/{pid}/fd")))
        free = min(set(range(1000)) - open_now)
        mark, events = r.gateway.mark(), len(r.events("worker.held-up"))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (free + more, before[1]))
        r.wake(s)
        until(lambda: len(r.events("worker.held-up")) > events + 2 or r.stage(s) == "RUNNING", 1)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        assert until(lambda: r.stage(s) in ("RUNNING", "SLEEPING")), (more, r.stage(s), r.reason(s), r.log())
        r.gateway.wait("ROUTE", since=mark)
        r.stage_is(s, "SLEEPING")
    assert r.events("worker.held-up")
    assert until(lambda: not r.live() and not os.listdir(r.data + "/run/workers")), (r.live(), os.listdir(r.data + "/run/workers"))
    if not r.real:  # (a real starter keeps sandboxes in store)
        assert until(lambda: len(r.mine()) == 2, 5), r.mine()


def test_the_soft_limit_of_descriptors_is_raised(rig):
    r = rig(start=False)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, soft), hard))
    try:
        r.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert resource.prlimit(r.runner.pid, resource.RLIMIT_NOFILE) == (hard, hard)
    assert resource.prlimit(r.starter(), resource.RLIMIT_NOFILE) == (hard, hard)


@pytest.mark.stand_in
def test_nothing_runs_where_limits_are_required_and_cannot_be_had(rig):
    r = rig(sandbox__require_cgroup="true", lifecycle__start_tries=1)
    put(r, "no-limits")
    s = r.space()
    r.deploy(s, r.version(s))
    assert until(lambda: len(r.events("worker.held-up")) >= 2), r.life("SELECT event, detail FROM events")
    # while it is tried again there is no reason for a moment
    assert until(lambda: r.stage(s) == "APP_STARTING" and "control group" in r.reason(s)), (r.stage(s), r.reason(s))
    logs = f"{r.data}/logs/{s}"
    assert not any(os.path.getsize(f"{logs}/{n}") for n in os.listdir(logs) if n != "build.log")
    os.unlink(r.bin + "/no-limits")
    r.routed(s)


def test_a_delete_that_cannot_begin(rig):
    r, s = asleep(rig)
    pid = r.runner.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (8, before[1]))
    first, second = r.command(s, "delete"), r.command(s, "delete")
    for n in (first, second):
        m = r.webui.wait("COMMAND_DONE", command_id=n)
        assert m.code == 24 and "cannot be removed" in m.message
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    assert r.do(s, "delete") == (0, "")
    assert not os.path.exists(f"{r.data}/versions/{s}") and r.stage(s) is None


def test_jobs_that_cannot_begin(rig):
    r = rig()
    pid = r.runner.pid
    spaces = [r.space(name=f"s{i}") for i in range(3)]
    for s in spaces:
        r.webui.send("LOG_OPEN", request_id=s, space_id=s, kind=2)
        r.webui.wait("LOG_FILES", request_id=s)
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    free = min(set(range(1000)) - set(map(int, os.listdir(f"/proc/{pid}/fd"))))
    for i, more in enumerate(range(1, 12)):
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (free + more, before[1]))
        m = submit(r, spaces[i % 3], bundle(README__md=README, index__html="x"), job_id=100 + i)
        assert m.code == 0 or m.message
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    m = submit(r, spaces[0], bundle(README__md=README, index__html="x"), job_id=1)
    assert (m.code, m.message) == (0, "")


def test_what_was_done_on_a_full_disk_is_not_done_again(rig):
    r, s = with_disk(rig)
    r.wake(s)
    stop = r.command(s, "stop", nudge=False)
    r.fill()
    r.webui.send("COMMAND_NUDGE")
    m = r.webui.wait("COMMAND_DONE", command_id=stop)
    assert m.code == 0, m.message
    r.free()
    start = r.command(s, "start")
    assert r.webui.wait("COMMAND_DONE", command_id=start).code == 0
    assert until(lambda: r.life("SELECT code FROM commands_done WHERE command_id = ?", stop) == [(0,)], 15)
    r.kill()
    r.start()
    r.wake(s)  # it would be STOPPED
    r.routed(s)


@pytest.mark.stand_in
def test_a_job_that_never_stops_talking(rig):
    r = rig(upload__job_timeout="20s")
    with open(r.bin + "/vitrine-job", "w") as f:
        f.write("#!/bin/sh\nexec yes 'progress a 1 1'\n")
    s = r.space()
    began = time.monotonic()
    m = submit(r, s, bundle(README__md=README, index__html="x"))
    assert m.code == 71 and "too large" in m.message and time.monotonic() - began < 10
    assert len([m for m in r.webui.messages if m.type == "JOB_PROGRESS"]) < 100


def test_notes_about_a_demo_are_few(rig):
    r = rig()
    s = r.space()
    r.deploy(s, r.version(s))
    w = r.routed(s).worker_id
    for i in range(500):
        r.gateway.send("GATEWAY_NOTE", space_id=s, worker_id=w, text=f"response head: wrong {i}")
    r.gateway.send("GATEWAY_NOTE", space_id=s, worker_id=w + 1, text="of nobody")
    mark = r.gateway.mark()
    r.gateway.send("RESOLVE", label="demo-probe")
    r.gateway.wait("ROUTE", since=mark, label="demo-probe")
    notes = r.events("gateway.note")
    assert notes == [f"response head: wrong {i}" for i in range(4)]


@pytest.mark.stand_in
def test_old_events_and_workers_are_forgotten(rig):
    import sqlite3
    r = rig()
    s = r.space()
    r.deploy(s, r.version(s))
    r.routed(s)
    r.kill()
    db = sqlite3.connect(r.data + "/life.db")
    now = int(time.time() * 1000)
    row = "INSERT INTO events (at_ms, space_id, space, event, detail) VALUES (?, ?, 'x/y', 'test', ?)"
    with db:
        db.executemany(row, [(1, None, "old") for i in range(5)])
        db.executemany(row, [(now, 99, str(i)) for i in range(1200)])
        db.executemany(row, [(now, None, "new") for i in range(1000)])
        db.executemany("INSERT INTO workers (space_id, version_id, state, boot_id, pid, port, restarts, created_ms, ended_ms)"
                       " VALUES (?, 1, 'gone', '', 1, 1, 0, 1, 1)", [(s,)] * 150)
    db.close()
    r.start()
    # one look each ten seconds, a few Spaces and rows a look
    assert until(lambda: len(r.life("SELECT 1 FROM events WHERE space_id = 99")) == 1000, 60)
    assert [d for d, in r.life("SELECT detail FROM events WHERE space_id = 99 ORDER BY id LIMIT 1")] == ["200"]
    assert not r.life("SELECT 1 FROM events WHERE detail = 'old'")
    assert len(r.life("SELECT 1 FROM events WHERE detail = 'new'")) == 1000
    assert len(r.life("SELECT 1 FROM workers WHERE space_id = ? AND ended_ms IS NOT NULL", s)) <= 101
    assert len(r.live()) == 1 and r.events("worker.adopted")


SILENT = r'''
import sys, time
LINES
sys.stdout.flush()
time.sleep(60)
'''


def test_odd_lines_do_not_stop_those_that_follow(rig):
    r = rig()
    s = r.space()
    app = SILENT.replace("LINES", r'print("odd \0 line", flush=True); time.sleep(1); print("after", flush=True); time.sleep(1); '
                                  r'print("x" * 50000, flush=True); time.sleep(1); print("at last", flush=True)')
    r.deploy(s, r.version(s, app))
    r.wake(s)
    r.gateway.wait("WAIT_LINE", text="after")
    r.gateway.wait("WAIT_LINE", text="at last")


def test_last_lines_hold_no_orders_to_a_terminal(rig):
    r = rig(lifecycle__start_tries=1)
    s = r.space()
    r.deploy(s, r.version(s, r'import sys; print("\x1b]0;owned\x07\x7f"); sys.exit(1)'))
    r.stage_is(s, "RUNTIME_ERROR")
    detail = r.events("worker.failed")[0]
    assert "?]0;owned??" in detail and "\x1b" not in detail, detail


def test_a_sleep_time_that_was_never(rig):
    r = rig(lifecycle__sleep_after="never")
    s = r.space()
    r.deploy(s, r.version(s))
    r.routed(s)
    r.stage_is(s, "RUNNING")
    r.site.execute("UPDATE spaces SET sleep_after_ms = 100 WHERE id = ?", (s,))
    assert r.do(s, "start") == (0, "")
    r.stage_is(s, "SLEEPING")


INTERIM = r'''
import os, socket
s = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True:
    c, _ = s.accept()
    c.recv(65536)
    c.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 STATUS\r\nContent-Length: 0\r\n\r\n")
    c.close()
'''


def test_an_interim_answer_is_none(rig):
    r = rig(lifecycle__start_tries=1)
    s, good = r.space(), r.space(name="good")
    r.deploy(s, r.version(s, INTERIM.replace("STATUS", "503 Not yet"), timeout_ms=1000))
    r.stage_is(s, "RUNTIME_ERROR")
    assert "503" in r.reason(s)
    r.deploy(good, r.version(good, INTERIM.replace("STATUS", "200 OK")))
    r.routed(good)


def test_a_space_may_not_ask_for_any_start_timeout(rig):
    r = rig(lifecycle__start_tries=1, lifecycle__start_timeout_max="1s")
    s = r.space()
    r.deploy(s, r.version(s, SILENT.replace("LINES", ""), timeout_ms=86400000))
    r.stage_is(s, "RUNTIME_ERROR", 6)
    assert "within 1 s" in r.reason(s)


@pytest.mark.stand_in
def test_a_database_that_cannot_be_read_is_no_failure(rig):
    r = rig(lifecycle__start_tries=2, lifecycle__crash_limit=2)
    s = r.space()
    r.site.execute("ALTER TABLE space_env RENAME TO away")
    r.deploy(s, r.version(s))
    assert until(lambda: len(r.events("worker.held-up")) >= 5), r.life("SELECT event, detail FROM events")
    assert r.stage(s) == "APP_STARTING" and "space_env" not in r.reason(s)
    r.site.execute("ALTER TABLE away RENAME TO space_env")
    r.routed(s)
    r.stage_is(s, "RUNNING")
