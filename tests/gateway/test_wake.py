"""Those who wait: held requests, the waiting page and its events, sleep, and a runner that comes and goes."""
import json
import socket
import threading
import time

import pytest

from harness import hello, host, until

H = "Host: " + host("demo-a") + "\r\n"
BROWSER = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\nSec-Fetch-Mode: navigate\r\n"


def ask(g, label="demo-a", headers="", path="/", method="GET", body="", c=None):
    """On a new connection, or on this one, which stays with its loop"""
    c = c or g.connect()
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    c.send(f"{method} {path} HTTP/1.1\r\nHost: {host(label)}\r\n{headers}{length}\r\n{body}")
    return c


def test_held_until_it_runs(gateway):
    g = gateway()
    g.space("demo-a")
    conns = [ask(g, path=f"/{i}") for i in range(10)]
    post = ask(g, path="/p", method="POST", body="x" * 10)
    for _ in range(g.threads):  # each loop has some of them
        assert g.runner.wait("WAKE")["space_id"] == 1
    g.runner.route("demo-a", stage="APP_STARTING")
    g.runner.none("WAKE", 0.3)
    g.runner.route("demo-a", stage="RUNNING", worker=g.worker(7, hello))
    for i, c in enumerate(conns):
        assert c.response().body == b"/%d" % i
    assert post.response().body == b"/p"
    assert g.runner.count("WAKE") == g.runner.count("RESOLVE") == g.threads


def test_held_for_so_long(gateway):
    g = gateway(gateway__hold="400ms")
    g.space("demo-a", stage="APP_STARTING")
    t = time.monotonic()
    r = ask(g).response()
    assert 0.35 < time.monotonic() - t < 2
    assert r.status == 503 and int(r.get("retry-after")) > 0
    assert json.loads(r.body)["stage"] == "APP_STARTING" and json.loads(r.body)["error"]
    g.runner.route("demo-a", stage="APP_STARTING", message="all 2 GPUs are in use")  # who waited in vain is told what for
    r = ask(g).response()
    assert r.status == 503 and b"all 2 GPUs are in use" in r.body


def test_woken_again_while_somebody_waits(gateway):
    g = gateway()
    g.space("demo-a")
    c = ask(g)
    g.runner.wait("WAKE")
    g.runner.route("demo-a", stage="APP_STARTING")
    g.runner.route("demo-a", stage="SLEEPING")  # it went back to sleep in that moment
    g.runner.wait("WAKE")
    g.runner.route("demo-a", stage="RUNNING", worker=g.worker(7, hello))
    assert c.response().body == b"/"


@pytest.mark.parametrize("headers", [BROWSER, "Accept: text/html, */*\r\n"])
def test_waiting_page_for_navigations(gateway, headers):
    g = gateway(gateway__wait_page_after="200ms")
    g.space("demo-a", title="<b>A & \"B\"</b>", message="<script>x</script>", stage="BUILDING")
    t = time.monotonic()
    r = ask(g, headers=headers).response()
    assert 0.15 < time.monotonic() - t < 1.5
    body = r.body.decode()
    assert r.status == 503 and r.get("retry-after") and r.get("content-type") == "text/html; charset=utf-8"
    assert "&lt;b&gt;A &amp; &quot;B&quot;&lt;/b&gt;" in body and "<script>x" not in body and "🔭" in body
    assert 'data-stage="BUILDING"' in body and "/.vitrine/wait" in body and '<meta http-equiv="refresh"' in body
    assert "http://localhost/" in body and "{{" not in body


def test_no_waiting_page_for_a_fast_start(gateway):
    g = gateway()
    g.space("demo-a")
    c = ask(g, headers=BROWSER)
    g.runner.wait("WAKE")
    g.runner.route("demo-a", stage="RUNNING", worker=g.worker(7, hello))
    assert c.response().body == b"/"


@pytest.mark.parametrize("headers,method", [("Accept: */*\r\n", "GET"), ("Accept: text/html\r\nSec-Fetch-Mode: cors\r\n", "GET"),
                                            (BROWSER, "POST"), ("Accept: application/json, text/html\r\n", "GET"), ("", "GET")])
def test_others_are_held(gateway, headers, method):
    g = gateway(gateway__wait_page_after="50ms")
    g.space("demo-a")
    c = ask(g, headers=headers, method=method, body="x" if method == "POST" else "")
    c.s.settimeout(0.4)
    with pytest.raises(socket.timeout):
        c.s.recv(1)
    c.s.settimeout(5)
    g.runner.route("demo-a", stage="RUNNING", worker=g.worker(7, hello))
    assert c.response().body == b"/"


