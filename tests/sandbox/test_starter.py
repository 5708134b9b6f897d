"""The resident starter and PID 1, as the runner and the gateway see them."""
import errno
import os
import select
import signal
import socket
import subprocess
import time

import pytest

import rig
from rig import wire

SLEEP = ["/bin/sleep", "60"]
SPARES = 4  # that a starter keeps ready, at most
SERVER = """
import socket
import subprocess
s = socket.socket(); s.bind(('127.0.0.1', 7860)); s.listen()
print('listening', flush=True)
while True:
    c, _ = s.accept(); c.sendall(b'hello'); c.close()
"""


@pytest.mark.parametrize("script, word", [("exit 0", "exited 0 0\n"), ("exit 9", "exited 9 0\n"), ("kill -SEGV $$", "signaled 0 11\n")])
def test_last_word(shared_starter, script, word):
    w = shared_starter.sh(script)
    assert w.started.code == 0, w.started.message
    assert w.wait() == word


def test_exec_failed(shared_starter):
    w = shared_starter.start(["/no/such/program"])
    assert w.started.code == 0
    assert w.wait() == "exec_failed 2 0\n"
    assert "vitrine: cannot run /no/such/program: No such file or directory" in w.log()


def test_pid_and_pidfd_are_of_pid_1(shared_starter):
    w = shared_starter.start(SLEEP)
    info = dict(line.split(":", 1) for line in open(f"/proc/self/fdinfo/{w.pidfd}").read().splitlines() if ":" in line)
    assert int(info["Pid"]) == w.pid
    assert open(f"/proc/{w.pid}/cmdline").read().startswith("vitrine-sandbox\0") or rig.SANDBOX in open(f"/proc/{w.pid}/cmdline").read()


def test_pid_1_holds_little(shared_starter):
    if not rig.IS_ROOT:
        pytest.skip("looking into PID 1 takes root: it is not dumpable")
    w = shared_starter.start(SLEEP)
    status = dict(line.split(":", 1) for line in open(f"/proc/{w.pid}/status").read().splitlines() if ":" in line)
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 1 << 5, "CAP_KILL alone"
    assert int(status["CapBnd"], 16) == 0 and int(status["CapAmb"], 16) == 0
    assert status["Seccomp"].strip() == "2" and status["NoNewPrivs"].strip() == "1"
    assert status["Groups"].strip() == ""
    links = rig.open_files(w.pid)
    outside = [link for link in links if link.startswith("/") and not link.startswith(("/dev/null", "/proc", "/null", rig.BUILD, w.folder)) and link != "/"]
    assert not outside, links
    assert os.readlink(f"/proc/{w.pid}/exe").startswith("/memfd:"), "a sealed copy"


def test_log_has_both_streams_with_times(shared_starter):
    w = shared_starter.sh("echo out; echo err >&2; printf 'no newline'")
    w.wait()
    lines = w.log().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["out", "err", "no newline"]
    for line in lines:
        stamp = line.split(" ", 1)[0]
        assert len(stamp) == 24 and stamp.endswith("Z")
        assert abs(time.time() - __import__("datetime").datetime.fromisoformat(stamp[:-1] + "+00:00").timestamp()) < 30


def test_log_parts_are_written_in_turn(shared_starter):
    w = shared_starter.sh("i=0; while [ $i -lt 4000 ]; do echo line-$i; i=$((i+1)); done", log_bytes=65536, log_rate=1 << 30)
    w.wait()
    parts = [os.pread(fd, 1 << 20, 0).decode() for fd in w.log_fds]
    assert all(len(p) <= 32768 for p in parts)
    numbers = sorted(int(line.rsplit("-", 1)[1]) for p in parts for line in p.splitlines())
    assert numbers[-1] == 3999 and numbers == list(range(numbers[0], 4000)), "the newest, without a gap"


