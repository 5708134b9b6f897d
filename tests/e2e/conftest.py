"""Fixtures: `vitrine` makes systems that are stopped and looked after at the test's end; `up` is one that
the tests of a module share."""
import os
import pwd
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from vitrine import Vitrine  # noqa: E402


def ordinary_user():
    """A user with a range of subordinate ids, for rootless systems when the tests run as root."""
    name = os.environ.get("VITRINE_TEST_USER", "vitrine-test")
    try:
        pwd.getpwnam(name)
        with open("/etc/subuid") as f:
            return name if any(line.startswith(name + ":") for line in f) else None
    except (KeyError, OSError):
        return None


def users():
    """As whom `up` is to run: everybody that this machine lets us be."""
    if os.getuid() != 0:
        return ["self"]
    return ["self", "user"]


def pick_user(kind):
    if kind == "self":
        return None
    name = ordinary_user()
    if not name:
        pytest.skip("no user vitrine-test with subordinate ids: useradd -m vitrine-test")
    return name


@pytest.fixture
def vitrine():
    """vitrine(config="...", user=None, args=()) makes and starts a system."""
    made = []

    def make(config="", start=True, **kw):
        v = Vitrine(config, **kw)
        made.append(v)
        return v.start() if start else v

    yield make
    errors = []
    for v in made:
        try:
            v.end()
        except AssertionError as e:
            errors.append(str(e))
    assert not errors, "\n".join(errors)


@pytest.fixture(params=users())
def any_vitrine(request, vitrine):
    """The same, once as root and once as an ordinary user where the tests run as root."""
    user = pick_user(request.param)
    return lambda config="", **kw: vitrine(config, user=user, **kw)


@pytest.fixture(scope="module")
def up():
    v = Vitrine("[lifecycle]\nsleep_after = 10m\n")
    v.start()
    yield v
    v.end()


@pytest.fixture(scope="module")
def probe(up):
    """A running probe demo in the shared system."""
    up.deploy(up.probe(), "demo/probe")
    return "demo/probe"
