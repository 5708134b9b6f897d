"""Demos that behave badly, on purpose or not: each is stopped by a limit, and the reason is said. Bombs run only
where the limit that they meet was confirmed."""
import os
import http.client
import json
import re
import subprocess

import pytest

from vitrine import BUILD, until


def limit(word):
    """How this machine limits memory, pids, ...: "ok" all processes of a worker together, "weak" each by itself.
    Skips where it is not confirmed."""
    r = subprocess.run([BUILD + "/vitrine-sandbox", "check", "--json"], capture_output=True, text=True)
    found = {c["name"]: c["state"] for c in json.loads(r.stdout)["checks"]}
    states = [state for name, state in found.items() if name.startswith(word)]
    if not states or "missing" in states:
        pytest.skip(f"this machine cannot limit {word}: {found}")
    return states[0]


def failed(v, app, config="", name="demo/bad"):
    r = v.cli("deploy", v.bundle("bad", **{"app.py": app}), name)
    assert r.returncode == 1 and len(r.stderr.splitlines()) == 1, r
    return r.stderr


def test_never_listens(vitrine):
    v = vitrine("[lifecycle]\nstart_timeout = 1s\nstart_tries = 1\n")
    said = failed(v, "import time\nprint('loading', flush=True)\ntime.sleep(1000)\n")
    assert "1 s" in said or "1s" in said or "7860" in said, said
    assert "loading" in said
    assert until(lambda: not v.workers(), 5)


def test_exits_at_once(vitrine):
    v = vitrine("[lifecycle]\nbackoff_first = 10ms\n")
    said = failed(v, "import sys\nprint('bye')\nsys.exit(3)\n")
    assert "3" in said and "bye" in said


def test_answers_with_errors_only(vitrine):
    # long enough for an interpreter on a busy machine to have answered once
    v = vitrine("[lifecycle]\nstart_timeout = 4s\nstart_tries = 1\n")
    said = failed(v, """
import http.server, os
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.send_error(500)
http.server.HTTPServer(("0.0.0.0", int(os.environ["PORT"])), H).serve_forever()
""")
    assert "500" in said


def test_floods_the_log(vitrine):
    v = vitrine("[limits]\nlog_size = 256K\nlog_rate = 64K\n")
    v.deploy(v.probe(), "demo/probe")
    assert v.demo("demo/probe", "/flood?100", timeout=60).json == "done"
    log = v.cli("logs", "demo/probe").stdout
    assert len(log) <= 256 * 1024

    def heard():
        v.demo("demo/probe", "/print?after")
        return "after" in v.cli("logs", "demo/probe").stdout

    assert until(heard, 10), "what comes when the flood is over is kept"
    assert "dropped" in v.cli("logs", "demo/probe").stdout


def test_forks_without_end(vitrine):
    limit("pids")
    v = vitrine("[limits]\npids = 40\n")
    v.deploy(v.probe(), "demo/probe")
    n, why = v.demo("demo/probe", "/forks?200", timeout=60).json
    assert n < 40 and why != "all"
    assert v.demo("demo/probe").status == 200


def test_eats_memory(vitrine):
    state = limit("memory")
    v = vitrine("[limits]\nmemory = 128M\n[lifecycle]\nbackoff_first = 50ms\n")
    v.deploy(v.probe(), "demo/probe")
    born = v.ask("demo/probe", "/start")
    try:
        a = v.demo("demo/probe", "/eat?400", timeout=60)
        assert a.status >= 500
    except (OSError, http.client.HTTPException):
        pass
    if state == "weak":  # its own MemoryError, and it goes on
        assert v.ask("demo/probe", "/start") == born
        return
    assert until(lambda: v.ask("demo/probe", "/start") > born, 30)
    told = v.api("GET", "/api/admin/events?limit=100").body.decode()
    assert "out of memory: 128 MiB" in told


def test_one_space_gets_another_limit(vitrine):
    v = vitrine("[limits]\nopen_files = 500\n[lifecycle]\nbackoff_first = 10ms\nstart_tries = 1\n")
    app = "import resource, sys\nsys.exit('files: %d' % resource.getrlimit(resource.RLIMIT_NOFILE)[0])\n"
    assert "files: 500" in failed(v, app) + v.cli("logs", "demo/bad").stdout
    r = v.cli("limits", "demo/bad", "open_files=77", "memory=96M")
    assert r.returncode == 0 and "next start" in r.stdout, r
    row = next(line.split() for line in r.stdout.splitlines() if line.startswith("open_files"))
    assert row[1:3] == ["77", "500"]
    v.cli("restart", "demo/bad")
    assert until(lambda: "files: 77" in v.cli("logs", "demo/bad").stdout)
    r = v.cli("limits", "demo/bad", "open_files=1", "memory=default")
    assert r.returncode == 1 and "from 16 to" in r.stderr, r
    of = {o["name"]: o for o in json.loads(v.cli("limits", "demo/bad", "--json").stdout)["limits"]}
    assert of["open_files"]["value"] == "77" and of["memory"]["own"]
    assert v.cli("limits", "demo/bad", "open_files").returncode == 2


def test_eats_memory_at_the_start(vitrine):
    state = limit("memory")
    v = vitrine("[limits]\nmemory = 64M\n[lifecycle]\nbackoff_first = 10ms\n")
    said = failed(v, "hold = [bytearray(b'x' * (1 << 20)) for _ in range(300)]\n")
    assert ("MemoryError" if state == "weak" else "out of memory: 64 MiB") in said


