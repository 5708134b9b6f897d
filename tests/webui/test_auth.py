"""Who may do what, and from whose pages."""
import re
import sqlite3
from urllib.parse import urlencode

import pytest
from platform_fake import TOKEN

OWN = {"Origin": "http://localhost:8080"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def cookie_of(headers):
    return re.match(r"__Host-vitrine=[0-9a-f]+", headers["Set-Cookie"]).group(0)


def login(site):
    status, _, headers = site.ask("POST", "/login", urlencode({"token": TOKEN, "next": "/submit"}), {**OWN, **FORM})
    assert status == 303 and headers["Location"] == "/submit"
    return {"Cookie": cookie_of(headers)}


@pytest.mark.parametrize("method,path", [
    ("PUT", "/api/spaces/a/b/bundle"), ("DELETE", "/api/spaces/a/b"), ("POST", "/api/spaces/a/b/start"), ("POST", "/submit"),
    ("GET", "/api/spaces/a/b/logs/run"), ("GET", "/api/admin/workers"), ("GET", "/api/admin/workers/stream"), ("GET", "/api/admin/events"),
    ("POST", "/api/admin/login-link"), ("GET", "/admin"), ("GET", "/submit"), ("GET", "/spaces/a/b/delete"), ("POST", "/spaces/a/b/delete")])
def test_needs_login(site, method, path):
    assert site.ask(method, path)[0] == 401
    assert site.ask(method, path, token="f" * 64)[0] == 401
    assert site.ask(method, path, headers={"Cookie": "__Host-vitrine=" + "a" * 64})[0] == 401


@pytest.mark.parametrize("path", ["/", "/healthz", "/api/spaces", "/login", "/static/site.css", "/robots.txt", "/favicon.ico"])
def test_public(site, path):
    assert site.ask("GET", path)[0] == 200


def test_wrong_token_is_said(site):
    status, answer = site.api("GET", "/api/spaces", token="wrong")
    assert (status, answer["error"]) == (401, "Invalid credentials in Authorization header")


def test_session_cookie(site):
    status, _, headers = site.ask("POST", "/login", urlencode({"token": TOKEN}), {**OWN, **FORM})
    value = headers["Set-Cookie"]
    assert status == 303 and headers["Location"] == "/admin"
    assert {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"} < set(value.split("; ")) and "Domain" not in value
    secret = cookie_of(headers).split("=")[1]
    rows = sqlite3.connect(site.data + "/site.db").execute("SELECT hash FROM sessions").fetchall()
    assert len(secret) == 64 and rows and secret not in rows[0]
    assert site.ask("GET", "/admin", headers={"Cookie": cookie_of(headers)})[0] == 200


def test_logout(site):
    cookie = login(site)
    assert site.ask("POST", "/logout", headers={**cookie, **OWN})[0] == 303
    assert site.ask("GET", "/admin", headers=cookie)[0] == 401


def test_expired_session(site):
    cookie = login(site)
    db = sqlite3.connect(site.data + "/site.db")
    db.execute("UPDATE sessions SET expires_ms = 1")
    db.commit()
    assert site.ask("GET", "/admin", headers=cookie)[0] == 401


@pytest.mark.parametrize("headers,status", [
    ({}, 403), ({"Origin": "http://evil.example"}, 403), ({"Origin": "null"}, 403), ({"Origin": "http://alice-hello.localhost:8080"}, 403),
    ({"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:8080"}, 403), ({"Sec-Fetch-Site": "cross-site"}, 403), ({"Sec-Fetch-Site": "none"}, 403),
    ({"Origin": "http://localhost:8080"}, 200), ({"Sec-Fetch-Site": "same-origin"}, 200)])
def test_changes_by_cookie_come_from_our_own_pages(site, headers, status):
    site.deploy()
    cookie = login(site)
    assert site.ask("POST", "/api/spaces/alice/hello/stop", headers={**cookie, **headers})[0] == status
    assert (("stop", site.space_id()) in site.runner.done) == (status == 200)


def test_login_from_elsewhere_is_refused(site):
    assert site.ask("POST", "/login", urlencode({"token": TOKEN}), {**FORM, "Origin": "http://evil.example"})[0] == 403


def test_login_link_works_once(site):
    url = site.api("POST", "/api/admin/login-link")[1]["url"]
    assert url.startswith("http://localhost:8080/login?link=")
    path = url.removeprefix("http://localhost:8080")
    status, _, headers = site.ask("GET", path)
    assert status == 303 and headers["Location"] == "/admin"
    assert site.ask("GET", "/admin", headers={"Cookie": cookie_of(headers)})[0] == 200
    status, body, headers = site.ask("GET", path)
    assert status == 403 and b"used already" in body and not headers["Set-Cookie"]


def test_login_link_of_yesterday(site):
    path = site.api("POST", "/api/admin/login-link")[1]["url"].removeprefix("http://localhost:8080")
    db = sqlite3.connect(site.data + "/site.db")
    db.execute("UPDATE login_links SET created_ms = created_ms - 3601000")
    db.commit()
    assert site.ask("GET", path)[0] == 403


def test_no_open_redirect(site):
    for to in ("//evil.example", "http://evil.example", "/\\evil.example", "/x\r\nSet-Cookie: a=b"):
        headers = site.ask("POST", "/login", urlencode({"token": TOKEN, "next": to}), {**OWN, **FORM})[2]
        assert headers["Location"] == "/admin"


def login_from(site, token, address):
    return site.ask("POST", "/login", urlencode({"token": token}), {**OWN, **FORM, "X-Forwarded-For": address})


@pytest.mark.parametrize("guesser,same,other", [("192.0.2.1", "192.0.2.1", "192.0.2.2"), ("2001:db8:1:2::7", "2001:db8:1:2:3:4:5:6", "2001:db8:1:3::7")])
def test_who_guesses_too_often_has_to_wait(site, guesser, same, other):
    """Then not even the right token is looked at; others, and sessions that began before, go on."""
    cookie = login_from(site, TOKEN, same)[2]["Set-Cookie"].split(";")[0]
    seen = [login_from(site, "x", guesser) for _ in range(12)]
    assert [s[0] for s in seen] == [403] * 10 + [429] * 2 and seen[11][2]["Retry-After"]
    assert login_from(site, TOKEN, same)[0] == 429
    assert site.ask("GET", "/admin", headers={"X-Forwarded-For": same}, token=TOKEN)[0] == 429
    assert site.ask("GET", "/admin", headers={"X-Forwarded-For": same, "Cookie": cookie})[0] == 200
    assert login_from(site, "x", other)[0] == 403 and login_from(site, TOKEN, other)[0] == 303
    assert site.ask("GET", "/admin", headers={"X-Forwarded-For": other}, token=TOKEN)[0] == 200


def test_visitors_behind_a_proxy_do_not_lock_out_the_operator(site):
    """All have the proxy's address."""
    assert [login_from(site, "x", "127.0.0.1")[0] for _ in range(11)][-1] == 429
    assert site.ask("GET", "/admin", headers={"X-Forwarded-For": "127.0.0.1"}, token=TOKEN)[0] == 200


def test_headers_of_pages(site):
    site.deploy()
    for path in ("/", "/spaces/alice/hello", "/nothing", "/login"):
        headers = site.ask("GET", path)[2]
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
    assert "frame-src http://alice-hello.localhost:8080" in site.ask("GET", "/spaces/alice/hello")[2]["Content-Security-Policy"]
