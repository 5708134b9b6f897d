"""What known escapes of other sandboxes came through, tried from the inside; CONTRIBUTING.md has the table from line to test.
What a program sees at its start is in test_inside.py, locks are in test_shared.py, bombs in test_bombs.py."""
import ctypes
import json
import mmap
import os
import platform
import pty
import signal
import subprocess

import pytest

import rig

COMMON = r'''
import ctypes, errno, fcntl, json, mmap, os, resource, signal, socket, stat, struct, sys
libc = ctypes.CDLL(None, use_errno=True)

def attempt(f):
    try: r = f(); return "done" if r is None else r
    except OSError as e: return errno.errorcode[e.errno]

def call(nr, *a):
    ctypes.set_errno(0)
    r = libc.syscall(nr, *(ctypes.c_long(x) if isinstance(x, int) else x for x in a))
    return "done" if r >= 0 else errno.errorcode[ctypes.get_errno()]

def in_child(f):
    pid = os.fork()
    if pid == 0:
        try: f()
        finally: os._exit(0)
    st = os.waitpid(pid, 0)[1]
    return "signal %d" % os.WTERMSIG(st) if os.WIFSIGNALED(st) else "status %d" % os.WEXITSTATUS(st)

def machine_code(code):
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    return ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(page))), page
'''


def ask(script, *options, **kw):
    r = rig.python(COMMON + script, *options, **kw)
    assert r.returncode == 0, r
    return json.loads(r.stdout)


# ---- 1

def test_a_terminal_on_stdio_is_no_way_out():
    """TIOCSTI and TIOCLINUX in all spellings of their low half, on a real terminal (CVE-2017-5226, CVE-2019-10063)"""
    master, slave = pty.openpty()
    script = COMMON + r'''
requests = [0x5412, 0x541c, 0x5412 | 1 << 32, 0x541c | 1 << 32, 0x5412 | 0xffffffff << 32, 0x541c | 0x80000000 << 32]
print(json.dumps([[call(16, fd, n, ctypes.c_char_p(b"\3")) for n in requests] for fd in (0, 1)] + [attempt(lambda: os.close(os.open("/dev/tty", 2)))]))
'''
    try:
        r = subprocess.run([rig.SANDBOX, "run", "--", rig.PYTHON, "-c", script], stdin=slave, stdout=subprocess.PIPE, stderr=slave, timeout=30 * rig.PATIENCE)
        *calls, tty = json.loads(r.stdout)
    finally:
        os.close(master)
        os.close(slave)
    assert {c for fd in calls for c in fd} == {"ENOSYS"} and tty == "ENOENT", (calls, tty)


# ---- 2

def test_the_program_in_the_machine_s_memory_cannot_be_written(starter):
    """/proc/self/exe (CVE-2019-5736): the demo's own is on a read-only mount; PID 1's is a sealed memfd or nothing that it sees"""
    w = starter.python(COMMON + r'''
import time
def reopen(path, flags):
    fd = os.open(path, os.O_RDONLY)
    return attempt(lambda: os.close(os.open("/proc/self/fd/%d" % fd, flags)))
print(json.dumps([attempt(lambda: os.close(os.open("/proc/self/exe", os.O_WRONLY))), reopen("/proc/self/exe", os.O_RDWR),
    attempt(lambda: os.close(os.open("/proc/1/exe", os.O_RDONLY))), attempt(lambda: os.readlink("/proc/1/exe")),
    call(157, 3, 0), attempt(lambda: os.kill(1, 9)), call(101, 16, 1, 0, 0)]), flush=True)
time.sleep(60)''')
    line = rig.until(lambda: w.log().strip())
    own, reopened, init, link, dumpable, kill, trace = json.loads(line[line.index("["):])
    assert own in ("ETXTBSY", "EACCES", "EROFS", "EPERM") and reopened in ("ETXTBSY", "EACCES", "EROFS", "EPERM")
    assert init in ("ENOENT", "EACCES", "EPERM") and link in ("ENOENT", "EACCES", "EPERM")
    assert kill == "EPERM" and trace == "EPERM" and dumpable == "done"
    if rig.IS_ROOT:
        assert os.access(f"/proc/{w.pid}/exe", os.F_OK)
        # not dumpable: its files in /proc belong to the root of the machine, not to its uid
        assert os.stat(f"/proc/{w.pid}/environ").st_uid == 0


