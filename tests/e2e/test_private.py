"""Private and protected Spaces: who is let in, who is not, and what the demo hears of it."""
import base64
import http.client
import json
import re

import pytest

from vitrine import Vitrine, until

BROWSER = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}
COOKIE = "__Host-vitrine-visit"


def user(v, name, role="read"):
    assert v.cli("user", "add", name).returncode == 0
    r = v.cli("token", "new", name, "--role", role)
    assert r.returncode == 0, r.stderr
    return r.stdout.strip()


@pytest.fixture(scope="module")
def v():
    """A private Space of alice's and one of bob's, and a public one; with a token each."""
    v = Vitrine("[lifecycle]\nsleep_after = 10m\n")
    v.start()
    v.alice, v.bob = user(v, "alice"), user(v, "bob")
    for name in ("alice/own", "bob/own", "demo/open"):
        v.deploy(v.probe(), name)
    for name in ("alice/own", "bob/own"):
        set_visibility(v, name, "private")
    yield v
    v.end()


def set_visibility(v, name, visibility):
    a = v.api("PUT", f"/api/spaces/{name}/settings", body=json.dumps({"visibility": visibility}))
    assert a.status == 200 and a.json["visibility"] == visibility, a.body


def bearer(token, field="Authorization"):
    return {field: f"Bearer {token}"}


def headers_of_demo(v, name, **headers):
    a = v.demo(name, "/headers", headers=headers)
    assert a.status == 200, (a.status, a.body)
    return {k.lower(): x for k, x in a.json}


def visit(v, name, token=None):
    """What the site makes for who may: (path on the Space's host, its host)"""
    label = name.replace("/", "-")
    a = v.http("GET", f"/visit/{label}?to=/start", headers=bearer(token or v.token))
    assert a.status == 303, (a.status, a.body)
    return re.match(r"http://([^/]+)(/.*)", a.headers["location"]).groups()[1]


def cookie(v, name, token=None):
    a = v.demo(name, visit(v, name, token))
    assert a.status == 303 and a.headers["location"] == "/start" and a.headers["referrer-policy"] == "no-referrer", a.headers
    line = a.headers["set-cookie"]
    assert line.startswith(COOKIE + "=v1.") and "; Secure; HttpOnly; SameSite=Lax" in line and "Domain" not in line
    return line.split(";")[0]


def test_nobody_sees_that_it_is_there(v):
    private, nothing = v.demo("alice/own", "/", headers=BROWSER), v.demo("alice/none", "/", headers=BROWSER)
    assert private.status == nothing.status == 404
    assert private.body.replace(b"alice-own", b"") == nothing.body.replace(b"alice-none", b"")
    assert v.demo("alice/own").body == v.demo("alice/none").body
    assert v.demo("alice/own", "/.vitrine/wait").status == 404
    for token in (None, v.bob):
        headers = bearer(token) if token else {}
        assert "alice/own" not in [s["id"] for s in v.get("/api/spaces", headers=headers).json]
        for path in ("/api/spaces/alice/own", "/api/spaces/alice/own/runtime", "/api/spaces/alice/own/variables", "/api/spaces/alice/own/events", "/spaces/alice/own"):
            a, b = v.get(path, headers=headers), v.get(path.replace("/own", "/none"), headers=headers)
            assert (a.status, a.body.replace(b"own", b"")) == (404, b.body.replace(b"none", b"")), path
    assert b"alice/own" not in v.get("/").body
    a = v.get("/visit/alice-own", headers=bearer(v.bob)), v.get("/visit/alice-none", headers=bearer(v.bob))
    assert a[0].status == a[1].status == 404


def test_its_owner_sees_it(v):
    for token in (v.alice, v.token):
        assert "alice/own" in [s["id"] for s in v.get("/api/spaces", headers=bearer(token)).json]
        info = v.get("/api/spaces/alice/own", headers=bearer(token)).json
        assert info["private"] is True and info["visibility"] == "private"
        for field in ("Authorization", "X-HF-Authorization"):
            assert v.demo("alice/own", "/version", headers=bearer(token, field)).json == "1"
            assert v.demo("demo/open", "/version", headers=bearer(token, field)).json == "1"
    for field in ("Authorization", "X-HF-Authorization"):
        assert v.demo("bob/own", "/version", headers=bearer(v.alice, field)).status == 404
        assert v.demo("alice/own", "/version", headers=bearer("vt_" + "0" * 64, field)).status == 404


