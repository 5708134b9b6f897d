"""`vitrine up`: what it says, what it refuses, what it leaves behind."""
import json
import os
import re
import signal
import shutil
import socket
import subprocess
import time

import pytest

from vitrine import PROGRAM, ROOT, free_port, until


def refused(v, *args, config=None, cwd=None):
    """Runs an `up` that must not come up: the one line that it says."""
    argv = [PROGRAM, "up", "--data", v.data, "--listen", f"127.0.0.1:{v.port}", *args]
    if config is not None:
        path = os.path.join(v.folder, "bad.ini")
        with open(path, "w") as f:
            f.write(config)
        argv += ["--config", path]
    r = subprocess.run(argv, capture_output=True, text=True, timeout=30, cwd=cwd)
    assert r.returncode == 1 and r.stdout == "", (r.returncode, r.stderr)
    return r.stderr.strip().splitlines()[-1]


def test_ready_and_end(vitrine):
    v = vitrine()
    assert v.said[-1] == f"ready: http://localhost:{v.port}/"
    assert v.get("/healthz").status == 200
    assert v.stop() == 0
    assert until(lambda: not v.leftovers(), 3), v.leftovers()


def test_ctrl_c_ends_it(vitrine):
    v = vitrine()
    assert v.stop(signal.SIGINT) == 0


def test_a_second_ctrl_c_hurries(vitrine):
    v = vitrine("[lifecycle]\nstop_grace = 60s\n")
    v.deploy(v.probe(more="import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"), "demo/deaf")
    v.up.send_signal(signal.SIGINT)
    assert until(lambda: "stopping every worker" in v.log, 5)
    assert v.up.poll() is None and v.workers()
    began = time.monotonic()
    assert v.stop(signal.SIGINT) == 0
    assert time.monotonic() - began < 5


def test_a_closed_terminal_ends_it(vitrine):
    v = vitrine()
    assert v.stop(signal.SIGHUP) == 0


def test_examples_are_submitted_once(vitrine):
    v = vitrine(args=["--examples"])
    listed = json.loads(v.cli("list", "--json").stdout)
    assert {"examples/gallery-hello", "examples/textgen", "examples/digits"} <= {s["id"] for s in listed}
    assert v.stop() == 0
    v.start()
    again = {s["id"]: s for s in json.loads(v.cli("list", "--json").stdout)}
    for s in listed:
        assert (again[s["id"]]["version"], v.status(s["id"])["versions_count"]) == (s["version"], 1)


def test_the_login_link_is_said_once_and_works_once(vitrine):
    v = vitrine()
    links = [line for line in v.said if line.startswith("admin:")]
    assert len(links) == 1
    path = links[0].split(f"localhost:{v.port}", 1)[1]
    first, second = v.get(path), v.get(path)
    assert first.status in (302, 303) and first.headers["location"].endswith("/admin")
    assert "set-cookie" in first.headers and "set-cookie" not in second.headers
    assert v.stop() == 0
    v.start()
    assert not [line for line in v.said if line.startswith("admin:")]


def test_the_token_is_the_owners_alone(vitrine):
    v = vitrine()
    assert os.stat(v.data).st_mode & 0o777 == 0o700
    assert os.stat(os.path.join(v.data, "admin.token")).st_mode & 0o777 == 0o600
    assert re.fullmatch("[0-9a-f]{64}", v.token)


def test_a_second_up_on_the_same_data(vitrine):
    v = vitrine()
    said = refused(v, "--listen", f"127.0.0.1:{free_port()}")
    assert f"process {v.up.pid}" in said and "--data" in said
    assert v.get("/healthz").status == 200


def test_a_port_in_use(vitrine):
    v = vitrine(start=False)
    with socket.socket() as s:
        s.bind(("127.0.0.1", v.port))
        s.listen()
        said = refused(v)
    assert f"port {v.port} is in use" in said and "--listen" in said


@pytest.mark.parametrize("config, words", [
    ("[lifecycle]\nsleep_aftre = 3s\n", ["bad.ini:2", "sleep_aftre"]),
    ("[lifecycle]\n\nsleep_after = soon\n", ["bad.ini:3", "lifecycle.sleep_after", "soon"]),
    ("[limits]\nmemory = 1K\n", ["bad.ini:2", "limits.memory", "1K"]),
    ("[nosuch]\nkey = 1\n", ["bad.ini:2", "nosuch"]),
    ("[lifecycle\nsleep_after = 3s\n", ["bad.ini:1"]),
    ("[log]\nlevel = loud\n", ["log.level", "loud"]),
])
def test_bad_configuration(vitrine, config, words):
    v = vitrine(start=False)
    said = refused(v, config=config)
    assert all(w in said for w in words), said
    assert not os.path.exists(v.data)