def events(c):
    """(event, data) of a stream"""
    while True:
        block = c.until(b"\n\n").decode()
        f = dict(line.split(": ", 1) for line in block.strip().split("\n") if not line.startswith(":"))
        if f:
            yield f["event"], json.loads(f["data"])


def test_events_of_the_waiting_page(gateway):
    g = gateway(gateway__wait_page_after="50ms")
    g.space("demo-a")
    c = ask(g, headers=BROWSER)
    c.response()
    g.runner.send("WAIT_LINE", space_id=1, text="line one")
    ask(g, path="/.vitrine/wait", c=c)
    line, fields = c.head()
    assert line == "HTTP/1.1 200 OK" and ("Content-Type", "text/event-stream") in fields
    e = events(c)
    assert next(e) == ("stage", {"stage": "SLEEPING", "message": "", "ready": False, "waiting": True})
    assert next(e) == ("line", "line one")
    g.runner.route("demo-a", stage="APP_STARTING", message="pip <install>")
    assert next(e)[1] == {"stage": "APP_STARTING", "message": "pip <install>", "ready": False, "waiting": True}
    g.runner.send("WAIT_LINE", space_id=1, text="two\nlines \"quoted\"")
    assert next(e) == ("line", "two\nlines \"quoted\"")
    g.runner.send("WAIT_LINE", space_id=99, text="another Space's")
    g.runner.route("demo-a", stage="RUNNING", worker=g.worker(7, hello))
    assert next(e)[1]["ready"] is True
    c.close()
    assert g.get("demo-a", headers=BROWSER).body == b"/"


def test_events_wake_a_space(gateway):
    g = gateway()
    g.space("demo-a")
    c = ask(g, path="/.vitrine/wait")
    c.head()
    g.runner.wait("WAKE")


def test_a_failed_start_ends_the_waiting(gateway):
    g = gateway()
    g.space("demo-a")
    held, page = ask(g), ask(g, headers=BROWSER)
    g.runner.wait("WAKE")
    g.runner.route("demo-a", stage="RUNTIME_ERROR", wakes=0, message="exited 3: <no module>")
    r = held.response()
    assert r.status == 503 and json.loads(r.body) == {"error": "exited 3: <no module>", "stage": "RUNTIME_ERROR"}
    r = page.response()
    assert r.status == 503 and b"exited 3: &lt;no module&gt;" in r.body and not r.get("retry-after")


@pytest.mark.parametrize("stage", ["RUNTIME_ERROR", "BUILD_ERROR", "CONFIG_ERROR", "NO_APP_FILE", "PAUSED", "STOPPED", "DELETING"])
def test_pages_of_what_does_not_run(gateway, stage):
    g = gateway()
    g.space("demo-a", stage=stage, wakes=0, message="because <of> this")
    r = g.get("demo-a", headers=BROWSER)
    assert r.status == 503 and b"because &lt;of&gt; this" in r.body and stage.encode() in r.body
    r = g.get("demo-a")
    assert r.status == 503 and json.loads(r.body) == {"error": "because <of> this", "stage": stage}
    assert g.runner.count("WAKE") == 0


def test_strangers_do_not_wake(gateway):
    g = gateway()
    g.space("demo-a")
    r = g.get("demo-a", "/robots.txt")
    assert r.status == 200 and b"Disallow: /" in r.body
    r = g.get("demo-a", headers=BROWSER + "User-Agent: Mozilla/5.0 (compatible; Googlebot/2.1)\r\n")
    assert r.status == 200 and b"Demo-A" in r.body
    assert g.runner.count("WAKE") == 0
    g.runner.route("demo-a", stage="RUNNING", worker=g.worker(7, hello))
    assert g.get("demo-a", "/robots.txt").body == b"/robots.txt"


def test_too_many_wait(gateway):
    g = gateway(gateway__waiting_per_space="3", gateway__waiting_total="5")
    for label in ("demo-a", "demo-b"):
        g.space(label)
    held = [ask(g) for _ in range(3)]
    g.runner.wait("WAKE")
    r = ask(g).response()
    assert r.status == 503 and r.get("retry-after")
    held += [ask(g, "demo-b") for _ in range(2)]
    g.runner.wait("WAKE")
    assert ask(g, "demo-b").response().status == 503
    g.runner.route("demo-a", stage="RUNNING", worker=g.worker(7, hello))
    g.runner.route("demo-b", stage="RUNNING", worker=g.worker(8, hello))
    assert [c.response().status for c in held] == [200] * 5


