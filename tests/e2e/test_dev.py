"""`vitrine dev` of a folder that asks for packages: built as at a deploy, from wheels that the test makes, no index and no
network."""
import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
import wheels
from test_cli import Dev, edit
from vitrine import PATIENCE, PROGRAM, cgroups, processes, until


@pytest.fixture(scope="module")
def packages():
    folder = tempfile.mkdtemp(prefix="wheels-", dir="/var/tmp")
    os.chmod(folder, 0o755)
    wheels.wheel(folder, "alpha", "1.0")
    wheels.wheel(folder, "alpha", "0.9")
    wheels.sdist(folder, "needy", "1.0", "import alpha")
    wheels.sdist(folder, "slow", "1.0", "import time; time.sleep(60)")
    yield folder
    shutil.rmtree(folder)


class Place:
    """A folder for a test: its Space, and where what is built is kept."""

    def __init__(self, packages):
        self.top = tempfile.mkdtemp(prefix="dev-", dir="/var/tmp")
        os.chmod(self.top, 0o755)
        self.config = os.path.join(self.top, "vitrine.ini")
        with open(self.config, "w") as f:
            f.write(f"[build]\nfind_links = {packages}\nindex = none\nuv = none\n")
        self.data, self.devs, self.folders = os.path.join(self.top, "data"), [], 0

    def bundle(self, *args, **kw):
        self.folders += 1
        return wheels.bundle(os.path.join(self.top, f"space{self.folders}"), *args, **kw)

    def dev(self, folder):
        at = Path(self.top) / f"dev{len(self.devs)}"
        at.mkdir()
        self.devs.append(Dev(at, folder, "--data", self.data, "--config", self.config))
        return self.devs[-1]

    def envs(self):
        return sorted(os.listdir(self.data + "/envs")) if os.path.exists(self.data + "/envs") else []

    def is_left(self):
        """What must not be there once each `dev` has ended."""
        ours = [n for (p, _), n in processes().items() if is_below(p, self.top)]
        mounts = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/mountinfo") as f:
                if self.data + "/" in f.read():
                    mounts.append(pid)
        return ours + mounts + cgroups(self.data) + [e for e in self.envs() if e.startswith(".")]

    def end(self):
        try:
            for d in self.devs:
                if d.p.poll() is None:
                    d.end()
            assert until(lambda: not self.is_left(), 5 * PATIENCE), self.is_left()
        finally:
            for d in self.devs:
                d.p.kill()
            shutil.rmtree(self.top, ignore_errors=True)
            if os.path.exists(self.top):  # an ordinary user's: environments belong to subordinate ids
                subprocess.run(["unshare", "--map-root-user", "--map-auto", "rm", "-rf", self.top])


def is_below(pid, folder):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/environ") as f:
        return f"TMPDIR={folder}/" in f.read()
    return False


@pytest.fixture
def place(packages):
    p = Place(packages)
    yield p
    p.end()


def shows(d, page):
    assert until(lambda: d.get() == (200, page), 30 * PATIENCE), (d.get(), d.text())


def save(folder, name, text):
    path = os.path.join(folder, name)
    with open(path + "~", "w") as f:
        f.write(text)
    os.rename(path + "~", path)


def test_what_is_asked_for_is_there_and_the_second_start_builds_nothing(place):
    folder = place.bundle("import alpha, sys\nreturn alpha.VERSION + sys.prefix", "alpha\n")
    d = place.dev(folder)
    shows(d, "1.0/run/vitrine/env")
    log = d.text()
    assert "build: resolve: for /" in log and "build: install: Successfully installed alpha-1.0" in log, log
    assert re.search(r"build: done: environment \w+, ", log).start() < log.index("ready: "), log
    edit_app(folder, "sys.prefix", "'again'")  # a change that asks for nothing else builds nothing
    shows(d, "1.0again")
    assert d.text().count("build: ") == log.count("build: "), d.text()
    d.end()
    before = place.envs()
    assert len(before) == 1
    d = place.dev(folder)
    shows(d, "1.0again")
    assert "build: install" not in d.text() and place.envs() == before, d.text()
    other = place.dev(place.bundle("import alpha\nreturn 'other' + alpha.VERSION", "alpha==1.0\n"))  # beside it
    shows(other, "other1.0")
    assert until(lambda: place.envs() == before), other.text()


def edit_app(folder, old, new):
    edit(Path(folder) / "app.py", old, new)


