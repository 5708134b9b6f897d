"""The counters at /metrics: whose they are to see."""
from platform_fake import TOKEN

HERE = {"X-Forwarded-For": "127.0.0.1"}


def test_the_operator_alone(site):
    assert site.ask("GET", "/metrics")[0] == 401
    assert site.ask("GET", "/metrics", headers=HERE)[0] == 401
    assert site.ask("GET", "/metrics", token="f" * 64)[0] == 401
    status, body, headers = site.ask("GET", "/metrics", token=TOKEN)
    assert status == 200 and body == site.runner.metrics
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")


def test_who_asks_from_this_machine(make):
    site = make(**{"server.metrics": "loopback"})
    assert site.ask("GET", "/metrics", headers=HERE)[0] == 200
    assert site.ask("GET", "/metrics", headers={"X-Forwarded-For": "::1"})[0] == 200
    for other in ("192.0.2.1", "unknown", "::", "::11", "1127.0.0.1"):
        assert site.ask("GET", "/metrics", headers={"X-Forwarded-For": other})[0] == 401
    assert site.ask("GET", "/metrics")[0] == 401
    assert site.ask("GET", "/metrics", token=TOKEN)[0] == 200


def test_a_runner_that_cannot(site):
    site.runner.metrics = b""
    assert site.ask("GET", "/metrics", token=TOKEN)[0] >= 500
