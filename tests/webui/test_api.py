"""The site's API as the command line and scripts use it."""
import json
import os
import threading

import pytest
from platform_fake import TOKEN, events, until


def test_health(site):
    assert site.ask("GET", "/healthz")[:2] == (200, b"ok")


def test_submit_and_read(site):
    answer = site.deploy()
    assert answer["id"] == "alice/hello"
    assert answer["url"] == "http://alice-hello.localhost:8080"
    assert answer["stage"] == "APP_STARTING"
    status, space = site.api("GET", "/api/spaces/alice/hello", token=None)
    assert status == 200
    assert space["version"] == answer["version"] and len(space["version"]) == 64
    assert (space["title"], space["colorFrom"], space["sdk"], space["subdomain"]) == ("A title", "indigo", "python", "alice-hello")
    assert space["host"] == space["url"] == answer["url"]
    assert space["page"] == "http://localhost:8080/spaces/alice/hello"
    assert space["runtime"]["stage"] == "APP_STARTING" and space["cardData"]["odd_key"] == [1, 2]
    assert space["running_version"] == ""
    assert [s["id"] for s in site.api("GET", "/api/spaces", token=None)[1]] == ["alice/hello"]
    fields, fd = site.runner.jobs[0]
    assert (fields["space"], fields["name"]) == ("alice/hello", "x.zip")
    assert os.pread(fd, 100, 0) == b"PK bundle"


def test_running_version_is_the_workers(site):
    first = site.deploy()["version"]
    sid = site.space_id()
    site.runner.add_worker(sid, 7, 1)
    site.deploy(body=b"PK second")
    site.runner.set_stage(sid, "RUNNING_APP_STARTING", "app.py: the new version failed", worker_id=7)
    space = site.api("GET", "/api/spaces/alice/hello")[1]
    assert space["running_version"] == first != space["version"]
    assert space["reason"] == "app.py: the new version failed" and space["versions_count"] == 2
    assert space["worker_id"] == 7


def test_refused_bundle_leaves_nothing(site):
    status, answer = site.api("PUT", "/api/spaces/alice/bad/bundle?filename=bad.zip", b"BAD")
    assert status == 400 and "no archive" in answer["error"]
    assert site.ask("GET", "/api/spaces/alice/bad")[0] == 404
    assert site.space_id("alice/bad") is None
    assert site.runner.done[-1][0] == "delete"  # what the runner had made goes the ordinary way
    assert until(lambda: site.uploads() == ([], []))  # closed once it was answered


def test_refused_bundle_keeps_the_earlier_version(site):
    good = site.deploy()["version"]
    assert site.api("PUT", "/api/spaces/alice/hello/bundle", b"BAD")[0] == 400
    space = site.api("GET", "/api/spaces/alice/hello")[1]
    assert space["version"] == good and space["versions_count"] == 1


def test_refused_deploy_goes_back(site):
    good = site.deploy()["version"]
    site.runner.refuse["deploy"] = (16, "200 workers run: that is the limit (lifecycle.max_workers)")
    status, answer = site.api("PUT", "/api/spaces/alice/hello/bundle", b"PK two")
    assert status == 409 and "max_workers" in answer["error"]
    assert site.api("GET", "/api/spaces/alice/hello")[1]["version"] == good


def test_bad_names(site):
    for owner, name in (("a--b", "c"), ("-a", "c"), ("a", "b."), ("a", "x.git"), ("a", "y" * 97), ("ä", "c"), ("a b", "c"), ("xn", "_a")):
        status, answer = site.api("PUT", f"/api/spaces/{owner.replace(' ', '%20').replace('ä', '%C3%A4')}/{name}/bundle", b"PK")
        assert status == 400 and answer["error"], (owner, name)
    assert not site.runner.jobs


def test_colliding_labels_get_hosts_of_their_own(site):
    one, two = site.deploy("a-b/c"), site.deploy("a/b-c")
    assert one["url"] == "http://a-b-c.localhost:8080"
    assert two["url"] != one["url"] and two["url"].startswith("http://a-b-c-")


def test_names_are_one_whatever_their_case(site):
    site.deploy("Alice/Hello")
    assert site.deploy("alice/hello", b"PK two")["id"] == "Alice/Hello"
    assert len(site.api("GET", "/api/spaces")[1]) == 1


def test_commands(site):
    site.deploy()
    for verb, stage in (("stop", "STOPPED"), ("start", "APP_STARTING"), ("restart", "APP_STARTING"), ("pause", "PAUSED"), ("resume", "SLEEPING")):
        status, runtime = site.api("POST", f"/api/spaces/alice/hello/{verb}")
        assert (status, runtime["ok"], runtime["stage"]) == (200, True, stage) and runtime["hardware"]["current"]
    site.runner.refuse["start"] = (11, "it is on its way already")
    assert site.api("POST", "/api/spaces/alice/hello/start") == (409, {"error": "it is on its way already"})
    assert site.api("POST", "/api/spaces/alice/none/start")[0] == 404
    assert site.api("POST", "/api/spaces/alice/hello/explode")[0] == 404
    assert site.ask("GET", "/api/spaces/alice/hello/start", token=TOKEN)[0] == 405


def test_delete(site):
    site.deploy()
    sid = site.space_id()
    status, answer = site.api("DELETE", "/api/spaces/alice/hello")
    assert (status, answer["ok"], answer["stage"]) == (200, True, "DELETING")
    assert ("delete", sid) in site.runner.done
    assert site.api("GET", "/api/spaces/alice/hello")[0] == 404
    site.deploy()
    assert site.space_id() != sid


