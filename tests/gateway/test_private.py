"""The door of private Spaces alone: tokens are asked about once, by nobody else's mistake let in, and nothing is woken
before. (With the site's own signatures: tests/e2e/test_private.py.)"""
import time

import pytest

from harness import hello, host

PRIVATE = 1  # enum proto_route_flags


def ask(g, token="vt_good", label="demo-a", field="Authorization", path="/", more="", c=None):
    """On a new connection, or on this one, which stays with its loop"""
    c = c or g.connect()
    c.send(f"GET {path} HTTP/1.1\r\nHost: {host(label)}\r\n{field}: Bearer {token}\r\n{more}\r\n")
    return c


def answer(g, allowed, **want):
    m = g.runner.wait("TOKEN_ASK", **want)
    g.runner.send("TOKEN_ANSWER", ask_id=m["ask_id"], allowed=allowed)
    return m


def test_asked_once_for_a_minute(gateway):
    """... by each loop, which knows what it was told itself."""
    g = gateway()
    g.space("demo-a", hello, flags=PRIVATE)
    conns = [ask(g) for _ in range(5)] + [ask(g, field="X-HF-Authorization")]
    asked = [g.runner.wait("TOKEN_ASK") for _ in range(g.threads)]
    assert len({m["ask_id"] for m in asked}) == g.threads and {(m["space_id"], m["token"]) for m in asked} == {(1, "vt_good")}
    for m in asked:
        g.runner.send("TOKEN_ANSWER", ask_id=m["ask_id"], allowed=1)
    assert [c.response().status for c in conns] == [200] * 6
    assert ask(g).response().status == 200
    assert g.runner.count("TOKEN_ASK") == g.threads


def test_for_each_space_anew(gateway):
    g = gateway()
    g.space("demo-a", hello, flags=PRIVATE)
    g.space("demo-b", hello, flags=PRIVATE)
    g.runner.allowed = {1: 1, 2: 0}
    conns = [(ask(g), ask(g, label="demo-b")) for _ in range(4)]
    assert [(a.response().status, b.response().status) for a, b in conns] == [(200, 404)] * 4
    assert ask(g, label="demo-b").response().status == 404 and ask(g).response().status == 200
    asked = [(f["link"], f["space_id"]) for n, f in g.runner.log if n == "TOKEN_ASK"]
    assert {space for _, space in asked} == {1, 2} and len(set(asked)) == len(asked)
    assert len({link for link, _ in asked}) == g.threads


def test_others_answers_let_nobody_in(gateway):
    g = gateway()
    g.space("demo-a", hello, flags=PRIVATE)
    c = ask(g)
    m = g.runner.wait("TOKEN_ASK")
    for wrong in (0, m["ask_id"] + 1, 1 << 60):
        g.runner.send("TOKEN_ANSWER", ask_id=wrong, allowed=1)
    g.runner.send("TOKEN_ANSWER", ask_id=m["ask_id"], allowed=0)
    g.runner.send("TOKEN_ANSWER", ask_id=m["ask_id"], allowed=1)  # said already
    assert c.response().status == 404 and ask(g, c=c).response().status == 404
    assert g.runner.count("TOKEN_ASK") == 1


def test_without_an_answer(gateway):
    g = gateway()
    g.space("demo-a", hello, flags=PRIVATE)
    t = time.monotonic()
    r = ask(g).response()
    g.runner.wait("TOKEN_ASK")
    assert r.status == 503 and 4 < time.monotonic() - t < 9 and r.get("retry-after")
    c = ask(g)  # asked anew
    answer(g, 1)
    assert c.response().status == 200


def test_nothing_is_asked_where_nothing_is_shown(gateway):
    g = gateway()
    g.space("demo-a", flags=PRIVATE)  # it sleeps
    for path in ("/", "/robots.txt", "/.vitrine/wait", "/.vitrine/visit", "/.vitrine/visit?v1.1.9999999999.9999999999.AAAA&/"):
        assert g.get("demo-a", path).status == 404
        assert g.get("demo-a", path, "User-Agent: bot\r\nAccept: text/html\r\nSec-Fetch-Mode: navigate\r\n").status == 404
    assert g.runner.count("TOKEN_ASK") == g.runner.count("WAKE") == 0
    c = ask(g)
    answer(g, 0)
    assert c.response().status == 404 and g.runner.count("WAKE") == 0
    c = ask(g, token="vt_other")
    answer(g, 1)
    g.runner.wait("WAKE")
    g.runner.route("demo-a", stage="RUNNING", worker=g.worker(7, hello))
    assert c.response().status == 200


def test_who_waits_for_an_answer_may_leave(gateway):
    g = gateway()
    g.space("demo-a", hello, flags=PRIVATE)
    first, second = ask(g), ask(g)
    m = g.runner.wait("TOKEN_ASK")
    first.s.close()
    time.sleep(0.1)
    g.runner.send("TOKEN_ANSWER", ask_id=m["ask_id"], allowed=1)
    assert second.response().status == 200


def test_who_looks_at_the_waiting_page_is_sent_away_when_it_becomes_private(gateway):
    g = gateway()
    g.space("demo-a")
    c = g.connect()
    c.send(f"GET /.vitrine/wait HTTP/1.1\r\nHost: {host('demo-a')}\r\n\r\n")
    c.until(b'"SLEEPING"')
    g.runner.route("demo-a", flags=PRIVATE)
    g.runner.send("WAIT_LINE", space_id=1, text="told to nobody")
    try:
        rest = c.rest()
    except ConnectionError:
        rest = b""
    assert b"told to nobody" not in rest


ODD = {
    "two": "Authorization: Bearer vt_good\r\nAuthorization: Bearer vt_good\r\n",
    "long": "Authorization: Bearer " + "x" * 300 + "\r\n",
    "empty": "Authorization: Bearer \r\n",
    "long-cookie": "Cookie: __Host-vitrine-visit=" + "v1.1" * 200 + "\r\n",
    "many-cookies": "Cookie: " + "; ".join(["__Host-vitrine-visit=v1"] * 50) + "\r\n",
}


@pytest.mark.parametrize("which", ODD)
def test_odd_ones(gateway, which):
    g = gateway()
    g.space("demo-a", hello, flags=PRIVATE)
    assert g.get("demo-a", "/", ODD[which]).status == 404 and g.runner.count("TOKEN_ASK") == 0