NOEXEC = r"""
import os, socket, subprocess, sys, time
try: open("/proc/sys/vm/memfd_noexec", "w").write("1")
except OSError: print("no such switch"); sys.exit()
os.dup2(0, 3)
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
os.dup2(theirs.fileno(), 3)
p = subprocess.Popen([sys.argv[1], "starter", "--instance", sys.argv[2]], pass_fds=[3])
theirs.close(); os.close(3)
name, end = "", time.monotonic() + 20
while not name.startswith("/memfd:") and time.monotonic() < end:
    name = os.readlink("/proc/%d/exe" % p.pid)
    time.sleep(0.005)
ours.close()
p.wait()
print(name)
"""


@pytest.mark.skipif(not rig.IS_ROOT, reason="an ordinary user has no pid namespace to set this in")
def test_the_starter_s_memory_can_be_run_where_files_in_memory_cannot():
    """vm.memfd_noexec, which belongs to a pid namespace"""
    r = subprocess.run(["unshare", "-mpf", "--mount-proc", rig.PYTHON, "-c", NOEXEC, rig.SANDBOX, f"noexec-{os.getpid()}"],
                       capture_output=True, text=True, timeout=60 * rig.PATIENCE)
    assert r.stdout.strip() in ("/memfd:vitrine-sandbox (deleted)", "no such switch"), r


# ---- 3

@pytest.fixture
def host_root():
    """a descriptor of the host's root that whoever starts a sandbox forgot to close"""
    fd = os.open("/", os.O_RDONLY)
    yield fd
    os.close(fd)


def test_no_descriptor_leads_out(host_root):
    """CVE-2024-21626: none is left open, and the working folder is one of ours, whatever it is asked for"""
    seen = ask(r'''
def magic(fd):
    try: return os.readlink("/proc/self/fd/%d" % fd)
    except OSError: return None
up = [attempt(lambda fd=fd: os.open("/proc/self/fd/%d/../../../etc/shadow" % fd, os.O_RDONLY)) for fd in range(256)]
cwds = []
for d in ("/", "/tmp", "/usr", "/proc/self", "/proc/self/cwd", "/home/user", "/dev/shm"):
    os.chdir(d)
    cwds.append(os.getcwd())
open_fds = [fd for fd in range(3, 1024) if magic(fd)]
print(json.dumps([open_fds, sorted({str(u) for u in up}), cwds]))''', pass_fds=[host_root])
    fds, up, cwds = seen
    assert fds == [] and set(up) <= {"ENOENT", "ENOTDIR", "EACCES"}, seen
    assert all(c.startswith("/") and "(unreachable)" not in c for c in cwds), cwds


@pytest.mark.parametrize("number", [3, 7, 8, 9, 100])
def test_a_working_folder_by_descriptor_is_refused(number, host_root):
    r = rig.run("--cwd", f"/proc/self/fd/{number}", "--", "/bin/pwd", pass_fds=[host_root])
    assert r.returncode != 0 and "/etc" not in r.stdout, r


# ---- 4, 5, 6

def test_what_masks_a_file_is_the_null_device():
    """CVE-2025-31133"""
    seen = ask(r'''
masked = [p for p in ("/proc/kcore", "/proc/keys", "/proc/cmdline", "/proc/timer_list", "/proc/sched_debug", "/proc/kallsyms",
                      "/proc/interrupts", "/proc/locks", "/proc/partitions", "/proc/diskstats") if os.path.exists(p)]
print(json.dumps({p: [stat.S_ISCHR(os.stat(p).st_mode), os.stat(p).st_rdev == os.makedev(1, 3)] for p in masked}))''')
    assert seen and all(all(v) for v in seen.values()), seen


