"""Fixtures: `vitrine` makes systems that are stopped and looked after at the test's end; `up` is one that
the tests of a module share."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from vitrine import Vitrine  # noqa: E402


@pytest.fixture
def vitrine():
    """vitrine(config="...", args=()) makes and starts a system."""
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