def test_a_held_visitor_who_leaves_is_forgotten(gateway):
    g = gateway(gateway__waiting_per_space="1")
    g.space("demo-a")
    c = ask(g)
    g.runner.wait("WAKE")
    c.reset()
    end = time.monotonic() + 5
    while time.monotonic() < end:
        c = ask(g)
        c.s.settimeout(0.1)
        try:
            c.s.recv(1)
        except socket.timeout:
            return
    assert False, "it still takes the place"


def test_sleep(gateway):
    g = gateway()
    go = threading.Semaphore(0)

    def demo(c):
        while c.request():
            go.acquire()
            c.answer("one")

    w = g.space("demo-a", demo)
    a = ask(g)
    g.runner.wait("RESOLVE")
    until(lambda: w.demo.accepted)
    s = g.runner.sleep_ask(w.id)
    assert (s["refs"], s["released"]) == (1, 0)
    go.release()
    assert a.response().body == b"one"
    s = g.runner.sleep_ask(w.id, 60000)
    assert (s["refs"], s["released"]) == (0, 0) and s["idle_ms"] < 5000
    time.sleep(0.05)
    s = g.runner.sleep_ask(w.id, 20)
    assert (s["refs"], s["released"]) == (0, 1) and s["idle_ms"] >= 20
    assert w.peers[0].eof.wait(5), "the dial socket is closed"
    # the next request asks anew and gets the next worker
    g.runner.spaces["demo-a"].update(stage="SLEEPING", worker=None)
    b = ask(g)
    g.runner.wait("RESOLVE")
    g.runner.wait("WAKE")
    g.runner.route("demo-a", stage="RUNNING", worker=g.worker(8, hello))
    assert b.response().body == b"/"


def test_sleep_of_an_unknown_worker(gateway):
    g = gateway()
    s = g.runner.sleep_ask(4711)
    assert (s["refs"], s["released"]) == (0, 1)


def test_held_requests_count_as_use(gateway):
    """A worker whose sockets are awaited is in use."""
    g = gateway()
    w = g.space("demo-a", hello)
    ready = threading.Event()
    dial = w._dial
    w._dial = lambda p, n: (ready.wait(5), dial(p, n))
    c = ask(g)
    g.runner.wait("RESOLVE")
    end = time.monotonic() + 5
    while time.monotonic() < end:
        s = g.runner.sleep_ask(w.id)
        if not s["released"]:
            break
    assert (s["refs"], s["released"]) == (1, 0)
    ready.set()
    assert c.response().body == b"/"


def test_sleep_races_lose_no_request(gateway):
    """Requests all the time, a runner that puts the worker to sleep whenever it may: each is answered."""
    g = gateway()
    g.space("demo-a", hello)
    stop, failed, done = threading.Event(), [], []

    def visitor(n):
        i = 0
        while not stop.is_set():
            i += 1
            try:
                r = g.get("demo-a", f"/{n}-{i}")
                (done if (r.status, r.body) == (200, f"/{n}-{i}".encode()) else failed).append((r.status, r.body))
            except Exception as e:
                failed.append(e)

    def runner():
        number = 1000
        while not stop.is_set():
            w = g.spaces["demo-a"]["worker"]
            if w is None:
                g.runner.wait("WAKE")
                number += 1
                g.runner.route("demo-a", stage="RUNNING", worker=g.worker(number, hello))
                continue
            with g.runner.state:
                g.spaces["demo-a"].update(worker=None, stage="SLEEPING")
            s = g.runner.sleep_ask(w.id)
            if s["released"]:
                w.demo.close()
            else:  # a loop may have let go of it
                g.runner.route("demo-a", worker=w, stage="RUNNING")

    threads = [threading.Thread(target=visitor, args=(n,), daemon=True) for n in range(3)] + [threading.Thread(target=runner, daemon=True)]
    for t in threads:
        t.start()
    time.sleep(3)
    stop.set()
    for t in threads[:3]:
        t.join(10)
    assert not failed, failed[:3]
    assert len(done) > 50 and len(g.workers) > 5, (len(done), len(g.workers))


def test_a_new_version_takes_over(gateway):
    g = gateway()
    go = threading.Event()

    def old(c):
        while c.request():
            c.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
            go.wait(5)
            c.send("old")

    w = g.space("demo-a", old)
    a = ask(g)
    a.head()
    g.runner.route("demo-a", worker=g.worker(8, hello))
    assert g.get("demo-a", "/new").body == b"/new"
    s = g.runner.sleep_ask(w.id)
    assert (s["refs"], s["released"]) == (1, 0)
    go.set()
    assert a.exactly(3) == b"old"
    s = g.runner.sleep_ask(w.id)
    assert (s["refs"], s["released"]) == (0, 1)
    assert g.get("demo-a", "/newer").body == b"/newer"


