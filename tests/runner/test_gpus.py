"""GPUs by flavour: one worker's at a time, taken from who does not use his, known to the next runner, given back. Links to
/dev/full stand in for the cards."""
import os

import pytest
from rig import HELLO, until

FLAVOURS = "one: memory=256M gpu=1; two: memory=256M gpu=2"
SHOWS = HELLO.replace("body = ", "body = ' '.join(n for n in sorted(os.listdir('/dev')) if n[:6] in ('nvidia', 'common')).encode() "
                      "if self.path == '/gpus' else ")


@pytest.fixture
def gpus(rig, tmp_path):
    """A rig whose machine has so many, and another device that comes with each"""
    os.chmod(tmp_path, 0o755)

    def make(n, **kw):
        cards = [f"{tmp_path}/nvidia{i}" for i in range(n)]
        for path in [*cards, f"{tmp_path}/common"]:
            os.symlink("/dev/full", path)
        return rig(hardware__flavours=FLAVOURS, hardware__gpus=", ".join(cards) or "none", hardware__gpu_common=f"{tmp_path}/common",
                   lifecycle__sleep_after="1h", **kw)
    return make


def space(r, name, hardware="one"):
    s = r.space(name=name)
    r.site.execute("UPDATE spaces SET hardware = ? WHERE id = ?", (hardware, s))
    return s


def deploy(r, s, **kw):
    n = r.gateway.mark()
    r.deploy(s, r.version(s, SHOWS, **kw))
    return n


def held(r):
    """{Space: names of its cards}"""
    rows = r.life("SELECT space_id, gpus FROM workers WHERE ended_ms IS NULL")
    return {s: [os.path.basename(p) for p in g.split()] for s, g in rows if g}


def one_waits_for_both(gpus):
    """Of two cards demo/a uses one, and the second Space waits for both; the third has not been deployed."""
    r = gpus(2)
    a, b, c = space(r, "a"), space(r, "b", "two"), space(r, "c")
    deploy(r, a)
    r.refs[r.routed(a).worker_id] = 1
    deploy(r, b)
    r.stage_is(b, "APP_STARTING")
    return r, a, b, c


def test_the_idle_one_makes_room_and_the_busy_one_does_not(gpus):
    r = gpus(1)
    a, b = space(r, "a"), space(r, "b")
    deploy(r, a)
    first = r.routed(a)
    assert held(r) == {a: ["nvidia0"]}
    r.refs[first.worker_id] = 1
    deploy(r, b)
    r.stage_is(b, "APP_STARTING")
    assert r.reason(b) == "the GPU of this server is in use, by demo/a; it starts as soon as one is free"
    n = r.gateway.mark()
    r.wake(b)  # who comes is told
    assert "by demo/a" in r.gateway.wait("ROUTE", since=n, space_id=b).message
    assert len(r.live()) == 1
    r.refs.clear()
    r.stage_is(b, "RUNNING")
    r.stage_is(a, "SLEEPING")
    assert until(lambda: held(r) == {b: ["nvidia0"]}) and r.reason(b) == ""
    n = r.gateway.mark()
    r.wake(a)  # and back
    assert r.get(r.routed(a, since=n)) == "demo/a one"
    r.stage_is(b, "SLEEPING")


def test_only_the_cards_that_it_has_are_there(gpus):
    r = gpus(3)
    spaces = [space(r, "a"), space(r, "b", "two"), space(r, "c", "")]
    seen = []
    for s in spaces:
        deploy(r, s)
        seen.append(r.get(r.routed(s), "/gpus"))
    if r.real:
        assert seen == ["common nvidia0", "common nvidia1 nvidia2", ""]
    assert held(r) == {spaces[0]: ["nvidia0"], spaces[1]: ["nvidia1", "nvidia2"]}
    assert "with nvidia1, nvidia2" in r.events("worker.start", spaces[1])[0]


def test_a_private_one_is_not_named(gpus):
    r = gpus(2)
    spaces = [space(r, n) for n in "abc"]
    r.site.execute("UPDATE spaces SET visibility = 'private' WHERE id = ?", (spaces[0],))
    for s in spaces[:2]:
        deploy(r, s)
        r.refs[r.routed(s).worker_id] = 1
    deploy(r, spaces[2])
    r.stage_is(spaces[2], "APP_STARTING")
    assert r.reason(spaces[2]) == "all 2 GPUs of this server are in use, by demo/b and 1 more; it starts as soon as one is free"
    r.refs.clear()
    assert r.do(spaces[1], "stop")[0] == 0
    r.stage_is(spaces[2], "RUNNING")


