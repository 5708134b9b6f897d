"""Builds: environments from wheels that the tests make, no index and no network."""
import contextlib
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time

import pytest
import wheels
from vitrine import Vitrine, parent, processes, until


@pytest.fixture(scope="module")
def packages():
    folder = tempfile.mkdtemp(prefix="wheels-", dir="/var/tmp")
    os.chmod(folder, 0o755)
    wheels.wheel(folder, "beta", "2.0")
    wheels.wheel(folder, "alpha", "1.0", requires=["beta>=2"])
    wheels.wheel(folder, "alpha", "0.9", requires=["beta"])
    wheels.wheel(folder, "delta", "1.0")
    wheels.sdist(folder, "gamma", "0.5")
    wheels.sdist(folder, "needy", "1.0", "import alpha")
    wheels.sdist(folder, "slow", "1.0", "import time; time.sleep(60)")
    wheels.sdist(folder, "quick", "1.0", "import time; time.sleep(1)")
    wheels.sdist(folder, "large", "1.0", "[open(f'/run/vitrine/env/big{i}', 'wb').write(bytes(32 << 20)) for i in (1, 2)]; import time; time.sleep(30)")
    wheels.sdist(folder, "hungry", "1.0", "x = b'x' * (600 << 20)")
    wheels.sdist(folder, "broken", "1.0", "raise SystemExit('there is no compiler for this')")
    yield folder
    shutil.rmtree(folder)


def configuration(packages, more=""):
    return f"[build]\nfind_links = {packages}\nindex = none\nuv = none\n{more}\n"


@pytest.fixture(scope="module")
def up(packages):
    v = Vitrine(configuration(packages, "parallel = 1\nmemory = 512M\nsize = 48M\n"))
    v.start()
    yield v
    v.end()


def life(v, sql, *args):
    db = sqlite3.connect(f"file:{v.data}/life.db?mode=ro", uri=True)
    try:
        return db.execute(sql, args).fetchall()
    finally:
        db.close()


def envs(v):
    return sorted(os.listdir(v.data + "/envs"))


def submit(v, name, code, requirements=None, wait=True, **kw):
    folder = wheels.bundle(os.path.join(v.folder, "b-" + name.replace("/", "-")), code, requirements, **kw)
    return v.cli("deploy", folder, name, *([] if wait else ["--no-wait"]))


def runs(v, name, code, requirements=None, **kw):
    r = submit(v, name, code, requirements, **kw)
    assert r.returncode == 0, r.stderr + v.cli("logs", name, "--build").stdout + v.log[-2000:]
    return v.demo(name).body.decode()


def builds(v, name):
    return v.cli("logs", name, "--build").stdout


def test_what_is_asked_for_is_there_and_the_next_version_builds_nothing(up):
    assert runs(up, "demo/a", "import alpha, beta\nreturn alpha.VERSION + beta.VERSION", "alpha\n") == "1.02.0"
    before = envs(up)
    log = builds(up, "demo/a")
    assert re.search(r"^\d{4}-\d\d-\d\dT[\d:.]+Z resolve: ", log, re.M) and " install: Successfully installed alpha-1.0 beta-2.0" in log
    assert re.search(r"Z done: environment \w+, ", log)
    started = time.monotonic()
    assert runs(up, "demo/a", "import alpha\nreturn 'new ' + alpha.VERSION", "alpha\n") == "new 1.0"
    assert time.monotonic() - started < 5
    assert envs(up) == before and "is there already" in builds(up, "demo/a")
    # ... nor does a Space of somebody else that asks for the same wheels: what it builds has the same name
    assert runs(up, "other/a", "import alpha\nreturn alpha.VERSION", "alpha==1.0\nbeta\n") == "1.0"
    assert until(lambda: envs(up) == before)  # what was resolved goes a moment after the answer
    # another version of it is another environment
    assert runs(up, "demo/a", "import alpha\nreturn alpha.VERSION", "alpha<1\n") == "0.9"
    assert len(envs(up)) == len(before) + 1
    assert runs(up, "demo/a", "return 'nothing'") == "nothing"


