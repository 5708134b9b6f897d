"""What huggingface_hub asks of a site, byte by byte; the real clients are in tests/e2e/test_hub.py."""
import json
import sqlite3
import re

import pytest
from platform_fake import TOKEN, until
from test_owners import admin, token, user


@pytest.fixture
def alice(site):
    user(site, "alice")
    return site


def create(site, name="demo", organization=None, token=TOKEN, **more):
    return admin(site, "POST", "/api/repos/create", {"name": name, "organization": organization, "type": "space", "sdk": "gradio", **more}, token)


def test_create(alice):
    t = token(alice, "alice")
    status, answer = create(alice, token=t)
    assert status == 200 and answer["url"] == "http://localhost:8080/spaces/alice/demo"
    status, answer = create(alice, "DEMO", "alice", t)
    assert status == 409 and answer["url"] == "http://localhost:8080/spaces/alice/demo" and answer["error"]
    info = admin(alice, "GET", "/api/spaces/alice/demo")[1]
    assert (info["id"], info["author"], info["runtime"]["stage"]) == ("alice/demo", "alice", "NO_APP_FILE")
    assert alice.ask("GET", "/spaces/alice/demo")[0] == 200 and alice.ask("GET", "/")[0] == 200
    assert [s["id"] for s in admin(alice, "GET", "/api/spaces")[1]] == ["alice/demo"]


def test_an_empty_space_stays(alice):
    create(alice, organization="alice", sleepTimeSeconds=3600)
    space_id = alice.space_id("alice/demo")
    alice.kill()
    alice.start()
    assert admin(alice, "GET", "/api/spaces/alice/demo")[1]["runtime"]["gcTimeout"] == 3600
    assert alice.deploy("alice/demo")["stage"] == "APP_STARTING" and alice.space_id("alice/demo") == space_id
    assert alice.api("PUT", "/api/spaces/alice/demo/bundle?filename=x.zip", b"BAD")[0] == 400
    assert admin(alice, "GET", "/api/spaces/alice/demo")[0] == 200


@pytest.mark.parametrize("body,status", [
    ({"name": "demo", "organization": "bob"}, 403), ({"name": "a--b"}, 400), ({"name": ""}, 400), ({"name": "x" * 200}, 400), ({"name": "demo", "type": "model"}, 400),
    ({"name": "demo", "type": None}, 400), ({"name": "demo", "sleepTimeSeconds": "x"}, 400), ({"name": "demo", "sleepTimeSeconds": 0}, 400)])
def test_create_what_cannot_be(alice, body, status):
    got, answer = admin(alice, "POST", "/api/repos/create", {"type": "space", "sdk": "static", **body}, token(alice, "alice"))
    assert got == status and answer["error"]
    assert admin(alice, "GET", "/api/spaces")[1] == []


def test_create_needs_a_token_that_writes(alice):
    assert alice.api("POST", "/api/repos/create", "{}", token=None)[0] == 401
    assert create(alice, token=token(alice, "alice", "read"))[0] == 403


def test_delete(alice):
    t = token(alice, "alice")
    create(alice, token=t)
    body = {"name": "demo", "organization": "alice", "type": "space"}
    user(alice, "bob")
    assert admin(alice, "DELETE", "/api/repos/delete", body, token(alice, "bob"))[0] == 403
    assert admin(alice, "DELETE", "/api/repos/delete", body, t)[0] == 200
    status, text, headers = alice.ask("DELETE", "/api/repos/delete", json.dumps(body), token=t)
    assert (status, headers["X-Error-Code"]) == (404, "RepoNotFound") and headers["X-Error-Message"] == json.loads(text)["error"]