def test_what_the_demo_hears(v):
    got = headers_of_demo(v, "alice/own", Authorization=f"Bearer {v.alice}")
    assert "authorization" not in got
    got = headers_of_demo(v, "alice/own", Authorization="Bearer its-own", **{"X-HF-Authorization": f"Bearer {v.alice}"})
    assert got["authorization"] == "Bearer its-own" and "x-hf-authorization" not in got
    for token in (v.alice, v.bob, v.token):  # ours, whatever it may
        assert "authorization" not in headers_of_demo(v, "demo/open", Authorization=f"Bearer {token}")
        for pair in (f"alice:{token}", f"{token}:", token):
            assert "authorization" not in headers_of_demo(v, "demo/open", Authorization="Basic " + base64.b64encode(pair.encode()).decode())
    own = "Basic " + base64.b64encode(b"user:password").decode()
    assert headers_of_demo(v, "demo/open", Authorization=own)["authorization"] == own
    assert headers_of_demo(v, "demo/open", Authorization="Bearer its-own")["authorization"] == "Bearer its-own"
    mine = cookie(v, "alice/own")
    got = headers_of_demo(v, "alice/own", Cookie=f"a=1; {mine};b=2")
    assert got["cookie"] == "a=1; b=2"
    assert "cookie" not in headers_of_demo(v, "alice/own", Cookie=mine)


def test_a_visit_is_for_one_space(v):
    mine = cookie(v, "alice/own", v.alice)
    assert v.demo("alice/own", "/version", headers={"Cookie": mine}).json == "1"
    assert v.demo("bob/own", "/version", headers={"Cookie": mine}).status == 404
    assert v.demo("bob/own", visit(v, "alice/own")).status == 404
    for changed in (mine[:-1] + ("A" if mine[-1] != "A" else "B"), mine.replace("=v1.", "=v1.1"), mine[:-4], COOKIE + "=", COOKIE + "=v1.1.99999999999.99999999999."):
        assert v.demo("alice/own", "/version", headers={"Cookie": changed}).status == 404, changed
    # a neighbour's cookie of that name beside the right one, in either order, does not shut anybody out
    for both in (f"{COOKIE}=evil; {mine}", f"{mine}; {COOKIE}=evil"):
        assert v.demo("alice/own", "/version", headers={"Cookie": both}).json == "1"


def test_where_a_visit_leads(v):
    visit_only = visit(v, "alice/own").split("&")[0]
    for path in ("//evil.example/", "/\\evil.example/", "http://evil.example/", "evil", ""):
        a = v.demo("alice/own", f"{visit_only}&{path}")
        assert a.status == 404 and "location" not in a.headers, path
    assert v.demo("alice/own", visit_only).status == 404
    for path in ("//evil.example/", "http://evil.example/", "/\\evil", "/a%0d%0aX: y"):
        assert v.http("GET", f"/visit/alice-own?to={path}".replace(" ", "%20"), headers=bearer(v.alice)).headers["location"].endswith("&/")
    a = v.demo("alice/own", visit(v, "alice/own"), headers={"Sec-Fetch-Site": "cross-site"})
    assert "SameSite=None; Partitioned" in a.headers["set-cookie"]


def raw(v, name, lines):
    c = http.client.HTTPConnection("127.0.0.1", v.port, timeout=20)
    c.connect()
    c.sock.sendall(("\r\n".join(["GET /version HTTP/1.1", f"Host: {v.host(name)}", *lines, "", ""])).encode())
    r = http.client.HTTPResponse(c.sock)
    r.begin()
    status = r.status
    c.close()
    return status


def test_smuggled_fields(v):
    good = f"Bearer {v.alice}"
    assert raw(v, "alice/own", [f"Authorization: {good}"]) == 200
    for lines in ([f"Authorization: {good}", "Authorization: Bearer x"], ["Authorization: Bearer x", f"Authorization: {good}"],
                  [f"X-HF-Authorization: {good}", "X-HF-Authorization: Bearer x"], [f"X_HF_Authorization: {good}"], [f"Authorization: {good} x"],
                  [f"Authorization: Basic {v.alice}"], [f"Authorization: {v.alice}"], [f"Cookie2: {COOKIE}=x"]):
        assert raw(v, "alice/own", lines) == 404, lines
    assert raw(v, "alice/own", [f"Authorization : {good}"]) == 400
    # one that Connection names is still what it is: shown, and not passed on
    assert raw(v, "alice/own", [f"Authorization: {good}", "Connection: authorization"]) == 200


def test_websockets_and_posts_are_no_way_around(v):
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg=="}
    assert v.demo("alice/own", "/ws", headers=upgrade).status == 404
    assert v.demo("alice/own", "/", method="POST", body=b"x" * 100).status == 404
    assert v.demo("alice/own", "/version", method="HEAD").status == 404
    assert v.demo("alice/own", "/robots.txt").status == 404


def test_strangers_do_not_wake_it(v):
    assert v.cli("stop", "alice/own").returncode == 0
    try:
        assert v.demo("alice/own", headers=BROWSER).status == 404
        assert v.demo("alice/own", headers=bearer(v.bob)).status == 404
        assert v.demo("alice/own", headers=bearer(v.alice)).status == 503
    finally:
        assert v.cli("start", "alice/own").returncode == 0
    assert until(lambda: v.demo("alice/own", "/version", headers=bearer(v.alice)).json == "1")


