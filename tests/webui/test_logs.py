"""Logs: two parts written in turn, from the start or the end, and followed."""
import json

import pytest
import wire
from platform_fake import TOKEN, events

RUN, BUILD = wire.CONST["LOG_KIND_RUN"], wire.CONST["LOG_KIND_BUILD"]


def line(n):
    return f"2026-11-23T06:28:00.{n:03d}Z line {n}\n"


@pytest.fixture
def logs(site):
    site.deploy()
    site.parts = [site.data + "/0.log", site.data + "/1.log"]
    return site


def write(path, numbers, mode="w"):
    with open(path, mode) as f:
        f.write("".join(line(n) for n in numbers))


def text(site, query="", what="run", headers=None):
    status, body, _ = site.ask("GET", f"/api/spaces/alice/hello/logs/{what}{query}", token=TOKEN, headers=headers)
    assert status == 200
    return body.decode()


def follow(site, query="follow=1", accept="text/event-stream", what="run"):
    s = site.socket()
    s.sendall(f"GET /api/spaces/alice/hello/logs/{what}?{query} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
    return events(s)


def data(stream):
    while True:
        event = next(stream)
        if event:
            return json.loads(event)["data"]


def test_no_log_yet(logs):
    assert text(logs) == "" == text(logs, what="build")


def test_both_parts_in_order(logs):
    write(logs.parts[0], range(3))
    write(logs.parts[1], range(3, 5))
    logs.runner.logs[RUN] = (logs.parts, 1, 1)
    assert text(logs) == "".join(line(n) for n in range(5))
    logs.runner.logs[BUILD] = (logs.parts[:1], 0, 0)
    assert text(logs, what="build") == "".join(line(n) for n in range(3))


def test_tail(logs):
    write(logs.parts[0], range(3))
    write(logs.parts[1], range(3, 5))
    logs.runner.logs[RUN] = (logs.parts, 1, 1)
    for n in range(1, 8):
        assert text(logs, f"?tail={n}") == "".join(line(i) for i in range(max(0, 5 - n), 5)), n


def test_tail_of_a_long_log(logs):
    write(logs.parts[0], [i % 1000 for i in range(20000)])
    write(logs.parts[1], [i % 1000 for i in range(30000)])
    logs.runner.logs[RUN] = (logs.parts, 1, 1)
    whole = text(logs)
    assert whole.count("\n") == 50000
    for n in (1, 29999, 30000, 30001, 49999, 60000):
        assert text(logs, f"?tail={n}") == "".join(whole.splitlines(True)[-n:]), n


def test_events(logs):
    with open(logs.parts[0], "wb") as f:
        f.write(b"2026-11-23T06:28:00.001Z caf\xc3\xa9 \xff\nno stamp\n")
    logs.runner.logs[RUN] = (logs.parts[:1], 0, 1)
    body = text(logs, headers={"Accept": "text/event-stream"})
    sent = [json.loads(x[5:]) for x in body.split("\n\n") if x]
    assert sent == [{"data": "café \ufffd\n", "timestamp": "2026-11-23T06:28:00.001Z"}, {"data": "no stamp\n", "timestamp": ""}]


def test_follow_across_the_switch_of_parts(logs):
    write(logs.parts[0], range(2))
    write(logs.parts[1], [])
    logs.runner.logs[RUN] = (logs.parts, 0, 1)
    stream = follow(logs)
    assert [data(stream), data(stream)] == ["line 0\n", "line 1\n"]
    write(logs.parts[0], [2], "a")
    assert data(stream) == "line 2\n"
    write(logs.parts[1], [3, 4])
    assert [data(stream), data(stream)] == ["line 3\n", "line 4\n"]
    write(logs.parts[0], [5])  # cut, and on
    assert data(stream) == "line 5\n"


def test_follow_goes_on_with_the_next_worker(logs):
    write(logs.parts[0], [1])
    logs.runner.logs[RUN] = (logs.parts[:1], 0, 1)
    stream = follow(logs, "follow=1&tail=1")
    assert data(stream) == "line 1\n"
    write(logs.parts[1], [2])
    logs.runner.logs[RUN] = (logs.parts[1:], 0, 2)
    logs.runner.set_stage(logs.space_id(), "RUNNING")
    assert data(stream) == "line 2\n"


@pytest.mark.parametrize("kind,what", [(RUN, "run"), (BUILD, "build")])
def test_follow_does_not_begin_again_when_the_stage_changes(logs, kind, what):
    write(logs.parts[0], [1])
    logs.runner.logs[kind] = (logs.parts[:1], 0, 1)
    stream = follow(logs, what=what)
    assert data(stream) == "line 1\n"
    for n, stage in enumerate(("BUILDING", "APP_STARTING", "RUNNING"), 2):
        logs.runner.set_stage(logs.space_id(), stage)
        write(logs.parts[0], [n], "a")
        assert data(stream) == f"line {n}\n"


def test_follow_goes_on_with_the_next_build(logs):
    """Its log is the same file, cut."""
    write(logs.parts[0], range(5))
    logs.runner.logs[BUILD] = (logs.parts[:1], 0, 0)
    stream = follow(logs, what="build")
    assert [data(stream) for _ in range(5)] == [f"line {n}\n" for n in range(5)]
    write(logs.parts[0], [7])
    assert data(stream) == "line 7\n"


def test_half_lines_wait(logs):
    with open(logs.parts[0], "w") as f:
        f.write(line(1) + "2026-11-23T06:28:00.002Z ha")
        f.flush()
        logs.runner.logs[RUN] = (logs.parts[:1], 0, 1)
        stream = follow(logs)
        assert data(stream) == "line 1\n"
        f.write("lf\n")
        f.flush()
        assert data(stream) == "half\n"
    assert text(logs).endswith("half\n")


def test_needs_the_operator(logs):
    assert logs.ask("GET", "/api/spaces/alice/hello/logs/run")[0] == 401
    assert logs.ask("GET", "/api/spaces/alice/hello/logs/other", token=TOKEN)[0] == 404
