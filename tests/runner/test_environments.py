"""Which environments go: those that no version needs, the longest unused first, by age and for want of room."""
import contextlib
import os
import sqlite3
import time

import pytest
from rig import until

HOUR = 3600 * 1000


def change(r, sql, *args):
    with contextlib.closing(sqlite3.connect(r.data + "/life.db")) as db, db:
        db.execute(sql, args)


def stored(r):
    return sorted(n for n in os.listdir(r.data + "/envs"))


def prepare(r, *rows, about="bytes 1\nkind shared\n"):
    """Ends the runner, and leaves these environments: (letter, bytes, milliseconds since it was used)."""
    r.terminate()
    now = int(time.time() * 1000)
    for letter, size, age in rows:
        change(r, "INSERT INTO envs (key, owner, python, bytes, created_ms, used_ms) VALUES (?, 'demo', '/usr/bin/python3', ?, 1, ?)", letter * 64, size, now - age)
        os.makedirs(f"{r.data}/envs/{letter * 64}/env")
        with open(f"{r.data}/envs/{letter * 64}/env/file", "w") as f:
            f.write(letter)
        if about is not None:
            with open(f"{r.data}/envs/{letter * 64}/about", "w") as f:
                f.write(about)


def need(r, space, version, letter):
    change(r, "INSERT INTO builds (space_id, version_id, state, env, created_ms, ended_ms) VALUES (?, ?, 'done', ?, 1, 2)", space, version, letter * 64)


@pytest.mark.stand_in
def test_by_age(rig):
    r = rig(**{"build.env_keep": "2s"})
    s = r.space()
    version = r.version(s)
    r.deploy(s, version)
    r.stage_is(s, "RUNNING")
    prepare(r, ("a", 1, HOUR), ("b", 1, 30 * HOUR), ("c", 1, HOUR), ("d", 1, -HOUR))
    need(r, s, version, "c")
    need(r, s, version + 7, "a")  # of a version that the Space does not run
    r.start()
    assert until(lambda: stored(r) == ["c" * 64, "d" * 64], 20), stored(r)
    assert sorted(x[0] for x in r.life("SELECT substr(key, 1, 1) FROM envs")) == ["c", "d"]
    assert sorted(d[:1] for d in r.events("env.removed")) == ["a", "b"]


@pytest.mark.stand_in
def test_for_want_of_room(rig):
    r = rig(**{"build.env_keep": "7d", "build.env_size": "10M"})
    s = r.space()
    version = r.version(s)
    r.deploy(s, version)
    r.stage_is(s, "RUNNING")
    mib = 1 << 20
    # 16 MiB are 6 too many: the one used longest ago is in use, the next two make room, the rest stays
    prepare(r, ("a", 4 * mib, 9 * HOUR), ("b", 3 * mib, 8 * HOUR), ("c", 3 * mib, 7 * HOUR), ("d", 3 * mib, 6 * HOUR), ("e", 3 * mib, 0))
    need(r, s, version, "a")
    r.start()
    assert until(lambda: stored(r) == [x * 64 for x in "ade"], 20), stored(r)
    assert len(r.events("env.removed")) == 2


@pytest.mark.stand_in
def test_what_was_just_used_stays_where_there_is_no_room(rig):
    r = rig(**{"build.env_keep": "7d", "build.env_size": "1M"})
    prepare(r, ("a", 8 << 20, HOUR), ("b", 8 << 20, 60 * 1000))
    os.makedirs(f"{r.data}/envs/.old-{'f' * 64}")  # whose removal was cut short
    r.start()
    assert until(lambda: stored(r) == ["b" * 64], 20), stored(r)


def about(r, letter):
    with open(f"{r.data}/envs/{letter * 64}/about") as f:
        return f.read()


@pytest.mark.stand_in
def test_what_was_not_on_the_disk_when_the_machine_went_down_is_thrown_away(rig):
    r = rig()
    prepare(r, ("a", 1, 0), about="bytes 1\nboot 01234567-0123-0123-0123-0123456789ab\nkind shared\n")
    prepare(r, ("b", 1, 0), about="")
    prepare(r, ("c", 1, 0), about=None)
    prepare(r, ("d", 1, 0))
    r.start()
    assert until(lambda: stored(r) == ["d" * 64], 20), stored(r)
    assert [k[0] for k, in r.life("SELECT key FROM envs")] == ["d"] and about(r, "d") == "bytes 1\nkind shared\n"


@pytest.mark.stand_in
def test_what_was_not_on_the_disk_when_the_runner_was_killed_is_put_there(rig):
    r = rig()
    with open("/proc/sys/kernel/random/boot_id") as f:
        boot = f.read().strip()
    prepare(r, ("a", 1, 0), about=f"bytes 1\nboot {boot}\nkind shared\n")
    os.makedirs(f"{r.data}/envs/{'a' * 64}/.rest/work")
    r.start()
    assert until(lambda: "boot" not in about(r, "a"), 20), about(r, "a")
    assert about(r, "a").endswith("\nkind shared\n") and sorted(os.listdir(f"{r.data}/envs/{'a' * 64}")) == ["about", "env"]
    with open(f"{r.data}/envs/{'a' * 64}/env/file") as f:
        assert f.read() == "a"