def test_protected_and_back(v):
    set_visibility(v, "bob/own", "protected")
    assert v.demo("bob/own", "/version").json == "1"
    assert "bob/own" in [s["id"] for s in v.get("/api/spaces").json]
    page = v.get("/spaces/bob/own", headers={"Accept": "text/html"})
    assert page.status == 200 and b"A probe." not in page.body and b"/files" not in page.body
    assert b"A probe." in v.get("/spaces/bob/own", headers={"Accept": "text/html", **bearer(v.bob)}).body
    set_visibility(v, "bob/own", "private")
    assert v.demo("bob/own", "/version").status == 404
    a = v.api("PUT", "/api/spaces/bob/own/settings", body=b'{"visibility": "secret"}')
    assert a.status == 400 and "public, private or protected" in a.json["error"]
    assert v.http("PUT", "/api/spaces/bob/own/settings", body=b'{"private": false}', headers=bearer(v.bob)).status == 403


FILES = ("/spaces/{}/files", "/spaces/{}/raw/app.py", "/spaces/{}/history", "/spaces/{}/resolve/main/app.py", "/api/spaces/{}/tree/main",
         "/api/spaces/{}/commits/main", "/api/spaces/{}/refs", "/spaces/{}.git/info/refs?service=git-upload-pack", "/api/spaces/{}/versions")


def test_files_are_for_who_may_read(v):
    for visibility in ("private", "protected"):
        set_visibility(v, "bob/own", visibility)
        for path in FILES:
            path = path.format("bob/own")
            for headers in ({}, bearer(v.alice)):
                a = v.get(path, headers=headers)
                assert a.status in (401, 403, 404) and b"ThreadingHTTPServer" not in a.body, (visibility, path, a.status)
            assert v.get(path, headers=bearer(v.bob)).status == 200, (visibility, path)
        a = v.get("/api/spaces/bob/own", headers=bearer(v.alice))
        assert a.status == 404 if visibility == "private" else b"app.py" not in json.dumps(a.json.get("siblings", [])).encode()
    set_visibility(v, "bob/own", "private")


def test_a_revoked_token_is_soon_worth_nothing(v):
    token = v.cli("token", "new", "alice", "--role", "read").stdout.strip()
    r = v.cli("token", "list", "--json")
    newest = max((t for l in json.loads(r.stdout).values() for t in l), key=lambda t: t["id"])["id"]
    assert v.cli("token", "revoke", str(newest)).returncode == 0
    assert v.demo("alice/own", "/version", headers=bearer(token)).status == 404


def test_the_demo_has_no_say_about_our_cookies(vitrine):
    v = vitrine()
    app = v.bundle("talker", **{"app.py": '''
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
class H(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        for c in ("__Host-vitrine-visit=x; Path=/; Secure", "__host-Vitrine=y; Path=/", " own=1", "also=__Host-vitrine"):
            self.send_header("Set-Cookie", c)
        self.send_header("Cross-Origin-Opener-Policy", "unsafe-none")
        self.send_header("Content-Length", "0")
        self.end_headers()
HTTPServer(("127.0.0.1", int(os.environ["PORT"])), H).serve_forever()
'''}, card="title: T\nsdk: python\napp_file: app.py\ndisable_embedding: true\ncustom_headers:\n  cross-origin-embedder-policy: require-corp\n  cross-origin-opener-policy: same-origin")
    v.deploy(app, "demo/talker")
    c = http.client.HTTPConnection("127.0.0.1", v.port, timeout=20)
    c.request("GET", "/", headers={"Host": v.host("demo/talker")})
    got = c.getresponse().getheaders()
    c.close()
    assert [x for k, x in got if k.lower() == "set-cookie"] == ["own=1", "also=__Host-vitrine"]
    of = {k.lower(): x for k, x in got}
    assert (of["cross-origin-embedder-policy"], of["cross-origin-opener-policy"]) == ("require-corp", "same-origin")
    assert [x for k, x in got if k.lower() == "cross-origin-opener-policy"] == ["same-origin"] and "cross-origin-resource-policy" not in of
    assert of["content-security-policy"] == f"frame-ancestors 'self' http://localhost:{v.port}"


def test_by_command(v):
    r = v.cli("visibility", "demo/open", "protected")
    assert (r.returncode, r.stdout) == (0, "demo/open protected\n"), r
    assert v.cli("visibility", "demo/open").stdout == "demo/open protected\n"
    assert v.cli("visibility", "demo/open", "public").returncode == 0
    r = v.cli("visibility", "demo/open", "hidden")
    assert r.returncode == 1 and "public, private or protected" in r.stderr
