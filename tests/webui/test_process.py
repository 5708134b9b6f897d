"""The program under its supervisor."""
import json
import sqlite3
import threading
import time

from platform_fake import TOKEN, events, until
from test_upload import half


def test_sigterm_ends_it_in_order_with_streams_open(site):
    site.deploy()
    s = site.socket()
    s.sendall(b"GET /api/spaces/alice/hello/events HTTP/1.1\r\nHost: x\r\n\r\n")
    stream = events(s)
    assert next(stream)
    idle = site.socket()
    coming = half(site, "Content-Length: 100\r\n", b"x")
    assert until(lambda: site.uploads()[1])
    assert site.stop() == 0
    assert list(stream) == []
    assert idle.recv(10) == b"" == coming.recv(10)


def test_ends_when_its_supervisor_is_gone(site):
    site.sup.close()
    assert site.process.wait(5) == 0


def test_killed_the_next_one_goes_on_with_the_same_listener(site):
    site.deploy()
    site.kill()
    waiting = site.socket()
    waiting.sendall(b"GET /api/spaces/alice/hello HTTP/1.1\r\nHost: x\r\n\r\n")
    site.start()
    data = waiting.recv(65536)
    assert data.startswith(b"HTTP/1.1 200") and b'"alice/hello"' in data


def test_a_visitor_who_leaves_a_stream_is_noticed(site):
    site.deploy()

    def threads():
        return int(open(f"/proc/{site.process.pid}/status").read().split("Threads:")[1].split()[0])
    socks = []
    for _ in range(20):
        s = site.socket()
        s.sendall(b"GET /api/spaces/alice/hello/events HTTP/1.1\r\nHost: x\r\n\r\n")
        assert json.loads(next(events(s)))
        socks.append(s)
    assert threads() >= 20
    for s in socks:
        s.close()
    assert until(lambda: threads() < 10, 4)


def test_connections_are_kept(site):
    s = site.socket()
    for _ in range(3):
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert s.recv(65536).endswith(b"ok")
    for path in (b"/nothing", b"/admin", b"/api/admin/events"):
        s.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n\r\n")
        assert s.recv(65536).split(b" ")[1] in (b"404", b"401")


def test_public_url(make):
    site = make(**{"server.public_url": "https://spaces.example.org", "server.demo_domain": "demos.example.net"})
    answer = site.deploy()
    assert answer["url"] == "https://alice-hello.demos.example.net" and answer["page"].startswith("https://spaces.example.org/spaces/")


def test_a_locked_database_is_no_news_for_visitors(site):
    """As during a backup: nothing of its path or of SQLite's words, and not the visitor's fault."""
    site.deploy()
    db = sqlite3.connect(site.data + "/site.db", isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    status, body, _ = site.ask("POST", "/api/spaces/alice/hello/stop", token=TOKEN)
    db.execute("ROLLBACK")
    db.close()
    assert status == 503 and json.loads(body) == {"error": "the server is busy: try again in a moment"}
    assert "database is locked" in open(site.data + "/webui.log").read()


def test_a_runner_that_reads_nothing_holds_up_no_page(site):
    """Its socket is full: what was asked waits for room, and is asked then; others do not wait for it."""
    site.deploy()
    with site.runner.lock:  # its thread reads no more after one message
        seen = []
        log = {"method": "GET", "path": "/api/spaces/alice/hello/logs/run", "token": TOKEN}
        asks = [threading.Thread(target=lambda: seen.append(site.ask(**log)[0]), daemon=True) for _ in range(150)]
        for t in asks:
            t.start()
            time.sleep(0.003)  # the listener's backlog is short
        time.sleep(0.5)
        started = time.monotonic()
        for _ in range(3):
            assert site.ask("GET", "/api/admin/workers", token=TOKEN)[0] == 200
        assert time.monotonic() - started < 2
    for t in asks:
        t.join(10)
    assert seen == [200] * 150


def test_a_command_is_found_done_while_numbers_come_all_the_time(site):
    """Nobody tells that it was done, and there is never a pause on the runner's socket."""
    site.deploy()
    site.runner.silent_done = True
    stop = threading.Event()

    def numbers():
        while not stop.wait(0.1):
            site.runner.send("WORKER_STAT", space_id=1, worker_id=1)

    threading.Thread(target=numbers, daemon=True).start()
    try:
        site.runner.hold_commands.set()
        threading.Timer(0.5, site.runner.do_commands).start()
        started = time.monotonic()
        assert site.api("POST", "/api/spaces/alice/hello/stop")[0] == 200
        assert time.monotonic() - started < 5
    finally:
        stop.set()
