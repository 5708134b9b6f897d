"""What a program sees and may do inside, asked from the inside."""
import ctypes
import json
import os
import signal
import subprocess

import pytest

import rig

PROBE = r'''
import ctypes, errno, glob, json, os, resource, socket, stat, struct, sys
libc = ctypes.CDLL(None, use_errno=True)

def call(nr, *a):
    """in a child: a filter that kills is seen as such"""
    pid = os.fork()
    if pid == 0:
        ctypes.set_errno(0)
        r = libc.syscall(nr, *(ctypes.c_long(x) if isinstance(x, int) else x for x in a))
        os._exit(0 if r >= 0 else ctypes.get_errno())
    st = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(st): return "signal %d" % os.WTERMSIG(st)
    return errno.errorcode[os.WEXITSTATUS(st)] if os.WEXITSTATUS(st) else "done"

def attempt(f):
    try: f(); return "done"
    except OSError as e: return errno.errorcode[e.errno]

def instances():
    fds = [libc.inotify_init() for _ in range(5)]
    for fd in fds: os.close(fd) if fd >= 0 else None
    return [fd >= 0 for fd in fds]

def notify():
    fd = os.open("/usr/bin", os.O_RDONLY)
    try: return call(72, fd, 1026, 1)
    finally: os.close(fd)

def reads(p):
    try: return len(open(p, "rb").read(64)) > 0
    except OSError: return False

status = dict(l.split(":", 1) for l in open("/proc/self/status").read().splitlines() if ":" in l)
mounts = [l.split() for l in open("/proc/self/mountinfo")]
M = {"mount": 165, "umount2": 166, "unshare": 272, "setns": 308, "ptrace": 101, "bpf": 321, "keyctl": 250, "add_key": 248,
     "request_key": 249, "io_uring_setup": 425, "io_uring_enter": 426, "userfaultfd": 323, "process_vm_readv": 310,
     "process_vm_writev": 311, "perf_event_open": 298, "kexec_load": 246, "init_module": 175, "finit_module": 313,
     "open_by_handle_at": 304, "name_to_handle_at": 303, "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsmount": 432,
     "mount_setattr": 442, "pivot_root": 155, "chroot": 161, "reboot": 169, "swapon": 167, "syslog": 103, "acct": 163,
     "settimeofday": 164, "iopl": 172, "quotactl": 179, "pidfd_getfd": 438, "kcmp": 312, "fanotify_init": 300, "clone3": 435,
     "sethostname": 170, "modify_ldt": 154, "vhangup": 153, "memfd_secret": 447}
out = {
 "uid": os.getresuid(), "gid": os.getresgid(), "groups": os.getgroups(),
 "caps": [status["Cap" + k].strip() for k in ("Inh", "Prm", "Eff", "Bnd", "Amb")],
 "nnp": status["NoNewPrivs"].strip(), "seccomp": status["Seccomp"].strip(),
 "pids": [int(p) for p in os.listdir("/proc") if p.isdigit()], "pid": os.getpid(), "sid": os.getsid(0),
 "init": [reads("/proc/1/" + f) for f in ("environ", "maps", "cmdline", "exe", "root")] + [os.path.exists("/proc/1")],
 "kill_init": [attempt(lambda s=s: os.kill(1, s)) for s in (0, 9, 15, 19)],
 "calls": {n: call(nr, 0, 0, 0, 0, 0) for n, nr in M.items()},
 "clone_newuser": call(56, 0x10000000 | 17, 0, 0, 0, 0), "clone_newnet": call(56, 0x40000000 | 17, 0, 0, 0, 0),
 "unshare_user": call(272, 0x10000000), "i386": None,
 "tiocsti": [call(16, 0, 0x5412, ctypes.c_char_p(b"x")), call(16, 0, 0x5412 | (1 << 32), ctypes.c_char_p(b"x")), call(16, 0, 0x541c, ctypes.c_char_p(b"\3"))],
 "devices": [call(133, ctypes.c_char_p(b"/tmp/dev"), 0o020666, 0x103), call(133, ctypes.c_char_p(b"/tmp/dev"), 0o060666, 0x800)],
 "watches": {"notify": notify(),
             "lease": call(72, 0, 1024, 0), "queue": call(240, ctypes.c_char_p(b"q"), 66, 0o600, 0)},
 "absent": {n: call(nr, 0, 0, 0, 0, 0) for n, nr in {"vmsplice": 278, "tee": 276, "mbind": 237, "set_mempolicy": 238, "process_mrelease": 448}.items()},
 "inotify": [call(294, 0), call(254, 3, ctypes.c_char_p(b"/usr/bin"), 0xfff)], "instances": instances(),
 "ioprio": call(251, 1, 0, 2 << 13), "ulp": call(54, socket.socket().fileno(), 6, 31, ctypes.c_char_p(b"tls"), 3),
 "ulp_high": call(54, socket.socket().fileno(), 6 | 1 << 32, 31 | 1 << 32, ctypes.c_char_p(b"tls"), 3),
 "nodelay": attempt(lambda: socket.socket().setsockopt(6, 1, 1)), "fifo": attempt(lambda: os.mkfifo("/tmp/fifo")),
 "x32": call(0x40000000 + 39),
 "sockets": {n: call(41, *a) for n, a in {"inet": (2, 1, 0), "inet6": (10, 2, 0), "unix": (1, 5, 0), "route": (16, 3, 0), "raw": (2, 3, 1),
    "packet": (17, 3, 0), "vsock": (40, 1, 0), "alg": (38, 5, 0), "audit": (16, 3, 9), "netfilter": (16, 3, 12), "sctp": (2, 1, 132),
    "icmp": (2, 2, 1), "bluetooth": (31, 3, 1), "xdp": (44, 3, 0), "inet_high": (2 | 40 << 32, 1, 0), "vsock_high": (40 | 1 << 32, 1, 0)}.items()},
 "personality": [call(135, 0xffffffff), call(135, 0x0040000), call(135, 0x0400000)],
 "prctl": [call(157, 15, ctypes.c_char_p(b"name")), call(157, 35, 1, 0, 0, 0), call(157, 62, 0, 0, 0, 0)],
 "interfaces": [n for _, n in socket.if_nameindex()],
 "root": sorted(os.listdir("/")), "dev": sorted(os.listdir("/dev")), "etc": sorted(os.listdir("/etc")),
 "unwritable": {p: attempt(lambda p=p: open(p, "w")) for p in ("/x", "/usr/x", "/etc/passwd", "/dev/x", "/proc/sys/kernel/hostname",
    "/proc/sysrq-trigger", "/proc/self/oom_score_adj", "/run/x", "/run/sandbox/hosts", "/var/x", "/home/x", "/proc/1/oom_score_adj")},
 "unlink": attempt(lambda: os.unlink("/etc/passwd")), "chmod": attempt(lambda: os.chmod("/usr/bin/env", 0o777)),
 "setuid_dirs": [m[4] for m in mounts if "nosuid" not in m[5]],
 "dev_mounts": [m[4] for m in mounts if "nodev" not in m[5]],
 "writable": sorted({m[4] for m in mounts if m[5].startswith("rw")}),
 "shared": [m for m in mounts if any(f.startswith(("shared:", "master:")) for f in m[6:m.index("-")])],
 "host": [p for p in json.loads(os.environ["HOST_FILES"]) if reads(p)],
 "masked": {p: reads(p) for p in ("/proc/kcore", "/proc/keys", "/proc/cmdline", "/proc/timer_list", "/proc/kallsyms", "/proc/interrupts", "/proc/locks", "/proc/partitions", "/proc/diskstats", "/proc/kmsg")},
 "scsi": [os.listdir(p) for p in ("/proc/acpi", "/proc/scsi", "/proc/asound") if os.path.isdir(p)],
 "sys": os.path.exists("/sys"), "cgroup": open("/proc/self/cgroup").read().split(),
 "fds": sorted(int(f) for f in os.listdir("/proc/self/fd")), "cwd": os.getcwd(),
 "max_userns": open("/proc/sys/user/max_user_namespaces").read().strip(),
 "limits": {n: resource.getrlimit(getattr(resource, "RLIMIT_" + n))[0] for n in ("CORE", "NOFILE", "FSIZE", "NPROC", "RTPRIO", "NICE", "MSGQUEUE")},
 "oom": int(open("/proc/self/oom_score_adj").read()), "oom_lower": None,
 "hostname": socket.gethostname(), "resolves": socket.gethostbyname(socket.gethostname()),
 "shm": attempt(lambda: open("/dev/shm/x", "w").write("x")), "home": attempt(lambda: open("x", "w").write("x")),
 "tmp_sticky": bool(os.stat("/tmp").st_mode & stat.S_ISVTX), "null": open("/dev/null", "w").write("x"),
 "zero": open("/dev/zero", "rb").read(4) == b"\0" * 4, "random": len(open("/dev/urandom", "rb").read(8)),
 "tty": attempt(lambda: open("/dev/tty")), "signals": status["SigIgn"].strip() + status["SigBlk"].strip(),
 "umask": status.get("Umask", "").strip(), "keyring": call(250, 0, -3, 0),
}
print(json.dumps(out))
'''


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    secret = tmp_path_factory.mktemp("host") / "secret"
    secret.write_text("x")
    files = [str(secret), "/etc/shadow", "/etc/machine-id", "/root/.bashrc", "/proc/1/environ", "/boot", "/var/log/dpkg.log", os.path.abspath(__file__)]
    r = rig.python(PROBE, "--env", "HOST_FILES=" + json.dumps(files), "--pids", "64", "--hostname", "demo-host", "--memory", "256M")
    assert r.returncode == 0, r.stderr
    return json.loads(r.stdout)


