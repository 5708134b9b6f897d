"""Users, organisations and tokens: who may do what in which namespace, on every door."""
import base64
import hashlib
import json
import re
import sqlite3

import pytest
from platform_fake import TOKEN, events

WRONG = "Invalid credentials in Authorization header"


def admin(site, method, path, body=None, token=TOKEN):
    return site.api(method, path, None if body is None else json.dumps(body), token=token)


def user(site, name, kind="user"):
    status, answer = admin(site, "POST", "/api/admin/users", {"name": name, "type": kind})
    assert status == 200, answer
    return answer


def token(site, owner, role="write", **more):
    status, answer = admin(site, "POST", "/api/admin/tokens", {"user": owner, "role": role, **more})
    assert status == 200, answer
    return answer["token"]


def member(site, org, name, role, by=TOKEN):
    return admin(site, "PUT", f"/api/organizations/{org}/members/{name}", {"role": role}, by)


def may(site, token, space="alice/hello"):
    """The status of a change of that Space."""
    return site.ask("POST", f"/api/spaces/{space}/stop", token=token)[0]


@pytest.fixture
def alice(site):
    user(site, "alice")
    site.deploy()
    return site


def test_token_is_random_and_kept_hashed(site):
    user(site, "alice")
    one, two = token(site, "alice"), token(site, "alice", name="second")
    assert one != two and re.fullmatch(r"vt_[0-9a-f]{64}", one)
    dump = "\n".join(sqlite3.connect(site.data + "/site.db").iterdump())
    assert one not in dump and one[3:] not in dump and hashlib.sha256(one.encode()).hexdigest() in dump
    listed = admin(site, "GET", "/api/admin/tokens")[1]["tokens"]
    assert [(t["user"], t["name"], t["role"]) for t in listed] == [("alice", "token", "write"), ("alice", "second", "write")]
    assert one[3:] not in json.dumps(listed) and one not in open(site.data + "/webui.log").read()


@pytest.mark.parametrize("role,status", [("read", 403), ("write", 200), ("admin", 200)])
def test_role_of_a_token(alice, role, status):
    assert may(alice, token(alice, "alice", role)) == status


def test_user_has_only_their_own_namespace(alice):
    user(alice, "bob")
    bob, own = token(alice, "bob", "admin"), token(alice, "alice", "write")
    for method, path in [("PUT", "/api/spaces/alice/hello/bundle"), ("PUT", "/api/spaces/nobody/hello/bundle"), ("DELETE", "/api/spaces/alice/hello"),
                         ("POST", "/api/spaces/alice/hello/restart"), ("GET", "/api/spaces/alice/hello/logs/run"), ("GET", "/api/spaces/alice/hello/limits"),
                         ("POST", "/spaces/alice/hello/delete"), ("GET", "/api/organizations/alice"),
                         ("PUT", "/api/organizations/alice/members/bob")]:
        status, body, _ = alice.ask(method, path, b"PK x" if method == "PUT" else None, {"Accept": "application/json"}, bob)
        assert status == 403 and json.loads(body)["error"], (method, path)
    assert alice.ask("GET", "/api/spaces/alice/hello/limits", token=own)[0] == 200
    assert alice.ask("PUT", "/api/spaces/ALICE/other/bundle", b"PK y", token=own)[0] == 200
    assert alice.ask("DELETE", "/api/spaces/alice/hello", token=own)[0] == 200


@pytest.mark.parametrize("method,path", [("GET", "/api/admin/users"), ("POST", "/api/admin/users"), ("GET", "/api/admin/tokens"), ("POST", "/api/admin/tokens"),
                                         ("DELETE", "/api/admin/tokens/1"), ("GET", "/api/admin/workers"), ("POST", "/api/admin/login-link"), ("GET", "/admin"),
                                         ("POST", "/api/spaces/alice/hello/limits")])
def test_the_operators_are_the_operators(alice, method, path):
    assert alice.ask(method, path, token=token(alice, "alice", "admin"))[0] == 403
    assert alice.ask(method, path)[0] == 401


def test_roles_in_an_organisation(alice):
    user(alice, "lab", "org")
    user(alice, "bob")
    alice.deploy("lab/demo", b"PK lab")
    write = token(alice, "bob", "write")
    assert may(alice, write, "lab/demo") == 403
    for role, status in [("read", 403), ("write", 200), ("admin", 200)]:
        assert member(alice, "lab", "bob", role)[0] == 200
        assert may(alice, write, "lab/demo") == status, role
        assert may(alice, token(alice, "bob", "read"), "lab/demo") == 403
        assert alice.ask("GET", "/api/spaces/lab/demo/limits", token=token(alice, "bob", "read"))[0] == 200
    status, answer = admin(alice, "DELETE", "/api/organizations/lab/members/bob")
    assert (status, answer["members"]) == (200, [])
    assert may(alice, write, "lab/demo") == 403


