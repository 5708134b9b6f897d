"""The runner is killed at any moment, or told to stop: what the next one finds."""
import os
import signal
import sqlite3
import time

import pytest
from rig import HELLO, until


def test_sigterm_ends_everything_in_order(rig):
    r = rig()
    spaces = [r.space(name=f"s{i}") for i in range(3)]
    for s in spaces:
        r.deploy(s, r.version(s))
    for s in spaces:
        r.routed(s)
    began = time.monotonic()
    assert r.terminate() == 0
    assert time.monotonic() - began < 3
    assert not r.live() and not os.listdir(r.data + "/run/workers")
    assert {row[0] for row in r.life("SELECT stage FROM spaces")} == {"SLEEPING"}
    assert r.life("SELECT DISTINCT state FROM workers") == [("gone",)]


def test_sigterm_kills_what_does_not_end(rig):
    r = rig(lifecycle__stop_grace="300ms")
    s = r.space()
    stubborn = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + HELLO
    r.deploy(s, r.version(s, stubborn))
    r.routed(s)
    assert r.terminate(5) == 0
    assert not r.live()


def test_a_second_sigterm_hastens(rig):
    r = rig(lifecycle__stop_grace="60s")
    s = r.space()
    stubborn = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + HELLO
    r.deploy(s, r.version(s, stubborn))
    r.routed(s)
    r.runner.send_signal(signal.SIGTERM)
    assert until(lambda: "runner.stop" in r.log())
    assert r.terminate(5) == 0


def test_killed_and_adopted(rig):
    r = rig()
    s = r.space()
    r.deploy(s, r.version(s))
    first = r.routed(s)
    r.stage_is(s, "RUNNING")
    before = r.live()
    r.kill()
    assert r.get(first) == "demo/probe one"  # while no runner is there
    r.start()
    assert r.live() == before
    r.gateway.send("RESOLVE", label="demo-probe")
    again = r.routed(s)
    assert again.worker_id == first.worker_id and r.get(again) == "demo/probe one"
    assert r.events("worker.adopted", s)
    n = r.gateway.mark()
    r.get(again, "/crash")  # its end is noticed though it is nobody's child
    assert r.routed(s, since=n, stage=6).worker_id != first.worker_id
    assert r.do(s, "stop") == (0, "")


def test_end_of_the_supervisor_leaves_workers(rig):
    r = rig()
    s = r.space()
    r.deploy(s, r.version(s))
    first = r.routed(s)
    r.stage_is(s, "RUNNING")
    r.supervisor.close()
    assert r.runner.wait(3) == 1
    assert r.get(first) == "demo/probe one"
    r.start()
    r.gateway.send("RESOLVE", label="demo-probe")
    assert r.routed(s).worker_id == first.worker_id


def test_killed_while_a_worker_starts(rig):
    r = rig()
    s = r.space()
    r.deploy(s, r.version(s, "import time\ntime.sleep(1)\n" + HELLO))
    assert until(lambda: r.live() and r.live()[0][1])
    before = r.live()[0][0]
    r.kill()
    r.start()
    assert r.routed(s).worker_id == before  # the new runner goes on asking it


def test_killed_while_switching(rig):
    r = rig()
    s = r.space()
    r.deploy(s, r.version(s))
    first = r.routed(s)
    r.deploy(s, r.version(s, "import time\ntime.sleep(1)\n" + HELLO, which="two"))
    assert until(lambda: len(r.live()) == 2)
    r.kill()
    r.start()
    r.gateway.send("RESOLVE", label="demo-probe")
    assert r.routed(s).worker_id == first.worker_id
    assert r.get(r.routed(s, stage=6)) == "demo/probe two"
    assert until(lambda: len(r.live()) == 1)


def test_a_worker_that_ended_meanwhile(rig):
    r = rig()
    s = r.space()
    r.deploy(s, r.version(s))
    first = r.routed(s)
    r.stage_is(s, "RUNNING")
    r.kill()
    r.get(first, "/crash")
    assert until(lambda: not [p for p, c in r.mine()])
    r.start()
    assert r.get(r.routed(s)) == "demo/probe one"
    assert r.life("SELECT exit_reason FROM workers WHERE id = ?", first.worker_id) == [("exited with status 3",)]


def test_after_a_reboot_everything_sleeps(rig):
    r = rig(start=False)
    r.start()
    s = r.space()
    r.deploy(s, r.version(s))
    first = r.routed(s)
    r.stage_is(s, "RUNNING")
    r.kill()
    r.kill_mine()
    assert until(lambda: not r.mine())
    db = sqlite3.connect(r.data + "/life.db")
    db.execute("UPDATE workers SET boot_id = 'another'")
    db.commit()
    db.close()
    r.start()
    r.stage_is(s, "SLEEPING")
    assert not r.live()
    r.wake(s)
    assert r.routed(s).worker_id > first.worker_id


def test_commands_that_came_meanwhile(rig):
    r = rig()
    s = r.space()
    r.deploy(s, r.version(s))
    r.routed(s)
    r.kill()
    a = r.command(s, "pause", nudge=False)
    b = r.command(s, "resume", nudge=False)
    c = r.command(s, "dance", nudge=False)
    r.start()
    for n in (a, b):
        assert r.webui.wait("COMMAND_DONE", command_id=n).code == 0
    assert r.webui.wait("COMMAND_DONE", command_id=c).code == 22
    r.stage_is(s, "RUNNING")
    done = r.life("SELECT command_id, code FROM commands_done ORDER BY command_id")
    r.kill()
    r.start()
    assert r.life("SELECT command_id, code FROM commands_done ORDER BY command_id") == done


@pytest.mark.parametrize("after_ms", [0, 2, 5, 10, 20, 40, 80, 160, 320])
def test_killed_at_any_moment_of_a_deploy(rig, after_ms):
    r = rig()
    s = r.space()
    n = r.command(s, "deploy", r.version(s))
    time.sleep(after_ms / 1000)
    r.kill()
    r.start()
    until(lambda: r.life("SELECT 1 FROM commands_done WHERE command_id = ?", n))
    r.stage_is(s, "RUNNING")
    r.gateway.send("RESOLVE", label="demo-probe")
    assert r.get(r.routed(s)) == "demo/probe one"
    assert until(lambda: len(r.live()) == 1)


def test_leftovers_are_removed(rig):
    r = rig(start=False)
    os.makedirs(f"{r.data}/versions/77/.new-5/x")
    os.makedirs(f"{r.data}/run/workers")
    open(f"{r.data}/run/workers/12345.sock", "w").close()
    open(f"{r.data}/run/workers/12345.exit", "w").close()
    r.start()
    assert until(lambda: not os.path.exists(f"{r.data}/versions/77/.new-5"))
    assert not os.listdir(f"{r.data}/run/workers")