def test_the_environment_is_read_only_and_holds_nothing_of_the_host(up):
    code = ("import alpha, sys\ntry:\n    open(alpha.__file__, 'a')\nexcept OSError as e:\n    return e.strerror + str('numpy' in "
            "[m.name for m in __import__('pkgutil').iter_modules()]) + sys.prefix")
    assert runs(up, "demo/ro", code, "alpha\n") == "Read-only file systemFalse/run/vitrine/env"


def test_compiled_files_come_afterwards_and_the_next_start_has_them(up):
    code = "import delta, os\nreturn str(os.path.exists(delta.__cached__)) + delta.VERSION"
    assert runs(up, "demo/pyc", code, "delta\n") == "False1.0"
    (key,), = life(up, "SELECT env FROM builds WHERE state = 'done' ORDER BY id DESC LIMIT 1")
    of_it = f"{up.data}/envs/{key}"
    before = subprocess.check_output(["find", of_it + "/env", "-printf", "%P %T@ %s\n"])
    assert until(lambda: life(up, "SELECT bytecode FROM envs WHERE key = ?", key) == [(1,)], 60), (os.listdir(of_it), up.log[-2000:])
    assert sorted(os.listdir(of_it)) == ["about", "bytecode", "env"]
    assert before == subprocess.check_output(["find", of_it + "/env", "-printf", "%P %T@ %s\n"]) and b".pyc" not in before
    assert up.demo("demo/pyc").body == b"False1.0"  # who runs keeps what it saw
    assert up.cli("restart", "demo/pyc").returncode == 0
    assert until(lambda: up.demo("demo/pyc").body == b"True1.0", 30), up.demo("demo/pyc").body


def test_what_is_built_from_source_is_its_owners_alone(up):
    assert runs(up, "demo/source", "import gamma\nreturn gamma.FROM", "gamma\n") == "source"
    assert runs(up, "other/source", "import gamma\nreturn gamma.FROM", "gamma\n") == "source"
    of_both = life(up, "SELECT b.env, e.owner FROM builds b JOIN envs e ON e.key = b.env WHERE e.owner != ''")
    assert sorted(o for _, o in of_both) == ["demo", "other"] and len({k for k, _ in of_both}) == 2


def test_what_must_be_there_before_others_are_built_is(up):
    r = submit(up, "demo/needy", "import needy\nreturn needy.FROM", "needy\n")
    assert r.returncode == 1 and "No module named 'alpha'" in r.stderr
    code = "import needy, alpha\nreturn needy.FROM + alpha.VERSION"
    assert runs(up, "demo/needy", code, "needy\n", **{"pre-requirements.txt": "alpha<1\n"}) == "source0.9"


def test_a_file_of_the_bundle_can_be_asked_for(up, packages):
    extra = tempfile.mkdtemp(dir=up.folder)
    wheels.wheel(extra, "local", "3.0")
    name = "local-3.0-py3-none-any.whl"
    folder = wheels.bundle(os.path.join(up.folder, "bound"), "import local\nreturn local.VERSION", f"./{name}\n")
    shutil.copy(os.path.join(extra, name), folder)
    r = up.cli("deploy", folder, "demo/bound")
    assert r.returncode == 0, r.stderr + builds(up, "demo/bound")
    assert up.demo("demo/bound").body == b"3.0"


@pytest.mark.parametrize("asked, words", [
    ("nosuch==3\n", "No matching distribution found for nosuch==3"),
    ("alpha @@ 3\n", "requirements.txt"),
    ("broken\n", "there is no compiler for this"),
    ("hungry\n", "out of memory|killed|MemoryError"),
    ("large\n", r"more than 48 MiB of the disk \(build.size\)"),
], ids=["unknown", "wrong", "broken", "memory", "disk"])
def test_a_build_that_fails_says_why_and_leaves_nothing(up, asked, words):
    before = envs(up)
    r = submit(up, "demo/fails", "return 1", asked)
    assert r.returncode == 1 and "BUILD_ERROR" in r.stderr and re.search(words, r.stderr + builds(up, "demo/fails")), r.stderr
    assert up.stage("demo/fails") == "BUILD_ERROR"
    assert until(lambda: envs(up) == before), envs(up)
    page = up.demo("demo/fails", headers={"Accept": "text/html", "Sec-Fetch-Mode": "navigate"})
    assert page.status >= 500 and b"build" in page.body.lower()