def test_a_mount_target_through_a_link_is_refused(folder):
    os.mkdir(f"{folder}/app")
    os.symlink("/etc", f"{folder}/app/link")
    rig.give(f"{folder}/app", 5)
    r = rig.sh("cat /etc/passwd", "--app", f"{folder}/app", "--uid-index", "5", "--ro", "/usr/lib:/home/user/app/link/forged")
    assert r.returncode == 125 and ("Too many levels" in r.stderr or "look up" in r.stderr), r


def test_flags_of_every_submount(folder):
    """a bind takes no flags at first and none for what is mounted below: each mount of it is looked at"""
    seen = ask(r'print(json.dumps([[m[4], m[5].split(",")] for m in (l.split() for l in open("/proc/self/mountinfo"))]))',
               "--ro", "/sys:/ro", "--rw", f"{folder}:/rw")
    devices = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/run/null"}
    for point, flags in seen:
        assert "nosuid" in flags, (point, flags)
        assert "nodev" in flags or point in devices or point.startswith("/proc/"), (point, flags)
        assert "ro" in flags if point.startswith("/ro") else True, (point, flags)


# ---- 7, 8, 9, 10

def test_groups_are_empty_and_stay_so():
    seen = ask(r'print(json.dumps([os.getgroups(), attempt(lambda: os.setgroups([0])), attempt(lambda: os.setgid(0)), attempt(lambda: os.setuid(0)), open("/proc/self/gid_map").read().split(), open("/proc/self/setgroups").read().strip()]))')
    assert seen[0] == [] and seen[1:4] == ["EPERM"] * 3 and seen[5] == "allow", seen
    assert seen[4][0::3] == ["0", "1000"] and seen[4][2::3] == ["1", "1"], "two ids and no other"


def test_keyrings_are_closed():
    assert ask('print(json.dumps([call(250, op, -3, 0, 0, 0) for op in range(0, 32)] + [call(248, ctypes.c_char_p(b"user"), ctypes.c_char_p(b"k"), ctypes.c_char_p(b"v"), 1, -3), call(249, ctypes.c_char_p(b"user"), ctypes.c_char_p(b"k"), 0, 0)]))') == ["EPERM"] * 34


def test_every_flag_of_a_new_namespace_is_refused():
    flags = {"time": 0x80, "mount": 0x20000, "cgroup": 0x2000000, "uts": 0x4000000, "ipc": 0x8000000, "user": 0x10000000, "pid": 0x20000000, "net": 0x40000000}
    seen = ask("flags = %r\nprint(json.dumps({n: [call(272, f), call(56, f | 17, 0, 0, 0, 0) if n != 'time' else 'EPERM', call(308, os.open('/proc/self/ns/user', 0), f)] for n, f in flags.items()}))" % flags)
    assert all(v != "done" for calls in seen.values() for v in calls), seen


def test_clone3_says_that_it_does_not_exist_and_threads_work():
    """EPERM would break thread libraries, which then do not fall back"""
    assert ask('import threading\nout = []\nt = threading.Thread(target=lambda: out.append(1)); t.start(); t.join()\nprint(json.dumps([call(435, 0, 0), call(435, ctypes.create_string_buffer(88), 88), call(425, 1, 0), call(426, 0, 0, 0, 0, 0), call(427, 0, 0, 0, 0), out]))') == \
        ["ENOSYS"] * 5 + [[1]]


# ---- 11

