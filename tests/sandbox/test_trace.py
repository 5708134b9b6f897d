"""`vitrine-sandbox trace`: what a program asked for and did not get; and that looking loosens nothing."""
import json
import os
import signal
import subprocess

import pytest

import rig

ASKS = r'''
import ctypes, os, socket, threading
libc = ctypes.CDLL(None)
libc.syscall(248, b"user", b"x", b"y", 1, 0)               # add_key
libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0)              # clone(CLONE_NEWUSER)
for args in ((38, 5, 0), (2, 3, 1)):
    try: socket.socket(*args)
    except OSError: pass
try: open("/usr/no\x1bthing", "w")
except OSError: pass
try: socket.create_connection(("203.0.113.1", 443))
except OSError: pass
threading.Thread(target=lambda: libc.syscall(165, 0, 0, 0, 0, 0)).start()  # mount, by a thread
libc.ioctl(0, 0x5412, b"x")
'''


def trace(*args, **kw):
    return subprocess.run([rig.SANDBOX, "trace", *args], capture_output=True, text=True, timeout=60 * rig.PATIENCE, stdin=subprocess.DEVNULL, **kw)


def traced(folder, script, *options, argv=None):
    """(the run, its report, rows by (call, verdict))"""
    out = os.path.join(folder, "trace.json")
    r = trace("--json", "--output", out, *options, "--", *(argv or [rig.PYTHON, "-c", script]))
    report = json.load(open(out))
    return r, report, {(row["call"], row["verdict"]): row for row in report["rows"]}


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path)


def test_what_was_asked_for_is_named(folder):
    r, report, rows = traced(folder, ASKS)
    assert r.returncode == report["status"] == 0, r.stderr
    assert rows["add_key", "EPERM"]["count"] == 1 and "keys" in rows["add_key", "EPERM"]["reason"]
    assert rows["clone", "ENOSYS"]["arguments"] == "CLONE_NEWUSER"
    assert {x["arguments"] for x in report["rows"] if (x["call"], x["verdict"]) == ("socket", "ENOSYS")} == \
        {"AF_ALG, SOCK_SEQPACKET, 0", "AF_INET, SOCK_RAW, 1"}
    assert rows["openat", "failed EROFS"]["arguments"] == "/usr/no?thing", "nothing of the program's reaches a terminal unread"
    assert rows["connect", "failed ENETUNREACH"]["arguments"] == "203.0.113.1:443"
    assert rows["mount", "EPERM"]["count"] == 1, "threads are followed"
    assert rows["ioctl", "ENOSYS"]["arguments"] == "TIOCSTI"
    assert rows["read", "allowed"]["count"] > 10 and rows["add_key", "EPERM"]["program"].startswith("python3")
    assert report["calls"] >= sum(x["count"] for x in report["rows"]) > 100


def test_what_killed_is_named(folder):
    r, report, rows = traced(folder, "import ctypes; ctypes.CDLL(None).syscall(0x40000000 + 39)")
    assert r.returncode == report["status"] == 128 + signal.SIGSYS
    assert [k for k, v in rows if v == "killed"] == ["call 39, foreign"]


def test_children_are_followed_and_the_status_is_the_program_s(folder):
    r, _, rows = traced(folder, "", argv=["/bin/sh", "-c", "(cd /; touch /usr/x); /usr/bin/env true; exit 7"])
    assert r.returncode == 7
    assert rows["openat", "failed EROFS"]["program"] == "touch"


def test_more_processes_than_are_followed_at_a_time(folder):
    """one that has ended makes room for another"""
    script = "i=0; while [ $i -lt 4200 ]; do (:); i=$((i+1)); done; (touch /usr/x); exit 0"
    _, _, rows = traced(folder, "", argv=["/bin/sh", "-c", script])
    assert rows["openat", "failed EROFS"]["program"] == "touch"


def test_table_and_lines_for_people():
    r = trace("--follow", "--", rig.PYTHON, "-c", "print('mine'); import ctypes; [ctypes.CDLL(None).syscall(165, 0, 0, 0, 0, 0) for _ in range(3)]")
    assert r.stdout == "mine\n"
    lines = [line.split() for line in r.stderr.splitlines() if " mount " in line]
    assert [line[:3] for line in lines] == [["1", "mount", "EPERM"], ["3", "mount", "EPERM"]], "at once, and in the table"
    assert "1 kinds refused" in r.stderr.splitlines()[-1]


def test_the_sandbox_is_as_tight_as_without():
    """the filter and the credentials of a program do not show whether it is watched, but for the tracer's being there"""
    script = "print([l for l in open('/proc/self/status').read().splitlines() if l.split(':')[0] in " \
             "('Seccomp', 'Seccomp_filters', 'NoNewPrivs', 'CapEff', 'CapBnd', 'Uid', 'Groups', 'SigIgn', 'SigBlk')]); " \
             "import os; print(sorted(os.listdir('/proc/self/fd'))); print(sorted(p for p in os.listdir('/proc') if p.isdigit()))"
    plain, watched = rig.python(script), trace("--", rig.PYTHON, "-c", script)
    assert plain.stdout and watched.stdout == plain.stdout


def test_a_stop_is_kept_and_a_limit_is_named(folder, limited):
    if not limited["memory"]:
        pytest.skip("no control group limits memory on this machine")
    script = "import os, signal, time\n" \
             "pid = os.fork()\n" \
             "if pid == 0: os.kill(os.getpid(), signal.SIGSTOP); os._exit(3)\n" \
             "assert os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1]); os.kill(pid, signal.SIGCONT)\n" \
             "assert os.WEXITSTATUS(os.waitpid(pid, 0)[1]) == 3\n" \
             "b = bytearray(200 << 20)\n"
    r, report, _ = traced(folder, script, "--memory", "64M")
    assert report["limits"].startswith("out of memory: 64"), r.stderr


def test_a_killed_trace_leaves_nothing():
    p = subprocess.Popen([rig.SANDBOX, "trace", "--", "/bin/sh", "-c", "echo up; exec sleep 300"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert p.stdout.readline() == b"up\n"
    before = rig.own(rig.sandboxed_processes(), {p.pid: ""})
    assert before
    p.kill()
    p.wait()
    p.stdout.close()
    assert rig.until(lambda: not set(before) & set(rig.sandboxed_processes())), "the sandbox went with it"
    assert rig.sh("true").returncode == 0  # sweeps the group of the killed one away


@pytest.mark.parametrize("args, word", [(["run", "--json", "--", "true"], "vitrine-sandbox trace"),
                                        (["trace", "--output", "/nowhere/x", "--", "true"], "/nowhere/x"),
                                        (["trace"], "which program")])
def test_wrong_usage(args, word):
    r = subprocess.run([rig.SANDBOX, *args], capture_output=True, text=True, timeout=10 * rig.PATIENCE)
    assert r.returncode == 2 and word in r.stderr