def test_control_sees_the_states_and_the_end(shared_starter):
    w = shared_starter.python("import signal, sys\nsignal.signal(15, lambda *_: sys.exit(3))\nprint('up', flush=True)\nsignal.pause()")
    c = w.control()
    assert c.receive("INIT_STATE").worker_id == w.id
    assert rig.until(lambda: "up" in w.log())
    c.send("INIT_STOP", grace_ms=5000)
    states = []
    while True:
        m = c.receive()
        if m.type == "INIT_EXIT":
            break
        states.append(m.state)
    assert states[-1] == wire.ENUM["INIT_STOPPING"]
    assert (m.reason, m.status, m.signal) == (wire.ENUM["EXIT_STOPPED"], 3, 0)
    assert w.wait() == "stopped 3 0\n"
    assert c.receive() is None


def test_grace_ends(shared_starter):
    w = shared_starter.python("import signal\nsignal.signal(15, signal.SIG_IGN)\nprint('up', flush=True)\nwhile True: signal.pause()")
    c = w.control()
    assert rig.until(lambda: "up" in w.log())
    t0 = time.monotonic()
    c.send("INIT_STOP", grace_ms=300)
    assert w.wait() == "stopped 0 9\n"
    assert 0.25 < time.monotonic() - t0 < 5


def test_several_control_connections_all_count(shared_starter):
    w = shared_starter.start(SLEEP, lease_ms=200)
    a, b = w.control(), w.control()
    assert a.receive("INIT_STATE") and b.receive("INIT_STATE")
    a.close()
    assert not select.select([w.pidfd], [], [], 0.6)[0]
    b.close()
    assert w.wait().startswith("lease ")


def test_lease_without_anybody(shared_starter):
    t0 = time.monotonic()
    w = shared_starter.start(SLEEP, lease_ms=300)
    assert w.wait() == "lease 0 15\n" and time.monotonic() - t0 > 0.25


ORPHANS = """
import os, time
r, w = os.pipe()
for i in range(300):
    if os.fork() == 0:
        if os.fork() == 0:
            os.close(w)
            os.read(r, 1)
        os._exit(0)
    os.wait()
os.close(w)
print("ended", flush=True)
time.sleep(60)
"""


def test_many_who_end_at_once_are_all_reaped(shared_starter):
    """more of them than PID 1 reaps in a round, and no signal comes for the rest"""
    w = shared_starter.python(ORPHANS, pids=400, memory_bytes=1 << 30)
    c = w.control()

    def processes():
        c.send("INIT_STATS_ASK")
        return c.receive("INIT_STATS").pids
    assert rig.until(lambda: "ended" in w.log(), 20), w.log()
    assert rig.until(lambda: processes() <= 2) or processes() == 2
    shared_starter.group(w, kill=True)
    c.close()


def test_stats(shared_starter):
    w = shared_starter.python("b = bytearray(20 << 20)\nimport time\nwhile time.process_time() < 0.15: pass\nprint('up', flush=True); time.sleep(60)")
    c = w.control()
    assert rig.until(lambda: "up" in w.log())
    c.send("INIT_STATS_ASK")
    m = c.receive("INIT_STATS")
    assert 20 << 20 < m.memory_bytes < 200 << 20 and m.cpu_us > 100000 and m.pids == 2