def test_identity(seen):
    assert seen["uid"] == [1000] * 3 and seen["gid"] == [1000] * 3
    assert seen["groups"] == []


def test_no_capability_in_any_set(seen):
    assert [int(c, 16) for c in seen["caps"]] == [0] * 5


def test_no_new_privs_and_filter(seen):
    assert (seen["nnp"], seen["seccomp"]) == ("1", "2")


def test_own_processes_only(seen):
    assert seen["pids"] == [seen["pid"]] and seen["pid"] < 10
    assert seen["sid"] == seen["pid"], "a session of its own"


def test_pid_1_is_out_of_reach(seen):
    assert not any(seen["init"])
    assert set(seen["kill_init"]) == {"EPERM"}


@pytest.mark.parametrize("name", ["mount", "umount2", "unshare", "setns", "ptrace", "bpf", "keyctl", "add_key", "request_key",
                                  "userfaultfd", "process_vm_readv", "process_vm_writev", "perf_event_open", "kexec_load", "init_module",
                                  "finit_module", "open_by_handle_at", "name_to_handle_at", "open_tree", "move_mount", "fsopen", "fsmount",
                                  "mount_setattr", "pivot_root", "chroot", "reboot", "swapon", "syslog", "acct", "settimeofday", "iopl",
                                  "quotactl", "pidfd_getfd", "kcmp", "fanotify_init", "sethostname", "modify_ldt", "vhangup"])
