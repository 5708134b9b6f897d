"""Secrets and variables: what is set, what is told, and what never is."""
import json
import sqlite3

import pytest

from platform_fake import TOKEN
from test_pages import page

S, V = "/api/spaces/alice/hello/secrets", "/api/spaces/alice/hello/variables"


def call(site, method, path, status=200, **body):
    got, answer = site.api(method, path, json.dumps(body))
    assert got == status, answer
    return answer


def rows(site):
    db = sqlite3.connect(f"file:{site.data}/site.db?mode=ro", uri=True)
    return db.execute("SELECT name, secret, value, description FROM space_env ORDER BY name").fetchall()


def test_a_secret_is_listed_and_never_told(site):
    site.deploy()
    call(site, "POST", S, key="TOKEN", value="hf_very_secret", description="for the hub")
    got = site.api("GET", S)[1]
    assert set(got) == {"TOKEN"} and got["TOKEN"]["description"] == "for the hub" and got["TOKEN"]["updatedAt"].endswith("Z")
    assert "value" not in got["TOKEN"]
    for body in (site.ask("GET", S, token=TOKEN)[1], page(site, "/spaces/alice/hello/settings", token=TOKEN).text, str(rows(site)),
                 open(site.data + "/webui.log").read()):
        assert "hf_very_secret" not in str(body)
    assert b"hf_very_secret" not in open(site.data + "/site.db", "rb").read() + open(site.data + "/site.db-wal", "rb").read()


def test_set_again_keeps_the_description_and_delete(site):
    site.deploy()
    call(site, "POST", S, key="TOKEN", value="one1", description="what")
    sealed = rows(site)[0][2]
    call(site, "POST", S, key="TOKEN", value="two2")
    assert rows(site)[0][2] != sealed and site.api("GET", S)[1]["TOKEN"]["description"] == "what"
    call(site, "DELETE", S, key="TOKEN")
    assert site.api("GET", S)[1] == {} and rows(site) == []
    assert "no secret TOKEN" in call(site, "DELETE", S, 404, key="TOKEN")["error"]


def test_variables_are_told(site):
    site.deploy()
    assert call(site, "POST", V, key="MODEL", value="tiny=1\nä")["MODEL"]["value"] == "tiny=1\nä"
    assert call(site, "POST", V, key="B", value="")["B"]["value"] == ""
    assert set(site.api("GET", V)[1]) == {"MODEL", "B"} and site.api("GET", S)[1] == {}
    assert set(call(site, "DELETE", V, key="B")) == {"MODEL"}


@pytest.mark.parametrize("body, says", [
    ({"key": "PORT", "value": "1"}, "PORT is set by the server"),
    ({"key": "9", "value": "1"}, "no digit first"),
    ({"key": "A-B", "value": "1"}, "no name of an environment variable"),
    ({"key": "A" * 200, "value": "1"}, "127 are the most"),
    ({"key": "A"}, "no \"value\""), ({"key": "A", "value": 5}, "no text"), ({"value": "A"}, "no \"key\""),
    ({"key": "A", "value": "x" * 55000}, "may take"),
    ({"key": "A", "value": "x", "description": "d" * 2000}, "description"),
    ({"key": "A", "value": "a\0b"}, "JSON"),
])
def test_refused(site, body, says):
    site.deploy()
    for path in (S, V):
        assert says in call(site, "POST", path, 400, **body)["error"]
    assert rows(site) == []


def test_one_name_is_one_thing(site):
    site.deploy()
    call(site, "POST", V, key="A", value="1")
    assert "A is a variable of this Space" in call(site, "POST", S, 409, key="A", value="2")["error"]
    assert "no secret A" in call(site, "DELETE", S, 404, key="A")["error"]


def test_room(site):
    site.deploy()
    call(site, "POST", S, key="A", value="x" * 30000)
    assert "are left" in call(site, "POST", V, 400, key="B", value="x" * 30000)["error"]
    call(site, "POST", S, key="A", value="x" * 10000)
    call(site, "POST", V, key="B", value="x" * 30000)


def test_short_values_are_warned_of(site):
    site.deploy()
    assert "not blanked" in call(site, "POST", S, key="A", value="abc")["warnings"][0]
    assert call(site, "POST", S, key="A", value="abcd")["warnings"] == []


def test_a_change_restarts_what_runs(site):
    site.deploy()
    sid = site.space_id()
    for stage, restarts in (("SLEEPING", 0), ("PAUSED", 0), ("RUNNING", 1), ("RUNTIME_ERROR", 1), ("STOPPED", 0)):
        site.runner.set_stage(sid, stage)
        before = len([v for v, _ in site.runner.done if v == "restart"])
        call(site, "POST", V, key="A", value=stage)
        assert len([v for v, _ in site.runner.done if v == "restart"]) - before == restarts, stage


def test_only_who_may(site):
    site.deploy()
    for path in (S, V):
        for method in ("GET", "POST", "DELETE")[path == V:]:  # variables are public
            assert site.ask(method, path, json.dumps({"key": "A", "value": "1"}))[0] == 401
    assert site.ask("POST", "/spaces/alice/hello/settings/secrets", "key=A&value=1")[0] == 401
    assert rows(site) == []


def test_the_page_sets_and_deletes(site):
    site.deploy()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    status, _, headers = site.ask("POST", "/spaces/alice/hello/settings/secrets", "key=TOKEN&value=one%0D%0Atwo&description=a+%3Cb%3E", token=TOKEN, headers=form)
    assert status == 303 and headers["Location"] == "/spaces/alice/hello/settings"
    text = page(site, "/spaces/alice/hello/settings", token=TOKEN).text
    assert "TOKEN" in text and "a <b>" in text
    status, body, _ = site.ask("POST", "/spaces/alice/hello/settings/variables", "key=PORT&value=1", token=TOKEN, headers=form)
    assert status == 400 and b"PORT is set by the server" in body
    assert site.ask("POST", "/spaces/alice/hello/settings/secrets", "key=TOKEN&do=delete", token=TOKEN, headers=form)[0] == 303
    assert rows(site) == []


def test_given_at_the_creation(site):
    body = {"name": "new", "organization": "alice", "type": "space", "sdk": "gradio", "private": True,
            "secrets": [{"key": "TOKEN", "value": "hf_x", "description": "d"}], "variables": [{"key": "A", "value": "1"}]}
    assert site.api("POST", "/api/repos/create", json.dumps(body))[0] == 200
    assert [r[:2] for r in rows(site)] == [("A", 0), ("TOKEN", 1)]
    info = site.api("GET", "/api/spaces/alice/new")[1]
    assert info["private"] is True and info["visibility"] == "private"
    assert site.ask("GET", "/api/spaces/alice/new")[0] == 404
    body = {**body, "name": "other", "secrets": [{"key": "PORT", "value": "1"}]}
    assert "PORT is set by the server" in site.api("POST", "/api/repos/create", json.dumps(body))[1]["error"]
    assert site.api("GET", "/api/spaces/alice/other")[0] == 404


@pytest.mark.parametrize("kind", ["secrets", "variables"])
def test_a_value_that_is_no_text(site, kind):
    """A form may send bytes that the API could not show."""
    site.deploy()
    status, body, _ = site.ask("POST", f"/spaces/alice/hello/settings/{kind}", b"key=RAW&value=%ff%fe%fd%fc", token=TOKEN)
    assert status == 400 and b"RAW is no text in UTF-8" in body and rows(site) == []