def test_a_save_of_what_is_asked_for_builds_again(place):
    folder = place.bundle("import alpha\nreturn alpha.VERSION", "-r more.txt\n", **{"more.txt": "alpha\n"})
    d = place.dev(folder)
    shows(d, "1.0")
    save(folder, "more.txt", "alpha<1\n")
    shows(d, "0.9")
    assert "more.txt changed" in d.text() and "Successfully installed alpha-0.9" in d.text()
    # what must be there before others are built is
    save(folder, "pre-requirements.txt", "alpha\n")
    save(folder, "requirements.txt", "needy\n")
    edit_app(folder, "import alpha\n    return alpha.VERSION", "import alpha, needy\n    return needy.FROM + alpha.VERSION")
    shows(d, "source1.0")


def test_a_failed_build_says_why_and_what_ran_goes_on(place):
    folder = place.bundle("import alpha\nreturn alpha.VERSION", "nosuchpackage\n")
    d = place.dev(folder)
    d.wait_for("dev: Could not find a version that satisfies the requirement nosuchpackage")
    d.wait_for("save a file to try again")
    save(folder, "requirements.txt", "alpha\n")
    shows(d, "1.0")
    save(folder, "requirements.txt", "nosuchpackage\n")
    d.wait_for("the version before goes on")
    assert d.get() == (200, "1.0")


def test_what_is_wrong_by_now_is_not_built_to_its_end(place):
    folder = place.bundle("import alpha\nreturn alpha.VERSION", "slow\n")
    d = place.dev(folder)
    d.wait_for("Getting requirements to build wheel")
    started = time.monotonic()
    save(folder, "requirements.txt", "alpha\n")
    shows(d, "1.0")
    assert time.monotonic() - started < 30 * PATIENCE and "build: cancelled: " in d.text(), d.text()


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGKILL])
def test_ended_in_the_midst_of_a_build_it_leaves_nothing(place, sig):
    folder = place.bundle("return 1", "slow\n")
    d = place.dev(folder)
    d.wait_for("Getting requirements to build wheel")
    assert [e for e in place.envs() if e.startswith(".new-")]
    d.p.send_signal(sig)
    assert d.p.wait(20) == (0 if sig == signal.SIGINT else -9)
    assert until(lambda: not place.is_left(), 20 * PATIENCE), place.is_left()
    # and nobody goes on with it later
    other = place.dev(place.bundle("import alpha\nreturn alpha.VERSION", "alpha\n"))
    shows(other, "1.0")
    assert [e for e in place.envs() if e.startswith(".")] == []


def test_two_at_the_same_time_build_one_after_the_other(place):
    first = place.dev(place.bundle("return 1", "slow\n"))
    first.wait_for("Getting requirements to build wheel")
    second = place.dev(place.bundle("import alpha\nreturn alpha.VERSION", "alpha\n"))
    second.wait_for("another `vitrine dev` builds just now")
    first.end()
    shows(second, "1.0")


def test_a_build_command_is_run_at_each_save(place):
    folder = place.bundle("", sdk="static", card="app_build_command: mkdir dist && cat page.txt >dist/index.html\napp_file: dist/index.html\n",
                          **{"page.txt": "one", "other.css": "x"})
    d = place.dev(folder)
    shows(d, "one")
    save(folder, "page.txt", "two")
    shows(d, "two")
    save(folder, "page.txt", "")  # and one that fails
    save(folder, "README.md", "---\ntitle: T\nsdk: static\napp_build_command: nosuchtool\napp_file: dist/index.html\n---\n")
    d.wait_for("nosuchtool: not found")
    d.wait_for("the version before goes on")
    assert d.get()[0] == 200


def test_without_a_build(place):
    folder = place.bundle("import importlib.util\nreturn importlib.util.find_spec('alpha')", "alpha\n")
    os.makedirs(folder + "/.venv/lib/python3.11/site-packages")
    with open(folder + "/.venv/pyvenv.cfg", "w"):
        pass
    at = Path(place.top) / "plain"
    at.mkdir()
    d = Dev(at, folder, "--no-build")
    place.devs.append(d)
    shows(d, "None")
    assert not os.path.exists(place.data)
    r = subprocess.run([PROGRAM, "dev", os.path.join(place.top, "none")], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=30)
    assert r.returncode == 1 and "cannot read the folder" in r.stderr
    p = subprocess.Popen([PROGRAM, "dev", folder, "--port", "0"], env={"PATH": os.environ["PATH"], "TMPDIR": str(at / "tmp")}, stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert p.stdout.readline().startswith("ready: ")  # without a home, too
    p.send_signal(signal.SIGINT)
    assert p.wait(20) == 0 and "nothing is built: HOME is not set: say with --data DIR" in p.stderr.read()
