"""`vitrine-sandbox run`: a tool by itself."""
import errno
import os
import pty
import select
import signal
import subprocess
import time

import pytest

import rig


@pytest.mark.parametrize("script, status", [("exit 0", 0), ("exit 3", 3), ("exit 255", 255), ("kill -TERM $$", 143),
                                            ("kill -KILL $$", 137), ("kill -SEGV $$", 139)])
def test_exit_status_is_the_program_s(script, status):
    assert rig.sh(script).returncode == status


def test_a_program_that_is_not_there():
    r = rig.run("--", "/no/such/program")
    assert r.returncode == 127 and "cannot run /no/such/program: No such file" in r.stderr


def test_a_program_that_cannot_be_run():
    r = rig.run("--", "/etc/passwd")
    assert r.returncode == 126 and "Permission denied" in r.stderr


def test_stdio_is_passed_through():
    r = rig.run("--", "/bin/sh", "-c", "cat; echo err >&2", stdin=None, input="in\n")
    assert (r.stdout, r.stderr) == ("in\n", "err\n")


def test_large_output_is_whole():
    r = rig.sh("seq 1 200000")
    assert r.stdout == "".join(f"{i}\n" for i in range(1, 200001))


def test_a_path_search_like_a_shell_s():
    assert rig.run("--", "true").returncode == 0


@pytest.mark.parametrize("args, word", [
    (["--memory", "lots", "--", "true"], "lots"), (["--net", "all", "--", "true"], "all"), (["--nonsense", "--", "true"], "--nonsense"),
    (["--"], "which program"), ([], "which program"), (["--ro", "/no/such:/x", "--", "true"], "/no/such"), (["--cpu", "-1", "--", "true"], "--cpu"),
    (["--pids", "12x", "--", "true"], "12x"), (["--root", "/no/such", "--", "true"], "/no/such"), (["--ro", "x", "--", "true"], "SRC:DST")])
def test_wrong_usage_is_one_sentence(args, word):
    r = rig.run(*args)
    assert r.returncode == 2 and word in r.stderr and len(r.stderr.splitlines()) == 1, r.stderr


@pytest.mark.parametrize("args, word", [
    (["--ro", "/usr:/proc/x"], "spec: mount target /proc/x"), (["--ro", "/usr:/a/../b"], "plain absolute"), (["--ro", "/usr:/"], "made by the sandbox"),
    (["--cwd", "/nowhere"], "working folder: enter /nowhere"), (["--tmp-size", "1K"], "spec: /tmp"), (["--pids", "2"], "pids limit"),
    (["--env", "NOVALUE"], "NAME=VALUE"), (["--hostname", "a b"], "host name"), (["--uid-index", "70000"], "uid index 70000"),
    (["--ro", "/etc/passwd:/bin/new"], "/bin"), (["--memory", "1M"], "memory limit")])
def test_what_cannot_be_is_said_by_step_and_reason(args, word):
    r = rig.run(*args, "--", "true")
    assert r.returncode == 125 and word in r.stderr and len(r.stderr.splitlines()) == 1, r.stderr


def test_a_folder_of_the_host_as_stdio_is_refused():
    fd = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    r = rig.run("--", "true", stdin=fd)
    os.close(fd)
    assert r.returncode == 125 and "is a folder" in r.stderr