def test_call_is_refused(seen, name):
    assert seen["calls"][name] == "EPERM"


@pytest.mark.parametrize("name", ["clone3", "io_uring_setup", "io_uring_enter"])
def test_call_does_not_exist(seen, name):
    assert seen["calls"][name] == "ENOSYS"


def test_no_device_nodes_but_fifos(seen):
    assert seen["devices"] == ["EPERM", "EPERM"] and seen["fifo"] == "done"


def test_nothing_tells_what_the_host_or_a_neighbour_opens(seen):
    assert set(seen["watches"].values()) == {"ENOSYS"}, seen["watches"]
    assert seen["inotify"] == ["done", "ENOSPC"]


def test_few_inotify_instances(seen):
    """they are counted for whoever started all of this, too"""
    assert seen["instances"] == [True, True, False, False, False]


def test_calls_that_no_program_needs_are_absent(seen):
    assert set(seen["absent"].values()) == {"ENOSYS"}, seen["absent"]
    assert seen["ioprio"] == "EPERM"


def test_sockets_take_plain_options_only(seen):
    assert seen["ulp"] == seen["ulp_high"] == "ENOSYS" and seen["nodelay"] == "done"


def test_no_namespace_by_clone(seen):
    assert seen["clone_newuser"] != "done" and seen["clone_newnet"] != "done" and seen["unshare_user"] == "EPERM"
    assert seen["max_userns"] == "0"


