"""A thousand starts one after the other, and sixty-four at once: what they cost, and what they leave behind."""
import os
import statistics
import subprocess
import time

import rig

STARTS = 1000
AT_ONCE = 64
TRUE = ["/bin/true"]


def mounts():
    return len(open("/proc/self/mountinfo").readlines())


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def groups_of(starter):
    """the control groups of its sandboxes, the spare ones among them"""
    found = []
    for folder, names, _ in os.walk("/sys/fs/cgroup"):
        if os.path.basename(folder) == f"vitrine-{starter.instance}":
            found += [f"{folder}/{n}" for n in names]
    return found


def state(starter):
    """what there is of this starter and on the machine, once it is at rest"""
    pid = starter.process.pid
    children = open(f"/proc/{pid}/task/{pid}/children").read().split()
    return {"processes": len(children), "descriptors": descriptors(pid) if rig.IS_ROOT else None, "groups": len(groups_of(starter)), "mounts": mounts()}


def forget(starter, w):
    starter.group(w, remove=1)
    del starter.workers[w.id]
    w.close()
    for name in os.listdir(w.folder):
        os.unlink(f"{w.folder}/{name}")


def one(starter):
    """The time of one start and its end, in seconds"""
    w, send = starter.prepare(TRUE)
    began = time.perf_counter()
    send()
    starter.finish(w)
    assert w.started.code == 0, w.started.message
    assert w.wait() == "exited 0 0\n"
    took = time.perf_counter() - began
    forget(starter, w)
    return took


def at_rest(starter, like):
    return rig.until(lambda: state(starter) == like)


def first_state(starter):
    """after the first start, once the spare processes are there again"""
    one(starter)
    last, same = None, 0
    for _ in range(400):
        now = state(starter)
        same = same + 1 if now == last else 0
        if same == 15 and now["processes"]:
            return now
        last = now
        time.sleep(0.02)  # no event tells that the spare ones are ready
    raise AssertionError(f"the starter does not come to rest: {last}")


def test_a_thousand_in_a_row(starter):
    """leave nothing behind, and the last cost what the first did"""
    before = first_state(starter)
    took = [one(starter) for _ in range(STARTS)]
    assert at_rest(starter, before), f"before {before}, after {state(starter)}"
    first, last = statistics.median(took[:100]), statistics.median(took[-100:])
    # another load of the machine meanwhile must not count: the cheaper half shows what a start takes
    low_first, low_last = (sorted(t)[len(t) // 4] for t in (took[:100], took[-100:]))
    assert last <= 1.3 * first or low_last <= 1.3 * low_first, f"first {first * 1e6:.0f} µs, last {last * 1e6:.0f} µs"


def test_sixty_four_at_once(starter):
    """run side by side: together they take less than one after the other would, and leave nothing behind"""
    before = first_state(starter)
    alone = max(one(starter) for _ in range(3))
    ready = [starter.prepare(["/bin/sleep", "0.5"]) for _ in range(AT_ONCE)]
    began = time.monotonic()
    for _, send in ready:
        send()
    by_id = {w.id + 1000: w for w, _ in ready}
    for _ in ready:
        m = starter.receive("STARTED")
        assert m.code == 0, m.message
        w = by_id[m.start_id]
        w.started, w.pid, w.pidfd = m, m.pid, m.fds[0]
    assert [w.wait() for w, _ in ready] == ["exited 0 0\n"] * AT_ONCE
    took = time.monotonic() - began
    for w, _ in ready:
        forget(starter, w)
    assert at_rest(starter, before), f"before {before}, after {state(starter)}"
    # where a start is all work for a slow processor, only the sleeping can be side by side
    assert took < 0.5 * AT_ONCE / 4 + 2 * alone * AT_ONCE, f"{took:.1f} s, one alone {alone:.2f} s"


def test_run_leaves_nothing():
    """`run`, again and again: no group, no mount, a moment after it has told how its program ended"""
    before = mounts()
    for _ in range(20):
        p = subprocess.Popen([rig.SANDBOX, "run", "--", *TRUE], stdin=subprocess.DEVNULL)
        assert p.wait(30 * rig.PATIENCE) == 0
        assert rig.until(lambda: not rig.cgroups(f"vitrine-run-{p.pid}-"))
    assert mounts() == before