@pytest.mark.parametrize("folder, mib", [("/tmp", 8), ("/home/user/app", 16), ("/dev/shm", 1000)])
def test_fills_a_folder(vitrine, folder, mib):
    v = vitrine("[limits]\ntmp_size = 8M\nhome_size = 16M\nmemory = 256M\n")
    v.deploy(v.probe(), "demo/probe")
    n, why = v.demo("demo/probe", f"/fill?{folder},{mib + 40 if mib < 1000 else 200}").json
    assert n <= mib and why != "all", (n, why)
    assert v.demo("demo/probe").status == 200


def test_its_owner_reads_what_is_full(vitrine):
    v = vitrine("[limits]\ntmp_size = 8M\n")
    v.deploy(v.bundle("full", **{"app.py": """
import http.server, os
try:
    with open("/tmp/x", "wb") as f:
        while True: f.write(bytes(1 << 16))
except OSError: pass
class H(http.server.BaseHTTPRequestHandler):
    def log_message(self, *a): pass
    def do_GET(self):
        if "end" in self.path: os._exit(3)
        self.send_response(200); self.end_headers(); self.wfile.write(b"x")
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), H).serve_forever()
"""}), "demo/full")

    def told():
        v.demo("demo/full")
        return json.loads(v.cli("status", "demo/full", "--json").stdout).get("ran_into")

    assert until(told, 20) == "/tmp is full: 8 MiB"
    assert "ran into /tmp is full: 8 MiB" in v.cli("status", "demo/full").stdout
    assert "vitrine: /tmp is full: 8 MiB" in v.cli("logs", "demo/full").stdout
    try:
        v.demo("demo/full", "/end")
    except (OSError, http.client.HTTPException):
        pass
    words = "exited with status 3 (ran into: /tmp is full: 8 MiB; use less, or ask the operator for more (vitrine limits))"
    assert until(lambda: words in v.api("GET", "/api/admin/events?limit=100").body.decode(), 20)


def test_the_reason_of_a_start_that_fails_names_what_is_full(vitrine):
    v = vitrine("[limits]\ntmp_size = 8M\n[lifecycle]\nbackoff_first = 10ms\nstart_tries = 1\n")
    failed(v, "f = open('/tmp/x', 'wb', 0)\nwhile True: f.write(bytes(1 << 16))\n")
    reason = json.loads(v.cli("status", "demo/bad", "--json").stdout)["reason"]
    assert reason == "exited with status 1 (ran into: /tmp is full: 8 MiB; use less, or ask the operator for more (vitrine limits))"


def test_data_beyond_its_limit(vitrine):
    """the limit is soft where tests run: it is stopped, goes on reading only, and a neighbour has room"""
    v = vitrine("[limits]\ndata_size = 8M\n[lifecycle]\nbackoff_first = 50ms\n")
    quota = {c["name"]: c for c in json.loads(v.cli("check", "--json").stdout)["checks"]}["data quota"]
    assert quota["state"] == "weak" and quota["detail"].startswith("soft: ") and quota["remedy"]
    v.deploy(v.probe(), "demo/probe")
    v.deploy(v.probe(), "demo/other")
    assert v.demo("demo/other", "/hold?/data,2").json == "done"
    try:
        v.demo("demo/probe", "/hold?/data,30", timeout=60)
    except (OSError, http.client.HTTPException):
        pass
    used = r"(\d+) MiB of 8 MiB"  # as much of the 30 as it had written when it was looked at

    def full():
        events = v.api("GET", "/api/admin/events?limit=100").body.decode()
        return re.search(f"/data is full: {used}; it is read-only from the next start on", events)

    assert until(full, 20) and 8 <= int(full()[1]) <= 30
    assert until(lambda: v.demo("demo/probe", "/hold?/data,1").json == "Read-only file system", 20)
    assert v.demo("demo/other", "/hold?/data,2").json == "done"
    status = v.cli("status", "demo/probe").stdout
    said = re.search(f"/data    {used}, ", status)
    assert "ran into /data is full: 8 MiB" in status and said and 8 <= int(said[1]) <= 30 and "soft" in status, status
    v.cli("limits", "demo/probe", "data_size=64M")
    v.cli("restart", "demo/probe")
    assert until(lambda: v.demo("demo/probe", "/hold?/data,1").json == "done", 20)


def test_one_cannot_see_the_other(vitrine):
    v = vitrine()
    v.deploy(v.probe("one"), "demo/one")
    v.demo("demo/one", "/keep")
    v.deploy(v.bundle("two", **{"app.py": """
import http.server, json, os
found = []
for top in ("/data", "/home", "/tmp", "/run", "/proc"):
    for d, _, names in os.walk(top):
        found += [os.path.join(d, n) for n in names if n == "kept" or n == "admin.token" or n.endswith(".db")]
class H(http.server.BaseHTTPRequestHandler):
    def log_message(self, *a): pass
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(json.dumps(found).encode())
http.server.HTTPServer(("0.0.0.0", int(os.environ["PORT"])), H).serve_forever()
"""}), "demo/two")
    assert v.demo("demo/two").json == []


def test_a_terminal_takes_no_orders_of_a_demo(vitrine):
    v = vitrine()
    v.deploy(v.probe(more=r'print("\x1b]0;owned\x07 caf\xe9 \x9b2J", flush=True)'), "demo/probe")
    assert "\x1b]0;owned\x07 café \x9b2J" in v.cli("logs", "demo/probe").stdout  # a file gets what was written
    ours, theirs = os.openpty()
    p = v.popen("logs", "demo/probe", stdout=theirs)
    os.close(theirs)
    seen = b""
    try:
        while data := os.read(ours, 4096):
            seen += data
    except OSError:  # how a terminal says that nobody writes to it any more
        pass
    os.close(ours)
    assert p.wait(10) == 0
    assert "^[]0;owned^G café ?2J" in seen.decode() and b"\x1b" not in seen, seen
