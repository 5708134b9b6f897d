"""The program in its sandbox, with the databases that it shares with the runner."""
import os
import re
import sqlite3
import subprocess

import pytest

from platform_fake import BUILD, TOKEN, Runner, now_ms, until

with open(BUILD + "/vitrine-webui", "rb") as program:
    SANITIZED = re.search(rb"__[at]san_init", program.read()) is not None


def status(site):
    with open(f"/proc/{site.process.pid}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def stage(site, space="alice/hello"):
    return site.api("GET", f"/api/spaces/{space}/runtime")[1].get("stage")


def log(site):
    return open(site.data + "/webui.log").read()


def test_it_is_confined(site):
    state = status(site)
    assert state["Seccomp"] == "2" and state["NoNewPrivs"] == "1" and int(state["CapBnd"], 16) == 0
    top = "/" + site.data.split("/")[1]
    assert sorted(os.listdir(f"/proc/{site.process.pid}/root")) == sorted([top[1:]] + (["proc"] if SANITIZED else []))
    assert sorted(os.listdir(f"/proc/{site.process.pid}/root{site.data}")) == ["life.db", "life.db-shm", "life.db-wal", "uploads"]


@pytest.mark.parametrize("required", ["true", "false"])
def test_what_cannot_be_confined(make, required):
    """As where the machine forbids it: here, since what it is to see is not what it should be."""
    site = make()
    assert site.stop() == 0
    site.runner.end()
    for part in ("-wal", "-shm"):
        if os.path.exists(site.data + "/life.db" + part):
            os.unlink(site.data + "/life.db" + part)
    os.symlink(site.data + "/admin.token", site.data + "/life.db-shm")
    site.options["sandbox.require_services"] = required
    site.new_peer = lambda: None
    if required == "false":
        site.start()
        assert "site.unconfined" in log(site) and status(site)["Seccomp"] == "0"
        assert site.ask("GET", "/healthz")[0] == 200
        assert site.stop() == 0
    else:
        with pytest.raises((AssertionError, TypeError, OSError)):
            site.start()
        assert site.process.wait(10) == 1
        assert "life.db-shm" in log(site) and "require_services = false" in log(site)


def test_life_of_the_runner_is_seen_through_its_restarts(site):
    """Its log is read while nobody holds the index, and when somebody does again."""
    site.deploy()
    assert stage(site) == "APP_STARTING"
    site.runner.set_stage(site.space_id(), "RUNNING")
    assert stage(site) == "RUNNING"
    site.runner.end()
    assert stage(site) == "RUNNING"
    db = sqlite3.connect(site.data + "/life.db", isolation_level=None)
    db.execute("UPDATE spaces SET stage = 'SLEEPING'")
    assert until(lambda: stage(site) == "SLEEPING")
    for n in range(300):
        db.execute("INSERT INTO events (at_ms, space_id, space, worker_id, event, detail) VALUES (?, 1, 'alice/hello', 1, 'e', ?)", (now_ms(), str(n)))
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.execute("UPDATE spaces SET stage = 'RUNTIME_ERROR'")
    assert until(lambda: stage(site) == "RUNTIME_ERROR")
    db.close()
    site.runner = Runner(site.data)


def test_a_killed_one_leaves_what_was_answered(site):
    answer = site.deploy()
    site.kill()
    assert os.path.getsize(site.data + "/site.db-wal") > 0
    site.start()
    assert site.space_id() and answer["url"]


def test_an_orderly_end_leaves_the_database_whole(site):
    """site.db alone is all of it: whoever copies it has everything."""
    site.deploy()
    assert site.stop() == 0
    assert os.path.getsize(site.data + "/site.db-wal") == 0
    copy = site.data + "/copy.db"
    subprocess.run(["cp", site.data + "/site.db", copy], check=True)
    db = sqlite3.connect(copy)
    assert db.execute("SELECT owner, name FROM spaces").fetchall() == [("alice", "hello")]
    db.close()


def test_a_runner_that_comes_later(site):
    """There is no life.db when webui starts; the one that is made then is seen."""
    assert site.stop() == 0
    site.runner.end()
    for part in ("", "-wal", "-shm"):
        if os.path.exists(site.data + "/life.db" + part):
            os.unlink(site.data + "/life.db" + part)
    site.new_peer = lambda: None  # nobody is there
    site.start()
    assert site.ask("GET", "/healthz")[0] == 200
    assert site.api("GET", "/api/admin/workers")[0] == 200
    del site.new_peer
    site.runner = Runner(site.data)
    site.new_peer()
    site.deploy()
    assert stage(site) == "APP_STARTING"


@pytest.mark.parametrize("part", ["", "-wal", "-shm"])
def test_files_that_are_replaced_are_noticed(site, part):
    """It holds the file that was there, and would read of the past for ever: it ends, and `up` starts it again."""
    site.deploy()
    os.rename(site.data + "/life.db" + part, site.data + "/old")
    assert site.process.poll() is None
    os.unlink(site.data + "/old")
    assert site.process.wait(15) == 1
    assert "life.db is another file than before" in log(site)


@pytest.mark.parametrize("part", ["", "-wal", "-shm"])
def test_a_file_that_is_closed_to_it_is_opened_by_its_next_start(site, part):
    site.deploy()
    os.chmod(site.data + "/life.db" + part, 0)
    assert site.process.wait(15) == 1
    site.start()
    assert stage(site) == "APP_STARTING"


def test_the_owner_may_come_back_as_another(site):
    """An operator restores what another Vitrine kept: all is root's and closed, the log and index are missing."""
    site.deploy()
    assert site.stop() == 0
    site.runner.end()
    for name in os.listdir(site.data):
        if name.endswith(("-wal", "-shm")):
            os.unlink(f"{site.data}/{name}")
        elif name.endswith(".db"):
            with open(f"{site.data}/{name}", "rb") as old, open(f"{site.data}/new", "xb", opener=lambda p, f: os.open(p, f, 0o600)) as new:
                new.write(old.read())
            os.rename(f"{site.data}/new", f"{site.data}/{name}")
    os.chown(site.data + "/uploads", os.getuid(), os.getgid())
    os.chmod(site.data + "/uploads", 0o700)
    site.runner = Runner(site.data)
    site.start()
    assert site.space_id()
    site.deploy("alice/second")
    assert site.ask("GET", "/", token=TOKEN)[0] == 200