def test_a_bad_value_on_the_command_line(vitrine):
    v = vitrine(start=False)
    said = refused(v, "--listen", "127.0.0.1")
    assert "--listen" in said or "server.listen" in said
    assert not os.path.exists(v.data)


def test_no_configuration_file(vitrine):
    v = vitrine(start=False)
    said = refused(v, "--config", "/nonexistent/vitrine.ini")
    assert "/nonexistent/vitrine.ini" in said and "No such file" in said


def test_beyond_loopback_without_tls(vitrine):
    v = vitrine(start=False)
    said = refused(v, "--listen", f"0.0.0.0:{v.port}")
    assert "TLS" in said and "allow_insecure_listen" in said


def test_data_that_cannot_be_made(vitrine):
    v = vitrine(start=False)
    with open(os.path.join(v.folder, "file"), "w"):
        pass
    said = refused(v, "--data", os.path.join(v.folder, "file", "data"))
    assert "/file" in said


def test_wrong_usage():
    for args in (["up", "--nosuch"], ["up", "more"], ["nosuch"], [], ["deploy"],
                 ["status", "a", "b"], ["logs", "a/b", "--tail", "x"]):
        r = subprocess.run([PROGRAM, *args], capture_output=True, text=True)
        assert r.returncode == 2 and len(r.stderr.strip().splitlines()) == 1, (args, r.stderr)


def test_no_server():
    env = {**os.environ, "VITRINE_URL": f"http://localhost:{free_port()}"}
    r = subprocess.run([PROGRAM, "list"], capture_output=True, text=True, env=env)
    assert r.returncode == 1 and "vitrine up" in r.stderr and len(r.stderr.splitlines()) == 1


def test_a_long_path_of_the_data_folder(vitrine):
    v = vitrine(start=False)
    v.data = os.path.join(v.folder, "long" * 40, "data")
    v.start()
    v.deploy(v.probe(), "demo/probe")
    assert v.demo("demo/probe").status == 200


def test_check(vitrine):
    v = vitrine(start=False)
    r = subprocess.run([PROGRAM, "check", "--data", v.data, "--json"], capture_output=True, text=True)
    found = json.loads(r.stdout)
    names = {c["name"] for c in found["checks"]}
    assert {"programs", "data folder", "disk", "port", "names"} <= names
    assert all(c["state"] in ("ok", "weak", "missing") for c in found["checks"])
    assert (r.returncode == 0) == found["workers_can_run"]
    assert not os.path.exists(v.data)
    table = subprocess.run([PROGRAM, "check", "--data", v.data], capture_output=True, text=True)
    assert all(n in table.stdout for n in names)


def test_sample_configuration_is_accepted_and_is_the_default(vitrine, tmp_path):
    sample = subprocess.run([PROGRAM, "config", "--sample"], capture_output=True, text=True).stdout
    for text in (sample, "\n".join(line[1:] if line.startswith("#") and " = " in line and
                                   re.match(r"#[a-z_]+ = ", line) else line
                                   for line in sample.splitlines())):
        path = tmp_path / "sample.ini"
        path.write_text(text)
        r = subprocess.run([PROGRAM, "config", "--config", str(path)], capture_output=True, text=True)
        assert r.returncode == 0, r.stderr
        default = subprocess.run([PROGRAM, "config"], capture_output=True, text=True).stdout
        assert r.stdout == default
    # and what `config` prints is a configuration
    path.write_text(default)
    again = subprocess.run([PROGRAM, "config", "--config", str(path)], capture_output=True, text=True)
    assert again.stdout == default, again.stderr


def test_the_manual_has_the_options_of_the_table():
    options = subprocess.run([PROGRAM, "config", "--man"], capture_output=True, text=True).stdout
    with open(os.path.join(ROOT, "man", "vitrine.ini.5")) as f:
        assert options and options in f.read(), "run man/update"


def test_help_names_every_command_of_the_manual():
    said = subprocess.run([PROGRAM, "help"], capture_output=True, text=True).stdout
    with open(os.path.join(ROOT, "man", "vitrine.1")) as f:
        manual = f.read()
    for command in re.findall(r"^  vitrine (\w+)", said, re.M):
        assert command in manual, command


def test_without_a_program(vitrine, tmp_path):
    shutil.copy(PROGRAM, tmp_path)
    r = subprocess.run([str(tmp_path / "vitrine"), "up", "--data", str(tmp_path / "data")],
                       capture_output=True, text=True)
    assert r.returncode == 1 and "vitrine-runner" in r.stderr
