"""Devices that are given to one sandbox (a GPU's): there, of use, and no other's. Links to /dev/full and /dev/zero stand in for
cards, so that an ordinary user has some, too."""
import errno
import os
import stat
import subprocess

import pytest

import rig

OWN = ["fd", "full", "null", "random", "shm", "stderr", "stdin", "stdout", "urandom", "zero"]
LIST = "import os; print(' '.join(sorted(os.listdir('/dev'))))"
REQUEST = """
import fcntl, os
def ask(path, request):
    fd = os.open(path, os.O_RDWR)
    try:
        return fcntl.ioctl(fd, request, bytes(64)) and 0
    except OSError as e:
        return e.errno
    finally:
        os.close(fd)
print(*(ask(PATH, r) for r in (0xc0204600 + 210, 0xc0104b03, 0x30000001, 75, 0x5412, 0x541c, 0x5423)))
"""


@pytest.fixture
def cards(folder):
    """Two, by path; the first answers reads with NULs and writes with ENOSPC, the second takes what is written"""
    made = [f"{folder}/nvidia0", f"{folder}/nvidia1"]
    for path, device in zip(made, ("/dev/full", "/dev/zero")):
        os.symlink(device, path)
    return made


def test_what_was_given_is_there_and_nothing_else(cards):
    out = rig.python(LIST, "--device", cards[0]).stdout.split()
    assert out == sorted([*OWN, "nvidia0"])
    out = rig.python(LIST, "--device", cards[0], "--device", cards[1]).stdout.split()
    assert out == sorted([*OWN, "nvidia0", "nvidia1"])
    assert rig.python(LIST).stdout.split() == OWN


def test_it_is_the_device_and_can_be_used(cards):
    r = rig.python("import os\nst = os.stat('/dev/nvidia0')\nprint(os.major(st.st_rdev), os.minor(st.st_rdev))\n"
                   "fd = os.open('/dev/nvidia0', os.O_RDWR)\nprint(os.read(fd, 3))\n"
                   "try: os.write(fd, b'x')\nexcept OSError as e: print(e.errno)", "--device", cards[0])
    device = os.stat("/dev/full").st_rdev
    assert r.stdout.splitlines() == [f"{os.major(device)} {os.minor(device)}", str(bytes(3)), str(errno.ENOSPC)], r.stderr


def test_the_rest_of_dev_is_as_it_was(cards):
    r = rig.sh("echo x >/dev/null && echo null; echo y >/dev/shm/y && cat /dev/shm/y; head -c2 /dev/urandom | wc -c; echo z >/dev/stderr;"
               "touch /dev/new /dev/nvidia9 || echo closed; ln -s x /dev/x || echo closed; rm /dev/nvidia0 || echo closed;"
               "cut -d' ' -f5,6 /proc/self/mountinfo | grep '^/dev'", "--device", cards[0])
    lines = r.stdout.splitlines()
    assert lines[:6] == ["null", "y", "2", "closed", "closed", "closed"], (r.stdout, r.stderr)
    options = dict(line.split() for line in lines[6:])
    assert set(options) == {"/dev", "/dev/shm", "/dev/nvidia0", *(f"/dev/{n}" for n in ("full", "null", "random", "urandom", "zero"))}
    for path, said in options.items():
        assert {"nosuid", "rw" if path == "/dev/shm" else "ro"} <= set(said.split(",")), (path, said)
    assert "nodev" in options["/dev"] and "nodev" in options["/dev/shm"]


def test_a_neighbour_sees_nothing_of_it(starter, cards):
    """By the resident starter, whose sandboxes share a root."""
    show = f"{LIST}; import sys; sys.stdout.flush()"
    first = starter.python(show + "; import time; time.sleep(60)", mounts=[f"dv:{cards[0]}:/dev/nvidia0", f"dv:{cards[1]}:/dev/dri/renderD128"])
    assert first.started.code == 0, first.started.message
    assert rig.until(lambda: "renderD128" not in first.log() and "dri" in first.log()) and "nvidia0" in first.log()
    second = starter.python(show)
    assert second.wait() == "exited 0 0\n"
    assert second.log().split(" ", 1)[1].split() == OWN
    third = starter.sh("ls /dev/dri; echo x >/dev/dri/renderD128 && echo written", mounts=[f"dv:{cards[1]}:/dev/dri/renderD128"])
    assert third.wait() == "exited 0 0\n" and "written" in third.log(), third.log()


def device_number(path):
    n = os.stat(path).st_rdev
    return f"{os.major(n)}:{os.minor(n)}"