def test_foreign_call_tables_kill(seen):
    assert seen["x32"] == "signal 31"


def test_typing_into_a_terminal_is_refused_in_all_spellings(seen):
    assert set(seen["tiocsti"]) == {"ENOSYS"}


def test_socket_families(seen):
    s = seen["sockets"]
    assert {k for k, v in s.items() if v == "done"} == {"inet", "inet6", "unix", "route", "inet_high"}
    # the kernel looks at the low half alone, and so does the filter: AF_INET with rubbish above is AF_INET
    assert s["vsock_high"] == "ENOSYS"


def test_personality_and_prctl(seen):
    assert seen["personality"] == ["done", "ENOSYS", "ENOSYS"]
    assert seen["prctl"] == ["done", "ENOSYS", "ENOSYS"]


def test_only_loopback(seen):
    assert seen["interfaces"] == ["lo"]


def test_what_lies_in_the_root(seen):
    assert set(seen["root"]) <= {"bin", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "proc", "run", "sbin", "tmp", "usr", "var"}
    assert seen["dev"] == ["fd", "full", "null", "random", "shm", "stderr", "stdin", "stdout", "urandom", "zero"]
    assert not {"shadow", "machine-id", "ssh", "sudoers", "fstab", "subuid"} & set(seen["etc"])
    assert not seen["sys"]


def test_nothing_of_the_host_is_read(seen):
    assert seen["host"] == []