def test_dial(shared_starter):
    w = shared_starter.python(SERVER)
    d = w.dial()
    d.send("DIAL", count=5)
    m = d.receive("DIALED")
    assert (m.count, m.error, len(m.fds)) == (5, 0, 5)
    sockets = rig.dialed_sockets(m)
    assert rig.until(lambda: "listening" in w.log())
    for s in sockets:
        assert (s.family, s.type, s.proto) == (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        assert os.get_blocking(s.fileno()) is False and os.get_inheritable(s.fileno()) is False
        s.setblocking(True)
        s.connect(("127.0.0.1", 7860))
        assert s.recv(10) == b"hello"
        s.close()
    d.send("DIAL", count=32)
    m = d.receive("DIALED")
    assert m.count == 32
    m.close()


@pytest.mark.parametrize("count", [0, 33, 2**32 - 1])
def test_dial_out_of_bounds_disconnects(shared_starter, count):
    w = shared_starter.start(SLEEP)
    d = w.dial()
    d.send("DIAL", count=count)
    assert d.receive() is None
    assert w.alive()


@pytest.mark.parametrize("first", [b"", b"x", b"\0" * 8, b"\1\0\2\0\xff\xff\xff\xff", b"\xa5" * 100])
def test_rubbish_disconnects_and_harms_nobody(shared_starter, first):
    w = shared_starter.start(SLEEP)
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(10)
    s.connect(w.path)
    s.send(first)
    try:
        assert s.recv(100) == b""
    except ConnectionResetError:
        pass
    s.close()
    c = w.control()
    assert c.receive("INIT_STATE").worker_id == w.id
    c.close()


def test_a_dial_connection_cannot_control(shared_starter):
    w = shared_starter.start(SLEEP)
    d = w.dial()
    d.send("INIT_STOP", grace_ms=0)
    assert d.receive() is None
    assert w.alive()


def test_many_dial_connections_never_shut_control_out(shared_starter):
    w = shared_starter.start(SLEEP)
    dials = [w.dial() for _ in range(60)]
    for d in dials[:40]:
        d.send("DIAL", count=1)
        d.receive("DIALED").close()
    c = w.control()
    assert c.receive("INIT_STATE").worker_id == w.id
    for d in dials:
        d.close()
    c.close()


def test_a_reader_that_sleeps_is_dropped(shared_starter):
    """dial requests whose answers nobody takes: PID 1 neither blocks nor grows"""
    w = shared_starter.start(SLEEP)
    d = w.dial()
    d.sock.setblocking(False)
    try:
        for _ in range(10000):
            d.send("DIAL", count=1)
    except (BlockingIOError, BrokenPipeError, ConnectionResetError):
        pass
    c = w.control()
    assert c.receive("INIT_STATE").worker_id == w.id
    d.close()
    c.close()


def test_job_has_its_stdio_and_no_log(shared_starter):
    rd, wr = os.pipe()
    body = os.memfd_create("body")
    os.write(body, b"from the body")
    os.lseek(body, 0, os.SEEK_SET)
    null = os.open("/dev/null", os.O_RDWR)
    w = shared_starter.start(["/bin/cat"], stdio=[body, wr, null])
    os.close(wr)
    assert os.read(rd, 100) == b"from the body"
    assert w.wait() == "exited 0 0\n" and w.log() == ""
    assert os.read(rd, 100) == b"", "nobody keeps the other end"
    for fd in (rd, body, null):
        os.close(fd)


def test_mounts_app_and_data(shared_starter, folder):
    for d in ("app", "data"):
        os.mkdir(f"{folder}/{d}", 0o755)
    open(f"{folder}/app/main.txt", "w").write("tree")
    for d in ("app", "data"):
        rig.give(f"{folder}/{d}", 77)
    w = shared_starter.sh("cat main.txt; echo kept > /data/f; id -u; echo x > main.txt; ls /run/vitrine; cat /etc/hostname", uid_index=77, app=f"{folder}/app",
                          cwd="/home/user/app", hostname="my-host", mounts=[f"rw:{folder}/data:/data", f"ro:{rig.SANDBOX}:/run/vitrine/tool"])
    assert w.wait() == "exited 0 0\n", w.log()
    assert [line.split(" ", 1)[1] for line in w.log().splitlines()] == ["tree1000", "tool", "my-host"]
    assert open(f"{folder}/app/main.txt").read() == "tree"
    rig.as_range_root("chmod", "-R", "a+rX", f"{folder}/data")
    assert open(f"{folder}/data/f").read() == "kept\n"


def test_a_folder_below_the_home_that_is_copied_on_write(shared_starter, folder):
    """Its own folders can be changed, and are not outside; a file that is nobody's can be read alone. Before Linux 6.6 a
    folder that has files below cannot be removed: that takes extended attributes, which tmpfs did not have for users."""
    gone = "rm -r own" if rig.kernel() >= (6, 6) else "rm own/*; [ -z \"$(ls own)\" ]"
    os.makedirs(f"{folder}/cache/own", 0o755)
    open(f"{folder}/cache/own/mine", "w").write("mine")
    rig.give(f"{folder}/cache", 77)
    os.chmod(folder, 0o755)
    open(f"{folder}/shared", "w").write("shared")
    os.chmod(f"{folder}/shared", 0o444)
    rig.as_range_root("ln", f"{folder}/shared", f"{folder}/cache/own/shared")
    w = shared_starter.sh("cd ~/.cache/x; cat own/mine own/shared; echo changed > own/mine && echo new > own/new && " + gone + " && echo gone; echo x > ../beside && echo beside; ls | sed /^own$/d",
                          uid_index=77, mounts=[f"cw:{folder}/cache:/home/user/.cache/x"])
    assert w.wait() == "exited 0 0\n", w.log()
    assert [line.split(" ", 1)[1] for line in w.log().splitlines()] == ["mineshared" + "gone", "beside"], w.log()
    w = shared_starter.sh("cd ~/.cache/x/own; ls; echo x >> shared || chmod 666 shared || echo closed; ln shared more || rm shared && ls", uid_index=77,
                          mounts=[f"cw:{folder}/cache:/home/user/.cache/x"])
    assert w.wait() == "exited 0 0\n" and "closed" in w.log(), w.log()
    assert sorted(os.listdir(f"{folder}/cache/own")) == ["mine", "shared"] and open(f"{folder}/shared").read() == "shared"
    assert open(f"{folder}/cache/own/mine").read() == "mine"


def test_uids_differ_by_space(shared_starter, folder):
    """what one Space keeps to itself is closed to the next"""
    os.mkdir(f"{folder}/a", 0o700)
    open(f"{folder}/a/secret", "w").write("x")
    rig.give(f"{folder}/a", 1)
    assert shared_starter.sh("cat /data/secret", uid_index=1, mounts=[f"ro:{folder}/a:/data"]).wait() == "exited 0 0\n"
    assert shared_starter.sh("cat /data/secret", uid_index=2, mounts=[f"ro:{folder}/a:/data"]).wait() == "exited 1 0\n"


@pytest.mark.parametrize("values, step", [
    (dict(mounts=["ro:/no/such:/x"]), "mounts: open /no/such"), (dict(app="/no/such"), "mounts: open /no/such"), (dict(root="/no/such"), "mounts: open the root"),
    (dict(cwd="/no/such"), "program: working folder: enter /no/such"), (dict(uid_index=65534), "id maps: uid index"), (dict(argv=[]), "spec: there is no program"),
    (dict(argv=[""]), "spec: there is no program"), (dict(env=["NOVALUE"]), "spec: environment"), (dict(mounts=["xx:/a:/b"]), "spec: mount"),
    (dict(mounts=["cw:/usr:/data"]), "spec: mount target /data is not below the home"), (dict(mounts=["cw:/usr:/home/user/app/x"]), "spec: mount target"),
    (dict(mounts=["cw:/etc/passwd:/home/user/x"]), "mounts: /etc/passwd is no folder"), (dict(mounts=["cw:/usr:/home/user/app"]), "spec: mount target"), (dict(hostname="-"), "spec: host name"),
    (dict(tmp_bytes=0), "spec: /tmp"), (dict(pids=1), "spec: pids"), (dict(port=70000), "spec: port")])
def test_a_start_that_cannot_be_names_step_and_reason(shared_starter, values, step):
    w = shared_starter.begin(**{"argv": ["/bin/true"], **values})
    shared_starter.finish(w)
    assert w.started.code > 0 and w.started.message.startswith(step), w.started.message
    assert w.started.fds == []
    assert shared_starter.start(["/bin/true"]).wait() == "exited 0 0\n", "the next one is fine"
    hierarchies = len([g for g in rig.cgroups(shared_starter.instance) if g.endswith(shared_starter.instance)])
    started = len([w for w in shared_starter.workers.values() if w.pidfd >= 0])
    assert rig.until(lambda: len(rig.cgroups(shared_starter.instance)) <= hierarchies * (1 + SPARES + started)), "of what failed nothing is left"


def test_too_few_descriptors(shared_starter):
    shared_starter.ask("START", [], start_id=5, worker_id=99999, argv=b"/bin/true\0")
    m = shared_starter.receive("STARTED")
    assert m.code and "0 descriptors" in m.message


def test_group_numbers(shared_starter, limited):
    w = shared_starter.python("b = bytearray(40 << 20)\nprint('up', flush=True)\nimport time; time.sleep(60)", memory_bytes=128 << 20)
    assert rig.until(lambda: "up" in w.log())
    m = shared_starter.group(w)
    if not limited["memory"]:
        assert m.valid == 0
        pytest.skip("no control group of which numbers could be had")
    assert m.valid == 1 and 40 << 20 <= m.memory_bytes <= 128 << 20 and m.memory_peak_bytes >= m.memory_bytes
    assert m.cpu_us > 1000 and m.pids == 2 and m.oom_kills == 0


def test_out_of_memory_is_counted(starter, limited):
    if not limited["memory"]:
        pytest.skip("no control group limits memory here")
    w = starter.python("b = []\nwhile True: b.append(bytearray(1 << 20))", memory_bytes=48 << 20)
    assert w.wait(20) == "signaled 0 9\n"
    assert starter.group(w).oom_kills >= 1


def test_group_kill_ends_everything_at_once(shared_starter):
    w = shared_starter.sh("for i in 1 2 3 4 5; do sleep 60 & done; echo up; wait")
    assert rig.until(lambda: "up" in w.log())
    shared_starter.group(w, kill=True)
    assert select.select([w.pidfd], [], [], 5)[0]
    assert w.last_word() == "", "PID 1 had no time for a last word"


def test_group_is_removed_when_asked(starter):
    w = starter.start(["/bin/true"])
    w.wait()
    with_it = rig.cgroups(starter.instance)
    starter.group(w, remove=1)
    assert starter.group(w).valid == 0  # the first answer comes before the group goes, the second after
    if with_it:
        assert with_it - rig.cgroups(starter.instance), "its group is gone, whatever spare ones were made meanwhile"
    starter.workers.pop(w.id)
    w.close()


def group_folders(instance):
    return [os.path.join(d, name) for d, folders, _ in os.walk("/sys/fs/cgroup") if os.path.basename(d) == "vitrine-" + instance for name in folders]


def test_a_group_that_does_not_go_holds_up_nobody(starter):
    w = starter.sh("echo up; sleep 60")
    mine = [g for g in group_folders(starter.instance) if str(w.pid) in open(g + "/cgroup.procs").read().split()]
    if not mine:
        pytest.skip("no control groups here")
    inner = mine[0] + "/inner"  # the kernel keeps a group as long as there is one below
    os.mkdir(inner)
    try:
        starter.group(w, kill=True)
        w.wait()
        began = time.monotonic()
        starter.group(w, remove=1)
        assert starter.start(["/bin/true"]).started.code == 0
        assert time.monotonic() - began < 0.4 * rig.PATIENCE, "removing it is tried for a second"
    finally:
        os.rmdir(inner)
    starter.workers.pop(w.id)
    w.close()


def taker(starter, but=None):
    """The process that takes away what ended workers leave: the one child that is no spare"""
    own = os.stat("/proc/self/ns/pid").st_ino

    def find():
        return [p for p in rig.sandboxed_processes() if p != but and rig.parent(p) == starter.process.pid and os.stat(f"/proc/{p}/ns/pid").st_ino == own
                and len(rig.open_files(p)) <= 6]
    found = rig.until(find)
    assert found and len(found) == 1, found
    return found[0]


FILL = """
import os
for folder in ("/home/user/many", "/tmp", "/dev/shm"):
    os.makedirs(folder, exist_ok=True)
    for i in range(2500):
        open(f"{folder}/f{i}", "x").close()
here = os.open("/home/user/many", os.O_RDONLY)
for i in range(200):
    os.mkdir("deep", dir_fd=here)
    os.close(os.open("deep/file", os.O_CREAT, dir_fd=here))
    here, old = os.open("deep", os.O_RDONLY, dir_fd=here), here
    os.close(old)
os.mkdir("/tmp/closed")
open("/tmp/closed/file", "x").close()
os.chmod("/tmp/closed", 0)
open("/home/user/app/main.txt", "w").write("changed")
for i in range(100):
    open(f"/home/user/app/folder/f{i}", "x").close()
open("/data/of-the-worker", "x").close()
"""


def test_many_files_of_an_ended_worker_are_swept_and_no_others(starter, folder):
    """what is swept is what the sandbox made for itself: not the tree below a layer, nor what is mounted there"""
    for d in ("app/folder", "data/folder", "below"):
        os.makedirs(f"{folder}/{d}")
    for path in ("app/main.txt", "app/folder/file", "data/folder/file", "below/file"):
        open(f"{folder}/{path}", "w").write("kept")
    for d in ("app", "data", "below"):
        rig.give(f"{folder}/{d}", 77)
    w = starter.python(FILL, uid_index=77, app=f"{folder}/app", mounts=[f"rw:{folder}/data:/data", f"rw:{folder}/below:/home/user/below"],
                       tmp_bytes=64 << 20, home_bytes=64 << 20)
    assert w.wait() == "exited 0 0\n", w.log()
    pid = taker(starter) if rig.IS_ROOT else -1  # what it holds is not to be seen otherwise
    root = os.open(f"/proc/{starter.process.pid}/fd/{mounts_of(starter)[0]}", os.O_RDONLY) if rig.IS_ROOT else -1
    starter.group(w, remove=1)
    assert not rig.IS_ROOT or rig.until(lambda: not mounts_of(starter)), "the starter has let go of it"
    if root >= 0:
        left = rig.until(lambda: files_in(root) == (1, 1), 10) or files_in(root)
        assert left is True, "in /tmp and below the home there is nothing but what is mounted there"
        os.close(root)
    assert pid < 0 or rig.until(lambda: not [f for f in rig.open_files(pid) if f.startswith("mnt:") and f != os.readlink(f"/proc/{starter.process.pid}/ns/mnt")], 10), "and so has the other, in the end"
    assert pid < 0 or rig.is_running(pid)
    starter.workers.pop(w.id)
    w.close()
    rig.as_range_root("chmod", "-R", "a+rX", folder)
    for path in ("app/main.txt", "app/folder/file", "data/folder/file", "below/file"):
        assert open(f"{folder}/{path}").read() == "kept"
    assert os.listdir(f"{folder}/app/folder") == ["file"] and "of-the-worker" in os.listdir(f"{folder}/data")


def mounts_of(starter):
    """The mount namespaces of others that it holds, of workers and spares"""
    pid, own = starter.process.pid, os.readlink(f"/proc/{starter.process.pid}/ns/mnt")
    spares = {os.readlink(f"/proc/{p}/ns/mnt") for p in rig.sandboxed_processes() if rig.parent(p) == pid}
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            link = os.readlink(f"/proc/{pid}/fd/{fd}")
        except FileNotFoundError:
            continue
        if link.startswith("mnt:") and link != own and link not in spares:
            found.append(int(fd))
    return found


def files_in(mounts_fd):
    script = "import os; print(sum(len(f) for _, _, f in os.walk('/tmp')) + len(os.listdir('/dev/shm')) + 1, len(os.listdir('/home/user/many')) + 1 if os.path.exists('/home/user/many') else 1)"
    out = subprocess.run(["nsenter", f"--mount=/proc/self/fd/{mounts_fd}", rig.PYTHON, "-c", script], pass_fds=[mounts_fd], capture_output=True, text=True)
    return tuple(int(n) for n in out.stdout.split()) if out.returncode == 0 else out.stderr


@pytest.mark.skipif(not rig.IS_ROOT, reason="looking for it takes root: it is not dumpable")
def test_whoever_takes_away_is_started_again(starter):
    old = taker(starter)
    os.kill(old, signal.SIGKILL)
    w = starter.start(["/bin/true"])
    w.wait()
    assert rig.until(lambda: not rig.is_running(old))
    starter.group(w, remove=1)
    taker(starter, but=old)
    starter.workers.pop(w.id)
    w.close()


def test_workers_outlive_the_starter_and_are_found_again(starter):
    w = starter.python(SERVER, memory_bytes=96 << 20)
    c = w.control()
    starter.kill()
    starter.spawn()
    assert w.alive()
    assert rig.connect(w, 7860).recv(10) == b"hello"
    m = starter.group(w)
    if rig.cgroups(starter.instance):
        assert m.valid == 1 and m.memory_bytes > 1 << 20
    c.send("INIT_STOP", grace_ms=1000)
    assert w.wait() == "stopped 0 15\n"
    c.close()


def test_starter_ends_with_the_runner():
    s = rig.Starter()
    s.start(["/bin/true"]).wait()
    assert s.end() == 0
    assert rig.until(lambda: not rig.cgroups(s.instance))


def test_a_killed_starter_leaves_no_spare():
    s = rig.Starter()
    s.start(["/bin/true"]).wait()
    children = rig.until(lambda: [p for p in rig.sandboxed_processes() if rig.parent(p) == s.process.pid])
    s.kill()
    assert rig.until(lambda: not [p for p in children if p in rig.sandboxed_processes()])
    s.spawn()
    assert s.end() == 0
    assert not rig.cgroups(s.instance), "the next one sweeps what is empty"


def test_groups_survive_the_end_of_an_earlier_starter(starter):
    """a restarted runner has a new starter before the old one has ended and cleaned up behind itself"""
    old, sock = starter.process, starter.sock
    starter.start(["/bin/true"]).wait()
    starter.spawn()
    starter.start(["/bin/true"]).wait()
    for w in list(starter.workers.values()):
        starter.group(w, remove=1)
    sock.close()
    assert old.wait(10) == 0
    for group in sorted(rig.cgroups(starter.instance), reverse=True):
        if group.endswith(starter.instance):
            try:
                os.rmdir(group)  # as the old one does when it sees nothing in it
            except OSError:
                pass
    for _ in range(3):
        w = starter.start(["/bin/true"])
        assert w.started.code == 0, w.started.message
        assert w.wait() == "exited 0 0\n"


def test_a_start_goes_on_without_its_starter(starter):
    w = starter.begin(SLEEP)
    starter.sock.close()
    assert starter.process.wait(10) == 0
    c = rig.until(lambda: w.control())
    assert c.receive("INIT_STATE").worker_id == w.id
    c.send("INIT_STOP", grace_ms=0)
    assert c.receive("INIT_EXIT").signal == 9
    assert rig.until(w.last_word) == "stopped 0 9\n"
    c.close()
    starter.spawn()


def test_terminal_signals_are_not_for_the_starter(starter):
    starter.start(["/bin/true"]).wait()
    os.kill(starter.process.pid, signal.SIGINT)
    assert starter.start(["/bin/true"]).wait() == "exited 0 0\n"


def test_many_at_once(starter):
    """forty starts sent before one answer is read, with the largest orders among them"""
    ws = []
    for i in range(40):
        ws.append(starter.begin(["/bin/sh", "-c", f"exit {i}"], env=[f"BIG{k}=" + "x" * 1000 for k in range(60)] if i % 10 == 0 else []))
    by_id = {w.id + 1000: w for w in ws}
    for _ in ws:
        m = starter.receive("STARTED")
        assert m.code == 0, m.message
        by_id[m.start_id].pidfd = m.fds[0]
    assert [w.wait() for w in ws] == [f"exited {i} 0\n" for i in range(40)]


def test_the_same_worker_twice_is_refused(starter):
    w = starter.start(SLEEP)
    again = starter.begin(SLEEP, worker_id=None)
    starter.finish(again)
    starter.ask("START", [again.listener.fileno(), *again.log_fds, again.exit_fd], start_id=7, worker_id=w.id, argv=b"/bin/true\0", root="host",
                cwd="/", tmp_bytes=1 << 20, home_bytes=1 << 20)
    m = starter.receive("STARTED")
    assert m.code == 17 and "started before" in m.message


def test_limits_that_must_be(shared_starter, limited, folder):
    """where they are not to be had, nothing of the program runs"""
    os.mkdir(f"{folder}/data", 0o777)
    os.chmod(f"{folder}/data", 0o777)
    w = shared_starter.sh("echo x > /data/ran", flags=wire.ENUM["START_NEED_LIMITS"], mounts=[f"rw:{folder}/data:/data"])
    if all(limited.values()):
        assert w.started.code == 0 and w.wait() == "exited 0 0\n" and os.listdir(f"{folder}/data") == ["ran"]
    else:
        assert w.started.code == errno.ENOTSUP and "limits" in w.started.message and os.listdir(f"{folder}/data") == []


def test_standard_output_can_be_opened_by_name(shared_starter):
    w = shared_starter.sh("echo one > /dev/stdout; echo two > /dev/stderr; echo three > /proc/self/fd/1; cat /dev/stdout")
    w.wait()
    assert [line.split(" ", 1)[1] for line in w.log().splitlines()][:3] == ["one", "two", "three"]
    assert "Permission denied" in w.log().splitlines()[3], "its own log cannot be read back"
