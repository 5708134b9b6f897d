"""Shared inodes are channels: what two sandboxes both see must not carry a word from one to the other."""
import os
import subprocess

import pytest

import rig

# takes every lock that can be had on what it is given, says so, and holds them until its stdin ends
HOLD = r'''
import fcntl, os, sys
held = []
for path in sys.argv[1:]:
    fd = os.open(path, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if os.path.isfile(path): fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    held.append(fd)
print("held", flush=True)
sys.stdin.read()
'''
SEE = r'''
import fcntl, os, struct, sys
for path in sys.argv[1:]:
    fd = os.open(path, os.O_RDONLY)
    try: fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError: print("flock", path)
    if not os.path.isfile(path): continue
    ask = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)
    if struct.unpack("hhqqi4x", fcntl.fcntl(fd, fcntl.F_GETLK, ask))[0] != fcntl.F_UNLCK: print("fcntl", path)
    os.close(fd)
print("looked")
'''
SHARED = ["/", "/usr", "/usr/bin/env", "/usr/lib/os-release", "/etc", "/etc/passwd", "/etc/ld.so.cache", "/etc/alternatives", "/etc/ssl/certs",
          "/etc/hosts", "/dev", "/run/empty", "/proc", "/proc/version", "/tmp", "/dev/shm", "/home/user", "/ro", "/ro/file"]


@pytest.fixture
def ro(folder):
    os.mkdir(f"{folder}/ro")
    with open(f"{folder}/ro/file", "w") as f:
        f.write("x")
    return f"{folder}/ro"


def test_no_lock_is_seen_by_a_neighbour(ro):
    with subprocess.Popen([rig.SANDBOX, "run", "--uid-index", "7", "--ro", f"{ro}:/ro", "--", rig.PYTHON, "-c", HOLD, *SHARED],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        inside = rig.run("--uid-index", "8", "--ro", f"{ro}:/ro", "--", rig.PYTHON, "-c", SEE, *SHARED)
        host = subprocess.run([rig.PYTHON, "-c", SEE, "/usr", "/usr/bin/env", "/etc", "/etc/ld.so.cache", "/etc/ssl/certs", ro, f"{ro}/file"],
                              capture_output=True, text=True, timeout=30 * rig.PATIENCE)
        holder.stdin.close()
    assert inside.stdout == "looked\n", inside
    assert host.stdout == "looked\n", host


def test_the_probe_sees_locks_where_there_are_some():
    """in one sandbox it finds what another process there holds"""
    r = rig.python("import subprocess, sys\n"
                   f"p = subprocess.Popen([{rig.PYTHON!r}, '-c', {HOLD!r}, '/usr/bin/env'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)\n"
                   "p.stdout.readline()\n"
                   f"subprocess.run([{rig.PYTHON!r}, '-c', {SEE!r}, '/usr/bin/env'])\n"
                   "p.stdin.close(); p.wait()")
    assert r.stdout.split("\n")[:2] == ["flock /usr/bin/env", "fcntl /usr/bin/env"], r


def test_nothing_of_the_old_root_is_left():
    """every mount in there is one that the sandbox made"""
    r = rig.sh("cat /proc/self/mountinfo")
    points = {line.split()[4]: line for line in r.stdout.splitlines()}
    allowed = ("/", "/usr", "/etc/", "/dev/", "/proc", "/tmp", "/home/user", "/run/sandbox", "/run/null", "/bin", "/sbin", "/lib")
    assert not [p for p in points if not any(p == a or (a.endswith("/") and p.startswith(a)) or p.startswith(a + "/") for a in allowed)], r.stdout
    roots = [line for line in r.stdout.splitlines() if line.split()[4] == "/"]
    assert len(roots) == 1 and " - overlay " in roots[0] and roots[0].split()[5].startswith("ro"), roots
    # the options of an overlay name its layers: relative ones, that say nothing about the host
    for line in r.stdout.splitlines():
        assert "lowerdir=/" not in line, line


def test_a_read_only_folder_with_a_mount_below_it_is_shown_whole():
    """/proc/sys of this machine is no mount, but / has some: /dev/shm below /dev, say"""
    below = [line.split()[4] for line in open("/proc/self/mountinfo")]
    name = next((p for p in ("/sys/fs/cgroup", "/sys") if any(b.startswith(p + "/") for b in below)), None)
    if not name:
        pytest.skip("no folder of this machine has a mount below it")
    mounted = sorted({b[len(name) + 1:].split("/")[0] for b in below if b.startswith(name + "/")})[0]
    r = rig.sh(f"cat /proc/self/mountinfo; ls /ro/{mounted}", "--ro", f"{name}:/ro")
    assert r.returncode == 0 and f" /ro/{mounted}" in r.stdout, (r, mounted)