def test_sys_tells_of_the_device_alone(cards):
    """As ROCm and libdrm look for it"""
    number = device_number("/dev/full")
    there = f"/sys/dev/char/{number}"
    if not os.path.exists(there):
        pytest.skip("/sys does not tell of /dev/full here")
    r = rig.sh(f"cat {there}/uevent; ls /sys /sys/dev/char /sys/devices/*/*; touch /sys/x {there}/y; readlink -f {there}; echo z >{there}/uevent",
               "--device", cards[0])
    want = open(f"{there}/uevent").read()
    real = os.path.realpath(there)
    assert r.stdout.startswith(want) and r.stdout.endswith(real + "\n"), (r.stdout, r.stderr)
    listed = r.stdout[len(want):].split()
    assert number in listed and os.path.basename(real) in listed and "zero" not in listed and device_number("/dev/null") not in listed
    assert r.stderr.count("Read-only file system") == 3, r.stderr
    assert rig.sh("ls -d /sys").returncode != 0


def test_sys_shows_the_card_that_a_device_is_of(folder):
    """The folder above, which `device` leads to: of AMD's, the one of PCI"""
    links = [f"/sys/dev/char/{n}" for n in (os.listdir("/sys/dev/char") if os.path.isdir("/sys/dev/char") else [])]
    link = next((p for p in links if os.path.exists(f"{p}/device/uevent")), None)
    if not rig.IS_ROOT or not link:
        pytest.skip("no such device, or not root")
    node = f"{folder}/card"
    try:
        os.mknod(node, stat.S_IFCHR, os.makedev(*map(int, os.path.basename(link).split(":"))))
    except PermissionError:
        pytest.skip("no devices can be made here")
    os.chmod(node, 0o666)
    card = os.path.realpath(f"{link}/device")
    r = rig.sh(f"cat {link}/dev; readlink -f {link}/device; cat {card}/uevent; stat -c %t:%T /dev/card", "--device", node)
    number = os.path.basename(link)
    major, minor = map(int, number.split(":"))
    assert r.stdout == f"{number}\n{card}\n{open(card + '/uevent').read()}{major:x}:{minor:x}\n", (r.stdout, r.stderr)


def test_requests_of_gpus_pass_and_those_of_terminals_do_not(cards):
    r = rig.python(REQUEST.replace("PATH", "'/dev/nvidia0'"), "--device", cards[0])
    assert r.stdout.split() == [str(e) for e in [errno.ENOTTY] * 4 + [errno.ENOSYS] * 3], r.stderr
    r = rig.python(REQUEST.replace("PATH", "'/dev/full'"))
    assert r.stdout.split() == [str(errno.ENOSYS)] * 7, r.stderr


def test_room_that_is_only_reserved_is_no_memory(cards):
    """Drivers of GPUs reserve more addresses than a machine has memory."""
    r = rig.python("import mmap\nprint(len(mmap.mmap(-1, 1 << 40, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000, prot=0)))",
                   "--device", cards[0], "--memory", "64M")
    assert r.stdout == f"{1 << 40}\n", r.stderr


def test_trace_knows_its_filter(cards):
    script = REQUEST.replace("PATH", "'/dev/nvidia0'")
    r = subprocess.run([rig.SANDBOX, "trace", "--json", "--device", cards[0], "--", rig.PYTHON, "-c", script], capture_output=True, text=True,
                       timeout=60 * rig.PATIENCE)
    assert r.returncode == 0 and "0x5412" in r.stderr.lower() or "TIOCSTI" in r.stderr, r.stderr
    assert "0x30000001" not in r.stderr


@pytest.mark.parametrize("mount, word", [
    ("dv:/etc/passwd:/dev/x", "not a character device"), ("dv:/dev/no-such:/dev/x", "there is no /dev/no-such"), ("dv:/dev/full:/etc/x", "not in /dev"),
    ("dv:/dev/full:/dev/shm", "one of the sandbox's own"), ("dv:/dev/full:/dev/shm/x", "one of the sandbox's own"), ("dv:/dev/full:/dev/stdin", "one of"),
    ("dv:/dev/full:/dev/../x", "plain absolute path"), ("ro:/dev/full:/dev/x", "made by the sandbox itself")])
def test_what_is_none_is_refused(starter, mount, word):
    w = starter.sh("true", mounts=[mount])
    assert w.started.code and word in w.started.message


def test_one_that_not_everybody_may_open_is_refused(folder):
    """The program's uid is in no group: 0660 would be of no use to it."""
    closed = "/dev/console"
    if rig.IS_ROOT:
        closed = f"{folder}/nvidia0"
        try:
            os.mknod(closed, stat.S_IFCHR | 0o660, os.makedev(1, 7))
        except PermissionError:
            pytest.skip("no devices can be made here")
    elif not os.path.exists(closed) or os.stat(closed).st_mode & 0o006 == 0o006:
        pytest.skip("no device that is closed to everybody")
    r = rig.run("--device", closed, "--", "true")
    assert r.returncode == 125 and "0666" in r.stderr and len(r.stderr.splitlines()) == 1, r.stderr
    if rig.IS_ROOT:
        os.chmod(closed, 0o666)
        assert rig.sh("head -c3 /dev/nvidia0 | wc -c", "--device", closed).stdout == "3\n"


def test_wrong_use(folder):
    r = rig.run("--device", f"{folder}/none", "--", "true")
    assert r.returncode == 2 and "--device" in r.stderr and "none" in r.stderr
