"""Secrets and variables, from the command line into a demo, and what nobody gets to see."""
import glob
import os
import sqlite3

import pytest

from vitrine import in_other_pid_namespace, until

SECRET = "hf_mockingbirdABC0123456789"


def run_log(v, name="demo/probe"):
    return v.cli("logs", name).stdout


def environments(v):
    """Of the platform's own programs"""
    for pid in v.new(lambda _, n: n.startswith("vitrine")):
        for what in ("environ", "cmdline"):
            try:
                with open(f"/proc/{pid}/{what}", "rb") as f:
                    yield f.read()
            except OSError:
                pass


def set_secret(v, key, value, *args):
    r = v.cli("secret", "demo/probe", "set", key, *args, input=value)
    assert r.returncode == 0, r.stderr
    return r


def restarted(v, born):
    def again():
        now = v.ask("demo/probe", "/start")
        return now > born and now
    return until(again, 30)


def test_into_the_demo_and_nowhere_else(vitrine):
    v = vitrine()
    v.deploy(v.probe(), "demo/probe")
    born = v.ask("demo/probe", "/start")
    set_secret(v, "TOKEN", SECRET + "\n", "--description", "of the hub")
    born = restarted(v, born)
    assert born and v.ask("demo/probe", "/env")["TOKEN"] == SECRET
    r = v.cli("var", "demo/probe", "set", "MODEL=tiny=1")
    assert r.returncode == 0, r.stderr
    born = restarted(v, born)
    env = v.ask("demo/probe", "/env")
    assert (env["TOKEN"], env["MODEL"]) == (SECRET, "tiny=1")
    assert v.cli("var", "demo/probe", "list").stdout == "MODEL=tiny=1\n"
    listed = v.cli("secret", "demo/probe", "list").stdout
    assert "TOKEN" in listed and "of the hub" in listed and SECRET not in listed

    v.ask("demo/probe", f"/print?a%20{SECRET}%20in%20it".replace("%20", "+"))
    for half in (SECRET[:9], SECRET[9:] + "+end"):
        v.ask("demo/probe", "/print?" + half)
    assert until(lambda: "end" in run_log(v)), run_log(v)
    assert "a+[secret]+in+it" in run_log(v) and SECRET not in run_log(v)

    assert SECRET not in v.log and not any(SECRET.encode() in e for e in environments(v))
    for path in glob.glob(v.data + "/*.db*") + glob.glob(v.data + "/logs/*/*") + glob.glob(v.data + "/run/**", recursive=True):
        if os.path.isfile(path):
            with open(path, "rb") as f:
                assert SECRET.encode() not in f.read(), path

    assert v.cli("secret", "demo/probe", "delete", "TOKEN").returncode == 0
    assert restarted(v, born) and "TOKEN" not in v.ask("demo/probe", "/env")


def test_one_that_belongs_elsewhere_is_not_opened(vitrine):
    """Who can write site.db can copy what is sealed, and gains nothing by it."""
    v = vitrine("[lifecycle]\nstart_tries = 1\n")
    for name in ("demo/probe", "demo/thief"):
        v.deploy(v.probe(), name)
    set_secret(v, "TOKEN", SECRET)
    db = sqlite3.connect(v.data + "/site.db", timeout=10)
    with db:
        db.execute("INSERT INTO space_env SELECT s.id, e.name, e.secret, e.value, e.bytes, '', 1 FROM space_env e, spaces s WHERE s.name = 'thief'")
    db.close()
    v.cli("restart", "demo/thief")
    assert until(lambda: "TOKEN cannot be opened" in v.status("demo/thief").get("reason", "")), v.status("demo/thief")


def test_set_while_the_next_version_starts(vitrine):
    """The version that comes has it, too."""
    v = vitrine()
    v.deploy(v.probe(), "demo/probe")
    v.deploy(v.probe(version="2", more="import time; time.sleep(3)"), "demo/probe", "--no-wait")
    assert until(lambda: v.stage("demo/probe") == "RUNNING_APP_STARTING")
    set_secret(v, "TOKEN", SECRET)
    assert until(lambda: v.ask("demo/probe", "/version") == "2", 30)
    assert v.ask("demo/probe", "/env").get("TOKEN") == SECRET


def test_wrong_use(vitrine):
    v = vitrine()
    v.deploy(v.probe(), "demo/probe")
    for args, status, says in ((("secret", "demo/probe", "set", "A=1"), 2, "standard input"), (("secret", "demo/probe", "set", "PORT"), 1, "PORT is set by the server"),
                               (("secret", "demo/probe", "give", "A"), 2, "none of set, delete, list"), (("var", "demo/probe", "set", "A"), 2, "not KEY=VALUE"),
                               (("secret", "demo/probe", "set", "A"), 1, "no value"), (("secret", "demo/none", "set", "A"), 1, "no value"),
                               (("var", "demo/probe", "delete", "A"), 1, "no variable A")):
        r = v.cli(*args, input="")
        assert r.returncode == status and says in r.stderr, r
    assert "not blanked" in set_secret(v, "A", "abc").stderr


def memory_has(pid, text):
    """Whether what a process can write to holds the text: 0 where it may not be read"""
    n = 0
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
        for line in maps:
            place, rights = line.split()[:2]
            if not rights.startswith("rw") or "[v" in line:
                continue
            start, end = (int(x, 16) for x in place.split("-"))
            if end - start > 1 << 30:  # a sanitizer's own
                continue
            try:
                mem.seek(start)
                n += mem.read(end - start).count(text)
            except OSError:
                pass
    return n


@pytest.mark.skipif(os.getuid() != 0, reason="reads other processes' memory")
def test_runner_and_starter_forget_it(vitrine):
    v = vitrine()
    v.deploy(v.probe(), "demo/probe")
    born = v.ask("demo/probe", "/start")
    set_secret(v, "TOKEN", SECRET)
    assert restarted(v, born) and v.ask("demo/probe", "/env")["TOKEN"] == SECRET
    sandboxes = v.named("vitrine-sandbox")
    starters = [p for p in sandboxes if not in_other_pid_namespace(p)]
    holders = [p for p in sandboxes if memory_has(p, SECRET.encode())]
    assert starters and len(holders) == 1, "the worker's PID 1 has it, to blank it, and nobody else"
    for pid in v.named("vitrine-runner") + starters:
        with open(f"/proc/{pid}/comm") as f:
            assert memory_has(pid, SECRET.encode()) == 0, f.read()