@pytest.mark.skipif(platform.machine() != "x86_64", reason="other call tables exist on x86-64 alone")
def test_other_call_tables_kill():
    """int 0x80 is the table of i386 (where the kernel has it; else it faults), bit 30 that of x32"""
    seen = ask(r'''
i386, keep1 = machine_code(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")                      # mov eax, 20; int 0x80; ret
x32, keep2 = machine_code(b"\xb8\x27\x00\x00\x40\x0f\x05\xc3")                       # mov eax, 0x40000027; syscall; ret
plain, keep3 = machine_code(b"\xb8\x27\x00\x00\x00\x0f\x05\xc3")                     # getpid, to see that the probe works
print(json.dumps([in_child(i386), in_child(x32), in_child(lambda: os._exit(7 if plain() == os.getpid() else 1))]))''')
    assert seen[0] in (f"signal {signal.SIGSYS.value}", f"signal {signal.SIGSEGV.value}"), seen
    assert seen[1] == f"signal {signal.SIGSYS.value}" and seen[2] == "status 7", seen


def test_socket_families_one_by_one():
    """of all that a kernel may have, local and internet sockets, and of netlink the table of routes"""
    seen = ask(r'''
def one(*a):
    try: socket.socket(*a).close(); return True
    except OSError: return False
print(json.dumps([[f for f in range(0, 64) if any(one(f, t, 0) for t in (1, 2, 3, 5))], [p for p in range(0, 32) if one(16, 3, p)]]))''')
    assert seen == [[1, 2, 10, 16], [0]], seen


# ---- 12

def test_proc_is_closed_for_writing():
    seen = ask(r'''
found = []
for folder in ("/proc/sys", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/driver", "/proc/tty"):
    for d, _, files in os.walk(folder):
        for f in files:
            try: os.close(os.open(d + "/" + f, os.O_WRONLY)); found.append(d + "/" + f)
            except OSError: pass
print(json.dumps([found, attempt(lambda: os.close(os.open("/proc/sysrq-trigger", os.O_WRONLY))), os.path.exists("/sys"), attempt(lambda: os.listdir("/proc/1"))]))''')
    assert seen[0] == [] and seen[1] != "done" and seen[2] is False
    assert seen[3] in ("ENOENT", "EACCES", "EPERM"), "hidden, or closed"


# ---- 13

def test_a_core_dump_goes_nowhere(folder):
    """the limit is 1, and stays 1: with 0, which everybody may set, a piped core_pattern starts the host's handler all the same"""
    seen = ask(r'''
os.chdir("/tmp")
pair, old = struct.Struct("QQ"), ctypes.create_string_buffer(16)
for high in (0, 1 << 32):
    call(160, 4 | high, ctypes.c_char_p(pair.pack(0, 0)))
    call(302, 0, 4 | high, ctypes.c_char_p(pair.pack(0, 0)), 0)
    call(302, os.getpid(), 4 | high, ctypes.c_char_p(pair.pack(0, 1)), old)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0)) # says that it was done
r = in_child(lambda: os.kill(os.getpid(), signal.SIGSEGV))
try: resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, 1 << 20))
except ValueError: pass
print(json.dumps([r, sorted(os.listdir("/tmp")), list(resource.getrlimit(resource.RLIMIT_CORE))]))''')
    assert seen == ["signal 11", [], [1, 1]], seen


# ---- what is shared and counted for nobody

def test_nothing_is_taken_from_the_hosts_pools():
    """huge pages, memory that is merged, programs on sockets: by every spelling of their flags"""
    seen = ask(r'''
s, u, one, high = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM), ctypes.byref(ctypes.c_int(2)), 1 << 32
page = mmap.mmap(-1, 4096)
at = ctypes.addressof(ctypes.c_char.from_buffer(page))
huge = 0x22 | 0x4000 | 0x40000 # private, anonymous, not reserved, huge
print(json.dumps([[call(9, 0, 1 << 21, 3, f, -1, 0) for f in (huge, huge | 21 << 26, huge | high)], [call(319, ctypes.c_char_p(b"x"), f) for f in (4, 4 | 21 << 26, 4 | high)],
    [call(28, at, 4096, a) for a in (12, 12 | high)], [call(54, s.fileno(), 1, o, one, 4) for o in (26, 50, 51, 52, 26 | high)] + [call(54, u.fileno(), 17, 100, one, 4)],
    [call(28, at, 4096, a) for a in (4, 14, 16)], call(54, s.fileno(), 1, 2, one, 4), call(54, u.fileno(), 17, 103, one, 4)]))''')
    assert seen == [["ENOMEM"] * 3, ["ENOSYS"] * 3, ["EINVAL"] * 2, ["ENOSYS"] * 6, ["done"] * 3, "done", "done"], seen