def test_delete_is_finished_at_the_next_start(site):
    site.deploy()
    site.runner.hold_commands.set()
    t = threading.Thread(target=lambda: site.ask("DELETE", "/api/spaces/alice/hello", token=TOKEN), daemon=True)
    t.start()
    assert until(lambda: site.api("GET", "/api/spaces/alice/hello")[0] == 404)
    site.kill()
    site.runner.hold_commands.clear()
    site.start()
    assert until(lambda: site.space_id() is None)


def test_half_a_first_submission_is_removed_at_the_next_start(site):
    site.runner.hold_jobs.set()
    t = threading.Thread(target=lambda: site.ask("PUT", "/api/spaces/alice/half/bundle", b"PK", token=TOKEN), daemon=True)
    t.start()
    site.runner.await_(lambda: site.runner.jobs)
    assert site.space_id("alice/half")
    site.kill()
    site.start()
    assert until(lambda: site.space_id("alice/half") is None)


def test_runner_restarts_during_a_job(site):
    site.runner.hold_jobs.set()
    out = []
    t = threading.Thread(target=lambda: out.append(site.deploy()))
    t.start()
    site.runner.await_(lambda: len(site.runner.jobs) == 1)
    site.runner.hold_jobs.clear()
    site.new_peer()
    t.join(20)
    assert out[0]["stage"] == "APP_STARTING"
    assert site.runner.jobs[0][0] == site.runner.jobs[1][0]  # asked again, with the same id


def test_done_is_read_from_the_database_too(site):
    site.runner.silent_done = True
    assert site.deploy()["stage"] == "APP_STARTING"


def test_two_submissions_at_once_come_one_after_the_other(site):
    site.runner.hold_jobs.set()
    out = []
    threads = [threading.Thread(target=lambda n=n: out.append(site.api("PUT", "/api/spaces/alice/hello/bundle", b"PK %d" % n))) for n in range(2)]
    for t in threads:
        t.start()
    site.runner.await_(lambda: len(site.runner.jobs) == 1)
    assert until(lambda: len(site.uploads()[1]) == 2)  # both bodies are there, one waits
    assert len(site.runner.jobs) == 1
    site.runner.hold_jobs.clear()
    with site.runner.lock:
        site.runner.do_job(*site.runner.jobs[0])
    for t in threads:
        t.join(20)
    assert [status for status, _ in out] == [200, 200]
    assert site.api("GET", "/api/spaces/alice/hello")[1]["versions_count"] == 2


def test_search(site):
    site.deploy("alice/cats", json.dumps({"title": "Cat finder"}).encode())
    site.deploy("bob/dogs", json.dumps({"title": "Dogs", "short_description": "100% dogs"}).encode())

    def found(query):
        return [s["id"] for s in site.api("GET", "/api/spaces?" + query)[1]]
    assert found("search=finder") == ["alice/cats"]
    assert found("search=100%25") == ["bob/dogs"]
    assert found("search=_") == []
    assert found("author=BOB") == ["bob/dogs"]
    assert found("limit=1") == ["bob/dogs"] and found("limit=1&offset=1") == ["alice/cats"]


def test_changes_are_pushed(site):
    site.deploy()
    sid = site.space_id()
    s = site.socket()
    s.sendall(b"GET /api/spaces/alice/hello/events HTTP/1.1\r\nHost: x\r\n\r\n")
    stream = events(s)
    assert json.loads(next(stream))["stage"] == "APP_STARTING"
    site.runner.set_stage(sid, "RUNTIME_ERROR", "exited with status 3")
    now = json.loads(next(stream))
    assert (now["stage"], now["reason"], now["shows_demo"]) == ("RUNTIME_ERROR", "exited with status 3", False)
    site.api("DELETE", "/api/spaces/alice/hello")
    assert json.loads(next(stream))["stage"] == "DELETING"


def test_workers(site):
    site.deploy()
    sid = site.space_id()
    site.runner.add_worker(sid, 9, 1, memory_bytes=50 << 20, memory_limit_bytes=1 << 30, cpu_us=1000, pids=3, requests=12, refs=1)
    site.runner.set_stage(sid, "RUNNING", worker_id=9)
    status, answer = site.api("GET", "/api/admin/workers")
    assert status == 200
    w = answer["workers"][0]
    assert (w["worker_id"], w["space"], w["state"], w["stage"]) == (9, "alice/hello", "ready", "RUNNING")
    assert (w["memory_bytes"], w["memory_limit_bytes"], w["requests"], w["restarts"], w["pid"]) == (50 << 20, 1 << 30, 12, 1, 4242)
    assert 60000 < w["uptime_ms"] < 120000
    assert answer["spaces"][0]["stage"] == "RUNNING"
    site.runner.event(sid, "alice/hello", "worker.ready", "after 0.2 s")
    assert site.api("GET", "/api/admin/events?limit=1")[1]["events"][0]["event"] == "worker.ready"


def test_worker_stream(site):
    site.deploy()
    site.runner.add_worker(site.space_id(), 9, 1, memory_bytes=1 << 20, memory_limit_bytes=1 << 30)
    s = site.socket()
    s.sendall(f"GET /api/admin/workers/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
    stream = events(s)
    seen = (json.loads(next(stream))["workers"][0]["memory_bytes"] for _ in range(10))
    assert 1 << 20 in seen and site.runner.watched >= 1


def test_whoami(site):
    assert site.api("GET", "/api/whoami-v2")[1]["name"] == "admin"


@pytest.mark.parametrize("method, path, status", [("GET", "/api/spaces/%ff/x", 404), ("DELETE", "/api/admin/tokens/%ff", 400)])
def test_names_that_are_no_text(site, method, path, status):
    """What is asked for is shown in the answer, which is JSON."""
    got, answer = site.api(method, path)
    assert got == status and "?" in answer["error"]
