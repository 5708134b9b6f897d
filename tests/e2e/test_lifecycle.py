"""Sleeping and waking, the commands, new versions, crashes."""
import base64
import os
import socket
import subprocess
import threading
import time

from vitrine import until


class WebSocket:
    def __init__(self, v, name):
        self.socket = socket.create_connection(("127.0.0.1", v.port), 20)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((f"GET /ws HTTP/1.1\r\nHost: {v.host(name)}\r\nUpgrade: websocket\r\n"
                             "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                             f"Sec-WebSocket-Key: {key}\r\n\r\n").encode())
        head = b""
        while b"\r\n\r\n" not in head:
            data = self.socket.recv(4096)
            assert data, head
            head += data
        assert head.startswith(b"HTTP/1.1 101"), head

    def echo(self, text):
        mask = b"abcd"
        self.socket.sendall(bytes([0x81, 0x80 | len(text)]) + mask +
                            bytes(x ^ mask[i & 3] for i, x in enumerate(text)))
        got = b""
        while len(got) < 2 + len(text):
            data = self.socket.recv(100)
            if not data:
                return False
            got += data
        return got == bytes([0x81, len(text)]) + text


def asleep(v, name="demo/probe"):
    return v.stage(name) == "SLEEPING" and not v.workers()


def test_sleeps_and_wakes(vitrine):
    v = vitrine("[lifecycle]\nsleep_after = 1s\n")
    v.deploy(v.probe(), "demo/probe")
    born = v.ask("demo/probe", "/start")
    kept = v.ask("demo/probe", "/keep")
    assert until(lambda: asleep(v), 20), v.status("demo/probe")
    woken = v.demo("demo/probe", "/start")
    assert woken.status == 200 and woken.json > born
    assert v.ask("demo/probe", "/keep") == kept + 1
    assert until(lambda: asleep(v), 20)


def test_many_wake_it_once(vitrine):
    v = vitrine("[lifecycle]\nsleep_after = 1s\n")
    v.deploy(v.probe(), "demo/probe")
    assert until(lambda: asleep(v), 20)
    born = []
    threads = [threading.Thread(target=lambda: born.append(v.ask("demo/probe", "/start")))
               for _ in range(30)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(born) == 30 and len(set(born)) == 1


def test_open_streams_keep_it_awake(vitrine):
    v = vitrine("[lifecycle]\nsleep_after = 1s\n")
    v.deploy(v.probe(), "demo/probe")
    w = WebSocket(v, "demo/probe")
    end = time.monotonic() + 4
    while time.monotonic() < end:
        assert v.stage("demo/probe") == "RUNNING"
        time.sleep(0.2)
    assert w.echo(b"still here")
    w.socket.close()
    assert until(lambda: asleep(v), 20)


def test_a_browser_gets_the_waiting_page_and_a_program_the_answer(vitrine):
    v = vitrine("[lifecycle]\nsleep_after = 10m\n")
    v.deploy(v.probe(more="import time; time.sleep(3)"), "demo/probe")
    v.cli("restart", "demo/probe")
    page = v.demo("demo/probe", headers={"Accept": "text/html,*/*", "Sec-Fetch-Mode": "navigate",
                                         "Sec-Fetch-Dest": "document"})
    assert page.status in (200, 202, 503) and b"hello from" not in page.body
    assert "no-store" in page.headers.get("cache-control", "")
    assert v.ask("demo/probe", "/version") == "1"


def test_the_commands(vitrine):
    v = vitrine()
    v.deploy(v.probe(), "demo/probe")
    born = v.ask("demo/probe", "/start")

    assert v.cli("restart", "demo/probe").returncode == 0
    assert until(lambda: v.ask("demo/probe", "/start") > born, 20)

    assert v.cli("pause", "demo/probe").returncode == 0
    assert until(lambda: v.stage("demo/probe") == "PAUSED" and not v.workers(), 10)
    assert v.demo("demo/probe").status >= 400
    assert v.stage("demo/probe") == "PAUSED" and not v.workers()

    assert v.cli("resume", "demo/probe").returncode == 0
    assert until(lambda: v.demo("demo/probe").status == 200, 20)

    assert v.cli("stop", "demo/probe").returncode == 0
    assert until(lambda: v.stage("demo/probe") == "STOPPED" and not v.workers(), 10)
    assert v.demo("demo/probe").status >= 400 and not v.workers()

    assert v.cli("start", "demo/probe").returncode == 0
    assert until(lambda: v.stage("demo/probe") == "RUNNING", 20)

    assert v.cli("delete", "demo/probe").returncode == 0
    assert until(lambda: v.demo("demo/probe").status == 404 and not v.workers(), 10)
    for part in ("versions", "volumes", "logs"):
        assert not os.listdir(os.path.join(v.data, part)), part
    for command in ("start", "stop", "status", "delete", "logs"):
        r = v.cli(command, "demo/probe")
        assert r.returncode == 1 and len(r.stderr.splitlines()) == 1, (command, r)


def test_logs(vitrine):
    v = vitrine()
    v.deploy(v.probe(), "demo/probe")
    v.demo("demo/probe", "/print?first-line")
    assert until(lambda: "first-line" in v.cli("logs", "demo/probe").stdout, 5)
    p = v.popen("logs", "demo/probe", "-f", stdout=subprocess.PIPE)
    try:
        while "first-line" not in p.stdout.readline():
            pass
        v.demo("demo/probe", "/print?second-line")
        while "second-line" not in p.stdout.readline():
            pass
    finally:
        p.kill()
        p.wait()
    assert v.cli("stop", "demo/probe").returncode == 0
    assert "second-line" in v.cli("logs", "demo/probe").stdout
    lines = v.cli("logs", "demo/probe", "--tail", "1").stdout.splitlines()
    assert len(lines) == 1
    assert v.cli("logs", "demo/probe", "--build").stdout.strip()


def test_a_new_version_loses_no_request(vitrine):
    v = vitrine()
    v.deploy(v.probe(version="1"), "demo/probe")
    seen, wrong, stop = [], [], threading.Event()

    def ask():
        while not stop.is_set():
            try:
                a = v.demo("demo/probe", "/slow?0.02")
                (seen if a.status == 200 else wrong).append(a.json if a.status == 200 else a.status)
            except Exception as e:  # noqa: BLE001 - each is a lost request
                wrong.append(repr(e))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for t in threads:
        t.start()
    w = WebSocket(v, "demo/probe")
    try:
        for version in ("2", "3"):
            v.deploy(v.probe(version=version), "demo/probe")
            assert v.ask("demo/probe", "/version") == version
            assert until(lambda v=version: v in seen, 10)
        assert w.echo(b"drains"), "a stream of the old version goes on"
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert not wrong, wrong[:5]
    assert seen[0] == "1"
    w.socket.close()
    assert until(lambda: len(v.workers()) == 1, 10)


def test_a_new_version_that_fails_changes_nothing(vitrine):
    v = vitrine()
    v.deploy(v.probe(version="1"), "demo/probe")
    born = v.ask("demo/probe", "/start")
    bad = v.bundle("bad", **{"app.py": "raise SystemExit('broken on purpose')\n"})
    r = v.cli("deploy", bad, "demo/probe")
    assert r.returncode == 1 and "broken on purpose" in r.stderr, r
    assert v.ask("demo/probe", "/start") == born
    assert v.stage("demo/probe") == "RUNNING"


def test_a_crash_is_repaired(vitrine):
    v = vitrine("[lifecycle]\nbackoff_first = 50ms\n")
    v.deploy(v.probe(), "demo/probe")
    born = v.ask("demo/probe", "/start")
    try:
        v.demo("demo/probe", "/crash", timeout=5)
    except Exception:  # noqa: BLE001 - its connection ends
        pass
    assert until(lambda: v.ask("demo/probe", "/start") > born, 20)


def test_crashing_again_and_again_is_given_up(vitrine):
    v = vitrine("[lifecycle]\nbackoff_first = 10ms\nbackoff_max = 20ms\ncrash_limit = 3\n")
    v.deploy(v.probe(more="import threading, os\nthreading.Timer(0.5, os._exit, [9]).start()"),
             "demo/probe", "--no-wait")
    assert until(lambda: v.stage("demo/probe") == "RUNTIME_ERROR", 30), v.status("demo/probe")
    assert "9" in v.status("demo/probe")["reason"]
    assert until(lambda: not v.workers(), 5)