def test_the_old_version_serves_while_the_new_one_is_built_and_when_that_fails(up):
    assert runs(up, "demo/beside", "return 'old'") == "old"
    submit(up, "demo/beside", "return 'new'", "slow\n", wait=False)
    assert until(lambda: up.stage("demo/beside") == "RUNNING_BUILDING")
    assert up.demo("demo/beside").body == b"old"
    assert up.cli("cancel", "demo/beside").returncode == 0
    assert until(lambda: up.stage("demo/beside") == "RUNNING") and up.demo("demo/beside").body == b"old"
    assert "cancelled: " in builds(up, "demo/beside")
    r = submit(up, "demo/beside", "return 'new'", "nosuch\n")
    assert r.returncode == 1 and "the one before goes on" in r.stderr
    assert up.demo("demo/beside").body == b"old"
    assert up.cli("cancel", "demo/beside").returncode == 1  # nothing is built


def test_builds_wait_in_order_and_a_newer_version_takes_the_place_of_an_older(up):
    for name in "one", "two", "three":
        submit(up, f"queue/{name}", "return 1", "slow\n" if name == "one" else "quick\n", wait=False)
        assert until(lambda: up.stage(f"queue/{name}") == "BUILDING")
    assert until(lambda: "1 is before it" in up.status("queue/three")["reason"]), up.status("queue/three")
    # what is built is not wanted any more: the next ones go on
    r = submit(up, "queue/one", "return 'newer'")
    assert r.returncode == 0 and up.demo("queue/one").body == b"newer"
    assert until(lambda: up.stage("queue/three") == "RUNNING", 40), builds(up, "queue/three")
    ended = dict(life(up, "SELECT s.stage, b.ended_ms FROM builds b JOIN spaces s USING (space_id) WHERE b.state = 'cancelled'"))
    assert ended
    # a stopped Space is not built either
    submit(up, "queue/two", "return 1", "slow\n", wait=False)
    assert until(lambda: up.stage("queue/two") == "RUNNING_BUILDING")
    assert up.cli("stop", "queue/two").returncode == 0 and up.stage("queue/two") == "STOPPED"
    assert up.cli("delete", "queue/two").returncode == 0
    assert until(lambda: not [e for e in envs(up) if e.startswith(".new")]), envs(up)


def test_a_rebuild_takes_what_is_newer_today(vitrine):
    folder = tempfile.mkdtemp(prefix="wheels-", dir="/var/tmp")
    os.chmod(folder, 0o755)
    try:
        wheels.wheel(folder, "alpha", "1.0")
        v = vitrine(configuration(folder))
        assert runs(v, "demo/a", "import alpha\nreturn alpha.VERSION", "alpha\n") == "1.0"
        wheels.wheel(folder, "alpha", "2.0")
        assert runs(v, "demo/a", "import alpha\nreturn '.' + alpha.VERSION", "alpha\n") == ".1.0"
        assert v.cli("rebuild", "demo/a").returncode == 0
        assert until(lambda: v.demo("demo/a").body == b".2.0"), builds(v, "demo/a")
        assert len(envs(v)) == 2
        # as Hugging Face's clients ask for it; what is there already is not built again
        assert v.cli("pause", "demo/a").returncode == 0
        assert v.api("POST", "/api/spaces/demo/a/restart?factory=true").status == 200
        assert until(lambda: v.stage("demo/a") == "RUNNING" and len(envs(v)) == 2), envs(v)
    finally:
        shutil.rmtree(folder)


def left_over(v):
    return [e for e in envs(v) if e.startswith(".")]