def test_who_may_say_who_is_a_member(site):
    for name in ("alice", "bob"):
        user(site, name)
    user(site, "lab", "org")
    assert member(site, "lab", "alice", "admin")[0] == 200
    assert member(site, "lab", "bob", "write", token(site, "alice", "write"))[0] == 403
    status, lab = member(site, "lab", "bob", "write", token(site, "alice", "admin"))
    assert status == 200 and lab["members"] == [{"user": "alice", "role": "admin"}, {"user": "bob", "role": "write"}]
    assert member(site, "lab", "alice", "read", token(site, "bob", "admin"))[0] == 403
    assert member(site, "alice", "bob", "write")[0] == 400 and member(site, "lab", "lab", "write")[0] == 400
    assert member(site, "lab", "nobody", "write")[0] == 404 and member(site, "lab", "bob", "king")[0] == 400


def basic(name, secret):
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


def test_ways_to_send_a_token(alice):
    good, path = token(alice, "alice"), "/api/whoami-v2"
    for headers in (basic("alice", good), basic("anything", good), basic(good, ""), {"X-HF-Authorization": f"Bearer {good}"}, {"Authorization": f"bearer {good}"}):
        status, body, _ = alice.ask("GET", path, headers=headers)
        assert status == 200 and json.loads(body)["name"] == "alice", headers
    wrong = (basic("alice", "no"), basic("alice", ""), {"Authorization": "Basic %%%"}, {"X-HF-Authorization": "Bearer no"}, {"Authorization": "Bearer "},
                    {"Authorization": "Bearer " + good[:-1]}, {"Authorization": "Bearer " + good[3:]}, {"Authorization": "Bearer " + "x" * 4000})
    for i, headers in enumerate(wrong):
        headers["X-Forwarded-For"] = f"192.0.2.{i}"
        status, body, _ = alice.ask("GET", path, headers=headers)
        assert (status, json.loads(body)["error"]) == (401, WRONG), headers
        assert alice.ask("GET", "/api/spaces", headers=headers)[0] == 401


def test_a_token_needs_no_page_of_ours(alice):
    """Unlike a cookie: nobody else's page can make a browser send it."""
    headers = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert alice.ask("POST", "/api/spaces/alice/hello/stop", headers=headers, token=token(alice, "alice"))[0] == 200


def test_guesses_of_user_tokens_are_limited(alice):
    good, here = token(alice, "alice"), {"X-Forwarded-For": "192.0.2.1"}
    seen = [alice.ask("GET", "/api/whoami-v2", headers=here, token="vt_" + f"{i:064x}")[0] for i in range(12)]
    assert seen == [401] * 10 + [429] * 2
    assert alice.ask("GET", "/api/whoami-v2", headers=here, token=good)[0] == 429
    assert alice.ask("GET", "/api/whoami-v2", headers={"X-Forwarded-For": "192.0.2.2"}, token=good)[0] == 200


def test_revoked_expired_deleted(alice):
    user(alice, "bob")
    revoked, expired, gone, kept = token(alice, "alice"), token(alice, "alice", days=1), token(alice, "bob"), token(alice, "alice", days=2)
    listed = admin(alice, "GET", "/api/admin/tokens?user=alice")[1]["tokens"]
    assert len(listed) == 3 and listed[0]["expiresAt"] is None and listed[1]["expiresAt"] > listed[1]["createdAt"]
    assert admin(alice, "DELETE", f"/api/admin/tokens/{listed[0]['id']}")[0] == 200
    assert admin(alice, "DELETE", f"/api/admin/tokens/{listed[0]['id']}")[0] == 404 and admin(alice, "DELETE", "/api/admin/tokens/x")[0] == 400
    db = sqlite3.connect(alice.data + "/site.db")
    db.execute("UPDATE tokens SET expires_ms = 1 WHERE id = ?", (listed[1]["id"],))
    db.commit()
    assert admin(alice, "DELETE", "/api/admin/users/bob")[0] == 200
    for t in (revoked, expired, gone):
        assert admin(alice, "GET", "/api/whoami-v2", token=t) == (401, {"error": WRONG})
    assert admin(alice, "GET", "/api/whoami-v2", token=kept)[0] == 200


def test_last_use_is_kept(alice):
    t = token(alice, "alice")
    assert admin(alice, "GET", "/api/admin/tokens")[1]["tokens"][0]["lastUsedAt"] is None
    admin(alice, "GET", "/api/whoami-v2", token=t)
    assert admin(alice, "GET", "/api/admin/tokens")[1]["tokens"][0]["lastUsedAt"]