def test_mounts_are_private_nosuid_nodev(seen):
    assert seen["setuid_dirs"] == [] and seen["shared"] == []
    assert {d for d in seen["dev_mounts"] if not d.startswith("/proc/")} == \
        {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/run/null"}


def test_what_is_writable(seen):
    assert set(seen["writable"]) == {"/dev/shm", "/tmp", "/home/user"}
    assert set(seen["unwritable"].values()) <= {"EROFS", "EACCES", "ENOENT", "EPERM"}, seen["unwritable"]
    assert seen["unlink"] == "EROFS" and seen["chmod"] in ("EROFS", "EPERM")
    assert seen["shm"] == "done" and seen["home"] == "done" and seen["tmp_sticky"]


def test_proc_is_masked(seen):
    assert not any(seen["masked"].values()), seen["masked"]
    assert not any(seen["scsi"])


def test_cgroup_names_nothing(seen):
    assert all(line.endswith(":/") for line in seen["cgroup"]), seen["cgroup"]


def test_no_descriptor_leaks(seen):
    assert seen["fds"] == [0, 1, 2, 3], "3 is the listing itself"
    assert seen["cwd"] == "/home/user"


def test_limits(seen):
    assert seen["limits"] == {"CORE": 1, "NOFILE": seen["limits"]["NOFILE"], "FSIZE": 2 << 30, "NPROC": 64, "RTPRIO": 0, "NICE": 0, "MSGQUEUE": 0}
    assert seen["limits"]["NOFILE"] <= 4096
    assert seen["oom"] == 500


def test_names(seen):
    assert seen["hostname"] == "demo-host" and seen["resolves"] == "127.0.0.1"


def test_devices_work(seen):
    assert seen["zero"] and seen["random"] == 8
    assert seen["tty"] == "ENOENT"


def ignore_every_signal():
    """Also those two that libc keeps for itself: some package tools start programs so."""
    number = {"x86_64": 13, "aarch64": 134}[os.uname().machine]  # rt_sigaction
    action = (ctypes.c_ulong * 8)(signal.SIG_IGN)
    for sig in set(range(1, 65)) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
        assert ctypes.CDLL(None).syscall(number, sig, action, None, 8) == 0


def test_no_signal_stays_ignored():
    r = rig.run("--", "/bin/grep", "SigIgn", "/proc/self/status", preexec_fn=ignore_every_signal)
    assert r.stdout.split() == ["SigIgn:", "0" * 16], r


def test_signals_are_as_born(seen):
    # Python itself ignores SIGPIPE and SIGXFSZ
    assert int(seen["signals"][:16], 16) & ~(1 << 12 | 1 << 24) == 0 and int(seen["signals"][16:], 16) == 0


LANDLOCK = r'''
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def rights(path):
    try:
        os.mkdir(path + "/d"); os.mkdir(path + "/e")
        open(path + "/d/f", "w").write("text"); os.truncate(path + "/d/f", 2)
        os.rename(path + "/d/f", path + "/e/g"); os.link(path + "/e/g", path + "/d/h")
        os.symlink("g", path + "/e/l"); os.mkfifo(path + "/e/p")
        s = open(path + "/e/l").read()
        for f in ("d/h", "e/g", "e/l", "e/p"): os.unlink(path + "/" + f)
        os.rmdir(path + "/d"); os.rmdir(path + "/e")
        return s
    except OSError as e: return str(e)
fd = os.memfd_create("m"); os.write(fd, b"x")
open("/proc/self/fd/%d" % fd, "r+").close()
for d in ("/dev/null", "/dev/zero", "/dev/full"): open(d, "w").close()
print(*[rights(p) for p in ("/tmp", "/dev/shm", "/home/user", "/home/user/app", "/data")], sep="\n")
'''


def test_a_program_s_own_places_are_fully_its_own(folder):
    for d in ("app", "data"):
        os.mkdir(f"{folder}/{d}")
        rig.give(f"{folder}/{d}", 5)
    r = rig.python(LANDLOCK, "--app", f"{folder}/app", "--rw", f"{folder}/data:/data", "--uid-index", "5")
    assert r.stdout.split("\n")[:5] == ["te"] * 5, (r.stdout, r.stderr)


LAYERS = r'''
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
attr, n = (ctypes.c_uint64 * 1)(1 << 6), 0
while n < 20:
    fd = libc.syscall(444, attr, 8, 0)
    if libc.syscall(446, fd, 0) < 0: break
    n += 1
print(n)
'''


def test_under_landlock():
    """a process can be restricted 16 times: one of them is the sandbox's"""
    out = subprocess.run([rig.SANDBOX, "check", "--json"], capture_output=True, text=True, timeout=60 * rig.PATIENCE).stdout
    line = next(c for c in json.loads(out)["checks"] if c["name"] == "landlock")
    if line["state"] != "ok":
        pytest.skip("the kernel has no Landlock: " + line["detail"])
    r = rig.python(LAYERS)
    assert r.stdout.strip() == "15", r.stderr


def test_no_host_folder_in_the_mount_table_for_the_app(folder):
    os.mkdir(f"{folder}/app")
    rig.give(f"{folder}/app", 5)
    r = rig.sh("cat /proc/self/mountinfo; ls /home/user/app", "--app", f"{folder}/app", "--uid-index", "5")
    assert r.returncode == 0 and " /home/user/app " in r.stdout and os.path.basename(folder) not in r.stdout, r.stdout