def test_a_build_killed_at_any_moment_leaves_nothing_and_is_repeated(vitrine, packages, capsys):
    """The runner is killed while up to five builds are on their way, at moments of chance, until fifty were."""
    dice = random.Random(os.environ.get("SEED", "killed"))
    folder = tempfile.mkdtemp(prefix="wheels-", dir="/var/tmp")
    os.chmod(folder, 0o755)
    names = ["alpha", "bravo", "charlie", "delta", "echo"]
    for n in names:
        wheels.wheel(folder, n)
    try:
        v = vitrine(configuration(folder, "parallel = 5"))
        under_way = "SELECT state FROM builds WHERE ended_ms IS NULL"
        killed, moments = 0, []
        while killed < 50 and len(moments) < 60:
            if not life(v, under_way):  # the first ones, or all were done: these are of other versions
                for n in names:
                    code, wanted = f"import {n}\nreturn {n}.VERSION", f"{n}\n# {dice.random()}\n"
                    assert until(lambda: submit(v, f"kill/{n}", code, wanted, wait=False).returncode == 0, 30)
            until(lambda: life(v, under_way), 10, 0.01)
            time.sleep(dice.uniform(0, 0.6))
            moments.append(sorted(life(v, under_way)))
            killed += len(moments[-1])
            # the one that builds: just after a kill there may be what the last one had forked
            runner = until(lambda: [p for p in v.named("vitrine-runner") if parent(p) == v.up.pid], 20)[0]
            os.kill(runner, signal.SIGKILL)
            assert until(lambda: runner not in v.named("vitrine-runner"), 20, 0.01)
        assert killed >= 50, moments
        for n in names:
            assert until(lambda: v.stage(f"kill/{n}") == "RUNNING", 60), (n, v.status(f"kill/{n}"), builds(v, f"kill/{n}"), v.log[-3000:])
            assert v.demo(f"kill/{n}").body == b"1.0"
        assert until(lambda: not left_over(v)), envs(v)
        assert not life(v, "SELECT * FROM builds WHERE ended_ms IS NULL")
        # every environment that has its name is whole
        for key in envs(v):
            assert os.path.isdir(f"{v.data}/envs/{key}/env/bin") and os.path.exists(f"{v.data}/envs/{key}/about")
            assert not os.path.exists(f"{v.data}/envs/{key}/env/.work")
        with capsys.disabled():
            print(f"\n{killed} builds killed at {len(moments)} moments: nothing left, {len(names)} of {len(names)} built after that")
    finally:
        shutil.rmtree(folder)


def installers(v):
    """The processes of builds, but for their PID 1: those that see what a build makes."""
    found = []
    for (pid, _), name in processes().items():
        with contextlib.suppress(OSError), open(f"/proc/{pid}/mountinfo") as f:
            if name == "vitrine-job" and f"{v.data}/envs/.new-" in f.read():
                found.append(pid)
    return found


def test_a_build_whose_own_processes_are_killed_fails_with_a_reason_and_can_be_repeated(up):
    submit(up, "demo/murdered", "import gamma\nreturn gamma.VERSION", "gamma\nquick\n", wait=False)
    assert until(lambda: up.stage("demo/murdered") == "BUILDING")
    for pid in until(lambda: installers(up)):
        os.kill(pid, signal.SIGKILL)
    assert until(lambda: up.stage("demo/murdered") == "BUILD_ERROR"), up.status("demo/murdered")
    assert "killed by SIGKILL" in up.status("demo/murdered")["reason"]
    assert until(lambda: not left_over(up))
    assert up.cli("start", "demo/murdered").returncode == 0
    assert until(lambda: up.stage("demo/murdered") == "RUNNING", 40), builds(up, "demo/murdered")


def test_an_environment_that_nobody_needs_goes_and_comes_back(vitrine, packages):
    v = vitrine(configuration(packages, "env_keep = 1m\n"))
    assert runs(v, "demo/old", "import alpha\nreturn alpha.VERSION", "alpha<1\n") == "0.9"
    key = life(v, "SELECT key FROM envs")[0][0]
    os.rename(f"{v.data}/envs/{key}", f"{v.folder}/away")  # somebody made room by hand
    assert v.cli("stop", "demo/old").returncode == 0 and v.cli("start", "demo/old").returncode == 0
    assert until(lambda: v.stage("demo/old") == "RUNNING", 30), builds(v, "demo/old")
    assert envs(v) == [key] and v.demo("demo/old").body == b"0.9"
