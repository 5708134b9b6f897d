"""`vitrine user` and `vitrine token`, and what one may do with what they give."""
import json

import pytest


@pytest.fixture(scope="module")
def alice(up):
    assert up.cli("user", "add", "alice").stdout == "alice\n"
    return up


def test_a_users_token_deploys_to_their_namespace_alone(alice):
    made = alice.cli("token", "new", "alice", "--role", "write")
    token = made.stdout.strip()
    assert made.returncode == 0 and made.stdout == token + "\n" and token.startswith("vt_") and not made.stderr
    page = alice.bundle("mine", **{"index.html": "mine", "card": "sdk: static"})
    done = alice.cli("deploy", page, "alice/page", token=token)
    assert done.returncode == 0, done.stderr
    assert alice.demo("alice/page", "/").body == b"mine"
    refused = alice.cli("deploy", page, "bob/page", token=token)
    assert refused.returncode == 1 and "alice may not change Spaces of bob" in refused.stderr
    assert alice.cli("stop", "alice/page", token=token).returncode == 0
    users = json.loads(alice.cli("user", "list", "--json").stdout)["users"]
    assert [(u["name"], u["type"], u["spaces"], u["tokens"]) for u in users if u["name"] == "alice"] == [("alice", "user", 1, 1)]
    refused = alice.cli("user", "delete", "alice")
    assert refused.returncode == 1 and "alice has Spaces" in refused.stderr
    assert alice.cli("delete", "alice/page", token=token).returncode == 0
    number = json.loads(alice.cli("token", "list", "alice", "--json").stdout)["tokens"][0]["id"]
    assert alice.cli("token", "revoke", str(number)).returncode == 0
    assert alice.cli("start", "alice/page", token=token).returncode == 1
    assert alice.cli("user", "add", "alice").returncode == 1


def test_members_of_an_organisation(alice):
    assert alice.cli("user", "add", "lab", "--org").returncode == 0
    token = alice.cli("token", "new", "alice", "--role", "admin", "--name", "boss").stdout.strip()
    assert alice.cli("user", "add", "bob", token=token).returncode == 1
    assert alice.cli("user", "add", "bob").returncode == 0
    assert alice.cli("user", "member", "lab", "bob", "--role", "write", token=token).returncode == 1
    assert alice.cli("user", "member", "lab", "alice", "--role", "admin").stdout == "lab: alice=admin\n"
    assert alice.cli("user", "member", "lab", "bob", "--role", "write", token=token).stdout == "lab: alice=admin bob=write\n"
    assert alice.cli("user", "member", "lab", "bob", "--role", "none").stdout == "lab: alice=admin\n"
    assert alice.cli("user", "delete", "lab").returncode == 0


@pytest.mark.parametrize("args", [("user",), ("user", "add"), ("user", "add", "a", "b"), ("user", "member", "a", "b"), ("user", "list", "--org"), ("token", "new", "a"),
                                  ("token", "revoke", "x"), ("token", "list", "--role", "read"), ("token", "new", "a", "--role", "read", "--days", "0")])
def test_wrong_usage(up, args):
    r = up.cli(*args)
    assert r.returncode == 2 and r.stderr.count("\n") == 1 and "usage: vitrine" in r.stderr