def test_move(alice):
    user(alice, "bob")
    user(alice, "lab", "org")
    t = token(alice, "alice")
    alice.deploy("alice/demo")
    space_id = alice.space_id("alice/demo")

    def move(a, b, token=t):
        return admin(alice, "POST", "/api/repos/move", {"fromRepo": a, "toRepo": b, "type": "space"}, token)

    assert move("alice/demo", "lab/demo")[0] == 403 and move("alice/demo", "alice")[0] == 400 and move("alice/none", "alice/x")[0] == 404
    alice.deploy("alice/there")
    assert move("alice/demo", "alice/THERE")[0] == 409 and move("alice/demo", "alice/a--b")[0] == 400
    assert move("alice/demo", "alice/other")[0] == 200
    status, _, headers = alice.ask("GET", "/api/spaces/alice/demo?x=1", token=TOKEN)
    assert alice.space_id("alice/other") == space_id and (status, headers["Location"]) == (307, "/api/spaces/alice/other?x=1")
    info = admin(alice, "GET", "/api/spaces/alice/other")[1]
    assert info["subdomain"] == "alice-other" and ("refresh", space_id) in alice.runner.done
    assert move("alice/other", "alice/Other")[0] == 200 and admin(alice, "GET", "/api/spaces/alice/other")[1]["id"] == "alice/Other"
    assert move("alice/Other", "lab/demo", TOKEN)[0] == 200 and alice.space_id("lab/demo") == space_id


def test_a_moved_space_that_runs_is_restarted(alice):
    alice.deploy("alice/demo")
    space_id = alice.space_id("alice/demo")
    alice.runner.add_worker(space_id, 7, 1)
    alice.runner.set_stage(space_id, "RUNNING", worker_id=7)
    assert admin(alice, "POST", "/api/repos/move", {"fromRepo": "alice/demo", "toRepo": "alice/x", "type": "space"})[0] == 200
    assert alice.runner.done[-2:] == [("refresh", space_id), ("restart", space_id)]


def test_pages_of_a_list(site):
    for i in range(5):
        site.deploy(f"alice/demo{i}", b"PK %d" % i)
    site.deploy("bob/other", b"PK bob")
    seen, path = [], "/api/spaces?author=alice&limit=2&search=demo%26%25"[:-6]
    while path:
        status, body, headers = site.ask("GET", path)
        seen += [s["id"] for s in json.loads(body)]
        link = headers["Link"]
        path = re.fullmatch(r'<http://localhost:8080(/\S+)>; rel="next"', link).group(1) if link else None
    assert seen == [f"alice/demo{i}" for i in (4, 3, 2, 1, 0)]
    assert not site.ask("GET", "/api/spaces?limit=6")[2]["Link"]


def test_order_and_filter(alice):
    card = {"sdk": "static", "card": {"title": "T", "tags": ["vision", "b"], "models": ["a/m"], "datasets": "d/s"}}
    for i, name in enumerate("abc"):
        alice.deploy(f"alice/{name}", json.dumps({"n": i, **(card if name == "b" else {})}).encode())
    alice.deploy("alice/a", b"PK again")
    ids = lambda query: [s["id"][6:] for s in admin(alice, "GET", "/api/spaces?" + query)[1]]  # noqa: E731
    assert ids("") == ["a", "c", "b"] and ids("sort=createdAt") == ["c", "b", "a"] and ids("filter=vision") == ["b"] and ids("filter=static") == ["b"]
    assert admin(alice, "POST", "/api/spaces/alice/b/like", token=token(alice, "alice", "read"))[0] == 200
    assert ids("sort=likes")[0] == "b" and admin(alice, "POST", "/api/spaces/alice/b/like")[0] == 400
    info = admin(alice, "GET", "/api/spaces/alice/b")[1]
    assert (info["tags"], info["models"], info["datasets"], info["likes"]) == (["vision", "b", "static"], ["a/m"], ["d/s"], 1)
    assert admin(alice, "GET", "/api/spaces/alice/b/likers")[1][0]["user"] == "alice"
    user(alice, "bob")
    liked = lambda who, asks: admin(alice, "GET", f"/api/users/{who}/likes", token=token(alice, asks, "read"))  # noqa: E731
    status, (like,) = liked("alice", "bob")
    assert status == 200 and like["repo"] == {"name": "alice/b", "type": "space"} and like["createdAt"].endswith("Z") and len(like) == 2
    assert admin(alice, "PUT", "/api/spaces/alice/b/settings", {"private": True})[0] == 200
    assert liked("alice", "bob")[1] == [] and len(liked("alice", "alice")[1]) == 1 and liked("nobody", "bob")[0] == 404
    assert admin(alice, "PUT", "/api/spaces/alice/b/settings", {"private": False})[0] == 200
    assert admin(alice, "DELETE", "/api/spaces/alice/b/like", token=token(alice, "alice"))[0] == 200
    assert admin(alice, "GET", "/api/spaces/alice/b/likers")[1] == []
    full = {s["id"]: s for s in admin(alice, "GET", "/api/spaces?full=True")[1]}
    assert full["alice/b"]["cardData"]["tags"] == ["vision", "b"]


