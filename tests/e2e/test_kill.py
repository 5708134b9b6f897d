"""SIGKILL of each program, and of `up` itself, while visitors come."""
import http.client
import os
import signal
import threading

import pytest

from vitrine import parent, until


class Visitors:
    """Ask all the time. A refused connection is counted; so is an answer that is not 200, and one that
    breaks off (which a killed gateway may cause, and nobody else)."""

    def __init__(self, v, name, n=3):
        self.v, self.name = v, name
        self.refused, self.wrong, self.broken, self.good = [], [], [], 0
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.ask) for _ in range(n)]

    def ask(self):
        while not self.stop.is_set():
            try:
                a = self.v.demo(self.name, "/version", timeout=20)
                if a.status == 200:
                    self.good += 1
                else:
                    self.wrong.append((a.status, a.body[:200]))
            except ConnectionRefusedError as e:
                self.refused.append(e)
            except (OSError, http.client.HTTPException) as e:
                self.broken.append(repr(e))
            self.stop.wait(0.005)

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for t in self.threads:
            t.join()


def kill(v, program):
    old = v.named(program)
    assert old, program
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    assert until(lambda: v.named(program) and not set(v.named(program)) & set(old), 15), program


@pytest.mark.parametrize("program", ["vitrine-gateway", "vitrine-webui", "vitrine-runner"])
def test_a_killed_program_comes_back(vitrine, program):
    v = vitrine()
    v.deploy(v.probe(), "demo/probe")
    born = v.ask("demo/probe", "/start")
    events = v.api("GET", "/api/admin/events?limit=1000").json
    with Visitors(v, "demo/probe") as visitors:
        for _ in range(3):
            good = visitors.good
            kill(v, program)
            assert until(lambda: v.ask("demo/probe", "/start") == born, 5)
            assert until(lambda g=good: visitors.good > g + 20, 10)
    assert not visitors.refused
    assert not visitors.wrong, visitors.wrong[:3]
    if program != "vitrine-gateway":
        assert not visitors.broken, visitors.broken[:3]
    assert until(lambda: v.stage("demo/probe") == "RUNNING", 10)
    after = v.api("GET", "/api/admin/events?limit=1000").json
    ids = {e["id"] for e in rows(after)}
    assert {e["id"] for e in rows(events)} <= ids
    # and it is still in charge
    v.deploy(v.probe(version="2"), "demo/probe")
    assert v.ask("demo/probe", "/version") == "2"


def rows(events):
    return events["events"] if isinstance(events, dict) else events


def test_the_site_waits_for_its_new_program(vitrine):
    """Who comes to the site while it is being restarted waits; only what was under way may break."""
    v = vitrine()
    refused, answers, stop = [], [], threading.Event()

    def ask():
        while not stop.is_set():
            try:
                answers.append(v.get("/healthz", timeout=20).status)
            except ConnectionRefusedError as e:
                refused.append(e)
            except (OSError, http.client.HTTPException) as e:
                answers.append(repr(e))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for t in threads:
        t.start()
    try:
        for _ in range(3):
            kill(v, "vitrine-webui")
            n = len(answers)
            assert until(lambda n=n: len(answers) > n + 50, 10)
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert not refused
    assert len([a for a in answers if a != 200]) <= 9, [a for a in answers if a != 200][:20]


def test_the_starter_comes_back(vitrine):
    v = vitrine()
    v.deploy(v.probe(), "demo/probe")
    born = v.ask("demo/probe", "/start")
    runner = v.named("vitrine-runner")[0]
    starters = [p for p in v.named("vitrine-sandbox") if parent(p) == runner]
    assert starters
    for pid in starters:
        os.kill(pid, signal.SIGKILL)
    assert v.ask("demo/probe", "/start") == born
    assert v.cli("restart", "demo/probe").returncode == 0
    assert until(lambda: v.ask("demo/probe", "/start") > born, 20)


def test_a_killed_demo_comes_back(vitrine):
    v = vitrine("[lifecycle]\nbackoff_first = 50ms\n")
    v.deploy(v.probe(), "demo/probe")
    born = v.ask("demo/probe", "/start")
    for pid in v.workers():
        os.kill(pid, signal.SIGKILL)
    assert until(lambda: v.ask("demo/probe", "/start") > born, 20)


def test_up_killed_and_the_next_one_adopts(vitrine):
    v = vitrine()
    v.deploy(v.probe(), "demo/probe")
    v.deploy(v.bundle("s", card="title: S\nsdk: static", **{"index.html": "s"}), "demo/static")
    born = v.ask("demo/probe", "/start")
    workers = v.workers()
    events = rows(v.api("GET", "/api/admin/events?limit=1000").json)
    v.kill_up()
    assert until(lambda: not v.named("vitrine-gateway") and not v.named("vitrine-runner")
                 and not v.named("vitrine-webui"), 5)
    assert until(lambda: v.workers() == workers, 5), "a job's processes may still be about to end"
    v.start()
    assert v.ask("demo/probe", "/start") == born
    assert until(lambda: v.workers() == workers, 5)
    assert v.demo("demo/static").body == b"s"
    assert {e["id"] for e in events} <= {e["id"] for e in rows(v.api("GET", "/api/admin/events?limit=1000").json)}
    # what was adopted is in charge as any other: it logs, sleeps by command and ends with `up`
    v.demo("demo/probe", "/print?after-adoption")
    assert until(lambda: "after-adoption" in v.cli("logs", "demo/probe").stdout, 5)
    assert v.cli("stop", "demo/probe").returncode == 0
    assert until(lambda: len(v.workers()) < len(workers), 10)
    assert v.stop() == 0
    assert until(lambda: not v.workers(), 3)


def test_what_was_submitted_is_there_after_a_restart(vitrine):
    v = vitrine()
    v.deploy(v.probe(), "demo/probe")
    v.demo("demo/probe", "/keep")
    assert v.stop() == 0
    v.start()
    assert v.ask("demo/probe", "/keep") == 2
    assert v.stage("demo/probe") == "RUNNING"