def test_environment_is_what_was_given(monkeypatch):
    monkeypatch.setenv("HOST_SECRET", "x")
    out = rig.run("--env", "A=b=c", "--env", "E=", "--", "/usr/bin/env").stdout
    env = dict(line.split("=", 1) for line in out.splitlines())
    assert env == {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/home/user", "USER": "user", "LANG": "C.UTF-8", "TMPDIR": "/tmp", "A": "b=c", "E": ""}


def test_ro_and_rw(folder):
    os.mkdir(f"{folder}/in")
    os.mkdir(f"{folder}/out", 0o777)
    os.chmod(f"{folder}/out", 0o777)
    open(f"{folder}/in/file", "w").write("hello")
    r = rig.sh("cat /in/file; echo x > /in/new; echo y > /data/new; ls -ld /data | cut -c1-10", "--ro", f"{folder}/in:/in", "--rw", f"{folder}/out:/data")
    assert r.stdout.startswith("hello") and "Read-only file system" in r.stderr
    assert os.listdir(f"{folder}/in") == ["file"] and os.listdir(f"{folder}/out") == ["new"]


def test_submounts_of_a_source_are_read_only_and_nosuid_too():
    # /dev has submounts (shm, pts) nearly everywhere
    r = rig.sh("grep ' /x' /proc/self/mountinfo | cut -d' ' -f6", "--ro", "/dev:/x")
    assert r.returncode == 0 and r.stdout
    for options in r.stdout.split():
        assert {"ro", "nosuid", "nodev"} <= set(options.split(",")), options


def test_a_file_as_source_in_a_closed_folder(folder):
    os.mkdir(f"{folder}/closed", 0o700)
    open(f"{folder}/closed/file", "w").write("reached")
    os.chmod(f"{folder}/closed/file", 0o644)
    assert rig.sh("cat /run/x/file", "--ro", f"{folder}/closed/file:/run/x/file").stdout == "reached"


def test_a_source_behind_links_inside_is_refused(folder):
    r = rig.run("--ro", f"{folder}:/lib/x", "--", "true")
    assert r.returncode == 125 and "/lib" in r.stderr


def test_app_has_a_writable_layer_that_is_thrown_away(folder):
    os.mkdir(f"{folder}/app")
    open(f"{folder}/app/main", "w").write("v1")
    os.chmod(f"{folder}/app", 0o755)
    rig.give(f"{folder}/app", 5)
    r = rig.sh("pwd; cat main; echo v2 > main; cat main; rm main; mkdir d; touch d/x; ls -a", "--app", f"{folder}/app", "--uid-index", "5")
    assert r.stdout.split() == ["/home/user/app", "v1v2", ".", "..", "d"], (r.stdout, r.stderr)
    assert os.listdir(f"{folder}/app") == ["main"] and open(f"{folder}/app/main").read() == "v1"


def test_the_layers_are_out_of_sight(folder):
    os.mkdir(f"{folder}/app")
    rig.give(f"{folder}/app", 5)
    r = rig.sh("ls -a /home/user /run/sandbox /tmp; find / -xdev -name upper -o -name lower 2>/dev/null", "--app", f"{folder}/app", "--uid-index", "5")
    assert "upper" not in r.stdout and "lower" not in r.stdout and "own" not in r.stdout.split()


def test_a_folder_as_root(folder):
    """a root with little more than a static program, its own /etc not looked at"""
    for d in ("usr/bin", "opt", "etc", "proc", "home/x"):
        os.makedirs(f"{folder}/{d}")
    static = os.path.join(rig.BUILD, "vitrine-static")
    if not os.path.exists(static):
        static = "/bin/busybox"
    if not os.path.exists(static):
        pytest.skip("no static program on this machine")
    subprocess.run(["cp", static, f"{folder}/usr/bin/prog"], check=True)
    os.symlink("usr/bin", f"{folder}/bin")
    open(f"{folder}/opt/file", "w").write("x")
    open(f"{folder}/etc/shadow", "w").write("secret")
    r = rig.run("--root", folder, "--", "/bin/prog", "--help")
    assert r.returncode not in (125, 126, 127), r.stderr


def test_a_low_port_is_opened_where_it_was_asked_for():
    bind = "import socket; socket.socket().bind(('127.0.0.1', 80))"
    assert rig.python(bind, "--port", "80").returncode == 0
    assert "Permission denied" in rig.python(bind).stderr


def test_terminal_never_reaches_the_program():
    """run on a pty: the program has pipes, sees no terminal, and what it says arrives"""
    master, slave = pty.openpty()
    p = subprocess.Popen([rig.SANDBOX, "run", "--", rig.PYTHON, "-c", "import os; print([os.isatty(i) for i in (0, 1, 2)], input())"],
                         stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    os.write(master, b"typed\n")
    assert p.wait(20 * rig.PATIENCE) == 0
    out = b""
    while select.select([master], [], [], 0.5)[0]:
        try:
            out += os.read(master, 1000)
        except OSError:
            break
    os.close(master)
    assert b"[False, False, False] typed" in out


def start(script, *options):
    p = subprocess.Popen([rig.SANDBOX, "run", *options, "--", rig.PYTHON, "-u", "-c", script], stdout=subprocess.PIPE,
                         stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert p.stdout.readline() == "up\n", p.stderr.read()
    return p


SLEEPER = "import time; print('up'); time.sleep(60)"


def test_sigterm_reaches_the_program():
    p = start("import signal, sys, time\nsignal.signal(15, lambda *_: sys.exit(7))\nprint('up')\ntime.sleep(60)")
    p.terminate()
    assert p.wait(10 * rig.PATIENCE) == 7
    p.communicate()


def test_a_second_signal_ends_a_deaf_program():
    p = start("import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint('up')\ntime.sleep(60)")
    p.terminate()
    time.sleep(0.1)
    assert p.poll() is None
    p.send_signal(signal.SIGINT)
    assert p.wait(10 * rig.PATIENCE) == 137
    p.communicate()


def test_killed_run_leaves_no_sandbox():
    p = start(SLEEPER)
    inside = rig.own(rig.sandboxed_processes(), {p.pid})
    assert len(inside) >= 2
    p.kill()
    p.wait()
    p.communicate()
    assert rig.until(lambda: not any(map(rig.is_running, inside)))
    rig.run("--", "true")  # takes away the control groups of the killed one
    assert rig.until(lambda: not rig.cgroups(f"vitrine-run-{p.pid}"))


def test_children_end_with_the_program():
    t0 = time.monotonic()
    assert rig.sh("sleep 60 >/dev/null 2>&1 & exit 4").returncode == 4
    assert time.monotonic() - t0 < 10


def test_orphans_are_reaped():
    """a thousand grandchildren that end as orphans: none stays a zombie"""
    script = """
import os
for i in range(1000):
    if os.fork() == 0:
        if os.fork() == 0: os._exit(0)
        os._exit(0)
    os.wait()
import time
def state(p):
    try: return open('/proc/%s/stat' % p).read().rsplit(')', 1)[1].split()[0]
    except OSError: return ''
for _ in range(200):
    z = [p for p in os.listdir('/proc') if p.isdigit() and state(p) == 'Z']
    if not z: break
    time.sleep(0.01)
print(len(z))
"""
    assert rig.python(script, "--pids", "64").stdout == "0\n"


def test_two_sandboxes_do_not_see_each_other():
    p = start("import socket, os\ns = socket.socket(); s.bind(('127.0.0.1', 7777)); s.listen()\n"
              "u = socket.socket(socket.AF_UNIX); u.bind('\\0abstract'); u.listen()\nopen('/tmp/mine', 'w').write('x')\n"
              "open('/dev/shm/mine', 'w').write('x')\nprint('up'); __import__('time').sleep(60)")
    r = rig.python("""
import os, socket
def c(*a):
    s = socket.socket(*a[:1])
    try: s.connect(a[-1]); return True
    except OSError: return False
print(c(socket.AF_INET, ('127.0.0.1', 7777)), c(socket.AF_UNIX, '\\0abstract'), os.listdir('/tmp'), os.listdir('/dev/shm'), len([p for p in os.listdir('/proc') if p.isdigit()]))
""")
    p.kill()
    p.communicate()
    assert r.stdout.split("\n")[0] == "False False [] [] 1", r.stdout + r.stderr


def test_twenty_at_once():
    ps = [subprocess.Popen([rig.SANDBOX, "run", "--", "/bin/sh", "-c", f"exit {i}"], stdin=subprocess.DEVNULL) for i in range(20)]
    assert [p.wait(30 * rig.PATIENCE) for p in ps] == list(range(20))


def test_pid_1_cannot_be_overwritten():
    """CVE-2019-5736: its program is out of reach from inside, and busy for as long as anything of the sandbox lives"""
    p = subprocess.Popen([rig.SANDBOX, "run", "--", rig.PYTHON, "-c", """
import os, sys
for flags in os.O_RDONLY, os.O_WRONLY, os.O_PATH:
    for name in 'exe', 'mem', 'root', 'fd':
        try: os.open('/proc/1/' + name, flags); print('opened', name, flags)
        except OSError: pass
try: print(os.readlink('/proc/1/exe'))
except OSError: pass
print('done', flush=True)
sys.stdin.read()
"""], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert p.stdout.readline() == "done\n"
    with pytest.raises(OSError) as e:
        os.open(rig.SANDBOX, os.O_WRONLY)
    assert e.value.errno in (errno.ETXTBSY, errno.EACCES)
    p.stdin.close()
    assert p.wait(10 * rig.PATIENCE) == 0
    p.stdout.close()


@pytest.mark.parametrize("path, status", [("/tmp/own", 3), ("/usr/bin:/tmp/own", 3), ("/tmp", 127)])
def test_the_program_is_looked_for_in_its_own_path(tmp_path, path, status):
    """Not in the caller's: it is nowhere but in the folder that --env PATH= names"""
    os.chmod(tmp_path, 0o755)
    with open(tmp_path / "vitrine-test-there", "w") as f:
        f.write("#!/bin/sh\nexit 3\n")
    os.chmod(tmp_path / "vitrine-test-there", 0o755)
    r = rig.run("--ro", f"{tmp_path}:/tmp/own", "--env", f"PATH={path}", "--", "vitrine-test-there", env={**os.environ, "PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert r.returncode == status, r
    if status == 127:
        assert rig.run("--env", f"PATH={path}", "--", "true").returncode == 127