def test_shared_files_stay_in_the_hosts_memory(folder):
    """a neighbour would read them from the disk again; as an advice it is taken, and not followed"""
    path = f"{folder}/shared"
    with open(path, "wb") as f:
        f.write(bytes(1 << 20))
        f.flush()
        os.fsync(f.fileno())
    os.chmod(path, 0o644)

    def cached():
        with open(path, "r+b") as f, mmap.mmap(f.fileno(), 1 << 20) as m:
            pages = ctypes.create_string_buffer(256)
            assert ctypes.CDLL(None).mincore(ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(m))), ctypes.c_size_t(1 << 20), pages) == 0
            return sum(p & 1 for p in pages.raw)
    open(path, "rb").read()
    assert cached() == 256
    assert ask(r'''
fd = os.open("/ro/shared", os.O_RDONLY)
print(json.dumps([call(221, fd, 0, 0, a) for a in (0, 2, 3, 4, 4 | 1 << 32)]))''', "--ro", f"{folder}:/ro") == ["done"] * 5
    assert cached() == 256


def test_the_hosts_devices_are_not_touched():
    """their inodes are the host's, and who may write to one might set its times"""
    devices = [f"/dev/{d}" for d in ("null", "zero", "full", "random", "urandom")]
    before = [os.stat(d).st_mtime_ns for d in devices]
    seen = ask("print(json.dumps([[attempt(lambda: os.utime(d)), attempt(lambda: os.chmod(d, 0o600)), attempt(lambda: os.close(os.open(d, os.O_WRONLY)))] for d in %r]))" % devices)
    assert seen == [["EROFS", "EROFS", "done"]] * 5 and [os.stat(d).st_mtime_ns for d in devices] == before, seen


# ---- 14, 15

def test_strangers_are_reaped_and_end_with_the_program():
    """orphans become PID 1's children; none outlives the program, and none is left as a zombie"""
    seen = ask(r'''
import time
for _ in range(5):
    if os.fork() == 0:
        if os.fork() == 0: time.sleep(0.01); os._exit(0)
        os._exit(0)
    os.wait()
end = time.monotonic() + 5
def others(): return [p for p in os.listdir("/proc") if p.isdigit() and int(p) not in (1, os.getpid())]
while others() and time.monotonic() < end: time.sleep(0.005)
if os.fork() == 0: os.setsid(); os.closerange(0, 3); time.sleep(600)
print(json.dumps(others()[1:]))''', timeout=15)
    assert seen == []


# ---- 20

@pytest.mark.parametrize("name", ["../x", "a/b", "a b", "-a", "a\n", "x" * 65])
def test_a_name_that_is_no_name_is_refused(name):
    r = rig.run("--hostname", name, "--", "/bin/true")
    assert r.returncode in (2, 125) and r.stderr.startswith("vitrine-sandbox: "), r


def test_its_groups_were_joined_before_it_began():
    """A cgroup namespace calls the groups "/" that its maker was in: who is put into one later sees where that one lies"""
    r = rig.sh("cat /proc/self/cgroup", "--memory", "64M", "--pids", "20", "--cpu", "0.5")
    assert r.returncode == 0 and r.stdout, r
    assert {line.split(":", 2)[2] for line in r.stdout.splitlines()} == {"/"}