def test_deleted(gateway):
    g = gateway()
    g.space("demo-a", hello)
    assert g.get("demo-a").status == 200
    g.spaces["demo-a"] = {"stage": "NONE", "worker": None}
    g.runner.route("demo-a")
    assert g.get("demo-a").status == 404


def test_a_dying_worker_is_asked_for_again(gateway):
    g = gateway()
    w = g.space("demo-a", hello)
    assert g.get("demo-a").status == 200
    g.runner.wait("RESOLVE")
    g.spaces["demo-a"].update(worker=None, stage="APP_STARTING")
    w.close()
    end = time.monotonic() + 5
    while b"gateway.lost" not in g.stderr and time.monotonic() < end:
        time.sleep(0.01)
    c = ask(g)
    g.runner.wait("RESOLVE")
    g.runner.wait("WAKE")
    g.runner.route("demo-a", stage="RUNNING", worker=g.worker(8, hello))
    assert c.response().body == b"/"


def test_a_refused_connection_is_asked_for_again(gateway):
    g = gateway()
    w = g.space("demo-a", hello)
    w.demo.close()
    c = ask(g)
    for _ in range(2):
        g.runner.wait("RESOLVE")
    g.spaces["demo-a"].update(worker=g.worker(8, hello))
    g.runner.route("demo-a")
    assert c.response().body == b"/"


def test_the_same_worker_again(gateway):
    """A ROUTE that names the worker that is known: nothing is lost, the new dial socket is closed."""
    g = gateway()
    w = g.space("demo-a", hello)
    c = ask(g)
    c.response()
    g.runner.route("demo-a")
    assert len(w.peers) == 1 + g.threads
    assert all(p.eof.wait(5) for p in w.peers[1:]) and not w.peers[0].eof.is_set()
    assert ask(g, c=c).response().status == 200
    assert w.demo.accepted == 1


def test_the_runner_is_away(gateway):
    g = gateway()
    w = g.space("demo-a", hello)
    g.space("demo-b")
    c = ask(g)
    assert c.response().status == 200
    g.runner.close()
    assert ask(g, path="/still", c=c).response().body == b"/still"
    waiting = ask(g, "demo-b", path="/b")  # nobody to ask
    unknown = ask(g, "no-such")
    time.sleep(0.1)
    g.new_runner(auto=False)
    asked = {g.runner.wait("RESOLVE")["label"] for _ in range(3)}
    assert asked == {"demo-a", "demo-b", "no-such"}
    assert ask(g, path="/known", c=c).response().body == b"/known"
    for label in asked:
        g.runner.route(label)
    assert g.runner.wait("WAKE")["space_id"] == 2
    assert unknown.response().status == 404
    g.runner.route("demo-b", stage="RUNNING", worker=g.worker(8, hello))
    assert waiting.response().body == b"/b"
    assert ask(g, path="/same", c=c).response().body == b"/same" and w.demo.accepted == 1


def test_the_cache_is_bounded(gateway):
    g = gateway(threads=1, gateway__route_cache="16")  # of one loop
    g.space("demo-a", hello)
    g.get("demo-a"), g.get("demo-a")
    for i in range(100):
        assert g.get(f"nobody-{i}").status == 404
    assert g.get("demo-a").status == 200
    assert sum(1 for n, f in g.runner.log if n == "RESOLVE" and f["label"] == "demo-a") == 1, "names of nobody pushed it out"


def test_the_site_is_away_for_a_moment(gateway):
    g = gateway()
    c = ask(g, "")
    time.sleep(0.1)

    def site(c):
        while c.request():
            c.answer("site")

    g.set_site(site)
    assert c.response().body == b"site"


def test_the_supervisor_is_gone(gateway):
    g = gateway()
    g.sup.close()
    assert g.process.wait(5) == 0


def test_sigterm_lets_answers_end(gateway):
    import signal
    g = gateway()
    there = threading.Event()

    def demo(c):
        c.request()
        c.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        there.set()
        time.sleep(0.1)
        c.send("cd")

    g.space("demo-a", demo)
    c, idle = ask(g), g.connect()
    assert there.wait(5)
    g.process.send_signal(signal.SIGTERM)
    assert c.response().body == b"abcd" and c.closed() and idle.closed()
    assert g.process.wait(2) == 0