def test_whoami(alice):
    user(alice, "lab", "org")
    member(alice, "lab", "alice", "write")
    who = admin(alice, "GET", "/api/whoami-v2", token=token(alice, "alice", "read", name="laptop"))[1]
    assert (who["type"], who["name"], [(o["name"], o["roleInOrg"]) for o in who["orgs"]]) == ("user", "alice", [("lab", "write")])
    assert who["auth"]["accessToken"] == {"displayName": "laptop", "role": "read"}
    assert admin(alice, "GET", "/api/whoami-v2")[1]["name"] == "admin" and alice.ask("GET", "/api/whoami-v2")[0] == 401


@pytest.mark.parametrize("name", ["", "a--b", "a..b", "x.git", "-a", "a/b", "a b", "é", "x" * 97, "admin", "ADMIN"])
def test_names_that_cannot_be(site, name):
    status, answer = admin(site, "POST", "/api/admin/users", {"name": name})
    assert status == 400 and answer["error"]


def test_one_namespace(site):
    user(site, "Alice")
    for kind in ("user", "org"):
        assert admin(site, "POST", "/api/admin/users", {"name": "alice", "type": kind})[0] == 409
    assert admin(site, "POST", "/api/admin/tokens", {"user": "nobody", "role": "read"})[0] == 404
    assert admin(site, "POST", "/api/admin/tokens", {"user": "alice", "role": "king"})[0] == 400
    user(site, "lab", "org")
    assert admin(site, "POST", "/api/admin/tokens", {"user": "lab", "role": "read"})[0] == 400
    assert admin(site, "POST", "/api/admin/tokens", ["alice"])[0] == 400
    assert site.api("POST", "/api/admin/tokens", "{")[0] == 400


def test_delete_an_owner_with_spaces(alice):
    status, answer = admin(alice, "DELETE", "/api/admin/users/alice")
    assert status == 409 and "Spaces" in answer["error"]
    assert alice.api("DELETE", "/api/spaces/alice/hello")[0] == 200
    assert admin(alice, "DELETE", "/api/admin/users/alice")[0] == 200
    assert admin(alice, "GET", "/api/admin/users")[1] == {"users": []} and admin(alice, "DELETE", "/api/admin/users/alice")[0] == 404


def test_operators_namespaces_need_no_user(site):
    """`vitrine deploy hello me/hello` on a fresh server; who gets the name later has the Space."""
    site.deploy("me/hello")
    user(site, "me")
    assert may(site, token(site, "me"), "me/hello") == 200


def test_owners_survive_a_kill(alice):
    t = token(alice, "alice")
    alice.kill()
    alice.start()
    assert may(alice, t) == 200


@pytest.mark.parametrize("days", ["30", 0.5, True, [], -1, 36501])
def test_a_wrong_end_is_no_token_without_one(site, days):
    user(site, "alice")
    status, answer = admin(site, "POST", "/api/admin/tokens", {"user": "alice", "role": "read", "days": days})
    assert status == 400 and "days" in answer["error"]
    assert admin(site, "GET", "/api/admin/tokens")[1]["tokens"] == []


def test_a_wrong_type_makes_no_user(site):
    status, answer = admin(site, "POST", "/api/admin/users", {"name": "lab", "type": "organization"})
    assert status == 400 and "organization" in answer["error"]
    assert admin(site, "GET", "/api/admin/users")[1]["users"] == []


def follow(site, path, credential):
    s = site.socket()
    s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n{credential}\r\n".encode())
    stream = events(s)
    return s, stream


@pytest.mark.parametrize("path", ["/api/spaces/alice/hello/events", "/api/spaces/alice/hello/logs/run?follow=1", "/api/spaces/alice/hello/logs/build?follow=1"])
def test_what_is_followed_ends_with_the_token(alice, path):
    """Everything that a revoked token, or one who is no member any more, is sent is sent to a stranger."""
    site = alice
    assert site.api("PUT", "/api/spaces/alice/hello/settings", json.dumps({"visibility": "private"}))[0] == 200
    user(site, "bob")
    secret = token(site, "alice", name="gone")
    kept, revoked = (follow(site, path, f"Authorization: Bearer {t}\r\n") for t in (token(site, "alice"), secret))
    number = next(t["id"] for t in admin(site, "GET", "/api/admin/tokens")[1]["tokens"] if t["name"] == "gone")
    assert admin(site, "DELETE", f"/api/admin/tokens/{number}")[0] == 200
    assert len(list(revoked[1])) < 10  # to its end, which a socket's timeout would not be
    kept[0].settimeout(4.5)
    with pytest.raises(TimeoutError):
        list(kept[1])


def test_what_is_followed_ends_when_the_space_becomes_private(alice):
    site = alice
    _, stream = follow(site, "/api/spaces/alice/hello/events", "")
    next(stream)
    assert site.api("PUT", "/api/spaces/alice/hello/settings", json.dumps({"visibility": "private"}))[0] == 200
    list(stream)
    assert site.ask("GET", "/api/spaces/alice/hello/events")[0] == 404
