"""Short work goes before long work: who has just begun or works without a pause is a batch group (cpu.idle), and is kept off
some CPUs while somebody calm works."""
import os
import select
import subprocess

import pytest

import rig

CPUS = len(os.sched_getaffinity(0))
NARROW = CPUS - max(1, CPUS // 8)
HOG = "while True: pass"
CALM = "import time\nwhile True: time.sleep(1)"
# A tenth of a CPU, in small pieces
WORKS = "import time\nwhile True:\n t = time.monotonic()\n while time.monotonic() < t + 0.005: pass\n time.sleep(0.045)"


@pytest.fixture(autouse=True)
def classes(limited):
    if not limited["cpu"]:
        pytest.skip("no control group limits the CPU here")


def group(pid):
    """The folder of the CPU controller's group of that process"""
    for line in open(f"/proc/{pid}/cgroup"):
        _, controllers, path = line.strip().split(":", 2)
        tops = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"] if "cpu" in controllers.split(",") else [] if controllers else ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        for top in tops:
            if os.path.exists(f"{top}{path}/cpu.idle"):
                return top + path
    raise AssertionError(f"no cpu.idle: {open(f'/proc/{pid}/cgroup').read()}")


def is_batch(w):
    return open(group(w.pid) + "/cpu.idle").read().strip() == "1"


def cpus(pid):
    """Of every process in its group: {how many CPUs}"""
    counts = set()
    for p in open(group(pid) + "/cgroup.procs").read().split():
        try:
            counts.add(len(os.sched_getaffinity(int(p))))
        except OSError:
            pass
    return counts


def cpu_of(w):
    """CPU time that its processes have used so far, in seconds"""
    ticks = 0
    for p in open(group(w.pid) + "/cgroup.procs").read().split():
        ticks += sum(map(int, open(f"/proc/{p}/stat").read().rsplit(")", 1)[1].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


# A hog that gets little from a busy machine looks calm for a moment: what a hog is, is waited for.

def test_who_works_is_a_batch_group(starter):
    w = starter.python(HOG)
    for i in range(5):
        start = cpu_of(w)
        assert rig.until(lambda: cpu_of(w) > start + 0.2, 20)
        assert rig.until(lambda: is_batch(w))


def test_who_is_calm_leaves_the_class(starter):
    w = starter.python(CALM)
    assert rig.until(lambda: not is_batch(w))


def test_a_hog_is_put_back(starter):
    w = starter.python("import signal\nsignal.signal(10, lambda *_: exec('while True: pass'))\nprint('up', flush=True)\nwhile True: signal.pause()")
    assert rig.until(lambda: "up" in w.log()) and rig.until(lambda: not is_batch(w))
    hog = max(int(p) for p in open(group(w.pid) + "/cgroup.procs").read().split())
    os.kill(hog, 10)
    assert rig.until(lambda: is_batch(w))


def test_a_later_starter_goes_on_with_it(starter):
    calm, hog = starter.python(CALM), starter.python(HOG)
    starter.kill()
    starter.spawn()
    assert rig.until(lambda: not is_batch(calm))
    assert rig.until(lambda: is_batch(hog))


@pytest.mark.skipif(CPUS < 2, reason="one CPU alone")
def test_hogs_leave_a_cpu_alone_while_somebody_calm_works(starter):
    hog = starter.python("import os\nfor i in range(3): os.fork()\n" + HOG)
    calm = starter.python(WORKS)
    assert rig.until(lambda: not is_batch(calm))
    assert rig.until(lambda: cpus(hog.pid) == {NARROW})
    starter.group(calm, kill=True)
    assert rig.until(lambda: cpus(hog.pid) == {CPUS}), "nobody needs the others"


@pytest.mark.skipif(CPUS < 2, reason="one CPU alone")
def test_who_is_calm_keeps_to_what_hogs_left_alone(starter):
    calm = starter.python(WORKS)
    assert rig.until(lambda: not is_batch(calm))
    assert rig.until(lambda: cpus(calm.pid) == {CPUS}), "who has just begun may have been a hog, and was not"
    hog = starter.python(HOG)
    assert rig.until(lambda: cpus(calm.pid) == {CPUS - NARROW} and cpus(hog.pid) == {NARROW})
    starter.group(hog, kill=True)
    assert rig.until(lambda: cpus(calm.pid) == {CPUS}), "there is no hog any more"


@pytest.mark.skipif(CPUS < 2, reason="one CPU alone")
def test_who_may_use_all_cpus_is_kept_off_none(starter):
    hog = starter.python(HOG, cpu_milli=CPUS * 1000)
    calm = starter.python(WORKS)
    assert rig.until(lambda: not is_batch(calm))
    start = cpu_of(calm)
    assert rig.until(lambda: cpu_of(calm) > start + 0.05)
    assert rig.until(lambda: is_batch(hog)) and cpus(hog.pid) == {CPUS}


def test_nobody_chooses_its_own_cpus():
    r = rig.python("import os\ntry: os.sched_setaffinity(0, {0})\nexcept PermissionError: print('refused')")
    assert r.stdout == "refused\n", r


@pytest.mark.skipif(CPUS < 2, reason="one CPU alone")
def test_run_does_so_too():
    script = "import time\nend = time.process_time() + 1\nwhile time.process_time() < end: pass\nprint('done', flush=True)\ntime.sleep(60)"
    p = subprocess.Popen([rig.SANDBOX, "run", "--cpu", "1", "--", rig.PYTHON, "-c", script], stdout=subprocess.PIPE)
    try:
        pid_1 = int(rig.until(lambda: open(f"/proc/{p.pid}/task/{p.pid}/children").read().split()[:1])[0])
        assert rig.until(lambda: cpus(pid_1) == {NARROW})
        assert select.select([p.stdout], [], [], 20 * rig.PATIENCE)[0]
        assert rig.until(lambda: cpus(pid_1) == {CPUS}, 20)
    finally:
        p.terminate()
        p.communicate(timeout=20 * rig.PATIENCE)