def test_runtime_and_sleep_time(site):
    site.deploy()
    path = "/api/spaces/alice/hello/"
    r = admin(site, "GET", path + "runtime")[1]
    assert r["stage"] == "APP_STARTING" and r["hardware"]["current"] and r["gcTimeout"] == 600 and r["domains"][0]["domain"] == "alice-hello.localhost:8080"
    assert admin(site, "POST", path + "sleeptime", {"seconds": 90})[1]["gcTimeout"] == 90
    assert ("refresh", site.space_id()) in site.runner.done
    assert admin(site, "POST", path + "sleeptime", {"seconds": -1})[1]["gcTimeout"] is None
    for wrong in ({}, {"seconds": 0}, {"seconds": -2}, {"seconds": "1"}, {"seconds": 10 ** 12}):
        assert admin(site, "POST", path + "sleeptime", wrong)[0] == 400


@pytest.mark.parametrize("stage,verb", [("PAUSED", "start"), ("STOPPED", "start"), ("RUNNING", "restart"), ("SLEEPING", "restart")])
def test_restart_ends_a_pause(site, stage, verb):
    site.deploy()
    site.runner.set_stage(site.space_id(), stage)
    status, answer = admin(site, "POST", "/api/spaces/alice/hello/restart")
    assert status == 200 and answer["hardware"] and site.runner.done[-1][0] == verb


def discuss(site, token, path="", **body):
    return admin(site, "POST", "/api/spaces/alice/hello/discussions" + path, body, token)


def test_discussions(alice):
    user(alice, "bob")
    alice.deploy()
    a, b, reader = token(alice, "alice"), token(alice, "bob"), token(alice, "bob", "read")
    status, answer = discuss(alice, b, title="It is wrong", description="Look <b>", pullRequest=False)
    assert (status, answer["num"]) == (200, 1)
    assert discuss(alice, reader, title="x y z", description="d")[0] == 403 and alice.api("POST", "/api/spaces/alice/hello/discussions", "{}", token=None)[0] == 401
    assert discuss(alice, b, title="x", description="d")[0] == 400 and discuss(alice, b, title="long enough")[0] == 400
    assert discuss(alice, b, title="A pull request", description="d", pullRequest=True)[0] == 400
    comment = discuss(alice, a, "/1/comment", comment="no")[1]["newMessage"]
    assert comment["type"] == "comment" and comment["data"]["latest"]["raw"] == "no" and comment["author"]["name"] == "alice"
    event = discuss(alice, a, "/1/title", title="It was wrong")[1]["newTitle"]
    assert event["data"] == {"from": "It is wrong", "to": "It was wrong"}
    assert discuss(alice, a, "/1/status", status="closed", comment="done")[1]["newStatus"]["data"] == {"status": "closed"}
    assert discuss(alice, a, "/1/status", status="merged")[0] == 400 and discuss(alice, a, "/1/merge")[0] == 400
    cid = comment["id"]
    assert discuss(alice, b, f"/1/comment/{cid}/edit", content="yes")[0] == 403 and discuss(alice, b, f"/1/comment/{cid}/hide")[0] == 403
    assert discuss(alice, a, f"/1/comment/{cid}/edit", content="yes")[1]["updatedComment"]["data"]["edited"] is True
    details = alice.api("GET", "/api/spaces/alice/hello/discussions/1", token=None)[1]
    assert [(e["type"], e["author"]["name"]) for e in details["events"]] == [
        ("comment", "bob"), ("comment", "alice"), ("title-change", "alice"), ("comment", "alice"), ("status-change", "alice")]
    assert (details["status"], details["title"], details["isPullRequest"]) == ("closed", "It was wrong", False)
    hidden = discuss(alice, a, f"/1/comment/{cid}/hide")[1]["updatedComment"]["data"]
    assert hidden["hidden"] is True and hidden["latest"]["raw"] == ""
    assert discuss(alice, b, "/2/comment", comment="x")[0] == 404 and discuss(alice, a, "/x/comment", comment="x")[0] == 404
    user(alice, "eve")
    assert discuss(alice, token(alice, "eve"), "/1/title", title="Mine now")[0] == 403