def test_whoever_needs_two_waits_for_two(gpus):
    r, a, b, c = one_waits_for_both(gpus)
    assert r.reason(b) == "only 1 of the 2 GPUs of this server is free, demo/a has the others; it starts as soon as it has what it needs"
    deploy(r, c)  # there is one, but not for it
    r.stage_is(c, "APP_STARTING")
    assert len(r.live()) == 1
    assert r.do(b, "stop")[0] == 0  # who leaves the line lets the next one go
    r.stage_is(c, "RUNNING")


def test_another_runner_knows_who_has_it(gpus):
    r = gpus(1)
    a, b = space(r, "a"), space(r, "b")
    deploy(r, a)
    before = r.routed(a).worker_id
    r.refs[before] = 1
    deploy(r, b)
    r.stage_is(b, "APP_STARTING")
    r.kill()
    r.start()
    r.stage_is(a, "RUNNING")
    assert [w[0] for w in r.live()] == [before] and held(r) == {a: ["nvidia0"]}
    assert until(lambda: "by demo/a" in r.reason(b)) and r.stage(b) == "APP_STARTING"
    r.wake(a)
    r.refs.clear()
    r.stage_is(b, "RUNNING", 20)
    assert held(r) == {b: ["nvidia0"]}


def test_it_is_given_back_whatever_the_end(gpus):
    r = gpus(1, lifecycle__crash_limit="1")
    a, b = space(r, "a"), space(r, "b")
    deploy(r, a)
    route = r.routed(a)
    r.refs[route.worker_id] = 1
    deploy(r, b)
    r.stage_is(b, "APP_STARTING")
    r.get(route, "/crash")
    r.stage_is(a, "RUNTIME_ERROR")
    r.stage_is(b, "RUNNING")
    assert held(r) == {b: ["nvidia0"]}
    assert r.do(b, "stop")[0] == 0
    assert until(lambda: not r.live())
    assert r.do(a, "start")[0] == 0
    r.stage_is(a, "RUNNING")


def test_a_server_with_too_few(gpus):
    r = gpus(1)
    a, b = space(r, "a", "two"), space(r, "b", "a10g-largex2")
    for s in (a, b):
        deploy(r, s)
        assert until(lambda: "can give workers 1" in r.reason(s)), r.reason(s)
        assert r.stage(s) == "APP_STARTING" and not r.live()
    assert "its hardware has 2 GPUs" in r.reason(a)
    assert "two asks for 2 GPUs, and there is 1" in r.log()
    r.site.execute("UPDATE spaces SET hardware = 't4-small' WHERE id = ?", (a,))  # the nearest
    assert r.do(a, "restart")[0] == 0
    r.stage_is(a, "RUNNING")
    assert held(r) == {a: ["nvidia0"]}


def test_cards_that_come_and_go(gpus, tmp_path):
    r, a, b, c = one_waits_for_both(gpus)
    deploy(r, c)
    r.stage_is(c, "APP_STARTING")
    os.unlink(tmp_path / "nvidia0")  # a's, which goes on: b may still have two one day
    os.unlink(tmp_path / "nvidia1")
    assert until(lambda: "can give workers 1" in r.reason(b)), r.reason(b)
    said = "the GPU of this server is in use, by demo/a; it starts as soon as one is free"
    assert until(lambda: r.reason(c) == said), r.reason(c)
    os.symlink("/dev/full", tmp_path / "nvidia1")
    r.stage_is(c, "RUNNING")
    assert held(r) == {a: ["nvidia0"], c: ["nvidia1"]}


def test_a_deploy_with_one_card(gpus):
    """The new version needs the one that the old one has: when nobody uses that, or when its streams' time is over."""
    r = gpus(1, lifecycle__drain_timeout="1500ms")
    s = space(r, "a")
    deploy(r, s)
    r.routed(s)
    n = deploy(r, s, which="two")
    second = r.routed(s, since=n, stage=6)
    assert r.get(second) == "demo/a two"
    r.refs[second.worker_id] = 1
    n = deploy(r, s, which="three")
    r.stage_is(s, "RUNNING_APP_STARTING")
    assert r.reason(s) == "the GPU of this server is in use, by its earlier version; it starts when nobody uses that one"
    assert r.get(r.routed(s, since=n, stage=6)) == "demo/a three"
    assert any("waits for its GPU" in e for e in r.events("worker.drain", s))


def test_it_is_counted(gpus):
    r = gpus(2)
    a = space(r, "a")
    deploy(r, a)
    r.routed(a)
    r.webui.send("METRICS_ASK", request_id=7)
    text = os.pread(r.webui.wait("METRICS", request_id=7).fds[0], 1 << 24, 0).decode()
    assert "vitrine_gpus 2\n" in text and "vitrine_gpus_taken 1\n" in text