def test_pages_of_discussions(alice):
    alice.deploy()
    a = token(alice, "alice")
    for i in range(53):
        discuss(alice, a, title=f"Number {i}", description="d")
    discuss(alice, a, "/1/status", status="closed")
    get = lambda query: alice.api("GET", "/api/spaces/alice/hello/discussions?" + query, token=None)[1]  # noqa: E731
    first, second = get("p=0"), get("p=1")
    assert (first["count"], first["start"], len(first["discussions"]), second["start"], len(second["discussions"])) == (53, 0, 50, 50, 3)
    assert first["discussions"][0]["num"] == 53 and first["discussions"][0]["repo"] == {"name": "alice/hello", "type": "space"}
    assert get("status=closed")["count"] == 1 and get("author=bob")["count"] == 0 and get("type=pull_request")["count"] == 0
    assert alice.api("DELETE", "/api/spaces/alice/hello")[0] == 200
    assert until(lambda: alice.api("GET", "/api/spaces/alice/hello/discussions", token=None)[0] == 404)


def test_addresses_are_matched_as_they_are_sent(site):
    site.deploy()
    for path in ("/api/spaces/alice%2Fhello", "/api%2Fspaces/alice/hello", "/api/spaces/alice/hello%00", "/api/spaces/alice/hello/"):
        assert site.ask("GET", path)[0] == 404, path
    assert site.ask("GET", "/api/spaces/%61lice/hello")[0] == 200


def test_logs_as_the_hub_client_reads_them(site):
    site.deploy()
    path = site.data + "/run.log"
    open(path, "w").write("2026-11-23T06:28:00.123Z one\n")
    import wire
    site.runner.logs[wire.CONST["LOG_KIND_RUN"]] = ([path], 0, 1)
    s = site.socket(5)
    s.sendall(f"GET /api/spaces/alice/hello/logs/run HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nUser-Agent: unknown/None; hf_hub/1.1.4\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
    from platform_fake import events
    lines = events(s)
    assert json.loads(next(lines)) == {"data": "one\n", "timestamp": "2026-11-23T06:28:00.123Z"}
    with open(path, "a") as f:
        f.write("2026-11-23T06:28:01.123Z two\n")
    assert json.loads(next(lines))["data"] == "two\n"
    s.close()


def test_a_discussion_has_an_end(site):
    """It is answered as a whole, which has to fit into memory."""
    site.deploy()
    at = "/api/spaces/alice/hello/discussions"
    status, made = site.api("POST", at, json.dumps({"title": "Long one", "description": "a"}))
    assert status == 200
    db = sqlite3.connect(site.data + "/site.db", timeout=10)
    with db:
        db.executemany("INSERT INTO discussion_events (space_id, num, type, author, created_ms, text) VALUES (?, 1, 'comment', 'bob', 1, 'x')",
                       [(site.space_id(),)] * 998)
    db.close()
    say = [site.api("POST", f"{at}/1/comment", json.dumps({"comment": "hello"})) for _ in range(2)]
    assert [s for s, _ in say] == [200, 400] and "open another one" in say[1][1]["error"]
    assert site.api("POST", f"{at}/1/status", json.dumps({"status": "closed"}))[0] == 200
    assert len(site.api("GET", f"{at}/1")[1]["events"]) == 1001
